# SPDX-License-Identifier: Apache-2.0
"""Commands about which monitors there are."""

import errno
from collections.abc import Callable
from typing import Final

import msgspec

from octostack.engines.ceph.mon.core import views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.addresses import Address, Addresses, AddressKind, format_many
from octostack.wire.ceph.maps import monmap
from octostack.wire.ceph.maps.monmap import MonInfo, MonMap

PORT, LEGACY_PORT = 3300, 6789
_replace = msgspec.structs.replace


def _of_epoch(query: Query) -> MonMap:
    newest = query.state.monmap
    wanted = int(query.arguments.get("epoch", 0)) or newest.epoch
    found = newest if wanted == newest.epoch else query.state.monmaps.get(wanted)
    if found is None:
        raise Failure(errno.ENOENT, f"there is no map for epoch {wanted}")
    return found


def _dump(query: Query) -> Answer:
    map_ = _of_epoch(query)
    answer = query.show(views.monmap(query, map_), views.monmap_text(map_))
    return answer.saying(f"dumped monmap epoch {map_.epoch}")


def _getmap(query: Query) -> Answer:
    map_ = _of_epoch(query)
    return Answer(monmap.encode(map_), f"got monmap epoch {map_.epoch}")


# Changes


def _changed(query: Query, status: str, **fields: object) -> Answer:
    map_ = query.state.monmap
    made = _replace(map_, epoch=map_.epoch + 1, changed=query.now_ns, **fields)
    return Answer(status=status, change=Change(monmap=made))


def _get(query: Query) -> MonInfo:
    name = query.text("name")
    found = query.state.monmap.monitors.get(name)
    if found is None:
        raise Failure(errno.ENOENT, f"mon.{name} does not exist")
    return found


def _place(text: str) -> Addresses:
    """``127.0.0.1:3300``, ``v2:127.0.0.1``, ``[::1]:3300``."""
    kind, rest = AddressKind.MSGR2, text
    for prefix, one in (("v1:", AddressKind.LEGACY), ("v2:", AddressKind.MSGR2)):
        if text.startswith(prefix):
            kind, rest = one, text.removeprefix(prefix)
    rest = rest.partition("/")[0]
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, port = rest, ""
    if kind is AddressKind.LEGACY or port == str(LEGACY_PORT):
        raise Failure(errno.EINVAL, "monitors are reached by messenger v2 only")
    if not host or (port and not port.isdigit()):
        raise Failure(errno.EINVAL, f"error parsing address '{text}'")
    return (Address(AddressKind.MSGR2, host.strip("[]"), int(port or PORT), 0),)


def _add(query: Query) -> Answer:
    map_, name = query.state.monmap, query.text("name")
    where = _place(query.text("addr"))
    known = map_.monitors.get(name)
    if known is not None and known.addresses == where:
        return Answer(status=f"mon.{name} at {format_many(where)} already exists")
    there = known or next((one for one in map_.monitors.values() if one.addresses == where), None)
    if there is not None:
        at = format_many(there.addresses)
        raise Failure(errno.EEXIST, f"mon.{there.name} already exists at address {at}")
    return _changed(
        query,
        f"adding mon.{name} at {format_many(where)}",
        monitors=map_.monitors | {name: MonInfo(name, where)},
        ranks=(*map_.ranks, name),
        removed_ranks=frozenset(),
    )


def _remove(query: Query) -> Answer:
    map_, name = query.state.monmap, query.text("name")
    known, rank = map_.monitors.get(name), map_.find_rank(name)
    if known is None or rank is None:
        return Answer(status=f"mon.{name} does not exist or has already been removed")
    if len(map_.ranks) == 1:
        raise Failure(errno.EINVAL, f"error: refusing removal of last monitor mon.{name}")
    left = len(map_.ranks) - 1
    return _changed(
        query,
        f"removing mon.{name} at {format_many(known.addresses)}, there will be {left} monitors",
        monitors={other: one for other, one in map_.monitors.items() if other != name},
        ranks=tuple(other for other in map_.ranks if other != name),
        removed_ranks=map_.removed_ranks | {rank},
        disallowed_leaders=map_.disallowed_leaders - {name},
    )


def _set_rank(query: Query) -> Answer:
    map_, name, rank = query.state.monmap, _get(query).name, int(query.arguments["rank"])
    if not 0 <= rank < len(map_.ranks):
        raise Failure(errno.EINVAL, f"rank {rank} is not one of {len(map_.ranks)} monitors")
    others = [other for other in map_.ranks if other != name]
    return _changed(query, "", ranks=(*others[:rank], name, *others[rank:]))


def _set_weight(query: Query) -> Answer:
    made = _replace(_get(query), weight=int(query.arguments["weight"]))
    return _changed(query, "", monitors=query.state.monmap.monitors | {made.name: made})


# Who leads


