# SPDX-License-Identifier: Apache-2.0
"""The upmap balancer: move single groups so that every OSD has its share of them.

It does what `osdmaptool --upmap` does by another way: each step takes a group from an OSD that has
too many to one that has too few, where the rule allows it, and makes the sum of squared deviations
smaller; so it ends. Groups that an earlier entry moved are moved back before others are moved.
Loads numpy, through `whole`.
"""

import msgspec

from octostack.engines.ceph.core.osdmap import domains, osds, whole
from octostack.engines.ceph.core.osdmap.domains import Domains
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.objects import PG

Items = tuple[tuple[int, int], ...]


class Plan(msgspec.Struct, frozen=True):
    """What to change, and the largest deviation, in groups, before and after."""

    items: dict[PG, Items]
    removed: frozenset[PG]
    deviation_before: float
    deviation_after: float

    def change(self, osdmap: OSDMap, modified: int) -> Incremental:
        """The next epoch's change."""
        return Incremental(
            fsid=osdmap.fsid,
            epoch=osdmap.epoch + 1,
            modified=modified,
            new_pg_upmap_items=self.items,
            old_pg_upmap_items=self.removed,
        )


def plan(
    osdmap: OSDMap, numbers: list[int], max_changes: int = 10, max_deviation: float = 1.0
) -> Plan:
    """Entries that bring every OSD within `max_deviation` groups of its share in these pools."""
    state = _State(osdmap, numbers)
    before = state.worst()
    changed: set[PG] = set()
    while len(changed) < max_changes and state.worst() > max_deviation:
        pg = state.step()
        if pg is None:
            break
        changed.add(pg)
    items = {pg: state.items[pg] for pg in changed if state.items.get(pg)}
    removed = frozenset(pg for pg in changed if pg not in items and pg in osdmap.pg_upmap_items)
    return Plan(items, removed, before, state.worst())


def list_stale(osdmap: OSDMap) -> list[PG]:
    """Groups whose upmap entries mean nothing any more, or break their rule."""
    stale = [pg for pg in {*osdmap.pg_upmap, *osdmap.pg_upmap_items} if pg.pool not in osdmap.pools]
    for number, pool in osdmap.pools.items():
        entries = [pg for pg in {*osdmap.pg_upmap, *osdmap.pg_upmap_items} if pg.pool == number]
        if not entries:
            continue
        rows = whole.list_upmapped(osdmap, number)
        tree = domains.of_rule(osdmap.crush, pool.crush_rule)
        for pg in entries:
            if pg.seed >= pool.pg_num or not _stands(osdmap, tree, rows[pg.seed], pg):
                stale.append(pg)
    return sorted(stale)


def _stands(osdmap: OSDMap, tree: Domains, row: list[int], pg: PG) -> bool:
    devices = [osd for osd in row if osd != ITEM_NONE]
    targets = [new for _, new in osdmap.pg_upmap_items.get(pg, ())]
    used = not targets or any(osd in devices for osd in targets)
    return used and tree.allows(devices) and all(osds.is_in(osdmap, osd) for osd in devices)


class _State:
    """Who has which groups, and how many each should have."""

    def __init__(self, osdmap: OSDMap, numbers: list[int]) -> None:
        self.osdmap = osdmap
        self.items: dict[PG, Items] = dict(osdmap.pg_upmap_items)
        self.rows: dict[PG, list[int]] = {}
        self.trees: dict[int, Domains] = {}
        self.groups: dict[int, set[PG]] = {}
        self.shares: dict[int, float] = {}
        for number in sorted(numbers):
            self._add_pool(number)
        self.deviations = {
            osd: len(self.groups.get(osd, ())) - share for osd, share in self.shares.items()
        }

    def _add_pool(self, number: int) -> None:
        pool = self.osdmap.pools[number]
        tree = self.trees[number] = domains.of_rule(self.osdmap.crush, pool.crush_rule)
        placed = 0
        for seed, row in enumerate(whole.list_upmapped(self.osdmap, number)):
            pg = PG(number, seed)
            self.rows[pg] = row
            for osd in row:
                if osd != ITEM_NONE:
                    self.groups.setdefault(osd, set()).add(pg)
                    placed += 1
        weights = {
            osd: weight * self.osdmap.osd_weight[osd]
            for osd, weight in tree.weights.items()
            if osds.is_up(self.osdmap, osd) and weight and self.osdmap.osd_weight[osd]
        }
        total = sum(weights.values())
        for osd, weight in weights.items():
            self.shares[osd] = self.shares.get(osd, 0.0) + placed * weight / total

    def worst(self) -> float:
        """The largest deviation of any OSD."""
        return max((abs(deviation) for deviation in self.deviations.values()), default=0.0)

    def step(self) -> PG | None:
        """Move one group; None when no move makes it better."""
        by_need = sorted(self.deviations, key=lambda osd: (self.deviations[osd], osd))
        for osd in reversed(by_need):
            if self.deviations[osd] - self.deviations[by_need[0]] <= 1:
                return None
            groups = sorted(self.groups.get(osd, ()))
            groups.sort(key=lambda pg: not any(new == osd for _, new in self.items.get(pg, ())))
            for pg in groups:
                if self._move(pg, osd, by_need):
                    return pg
        return None

    def _move(self, pg: PG, osd: int, by_need: list[int]) -> bool:
        if pg in self.osdmap.pg_upmap:
            return False
        items = self.items.get(pg, ())
        origin = next((old for old, new in items if new == osd), osd)
        if origin == osd and any(old == osd for old, _ in items):
            return False  # it gives way to another already: leave such knots alone
        tree, row = self.trees[pg.pool], self.rows[pg]
        limit = self.deviations[osd] - 1
        back = [origin] if origin != osd and origin in self.deviations else []
        for target in [*back, *by_need]:
            if self.deviations[target] >= limit:
                if target == origin:
                    continue
                return False  # none that follows has fewer
            moved = [target if each == osd else each for each in row]
            if target not in row and tree.may_replace(row, osd, target):
                others = tuple(item for item in items if item[1] != osd)
                self.items[pg] = others if target == origin else (*others, (origin, target))
                self._note(pg, osd, target, moved)
                return True
        return False

    def _note(self, pg: PG, osd: int, target: int, moved: list[int]) -> None:
        self.rows[pg] = moved
        self.groups[osd].discard(pg)
        self.groups.setdefault(target, set()).add(pg)
        self.deviations[osd] -= 1
        self.deviations[target] += 1
