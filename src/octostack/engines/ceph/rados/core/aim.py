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


class View:
    """A map, with the placements that were asked for."""

    def __init__(self, osdmap: OSDMap) -> None:
        self.osdmap = osdmap
        self._placed: dict[PG, Placement] = {}

    def follow(self, osdmap: OSDMap) -> None:
        """The next map; what was placed is kept as far as it holds."""
        before, self.osdmap = self.osdmap, osdmap
        same = all(getattr(before, name) == getattr(osdmap, name) for name in _KEEPS)
        if not same:
            self._placed.clear()
            return
        changed = {n for n, pool in osdmap.pools.items() if not _alike(before.pools.get(n), pool)}
        changed |= before.pools.keys() - osdmap.pools.keys()
        if changed:
            self._placed = {pg: at for pg, at in self._placed.items() if pg.pool not in changed}

    def place(self, pg: PG) -> Placement:
        """Where a group is."""
        found = self._placed.get(pg)
        if found is None:
            found = self._placed[pg] = placement.of_group(self.osdmap, pg)
        return found

    def is_up(self, osd: int) -> bool:
        """Whether it can be asked."""
        return osds.is_up(self.osdmap, osd)


def _alike(old: Pool | None, new: Pool) -> bool:
    return old is not None and all(getattr(old, n) == getattr(new, n) for n in _POOL_KEEPS)


def aim(target: Target, view: View) -> bool | None:
    """Point the target; whether it must be sent (again). None: its pool is not there."""
    osdmap = view.osdmap
    pool = osdmap.pools.get(target.pool)
    if pool is None:
        return None
    again = _is_forced(target, pool, osdmap.epoch)
    pg = pools.group_of(pool, target.pool, target.hash)
    at = view.place(pg)
    before = target.pg
    if before is not None and target.pg_num != pool.pg_num:
        again = again or _splits(before, target.pg_num, pool.pg_num)
    again = again or pg != before or _primary_changed(target, at)
    was_paused, target.is_paused = target.is_paused, is_held(osdmap, pool, target.flags)
    target.pg, target.pg_num = pg, pool.pg_num
    target.acting, target.osd = at.acting, at.acting_primary
    if pool.type == ERASURE and target.osd in at.acting:
        target.shard = at.acting.index(target.osd)
    return again or (was_paused and not target.is_paused)


def is_held(osdmap: OSDMap, pool: Pool, flags: int) -> bool:
    """Whether the map tells clients to wait with this: paused, or full."""
    if flags & ops.FLAG_READ and osdmap.flags & MapFlag.PAUSERD:
        return True
    if not flags & ops.FLAG_WRITE:
        return False
    if osdmap.flags & MapFlag.PAUSEWR:
        return True
    is_full = osdmap.flags & MapFlag.FULL or pool.flags & PoolFlag.FULL
    return bool(is_full) and not flags & _FULL_OK


def _is_forced(target: Target, pool: Pool, epoch: int) -> bool:
    """Each time the pool asks for everything anew, once."""
    if pool.last_force_op_resend != epoch or target.pg is None:
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
