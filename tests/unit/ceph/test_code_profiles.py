# SPDX-License-Identifier: Apache-2.0
"""Profiles of erasure codes as a real monitor (16.2.15) takes and fills them."""

import json
from pathlib import Path
from typing import Any

import pytest

from octostack.engines.ceph.mon.core import code_profiles
from octostack.engines.ceph.mon.core.answers import Failure

VECTORS = Path(__file__).parents[2] / "vectors/ceph/coded/surface.json"
STEPS = json.loads(VECTORS.read_text())["profiles"]
OURS = ("plugin=nope", "w=16 k=2 m=1", "k=2 m=1 packetsize=2048 technique=cauchy_good")


def test_there_are_steps() -> None:
    assert len(STEPS) > 40
    assert set(OURS) < {step["words"] for step in STEPS}


PLAIN = [s for s in STEPS if s["result"] != 1 and "crush-failure-domain= " not in s["words"] + " "]


@pytest.mark.parametrize("step", [s for s in PLAIN if s["words"] not in OURS], ids=str)
def test_a_profile_is_taken_as_by_the_real_one(step: dict[str, Any]) -> None:
    words = [word for word in step["words"].split() if word != "--force"]
    force = "--force" in step["words"]
    if step["result"]:
        with pytest.raises(Failure) as refused:
            code_profiles.complete(code_profiles.parse(words), force=force)
        assert (refused.value.number, refused.value.text) == (step["result"], step["status"])
    else:
        assert code_profiles.complete(code_profiles.parse(words), force=force) == step["kept"]


@pytest.mark.parametrize(("words", "number"), [(OURS[0], 5), (OURS[1], 95), (OURS[2], 95)])
def test_what_cannot_be_reckoned_is_refused_at_once(words: str, number: int) -> None:
    with pytest.raises(Failure) as refused:
        code_profiles.complete(code_profiles.parse(words.split()))
    assert refused.value.number == number


def test_stripe_units_are_those_that_the_code_works_on() -> None:
    profile = code_profiles.complete(code_profiles.parse(["k=3", "m=2"]))
    assert code_profiles.unit_of(profile, 4096) == 4096
    assert code_profiles.unit_of(profile, 100) == 128
    assert code_profiles.unit_of({**profile, "stripe_unit": "8K"}, 4096) == 8192
    per_chunk = {**profile, "jerasure-per-chunk-alignment": "true"}
    assert code_profiles.unit_of(per_chunk, 32) == 128
