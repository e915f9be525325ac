# SPDX-License-Identifier: Apache-2.0
"""Commands about what is held back: full ratios, the blocklist, flags of single OSDs, releases."""

import errno
from collections.abc import Callable
from typing import Final

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import printing
from octostack.engines.ceph.mon.core.answers import Answer, Failure, formatted
from octostack.engines.ceph.mon.core.commands.osd import changed
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.osdview import RELEASES
from octostack.engines.ceph.mon.core.state import next_change
from octostack.wire.ceph.addresses import Address, AddressKind, parse
from octostack.wire.ceph.maps.osdmap import Incremental, OSDState

BLOCKED_FOR_S: Final = 3600.0
_NANOS: Final = 1_000_000_000
_GROUP_FLAGS: Final = {
    "noup": OSDState.NOUP,
    "nodown": OSDState.NODOWN,
    "noin": OSDState.NOIN,
    "noout": OSDState.NOOUT,
}


def _step(query: Query, **values: object) -> Incremental:
    return msgspec.structs.replace(next_change(query.state.osdmap, query.now_ns), **values)


def _ratio(query: Query, word: str, field: str) -> Answer:
    ratio = float(query.text("ratio"))
    return changed(_step(query, **{field: ratio}), f"osd set-{word}-ratio {ratio:g}")


def _ratios(word: str, field: str) -> Callable[[Query], Answer]:
    return lambda query: _ratio(query, word, field)


# Blocklist


def _address(query: Query) -> Address:
    text = query.text("addr")
    try:
        place, _, nonce = text.partition("/")
        found = parse(f"{place if ':' in place else place + ':0'}/{nonce or 0}", AddressKind.ANY)
    except (Invalid, ValueError):
        raise Failure(errno.EINVAL, f"unable to parse address {text}") from None
    return found


def _shown(at: Address) -> str:
    return f"{at.place}/{at.nonce}"


def _block(query: Query) -> Answer:
    map_, at = query.state.osdmap, _address(query)
    word = query.text("blocklistop")
    known = next((one for one in map_.blocklist if _shown(one) == _shown(at)), None)
    if word == "rm":
        if known is None:
            return Answer(status=f"{_shown(at)} isn't blocklisted")
        return changed(_step(query, old_blocklist=(known,)), f"un-blocklisting {_shown(at)}")
    lasts_s = float(query.arguments.get("expire", BLOCKED_FOR_S))
    until = query.now_ns + int(lasts_s * _NANOS)
    status = f"blocklisting {_shown(at)} until {printing.stamp(until)} ({lasts_s:g} sec)"
    return changed(_step(query, new_blocklist={known or at: until}), status)


def _blocked(query: Query) -> Answer:
    found = query.state.osdmap.blocklist
    status = f"listed {len(found)} entries"
    if query.style == "plain":
        lines = (f"{_shown(at)} {printing.stamp(until)}\n" for at, until in found.items())
        return Answer("".join(lines).encode(), status)
    shown = [{"addr": _shown(at), "until": printing.stamp(until)} for at, until in found.items()]
    # ranges of addresses, which there are none of, follow as a list of their own
    return Answer(formatted(shown, "json").rstrip() + b"[]", status)


def _unblock_all(query: Query) -> Answer:
    found = tuple(query.state.osdmap.blocklist)
    step = _step(query, old_blocklist=found) if found else None
    return changed(step, " removed all blocklist entries")


# Flags of single OSDs


def _chosen(query: Query, name: str) -> list[int]:
    map_ = query.state.osdmap
    found: list[int] = []
    for word in query.arguments[name]:
        text = str(word).removeprefix("osd.")
        item = next((i for i, n in map_.crush.names.items() if n == str(word) and i < 0), None)
        if text in {"all", "any", "*"}:
            found += osds.list_known(map_)
        elif text.isdigit() and osds.is_known(map_, int(text)):
            found.append(int(text))
        elif item is not None:
            found += _below(query, item)
        else:
            raise Failure(errno.ENOENT, f"osd.{text} does not exist")
    return found


