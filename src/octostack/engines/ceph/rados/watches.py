# SPDX-License-Identifier: Apache-2.0
"""Watching objects, and notifying who watches.

A watch is kept through everything that a client survives: it is registered anew when its group
moves or the session ends, and pinged so that the OSD knows that we are there. When the OSD has
given it up all the same, events may have been missed: the watch fails, and its owner is told.
"""

import asyncio
import errno
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from octostack.base import log
from octostack.base.errors import OctoError, Timeout
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.core.ops import FLAG_READ, FLAG_WRITE
from octostack.engines.ceph.rados.core.tracker import Linger, Op
from octostack.engines.ceph.rados.core.values import NOTIFY_ID, read_notify_id
from octostack.engines.ceph.rados.objecter import Objecter, Outcome
from octostack.runtime.tasks import Supervisor
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.messages.client import WatchNotify
from octostack.wire.ceph.messages.osdop import RawOp
from octostack.wire.ceph.opcodes import Code

if TYPE_CHECKING:
    from octostack.engines.ceph.rados.pool import Pool

_log = log.get("ceph.rados")
_WATCH = struct.Struct("<QQBII3x")
_COOKIE = struct.Struct("<Q20x")
_UNWATCH, _NEW, _RECONNECT, _PING = 0, 3, 5, 7
_NOTIFY, _COMPLETE, _DISCONNECT = 1, 2, 3
TIMEOUT_S: Final = 30
_PINGS_PER_TIMEOUT = 3
_NOTIFY_GRACE_S = 5.0


class Notification(msgspec.Struct, frozen=True):
    """What a watcher hears."""

    id: int
    payload: bytes
    notifier: int  # the global id of the client


class NotifyAnswers(msgspec.Struct, frozen=True):
    """Who answered what, and who did not in time; both by client and cookie."""

    answers: dict[tuple[int, int], bytes]
    missed: list[tuple[int, int]]


OnNotify = Callable[[Notification], Awaitable[bytes | None]]
OnError = Callable[[OctoError], None]


