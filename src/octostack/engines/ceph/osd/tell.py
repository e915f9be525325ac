# SPDX-License-Identifier: Apache-2.0
"""Commands to one OSD itself: ``ceph tell osd.0 ...`` and ``ceph pg 1.0 query``."""

import errno
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from octostack.base import clock
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.osd import unfound
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.options import Options
from octostack.engines.ceph.osd.queryview import view_group
from octostack.engines.ceph.osd.replicated import Replica
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import PG, HObject, ShardPG, parse_pg

VERSION: Final = {"version": "16.2.15", "release": "pacific", "release_type": "stable"}
_BENCH_BYTES_MAX: Final = 1 << 30
BENCH: Final = PG(-9, 0)  # a collection that nothing else uses
_Arguments = dict[str, Any]


class Told(Protocol):
    """An OSD, as far as these commands need it."""

    number: int
    options: Options

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""

    @property
    def groups(self) -> dict[PG, Replica]:
        """Those that it is the primary of."""

    @property
    def store(self) -> api.ObjectStore:
        """Where its objects are."""

    def counters(self) -> dict[str, dict[str, int]]:
        """What it counted."""

    def say(self, text: str) -> None:
        """A line for the cluster's log."""

    def flush(self) -> int:
        """Report now; the number of the report."""

    def in_flight(self) -> list[dict[str, Any]]:
        """Operations that are not answered yet."""

    def recent(self) -> list[dict[str, Any]]:
        """Operations that were answered last."""


