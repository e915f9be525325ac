# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the cluster, by Ceph's codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.wire.ceph.maps.osdmap import MapFlag

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

WARN, ERROR = "HEALTH_WARN", "HEALTH_ERR"


class Check(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    code: str
    severity: str
    summary: str
    count: int
    details: tuple[str, ...] = ()


def checks(query: Query) -> list[Check]:
    """All that is wrong, by code."""
    found = [*_monitors(query), *_osds(query), *_groups(query), *_flags(query)]
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
    shown = {}
    for check in found:
        entry: dict[str, Any] = {
            "severity": check.severity,
            "summary": {"message": check.summary, "count": check.count},
            "muted": False,
        }
        if detailed:
            entry["detail"] = [{"message": line} for line in check.details]
        shown[check.code] = entry
    return {"status": worst(found), "checks": shown, "mutes": []}


def text(query: Query, *, detailed: bool) -> str:
    """The same for people."""
    found = checks(query)
    head = worst(found)
    if not found:
        return head + "\n"
    lines = [f"{head} {'; '.join(check.summary for check in found)}"]
    if detailed:
        for check in found:
            mark = "ERR" if check.severity == ERROR else "WRN"
            lines.append(f"[{mark}] {check.code}: {check.summary}")
            lines += [f"    {line}" for line in check.details]
    return "\n".join(lines) + "\n"


def _monitors(query: Query) -> list[Check]:
    ranks = query.state.monmap.ranks
    out = [name for name in ranks if name not in query.quorum.members]
    if not out:
        return []
    summary = f"{len(out)}/{len(ranks)} mons down, quorum {','.join(query.quorum.members)}"
    details = tuple(f"mon.{name} is down (out of quorum)" for name in out)
    return [Check("MON_DOWN", WARN, summary, len(out), details)]


def _osds(query: Query) -> list[Check]:
    map_ = query.state.osdmap
    down = [
        osd for osd in osds.list_known(map_) if osds.is_in(map_, osd) and not osds.is_up(map_, osd)
    ]
    if not down:
        return []
    plural = "s" if len(down) > 1 else ""
    details = tuple(f"osd.{osd} is down" for osd in down)
    return [Check("OSD_DOWN", WARN, f"{len(down)} osd{plural} down", len(down), details)]


def _groups(query: Query) -> list[Check]:
    groups = query.statistics.list_groups(query.state.osdmap)
    found = []
    inactive = [pg for pg, group in groups.items() if "active" not in group.state]
    if inactive:
        summary = f"Reduced data availability: {len(inactive)} pg{_s(inactive)} inactive"
        details = tuple(f"pg {pg} is {groups[pg].state}" for pg in inactive)
        found.append(Check("PG_AVAILABILITY", WARN, summary, len(inactive), details))
    degraded = [pg for pg, group in groups.items() if "undersized" in group.state]
    if degraded:
        summary = f"Degraded data redundancy: {len(degraded)} pg{_s(degraded)} undersized"
        details = tuple(f"pg {pg} is {groups[pg].state}" for pg in degraded)
        found.append(Check("PG_DEGRADED", WARN, summary, len(degraded), details))
    return found


def _s(many: list[Any]) -> str:
    return "s" if len(many) > 1 else ""


def _flags(query: Query) -> list[Check]:
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
    names = [name for flag, name in shown.items() if query.state.osdmap.flags & flag]
    if not names:
        return []
    return [Check("OSDMAP_FLAGS", WARN, f"{','.join(names)} flag(s) set", 1)]