def _set_strategy(query: Query) -> Answer:
    asked = query.text("strategy")
    if asked not in _STRATEGIES:
        raise Failure(errno.EINVAL, "")
    strategy = _STRATEGIES[asked]
    if strategy == query.state.monmap.election_strategy:
        return Answer()
    return _changed(query, "", election_strategy=strategy)


def _list_disallowed(query: Query) -> frozenset[str]:
    map_ = query.state.monmap
    if map_.election_strategy == monmap.CLASSIC:
        text = "You cannot disallow monitors in your current election mode"
        raise Failure(errno.EINVAL, text)
    return map_.disallowed_leaders


def _disallow(query: Query) -> Answer:
    disallowed, name = _list_disallowed(query), _get(query).name
    if name in disallowed:
        return Answer(status=f"mon.{name} is already disallowed")
    if len(disallowed) == len(query.state.monmap.ranks) - 1:
        raise Failure(errno.EINVAL, f"mon.{name} is the only remaining allowed leader!")
    return _changed(query, "", disallowed_leaders=disallowed | {name})


def _allow(query: Query) -> Answer:
    disallowed, name = _list_disallowed(query), _get(query).name
    if name not in disallowed:
        return Answer(status=f"mon.{name} is already allowed")
    return _changed(query, "", disallowed_leaders=disallowed - {name})


# What may be done without harm


def _most(count: int) -> int:
    return count // 2 + 1


def _ok_to_stop(query: Query) -> Answer:
    names = [str(one).removeprefix("mon.") for one in query.arguments["ids"]]
    left = [one for one in query.quorum.members if one not in names]
    shown, stopped = ",".join(left), ",".join(names)
    if len(left) < _most(len(query.state.monmap.ranks)):
        text = f"not enough monitors would be available ({shown}) after stopping mons [{stopped}]"
        raise Failure(errno.EBUSY, text)
    return Answer(status=f"quorum should be preserved ({shown}) after stopping [{stopped}]")


def _ok_to_add(query: Query) -> Answer:
    if len(query.quorum.members) < _most(len(query.state.monmap.ranks) + 1):
        text = "adding a monitor may break quorum (until that monitor starts)"
        raise Failure(errno.EBUSY, text)
    return Answer(status="adding another mon that is not yet online will not break quorum")


def _ok_to_rm(query: Query) -> Answer:
    name, ranks = query.text("id"), query.state.monmap.ranks
    if name not in ranks:
        return Answer(status=f"mon.{name} does not exist")
    left = [one for one in query.quorum.members if one != name]
    if len(left) < _most(len(ranks) - 1):
        raise Failure(errno.EBUSY, f"removal of mon.{name} would break quorum")
    return Answer(status=f"safe to remove mon.{name}")


def _line(words: str, says: str, act: Callable[[Query], Answer], may: str = "r") -> Command:
    return Command(f"mon {words}", says, "mon", may, act)


_STRATEGIES: Final = {
    "classic": monmap.CLASSIC,
    "disallow": monmap.DISALLOW,
    "connectivity": monmap.CONNECTIVITY,
}
_NAME: Final = "name=name,type=CephString"
_EPOCH: Final = "name=epoch,type=CephInt,range=0,req=false"

TABLE: Final = (
    _line(f"dump {_EPOCH}", "dump formatted monmap (optionally from epoch)", _dump),
    _line(f"getmap {_EPOCH}", "get monmap", _getmap),
    _line(f"add {_NAME} name=addr,type=CephIPAddr", "one more monitor, at this place", _add, "rw"),
    _line(f"remove {_NAME}", "one monitor less", _remove, "rw"),
    _line(f"rm {_NAME}", "one monitor less", _remove, "rw"),
    _line(
        f"set-rank {_NAME} name=rank,type=CephInt",
        "the place of a monitor among those that would lead",
        _set_rank,
        "rw",
    ),
    _line(
        f"set-weight {_NAME} name=weight,type=CephInt,range=0|65535",
        "how readily clients choose a monitor",
        _set_weight,
        "rw",
    ),
    _line(
        "set election_strategy name=strategy,type=CephString",
        "who leads: the first one (classic), of those that may (disallow), who reaches most of them"
        " (connectivity)",
        _set_strategy,
        "rw",
    ),
    _line(f"add disallowed_leader {_NAME}", "a monitor is not to lead", _disallow, "rw"),
    _line(f"rm disallowed_leader {_NAME}", "a monitor may lead again", _allow, "rw"),
    _line(
        "ok-to-stop name=ids,type=CephString,n=N",
        "whether a quorum would be left without these",
        _ok_to_stop,
    ),
    _line(
        "ok-to-add-offline",
        "whether there would be a quorum with one more that does not run yet",
        _ok_to_add,
    ),
    _line(
        "ok-to-rm name=id,type=CephString",
        "whether there would be a quorum with that one removed",
        _ok_to_rm,
    ),
)
