# SPDX-License-Identifier: Apache-2.0
"""What the commands about placement groups show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octostack.engines.ceph.core.groupstats import INVALID
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mgr.core import sums
from octostack.engines.ceph.mon.core import views
from octostack.engines.ceph.mon.core.printing import (
    bytes_text,
    duration_text,
    members_text,
    stamp,
    table,
)
from octostack.engines.ceph.mon.core.state import GroupReport, Seen
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.objects import PG

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_NANOS: Final = 1_000_000_000
NOTE: Final = (
    "* NOTE: Omap statistics are gathered during deep scrub and may be inaccurate soon afterwards "
    "depending on utilization. See http://docs.ceph.com/en/latest/dev/placement-group/"
    "#omap-statistics for further details.\n"
)


def version_text(version: tuple[int, int]) -> str:
    """``12'34``."""
    return f"{version[0]}'{version[1]}"


def when(nanos: int) -> str:
    """A time, or Ceph's form for none."""
    return stamp(nanos) if nanos else "0.000000"


def group(query: Query, pg: PG, found: GroupReport) -> dict[str, Any]:
    """pg_stat_t."""
    seen = query.statistics.seen.get(pg) or Seen()
    created = _created(query, pg)
    logged = min(found.version[1], sums.LOG_ENTRIES)
    tail = version_text((0, 0) if logged == found.version[1] else found.version)
    scrubbed = when(found.scrubbed_ns or created)
    return {
        "pgid": str(pg),
        "version": version_text(found.version),
        "reported_seq": seen.reports,
        "reported_epoch": found.reported_epoch,
        "state": found.state,
        "last_fresh": when(seen.fresh),
        "last_change": when(seen.changed),
        "last_active": when(seen.active),
        "last_peered": when(seen.peered),
        "last_clean": when(seen.clean),
        "last_became_active": when(seen.became_active),
        "last_became_peered": when(seen.became_peered),
        "last_unstale": when(seen.fresh),
        "last_undegraded": when(seen.undegraded),
        "last_fullsized": when(seen.fullsized),
        "mapping_epoch": seen.since_epoch,
        "log_start": tail,
        "ondisk_log_start": tail,
        "created": seen.since_epoch,
        "last_epoch_clean": found.reported_epoch if "clean" in found.state else 0,
        "parent": "0.0",
        "parent_split_bits": 0,
        "last_scrub": version_text((0, 0)),
        "last_scrub_stamp": scrubbed,
        "last_deep_scrub": version_text((0, 0)),
        "last_deep_scrub_stamp": when(found.deep_scrubbed_ns or created),
        "last_clean_scrub_stamp": scrubbed,
        "log_size": logged,
        "ondisk_log_size": logged,
        **dict.fromkeys(INVALID, False),
        "snaptrimq_len": 0,
        "stat_sum": sums.counted([found]) | {"num_scrub_errors": found.scrub_errors},
        "up": list(found.up),
        "acting": list(found.acting),
        "avail_no_missing": [],
        "object_location_counts": [],
        "blocked_by": list(found.blocked_by),
        "up_primary": found.up_primary,
        "acting_primary": found.acting_primary,
        "purged_snaps": [],
    }


def _created(query: Query, pg: PG) -> int:
    pool = query.state.osdmap.pools.get(pg.pool)
    return pool.create_time if pool else 0


def brief(pg: PG, found: GroupReport) -> dict[str, Any]:
    """The lines of `pg dump pgs_brief`."""
    return {
        "pgid": str(pg),
        "state": found.state,
        "up": list(found.up),
        "acting": list(found.acting),
        "up_primary": found.up_primary,
        "acting_primary": found.acting_primary,
    }


def is_ready(query: Query) -> bool:
    """Whether every OSD that is up has reported."""
    return all(osd in query.statistics.osds for osd in views.list_up(query.state.osdmap))


def dump(query: Query, parts: frozenset[str]) -> dict[str, Any]:
    """The command `pg dump` and its parts."""
    groups = query.statistics.list_groups(query.state.osdmap)
    found: dict[str, Any] = {}
    if parts & {"all", "summary", "sum"}:
        found |= _summary(query, groups)
    if "delta" in parts:
        found["delta"] = {"pg_stats_delta": _no_delta()}
    if "pgs" in parts or "all" in parts:
        found["pg_stats"] = [group(query, pg, one) for pg, one in _newest_first(groups)]
    elif "pgs_brief" in parts:
        found["pg_stats"] = [brief(pg, one) for pg, one in _newest_first(groups)]
    if parts & {"all", "pools"}:
        found["pool_stats"] = _pools(query, groups)
    if parts & {"all", "osds"}:
        found["osd_stats"] = [_osd(query, osd) for osd in _reporting(query)]
        found["pool_statfs"] = _pool_space(query, groups)
    if "pg_map" in _wrapped(parts):
        return {"pg_ready": is_ready(query), "pg_map": found}
    return {"pg_ready": is_ready(query), **found}