class Refused(Exception):
    """A command that cannot be done: a positive errno and a line of why."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class _Asked(dict[str, Any]):
    """The arguments of a command; one that is needed and was not given refuses it."""

    def __missing__(self, name: str) -> Any:
        raise Refused(errno.EINVAL, f"no {name} specified")


class Reply(msgspec.Struct, frozen=True):
    """As it goes back to the client."""

    result: int = 0
    status: str = ""
    output: bytes = b""


class Later(msgspec.Struct, frozen=True):
    """A command that takes its time: `begin` it, and it will say its reply."""

    begin: Callable[[Callable[[Reply], None]], None]


def run(osd: Told, words: tuple[str, ...]) -> Reply | Later:
    """Do what is asked."""
    try:
        asked = _Asked(msgspec.json.decode("".join(words), type=_Arguments))
        prefix = str(asked.get("prefix", ""))
        if prefix == "get_command_descriptions":
            return Reply(output=_descriptions())
        known = TABLE.get(prefix)
        if known is None:
            raise Refused(errno.EINVAL, f"command '{prefix}' not known")
        found = known[2](osd, asked)
    except Refused as refused:
        return Reply(-refused.number, refused.text)
    except (msgspec.MsgspecError, ValueError) as error:
        return Reply(-errno.EINVAL, str(error))
    if isinstance(found, Reply | Later):
        return found
    return Reply(output=_format(found, str(asked.get("format", "json-pretty"))))


def _format(found: Any, style: str) -> bytes:
    text = msgspec.json.encode(found)
    return text if style == "json" else msgspec.json.format(text, indent=4) + b"\n"


def _descriptions() -> bytes:
    found = {}
    for number, (prefix, (parameters, says, _)) in enumerate(TABLE.items()):
        signature: list[Any] = prefix.split()
        for word in parameters.split():
            pairs = (pair.partition("=") for pair in word.split(","))
            signature.append({key: value for key, _, value in pairs})
        found[f"cmd{number:03}"] = {
            "sig": signature,
            "help": says,
            "module": "osd",
            "perm": "rw",
            "flags": 0,
        }
    return msgspec.json.encode(found)


# Configuration


def _config_get(osd: Told, asked: _Arguments) -> Any:
    name = _option(asked["var"])
    return {name: _value(osd, name)}


def _option(text: object) -> str:
    return str(text).strip().replace("-", "_").replace(" ", "_")


def _value(osd: Told, name: str) -> str:
    value = osd.options.find(name)
    if value is None:
        why = f"error getting '{name}': (2) No such file or directory"
        raise Refused(errno.ENOENT, why)
    return value


def _config_set(osd: Told, asked: _Arguments) -> Any:
    name = _option(asked["var"])
    value = " ".join(map(str, asked["val"])) if isinstance(asked["val"], list) else asked["val"]
    _value(osd, name)
    osd.options.override(name, str(value))
    return {"success": f"{name} = '{value}' "}


def _config_unset(osd: Told, asked: _Arguments) -> Any:
    name = _option(asked["var"])
    _value(osd, name)
    osd.options.override(name, None)
    return {"success": f"{name} = '{_value(osd, name)}' "}


def _config_show(osd: Told, _asked: _Arguments) -> Any:
    return {"name": f"osd.{osd.number}", "cluster": "ceph", **osd.options.all()}


def _config_diff(osd: Told, _asked: _Arguments) -> Any:
    return {"diff": osd.options.differences()}


def _inject(osd: Told, asked: _Arguments) -> Any:
    words = " ".join(map(str, asked["injected_args"])).replace("=", " ").split()
    lines = []
    while words:
        name = _option(words.pop(0).removeprefix("--"))
        if not words:
            raise Refused(errno.EINVAL, f"option {name} needs a value")
        value = words.pop(0)
        _value(osd, name)
        osd.options.override(name, value)
        lines.append(f"{name} = '{value}' ")
    return Reply(status="".join(lines), output=b"{}")


# What it does


def _status(osd: Told, _asked: _Arguments) -> Any:
    map_ = osd.osdmap
    me = osd.number
    return {
        "cluster_fsid": str(map_.fsid),
        "osd_fsid": str(map_.osd_uuid[me]) if me < map_.max_osd else "",
        "whoami": me,
        "state": "active" if osds.is_up(map_, me) else "booting",
        "oldest_map": 1,
        "cluster_osdmap_trim_lower_bound": 1,
        "newest_map": map_.epoch,
        "num_pgs": len(osd.store.collections()),
    }


def _ops(osd: Told, _asked: _Arguments) -> Any:
    found = osd.in_flight()
    return {"ops": found, "num_ops": len(found)}


def _historic(osd: Told, _asked: _Arguments) -> Any:
    found = osd.recent()
    return {"size": len(found), "duration": 600, "ops": found}


def _heap(_osd: Told, _asked: _Arguments) -> Any:
    why = "could not issue heap profiler command -- not using tcmalloc!"
    raise Refused(errno.EOPNOTSUPP, why)


def _blocked(osd: Told, _asked: _Arguments) -> Any:
    limit = float(osd.options.find("osd_op_complaint_time") or 30)
    found = [one for one in osd.in_flight() if one["age"] > limit]
    return {"ops": found, "complaint_time": int(limit), "num_blocked_ops": len(found)}


def _watchers(osd: Told, _asked: _Arguments) -> Any:
    return [
        {
            "namespace": what.namespace.decode(errors="replace"),
            "object": what.name.decode(errors="replace"),
            "watchers": [
                {"cookie": one.cookie, "timeout": one.timeout_s, "client": f"client.{one.client}"}
                for one in watchers
            ],
        }
        for group in osd.groups.values()
        for what, watchers in group.group.watching.list_watchers()
    ]


def _blocklist(osd: Told, _asked: _Arguments) -> Any:
    until = {f"{at.place}/{at.nonce}": when for at, when in osd.osdmap.blocklist.items()}
    shown = [{"addr": addr, "until": clock.iso(when / 1e9)} for addr, when in until.items()]
    return Reply(output=msgspec.json.encode(shown) + b"[]")


def _flush(osd: Told, _asked: _Arguments) -> Any:
    return Reply(output=f"{osd.flush()}".encode() + b"\n")


def _pools(osd: Told, _asked: _Arguments) -> Any:
    return sorted({where.pg.pool for where in osd.store.collections() if where.pg.pool >= 0})


def _latest(osd: Told, _asked: _Arguments) -> Any:
    return Reply()


def _reset(_osd: Told, asked: _Arguments) -> Any:
    return {"success": f"perf reset {asked.get('var', 'all')}"}


def _perf(osd: Told, _asked: _Arguments) -> Any:
    return osd.counters()


def _schema(osd: Told, _asked: _Arguments) -> Any:
    kind = {
        "type": 10,
        "metric_type": "counter",
        "value_type": "integer",
        "description": "",
        "nick": "",
        "priority": 5,
        "units": "none",
    }
    return {section: dict.fromkeys(counters, kind) for section, counters in osd.counters().items()}


def _bench(osd: Told, asked: _Arguments) -> Any:
    """Writes to the store, as fast as it takes changes; durability is the store's own affair."""
    total = int(asked.get("count", 1 << 30))
    size = int(asked.get("size", 4 << 20))
    if not 0 < size <= 64 << 20 or not 0 < total <= _BENCH_BYTES_MAX:
        raise Refused(errno.EINVAL, "count or size of the benchmark is too large")
    where = ShardPG(BENCH)
    data = bytes(size)
    began = clock.monotonic()
    if where not in osd.store.collections():
        osd.store.queue([[api.CreateCollection(where, 0)]])
    for number in range(max(1, total // size)):
        what = HObject(name=f"bench_{number}".encode(), pool=BENCH.pool)
        osd.store.queue([[api.Touch(where, what), api.Write(where, what, 0, data)]])
        osd.store.queue([[api.Remove(where, what)]])
    osd.store.queue([[api.RemoveCollection(where)]])
    took = max(1e-9, clock.monotonic() - began)
    return {
        "bytes_written": total,
        "blocksize": size,
        "elapsed_sec": took,
        "bytes_per_sec": total / took,
        "iops": total / size / took,
    }


def _query(osd: Told, asked: _Arguments) -> Any:
    try:
        pg = parse_pg(str(asked["pgid"]))
    except Malformed:
        raise Refused(errno.EINVAL, f"invalid pgid '{asked['pgid']}'") from None
    group = osd.groups.get(pg)
    if group is None:
        raise Refused(errno.ENOENT, f"i don't have pgid {pg}")
    prefix = str(asked["prefix"])
    command = asked.get("cmd", "query") if prefix == "pg" else prefix
    if command == "query":
        return view_group(osd.osdmap, pg, group)
    if command == "list_unfound":
        offset = asked.get("offset")
        return unfound.view(group, unfound.parse_offset(str(offset)) if offset else None)
    if command == "mark_unfound_lost":
        return _give_up(osd, pg, group, asked.get("mulcmd"))
    if command == "log":
        return {"log": []}
    raise Refused(errno.EINVAL, f"command 'pg {command}' not known")


def _give_up(osd: Told, pg: PG, group: Replica, mode: object) -> Reply | Later:
    """`pg ID mark_unfound_lost`, with the words of PrimaryLogPG::do_command."""
    if mode == "revert" and group.peering.view.k > 1:
        raise Refused(errno.EINVAL, "mode must be 'delete' for ec pool")
    if mode not in ("revert", "delete"):
        why = "mode must be 'revert' or 'delete'; mark not yet implemented"
        raise Refused(errno.EINVAL, why)
    count = len(group.recovery.finding.list_unfound())
    if not count:
        return Reply(status="pg has no unfound objects")
    if group.losing.is_running or group.peering.phase != Phase.ACTIVE:
        raise Refused(errno.EAGAIN, f"pg {pg} is busy with its unfound objects")
    if not unfound.may_give_up(osd.osdmap, group):
        many = f"pg has {count} unfound objects"
        raise Refused(errno.EINVAL, f"{many} but we haven't probed all sources, not marking lost")

    def begin(reply: Callable[[Reply], None]) -> None:
        def done(result: int) -> None:
            text = f"pg has {count} objects unfound and apparently lost marking"
            if not result:
                osd.say(f"{pg} {text}")
            reply(Reply(result, text))

        group.losing.begin(revert=mode == "revert", done=done)

    return Later(begin)


_Line = tuple[str, str, Callable[[Told, _Arguments], Any]]
_VAR: Final = "name=var,type=CephString"
TABLE: Final[dict[str, _Line]] = {
    "version": ("", "what this daemon is", lambda _osd, _asked: VERSION),
    "status": ("", "how it is", _status),
    "config get": (_VAR, "the value of an option", _config_get),
    "config set": (f"{_VAR} name=val,type=CephString,n=N", "set it here", _config_set),
    "config unset": (_VAR, "as the central configuration has it", _config_unset),
    "config show": ("", "the values of all options", _config_show),
    "config diff": ("", "those that are not as they are by default", _config_diff),
    "injectargs": ("name=injected_args,type=CephString,n=N", "set options here", _inject),
    "perf dump": (
        "name=logger,type=CephString,req=false name=counter,type=CephString,req=false",
        "counters",
        _perf,
    ),
    "perf schema": ("", "what is counted", _schema),
    "perf reset": (_VAR, "begin to count anew", _reset),
    "ops": ("", "operations that are not answered yet", _ops),
    "dump_ops_in_flight": ("", "operations that are not answered yet", _ops),
    "dump_blocked_ops": ("", "those that take long", _blocked),
    "dump_watchers": ("", "who watches which object", _watchers),
    "dump_blocklist": ("", "clients that are not served", _blocklist),
    "flush_pg_stats": ("", "report now", _flush),
    "get_mapped_pools": ("", "pools that it has groups of", _pools),
    "list_devices": ("", "disks that it uses", lambda _osd, _asked: []),
    "dump_historic_ops": ("", "operations that were answered of late", _historic),
    "heap": ("name=heapcmd,type=CephString", "what its memory is used for", _heap),
    "get_latest_osdmap": ("", "ask for the newest map", _latest),
    "bench": (
        "name=count,type=CephInt,req=false name=size,type=CephInt,req=false",
        "write so many bytes, so many at a time",
        _bench,
    ),
    "pg": (
        "name=pgid,type=CephPgid "
        "name=cmd,type=CephChoices,strings=query|list_unfound|mark_unfound_lost|log "
        "name=mulcmd,type=CephChoices,strings=revert|delete,req=false "
        "name=offset,type=CephString,req=false",
        "what a group knows",
        _query,
    ),
    "query": ("name=pgid,type=CephPgid,req=false", "what a group knows", _query),
    "list_unfound": (
        "name=pgid,type=CephPgid,req=false name=offset,type=CephString,req=false",
        "objects of a group that nobody has, from an offset in JSON on",
        _query,
    ),
    "mark_unfound_lost": (
        "name=pgid,type=CephPgid,req=false name=mulcmd,type=CephChoices,strings=revert|delete",
        "give them up: as they were in an older version, or not at all",
        _query,
    ),
}
