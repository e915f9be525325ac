# SPDX-License-Identifier: Apache-2.0
"""Commands about the daemons of a cluster: what they are, where, of which version."""

import errno
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds, places
from octostack.engines.ceph.mon.core import crushview, modules, osdview, printing, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.cluster import VERSION_TEXT
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.health import DRIFT_S
from octostack.engines.ceph.mon.core.health import view as health_view
from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.addresses import format_many
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.maps.mgrmap import Module, ModuleOption, Standby

_KINDS: Final = {0: "uint", 1: "int", 4: "str", 7: "bool", 9: "secs"}


def _of_version(more: dict[str, str]) -> dict[str, str]:
    return {
        "ceph_release": "pacific",
        "ceph_version": VERSION_TEXT,
        "ceph_version_short": "16.2.15",
        **more,
    }


def _monitors(query: Query) -> dict[str, dict[str, str]]:
    found = {}
    for name in query.state.monmap.ranks:
        where = format_many(query.state.monmap.monitors[name].addresses)
        said = query.state.metadata.get(f"mon.{name}", {})
        found[name] = {"addrs": where, "hostname": "localhost", **_of_version(said)}
    return found


def _managers(query: Query) -> dict[str, dict[str, str]]:
    map_ = query.state.mgrmap
    if not map_.available:
        return {}
    where = format_many(map_.addresses)
    said = query.state.metadata.get(f"mgr.{map_.name}", {})
    return {
        map_.name: {"addr": where, "addrs": where, "hostname": "localhost", **_of_version(said)}
    }


def _osds(query: Query) -> dict[str, dict[str, str]]:
    map_ = query.state.osdmap
    found = {}
    for osd in osds.list_known(map_):
        said = dict(query.state.metadata.get(f"osd.{osd}", {}))
        said.pop("id", None)
        places = {
            "back_addr": map_.cluster_addresses[osd],
            "front_addr": map_.client_addresses[osd],
            "hb_back_addr": map_.heartbeat_back_addresses[osd],
            "hb_front_addr": map_.heartbeat_front_addresses[osd],
        }
        where = {name: osdview.format_vector(one) for name, one in places.items()}
        found[str(osd)] = {**where, "hostname": "localhost", **_of_version(said)}
    return found


_METADATA: Final[dict[str, Callable[[Query], dict[str, dict[str, str]]]]] = {
    "mon": _monitors,
    "mgr": _managers,
    "osd": _osds,
}


def _metadata(query: Query, kind: str) -> Answer:
    found = _METADATA[kind](query)
    key = "id" if kind == "osd" else "name"
    name = query.text("id" if kind != "mgr" else "who").removeprefix("osd.")

    def named(one: str) -> dict[str, Any]:
        return {key: int(one) if kind == "osd" else one, **found[one]}

    if not name:
        return query.show([named(one) for one in found])
    if name not in found:
        what = f"osd.{name}" if kind == "osd" else f"{kind}.{name}"
        raise Failure(errno.ENOENT, f"{what} does not exist")
    return query.show(named(name) if kind == "osd" else found[name])


def _count(query: Query, kind: str, name: str) -> Answer:
    values = Counter(one.get(name, "unknown") for one in _METADATA[kind](query).values())
    return query.show(dict(values))


def _counted(kind: str) -> Callable[[Query], Answer]:
    return lambda query: _count(query, kind, query.text("property"))


def _nodes(query: Query) -> Answer:
    kind = query.text("type", "all")
    found: dict[str, dict[str, list[Any]]] = {}
    for one, read in _METADATA.items():
        hosts: dict[str, list[Any]] = {}
        for name, said in read(query).items():
            hosts.setdefault(said["hostname"], []).append(int(name) if one == "osd" else name)
        found[one] = hosts
    ordered = {one: found[one] for one in ("mon", "osd", "mgr")}
    return query.show(ordered if kind == "all" else found.get(kind, {}))


# Managers


def _option(one: ModuleOption) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": _KINDS.get(one.kind, "str"),
        "level": "advanced",
        "flags": one.flags,
        "default_value": one.default,
        "min": one.least,
        "max": one.most,
        "enum_allowed": sorted(one.allowed),
        "desc": one.help,
        "long_desc": one.long_help,
        "tags": sorted(one.tags),
        "see_also": sorted(one.see_also),
    }


def _module(one: Module) -> dict[str, Any]:
    return {
        "name": one.name,
        "can_run": one.can_run,
        "error_string": one.error,
        "module_options": {name: _option(option) for name, option in one.options.items()},
    }


def _standby(one: Standby) -> dict[str, Any]:
    return {
        "gid": one.global_id,
        "name": one.name,
        "mgr_features": one.features,
        "available_modules": [_module(module) for module in one.modules],
    }


