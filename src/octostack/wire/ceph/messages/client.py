# SPDX-License-Identifier: Apache-2.0
"""What clients and OSDs say to one another beside reads and writes."""

import uuid
from typing import Final

import msgspec

from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind
from octostack.wire.ceph.messages.layout import Layout, Message
from octostack.wire.ceph.objects import (
    HObject,
    ShardPG,
    read_hobject,
    read_shard_pg,
    write_hobject,
    write_shard_pg,
)


class OSDMapMessage(Message, frozen=True):
    """Maps, encoded, by epoch; whole ones, or what changed."""

    fsid: uuid.UUID
    incrementals: dict[int, bytes]
    maps: dict[int, bytes]
    oldest: int
    newest: int
    gap_removed_snaps: dict[int, dict[int, int]] = msgspec.field(default_factory=dict)


class WatchNotify(Message, frozen=True):
    """To a watcher: somebody notifies; to a notifier: all have answered."""

    opcode: int
    cookie: int
    notify_id: int = 0
    payload: bytes = b""
    result: int = 0
    notifier: int = 0
    version: int = 0
    data: bytes = b""  # of a completion: who answered what, and who did not


class Command(Message, frozen=True):
    """A command to an OSD, or to the manager, as JSON text."""

    fsid: uuid.UUID
    command: tuple[str, ...]
    data: bytes = b""


class CommandReply(Message, frozen=True):
    """Its outcome; the output is in `data`."""

    result: int
    status: str
    data: bytes = b""


class MgrCommand(Command, frozen=True):
    """The same, to a manager since release 14."""


class MgrCommandReply(CommandReply, frozen=True):
    """Its outcome."""


class MgrOpen(Message, frozen=True):
    """A daemon tells a manager that it will report; what it says of itself is not read."""


class MgrConfigure(Message, frozen=True):
    """How often a daemon is to report, and which of its counters: those of this priority."""

    period_s: int = 60
    least_priority: int = 11


class MgrReport(Message, frozen=True):
    """A daemon's counters, which are not read."""


class MgrClose(Message, frozen=True):
    """A daemon will report no more."""


class Ping(Message, frozen=True):
    """A client looks whether an OSD, or a monitor, is there; a monitor says how it is, as JSON."""

    text: str = ""


class BackoffCode:
    """What a Backoff says."""

    BLOCK: Final = 1
    ACK_BLOCK: Final = 2
    UNBLOCK: Final = 3


class Backoff(Message, frozen=True):
    """An OSD asks to be sent nothing about objects from `begin` up to `end` for now, or again.

    Where both are the same, it is about that object alone.
    """

    pg: ShardPG
    epoch: int
    op: int
    id: int
    begin: HObject
    end: HObject


_COMMAND: Final = (Field("fsid", f.UUID), Field("command", f.vector(f.STRING)))
_REPLY: Final = (Field("result", f.S32), Field("status", f.STRING))
_BLOBS: Final = f.mapping(f.U32, f.BYTES)

COMMAND: Final = 97

TABLE: Final = (
    Layout(
        2,
        "ping",
        Ping,
        fields=(
            Field(
                "text",
                Kind(
                    lambda r: r.string() if r.left else "",
                    lambda w, text: w.string(text) if text else None,
                    0,
                ),
            ),
        ),
    ),
    Layout(
        41,
        "osd_map",
        OSDMapMessage,
        4,
        3,
        (
            Field("fsid", f.UUID),
            Field("incrementals", _BLOBS),
            Field("maps", _BLOBS),
            Field("oldest", f.U32, 2),
            Field("newest", f.U32, 2),
            Field("gap_removed_snaps", f.mapping(f.S64, f.mapping(f.U64, f.U64)), 4),
        ),
    ),
    Layout(
        44,
        "watch-notify",
        WatchNotify,
        3,
        1,
        (
            Field("", f.zero(f.U8, 1)),
            Field("opcode", f.U8),
            Field("cookie", f.U64),
            Field("version", f.U64),
            Field("notify_id", f.U64),
            Field("payload", f.BYTES),
            Field("result", f.S32, 2),
            Field("notifier", f.U64, 3),
        ),
        has_data=True,
    ),
    Layout(
        61,
        "osd_backoff",
        Backoff,
        fields=(
            Field("pg", Kind(read_shard_pg, write_shard_pg, 24)),
            Field("epoch", f.U32),
            Field("op", f.U8),
            Field("id", f.U64),
            Field("begin", Kind(read_hobject, write_hobject, 6)),
            Field("end", Kind(read_hobject, write_hobject, 6)),
        ),
    ),
    Layout(COMMAND, "command", Command, fields=_COMMAND, has_data=True),
    Layout(98, "command_reply", CommandReply, fields=_REPLY, has_data=True),
    Layout(1792, "mgropen", MgrOpen, 3, 1),
    Layout(
        1793,
        "mgrconfigure",
        MgrConfigure,
        2,
        1,
        (Field("period_s", f.U32), Field("least_priority", f.U32, 2)),
    ),
    Layout(1794, "mgrreport", MgrReport, 9, 1),
    Layout(1800, "mgrclose", MgrClose),
    Layout(1801, "mgr_command", MgrCommand, fields=_COMMAND, has_data=True),
    Layout(1802, "mgr_command_reply", MgrCommandReply, fields=_REPLY, has_data=True),
)