def _wrapped(parts: frozenset[str]) -> str:
    return "pg_map" if parts & {"all", "summary", "sum"} else ""


def _summary(query: Query, groups: dict[PG, GroupReport]) -> dict[str, Any]:
    reports = [query.statistics.osds[osd] for osd in _reporting(query)]
    counts = {"up_from": 0, "seq": 0, "num_pgs": sum(len(g.acting) for g in groups.values())}
    return {
        "version": query.statistics.version,
        "stamp": stamp(query.statistics.updated_ns),
        "last_osdmap_epoch": 0,
        "last_pg_scan": 0,
        "pg_stats_sum": sums.pool_sum(list(groups.values())),
        "osd_stats_sum": counts | sums.space(reports),
        "pg_stats_delta": _no_delta(),
    }


def _no_delta() -> dict[str, Any]:
    return {**sums.pool_sum([]), "stamp_delta": "0.000000"}


def _newest_first(groups: dict[PG, GroupReport]) -> list[tuple[PG, GroupReport]]:
    return sorted(groups.items(), key=lambda item: (item[0].pool, -item[0].seed))


def _reporting(query: Query) -> list[int]:
    up = set(views.list_up(query.state.osdmap))
    return [osd for osd in sorted(query.statistics.osds, reverse=True) if osd in up]


def _pools(query: Query, groups: dict[PG, GroupReport]) -> list[dict[str, Any]]:
    found = []
    for number in sorted(query.state.osdmap.pools, reverse=True):
        own = [one for pg, one in groups.items() if pg.pool == number]
        size = sum(one.bytes * max(1, len(one.acting)) for one in own)
        found.append({"poolid": number, "num_pg": len(own), **sums.pool_sum(own, size)})
    return found


def _osd(query: Query, osd: int) -> dict[str, Any]:
    up_from = query.state.osdmap.osd_info[osd].up_from
    held = [g for g in query.statistics.groups.values() if osd in g.acting]
    peers = sorted({other for g in held for other in g.acting} - {osd})
    return {
        "osd": osd,
        "up_from": up_from,
        "seq": last_seq(query, osd),
        "num_pgs": len(held),
        **sums.space([query.statistics.osds[osd]]),
        "hb_peers": peers,
        "network_ping_times": [],
    }


def last_seq(query: Query, osd: int) -> int:
    """The number of an OSD's last report; those of a later start are larger."""
    up_from = query.state.osdmap.osd_info[osd].up_from
    return up_from << 32 | query.statistics.reports.get(osd, 0)


def _pool_space(query: Query, groups: dict[PG, GroupReport]) -> list[dict[str, Any]]:
    sizes: dict[tuple[int, int], int] = {}
    for pg, one in groups.items():
        for osd in one.acting:
            if osds.is_known(query.state.osdmap, osd):
                sizes[pg.pool, osd] = sizes.get((pg.pool, osd), 0) + one.bytes
    return [
        {"poolid": pool, "osd": osd, **sums.store(allocated=size, data_stored=size)}
        for (pool, osd), size in sorted(sizes.items())
    ]


# For people


def brief_text(query: Query) -> str:
    """`pg dump pgs_brief`."""
    groups = query.statistics.list_groups(query.state.osdmap)
    rows = [
        (
            *(pg, one.state, members_text(one.up), one.up_primary),
            *(members_text(one.acting), one.acting_primary),
        )
        for pg, one in _newest_first(groups)
    ]
    names = "PG_STAT|STATE|UP|UP_PRIMARY|ACTING|ACTING_PRIMARY"
    return table(names, rows, "PG_STAT|STATE|UP|ACTING")


def dump_text(query: Query) -> str:
    """`pg dump`."""
    groups = query.statistics.list_groups(query.state.osdmap)
    statistics = query.statistics
    names = (
        "PG_STAT|OBJECTS|MISSING_ON_PRIMARY|DEGRADED|MISPLACED|UNFOUND|BYTES|OMAP_BYTES*|"
        "OMAP_KEYS*|LOG|DISK_LOG|STATE|STATE_STAMP|VERSION|REPORTED|UP|UP_PRIMARY|ACTING|"
        "ACTING_PRIMARY|LAST_SCRUB|SCRUB_STAMP|LAST_DEEP_SCRUB|DEEP_SCRUB_STAMP|SNAPTRIMQ_LEN"
    )
    rows = [_row(query, pg, one) for pg, one in _newest_first(groups)]
    lines = [
        f"version {statistics.version}\nstamp {stamp(statistics.updated_ns)}\n"
        "last_osdmap_epoch 0\nlast_pg_scan 0\n",
        table(names, rows, "PG_STAT|STATE|STATE_STAMP|UP|ACTING|SCRUB_STAMP|DEEP_SCRUB_STAMP"),
        " \n",
    ]
    for number in sorted(query.state.osdmap.pools, reverse=True):
        own = [one for pg, one in groups.items() if pg.pool == number]
        lines.append(f"{number}  {_sums_text(own)}\n")
    lines += [" \n", f"sum  {_sums_text(list(groups.values()))}\n", osds_text(query), "\n", NOTE]
    return "".join(lines)


