# SPDX-License-Identifier: Apache-2.0
"""What the commands about the use of OSDs show: `osd df`, `perf`, `utilization`, who may stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import treeview, views
from octostack.engines.ceph.mon.core.printing import bytes_text, table
from octostack.engines.ceph.mon.core.treeview import Node
from octostack.wire.ceph.maps.crush import ITEM_NONE, ONE
from octostack.wire.ceph.objects import PG

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query
    from octostack.engines.ceph.mon.core.state import OSDReport

_KEYS: Final = ("kb", "kb_used", "kb_used_data", "kb_used_omap", "kb_used_meta", "kb_avail")


class Use:
    """How full OSDs are, each and together."""

    def __init__(self, query: Query) -> None:
        self.map = query.state.osdmap
        self.query = query
        self.counts = group_counts(query)
        inside = [osd for osd in views.list_in(self.map) if osd in query.statistics.osds]
        self.total = self.of(inside)
        self.average = _percent(self.total)
        each = [_percent(self.of([osd])) for osd in inside]
        self.variances = [value / self.average if self.average else 0.0 for value in each]
        spread = sum((value - self.average) ** 2 for value in each)
        self.deviation = math.sqrt(spread / len(each)) if each else 0.0

    def of(self, members: list[int]) -> dict[str, int]:
        """The KiB of some OSDs."""
        sums = dict.fromkeys(_KEYS, 0)
        for osd in members:
            report = self.query.statistics.osds.get(osd)
            if report is None or not osds.is_in(self.map, osd):
                continue
            for key, value in _sizes(report).items():
                sums[key] += value
        return sums

    def below(self, node: Node) -> list[int]:
        """The OSDs under a node."""
        if node.bucket is None:
            return [node.id]
        return [one.id for one in treeview.walk(self.map.crush, [node.id]) if one.bucket is None]

    def view(self, node: Node) -> dict[str, Any]:
        """A node of `osd df`."""
        found = treeview.view(self.map, node)
        sizes = self.of(self.below(node))
        percent = _percent(sizes)
        is_osd = node.bucket is None
        found["reweight"] = _short(self.map.osd_weight[node.id] / ONE) if is_osd else -1
        found |= sizes
        found["utilization"] = percent
        found["var"] = _short(percent / self.average) if self.average else 0
        found["pgs"] = self.counts.get(node.id, 0) if is_osd else 0
        if is_osd:
            found["status"] = "up" if osds.is_up(self.map, node.id) else "down"
        else:
            found["children"] = treeview.children(node)
        return found

    def summary(self) -> dict[str, Any]:
        """The last part of `osd df`."""
        return {
            **{f"total_{key}": value for key, value in self.total.items()},
            "average_utilization": self.average,
            "min_var": min(self.variances, default=0.0),
            "max_var": max(self.variances, default=0.0),
            "dev": self.deviation,
        }


def _sizes(report: OSDReport) -> dict[str, int]:
    held = min(report.used_bytes, report.data_bytes)
    values = (
        *(report.total_bytes, report.used_bytes, held, 0),
        *(report.used_bytes - held, report.available_bytes),
    )
    return {key: value // 1024 for key, value in zip(_KEYS, values, strict=True)}


def _percent(sizes: dict[str, int]) -> float:
    return 100.0 * sizes["kb_used"] / sizes["kb"] if sizes["kb"] else 0.0


def _short(number: float) -> float:
    return int(number) if number == int(number) else number


def group_counts(query: Query) -> dict[int, int]:
    """How many copies of groups lie on each OSD."""
    counts: dict[int, int] = {}
    for group in query.statistics.groups.values():
        for osd in group.acting:
            if osd != ITEM_NONE:
                counts[osd] = counts.get(osd, 0) + 1
    return counts


def df(query: Query, *, tree: bool) -> dict[str, Any]:
    """`osd df`, or `osd df tree` with the buckets."""
    use = Use(query)
    nodes = treeview.walk(use.map.crush, treeview.roots(use.map.crush))
    shown = [use.view(node) for node in nodes if tree or node.bucket is None]
    return {"nodes": shown, "stray": [], "summary": use.summary()}


def df_text(query: Query, *, tree: bool) -> str:
    """The same for people."""
    use = Use(query)
    crush = use.map.crush
    rows: list[tuple[object, ...]] = []
    for node in treeview.walk(crush, treeview.roots(crush)):
        is_osd = node.bucket is None
        if not (tree or is_osd):
            continue
        view = use.view(node)
        sizes = [bytes_text(view[key] * 1024) for key in _KEYS]
        weight = f"{use.map.osd_weight[node.id] / ONE:.5f}" if is_osd else "-"
        row = (
            *(node.id, treeview.class_of(crush, node.id), f"{node.weight / ONE:.5f}", weight),
            *sizes,
            *(f"{view['utilization']:.2f}", f"{view['var']:.2f}"),
            *((view["pgs"], view["status"]) if is_osd else ("-", "")),
        )
        rows.append((*row, treeview.label(use.map, node)) if tree else row)
    totals = [bytes_text(use.total[key] * 1024) for key in _KEYS]
    last = ("", "", "", "TOTAL", *totals, f"{use.average:.2f}", "", "", "")
    rows.append((*last, "") if tree else last)
    names = "ID|CLASS|WEIGHT|REWEIGHT|SIZE|RAW USE|DATA|OMAP|META|AVAIL|%USE|VAR|PGS|STATUS"
    names += "|TYPE NAME" if tree else ""
    text = table(names, rows, "SIZE|RAW USE|DATA|OMAP|META|AVAIL|TYPE NAME")
    low, high = min(use.variances, default=0.0), max(use.variances, default=0.0)
    return f"{text}MIN/MAX VAR: {low:.2f}/{high:.2f}  STDDEV: {use.deviation:.2g}\n"


def perf(query: Query) -> dict[str, Any]:
    """`osd perf`."""
    infos = []
    for osd in sorted(views.list_up(query.state.osdmap), reverse=True):
        report = query.statistics.osds.get(osd)
        nanos = report.commit_ns if report else 0
        stats = {f"{name}_latency_ms": nanos // 1_000_000 for name in ("commit", "apply")}
        stats |= {f"{name}_latency_ns": nanos for name in ("commit", "apply")}
        infos.append({"id": osd, "perf_stats": stats})
    return {"osd_perf_infos": infos}


def perf_text(query: Query) -> str:
    """The same for people."""
    rows = [
        (one["id"], *[one["perf_stats"][f"{name}_latency_ms"] for name in ("commit", "apply")])
        for one in perf(query)["osd_perf_infos"]
    ]
    return table("osd|commit_latency(ms)|apply_latency(ms)", rows)


def utilization(query: Query) -> dict[str, Any]:
    """`osd utilization`: how evenly copies of groups lie."""
    counts = group_counts(query)
    used = {osd: counts.get(osd, 0) for osd in views.list_in(query.state.osdmap)}
    total = sum(used.values())
    mean = total / len(used) if used else 0.0
    spread = sum((value - mean) ** 2 for value in used.values())
    share = 1 / len(used) if used else 0.0
    low = min(used, key=lambda osd: used[osd], default=-1)
    high = max(used, key=lambda osd: used[osd], default=-1)
    return {
        "avg_pgs": _short(mean),
        "std_dev": _short(math.sqrt(spread / len(used))) if used else 0,
        "expected_baseline_std_dev": math.sqrt(total * share * (1 - share)),
        "min_osd": low,
        "min_osd_pgs": used.get(low, 0),
        "max_osd": high,
        "max_osd_pgs": used.get(high, 0),
    }


def utilization_text(query: Query) -> str:
    """The same for people."""
    found = utilization(query)
    mean = found["avg_pgs"] or 1
    return (
        f"avg {found['avg_pgs']:g}\n"
        f"stddev {found['std_dev']:g} "
        f"(expected baseline {found['expected_baseline_std_dev']:g})\n"
        f"min osd.{found['min_osd']} with {found['min_osd_pgs']} pgs "
        f"({found['min_osd_pgs'] / mean:g} * mean)\n"
        f"max osd.{found['max_osd']} with {found['max_osd_pgs']} pgs "
        f"({found['max_osd_pgs'] / mean:g} * mean)\n"
    )


def stopping(query: Query, members: list[int]) -> dict[str, Any]:
    """`osd ok-to-stop`: which groups would serve no more, and which with fewer copies."""
    map_ = query.state.osdmap
    bad: list[PG] = []
    degraded: list[PG] = []
    for pg, group in query.statistics.list_groups(map_).items():
        if not set(group.acting) & set(members):
            continue
        left = [osd for osd in group.acting if osd not in members and osd != ITEM_NONE]
        pool = map_.pools[pg.pool]
        if len(left) < max(1, pool.min_size) or "active" not in group.state:
            bad.append(pg)
        else:
            degraded.append(pg)
    found: dict[str, Any] = {
        "ok_to_stop": not bad,
        "osds": members,
        "num_ok_pgs": len(degraded),
        "num_not_ok_pgs": len(bad),
    }
    if bad:
        found["bad_become_inactive"] = [str(pg) for pg in bad]
    found["ok_become_degraded"] = [str(pg) for pg in degraded]
    return found


def destroying(query: Query, members: list[int]) -> dict[str, list[int]]:
    """`osd safe-to-destroy`: which of these hold nothing that is only there."""
    found: dict[str, list[int]] = {
        name: [] for name in ("safe_to_destroy", "active", "missing_stats", "stored_pgs")
    }
    map_ = query.state.osdmap
    counts = group_counts(query)
    for osd in members:
        report = query.statistics.osds.get(osd)
        if not osds.is_known(map_, osd):
            found["safe_to_destroy"].append(osd)
        elif counts.get(osd):
            found["active"].append(osd)
        elif report is None:
            found["missing_stats"].append(osd)
        elif report.held_groups:
            found["stored_pgs"].append(osd)
        else:
            found["safe_to_destroy"].append(osd)
    return found
