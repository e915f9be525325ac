# SPDX-License-Identifier: Apache-2.0
"""What the copies of a group tell one another: plain values, with the content of Ceph's messages.

Each message carries the epoch of its sender's map. A receiver with an older map keeps it until it
has that map; one whose present interval began later drops it: it was meant for another interval.

They travel as arrays (`osd.messages`): a field is only ever added at the end of its struct, with a
default, so that an older reader skips what it does not know.
"""

from enum import IntEnum
from typing import TypeAlias

import msgspec

from octostack.engines.ceph.osd.core.log import ZERO, Entry
from octostack.engines.ceph.osd.core.scrub.values import Seen
from octostack.engines.ceph.osd.objectstore.api import Change
from octostack.wire.ceph.objects import HOBJECT_MAX, EVersion, HObject


class View(msgspec.Struct, frozen=True):
    """What one epoch of the map says of the group."""

    epoch: int
    up: tuple[int, ...]
    acting: tuple[int, ...]
    primary: int  # -1: none
    size: int
    min_size: int
    alive: frozenset[int]  # every OSD that is up
    up_from: dict[int, int]  # of each OSD: the epoch in which it last came up
    up_thru: dict[int, int]  # of each OSD: the epoch until which it was surely up
    groups: int = 0  # of the pool: objects move between groups when there are more
    k: int = 1  # how many copies it takes to have the objects: of shards, more than one
    known: frozenset[int] | None = None  # OSDs that the map has, up or down; None: all
    lost: dict[int, int] = {}  # OSDs that are down: when what they have was given up

    def same_interval(self, other: "View") -> bool:
        """Whether nothing changed that the copies must agree upon anew."""
        ours = (self.up, self.acting, self.primary, self.size, self.min_size, self.groups)
        theirs = (other.up, other.acting, other.primary, other.size, other.min_size, other.groups)
        births = [self.up_from.get(o) == other.up_from.get(o) for o in (*self.up, *self.acting)]
        return ours == theirs and all(births)


class Interval(msgspec.Struct, frozen=True, array_like=True):
    """Epochs in which the same OSDs had the group; `wrote`: they may have taken writes."""

    first: int
    last: int
    acting: tuple[int, ...]
    wrote: bool


class Stamp(msgspec.Struct, frozen=True, array_like=True, order=True):
    """When all objects were compared, in nanoseconds since the epoch, and what remained wrong."""

    at_ns: int = 0
    deep_at_ns: int = 0
    errors: int = 0  # copies in disorder


