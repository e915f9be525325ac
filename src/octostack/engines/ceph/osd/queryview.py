# SPDX-License-Identifier: Apache-2.0
"""What ``ceph pg 1.0 query`` tells of a group, by its primary."""

from typing import Any
from urllib.parse import quote

from octostack.base import clock
from octostack.engines.ceph.core import groupstats
from octostack.engines.ceph.core.osdmap import osds, placement
from octostack.engines.ceph.osd import unfound
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.core.values import History, Info, Interval
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.reports import state
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import (
    HOBJECT_MIN,
    PG,
    SNAP_HEAD,
    EVersion,
    HObject,
    reverse_bits,
)

_STAMP = "0.000000"
_PEERING = {
    Phase.INFO: "Started/Primary/Peering/GetInfo",
    Phase.DOWN: "Started/Primary/Peering/Down",
    Phase.INCOMPLETE: "Started/Primary/Peering/Incomplete",
    Phase.WAIT_MAP: "Started/Primary/WaitActingChange",
    Phase.LOG: "Started/Primary/Peering/GetLog",
    Phase.LACKS: "Started/Primary/Peering/GetMissing",
    Phase.UP_THRU: "Started/Primary/Peering/WaitUpThru",
}


def view_group(osdmap: OSDMap, pg: PG, replica: Replica) -> dict[str, Any]:
    """The group as it is."""
    place = placement.of_group(osdmap, pg)
    shown = "+".join(state(replica))
    return {
        "snap_trimq": "[]",
        "snap_trimq_len": 0,
        "state": shown,
        "epoch": osdmap.epoch,
        "up": list(place.up),
        "acting": list(place.acting),
        "acting_recovery_backfill": [str(osd) for osd in sorted(place.acting)],
        "info": _info(osdmap, pg, replica, shown),
        "peer_info": [
            _peer(osdmap, pg, osd, info)
            for osd, info in sorted(replica.peering.infos.items())
            if osd != replica.me
        ],
        "recovery_state": _peering(osdmap, replica)
        if replica.peering.phase in _PEERING
        else [
            {
                "name": "Started/Primary/Active",
                "enter_time": _STAMP,
                "might_have_unfound": unfound.statuses(replica)
                if replica.recovery.finding.list_unfound()
                else [],
                "recovery_progress": {
                    "backfill_targets": [],
                    "waiting_on_backfill": [],
                    "last_backfill_started": "MIN",
                    "backfill_info": {"begin": "MIN", "end": "MIN", "objects": []},
                    "peer_backfill_info": [],
                    "backfills_in_flight": [],
                    "recovering": [],
                    "pg_backend": {"pull_from_peer": [], "pushing": []},
                },
            },
            {"name": "Started", "enter_time": _STAMP},
        ],
        "scrubber": {"active": False, "must_scrub": False, "must_deep_scrub": False},
        "agent_state": {},
    }


def _peering(osdmap: OSDMap, replica: Replica) -> list[dict[str, Any]]:
    """Whom a group waits for that does not agree yet."""
    peering = replica.peering
    blocked = peering.blocked_by
    past = peering.record.past
    members = {one for interval in past for one in interval.acting}
    state = {
        "name": "Started/Primary/Peering",
        "enter_time": _STAMP,
        "past_intervals": [_past(past, sorted(members))] if past else [],
        "probing_osds": [unfound.member_text(one) for one in sorted(peering.prior.ask)],
        **({"blocked": "peering is blocked due to down osds"} if blocked else {}),
        "down_osds_we_would_probe": sorted(
            {osd_of(one) for one in members if not osds.is_up(osdmap, osd_of(one))}
        ),
        "peering_blocked_by": [
            {
                "osd": osd,
                "current_lost_at": osdmap.osd_info[osd].lost_at,
                "comment": "starting or marking this osd lost may let us proceed",
            }
            for osd in blocked
        ],
    }
    now = {"name": _PEERING[peering.phase], "enter_time": _STAMP}
    return [now, state, {"name": "Started", "enter_time": _STAMP}]


def _past(intervals: list[Interval], members: list[int]) -> dict[str, Any]:
    """PastIntervals: who was there at all, and each interval that may have taken writes."""
    return {
        "first": str(intervals[0].first),
        "last": str(intervals[-1].last),
        "all_participants": [_participant(one) for one in members],
        "intervals": [
            {
                "first": str(one.first),
                "last": str(one.last),
                "acting": ",".join(map(unfound.member_text, one.acting)),
            }
            for one in intervals
            if one.wrote
        ],
    }


def _participant(member: int) -> dict[str, int]:
    shard = shard_of(member)
    return {"osd": osd_of(member)} | ({"shard": shard} if shard >= 0 else {})