class Watch:
    """One object watched. ``async with`` ends it; `failed` is done when it is lost."""

    def __init__(self, owner: "Watches", pool: "Pool", name: bytes, hear: OnNotify) -> None:
        self.cookie = 0
        self.name = name
        self.pool = pool
        self.timeout_s = TIMEOUT_S
        self.error: OctoError | None = None
        self.failed = asyncio.Event()
        self.hear = hear
        self.on_error: OnError = lambda _: None
        self._owner = owner
        self._registered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._generation = 0
        self._op: Op | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._linger = Linger(pool.id, pool.hash_of(name), FLAG_WRITE)

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def begin(self) -> None:
        """Register. Raises NotFound and what else the OSD says."""
        tracker = self._owner.objecter.tracker
        self.cookie = self._linger.number = tracker.new_tid()
        self._linger.moved = self._again
        self._linger.gone = self._fail
        if not tracker.attach(self._linger):
            raise error_of(-errno.ENOENT, "the pool is gone")
        self._owner.watches[self.cookie] = self
        self._send(_NEW, self._answered)
        try:
            await self._registered
        except BaseException:
            self._forget()
            raise

    async def close(self) -> None:
        """Watch no more; what is being heard may still be answered."""
        if self.cookie not in self._owner.watches:
            return
        self._forget()
        if self.error is None:
            op = RawOp(Code.WATCH, 0, _WATCH.pack(self.cookie, 0, _UNWATCH, 0, 0))
            await self.pool.do(self.name, [op], FLAG_WRITE)

    def fail(self, result: int) -> None:
        """The OSD has given the watch up."""
        self._fail(error_of(result, f"watch of {self.name!r}"))

    def _forget(self) -> None:
        self._owner.watches.pop(self.cookie, None)
        self._owner.objecter.tracker.detach(self._linger)
        if self._ping is not None:
            self._ping.cancel()
        self._cancel_op()

    def _cancel_op(self) -> None:
        if self._op is not None:
            self._owner.objecter.cancel(self._op)
            self._op = None

    def _send(self, what: int, done: Callable[[Outcome], None]) -> None:
        self._cancel_op()
        parameters = _WATCH.pack(self.cookie, 0, what, self._generation, self.timeout_s)
        self._op = self.pool.op_for(self.name, [RawOp(Code.WATCH, 0, parameters)], FLAG_WRITE)
        self._owner.objecter.start_op(self._op, done)

    def _again(self) -> None:
        if self._registered.done():
            self._generation += 1
            self._send(_RECONNECT, self._answered)
        else:
            self._send(_NEW, self._answered)

    def _answered(self, outcome: Outcome) -> None:
        self._op = None
        if isinstance(outcome, OctoError) or outcome.result < 0:
            failure = (
                outcome
                if isinstance(outcome, OctoError)
                else error_of(outcome.result, f"watch of {self.name!r}")
            )
            if self._registered.done():
                self._fail(failure)
            else:
                self._registered.set_exception(failure)
            return
        if not self._registered.done():
            self._registered.set_result(None)
        self._plan_ping()

    def _plan_ping(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
        pause = self.timeout_s / _PINGS_PER_TIMEOUT
        self._ping = asyncio.get_running_loop().call_later(pause, self._say_ping)

    def _say_ping(self) -> None:
        if self._op is None and self.error is None:
            self._send(_PING, self._answered)

    def _fail(self, error: OctoError) -> None:
        if self.error is None:
            self.error = error
            self._forget()
            self.failed.set()
            self.on_error(error)


class Watches:
    """All watches of a client, and the notifies it waits for."""

    def __init__(self, objecter: Objecter, tasks: Supervisor) -> None:
        self.objecter = objecter
        self.watches: dict[int, Watch] = {}
        self._notifies: dict[int, _Notify] = {}
        self._tasks = tasks
        objecter.notified = self.take

    def take(self, told: WatchNotify) -> None:
        """What an OSD says of a watch, or of a notify that has ended."""
        if told.opcode == _COMPLETE:
            notify = self._notifies.get(told.cookie)
            if notify is not None:
                notify.complete(told)
            return
        watch = self.watches.get(told.cookie)
        if watch is None:
            return
        if told.opcode == _DISCONNECT:
            watch.fail(-errno.ENOTCONN)
        elif told.opcode == _NOTIFY:
            self._tasks.start("notified", lambda: self._hear(watch, told))

    async def _hear(self, watch: Watch, told: WatchNotify) -> None:
        heard = Notification(told.notify_id, told.payload, told.notifier)
        answer = await watch.hear(heard)
        w = Writer()
        w.u64(told.notify_id)
        w.u64(watch.cookie)
        w.bytes(answer or b"")
        ack = RawOp(Code.NOTIFY_ACK, 0, payload=w.done())
        reply = await watch.pool.do(watch.name, [ack], FLAG_READ)
        if reply.result < 0:
            _log.warning("an answer to a notify was not taken", result=reply.result)

    async def notify(
        self, pool: "Pool", name: bytes, payload: bytes, timeout_s: int
    ) -> NotifyAnswers:
        """Tell all watchers, and wait for each to answer or for the time to be up."""
        notify = _Notify(self, pool, name, payload, timeout_s)
        self._notifies[notify.cookie] = notify
        try:
            return await notify.run()
        finally:
            del self._notifies[notify.cookie]


class _Notify:
    """One notify on its way. When its OSD forgets it, it is said again, under another id."""

    def __init__(
        self, owner: Watches, pool: "Pool", name: bytes, payload: bytes, timeout_s: int
    ) -> None:
        self.cookie = owner.objecter.tracker.new_tid()
        self._owner = owner
        self._pool = pool
        self._name = name
        self._timeout_s = timeout_s
        w = Writer()
        w.u32(1)
        w.u32(timeout_s)
        w.bytes(payload)
        self._said = w.done()
        self._id = 0
        self._early: dict[int, WatchNotify] = {}
        self._done: asyncio.Future[NotifyAnswers] = asyncio.get_running_loop().create_future()
        self._linger = Linger(pool.id, pool.hash_of(name), FLAG_READ, number=self.cookie)
        self._linger.moved = self._again
        self._linger.gone = self._fail
        self._op: Op | None = None

    async def run(self) -> NotifyAnswers:
        tracker = self._owner.objecter.tracker
        if not tracker.attach(self._linger):
            raise error_of(-errno.ENOENT, "the pool is gone")
        self._again()
        try:
            async with asyncio.timeout(self._timeout_s + _NOTIFY_GRACE_S):
                return await self._done
        except TimeoutError as error:
            raise Timeout("The notify did not end.", code="rados.etimedout") from error
        finally:
            tracker.detach(self._linger)
            if self._op is not None:
                self._owner.objecter.cancel(self._op)

    def _again(self) -> None:
        if self._op is not None:
            self._owner.objecter.cancel(self._op)
        self._id = 0
        op = RawOp(Code.NOTIFY, 0, _COOKIE.pack(self.cookie), self._said)
        self._op = self._pool.op_for(self._name, [op], FLAG_READ)
        self._owner.objecter.start_op(self._op, self._begun)

    def _begun(self, outcome: Outcome) -> None:
        self._op = None
        if isinstance(outcome, OctoError):
            self._fail(outcome)
        elif outcome.result < 0:
            self._fail(error_of(outcome.result, f"notify of {self._name!r}"))
        elif len(outcome.ops[0].payload) >= NOTIFY_ID.size:
            self._id = read_notify_id(outcome.ops[0].payload)
            early = self._early.pop(self._id, None)
            if early is not None:
                self.complete(early)

    def complete(self, told: WatchNotify) -> None:
        """All have answered, or the time is up."""
        if not self._id:
            self._early[told.notify_id] = told
        elif told.notify_id == self._id and not self._done.done():
            self._done.set_result(_read_answers(told.data))

    def _fail(self, error: OctoError) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def _read_answers(data: bytes) -> NotifyAnswers:
    """map<(u64 client, u64 cookie), bytes>, vec<(u64 client, u64 cookie)>."""
    if not data:
        return NotifyAnswers({}, [])
    r = Reader(data)
    answers = r.map(lambda: (r.u64(), r.u64()), r.bytes, 20)
    return NotifyAnswers(answers, r.vector(lambda: (r.u64(), r.u64()), 16))
