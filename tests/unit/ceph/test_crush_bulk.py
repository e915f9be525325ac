# SPDX-License-Identifier: Apache-2.0
"""Many inputs at once find what each finds alone (and that is what crushtool finds)."""

import numpy as np
import pytest

from octostack.engines.ceph.core.crush import logarithm, rules
from octostack.engines.ceph.core.crush.bulk import draws
from octostack.engines.ceph.core.crush.bulk import rules as bulk
from octostack.engines.ceph.core.osdmap import placement, whole
from octostack.testing import crush_maps, osd_maps
from octostack.wire.ceph.objects import PG

INPUTS = 12
SEEDS = [seed for seed in range(70) if crush_maps.random_case(seed).reweights]


def _simple(seed: int) -> list[int]:
    crush = crush_maps.random_case(seed).crush
    return [n for n, rule in enumerate(crush.rules) if rule and bulk.is_simple(crush, rule)]


def test_both_ways_are_tried() -> None:
    simple = [len(_simple(seed)) for seed in SEEDS]
    assert sum(simple) > 30
    assert simple.count(0) > 10


@pytest.mark.parametrize("part", range(8))
def test_rows_are_those_of_single_inputs(part: int) -> None:
    for seed in SEEDS[part::8]:
        case = crush_maps.random_case(seed)
        args = rules.choose_args(case.crush, 0)
        size = 1 + seed % 6
        xs = np.arange(INPUTS, dtype=np.uint32)
        for rule in _simple(seed) or [0]:
            found = bulk.map_inputs(case.crush, rule, xs, size, case.reweights, args).lists()
            for x, row in enumerate(found):
                alone = rules.map_input(case.crush, rule, x, size, case.reweights, args)
                assert row == alone, f"seed {seed} rule {rule} x {x}"


def test_the_table_of_logarithms_is_the_function() -> None:
    table = draws._depths().tolist()
    for number in [*range(0, 0x10000, 11), 0xFFFF]:
        assert table[number] == logarithm.depth_below_one(number)


def test_an_unknown_rule_gives_empty_rows() -> None:
    crush = crush_maps.wide_map(2, 2, 1)
    found = bulk.map_inputs(crush, 9, np.arange(3, dtype=np.uint32), 2, [0x10000] * 4)
    assert found.lists() == [[], [], []]


@pytest.mark.parametrize("seed", range(10))
def test_a_pool_as_a_whole_is_its_groups(seed: int) -> None:
    osdmap = osd_maps.random_osdmap(seed)
    for number, pool in osdmap.pools.items():
        together = whole.list_placements(osdmap, number)
        alone = [placement.of_group(osdmap, PG(number, s)) for s in range(pool.pg_num)]
        assert together == alone
