# SPDX-License-Identifier: Apache-2.0
"""What a monitor does as time passes: each function tells the change that is due, or None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import clusterlog, health
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.settings import number_of, text_of
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.maps.crush import ONE
from octostack.wire.ceph.maps.osdmap import Incremental, MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import Pool, PoolFlag

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_NANOS: Final = 1_000_000_000
_replace = msgspec.structs.replace
_FULLNESS: Final = OSDState.FULL | OSDState.BACKFILLFULL | OSDState.NEARFULL


def put_out(query: Query) -> Change | None:
    """OSDs that were down for long go out, so that their data is copied elsewhere."""
    map_ = query.state.osdmap
    interval_s = number_of(query.config, "mon_osd_down_out_interval")
    if interval_s <= 0 or map_.flags & MapFlag.NOOUT:
        return None
    known = osds.list_known(map_)
    late = [
        osd
        for osd in known
        if osds.is_in(map_, osd)
        and not osds.is_up(map_, osd)
        and not map_.osd_state[osd] & (OSDState.NEW | OSDState.NOOUT)
        and query.now_ns - _down_since(map_, osd) > interval_s * _NANOS
    ]
    inside = sum(osds.is_in(map_, osd) for osd in known)
    least = float(text_of(query.config, "mon_osd_min_in_ratio"))
    late = [osd for place, osd in enumerate(late) if (inside - place) / len(known) >= least]
    if not late:
        return None
    change = _replace(
        next_change(map_, query.now_ns),
        new_weight=dict.fromkeys(late, 0),
        new_state={osd: int(OSDState.AUTOOUT) for osd in late},
        new_xinfo={
            osd: _replace(map_.osd_xinfo[osd], old_weight=map_.osd_weight[osd] or ONE)
            for osd in late
        },
        new_last_in_change=query.now_ns,
    )
    text = "Marking osd.{} out (has been down for {} seconds)"
    lines = tuple(
        Line(
            f"mon.{query.quorum.leader}",
            text.format(osd, (query.now_ns - _down_since(map_, osd)) // _NANOS),
        )
        for osd in late
    )
    return Change(osdmap=change, log=lines)


def _down_since(map_: OSDMap, osd: int) -> int:
    return map_.osd_xinfo[osd].down_stamp or map_.last_up_change


def note_full(query: Query) -> Change | None:
    """OSDs and pools that are full, or nearly, are marked so in the map."""
    map_ = query.state.osdmap
    flipped = {}
    for osd, report in query.statistics.osds.items():
        if not osds.is_up(map_, osd) or not report.total_bytes:
            continue
        ratio = 1 - report.available_bytes / report.total_bytes
        wanted = 0
        for limit, bit in (
            (map_.full_ratio, OSDState.FULL),
            (map_.backfillfull_ratio, OSDState.BACKFILLFULL),
            (map_.nearfull_ratio, OSDState.NEARFULL),
        ):
            if limit and ratio >= limit:
                wanted = int(bit)
                break
        difference = (map_.osd_state[osd] & _FULLNESS) ^ wanted
        if difference:
            flipped[osd] = int(difference)
    if not flipped:
        return None
    return Change(osdmap=_replace(next_change(map_, query.now_ns), new_state=flipped))


def note_quotas(query: Query) -> Change | None:
    """Pools that hold what their quota allows, or lie on full OSDs, take no more writes."""
    map_ = query.state.osdmap
    made: dict[int, Pool] = {}
    any_full = any(state & OSDState.FULL for state in map_.osd_state)
    for number, pool in map_.pools.items():
        objects, size = query.statistics.held(map_, number)
        over = (pool.quota_max_objects and objects >= pool.quota_max_objects) or (
            pool.quota_max_bytes and size >= pool.quota_max_bytes
        )
        flags = pool.flags & ~(PoolFlag.FULL | PoolFlag.FULL_QUOTA)
        if over:
            flags |= PoolFlag.FULL | PoolFlag.FULL_QUOTA
        elif any_full and query.statistics.lies_on_full(map_, number):
            flags |= PoolFlag.FULL
        if flags != pool.flags:
            made[number] = _replace(pool, flags=int(flags), last_change=map_.epoch + 1)
    if not made:
        return None
    lines = tuple(
        Line(
            f"mon.{query.quorum.leader}",
            f"pool '{map_.pool_names[number]}' "
            + ("is full" if pool.flags & PoolFlag.FULL else "is no longer full"),
            clusterlog.WARN if pool.flags & PoolFlag.FULL else clusterlog.INFO,
        )
        for number, pool in made.items()
    )
    step: Incremental = _replace(next_change(map_, query.now_ns), new_pools=made)
    return Change(osdmap=step, log=lines)


def forget_blocked(query: Query) -> Change | None:
    """Clients whose time on the blocklist is over."""
    map_ = query.state.osdmap
    over = tuple(at for at, until in map_.blocklist.items() if until <= query.now_ns)
    if not over:
        return None
    return Change(osdmap=_replace(next_change(map_, query.now_ns), old_blocklist=over))


def forget_mutes(query: Query) -> Change | None:
    """Mutes whose time is over, or whose check is gone, unless they are to stay."""
    raised = {check.code: check for check in health.checks(query)}
    kept = {
        code: mute
        for code, mute in query.state.mutes.items()
        if (not mute.until or mute.until > query.now_ns)
        and (mute.sticky or (code in raised and raised[code].count <= mute.count))
    }
    return Change(mutes=kept) if kept != query.state.mutes else None


def health_lines(before: dict[str, str], query: Query) -> tuple[dict[str, str], list[Line]]:
    """(what is wrong now, by code; what the log is told of the difference from `before`)."""
    now = {check.code: check for check in health.checks(query)}
    who = f"mon.{query.quorum.leader}"
    lines = []
    for code, check in now.items():
        known = before.get(code)
        priority = clusterlog.ERROR if check.severity == health.ERROR else clusterlog.WARN
        if known is None:
            lines.append(Line(who, f"Health check failed: {check.summary} ({code})", priority))
        elif known != check.summary:
            lines.append(Line(who, f"Health check update: {check.summary} ({code})", priority))
    for code, summary in before.items():
        if code not in now:
            lines.append(Line(who, f"Health check cleared: {code} (was: {summary})"))
    if before and not now:
        lines.append(Line(who, "Cluster is now healthy"))
    return {code: check.summary for code, check in now.items()}, lines
