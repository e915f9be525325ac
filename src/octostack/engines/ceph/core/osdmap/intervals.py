# SPDX-License-Identifier: Apache-2.0
"""When a placement group must peer again: anything changed that decides who holds what."""

import msgspec

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.core.osdmap.placement import Placement
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.objects import PG

_FLAGS = MapFlag.SORTBITWISE | MapFlag.RECOVERY_DELETES
_POOL_FIELDS = (
    "size",
    "min_size",
    "peering_crush_bucket_count",
    "peering_crush_bucket_target",
    "peering_crush_bucket_barrier",
    "peering_crush_mandatory_member",
)


class View(msgspec.Struct, frozen=True):
    """A group as one epoch sees it."""

    placement: Placement
    pool: Pool
    flags: int

    @classmethod
    def of(cls, osdmap: OSDMap, pg: PG, placement: Placement) -> "View":
        """The view that a map gives, whose pool must be there."""
        return cls(placement, osdmap.pools[pg.pool], osdmap.flags)


def is_new(old: View, new: View, pg: PG) -> bool:
    """Whether another interval begins between two views (PastIntervals::is_new_interval)."""
    if old.placement != new.placement or (old.flags ^ new.flags) & _FLAGS:
        return True
    if any(getattr(old.pool, name) != getattr(new.pool, name) for name in _POOL_FIELDS):
        return True
    return _splits_or_merges(old.pool, new.pool, pg)


def _splits_or_merges(old: Pool, new: Pool, pg: PG) -> bool:
    if pools.split_children(pg, old.pg_num, new.pg_num):
        return True
    if _merges(pg, old.pg_num, new.pg_num):
        return True
    if _merges(pg, old.pg_num_pending, new.pg_num_pending):
        return True
    cancelled = old.pg_num_pending < old.pg_num and new.pg_num_pending == new.pg_num
    return cancelled and _merges(pg, new.pg_num, old.pg_num_pending)


def _merges(pg: PG, old: int, new: int) -> bool:
    return pools.is_merge_source(pg, old, new) or pools.is_merge_target(pg, old, new)