def _sums_text(groups: list[GroupReport]) -> str:
    found = sums.pool_sum(groups)
    counts = found["stat_sum"]
    names = (
        *("num_objects", "num_objects_missing_on_primary", "num_objects_degraded"),
        *("num_objects_misplaced", "num_objects_unfound", "num_bytes", "num_omap_bytes"),
        "num_omap_keys",
    )
    values = [counts[name] for name in names] + [found["log_size"], found["ondisk_log_size"]]
    return "  ".join(map(str, values))


def _row(query: Query, pg: PG, one: GroupReport) -> tuple[object, ...]:
    seen = query.statistics.seen.get(pg) or Seen()
    logged = min(one.version[1], sums.LOG_ENTRIES)
    stamps = when(one.scrubbed_ns or _created(query, pg))
    return (
        *(pg, one.objects, 0, one.degraded, one.misplaced, one.unfound, one.bytes),
        *(one.omap_bytes, one.omap_keys, logged, logged, one.state, when(seen.changed)),
        *(version_text(one.version), f"{one.reported_epoch}:{seen.reports}"),
        *(members_text(one.up), one.up_primary),
        *(members_text(one.acting), one.acting_primary),
        *("0'0", stamps, "0'0", when(one.deep_scrubbed_ns or _created(query, pg)), 0),
    )


def osds_text(query: Query) -> str:
    """The part of `pg dump` about OSDs."""
    rows: list[tuple[object, ...]] = []
    sizes = [0, 0, 0]
    groups = query.statistics.groups.values()
    for osd in _reporting(query):
        report = query.statistics.osds[osd]
        values = (report.used_bytes, report.available_bytes, report.total_bytes)
        sizes = [a + b for a, b in zip(sizes, values, strict=True)]
        used, free, total = (bytes_text(value) for value in values)
        held = [one for one in groups if osd in one.acting]
        peers = tuple(sorted({other for one in held for other in one.acting} - {osd, ITEM_NONE}))
        first = sum(one.acting_primary == osd for one in held)
        rows.append((osd, used, free, used, total, members_text(peers), len(held), first))
    used, free, total = (bytes_text(value) for value in sizes)
    rows.append(("sum", used, free, used, total, "", "", ""))
    names = "OSD_STAT|USED|AVAIL|USED_RAW|TOTAL|HB_PEERS|PG_SUM|PRIMARY_PG_SUM"
    return table(names, rows, "OSD_STAT")


def list_text(query: Query, chosen: dict[PG, GroupReport]) -> str:
    """`pg ls`."""
    rows = []
    for pg, one in sorted(chosen.items(), key=lambda item: (item[0].pool, item[0].seed)):
        seen = query.statistics.seen.get(pg) or Seen()
        since = duration_text((query.now_ns - seen.changed) / _NANOS) if seen.changed else "-"
        up = f"{members_text(one.up)}p{one.up_primary}"
        acting = f"{members_text(one.acting)}p{one.acting_primary}"
        rows.append(
            (
                *(pg, one.objects, one.degraded, one.misplaced, one.unfound, one.bytes),
                *(one.omap_bytes, one.omap_keys, min(one.version[1], sums.LOG_ENTRIES)),
                *(one.state, since, version_text(one.version)),
                *(f"{one.reported_epoch}:{seen.reports}", up, acting),
                when(one.scrubbed_ns or _created(query, pg)),
                when(one.deep_scrubbed_ns or _created(query, pg)),
            )
        )
    names = (
        "PG|OBJECTS|DEGRADED|MISPLACED|UNFOUND|BYTES|OMAP_BYTES*|OMAP_KEYS*|LOG|STATE|SINCE|"
        "VERSION|REPORTED|UP|ACTING|SCRUB_STAMP|DEEP_SCRUB_STAMP"
    )
    left = "PG|STATE|UP|ACTING|SCRUB_STAMP|DEEP_SCRUB_STAMP"
    return table(names, rows, left) + "\n" + NOTE
