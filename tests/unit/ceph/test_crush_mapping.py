# SPDX-License-Identifier: Apache-2.0
"""Rules walked over maps whose results crushtool 16.2.15 gave: tests/vectors/ceph/README.md."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from octostack.engines.ceph.core.crush import hashing, logarithm, rules
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import Bucket, CrushMap, Rule, Step

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph" / "crush" / "mappings.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]


def test_vectors_are_there() -> None:
    assert len(CASES) >= 40
    maps = [wire.decode(base64.b64decode(case["map"])) for case in CASES]
    algorithms = {bucket.alg for crush in maps for bucket in crush.buckets if bucket}
    assert algorithms == set(wire.ALGORITHM_NAMES)
    assert any(crush.choose_args for crush in maps)
    assert len({crush.tunables for crush in maps}) > 5


@pytest.mark.parametrize("number", range(len(CASES)))
def test_every_input_finds_the_devices_that_crushtool_finds(number: int) -> None:
    case: dict[str, Any] = CASES[number]
    crush = wire.decode(base64.b64decode(case["map"]))
    args = rules.choose_args(crush, 0)
    for rule, x, devices in case["mappings"]:
        found = rules.map_input(crush, rule, x, case["size"], case["reweights"], args)
        assert found == devices, (rule, x)


@pytest.mark.parametrize("number", range(0, len(CASES), 4))
def test_a_map_cut_short_is_malformed_or_an_older_map(number: int) -> None:
    blob = base64.b64decode(CASES[number]["map"])
    whole = wire.decode(blob)
    read = 0
    for length in range(0, len(blob), 7):
        try:
            older = wire.decode(blob[:length])
        except Malformed:
            continue
        read += 1
        assert older.sections < whole.sections
        assert wire.encode(older) == blob[:length]
    assert read < 12


def test_what_a_newer_release_adds_is_kept() -> None:
    blob = base64.b64decode(CASES[0]["map"]) + b"\x64\x00\x00\x00\x64\x00\x00\x00"
    assert wire.encode(wire.decode(blob)) == blob


def test_a_negative_number_is_hashed_as_its_32_bits() -> None:
    assert hashing.hash2(-1, 5) == hashing.hash2(2**32 - 1, 5) < 2**32
    assert hashing.hash3(7, -4, 1) == hashing.hash3(7, 2**32 - 4, 1) < 2**32
    assert hashing.hash4(7, -4, 1, -2) == hashing.hash4(7, 2**32 - 4, 1, 2**32 - 2) < 2**32


def test_the_logarithm_rises_to_its_top() -> None:
    previous = -1
    for number in range(0, 0x10000, 97):
        found = logarithm.log2(number)
        assert found >= previous
        previous = found
    assert logarithm.log2(0) == 0
    assert logarithm.log2(0xFFFF) == logarithm.TOP - 0x10000000


def test_an_unknown_rule_and_a_root_that_is_gone_give_nothing() -> None:
    steps = (Step(wire.TAKE, -9), Step(wire.CHOOSE_FIRSTN, 0, 0), Step(wire.EMIT))
    crush = CrushMap(rules=(Rule(0, 1, 1, 10, steps),), max_devices=1)
    assert rules.map_input(crush, 0, 1, 3, [wire.ONE]) == []
    assert rules.map_input(crush, 7, 1, 3, [wire.ONE]) == []


def test_an_unknown_algorithm_is_refused() -> None:
    blob = wire.encode(CrushMap(buckets=(Bucket(-1, 1, 5),)))
    blob = blob[:16] + b"\x09" + blob[17:26] + b"\x09" + blob[27:]
    with pytest.raises(Malformed, match="unknown algorithm"):
        wire.decode(blob)