def _fail(query: Query) -> Answer:
    """The active one begins anew as another, unless that is a standby's name."""
    map_ = query.state.mgrmap
    who = query.text("who", map_.name)
    standbys = {gid: one for gid, one in map_.standbys.items() if who not in {one.name, str(gid)}}
    if len(standbys) < len(map_.standbys):
        made = msgspec.structs.replace(map_, epoch=map_.epoch + 1, standbys=standbys)
        return Answer(change=Change(mgrmap=made))
    if not map_.available or who not in {map_.name, str(map_.global_id)}:
        return Answer(status=f"Daemon not found '{who}', already failed?")
    return Answer(change=Change(mgrmap=modules.failed(map_)))


def _mgr_dump(query: Query) -> Answer:
    map_ = query.state.mgrmap
    first = map_.addresses[0] if map_.addresses else None
    return query.show(
        {
            "epoch": map_.epoch,
            "active_gid": map_.global_id,
            "active_name": map_.name,
            "active_addrs": views.addresses(map_.addresses),
            "active_addr": f"{first.place}/{first.nonce}" if first else "",
            "active_change": printing.stamp(map_.changed),
            "active_mgr_features": map_.features,
            "available": map_.available,
            "standbys": [_standby(one) for one in map_.standbys.values()],
            "modules": sorted(map_.modules),
            "available_modules": [_module(one) for one in map_.available_modules],
            "services": map_.services,
            "always_on_modules": {
                osdview.RELEASES.get(release, str(release)): sorted(names)
                for release, names in map_.always_on.items()
            },
            "last_failure_osd_epoch": map_.last_failure_epoch,
            "active_clients": [views.addresses(one) for one in map_.clients],
        }
    )


def _mgr_stat(query: Query) -> Answer:
    map_ = query.state.mgrmap
    found = {"epoch": map_.epoch, "available": map_.available, "active_name": map_.name}
    return query.show(found | {"num_standby": len(map_.standbys)})


def _modules(query: Query) -> Answer:
    map_ = query.state.mgrmap
    always = map_.always_on.get(modules.PACIFIC, frozenset())
    off = [m for m in map_.available_modules if m.name not in always | map_.modules]
    return query.show(
        {
            "always_on_modules": sorted(always),
            "enabled_modules": sorted(map_.modules),
            "disabled_modules": [_module(one) for one in off],
        }
    )


def _enable(query: Query, *, on: bool) -> Answer:
    name, map_ = query.text("module"), query.state.mgrmap
    if name in modules.ALWAYS_ON:
        if on:
            return Answer(status=f"module '{name}' is already enabled (always-on)")
        raise Failure(errno.EINVAL, f"module '{name}' cannot be disabled (always-on)")
    if name not in modules.NAMES:
        why = f"all mgr daemons do not support module '{name}', pass --force to force enablement"
        raise Failure(errno.ENOENT, why)
    if (name in map_.modules) == on:
        word = "already enabled" if on else "already disabled"
        return Answer(status=f"module '{name}' is {word}")
    wanted = map_.modules | {name} if on else map_.modules - {name}
    made = msgspec.structs.replace(map_, epoch=map_.epoch + 1, modules=wanted)
    return Answer(change=Change(mgrmap=made))


# The whole


def _report(query: Query) -> Answer:
    map_ = query.state.osdmap
    groups = query.statistics.list_groups(map_)
    found = {
        "cluster_fingerprint": str(query.state.monmap.fsid),
        "version": "16.2.15",
        "commit": "",
        "timestamp": printing.stamp(query.now_ns),
        "tag": query.text("tags"),
        "health": health_view(query, detailed=True),
        "monmap_first_committed": 1,
        "monmap_last_committed": query.state.monmap.epoch,
        "monmap": views.quorum(query)["monmap"],
        "quorum": views.quorum(query)["quorum"],
        "osdmap": osdview.dump(map_),
        "osd_metadata": [{"id": int(name), **said} for name, said in sorted(_osds(query).items())],
        "osdmap_first_committed": 1,
        "osdmap_last_committed": map_.epoch,
        "crushmap": crushview.dump(map_.crush),
        "num_pg": len(groups),
        "num_pg_active": sum("active" in one.state for one in groups.values()),
        "auth": {"first_committed": 1, "last_committed": 1, "num_secrets": 0},
    }
    answer = query.show(found)
    return answer.saying(f"report {crc32c(answer.output)}")


def _time(query: Query) -> Answer:
    quorum = query.quorum
    known = {quorum.leader: 0.0, **quorum.skews}
    skews = {
        name: {
            "skew": skew,
            "latency": quorum.latencies.get(name, 0.0),
            "health": "HEALTH_WARN" if abs(skew) > DRIFT_S else "HEALTH_OK",
        }
        for name, skew in known.items()
    }
    status = {"time_skew_status": skews} if quorum.skews else {}
    checks = {
        "epoch": quorum.election_epoch,
        "round": 2 * quorum.rounds,  # as Ceph counts them: an odd one is under way
        "round_status": "finished",
    }
    return query.show({**status, "timechecks": checks})


def _features(query: Query) -> Answer:
    return query.show(views.features(query))


def _mon_features(query: Query) -> Answer:
    names = list(views.MON_FEATURES)
    return query.show(
        {
            "all": {"supported": names, "persistent": names},
            "monmap": {"persistent": names, "optional": [], "required": names},
        }
    )