def _below(query: Query, item: int) -> list[int]:
    bucket = query.state.osdmap.crush.find_bucket(item)
    found: list[int] = []
    for child in bucket.items if bucket else ():
        found += [child] if child >= 0 else _below(query, child)
    return found


def _mark(query: Query, names: list[str], members: list[int], *, on: bool) -> Answer:
    bits = 0
    for name in names:
        if name not in _GROUP_FLAGS:
            raise Failure(errno.EINVAL, f"invalid flag '{name}'")
        bits |= _GROUP_FLAGS[name]
    states = query.state.osdmap.osd_state
    flipped = {}
    for osd in members:
        difference = (bits & ~states[osd]) if on else (bits & states[osd])
        if difference:
            flipped[osd] = int(difference)
    return changed(_step(query, new_state=flipped) if flipped else None, "")


def _group(query: Query, *, on: bool) -> Answer:
    return _mark(query, query.text("flags").split(","), _chosen(query, "who"), on=on)


def _single(name: str, *, on: bool) -> Callable[[Query], Answer]:
    return lambda query: _mark(query, [name], _chosen(query, "ids"), on=on)


# Releases


def _require(query: Query) -> Answer:
    name = query.text("release")
    number = next((one for one, known in RELEASES.items() if known == name), None)
    if number is None:
        raise Failure(errno.EPERM, f"not supported for this release: {name}")
    map_ = query.state.osdmap
    if number < map_.require_osd_release:
        raise Failure(errno.EPERM, "require_osd_release cannot be lowered once it has been set")
    step = _step(query, new_require_osd_release=number)
    return changed(step if number > map_.require_osd_release else None, "")


def _min_client(query: Query) -> Answer:
    name = query.text("version")
    number = next((one for one, known in RELEASES.items() if known == name), None)
    if number is None:
        raise Failure(errno.EINVAL, f"version {name} is not recognized")
    status = f"set require_min_compat_client to {name}"
    return changed(_step(query, new_require_min_compat_client=number), status)


def _get_min_client(query: Query) -> Answer:
    return Answer(f"{RELEASES[query.state.osdmap.require_min_compat_client]}\n".encode())


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "rw") -> Command:
    return Command(f"osd {words}", says, "osd", permission, act)


_RATIO: Final = "name=ratio,type=CephFloat,range=0.0|1.0"
_WHO: Final = "name=flags,type=CephString name=who,type=CephString,n=N"
_IDS: Final = "name=ids,type=CephString,n=N"

TABLE: Final = (
    _line(
        f"set-full-ratio {_RATIO}",
        "how full an OSD must be to take no more",
        _ratios("full", "new_full_ratio"),
    ),
    _line(
        f"set-nearfull-ratio {_RATIO}",
        "how full one must be to be warned of",
        _ratios("nearfull", "new_nearfull_ratio"),
    ),
    _line(
        f"set-backfillfull-ratio {_RATIO}",
        "how full one must be to take no copies from others",
        _ratios("backfillfull", "new_backfillfull_ratio"),
    ),
    _line(
        "blocklist name=blocklistop,type=CephChoices,strings=add|rm name=addr,type=CephEntityAddr "
        "name=expire,type=CephFloat,range=0.0,req=false",
        "serve a client no more for <expire> seconds, or again",
        _block,
    ),
    _line("blocklist ls", "clients that are not served", _blocked, "r"),
    _line("blocklist clear", "serve all again", _unblock_all),
    _line(f"set-group {_WHO}", "flags of OSDs", lambda query: _group(query, on=True)),
    _line(f"unset-group {_WHO}", "take them away", lambda query: _group(query, on=False)),
    *(
        _line(f"{word}-{name} {_IDS}", f"{name} of OSDs", _single(name, on=word == "add"))
        for name in _GROUP_FLAGS
        for word in ("add", "rm")
    ),
    _line("require-osd-release name=release,type=CephString", "the oldest OSDs let in", _require),
    _line(
        "set-require-min-compat-client name=version,type=CephString "
        "name=yes_i_really_mean_it,type=CephBool,req=false",
        "the oldest clients that the map is made for",
        _min_client,
    ),
    _line("get-require-min-compat-client", "the same as it is", _get_min_client, "r"),
)
