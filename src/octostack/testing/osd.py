# SPDX-License-Identifier: Apache-2.0
"""A client of one placement group, without wires: builds operations as librados does."""

import struct
from collections.abc import Callable
from typing import Any

from octostack.engines.ceph.osd.core.allowance import Allowance
from octostack.engines.ceph.osd.core.reserving import Places
from octostack.engines.ceph.osd.core.scrub.values import Result
from octostack.engines.ceph.osd.core.shards.recent import Recent
from octostack.engines.ceph.osd.core.values import Message, View
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.requests import (
    READ,
    RETURN_VECTOR,
    Op,
    OpReply,
    OpRequest,
    ReqId,
    Session,
    WatchEvent,
)
from octostack.engines.ceph.osd.targets import Fetch
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import HOBJECT_MIN, SNAP_HEAD, HObject, ShardPG, write_hobject
from octostack.wire.ceph.opcodes import Code

_EXTENT = struct.Struct("<QQQI")
_XATTR = struct.Struct("<IIBB10x")
_WATCH = struct.Struct("<QQBII")


def op(code: int, parameters: bytes = b"", payload: bytes = b"", flags: int = 0) -> Op:
    """Any operation."""
    return Op(code, flags, parameters.ljust(28, b"\0"), payload)


def extent(code: int, offset: int = 0, length: int = 0, payload: bytes = b"") -> Op:
    """An operation on a range; the length of a payload is that of the range."""
    return op(code, _EXTENT.pack(offset, len(payload) or length, 0, 0), payload)


def xattr(code: int, name: bytes, value: bytes = b"", relation: int = 0, mode: int = 1) -> Op:
    """An operation on an attribute."""
    return op(code, _XATTR.pack(len(name), len(value), relation, mode), name + value)


def omap_set(entries: dict[bytes, bytes]) -> Op:
    """Put entries."""
    w = Writer()
    w.map(entries, w.bytes, w.bytes)
    return op(Code.OMAP_SET, payload=w.done())


def omap_values(after: bytes = b"", limit: int = 1000, prefix: bytes = b"") -> Op:
    """A page of entries."""
    w = Writer()
    w.bytes(after)
    w.u64(limit)
    w.bytes(prefix)
    return op(Code.OMAP_VALUES, payload=w.done())


def call(class_name: bytes, method: bytes, data: bytes = b"") -> Op:
    """A method of an object class."""
    parameters = struct.pack("<BBBI", len(class_name), len(method), 0, len(data))
    return op(Code.CALL, parameters, class_name + method + data)


def watch(cookie: int, what: int = 3, timeout_s: int = 30) -> Op:
    """0 unwatch, 3 watch, 5 reconnect, 7 ping."""
    return op(Code.WATCH, _WATCH.pack(cookie, 0, what, 0, timeout_s))


def notify(cookie: int, payload: bytes, timeout_s: int = 30) -> Op:
    """Tell the watchers."""
    w = Writer()
    w.u32(1)
    w.u32(timeout_s)
    w.bytes(payload)
    return op(Code.NOTIFY, cookie.to_bytes(8, "little"), w.done())


def notify_ack(notify_id: int, cookie: int, answer: bytes = b"") -> Op:
    """A watcher's answer."""
    w = Writer()
    w.u64(notify_id)
    w.u64(cookie)
    w.bytes(answer)
    return op(Code.NOTIFY_ACK, payload=w.done())


def listing(cursor: HObject = HOBJECT_MIN, limit: int = 100) -> Op:
    """A page of names."""
    w = Writer()
    write_hobject(w, cursor)
    return op(Code.PGNLS, struct.pack("<QI", limit, 0), w.done())


def pairs(data: Any) -> dict[bytes, bytes]:
    """A map<str, str> as it comes back."""
    r = Reader(data)
    return r.map(r.bytes, r.bytes)


class Client(Session):
    """Sends requests to whatever takes them; keeps the watch events it gets."""

    def __init__(self, submit: Callable[..., None], client: int = 4100) -> None:
        self.client = client
        self.address = Address(2, "127.0.0.1", 0, client)
        self.events: list[WatchEvent] = []
        self.submit = submit
        self.tid = 0
        self.snap_seq = 0
        self.snaps: list[int] = []

    def send_notify(self, event: WatchEvent) -> None:
        self.events.append(event)

    def request(self, what: HObject, *ops: Op, flags: int = READ | RETURN_VECTOR) -> OpRequest:
        """A new request."""
        self.tid += 1
        reqid = ReqId(self.client, self.tid)
        request = OpRequest(reqid, what, list(ops), flags, self)
        request.snap_seq, request.snaps = self.snap_seq, list(self.snaps)
        return request

    def send(self, what: HObject, *ops: Op, snap: int = SNAP_HEAD) -> list[OpReply]:
        """A list that the reply will be in."""
        replies: list[OpReply] = []
        name = HObject(what.name, what.key, snap, what.hash, False, what.namespace, what.pool)
        self.submit(self.request(name, *ops), replies.append)
        return replies

    def ask(self, what: HObject, *ops: Op, snap: int = SNAP_HEAD) -> OpReply:
        """The reply, which must come at once."""
        (reply,) = self.send(what, *ops, snap=snap)
        return reply


class _Nobody:
    """There is no other OSD, and no monitor is asked (`replicated.Links`)."""

    def __init__(self, fetch: Fetch | None) -> None:
        self.allowance = Allowance()
        self._fetch = fetch
        self.own_places, self.others_places = Places(), Places()
        self.recent = Recent()

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        raise AssertionError(f"{where} says {message} to osd.{osd}")

    def want_up_thru(self, epoch: int) -> None:
        raise AssertionError("the map says so already")

    def want_acting(self, where: ShardPG, osds: tuple[int, ...]) -> None:
        raise AssertionError("nobody else can")

    def interval_began(self, where: ShardPG, *, dropped: bool) -> None:
        """Nothing waits."""

    def pace(self, go_on: Callable[[], None]) -> None:
        go_on()

    def scrubbed(self, where: ShardPG, result: Result) -> None:
        """It can be asked."""

    def forgotten(self, where: ShardPG) -> None:
        """It is gone."""

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        """By what the test has for it."""
        assert self._fetch is not None
        return self._fetch(source, then)


def copy_alone(
    store: MemoryStore | BlockStore,
    where: ShardPG,
    pool: PoolFacts | None = None,
    fetch: Fetch | None = None,
) -> Replica:
    """A group with one copy, which serves as soon as the store has committed what was queued."""
    if where not in store.collections():
        store.queue([[api.CreateCollection(where)]])
    births = {0: 1}
    view = View(1, (0,), (0,), 0, 1, 1, frozenset(births), births, births)
    replica = Replica(0, Place(store, where), _Nobody(fetch), view, pool)
    replica.start(created=1)
    while isinstance(store, MemoryStore) and store.waiting:
        store.commit()
    return replica
