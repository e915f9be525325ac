# SPDX-License-Identifier: Apache-2.0
"""How much space there is and who takes it: the command ``df``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octostack.engines.ceph.mon.core import views
from octostack.engines.ceph.mon.core.printing import bytes_text, table
from octostack.engines.ceph.mon.core.state import GroupReport, OSDReport
from octostack.wire.ceph.maps.pool import REPLICATED, Pool

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query


def df(query: Query, *, detailed: bool) -> dict[str, Any]:
    """For programs."""
    totals = views.Totals(query)
    map_ = query.state.osdmap
    stats = _space(totals.reports) | {
        "num_osds": len(totals.reports),
        "num_per_pool_osds": len(totals.reports),
        "num_per_pool_omap_osds": len(totals.reports),
    }
    classes: dict[str, list[OSDReport]] = {}
    for report in totals.reports:
        name = map_.crush.class_names.get(map_.crush.classes.get(report.osd, -1), "")
        classes.setdefault(name, []).append(report)
    pools = []
    for number, pool in sorted(map_.pools.items()):
        groups = [group for pg, group in totals.groups.items() if pg.pool == number]
        found = _pool(totals, pool, groups, detailed=detailed)
        pools.append({"name": map_.pool_names[number], "id": number, "stats": found})
    by_class = {name: _space(reports) for name, reports in sorted(classes.items()) if name}
    return {"stats": stats, "stats_by_class": by_class, "pools": pools}


def _space(reports: list[OSDReport]) -> dict[str, Any]:
    total = sum(report.total_bytes for report in reports)
    used = sum(report.used_bytes for report in reports)
    return {
        "total_bytes": total,
        "total_avail_bytes": sum(report.available_bytes for report in reports),
        "total_used_bytes": used,
        "total_used_raw_bytes": used,
        "total_used_raw_ratio": used / total if total else 0.0,
    }


def overhead(query: Query, pool: Pool) -> float:
    """Bytes on disks for a byte in the pool."""
    if pool.type == REPLICATED:
        return float(pool.size)
    profile = query.state.osdmap.erasure_code_profiles.get(pool.erasure_code_profile, {})
    k = int(profile.get("k", "1") or 1)
    return (k + int(profile.get("m", "0") or 0)) / k


def _pool(
    totals: views.Totals, pool: Pool, groups: list[GroupReport], *, detailed: bool
) -> dict[str, Any]:
    rate = overhead(totals.query, pool)
    stored = sum(group.bytes for group in groups)
    used = int(stored * rate)
    usable = int(totals.usable / rate)
    objects = sum(group.objects for group in groups)
    percent = used / (used + totals.usable) if used else 0.0
    if not detailed:
        return {
            "stored": stored,
            "objects": objects,
            "kb_used": -(-used // 1024),
            "bytes_used": used,
            "percent_used": percent,
            "max_avail": usable,
        }
    return {
        "stored": stored,
        "stored_data": stored,
        "stored_omap": 0,
        "objects": objects,
        "kb_used": -(-used // 1024),
        "bytes_used": used,
        "data_bytes_used": used,
        "omap_bytes_used": 0,
        "percent_used": percent,
        "max_avail": usable,
        "quota_objects": pool.quota_max_objects,
        "quota_bytes": pool.quota_max_bytes,
        "dirty": 0,
        "rd": sum(group.reads for group in groups),
        "rd_bytes": sum(group.read_kb for group in groups) * 1024,
        "wr": sum(group.writes for group in groups),
        "wr_bytes": sum(group.write_kb for group in groups) * 1024,
        "compress_bytes_used": 0,
        "compress_under_bytes": 0,
        "stored_raw": used,
        "avail_raw": totals.usable,
    }


def df_text(query: Query, *, detailed: bool) -> str:
    """For people."""
    found = df(query, detailed=detailed)
    rows = [_space_row(name, stats) for name, stats in found["stats_by_class"].items()]
    rows.append(_space_row("TOTAL", found["stats"]))
    raw = table("CLASS|SIZE|AVAIL|USED|RAW USED|%RAW USED", rows, "CLASS")
    shown = [_pool_row(query, pool, detailed=detailed) for pool in found["pools"]]
    if detailed:
        names = (
            "POOL|ID|PGS|STORED|(DATA)|(OMAP)|OBJECTS|USED|(DATA)|(OMAP)|%USED|MAX AVAIL|"
            "QUOTA OBJECTS|QUOTA BYTES|DIRTY|USED COMPR|UNDER COMPR"
        )
    else:
        names = "POOL|ID|PGS|STORED|OBJECTS|USED|%USED|MAX AVAIL"
    pools = table(names, shown, "POOL")
    return f"--- RAW STORAGE ---\n{raw} \n--- POOLS ---\n{pools}"


def _space_row(name: str, stats: dict[str, Any]) -> tuple[str, ...]:
    sizes = (stats[f"total_{key}bytes"] for key in ("", "avail_", "used_", "used_raw_"))
    percent = f"{stats['total_used_raw_ratio'] * 100:.2f}"
    return (name, *map(bytes_text, sizes), percent if percent != "0.00" else "0")


def _pool_row(query: Query, pool: dict[str, Any], *, detailed: bool) -> tuple[object, ...]:
    s = pool["stats"]
    pg_num = query.state.osdmap.pools[pool["id"]].pg_num
    percent = f"{s['percent_used'] * 100:.2f}"
    percent = percent if percent != "0.00" else "0"
    head = (pool["name"], pool["id"], pg_num, bytes_text(s["stored"]))
    objects, used = views.count_text(s["objects"]), bytes_text(s["bytes_used"])
    free = bytes_text(s["max_avail"])
    if not detailed:
        return (*head, objects, used, percent, free)
    quota_objects = views.count_text(s["quota_objects"]) if s["quota_objects"] else "N/A"
    quota_bytes = bytes_text(s["quota_bytes"]) if s["quota_bytes"] else "N/A"
    return (
        *(*head, bytes_text(s["stored_data"]), "0 B", objects, used, used, "0 B", percent, free),
        *(quota_objects, quota_bytes, "N/A", "0 B", "0 B"),
    )