def _info(osdmap: OSDMap, pg: PG, replica: Replica, shown: str) -> dict[str, Any]:
    log, info = replica.log, replica.record.info
    head, tail = str(log.head), str(log.tail)
    return {
        "pgid": str(pg),
        "last_update": head,
        "last_complete": str(_complete(replica)),
        "log_tail": tail,
        "last_user_version": replica.group.user_version,
        "last_backfill": _cursor(info.last_backfill),
        "purged_snaps": [],
        "history": _history(osdmap, pg, info, replica.record.past),
        "stats": _stats(osdmap, pg, replica, shown),
        "empty": int(log.head == EVersion()),
        "dne": 0,
        "incomplete": int(not info.is_complete),
        "last_epoch_started": info.started,
        "hit_set_history": {"current_last_update": "0'0", "history": []},
    }


def _peer(osdmap: OSDMap, pg: PG, osd: int, info: Info) -> dict[str, Any]:
    return {
        "peer": str(osd),
        "pgid": str(pg),
        "last_update": str(info.last_update),
        "last_complete": str(info.last_update),
        "log_tail": str(info.log_tail),
        "last_user_version": 0,
        "last_backfill": _cursor(info.last_backfill),
        "purged_snaps": [],
        "history": _history(osdmap, pg, info, []),
        "stats": {},
        "empty": int(info.last_update == EVersion()),
        "dne": 0,
        "incomplete": int(not info.is_complete),
        "last_epoch_started": info.started,
        "hit_set_history": {"current_last_update": "0'0", "history": []},
    }


def _history(osdmap: OSDMap, pg: PG, info: Info, past: list[Interval]) -> dict[str, Any]:
    """What is known of the past. Of several epochs of an interval we note the first alone: in it
    all had agreed, or were whole."""
    pool, history = osdmap.pools.get(pg.pool), info.history
    spans = (one.first for one in past if one.first <= history.started <= one.last)
    return {
        "epoch_created": history.created,
        "epoch_pool_created": history.created,
        "last_epoch_started": history.started,
        "last_interval_started": next(spans, min(history.started, info.interval)),
        "last_epoch_clean": history.clean,
        "last_interval_clean": history.clean,
        "last_epoch_split": 0,
        "last_epoch_marked_full": 0,
        "same_up_since": info.interval,
        "same_interval_since": info.interval,
        "same_primary_since": info.interval,
        **_scrubbed(history, pool.create_time if pool else 0),
        "prior_readable_until_ub": 0,
    }


def _complete(replica: Replica) -> EVersion:
    """Up to there this copy has all that the log tells of."""
    needs = [need.need for need in replica.record.lacks.values()]
    if not needs:
        return replica.log.head
    before = [one.version for one in replica.log.entries if one.version < min(needs)]
    return max(before, default=replica.log.tail)


def _cursor(what: HObject) -> str:
    """An object in the order of a group's, as Ceph writes it; the first, or the end of all."""
    if what.is_max or what == HOBJECT_MIN:
        return "MAX" if what.is_max else "MIN"
    snap = "head" if what.snap == SNAP_HEAD else f"{what.snap:x}"
    names = (what.namespace, what.key, what.name)
    words = ":".join(quote(name, safe="") for name in names)
    return f"{what.pool}:{reverse_bits(what.hash):08x}:{words}:{snap}"


def _when(nanos: int) -> str:
    return clock.iso(nanos / 1e9, micros=True, suffix="+0000") if nanos else _STAMP


def _scrubbed(history: History, created_ns: int) -> dict[str, str]:
    """When all was compared; a group that never was counts from its beginning."""
    scrub = history.scrub
    at, deep = _when(scrub.at_ns or created_ns), _when(scrub.deep_at_ns or created_ns)
    return {
        "last_scrub": "0'0",
        "last_scrub_stamp": at,
        "last_deep_scrub": "0'0",
        "last_deep_scrub_stamp": deep,
        "last_clean_scrub_stamp": at,
    }


def _stats(osdmap: OSDMap, pg: PG, replica: Replica, shown: str) -> dict[str, Any]:
    place = placement.of_group(osdmap, pg)
    log, info, pool = replica.log, replica.record.info, osdmap.pools.get(pg.pool)
    stamps = (
        *("last_fresh", "last_change", "last_active", "last_peered", "last_clean"),
        *("last_became_active", "last_became_peered", "last_unstale", "last_undegraded"),
        "last_fullsized",
    )
    return {
        "version": str(log.head),
        "reported_seq": 0,
        "reported_epoch": osdmap.epoch,
        "state": shown,
        **dict.fromkeys(stamps, _STAMP),
        "mapping_epoch": info.interval,
        "log_start": str(log.tail),
        "ondisk_log_start": str(log.tail),
        "created": info.history.created,
        "last_epoch_clean": info.history.clean,
        "parent": "0.0",
        "parent_split_bits": 0,
        **_scrubbed(info.history, pool.create_time if pool else 0),
        "log_size": len(log),
        "ondisk_log_size": len(log),
        **dict.fromkeys(groupstats.INVALID, False),
        "snaptrimq_len": 0,
        "stat_sum": dict.fromkeys(groupstats.COUNTED, 0),
        "up": list(place.up),
        "acting": list(place.acting),
        "avail_no_missing": [],
        "object_location_counts": [],
        "blocked_by": replica.peering.blocked_by,
        "up_primary": place.up_primary,
        "acting_primary": place.acting_primary,
        "purged_snaps": [],
    }
