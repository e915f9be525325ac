# SPDX-License-Identifier: Apache-2.0
"""The balancer: every OSD gets its share, and no rule is broken on the way."""

import msgspec
import pytest

from octostack.engines.ceph.core.crush import rulebook
from octostack.engines.ceph.core.crush.rulebook import NewRule
from octostack.engines.ceph.core.osdmap import balance, change, domains, placement, whole
from octostack.testing import crush_maps, osd_maps
from octostack.wire.ceph.maps.crush import (
    CHOOSE_FIRSTN,
    CHOOSELEAF_FIRSTN,
    EMIT,
    TAKE,
    CrushMap,
    Rule,
    Step,
)
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import ERASURE, Pool
from octostack.wire.ceph.objects import PG


def _cluster(crush: CrushMap, *pools: Pool) -> OSDMap:
    return osd_maps.cluster(crush, dict(enumerate(pools, 1)))


def _pool(**values: object) -> Pool:
    return msgspec.structs.replace(Pool(pg_num=256, pgp_num=256, crush_rule=0), **values)


def _balanced(osdmap: OSDMap, *numbers: int) -> OSDMap:
    plan = balance.plan(osdmap, list(numbers), max_changes=1000)
    assert plan.deviation_after <= 1 < plan.deviation_before
    return change.apply(osdmap, plan.change(osdmap, 1))


def _host_of(crush: CrushMap, osd: int) -> int:
    return next(b.id for b in crush.buckets if b and b.type == 1 and osd in b.items)


@pytest.mark.parametrize("rule", [0, 1])
def test_every_osd_gets_its_share_and_hosts_stay_apart(rule: int) -> None:
    kind = ERASURE if rule else 1
    osdmap = _cluster(crush_maps.wide_map(6, 3, 2), _pool(crush_rule=rule, type=kind))
    balanced = _balanced(osdmap, 1)
    tree = domains.of_rule(osdmap.crush, rule)
    total = sum(tree.weights.values())
    rows = whole.list_upmapped(balanced, 1)
    for osd, weight in tree.weights.items():
        share = 3 * 256 * weight / total
        assert abs(sum(osd in row for row in rows) - share) <= 1
    assert all(len({_host_of(osdmap.crush, osd) for osd in row}) == 3 for row in rows)
    assert [placement.of_group(balanced, PG(1, s)).up for s in range(256)] == [
        tuple(row) for row in rows
    ]


def test_two_pools_are_balanced_together() -> None:
    osdmap = _cluster(crush_maps.wide_map(6, 3, 2), _pool(), _pool(size=2))
    balanced = _balanced(osdmap, 1, 2)
    rows = [*whole.list_upmapped(balanced, 1), *whole.list_upmapped(balanced, 2)]
    tree = domains.of_rule(osdmap.crush, 0)
    for osd, weight in tree.weights.items():
        share = 5 * 256 * weight / sum(tree.weights.values())
        assert abs(sum(osd in row for row in rows) - share) <= 1


def test_a_balanced_map_is_left_alone_and_a_changed_one_mended() -> None:
    osdmap = _cluster(crush_maps.wide_map(6, 3, 2), _pool())
    balanced = _balanced(osdmap, 1)
    assert balance.plan(balanced, [1]).items == {}
    weights = (0, *balanced.osd_weight[1:])
    mended = _balanced(msgspec.structs.replace(balanced, osd_weight=weights), 1)
    assert not any(0 in row for row in whole.list_upmapped(mended, 1))


def test_no_more_changes_than_wanted() -> None:
    osdmap = _cluster(crush_maps.wide_map(6, 3, 2), _pool())
    assert len(balance.plan(osdmap, [1], max_changes=3).items) == 3


def test_a_group_moves_only_inside_the_rack_that_the_rule_chose() -> None:
    crush = crush_maps.wide_map(8, 3, 4)
    take = crush.rules[0].steps[0] if crush.rules[0] else Step(TAKE)
    steps = (take, Step(CHOOSE_FIRSTN, 2, 2), Step(CHOOSELEAF_FIRSTN, 2, 1), Step(EMIT))
    crush = msgspec.structs.replace(crush, rules=(Rule(0, 1, 1, 10, steps),))
    osdmap = _cluster(crush, _pool(size=4))
    plan = balance.plan(osdmap, [1], max_changes=1000)
    assert plan.deviation_after < plan.deviation_before
    tree = domains.of_rule(crush, 0)
    for items in plan.items.values():
        for old, new in items:
            assert tree.buckets[old][0] == tree.buckets[new][0]


def test_a_rule_of_one_class_keeps_to_it() -> None:
    crush = crush_maps.with_classes(crush_maps.wide_map(8, 4, 2), 1)
    root = next(
        name for name in crush.names.values() if name.startswith("root") and "~" not in name
    )
    crush, number = rulebook.add_rule(crush, NewRule("fast", root, device_class="ssd"))
    osdmap = _cluster(crush, _pool(crush_rule=number, size=2))
    ssd = {osd for osd in range(32) if crush.class_names.get(crush.classes.get(osd, -1)) == "ssd"}
    assert set(domains.of_rule(crush, number).weights) == ssd
    plan = balance.plan(osdmap, [1], max_changes=50)
    assert {new for items in plan.items.values() for _, new in items} <= ssd


def test_entries_that_mean_nothing_any_more_are_found() -> None:
    osdmap = _cluster(crush_maps.wide_map(6, 3, 2), _pool())
    row = whole.list_upmapped(osdmap, 1)[0]
    host = next(b for b in osdmap.crush.buckets if b and b.type == 1 and row[1] in b.items)
    neighbour = next(osd for osd in host.items if osd != row[1])
    free = next(o for o in range(18) if _host_of(osdmap.crush, o) not in
                {_host_of(osdmap.crush, each) for each in row})  # fmt: skip
    items = {
        PG(1, 0): ((row[0], neighbour),),  # two on one host
        PG(1, 999): ((0, 1),),  # no such group
        PG(7, 0): ((0, 1),),  # no such pool
        PG(1, 1): ((17, 16), (16, 17)) if 17 not in whole.list_upmapped(osdmap, 1)[1] else (),
    }
    broken = msgspec.structs.replace(osdmap, pg_upmap_items=items)
    stale = balance.list_stale(broken)
    assert {PG(1, 0), PG(1, 999), PG(7, 0)} <= set(stale)
    fine = msgspec.structs.replace(osdmap, pg_upmap_items={PG(1, 0): ((row[0], free),)})
    assert balance.list_stale(fine) == []
