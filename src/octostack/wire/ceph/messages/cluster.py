# SPDX-License-Identifier: Apache-2.0
"""What daemons say to monitors and to one another."""

import uuid
from typing import Final

import msgspec

from octostack.wire.ceph.addresses import (
    TYPE_NAMES,
    TYPES_BY_NAME,
    Addresses,
    EntityName,
    EntityType,
    read_addresses,
    read_name,
    write_addresses,
    write_name,
)
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind
from octostack.wire.ceph.messages.layout import SEEN, Layout, Message, optional
from octostack.wire.ceph.objects import PG, ShardPG, read_shard_pg, write_shard_pg


class Superblock(msgspec.Struct, frozen=True):
    """What an OSD knows of itself; the sets of features are of no use to us."""

    fsid: uuid.UUID
    osd: int
    current_epoch: int
    oldest_map: int
    newest_map: int
    weight: float = 0.0
    mounted: int = 0
    clean_thru: int = 0
    osd_fsid: uuid.UUID = uuid.UUID(int=0)


class OSDBoot(Message, frozen=True):
    """An OSD is up: it takes connections at these addresses."""

    superblock: Superblock
    back: Addresses
    cluster: Addresses
    boot_epoch: int
    front: Addresses
    metadata: dict[str, str]
    features: int
    seen: int = 0


class OSDFailure(Message, frozen=True):
    """One OSD does not hear another (flag 1), or hears it again (0); 2: it refuses connections."""

    fsid: uuid.UUID
    target: int
    target_addresses: Addresses
    epoch: int
    flags: int
    failed_for_s: int
    seen: int = 0


class OSDAlive(Message, frozen=True):
    """Wants its `up_thru` raised, so that its groups may go active."""

    want: int
    seen: int = 0


class PGTemp(Message, frozen=True):
    """The primary of groups wants others to act for now; none: those of the map."""

    epoch: int
    acting: dict[PG, tuple[int, ...]]
    forced: bool = False
    seen: int = 0


class OSDMarkMeDown(Message, frozen=True):
    """An OSD stops in good order."""

    fsid: uuid.UUID
    target: int
    target_addresses: Addresses
    epoch: int
    wants_ack: bool
    down_and_dead: bool = False
    seen: int = 0


class OSDPing(Message, frozen=True):
    """A heartbeat; `op` says which way it goes."""

    fsid: uuid.UUID
    epoch: int
    op: int
    stamp: int
    up_from: int = 0
    sent_mono: int = 0  # when it was asked, by the clock of who asked
    answered_mono: int = 0
    delta_ns: int | None = None


class Report(Message, frozen=True):
    """How full an OSD is and how its groups are. Our own: the real ones tell a manager."""

    data: bytes


class OSDScrub(Message, frozen=True):
    """A primary is to compare the copies of groups; deeply, with their contents; and mend them."""

    fsid: uuid.UUID
    epoch: int
    groups: tuple[ShardPG, ...]
    repair: bool
    deep: bool


class LogLine(msgspec.Struct, frozen=True):
    """A line of the cluster's log; `who` is an entity: ``mon.a``, ``client.admin``."""

    who: str
    addresses: Addresses
    stamp: int
    seq: int
    priority: int
    text: str
    channel: str
    number: int = 0  # of who: the rank of a monitor, the id of an OSD


class Log(Message, frozen=True):
    """New lines: to a monitor from who says them, from it to who listens."""

    fsid: uuid.UUID
    lines: tuple[LogLine, ...]
    seen: int = 0


class LogAck(Message, frozen=True):
    """The monitor has the lines up to this one."""

    fsid: uuid.UUID
    last: int
    channel: str = ""
    seen: int = 0


class PeerWord(Message, frozen=True):
    """What monitors say to one another. Our own: they need not talk to the real ones."""

    data: bytes


YOU_DIED, PING, PING_REPLY = 2, 4, 5
FAILED, REFUSES = 1, 2  # flags of an OSDFailure
REPORT: Final = 0x4F01
PEER_WORD: Final = 0x4F02


def _read_superblock(r: Reader) -> Superblock:
    with r.versioned(9) as version:
        fsid, osd = r.uuid(), r.s32()
        current, oldest, newest = r.u32(), r.u32(), r.u32()
        weight = r.f64()
        for _ in range(3):  # three sets of features: a mask, then names by bit
            r.u64()
            r.map(r.u64, r.string, 12)
        mounted, clean = r.u32(), r.u32()
        osd_fsid = r.uuid() if version >= 6 else uuid.UUID(int=0)
    return Superblock(fsid, osd, current, oldest, newest, weight, mounted, clean, osd_fsid)


