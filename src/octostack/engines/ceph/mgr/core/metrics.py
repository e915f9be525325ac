# SPDX-License-Identifier: Apache-2.0
"""The cluster in numbers, by the names that Ceph's exporter for Prometheus has for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mgr.core import osdstats
from octostack.engines.ceph.mon.core import health, spaceview
from octostack.engines.ceph.mon.core.commands.cluster import VERSION_TEXT
from octostack.wire.ceph.maps.osdmap import MapFlag

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_STATUS: Final = {"HEALTH_OK": 0, "HEALTH_WARN": 1, "HEALTH_ERR": 2}
STATES: Final = (
    *("activating", "active", "backfill_toofull", "backfill_unfound", "backfill_wait"),
    *("backfilling", "clean", "creating", "deep", "degraded", "down", "failed_repair"),
    *("forced_backfill", "forced_recovery", "incomplete", "inconsistent", "laggy", "peered"),
    *("peering", "premerge", "recovering", "recovery_toofull", "recovery_unfound"),
    *("recovery_wait", "remapped", "repair", "scrubbing", "snaptrim", "snaptrim_error"),
    *("snaptrim_wait", "stale", "undersized", "unknown", "wait"),
)
FLAGS: Final = {
    "noup": MapFlag.NOUP,
    "nodown": MapFlag.NODOWN,
    "noout": MapFlag.NOOUT,
    "noin": MapFlag.NOIN,
    "nobackfill": MapFlag.NOBACKFILL,
    "norebalance": MapFlag.NOREBALANCE,
    "norecover": MapFlag.NORECOVER,
    "noscrub": MapFlag.NOSCRUB,
    "nodeep_scrub": MapFlag.NODEEP_SCRUB,
}
Labels = dict[str, str]


class Family(msgspec.Struct):
    """One name, and its values by labels."""

    name: str
    help: str
    kind: str = "gauge"
    samples: list[tuple[Labels, float]] = msgspec.field(default_factory=list)


def text(families: list[Family]) -> str:
    """In the form that Prometheus reads (0.0.4)."""
    lines = []
    for family in families:
        lines.append(f"# HELP ceph_{family.name} {family.help}")
        lines.append(f"# TYPE ceph_{family.name} {family.kind}")
        for labels, value in family.samples:
            shown = ",".join(f'{name}="{_escaped(one)}"' for name, one in labels.items())
            lines.append(f"ceph_{family.name}{f'{{{shown}}}' if shown else ''} {float(value)}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def gather(query: Query) -> list[Family]:
    """All of it, as of now."""
    return [
        *_health(query),
        *_monitors(query),
        *_osds(query),
        *_groups(query),
        *_cluster(query),
        *_pools(query),
    ]


def _one(name: str, says: str, value: float, labels: Labels | None = None) -> Family:
    return Family(name, says, samples=[(labels or {}, value)])


def _health(query: Query) -> list[Family]:
    found = [one for one in health.checks(query) if one.code not in query.state.mutes]
    slow = sum(one.count for one in found if one.code == "SLOW_OPS")
    detail = Family("health_detail", "Health checks that are raised")
    detail.samples = [({"name": one.code, "severity": one.severity}, 1) for one in found]
    status = _STATUS[health.worst(found)]
    first = Family("health_status", "Cluster health status", "untyped", [({}, status)])
    return [first, detail, _one("healthcheck_slow_ops", "Operations that take long", slow)]


def _monitors(query: Query) -> list[Family]:
    map_ = query.state.monmap
    quorum = Family("mon_quorum_status", "Monitors in quorum")
    metadata = Family("mon_metadata", "What monitors are", "untyped")
    for rank, name in enumerate(map_.ranks):
        label = {"ceph_daemon": f"mon.{name}"}
        quorum.samples.append((label, name in query.quorum.members))
        where = map_.monitors[name].addresses[0].host
        more = {"hostname": "localhost", "public_addr": where, "rank": str(rank)}
        metadata.samples.append((label | more | {"ceph_version": VERSION_TEXT}, 1))
    manager = {"ceph_daemon": f"mgr.{query.state.mgrmap.name}"}
    about = manager | {"hostname": "localhost", "ceph_version": VERSION_TEXT}
    enabled = query.state.mgrmap.modules | frozenset().union(*query.state.mgrmap.always_on.values())
    modules = Family("mgr_module_status", "Parts of the manager: off 0, on 1, always on 2")
    able = Family("mgr_module_can_run", "Whether a part can run")
    for one in query.state.mgrmap.available_modules:
        modules.samples.append(({"name": one.name}, one.name in enabled))
        able.samples.append(({"name": one.name}, one.can_run))
    return [
        quorum,
        metadata,
        Family("mgr_metadata", "What managers are", samples=[(about, 1)]),
        _one("mgr_status", "Whether a manager is active", query.state.mgrmap.available, manager),
        modules,
        able,
    ]


def _osds(query: Query) -> list[Family]:
    map_ = query.state.osdmap
    families = {
        name: Family(f"osd_{name}", says)
        for name, says in (
            ("metadata", "What OSDs are"),
            ("up", "OSDs that are up"),
            ("in", "OSDs that take data"),
            ("weight", "Weights of OSDs"),
            ("apply_latency_ms", "How long changes take to be applied"),
            ("commit_latency_ms", "How long changes take to be durable"),
            ("stat_bytes", "Bytes of a disk"),
            ("stat_bytes_used", "Bytes of a disk that are used"),
            ("numpg", "Groups on an OSD"),
        )
    }
    counts = osdstats.group_counts(query)
    for osd in osds.list_known(map_):
        label = {"ceph_daemon": f"osd.{osd}"}
        crush = map_.crush
        about = {
            "cluster_addr": _host(map_.cluster_addresses[osd]),
            "device_class": crush.class_names.get(crush.classes.get(osd, -1), ""),
            "front_iface": "",
            "hostname": "localhost",
            "objectstore": query.state.metadata.get(f"osd.{osd}", {}).get("osd_objectstore", ""),
            "public_addr": _host(map_.client_addresses[osd]),
            "ceph_version": VERSION_TEXT,
        }
        report = query.statistics.osds.get(osd)
        latency = report.commit_ns / 1e6 if report else 0.0
        for name, value in (
            ("up", osds.is_up(map_, osd)),
            ("in", osds.is_in(map_, osd)),
            ("weight", map_.osd_weight[osd] / 0x10000),
            ("apply_latency_ms", latency),
            ("commit_latency_ms", latency),
            ("stat_bytes", report.total_bytes if report else 0),
            ("stat_bytes_used", report.used_bytes if report else 0),
            ("numpg", counts.get(osd, 0)),
        ):
            families[name].samples.append((label, value))
        families["metadata"].samples.append((label | about, 1))
    flags = [
        _one(f"osd_flag_{name}", f"Whether {name} is set", bool(map_.flags & flag))
        for name, flag in FLAGS.items()
    ]
    return [*families.values(), *flags]


def _host(addresses: object) -> str:
    return addresses[0].host if isinstance(addresses, tuple) and addresses else ""


def _groups(query: Query) -> list[Family]:
    counts: dict[str, Counter[int]] = {name: Counter() for name in STATES}
    totals: Counter[int] = Counter()
    for pg, group in query.statistics.list_groups(query.state.osdmap).items():
        totals[pg.pool] += 1
        for word in group.state.split("+"):
            counts.setdefault(word, Counter())[pg.pool] += 1
    families = [Family("pg_total", "Groups of a pool")]
    pools = sorted(query.state.osdmap.pools)
    families[0].samples = [({"pool_id": str(number)}, totals[number]) for number in pools]
    for name in STATES:
        family = Family(f"pg_{name}", f"Groups of a pool that are {name}")
        family.samples = [({"pool_id": str(number)}, counts[name][number]) for number in pools]
        families.append(family)
    return families


def _cluster(query: Query) -> list[Family]:
    stats = spaceview.df(query, detailed=False)["stats"]
    groups = query.statistics.list_groups(query.state.osdmap).values()
    return [
        _one("cluster_total_bytes", "Bytes of all disks", stats["total_bytes"]),
        _one("cluster_total_used_bytes", "Those used", stats["total_used_bytes"]),
        _one("cluster_total_used_raw_bytes", "Those used in all", stats["total_used_raw_bytes"]),
        *(
            _one(f"num_objects_{name}", f"Copies {name}", sum(getattr(g, name) for g in groups))
            for name in ("degraded", "misplaced", "unfound")
        ),
    ]


def _pools(query: Query) -> list[Family]:
    map_ = query.state.osdmap
    names = {
        **dict.fromkeys(
            ("stored", "objects", "max_avail", "bytes_used", "percent_used", "dirty"), "gauge"
        ),
        **dict.fromkeys(("rd", "rd_bytes", "wr", "wr_bytes"), "counter"),
        **dict.fromkeys(
            ("stored_raw", "avail_raw", "compress_bytes_used", "compress_under_bytes"), "gauge"
        ),
        **dict.fromkeys(("quota_objects", "quota_bytes"), "gauge"),
    }
    families = {
        name: Family(f"pool_{name}", f"Of pools: {name}", kind) for name, kind in names.items()
    }
    metadata = Family("pool_metadata", "What pools are", "untyped")
    for one in spaceview.df(query, detailed=True)["pools"]:
        pool = map_.pools[one["id"]]
        label = {"pool_id": str(one["id"])}
        for name, family in families.items():
            family.samples.append((label, one["stats"][name]))
        about = {
            "name": one["name"],
            "type": "replicated" if pool.type == 1 else "erasure",
            "description": f"replica:{pool.size}" if pool.type == 1 else "ec",
            "compression_mode": "none",
        }
        metadata.samples.append((label | about, 1))
    return [metadata, *families.values()]
