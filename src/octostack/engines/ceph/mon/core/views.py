# SPDX-License-Identifier: Apache-2.0
"""What the commands about the whole cluster show, for programs and for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import health, poolstats
from octostack.engines.ceph.mon.core.printing import bytes_text, duration_text, iso, stamp
from octostack.wire.ceph.addresses import Addresses, format_many
from octostack.wire.ceph.handshake import FEATURES
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.maps.osdmap import OSDMap

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query, Session

_NANOS = 1_000_000_000
MON_FEATURES = (
    *("kraken", "luminous", "mimic", "osdmap-prune", "nautilus", "octopus", "pacific"),
    "elector-pinging",
)
REQUIRED_FEATURES = "2449958747317026820"
QUORUM_FEATURES = "4540138314316775423"


def list_up(map_: OSDMap) -> list[int]:
    """OSDs that are up."""
    return [osd for osd in osds.list_known(map_) if osds.is_up(map_, osd)]


def list_in(map_: OSDMap) -> list[int]:
    """OSDs that take data."""
    return [osd for osd in osds.list_known(map_) if osds.is_in(map_, osd)]


def addresses(many: Addresses) -> dict[str, Any]:
    """A vector of addresses."""
    names = ("none", "v1", "v2", "any")
    return {
        "addrvec": [
            {"type": names[one.kind & 3], "addr": one.place, "nonce": one.nonce} for one in many
        ]
    }


# Space


class Totals:
    """What all OSDs and groups come to."""

    def __init__(self, query: Query) -> None:
        map_ = query.state.osdmap
        reports = [r for osd, r in query.statistics.osds.items() if osds.is_up(map_, osd)]
        self.query = query
        self.reports = reports
        self.total = sum(r.total_bytes for r in reports)
        self.used = sum(r.used_bytes for r in reports)
        self.available = sum(r.available_bytes for r in reports)
        # what may be written until the first OSD is full
        self.usable = max(0, self.available - int(self.total * (1 - map_.full_ratio)))
        self.groups = query.statistics.list_groups(map_)
        self.states = Counter(group.state for group in self.groups.values())
        self.objects = sum(group.objects for group in self.groups.values())
        self.data = sum(group.bytes for group in self.groups.values())


def pgmap(query: Query) -> dict[str, Any]:
    """Numbers of groups, objects and bytes."""
    totals = Totals(query)
    return {
        "pgs_by_state": [
            {"state_name": name, "count": count} for name, count in totals.states.most_common()
        ],
        "num_pgs": len(totals.groups),
        "num_pools": len(query.state.osdmap.pools),
        "num_objects": totals.objects,
        "data_bytes": totals.data,
        "bytes_used": totals.used,
        "bytes_avail": totals.available,
        "bytes_total": totals.total,
        **poolstats.behind(list(totals.groups.values())),
        **poolstats.client_rate(query),
    }


def pg_stat(query: Query) -> dict[str, Any]:
    """The command ``pg stat``."""
    found = pgmap(query)
    summary = {
        "num_pg_by_state": [
            {"name": one["state_name"], "num": one["count"]} for one in found["pgs_by_state"]
        ],
        "num_pgs": found["num_pgs"],
        "num_bytes": found["data_bytes"],
        "total_bytes": found["bytes_total"],
        "total_avail_bytes": found["bytes_avail"],
        "total_used_bytes": found["bytes_used"],
        "total_used_raw_bytes": found["bytes_used"],
    }
    return {"pg_ready": "unknown" not in Totals(query).states, "pg_summary": summary}


def pg_stat_text(query: Query) -> str:
    """The same for people."""
    totals = Totals(query)
    states = ", ".join(f"{count} {name}" for name, count in totals.states.most_common())
    return (
        f"{len(totals.groups)} pgs: {states}; {bytes_text(totals.data)} data, "
        f"{bytes_text(totals.used)} used, {bytes_text(totals.available)} / "
        f"{bytes_text(totals.total)} avail\n"
    )


# Monitors


def _mon(map_: MonMap, rank: int, name: str) -> dict[str, Any]:
    info = map_.monitors[name]
    first = info.addresses[0]
    return {
        "rank": rank,
        "name": name,
        "public_addrs": addresses(info.addresses),
        "addr": f"{first.place}/{first.nonce}",
        "public_addr": f"{first.place}/{first.nonce}",
        "priority": info.priority,
        "weight": info.weight,
        "crush_location": "{}",
    }


def monmap(query: Query, map_: MonMap) -> dict[str, Any]:
    """A map of monitors as ``mon dump`` shows it, with the quorum of now."""
    members = [map_.find_rank(name) for name in query.quorum.members]
    return {
        "epoch": map_.epoch,
        "fsid": str(map_.fsid),
        "modified": iso(map_.changed),
        "created": iso(map_.created),
        "min_mon_release": map_.min_mon_release,
        "min_mon_release_name": "pacific",
        "election_strategy": map_.election_strategy,
        "disallowed_leaders: ": ",".join(sorted(map_.disallowed_leaders)),
        "stretch_mode": map_.stretch_mode_enabled,
        "tiebreaker_mon": map_.tiebreaker,
        "removed_ranks: ": ",".join(map(str, sorted(map_.removed_ranks))),
        "features": {"persistent": list(MON_FEATURES), "optional": []},
        "mons": [_mon(map_, rank, name) for rank, name in enumerate(map_.ranks)],
        "quorum": members,
    }


def monmap_text(map_: MonMap) -> str:
    """The same for people."""
    lines = [
        f"epoch {map_.epoch}",
        f"fsid {map_.fsid}",
        f"last_changed {stamp(map_.changed)}",
        f"created {stamp(map_.created)}",
        "min_mon_release 16 (pacific)",
        f"election_strategy: {map_.election_strategy}",
    ]
    for rank, name in enumerate(map_.ranks):
        lines.append(f"{rank}: {format_many(map_.monitors[name].addresses)} mon.{name}")
    return "\n".join(lines) + "\n"


def quorum(query: Query) -> dict[str, Any]:
    """The command ``quorum_status``."""
    members = query.quorum.members
    map_ = query.state.monmap
    return {
        "election_epoch": query.quorum.election_epoch,
        "quorum": [map_.find_rank(name) for name in members],
        "quorum_names": list(members),
        "quorum_leader_name": query.quorum.leader,
        "quorum_age": int(query.quorum.since_s),
        "features": {"quorum_con": QUORUM_FEATURES, "quorum_mon": list(MON_FEATURES)},
        "monmap": {key: value for key, value in monmap(query, map_).items() if key != "quorum"},
    }


def mon_status(query: Query) -> dict[str, Any]:
    """How the monitor that is asked is: the command `mon_status`, told to it."""
    found = quorum(query)
    map_ = query.state.monmap
    name = query.text("whoami") or query.quorum.leader
    state = "leader" if name == query.quorum.leader else "peon"
    return {
        "name": name,
        "rank": map_.find_rank(name),
        "state": state if name in query.quorum.members else "probing",
        "election_epoch": found["election_epoch"],
        "quorum": found["quorum"],
        "quorum_age": found["quorum_age"],
        "features": {
            "required_con": REQUIRED_FEATURES,
            "required_mon": list(MON_FEATURES),
            **found["features"],
        },
        "outside_quorum": [],
        "extra_probe_peers": [],
        "sync_provider": [],
        "monmap": {key: value for key, value in monmap(query, map_).items() if key != "quorum"},
        "feature_map": features(query),
        "stretch_mode": False,
    }


def features(query: Query) -> dict[str, Any]:
    """How many of each kind are there, and what they can: the command `features`."""
    counts = Counter(session.kind for session in query.who.sessions)
    counts["mon"] = len(query.quorum.members)
    counts["osd"] = max(counts["osd"], len(list_up(query.state.osdmap)))
    mgrmap = query.state.mgrmap
    counts["mgr"] = int(mgrmap.available) + len(mgrmap.standbys)
    return {
        kind: [{"features": f"0x{FEATURES:x}", "release": "luminous", "num": counts[kind]}]
        for kind in ("mon", "osd", "client", "mgr")
        if counts[kind]
    }


def session(one: Session) -> dict[str, Any]:
    """One who is connected."""
    where = addresses(one.addresses)
    return {
        "name": f"{one.kind}.{one.global_id}",
        "entity_name": one.entity,
        "addrs": where,
        "socket_addr": where["addrvec"][0] if where["addrvec"] else {},
        "con_type": one.kind,
        "con_features": FEATURES,
        "con_features_hex": f"{FEATURES:x}",
        "con_features_release": "luminous",
        "open": True,
        "caps": {"text": one.caps},
        "authenticated": True,
        "global_id": one.global_id,
        "global_id_status": "new_ok",
        "osd_epoch": 0,
        "remote_host": "",
    }


def mon_stat(query: Query) -> dict[str, Any]:
    """The command ``mon stat``."""
    map_ = query.state.monmap
    return {
        "epoch": map_.epoch,
        "min_mon_release_name": "pacific",
        "num_mons": len(map_.ranks),
        "leader": query.quorum.leader,
        "quorum": [{"rank": map_.find_rank(name), "name": name} for name in query.quorum.members],
    }


def mon_stat_text(query: Query) -> str:
    """The same for people."""
    map_ = query.state.monmap
    where = ",".join(f"{name}={format_many(map_.monitors[name].addresses)}" for name in map_.ranks)
    ranks = ",".join(str(map_.find_rank(name)) for name in query.quorum.members)
    gone = ",".join(map(str, sorted(map_.removed_ranks)))
    return (
        f"e{map_.epoch}: {len(map_.ranks)} mons at {{{where}}} "
        f"removed_ranks: {{{gone}}}, election epoch "
        f"{query.quorum.election_epoch}, leader {map_.find_rank(query.quorum.leader)} "
        f"{query.quorum.leader}, quorum {ranks} {','.join(query.quorum.members)}\n"
    )


# Status


def osd_summary(map_: OSDMap) -> dict[str, Any]:
    """How many OSDs are up and in."""
    return {
        "epoch": map_.epoch,
        "num_osds": len(osds.list_known(map_)),
        "num_up_osds": len(list_up(map_)),
        "osd_up_since": map_.last_up_change // _NANOS,
        "num_in_osds": len(list_in(map_)),
        "osd_in_since": map_.last_in_change // _NANOS,
        "num_remapped_pgs": len(map_.pg_temp),
    }


def status(query: Query) -> dict[str, Any]:
    """The command ``status``."""
    map_, mgrmap = query.state.monmap, query.state.mgrmap
    found = quorum(query)
    return {
        "fsid": str(map_.fsid),
        "health": health.view(query, detailed=False),
        "election_epoch": query.quorum.election_epoch,
        "quorum": found["quorum"],
        "quorum_names": found["quorum_names"],
        "quorum_age": found["quorum_age"],
        "monmap": {
            "epoch": map_.epoch,
            "min_mon_release_name": "pacific",
            "num_mons": len(map_.ranks),
        },
        "osdmap": osd_summary(query.state.osdmap),
        "pgmap": pgmap(query),
        "fsmap": {"epoch": 1, "by_rank": [], "up:standby": 0},
        "mgrmap": {
            "available": mgrmap.available,
            "num_standbys": len(mgrmap.standbys),
            "modules": sorted(mgrmap.modules),
            "services": mgrmap.services,
        },
        "servicemap": {"epoch": 1, "modified": stamp(map_.created), "services": {}},
        "progress_events": {
            event.id: {
                "message": event.message,
                "progress": event.progress,
                "add_to_ceph_s": True,
            }
            for event in query.statistics.progress.events.values()
            if event.groups
        },
    }


def status_text(query: Query) -> str:
    """The same for people."""
    map_ = query.state.osdmap
    totals = Totals(query)
    lines = ["  cluster:", f"    id:     {query.state.monmap.fsid}", *_health_lines(query)]
    lines += [" ", "  services:", *_service_lines(query), " ", "  data:"]
    lines += [
        f"    pools:   {len(map_.pools)} pools, {len(totals.groups)} pgs",
        f"    objects: {count_text(totals.objects)} objects, {bytes_text(totals.data)}",
        f"    usage:   {bytes_text(totals.used)} used, {bytes_text(totals.available)} / "
        f"{bytes_text(totals.total)} avail",
    ]
    label = "    pgs:     "
    behind = poolstats.behind_text(poolstats.behind(list(totals.groups.values())))
    states = [f"{count} {name}" for name, count in totals.states.most_common()]
    for line in (*behind, *states):
        lines.append(f"{label}{line}")
        label = " " * len(label)
    rate = poolstats.client_text(poolstats.client_rate(query))
    if rate:
        lines += [" ", "  io:", f"    client:   {rate[0].removeprefix('client io ')}"]
    events = [one for one in query.statistics.progress.events.values() if one.groups]
    if events:
        lines += [" ", "  progress:"]
        for event in events:
            age = (query.now_ns - event.began_ns) // _NANOS
            bar = "=" * int(event.progress * 28)
            lines += [f"    {event.message} ({age}s)", f"      [{bar.ljust(28, '.')}]"]
    return "\n".join([*lines, " "]) + "\n"


def _health_lines(query: Query) -> list[str]:
    found = [check for check in health.checks(query) if check.code not in query.state.mutes]
    lines = [f"    health: {health.worst(found)}"]
    return lines + [f"            {check.summary}" for check in found]


def _service_lines(query: Query) -> list[str]:
    map_, now = query.state.osdmap, query.now_ns
    members = query.quorum.members
    up_for = duration_text((now - map_.last_up_change) / _NANOS)
    in_for = duration_text((now - map_.last_in_change) / _NANOS)
    mgrmap = query.state.mgrmap
    managers = "no daemons active"
    if mgrmap.available:
        since = duration_text((now - mgrmap.changed) / _NANOS)
        managers = f"{mgrmap.name}(active, since {since})"
    standbys = ", ".join(one.name for one in mgrmap.standbys.values())
    managers += f", standbys: {standbys}" if standbys else ""
    remapped = f"; {len(map_.pg_temp)} remapped pgs" if map_.pg_temp else ""
    lines = [
        f"    mon: {len(query.state.monmap.ranks)} daemons, quorum {','.join(members)} "
        f"(age {duration_text(query.quorum.since_s)})",
        f"    mgr: {managers}",
        f"    osd: {len(osds.list_known(map_))} osds: {len(list_up(map_))} up (since {up_for}), "
        f"{len(list_in(map_))} in (since {in_for}){remapped}",
    ]
    shown = health.flag_names(map_)
    return lines + ([f"         flags {','.join(shown)}"] if shown else [])


def count_text(number: int) -> str:
    """``1.21k``: as Ceph prints counts."""
    if number < 1000:
        return str(number)
    value, unit = number / 1000, 0
    while value >= 1000:
        value, unit = value / 1000, unit + 1
    digits = 2 if value < 10 else 1 if value < 100 else 0
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{'kMGTPE'[unit]}"