class History(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the group's past, wherever it was learned."""

    created: int = 0
    started: int = 0  # all that acted in an interval of this epoch had agreed
    clean: int = 0  # in the interval that began with this epoch all copies were whole
    scrub: Stamp = Stamp()

    def merge(self, other: "History") -> "History":
        """The more that is known."""
        return History(
            max(self.created, other.created),
            max(self.started, other.started),
            max(self.clean, other.clean),
            max(self.scrub, other.scrub),
        )


class Info(msgspec.Struct, frozen=True, array_like=True):
    """How far a copy is."""

    last_update: EVersion = ZERO
    log_tail: EVersion = ZERO
    last_backfill: HObject = HOBJECT_MAX  # it has all objects before this one
    whole: bool = True  # it misses none of them
    started: int = 0  # the epoch of the last agreement it took part in
    interval: int = 0  # the first epoch of the present interval
    history: History = History()

    @property
    def is_complete(self) -> bool:
        """Whether it needs no backfill."""
        return self.last_backfill.is_max


class Need(msgspec.Struct, frozen=True, array_like=True):
    """A version of an object that a copy ought to have, and the one that it has."""

    need: EVersion
    have: EVersion


Lacks: TypeAlias = dict[HObject, Need]


class Asked(IntEnum):
    """What a query asks for."""

    INFO = 0
    LOG = 1


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """From one OSD about the group."""

    epoch: int
    shard: int = -1  # of the sender, in an erasure-coded group


class Query(Message, frozen=True, kw_only=True, tag=1):
    """The primary asks (pg_query2), and tells of the past: the copy may be new to the group."""

    what: Asked
    interval: int  # the first epoch of the present one
    history: History
    past: list[Interval]
    since: EVersion = ZERO


class Notify(Message, frozen=True, kw_only=True, tag=2):
    """A copy tells how far it is (pg_notify2)."""

    info: Info
    past: list[Interval]


class LogPart(Message, frozen=True, kw_only=True, tag=3):
    """Entries behind `tail`, in answer to a query (pg_log); `lacks` is what the sender misses."""

    info: Info
    tail: EVersion
    entries: list[Entry]
    lacks: Lacks


class Activate(Message, frozen=True, kw_only=True, tag=4):
    """The primary's log is the one: take it (pg_log, pg_info2). `backfill`: begin from nothing."""

    info: Info
    tail: EVersion
    entries: list[Entry]
    past: list[Interval]
    backfill: bool = False


class Activated(Message, frozen=True, kw_only=True, tag=5):
    """A copy has taken the log, durably (pg_info2)."""


class Progress(Message, frozen=True, kw_only=True, tag=6):
    """The primary tells what has become known: all agreed, or all are whole (pg_info2)."""

    history: History


class RepOp(Message, frozen=True, kw_only=True, tag=7):
    """A change to be made by a copy (osd_repop)."""

    changes: list[Change]
    entries: list[Entry]
    trim_to: EVersion = ZERO
    settled: EVersion = ZERO  # all shards have made what was changed up to there


class RepOpReply(Message, frozen=True, kw_only=True, tag=8):
    """A copy has made the change, durably (osd_repop_reply)."""

    version: EVersion


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """A whole object (PushOp)."""

    object: HObject
    version: EVersion
    exists: bool = True
    size: int = 0
    data: list[tuple[int, bytes]] = []
    attrs: dict[bytes, bytes] = {}
    omap: dict[bytes, bytes] = {}
    header: bytes = b""


class Pull(Message, frozen=True, kw_only=True, tag=9):
    """The primary needs an object (MOSDPGPull)."""

    object: HObject


class Push(Message, frozen=True, kw_only=True, tag=10):
    """An object (MOSDPGPush)."""

    copy: Copy


class PushReply(Message, frozen=True, kw_only=True, tag=11):
    """An object has arrived, durably (MOSDPGPushReply)."""

    object: HObject


class Scan(Message, frozen=True, kw_only=True, tag=12):
    """The primary asks what a copy has from an object on (pg_scan)."""

    first: HObject
    limit: int


class Scanned(Message, frozen=True, kw_only=True, tag=13):
    """Objects with their versions, from `first` up to, but without, `end` (pg_scan)."""

    first: HObject
    end: HObject
    objects: dict[HObject, EVersion]


class Backfilled(Message, frozen=True, kw_only=True, tag=14):
    """All objects before this one are as they should be (pg_backfill)."""

    last_backfill: HObject
    remove: list[HObject] = []


class BackfilledReply(Message, frozen=True, kw_only=True, tag=15):
    """The copy has noted it, durably."""

    last_backfill: HObject


class Forget(Message, frozen=True, kw_only=True, tag=16):
    """The group has all the copies it needs: yours may go (pg_remove)."""


class ScrubAsk(Message, frozen=True, kw_only=True, tag=17):
    """The primary asks what a copy has from `first` up to, but without, `end` (rep_scrub)."""

    first: HObject
    end: HObject
    deep: bool


class ScrubMap(Message, frozen=True, kw_only=True, tag=18):
    """All objects of that range (rep_scrubmap)."""

    first: HObject
    objects: dict[HObject, Seen]


class ShardRead(Message, frozen=True, kw_only=True, tag=19):
    """The primary needs bytes of a shard (ec_read); a length of 0: to the end."""

    number: int
    object: HObject
    offset: int = 0
    length: int = 0


class ShardReadReply(Message, frozen=True, kw_only=True, tag=20):
    """They are these, or cannot be had (ec_read_reply)."""

    number: int
    found: bool
    version: EVersion = ZERO
    data: bytes = b""
    attrs: dict[bytes, bytes] = {}


class Seek(Message, frozen=True, kw_only=True, tag=21):
    """The primary has no copy, and asks whether there is any."""


class Nothing(Message, frozen=True, kw_only=True, tag=22):
    """There is none here."""


class Reserve(Message, frozen=True, kw_only=True, tag=30):
    """The primary asks for a place among the groups that are brought back (REQUEST)."""

    number: int
    filling: bool
    rank: int


class Reserved(Message, frozen=True, kw_only=True, tag=31):
    """It has it (GRANT); else the copy's disk is too full (REJECT_TOOFULL, REVOKE_TOOFULL)."""

    number: int
    granted: bool


class Release(Message, frozen=True, kw_only=True, tag=32):
    """It needs the place no more (RELEASE)."""


class Rewind(Message, frozen=True, kw_only=True, tag=33):
    """Of a shard that no more acts: what it has changed behind `to` never counted."""

    to: EVersion


Plain: TypeAlias = (
    Query
    | Notify
    | LogPart
    | Activate
    | Activated
    | Progress
    | RepOpReply
    | Pull
    | Push
    | PushReply
    | Scan
    | Scanned
    | Backfilled
    | BackfilledReply
    | Forget
    | ScrubAsk
    | ScrubMap
    | ShardRead
    | ShardReadReply
    | Seek
    | Nothing
    | Reserve
    | Reserved
    | Release
    | Rewind
)
