# SPDX-License-Identifier: Apache-2.0
"""Where an operation goes by a map, and whether a new map makes that another place.

As the Objecter of 16.2 decides (`_calc_target`): an OSD forgets what it was asked when it stops
being the primary, when its group is split or merged, and when the pool says so; then, and only
then, the operation is sent again.
"""

from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds, placement, pools
from octostack.engines.ceph.core.osdmap.placement import NOBODY, Placement
from octostack.engines.ceph.rados.core import ops
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap
from octostack.wire.ceph.maps.pool import ERASURE, Pool, PoolFlag
from octostack.wire.ceph.objects import NO_SHARD, PG

_KEEPS: Final = (  # what placements depend on beside pools
    "crush",
    "osd_state",
    "osd_weight",
    "primary_affinity",
    "pg_temp",
    "primary_temp",
    "pg_upmap",
    "pg_upmap_items",
)
_POOL_KEEPS: Final = ("type", "size", "crush_rule", "pg_num", "pgp_num", "flags")
_FULL_OK: Final = ops.FLAG_FULL_TRY | ops.FLAG_FULL_FORCE


class Target(msgspec.Struct):
    """Something that must be with an object's primary. `listing` is of a group, not an object."""

    pool: int
    hash: int
    flags: int
    listing: bool = False
    pg: PG | None = None
    pg_num: int = 0
    shard: int = NO_SHARD
    acting: tuple[int, ...] = ()
    osd: int = NOBODY
    is_paused: bool = False
    forced_at: int = 0


class Ground(msgspec.Struct):
    """A pool as one map has it, with the groups that were asked for."""

    pool: Pool
    mask: int
    holds_reads: bool
    holds_writes: bool  # until the map says otherwise
    is_full: bool  # and holds writes that have not said that they know
    groups: dict[int, tuple[PG, Placement]]

    def holds(self, flags: int) -> bool:
        """Whether the map tells clients to wait with this: paused, or full."""
        if flags & ops.FLAG_READ and self.holds_reads:
            return True
        if not flags & ops.FLAG_WRITE:
            return False
        return self.holds_writes or (self.is_full and not flags & _FULL_OK)


class View:
    """A map, with the placements that were asked for."""

    def __init__(self, osdmap: OSDMap) -> None:
        self.osdmap = osdmap
        self._grounds: dict[int, Ground] = {}

    def follow(self, osdmap: OSDMap) -> None:
        """The next map; what was placed is kept as far as it holds."""
        before, self.osdmap = self.osdmap, osdmap
        known, self._grounds = self._grounds, {}
        if any(getattr(before, name) != getattr(osdmap, name) for name in _KEEPS):
            return
        for number, old in known.items():
            pool = osdmap.pools.get(number)
            if pool is not None and _alike(old.pool, pool):
                self._grounds[number] = _ground(osdmap, pool, old.groups)

    def ground(self, number: int) -> Ground | None:
        """A pool; None when it is not there."""
        found = self._grounds.get(number)
        if found is None:
            pool = self.osdmap.pools.get(number)
            if pool is None:
                return None
            found = self._grounds[number] = _ground(self.osdmap, pool, {})
        return found

    def group(self, ground: Ground, number: int, full_hash: int) -> tuple[PG, Placement]:
        """The group of a hash, and where it is."""
        seed = pools.stable_mod(full_hash, ground.pool.pg_num, ground.mask)
        found = ground.groups.get(seed)
        if found is None:
            pg = PG(number, seed)
            found = ground.groups[seed] = (pg, placement.of_group(self.osdmap, pg))
        return found

    def place(self, pg: PG) -> Placement:
        """Where a group is; nowhere when it is not there."""
        ground = self.ground(pg.pool)
        if ground is None or pg.seed >= ground.pool.pg_num:
            return Placement()
        return self.group(ground, pg.pool, pg.seed)[1]

    def is_up(self, osd: int) -> bool:
        """Whether it can be asked."""
        return osds.is_up(self.osdmap, osd)


def _ground(osdmap: OSDMap, pool: Pool, groups: dict[int, tuple[PG, Placement]]) -> Ground:
    flags = MapFlag(osdmap.flags)
    return Ground(
        pool,
        pools.mask(pool.pg_num),
        MapFlag.PAUSERD in flags,
        MapFlag.PAUSEWR in flags,
        MapFlag.FULL in flags or bool(pool.flags & PoolFlag.FULL),
        groups,
    )


def _alike(old: Pool, new: Pool) -> bool:
    return all(getattr(old, n) == getattr(new, n) for n in _POOL_KEEPS)


def aim(target: Target, view: View) -> bool | None:
    """Point the target; whether it must be sent (again). None: its pool is not there."""
    ground = view.ground(target.pool)
    if ground is None:
        return None
    pool = ground.pool
    pg, at = view.group(ground, target.pool, target.hash)
    before = target.pg
    if before is None:
        again = True
    else:
        again = _is_forced(target, pool, view.osdmap.epoch) or pg != before
        if target.pg_num != pool.pg_num:
            again = again or _splits(before, target.pg_num, pool.pg_num)
        again = again or _primary_changed(target, at)
    was_paused, target.is_paused = target.is_paused, ground.holds(target.flags)
    target.pg, target.pg_num = pg, pool.pg_num
    target.acting, target.osd = at.acting, at.acting_primary
    if pool.type == ERASURE and target.osd in at.acting:
        target.shard = at.acting.index(target.osd)
    return again or (was_paused and not target.is_paused)


def _is_forced(target: Target, pool: Pool, epoch: int) -> bool:
    """Each time the pool asks for everything anew, once."""
    if pool.last_force_op_resend != epoch:
        return False
    if target.forced_at >= epoch:
        return False
    target.forced_at = epoch
    return True


def _splits(pg: PG, old: int, new: int) -> bool:
    return bool(
        pools.split_children(pg, old, new)
        or pools.is_merge_source(pg, old, new)
        or pools.is_merge_target(pg, old, new)
    )


def _primary_changed(target: Target, at: Placement) -> bool:
    """OSDMap::primary_changed_broken: the primary, or its place among the others."""
    if not target.acting and not at.acting:
        return False
    if not target.acting or not at.acting or target.osd != at.acting_primary:
        return True
    return _role(target.osd, target.acting) != _role(at.acting_primary, at.acting)


def _role(osd: int, acting: tuple[int, ...]) -> int:
    return acting.index(osd) if osd in acting else -1
