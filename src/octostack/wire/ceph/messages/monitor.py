# SPDX-License-Identifier: Apache-2.0
"""What clients and daemons say to a monitor, and what it answers."""

import uuid
from typing import Final

import msgspec

from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind
from octostack.wire.ceph.messages.layout import SEEN, Layout, Message, optional

NO_FSID: Final = uuid.UUID(int=0)


class MonGetMap(Message, frozen=True):
    """Asks for the map of monitors."""


class MonMapMessage(Message, frozen=True):
    """The map of monitors, encoded."""

    monmap: bytes


class Subscription(msgspec.Struct, frozen=True):
    """From which version on, and whether once only."""

    start: int
    once: bool = False


class MonSubscribe(Message, frozen=True):
    """Wants maps as they change."""

    what: dict[str, Subscription]
    hostname: str = ""


class MonSubscribeAck(Message, frozen=True):
    """Said to clients of before release 10."""

    interval_s: int
    fsid: uuid.UUID


class ConfigMessage(Message, frozen=True):
    """The central configuration as it applies to this client."""

    options: dict[str, str]


class MgrMapMessage(Message, frozen=True):
    """The map of managers, encoded."""

    mgrmap: bytes


class MonGetVersion(Message, frozen=True):
    """Which versions of a map are there?"""

    handle: int
    what: str


class MonGetVersionReply(Message, frozen=True):
    """From the oldest to the newest."""

    handle: int
    newest: int
    oldest: int


class MonCommand(Message, frozen=True):
    """A command as JSON text; `data` is its input."""

    command: tuple[str, ...]
    seen: int = 0
    fsid: uuid.UUID = NO_FSID
    data: bytes = b""


class MonCommandAck(Message, frozen=True):
    """Its outcome: zero or a negative errno, a line of status, and the output in `data`."""

    result: int
    status: str
    command: tuple[str, ...] = ()
    seen: int = 0
    data: bytes = b""


class Statfs(Message, frozen=True):
    """How much space is there, in all or in a pool?"""

    fsid: uuid.UUID
    pool: int | None = None
    seen: int = 0


class StatfsReply(Message, frozen=True):
    """So much, in KiB."""

    fsid: uuid.UUID
    version: int
    kb: int
    kb_used: int
    kb_avail: int
    objects: int


class GetPoolStats(Message, frozen=True):
    """What do these pools hold?"""

    fsid: uuid.UUID
    pools: tuple[str, ...]
    seen: int = 0


class GetPoolStatsReply(Message, frozen=True):
    """Statistics by name of pool, encoded each."""

    fsid: uuid.UUID
    stats: dict[str, bytes]
    seen: int = 0
    per_pool: bool = False


class PoolOpCode:
    """What a PoolOp does."""

    CREATE: Final = 0x01
    DELETE: Final = 0x02
    CREATE_SNAP: Final = 0x11
    DELETE_SNAP: Final = 0x12
    CREATE_OWN_SNAP: Final = 0x21  # one that the client manages itself
    DELETE_OWN_SNAP: Final = 0x22


class PoolOp(Message, frozen=True):
    """Makes or removes a pool or a snapshot of one."""

    fsid: uuid.UUID
    pool: int
    op: int
    snap: int = 0
    name: str = ""
    crush_rule: int = 0
    seen: int = 0


class PoolOpReply(Message, frozen=True):
    """Done as of this epoch of the OSD map."""

    fsid: uuid.UUID
    result: int
    epoch: int
    output: bytes | None = None
    seen: int = 0


class Auth(Message, frozen=True):
    """Renews tickets over a connection that is open."""

    protocol: int
    payload: bytes
    monmap_epoch: int = 0
    seen: int = 0


class AuthReply(Message, frozen=True):
    """The tickets."""

    protocol: int
    result: int
    global_id: int
    payload: bytes
    text: str = ""


def _read_subscription(r: Reader) -> Subscription:
    return Subscription(r.u64(), bool(r.u8() & 1))


def _write_subscription(w: Writer, value: Subscription) -> None:
    w.u64(value.start)
    w.boolean(value.once)


