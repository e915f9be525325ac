# SPDX-License-Identifier: Apache-2.0
"""Sessions with OSDs, and the operations on them: the tracker's decisions made true.

No task runs for an operation: it is a future, an entry of the tracker, and a message. A session
is begun when there is something to say to an OSD, and begun again, with pauses that grow, as long
as the map has the OSD up.
"""

import asyncio
import contextlib
import errno
from collections import deque
from collections.abc import Callable

import msgspec

from octostack.base import clock, log
from octostack.base.errors import OctoError, Timeout, Unsupported
from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.core.tracker import Op, Tracker
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityType, msgr2
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages import client, osdop
from octostack.wire.ceph.messages.osdop import Heading, OSDOpReply

_log = log.get("ceph.rados")
_RETRY_S, _RETRY_MAX_S = 0.05, 5.0
_FLAG_RETRY = 0x8

Outcome = OSDOpReply | OctoError


class _Link(msgspec.Struct):
    """A session with one OSD, or the wait for the next."""

    conn: Connection | None
    tries: int = 0
    timer: asyncio.TimerHandle | None = None


class Objecter:
    """See the module's essay. It is the tracker's port."""

    def __init__(self, settings: Settings, want_map: Callable[[], None]) -> None:
        self.tracker = Tracker(self, clock.monotonic)
        self.notified: Callable[[client.WatchNotify], None] = lambda _: None
        self.commanded: Callable[[int, client.CommandReply], None] = lambda _tid, _reply: None
        self.restarted: Callable[[int], None] = lambda _osd: None
        self._want_map = want_map
        self._messenger: Messenger | None = None
        self._links: dict[int, _Link] = {}
        self._epoch_waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._ops_max = settings.size("objecter_inflight_ops")
        self._bytes_max = settings.size("objecter_inflight_op_bytes")
        self._laggy_s = settings.seconds("objecter_timeout")
        self._timeout_s = settings.seconds("rados_osd_op_timeout")
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._reserved = 0
        self._expiry: asyncio.TimerHandle | None = None

    def start(self, messenger: Messenger) -> None:
        """Use it for sessions."""
        self._messenger = messenger

    def stop(self) -> None:
        """Nothing is sent or awaited any more."""
        self._ops_max = 0
        for link in self._links.values():
            if link.timer is not None:
                link.timer.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        gone = error_of(-errno.ESHUTDOWN, "the client is closed")
        for op in list(self.tracker.ops()):
            self.tracker.cancel(op)
            op.done(gone)
        for waiter in [*self._waiters, *(future for _, future in self._epoch_waiters)]:
            if not waiter.done():
                waiter.set_exception(gone)

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""
        return self.tracker.view.osdmap

    @property
    def epoch(self) -> int:
        """Its epoch."""
        return self.tracker.epoch

    # Operations

    async def do(self, op: Op) -> OSDOpReply:
        """Send it and wait for the answer, in the order of the calls.

        Cancelled, it is waited for no more; the OSD may do it all the same. Raises what `error_of`
        makes of a session that was closed or a time-out; results are the caller's to judge.
        """
        if self._waiters or self._is_full(op.cost):
            await self._room(op.cost)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        op.done = future.set_result
        if self._timeout_s:
            self._set_deadline(op)
        try:
            self.tracker.submit(op)
            outcome = await future
        except BaseException:
            self.tracker.cancel(op)
            raise
        finally:
            if self._waiters:
                self._wake()
        if isinstance(outcome, OctoError):
            raise outcome
        return outcome

    def start_op(self, op: Op, done: Callable[[Outcome], None]) -> None:
        """The same without waiting, and without a bound: for the client's own upkeep."""

        def ended(outcome: Outcome) -> None:
            done(outcome)
            self._wake()

        op.done = ended
        self.tracker.submit(op)

    def cancel(self, op: Op) -> None:
        """Wait no more for one that `start_op` sent."""
        self.tracker.cancel(op)
        self._wake()

    def _is_full(self, cost: int) -> bool:
        tracker = self.tracker
        count = tracker.in_flight + self._reserved
        return count >= self._ops_max or (count > 0 and tracker.cost + cost > self._bytes_max)

    async def _room(self, cost: int) -> None:
        """Wait for a turn; whoever is woken has a place reserved until the next step."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._reserved -= 1
                self._wake()
            else:
                with contextlib.suppress(ValueError):  # passed over already
                    self._waiters.remove(waiter)
            raise
        self._reserved -= 1

    def _wake(self) -> None:
        while self._waiters and not self._is_full(0):
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._reserved += 1
                waiter.set_result(None)

    def _set_deadline(self, op: Op) -> None:
        op.deadline = clock.monotonic() + self._timeout_s
        if self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(self._timeout_s, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        now = clock.monotonic()
        late = [op for op in self.tracker.ops() if op.deadline and op.deadline <= now]
        for op in late:
            self.tracker.cancel(op)
            op.done(Timeout("An OSD did not answer.", code="rados.etimedout", errno=110))
        following = min((op.deadline for op in self.tracker.ops() if op.deadline), default=0.0)
        if following:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(0.01, following - now), self._expire)

    def tick(self) -> None:
        """Look after what waits long: is the OSD there, is the map new?"""
        late = clock.monotonic() - self._laggy_s
        laggy = {op.osd for op in self.tracker.ops() if op.sent_at and op.sent_at < late}
        for osd in laggy:
            link = self._links.get(osd)
            if link is not None and link.conn is not None:
                link.conn.send(messages.encode(client.Ping()))
        if laggy or self.tracker.homeless:
            self._want_map()

    # The tracker's port

    def send(self, osd: int, op: Op, epoch: int) -> None:
        """Send it on the OSD's session, which is begun if there is none."""
        link = self._links.get(osd)
        conn = link.conn if link is not None else self._open(osd)
        assert conn is not None
        assert op.pg is not None
        flags = op.flags | _FLAG_RETRY if op.attempt else op.flags
        heading = Heading(op.pg, op.shard, op.hash, epoch, flags, op.mtime, op.tid, op.attempt)
        conn.send(osdop.address(heading, op.body, op.data))

    def close(self, osd: int) -> None:
        """The OSD is gone, or is at another address."""
        link = self._links.pop(osd, None)
        if link is None:
            return
        if link.timer is not None:
            link.timer.cancel()
        if link.conn is not None:
            link.conn.close()

    def acknowledge(self, osd: int, backoff: client.Backoff) -> None:
        """Tell the OSD that we hold back."""
        link = self._links.get(osd)
        if link is not None and link.conn is not None:
            ack = msgspec.structs.replace(
                backoff, op=client.BackoffCode.ACK_BLOCK, epoch=self.epoch
            )
            link.conn.send(messages.encode(ack))

    def connection(self, osd: int) -> Connection | None:
        """The session with an OSD, begun if there is none; None while one is waited for."""
        self.tracker.touch(osd)
        link = self._links.get(osd)
        return self._open(osd) if link is None else link.conn

    def _open(self, osd: int) -> Connection:
        target = msgr2(self.osdmap.client_addresses[osd])
        if target is None:
            raise Unsupported(f"osd.{osd} does not speak messenger v2.", code="rados.msgr1")
        link = self._links.setdefault(osd, _Link(None))
        assert self._messenger is not None
        link.conn = self._messenger.connect(target, EntityType.OSD)
        link.conn.state = osd
        return link.conn

    # A dispatcher's part

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """From an OSD."""
        osd: int = conn.state
        if envelope.type == osdop.OSD_OP_REPLY:
            self.tracker.reply(osd, osdop.decode_reply(envelope))
            return
        if messages.find_layout(envelope.type) is None:
            _log.debug("message not known", type=envelope.type)
            return
        found = messages.decode(envelope)
        match found:
            case client.OSDMapMessage():
                self.osdmaps(found)
            case client.WatchNotify():
                self.notified(found)
            case client.Backoff():
                self.tracker.backoff(osd, found)
            case client.CommandReply():
                self.commanded(envelope.tid, found)

    def opened(self, conn: Connection) -> None:
        """A session runs."""
        link = self._links.get(conn.state)
        if link is not None and link.conn is conn:
            link.tries = 0

    def closed(self, conn: Connection) -> None:
        """A session ended: another is begun after a while, if there is anything to say."""
        osd: int = conn.state
        link = self._links.get(osd)
        if link is None or link.conn is not conn:
            return
        link.conn = None
        self.tracker.broken(osd)
        self._want_map()
        pause = min(_RETRY_MAX_S, _RETRY_S * 2.0 ** min(link.tries, 10))
        link.tries += 1
        pause *= clock.rng().uniform(0.8, 1.2)
        link.timer = asyncio.get_running_loop().call_later(pause, self._reopen, osd)

    def _reopen(self, osd: int) -> None:
        link = self._links.get(osd)
        if link is None:
            return
        link.timer = None
        if not self.tracker.is_needed(osd):
            del self._links[osd]
            return
        self._open(osd)
        self.tracker.restart(osd)
        self.restarted(osd)

    # Maps

    def osdmaps(self, message: client.OSDMapMessage) -> None:
        """Newer maps from whoever has them."""
        before = self.epoch
        maps, skipped = self._decoded(message)
        if maps:
            self.tracker.follow(maps, skipped=skipped and before > 0)
            for epoch, future in self._epoch_waiters:
                if epoch <= self.epoch and not future.done():
                    future.set_result(None)
            self._epoch_waiters = [w for w in self._epoch_waiters if not w[1].done()]
        if message.newest > self.epoch:
            self._want_map()

    def _decoded(self, message: client.OSDMapMessage) -> tuple[list[OSDMap], bool]:
        """The maps that come next, and whether some were passed over."""
        now, maps, skipped = self.osdmap, [], False
        if now.epoch and message.fsid != now.fsid:
            _log.warning("a map of another cluster", fsid=str(message.fsid))
            return [], False
        last = max([*message.maps, *message.incrementals], default=0)
        while now.epoch < last:
            following = now.epoch + 1
            if now.epoch and following in message.incrementals:
                change = osdmap_wire.decode_incremental(message.incrementals[following])
                now = osd_changes.apply(now, change)
            else:
                whole = min((e for e in message.maps if e >= following), default=0)
                if not whole:
                    break  # a gap that is asked for
                skipped = skipped or whole > following
                now = osdmap_wire.decode(message.maps[whole])
            maps.append(now)
        return maps, skipped

    async def wait_epoch(self, epoch: int) -> None:
        """Until the map is that new."""
        if self.epoch >= epoch:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._epoch_waiters.append((epoch, future))
        self._want_map()
        await future