def _write_superblock(w: Writer, v: Superblock) -> None:
    with w.versioned(9, 5):
        w.uuid(v.fsid)
        w.s32(v.osd)
        for epoch in (v.current_epoch, v.oldest_map, v.newest_map):
            w.u32(epoch)
        w.f64(v.weight)
        for _ in range(3):
            w.u64(0)
            w.u32(0)
        w.u32(v.mounted)
        w.u32(v.clean_thru)
        w.uuid(v.osd_fsid)
        w.u32(0)
        w.u32(0)
        w.u32(0)


def _read_line(r: Reader) -> LogLine:
    with r.versioned(5) as version:
        if version < 5:
            raise Malformed(f"a line of the log of version {version}")
        kind, name = r.u32(), r.string()
        number = read_name(r).number
        where, stamp, seq = read_addresses(r), r.utime(), r.u64()
        priority, text, channel = r.u16(), r.string(), r.string()
    who = f"{TYPE_NAMES.get(EntityType(kind), '?')}.{name}"
    return LogLine(who, where, stamp, seq, priority, text, channel, number)


def _write_line(w: Writer, v: LogLine) -> None:
    kind, _, name = v.who.partition(".")
    with w.versioned(5, 5):
        w.u32(TYPES_BY_NAME.get(kind, EntityType.CLIENT))
        w.string(name)
        write_name(w, EntityName(TYPES_BY_NAME.get(kind, EntityType.CLIENT), v.number))
        write_addresses(w, v.addresses)
        w.utime(v.stamp)
        w.u64(v.seq)
        w.u16(v.priority)
        w.string(v.text)
        w.string(v.channel)


_LINE: Final = Kind(_read_line, _write_line, 60)
_SUPERBLOCK: Final = Kind(_read_superblock, _write_superblock, 60)
_SHARD: Final = Kind(read_shard_pg, write_shard_pg, 18)
_SEEN_FSID: Final = (*SEEN, Field("fsid", f.UUID))
_TARGET: Final = (Field("target", f.S32), Field("target_addresses", f.ADDRESSES))

TABLE: Final = (
    Layout(REPORT, "octostack_report", Report, has_data=True),
    Layout(PEER_WORD, "octostack_mon", PeerWord, has_data=True),
    Layout(52, "log", Log, fields=(*_SEEN_FSID, Field("lines", f.vector(_LINE)))),
    Layout(
        53,
        "log(last)",
        LogAck,
        2,
        2,
        (*_SEEN_FSID, Field("last", f.U64), Field("channel", f.STRING, 2)),
    ),
    Layout(
        70,
        "osd_ping",
        OSDPing,
        5,
        4,
        (
            Field("fsid", f.UUID),
            Field("epoch", f.U32),
            Field("op", f.U8),
            Field("stamp", f.UTIME),
            Field("", f.zero(f.U32)),
            Field("up_from", f.U32, 5),
            Field("sent_mono", f.S64, 5),
            Field("answered_mono", f.S64, 5),
            Field("delta_ns", optional(f.S64), 5),
        ),
    ),
    Layout(
        71,
        "osd_boot",
        OSDBoot,
        7,
        7,
        (
            *SEEN,
            Field("superblock", _SUPERBLOCK),
            Field("back", f.ADDRESSES),
            Field("cluster", f.ADDRESSES),
            Field("boot_epoch", f.U32),
            Field("front", f.ADDRESSES),
            Field("metadata", f.mapping(f.STRING, f.STRING)),
            Field("features", f.U64),
        ),
    ),
    Layout(
        72,
        "osd_failure",
        OSDFailure,
        4,
        4,
        (
            *_SEEN_FSID,
            *_TARGET,
            Field("epoch", f.U32),
            Field("flags", f.U8),
            Field("failed_for_s", f.U32),
        ),
    ),
    Layout(
        78,
        "osd_pgtemp",
        PGTemp,
        2,
        1,
        (
            *SEEN,
            Field("epoch", f.U32),
            Field("acting", f.mapping(f.PG, f.vector(f.S32))),
            Field("forced", f.BOOL, 2),
        ),
    ),
    Layout(
        121,
        "scrub2",
        OSDScrub,
        fields=(
            Field("fsid", f.UUID),
            Field("epoch", f.U32),
            Field("groups", f.vector(_SHARD)),
            Field("repair", f.BOOL),
            Field("deep", f.BOOL),
        ),
    ),
    Layout(73, "osd_alive", OSDAlive, fields=(*SEEN, Field("want", f.U32))),
    Layout(
        74,
        "osd_mark_me_down",
        OSDMarkMeDown,
        4,
        3,
        (
            *_SEEN_FSID,
            *_TARGET,
            Field("epoch", f.U32),
            Field("wants_ack", f.BOOL),
            Field("down_and_dead", f.BOOL, 4),
        ),
    ),
)