_SUBSCRIPTION: Final = Kind(_read_subscription, _write_subscription, 9)
_FSID: Final = Field("fsid", f.UUID)
_REST: Final = Kind(lambda r: bytes(r.rest()), Writer.raw)
_COMMAND: Final = Field("command", f.vector(f.STRING))
_STRINGS: Final = f.mapping(f.STRING, f.STRING)


def _read_stats(r: Reader) -> dict[str, bytes]:
    return {r.string(): bytes(f.OPAQUE.read(r)) for _ in range(r.count(10))}


def _write_stats(w: Writer, value: dict[str, bytes]) -> None:
    w.u32(len(value))
    for name in sorted(value):
        w.string(name)
        w.raw(value[name])


TABLE: Final = (
    Layout(4, "mon_map", MonMapMessage, fields=(Field("monmap", f.BYTES),)),
    Layout(5, "mon_getmap", MonGetMap),
    Layout(13, "statfs", Statfs, 2, 1, (*SEEN, _FSID, Field("pool", optional(f.S64), 2))),
    Layout(
        14,
        "statfs_reply",
        StatfsReply,
        fields=(
            _FSID,
            Field("version", f.U64),
            Field("kb", f.U64),
            Field("kb_used", f.U64),
            Field("kb_avail", f.U64),
            Field("objects", f.U64),
        ),
    ),
    Layout(
        15,
        "mon_subscribe",
        MonSubscribe,
        3,
        1,
        (Field("what", f.mapping(f.STRING, _SUBSCRIPTION)), Field("hostname", f.STRING, 3)),
    ),
    Layout(16, "mon_subscribe_ack", MonSubscribeAck, fields=(Field("interval_s", f.U32), _FSID)),
    Layout(
        17,
        "auth",
        Auth,
        fields=(
            *SEEN,
            Field("protocol", f.U32),
            Field("payload", f.BYTES),
            Field("monmap_epoch", f.U32),
        ),
    ),
    Layout(
        18,
        "auth_reply",
        AuthReply,
        fields=(
            Field("protocol", f.U32),
            Field("result", f.S32),
            Field("global_id", f.U64),
            Field("payload", f.BYTES),
            Field("text", f.STRING),
        ),
    ),
    Layout(
        19,
        "mon_get_version",
        MonGetVersion,
        fields=(Field("handle", f.U64), Field("what", f.STRING)),
    ),
    Layout(
        20,
        "mon_get_version_reply",
        MonGetVersionReply,
        2,
        2,
        (Field("handle", f.U64), Field("newest", f.U64), Field("oldest", f.U64, 2)),
    ),
    Layout(
        48,
        "pool_op_reply",
        PoolOpReply,
        fields=(
            *SEEN,
            _FSID,
            Field("result", f.S32),
            Field("epoch", f.U32),
            Field("output", optional(f.BYTES)),
        ),
    ),
    Layout(
        49,
        "pool_op",
        PoolOp,
        4,
        2,
        (
            *SEEN,
            _FSID,
            Field("pool", f.U32),
            Field("op", f.U32),
            Field("", f.zero(f.U64)),
            Field("snap", f.U64),
            Field("name", f.STRING),
            Field("", f.zero(f.U8)),
            Field("crush_rule", Kind(Reader.s16, Writer.s16, 2), 4),
        ),
    ),
    Layout(50, "mon_command", MonCommand, fields=(*SEEN, _FSID, _COMMAND), has_data=True),
    Layout(
        51,
        "mon_command_ack",
        MonCommandAck,
        fields=(*SEEN, Field("result", f.S32), Field("status", f.STRING), _COMMAND),
        has_data=True,
    ),
    Layout(
        58,
        "getpoolstats",
        GetPoolStats,
        fields=(*SEEN, _FSID, Field("pools", f.vector(f.STRING))),
    ),
    Layout(
        59,
        "getpoolstatsreply",
        GetPoolStatsReply,
        2,
        1,
        (
            *SEEN,
            _FSID,
            Field("stats", Kind(_read_stats, _write_stats, 4)),
            Field("per_pool", f.BOOL, 2),
        ),
    ),
    Layout(62, "config", ConfigMessage, fields=(Field("options", _STRINGS),)),
    Layout(
        1796,
        "mgrmap",
        MgrMapMessage,
        fields=(Field("mgrmap", Kind(lambda r: bytes(r.rest()), Writer.raw)),),
    ),
)
