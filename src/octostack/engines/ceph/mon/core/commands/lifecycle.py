# SPDX-License-Identifier: Apache-2.0
"""Commands that make OSDs, take them away, and give up what they had."""

import errno
import uuid
from collections.abc import Callable
from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core.answers import Answer, Failure, formatted
from octostack.engines.ceph.mon.core.auth import osd as osd_entity
from octostack.engines.ceph.mon.core.commands.osd import changed
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.cephx.boxes import Key, parse_key
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.maps.osdmap import OSDState, OSDXInfo


class _Given(msgspec.Struct):
    cephx_secret: str = ""


def _new(query: Query) -> Answer:
    """The number of an OSD of that unique id: the one it has, one that is free, or a new one."""
    try:
        unique = uuid.UUID(query.text("uuid"))
    except ValueError:
        raise Failure(errno.EINVAL, f"invalid uuid '{query.text('uuid')}'") from None
    map_ = query.state.osdmap
    if unique in map_.osd_uuid:
        return _numbered(map_.osd_uuid.index(unique), query)
    wanted = query.text("id").removeprefix("osd.")
    free = (osd for osd in range(map_.max_osd) if not osds.is_known(map_, osd))
    number = int(wanted) if wanted.isdigit() else next(free, map_.max_osd)
    if osds.is_known(map_, number) and not osds.is_destroyed(map_, number):
        raise Failure(errno.EEXIST, f"id {number} already in use and does not match uuid {unique}")
    known = map_.osd_state[number] if number < map_.max_osd else 0
    bits = (OSDState.EXISTS | OSDState.NEW) ^ (known & (OSDState.EXISTS | OSDState.DESTROYED))
    step = msgspec.structs.replace(
        next_change(map_, query.now_ns),
        new_uuid={number: unique},
        new_state={number: int(bits)},
        new_xinfo={number: OSDXInfo()},
        new_weight={number: 0},
    )
    if number >= map_.max_osd:
        step = msgspec.structs.replace(step, new_max_osd=number + 1)
    auth = query.state.auth
    entities = {**auth.entities, f"osd.{number}": osd_entity(_secret(query))}
    made = msgspec.structs.replace(auth, entities=entities) if auth.entities else None
    answer = _numbered(number, query)
    return msgspec.structs.replace(answer, change=Change(osdmap=step, auth=made))


def _numbered(number: int, query: Query) -> Answer:
    if query.style == "plain":
        return Answer(f"{number}\n".encode())
    return Answer(formatted({"osdid": number}, query.style))


def _secret(query: Query) -> Key:
    if not query.data:
        return query.senses.key()
    try:
        given = msgspec.json.decode(query.data, type=_Given)
        return parse_key(given.cephx_secret) if given.cephx_secret else query.senses.key()
    except (msgspec.MsgspecError, Malformed):
        raise Failure(errno.EINVAL, "could not parse secrets") from None


def _rm(query: Query) -> Answer:
    map_ = query.state.osdmap
    lines, gone = [], {}
    for word in query.arguments["ids"]:
        text = str(word).removeprefix("osd.")
        osd = int(text) if text.isdigit() else -1
        if not osds.is_known(map_, osd):
            lines.append(f"osd.{text} does not exist. ")
        elif osds.is_up(map_, osd):
            raise Failure(errno.EBUSY, f"osd.{osd} is still up; must be down before removal. ")
        else:
            lines.append(f"removed osd.{osd}")
            gone[osd] = int(map_.osd_state[osd])
    step = msgspec.structs.replace(next_change(map_, query.now_ns), new_state=gone)
    return changed(step if gone else None, "".join(lines))


def _lost(query: Query) -> Answer:
    map_ = query.state.osdmap
    text = query.text("id").removeprefix("osd.")
    osd = int(text) if text.isdigit() else -1
    if not query.arguments.get("yes_i_really_mean_it"):
        raise Failure(
            errno.EPERM,
            "are you SURE?  this might mean real, permanent data loss.  pass "
            "--yes-i-really-mean-it if you really do.",
        )
    if not osds.is_known(map_, osd):
        raise Failure(errno.ENOENT, f"osd.{text} does not exist")
    if osds.is_up(map_, osd):
        raise Failure(errno.EBUSY, f"osd.{osd} is not down")
    epoch = map_.osd_info[osd].down_at
    step = msgspec.structs.replace(next_change(map_, query.now_ns), new_lost={osd: epoch})
    return changed(step, f"marked osd lost in epoch {epoch}")


def _line(words: str, says: str, act: Callable[[Query], Answer]) -> Command:
    return Command(f"osd {words}", says, "osd", "rw", act)


_SURE: Final = "name=yes_i_really_mean_it,type=CephBool,req=false"

TABLE: Final = (
    _line(
        "new name=uuid,type=CephUUID name=id,type=CephOsdName,req=false",
        "a number, and with cephx a key, for an OSD of this unique id",
        _new,
    ),
    _line("rm name=ids,type=CephString,n=N", "forget OSDs that are down", _rm),
    _line(
        f"lost name=id,type=CephOsdName {_SURE}",
        "give up what was only on this OSD, which is down",
        _lost,
    ),
)