def _services(query: Query) -> Answer:
    stamp = printing.stamp(query.state.monmap.created)
    return query.show({"epoch": 1, "modified": stamp, "services": {}})


def _find(query: Query) -> Answer:
    map_ = query.state.osdmap
    osd = get_osd(query)
    said = _osds(query)[str(osd)]
    return query.show(
        {
            "osd": osd,
            "addrs": views.addresses(map_.client_addresses[osd]),
            "osd_fsid": str(map_.osd_uuid[osd]),
            "host": said["hostname"],
            "crush_location": dict(reversed(places.of(map_.crush, osd).items())),
        }
    )


def get_osd(query: Query, name: str = "id") -> int:
    """An OSD of the map, by number or name. Raises Failure ENOENT."""
    text = query.text(name).removeprefix("osd.")
    osd = int(text) if text.isdigit() else -1
    if not osds.is_known(query.state.osdmap, osd):
        raise Failure(errno.ENOENT, f"osd.{text} does not exist")
    return osd


def _info(query: Query) -> Answer:
    map_ = query.state.osdmap
    if query.text("id"):
        osd = get_osd(query)
        return query.show(osdview.osd_view(map_, osd), osdview.osd_text(map_, osd) + "\n")
    known = osds.list_known(map_)
    text = "".join(osdview.osd_text(map_, osd) + "\n" for osd in known)
    return query.show([osdview.osd_view(map_, osd) for osd in known], text)


def _numa(query: Query) -> Answer:
    found = [{"osd": int(name), "host": said["hostname"]} for name, said in _osds(query).items()]
    return query.show(found)


def _max_osd(query: Query) -> Answer:
    map_ = query.state.osdmap
    text = f"max_osd = {map_.max_osd} in epoch {map_.epoch}\n"
    return query.show({"epoch": map_.epoch, "max_osd": map_.max_osd}, text)


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "r") -> Command:
    module = (
        words.split(maxsplit=1)[0] if words.split(maxsplit=1)[0] in {"osd", "mgr", "mon"} else "mon"
    )
    return Command(words, says, module, permission, act)


_OSD: Final = "name=id,type=CephOsdName"
_MODULE: Final = "name=module,type=CephString"
_PROPERTY: Final = "name=property,type=CephString"

TABLE: Final = (
    _line("features", "what connected daemons and clients can", _features),
    _line(
        "node ls name=type,type=CephChoices,strings=all|osd|mon|mds|mgr,req=false",
        "which daemons are on which host",
        _nodes,
    ),
    _line(
        "report name=tags,type=CephString,n=N,req=false",
        "all that is known of the cluster",
        _report,
    ),
    msgspec.structs.replace(
        _line("time-sync-status", "how well the monitors' clocks agree", _time), at_leader=True
    ),
    _line("service dump", "daemons of other services", _services),
    _line("mon feature ls", "what monitors have agreed on", _mon_features),
    _line(
        "mon metadata name=id,type=CephString,req=false",
        "what monitors say of themselves",
        lambda query: _metadata(query, "mon"),
    ),
    _line("mon versions", "versions of monitors", lambda q: _count(q, "mon", "ceph_version")),
    _line(f"mon count-metadata {_PROPERTY}", "monitors by a property", _counted("mon")),
    _line("mgr dump", "the map of managers", _mgr_dump),
    _line(
        "mgr fail name=who,type=CephString,req=false",
        "have the active manager begin anew",
        _fail,
        "rw",
    ),
    _line("mgr stat", "which manager is active", _mgr_stat),
    _line(
        "mgr services",
        "where parts of the manager are reached",
        lambda query: query.show(query.state.mgrmap.services),
    ),
    _line("mgr module ls", "parts of the manager", _modules),
    _line(
        f"mgr module enable {_MODULE} name=force,type=CephChoices,strings=--force,req=false",
        "let a part run",
        lambda query: _enable(query, on=True),
        "rw",
    ),
    _line(
        f"mgr module disable {_MODULE}",
        "let it rest",
        lambda query: _enable(query, on=False),
        "rw",
    ),
    _line(
        "mgr metadata name=who,type=CephString,req=false",
        "what managers say of themselves",
        lambda query: _metadata(query, "mgr"),
    ),
    _line("mgr versions", "versions of managers", lambda q: _count(q, "mgr", "ceph_version")),
    _line(f"mgr count-metadata {_PROPERTY}", "managers by a property", _counted("mgr")),
    _line(
        "osd metadata name=id,type=CephOsdName,req=false",
        "what OSDs say of themselves",
        lambda query: _metadata(query, "osd"),
    ),
    _line("osd versions", "versions of OSDs", lambda q: _count(q, "osd", "ceph_version")),
    _line(f"osd count-metadata {_PROPERTY}", "OSDs by a property", _counted("osd")),
    _line(f"osd find {_OSD}", "where an OSD is", _find),
    _line(f"osd info {_OSD},req=false", "an OSD as the map has it", _info),
    _line("osd numa-status", "which memory OSDs are near to", _numa),
    _line("osd getmaxosd", "one more than the largest id there may be", _max_osd),
)
