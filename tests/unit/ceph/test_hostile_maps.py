# SPDX-License-Identifier: Apache-2.0
"""Maps from anybody: what is broken is Malformed, what is wrong is Invalid, and nothing hangs."""

import random
from pathlib import Path

import msgspec
import pytest

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.crush import check
from octostack.testing import crush_maps
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.maps import crush as crush_wire
from octostack.wire.ceph.maps import monmap as mon_wire
from octostack.wire.ceph.maps import osdmap as osd_wire
from octostack.wire.ceph.maps.crush import (
    CHOOSE_FIRSTN,
    EMIT,
    TAKE,
    Bucket,
    ChooseArg,
    CrushMap,
    Rule,
    Step,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph"


def _damaged(blob: bytes, rng: random.Random) -> bytes:
    data = bytearray(blob)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        if rng.random() < 0.3:
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\0\0\0\0"))
        else:
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


@pytest.mark.parametrize("part", range(4))
def test_a_damaged_map_is_malformed_or_another_map(part: int) -> None:
    crush_blob = (VECTORS / "crush" / "cluster.bin").read_bytes()
    mon_blob = (VECTORS / "maps" / "monmap.bin").read_bytes()
    rng = random.Random(part)
    refused = 0
    for _ in range(400):
        for decode, blob in ((crush_wire.decode, crush_blob), (mon_wire.decode, mon_blob)):
            try:
                decode(_damaged(blob, rng))
            except Malformed:
                refused += 1
    assert 50 < refused < 800


def test_a_damaged_osd_map_with_a_right_checksum_is_no_worse() -> None:
    blob = (VECTORS / "maps" / "osdmap-50.bin").read_bytes()
    rng = random.Random(1)
    refused = 0
    for _ in range(250):
        front = _damaged(blob[:-4], rng)
        try:
            osd_wire.decode(front + crc32c(front).to_bytes(4, "little"))
        except Malformed:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("seed", range(30))
def test_maps_that_are_right_pass(seed: int) -> None:
    crush = crush_maps.random_case(seed).crush
    used = frozenset(number for number, rule in enumerate(crush.rules) if rule)
    check.check(crush, used)


def _map(*buckets: Bucket, **values: object) -> CrushMap:
    slots: list[Bucket | None] = [None] * 4
    for bucket in buckets:
        slots[-1 - bucket.id] = bucket
    types = {0: "osd", 1: "host", 2: "rack"}
    made = CrushMap(buckets=tuple(slots), type_names=types, max_devices=2)
    return msgspec.structs.replace(made, **values)


def _rule(*steps: Step) -> tuple[Rule, ...]:
    return (Rule(0, 1, 1, 10, steps),)


@pytest.mark.parametrize(
    ("crush", "message"),
    [
        (_map(Bucket(-1, 1, items=(-1,), weights=(1,))), "contains itself"),
        (
            _map(
                Bucket(-1, 1, items=(-2,), weights=(1,)),
                Bucket(-2, 1, items=(-3, 0), weights=(1, 1)),
                Bucket(-3, 1, items=(-1,), weights=(1,)),
            ),
            "contains itself",
        ),
        (_map(Bucket(-1, 1, items=(-3,), weights=(1,))), "not there"),
        (_map(Bucket(-1, 1, items=(9,), weights=(1,))), "not there"),
        (_map(Bucket(-1, 7)), "unknown type"),
        (_map(Bucket(-1, 0)), "unknown type"),
        (_map(Bucket(-1, 1, alg=9)), "unknown algorithm"),
        (_map(Bucket(-1, 1, items=(0,), weights=())), "weight for each"),
        (_map(Bucket(-1, 1, alg=3, items=(0,), weights=(1,), extra=(0, 1, 1))), "tree"),
        (_map(rules=_rule(Step(TAKE, -1))), "takes -1"),
        (_map(Bucket(-1, 1), rules=_rule(Step(TAKE, -1), Step(CHOOSE_FIRSTN, 0, 9))), "type 9"),
        (_map(Bucket(-1, 1), choose_args={0: {-1: ChooseArg(((1,),))}}), "weight for each"),
        (_map(Bucket(-1, 1), choose_args={0: {-2: ChooseArg(((1,),))}}), "no straw2"),
        (_map(Bucket(-1, 1), choose_args={0: {-1: ChooseArg((), (1,))}}), "id for each"),
    ],
)
def test_maps_that_are_wrong_are_refused(crush: CrushMap, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        check.check(crush)


def test_a_rule_that_a_pool_uses_must_be_there() -> None:
    crush = _map(Bucket(-1, 1), rules=_rule(Step(TAKE, -1), Step(EMIT)))
    check.check(crush, frozenset({0}))
    with pytest.raises(Invalid, match="rule 3"):
        check.check(crush, frozenset({3}))


def test_a_deep_chain_is_no_cycle() -> None:
    buckets = [Bucket(-1 - n, 1, items=(-2 - n,), weights=(1,)) for n in range(3000)]
    buckets.append(Bucket(-3001, 1))
    crush = CrushMap(buckets=tuple(buckets), type_names={0: "osd", 1: "host"})
    check.check(crush)
