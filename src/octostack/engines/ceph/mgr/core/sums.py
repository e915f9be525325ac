# SPDX-License-Identifier: Apache-2.0
"""Sums over groups and OSDs, with the names that Ceph's JSON has for them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from octostack.engines.ceph.core.groupstats import COUNTED
from octostack.engines.ceph.mon.core.state import GroupReport, OSDReport

STORE: Final = (
    *("total", "available", "internally_reserved", "allocated", "data_stored", "data_compressed"),
    *("data_compressed_allocated", "data_compressed_original", "omap_allocated"),
    "internal_metadata",
)
NO_LATENCY: Final = {
    "commit_latency_ms": 0,
    "apply_latency_ms": 0,
    "commit_latency_ns": 0,
    "apply_latency_ns": 0,
}


def counted(groups: Iterable[GroupReport]) -> dict[str, int]:
    """The sum of what groups hold and did."""
    sums = dict.fromkeys(COUNTED, 0)
    for group in groups:
        copies = group.objects * max(1, len(group.acting))
        for name, value in (
            ("num_bytes", group.bytes),
            ("num_objects", group.objects),
            ("num_object_clones", group.clones),
            ("num_object_copies", copies),
            ("num_objects_degraded", group.degraded),
            ("num_objects_misplaced", group.misplaced),
            ("num_objects_unfound", group.unfound),
            ("num_objects_dirty", group.objects),
            ("num_read", group.reads),
            ("num_read_kb", group.read_kb),
            ("num_write", group.writes),
            ("num_write_kb", group.write_kb),
            ("num_omap_bytes", group.omap_bytes),
            ("num_omap_keys", group.omap_keys),
        ):
            sums[name] += value
    return sums


def store(**known: int) -> dict[str, int]:
    """store_statfs_t, with what is known of it."""
    return {name: known.get(name, 0) for name in STORE}


def pool_sum(groups: Sequence[GroupReport], allocated: int = 0) -> dict[str, Any]:
    """pool_stat_t: what some groups are together."""
    size = sum(group.bytes * max(1, len(group.acting)) for group in groups)
    logged = sum(min(group.version[1], LOG_ENTRIES) for group in groups)
    return {
        "stat_sum": counted(groups),
        "store_stats": store(allocated=allocated, data_stored=size if allocated else 0),
        "log_size": logged,
        "ondisk_log_size": logged,
        "up": sum(len(group.up) for group in groups),
        "acting": sum(len(group.acting) for group in groups),
        "num_store_stats": 0,
    }


LOG_ENTRIES: Final = 3000


def space(reports: Sequence[OSDReport]) -> dict[str, Any]:
    """osd_stat_t of some OSDs together."""
    total = sum(report.total_bytes for report in reports)
    free = sum(report.available_bytes for report in reports)
    used = sum(report.used_bytes for report in reports)
    held = min(used, sum(report.data_bytes for report in reports))
    latency = sum(report.commit_ns for report in reports)
    return {
        "num_osds": len(reports),
        "num_per_pool_osds": len(reports),
        "num_per_pool_omap_osds": len(reports),
        "kb": total // 1024,
        "kb_used": used // 1024,
        "kb_used_data": held // 1024,
        "kb_used_omap": 0,
        "kb_used_meta": (used - held) // 1024,
        "kb_avail": free // 1024,
        "statfs": store(
            total=total,
            available=free,
            allocated=held,
            data_stored=held,
            internal_metadata=used - held,
        ),
        "hb_peers": [],
        "snap_trim_queue_len": 0,
        "num_snap_trimming": 0,
        "num_shards_repaired": 0,
        "op_queue_age_hist": {"histogram": [], "upper_bound": 1},
        "perf_stat": {
            "commit_latency_ms": latency // 1_000_000,
            "apply_latency_ms": latency // 1_000_000,
            "commit_latency_ns": latency,
            "apply_latency_ns": latency,
        },
        "alerts": [],
        "network_ping_times": [],
    }
