# SPDX-License-Identifier: Apache-2.0
"""Requests to a monitor that are messages of their own, and not commands."""

import errno
import struct

from octostack.engines.ceph.mon.core import pools
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.commands.table import Query
from octostack.engines.ceph.mon.core.settings import number_of
from octostack.engines.ceph.mon.core.state import GroupReport
from octostack.engines.ceph.mon.core.views import Totals
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.maps.osdmap import Incremental
from octostack.wire.ceph.messages.monitor import (
    GetPoolStats,
    GetPoolStatsReply,
    PoolOp,
    PoolOpCode,
    Statfs,
    StatfsReply,
)

_SUM_FIELDS = 40  # of object_stat_sum_t, of which four are 32 bits wide
_NARROW = range(28, 32)


def statfs(query: Query, asked: Statfs) -> StatfsReply:
    """Space in all, or of one pool as its clients see it."""
    totals = Totals(query)
    total, used, available = totals.total, totals.used, totals.available
    objects = totals.objects
    pool = query.state.osdmap.pools.get(asked.pool) if asked.pool is not None else None
    if pool is not None:
        groups = [g for pg, g in totals.groups.items() if pg.pool == asked.pool]
        used = sum(g.bytes for g in groups)
        available //= pool.size
        total = used + available
        objects = sum(g.objects for g in groups)
    return StatfsReply(
        query.state.monmap.fsid,
        query.state.osdmap.epoch,
        total // 1024,
        -(-used // 1024),
        available // 1024,
        objects,
    )


def pool_stats(query: Query, asked: GetPoolStats) -> GetPoolStatsReply:
    """What pools hold, as their primaries reported it."""
    map_ = query.state.osdmap
    groups = query.statistics.list_groups(map_)
    stats = {}
    for name in asked.pools:
        number = pools.find(map_, name)
        if number is not None:
            of_pool = [group for pg, group in groups.items() if pg.pool == number]
            stats[name] = _encode_pool_stat(of_pool, map_.pools[number].size)
    return GetPoolStatsReply(map_.fsid, stats)


def _encode_pool_stat(groups: list[GroupReport], copies: int) -> bytes:
    """pool_stat_t, version 7."""
    objects = sum(g.objects for g in groups)
    sums = [0] * _SUM_FIELDS
    sums[0] = sum(g.bytes for g in groups)
    sums[1] = objects
    sums[2] = sum(g.clones for g in groups)
    sums[3] = objects * copies
    sums[5] = sum(g.degraded for g in groups)
    sums[6] = sum(g.unfound for g in groups)
    sums[7:11] = (
        sum(g.reads for g in groups),
        sum(g.read_kb for g in groups),
        sum(g.writes for g in groups),
        sum(g.write_kb for g in groups),
    )
    w = Writer()
    with w.versioned(7, 5):
        with w.versioned(2, 2):
            with w.versioned(20, 14):
                for index, value in enumerate(sums):
                    (w.s32 if index in _NARROW else w.s64)(value)
            w.u32(0)
        w.s64(0)
        w.s64(0)
        w.s32(len(groups))
        w.s32(len(groups))
        with w.versioned(1, 1):
            w.raw(struct.pack("<10q", 0, 0, 0, sums[0] * copies, sums[0] * copies, 0, 0, 0, 0, 0))
        w.u32(1)
    return w.done()


def pool_op(query: Query, asked: PoolOp) -> tuple[Incremental, bytes | None]:
    """(the change, what the reply carries). Raises Failure."""
    map_, now = query.state.osdmap, query.now_ns
    match asked.op:
        case PoolOpCode.CREATE:
            return _create(query, asked), None
        case PoolOpCode.DELETE:
            if not number_of(query.config, "mon_allow_pool_delete"):
                raise Failure(errno.EPERM, "pool deletion is disabled")
            return pools.remove(map_, asked.pool, now), None
        case PoolOpCode.CREATE_SNAP:
            return pools.create_snap(map_, asked.pool, asked.name, now), None
        case PoolOpCode.DELETE_SNAP:
            return pools.remove_snap(map_, asked.pool, asked.name, now), None
        case PoolOpCode.CREATE_OWN_SNAP:
            change, snap = pools.create_own_snap(map_, asked.pool, now)
            return change, struct.pack("<Q", snap)
        case PoolOpCode.DELETE_OWN_SNAP:
            return pools.remove_own_snap(map_, asked.pool, asked.snap, now), None
    raise Failure(errno.EINVAL, f"pool operation {asked.op:#x}")


def _create(query: Query, asked: PoolOp) -> Incremental:
    if pools.find(query.state.osdmap, asked.name) is not None:
        raise Failure(errno.EEXIST, f"pool '{asked.name}' already exists")
    config = query.config
    wanted = pools.Wanted(
        asked.name,
        number_of(config, "osd_pool_default_pg_num"),
        number_of(config, "osd_pool_default_size"),
        number_of(config, "osd_pool_default_min_size"),
        max(0, asked.crush_rule),
    )
    return pools.create(query.state.osdmap, wanted, query.now_ns)
