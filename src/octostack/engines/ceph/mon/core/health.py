# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the cluster, by Ceph's codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from octostack.engines.ceph.core.osdmap import osds, places
from octostack.engines.ceph.mon.core import poolstats
from octostack.engines.ceph.mon.core.printing import NANOS, duration_text, members_text, stamp
from octostack.engines.ceph.mon.core.settings import number_of
from octostack.engines.ceph.mon.core.state import GroupReport, Mute
from octostack.wire.ceph.addresses import format_many
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import PoolFlag
from octostack.wire.ceph.objects import PG

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

WARN, ERROR = "HEALTH_WARN", "HEALTH_ERR"


DRIFT_S = 0.05
_DAMAGED = ("inconsistent", "recovery_unfound", "backfill_unfound", "failed_repair")


class Check(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    code: str
    severity: str
    summary: str
    count: int
    details: tuple[str, ...] = ()


def checks(query: Query) -> list[Check]:
    """All that is wrong, by code."""
    found = [
        *(*_monitors(query), *_osds(query), *_pools(query)),
        *(*_groups(query), *_flags(query)),
    ]
    return sorted(found, key=lambda check: check.code)


def worst(found: list[Check]) -> str:
    """HEALTH_OK, HEALTH_WARN or HEALTH_ERR."""
    severities = {check.severity for check in found}
    if ERROR in severities:
        return ERROR
    return WARN if severities else "HEALTH_OK"


def view(query: Query, *, detailed: bool) -> dict[str, Any]:
    """As the commands health and status show it."""
    found = checks(query)
    mutes = query.state.mutes
    shown = {}
    for check in found:
        entry: dict[str, Any] = {
            "severity": check.severity,
            "summary": {"message": check.summary, "count": check.count},
        }
        if detailed:
            entry["detail"] = [{"message": line} for line in check.details]
        entry["muted"] = check.code in mutes
        shown[check.code] = entry
    status = worst([check for check in found if check.code not in mutes])
    muted = [_mute(code, mute) for code, mute in mutes.items()]
    return {"status": status, "checks": shown, "mutes": muted}


def _mute(code: str, mute: Mute) -> dict[str, Any]:
    found: dict[str, Any] = {"code": code}
    if mute.until:
        found["ttl"] = stamp(mute.until)
    return found | {"sticky": mute.sticky, "summary": mute.summary, "count": mute.count}


def text(query: Query, *, detailed: bool) -> str:
    """The same for people."""
    found = checks(query)
    mutes = query.state.mutes
    heard = [check for check in found if check.code not in mutes]
    muted = [check for check in found if check.code in mutes]
    parts = [check.summary for check in heard]
    if muted:
        names = [f"{check.code}{_left(query, check.code)}" for check in muted]
        parts.append(f"(muted: {' '.join(names)})")
    lines = [f"{worst(heard)} {'; '.join(parts)}".strip()]
    for check in (*heard, *muted) if detailed else ():
        mark = "ERR" if check.severity == ERROR else "WRN"
        left = _left(query, check.code).strip("()")
        said = f"(MUTED{f' ttl {left}' if left else ''}) " if check in muted else ""
        lines.append(f"{said}[{mark}] {check.code}: {check.summary}")
        lines += [f"    {line}" for line in check.details]
    return "\n".join(lines) + "\n"


def _left(query: Query, code: str) -> str:
    """``(59m)``: how long it is still muted."""
    mute = query.state.mutes.get(code)
    if mute is None or not mute.until:
        return ""
    return f"({duration_text((mute.until - query.now_ns) / NANOS)})"


def _monitors(query: Query) -> list[Check]:
    ranks = query.state.monmap.ranks
    out = [name for name in ranks if name not in query.quorum.members]
    if not out:
        return _clocks(query)
    summary = f"{len(out)}/{len(ranks)} mons down, quorum {','.join(query.quorum.members)}"
    monitors = query.state.monmap.monitors
    details = tuple(
        f"mon.{name} (rank {ranks.index(name)}) addr {format_many(monitors[name].addresses)} "
        "is down (out of quorum)"
        for name in out
    )
    return [Check("MON_DOWN", WARN, summary, len(out), details), *_clocks(query)]


def _clocks(query: Query) -> list[Check]:
    """Whose clock is off for more than leases allow (mon_clock_drift_allowed)."""
    off = {name: skew for name, skew in query.quorum.skews.items() if abs(skew) > DRIFT_S}
    if not off:
        return []
    summary = f"clock skew detected on {', '.join(f'mon.{name}' for name in off)}"
    details = tuple(
        f"mon.{name} clock skew {skew:.3f}s > max {DRIFT_S}s" for name, skew in off.items()
    )
    return [Check("MON_CLOCK_SKEW", WARN, summary, len(off), details)]


def _osds(query: Query) -> list[Check]:
    map_ = query.state.osdmap
    known = osds.list_known(map_)
    down = [osd for osd in known if osds.is_in(map_, osd) and not osds.is_up(map_, osd)]
    found = []
    if down:
        details = tuple(f"osd.{osd} ({places.text(map_.crush, osd)}) is down" for osd in down)
        found.append(Check("OSD_DOWN", WARN, f"{len(down)} osds down", len(down), details))
    for bit, code, severity, words in (
        (OSDState.FULL, "OSD_FULL", ERROR, "full"),
        (OSDState.BACKFILLFULL, "OSD_BACKFILLFULL", WARN, "backfillfull"),
        (OSDState.NEARFULL, "OSD_NEARFULL", WARN, "nearfull"),
    ):
        full = [osd for osd in known if map_.osd_state[osd] & bit]
        if full:
            details = tuple(f"osd.{osd} is {words.replace('near', 'near ')}" for osd in full)
            found.append(Check(code, severity, f"{len(full)} {words} osd(s)", len(full), details))
    bits = OSDState.NOUP | OSDState.NODOWN | OSDState.NOIN | OSDState.NOOUT
    marked = [osd for osd in known if map_.osd_state[osd] & bits]
    if marked:
        details = tuple(
            f"osd.{osd} has flags "
            + ",".join(
                b.name.lower() for b in OSDState if b & bits & map_.osd_state[osd] and b.name
            )
            for osd in marked
        )
        summary = f"{len(marked)} OSDs or CRUSH {{nodes, device-classes}} have flags set"
        found.append(Check("OSD_FLAGS", WARN, summary, len(marked), details))
    return found


def _pools(query: Query) -> list[Check]:
    map_, config = query.state.osdmap, query.config
    found = []
    full = [n for n, pool in map_.pools.items() if pool.flags & PoolFlag.FULL]
    if full:
        details = tuple(
            f"pool '{map_.pool_names[n]}' is full"
            + (" (running out of quota)" if map_.pools[n].flags & PoolFlag.FULL_QUOTA else "")
            for n in full
        )
        found.append(Check("POOL_FULL", WARN, f"{len(full)} pool(s) full", len(full), details))
    single = [n for n, pool in map_.pools.items() if pool.size == 1]
    if single and number_of(config, "mon_warn_on_pool_no_redundancy"):
        details = tuple(f"pool '{map_.pool_names[n]}' has no replicas configured" for n in single)
        summary = f"{len(single)} pool(s) have no replicas configured"
        found.append(Check("POOL_NO_REDUNDANCY", WARN, summary, len(single), details))
    if number_of(config, "mon_warn_on_pool_no_app"):
        found += _of_no_use(query)
    return found


def _of_no_use(query: Query) -> list[Check]:
    """Pools with objects and no application, as those may be left over from something."""
    map_ = query.state.osdmap
    bare = [
        n
        for n, pool in map_.pools.items()
        if not pool.application_metadata and query.statistics.held(map_, n)[0]
    ]
    if not bare:
        return []
    details = (
        *(f"application not enabled on pool '{map_.pool_names[n]}'" for n in bare),
        "use 'ceph osd pool application enable <pool-name> <app-name>', where <app-name> is "
        "'cephfs', 'rbd', 'rgw', or freeform for custom applications.",
    )
    summary = f"{len(bare)} pool(s) do not have an application enabled"
    return [Check("POOL_APP_NOT_ENABLED", WARN, summary, len(bare), details)]


def _groups(query: Query) -> list[Check]:
    groups = query.statistics.list_groups(query.state.osdmap)
    words = {pg: frozenset(one.state.split("+")) for pg, one in groups.items()}

    def of(*states: str) -> list[PG]:
        return [pg for pg in groups if words[pg] & set(states)]

    found = []
    inactive = [pg for pg in groups if "active" not in words[pg]]
    if inactive:
        found.append(_availability(groups, inactive, of))
    shortage = poolstats.behind(list(groups.values()))
    degraded, undersized = of("degraded"), of("undersized")
    if "degraded_objects" in shortage or degraded or undersized:
        parts = poolstats.behind_text({k: v for k, v in shortage.items() if "degraded" in k})
        parts += [
            f"{len(one)} pg{_s(one)} {name}"
            for one, name in ((degraded, "degraded"), (undersized, "undersized"))
            if one
        ]
        chosen = list(dict.fromkeys((*degraded, *undersized)))
        details = tuple(f"pg {pg} is {_state_text(groups[pg])}" for pg in chosen)
        summary = f"Degraded data redundancy: {', '.join(parts)}"
        found.append(Check("PG_DEGRADED", WARN, summary, len(chosen), details))
    damaged = of(*_DAMAGED)
    if damaged:
        counts = {state: len(of(state)) for state in _DAMAGED}
        parts = [f"{n} pg{'s' if n > 1 else ''} {state}" for state, n in counts.items() if n]
        summary = f"Possible data damage: {', '.join(parts)}"
        details = tuple(f"pg {pg} is {_state_text(groups[pg])}" for pg in damaged)
        found.append(Check("PG_DAMAGED", ERROR, summary, len(damaged), details))
    errors = sum(one.scrub_errors for one in groups.values())
    if errors:
        found.append(Check("OSD_SCRUB_ERRORS", ERROR, f"{errors} scrub errors", errors))
    unfound = sum(one.unfound for one in groups.values())
    if unfound:
        total = sum(one.objects for one in groups.values())
        percent = 100 * unfound / total if total else 100.0
        summary = f"{unfound}/{total} objects unfound ({percent:.3f}%)"
        details = tuple(
            f"pg {pg} has {one.unfound} unfound objects"
            for pg, one in groups.items()
            if one.unfound
        )
        found.append(Check("OBJECT_UNFOUND", WARN, summary, unfound, details))
    return found


def _availability(
    groups: dict[PG, GroupReport], inactive: list[PG], of: Callable[..., list[PG]]
) -> Check:
    parts = [f"{len(inactive)} pg{_s(inactive)} inactive"]
    for state in ("down", "incomplete", "peering", "stale"):
        those = of(state)
        parts += [f"{len(those)} pg{_s(those)} {state}"] if those else []
    details = tuple(f"pg {pg} is {_state_text(groups[pg])}" for pg in inactive)
    summary = f"Reduced data availability: {', '.join(parts)}"
    return Check("PG_AVAILABILITY", WARN, summary, len(inactive), details)


def _state_text(one: GroupReport) -> str:
    return f"{one.state}, acting {members_text(one.acting)}" if one.acting else one.state


def _s(many: list[Any]) -> str:
    return "s" if len(many) > 1 else ""


def flag_names(map_: OSDMap) -> list[str]:
    """Those of the map's flags that hold something back."""
    shown = {
        MapFlag.PAUSERD: "pauserd",
        MapFlag.PAUSEWR: "pausewr",
        MapFlag.NOUP: "noup",
        MapFlag.NODOWN: "nodown",
        MapFlag.NOOUT: "noout",
        MapFlag.NOIN: "noin",
        MapFlag.NOBACKFILL: "nobackfill",
        MapFlag.NOREBALANCE: "norebalance",
        MapFlag.NORECOVER: "norecover",
        MapFlag.NOSCRUB: "noscrub",
        MapFlag.NODEEP_SCRUB: "nodeep-scrub",
    }
    return [name for flag, name in shown.items() if map_.flags & flag]


def _flags(query: Query) -> list[Check]:
    names = flag_names(query.state.osdmap)
    if not names:
        return []
    summary = f"{','.join(names)} flag(s) set"
    return [Check("OSDMAP_FLAGS", WARN, summary, len(",".join(names)))]
