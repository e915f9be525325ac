# SPDX-License-Identifier: Apache-2.0
"""Random maps and wide ones, mapped by us and by the real crushtool; COMPAT_FULL for a thousand."""

import os
from pathlib import Path

import pytest

from octostack.engines.ceph.core.crush import rules
from octostack.testing import crush_maps
from octostack.testing.crush_maps import Case

FULL = bool(os.environ.get("COMPAT_FULL"))
BATCH = 10
BATCHES = 100 if FULL else 3

pytestmark = [
    pytest.mark.compat,
    pytest.mark.skipif(not crush_maps.CRUSHTOOL, reason="crushtool (ceph-base) is not installed"),
]


def _differences(case: Case, path: Path, size: int, inputs: int) -> list[str]:
    real = crush_maps.real_mappings(path, case, size, inputs)
    assert real, "crushtool printed no mapping"
    args = rules.choose_args(case.crush, 0)
    found = []
    for (rule, x), devices in real.items():
        ours = rules.map_input(case.crush, rule, x, size, case.reweights, args)
        if ours != devices:
            found.append(f"rule {rule} x {x}: crushtool {devices}, we {ours}")
    return found


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_maps(batch: int, tmp_path: Path) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        case = crush_maps.random_case(seed)
        found = _differences(case, tmp_path / "map", 1 + seed % 6, 10)
        assert not found, f"seed {seed}: {found[:3]}"


def test_ten_thousand_devices(tmp_path: Path) -> None:
    crush = crush_maps.wide_map(500, 20, 25)
    out = range(0, 10_000, 7)
    case = Case(crush, crush_maps.with_weights(10_000, out))
    assert not _differences(case, tmp_path / "map", 3, 20)
