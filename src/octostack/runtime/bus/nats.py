# SPDX-License-Identifier: Apache-2.0
"""The bus over a NATS broker, between processes and hosts.

A subject is served by a queue group: the broker gives each call to one of its servers, and says
at once when there is none. Answers come to one inbox per process. A caller that hears nothing of
a server for `SILENCE_S` takes it for dead, however long its timeout is; when the connection to
the broker breaks, calls on their way fail at once, as nobody can tell what became of them. Both
are Unavailable, and contracts are made to be asked again. Messages of any size: `wire.frames`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from octostack.base import ids, limits, log
from octostack.base.errors import Corrupt, Invalid, OctoError, Timeout, TooLarge, Unavailable
from octostack.runtime.bus.transport import Close, Handler, Listener
from octostack.runtime.tasks import Restart, Supervisor
from octostack.wire import frames

ALIVE_EVERY_S = 2.0
SILENCE_S = 10.0
DRAIN_S = 3.0  # who is still waiting then asks another server, or again
GRACE_S = 0.5  # the server keeps the deadline; its answer must have the time to arrive
PULL_TIMEOUT_S = 10.0
_QUEUE = "octo"

_log = log.get("bus")


class NatsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the broker is, and what opens it."""

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    token: str = ""
    prefix: str = "octo"  # of every subject: clouds that share a broker do not hear each other
    start_timeout_s: float = 30.0


class _Waiting:
    """One collection of an answer, or of a large call."""

    __slots__ = ("collector", "future", "heard_at", "parts")

    def __init__(self, parts: list[bytes] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[bytes] = loop.create_future()
        self.heard_at = loop.time()
        self.collector: frames.Collector | None = None
        self.parts = parts  # of a large call, until they are asked for

    def end(self, error: OctoError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Nats:
    """A `Transport` over NATS; what is served in this very process is called directly."""

    def __init__(self, config: NatsConfig, name: str = "octostack", *, local: bool = True) -> None:
        self._config = config
        self._name = name
        self._local: dict[str, Handler] | None = {} if local else None
        self._nats = Client()
        self._tasks = Supervisor("nats")
        self._inbox = f"{config.prefix}.inbox.{ids.new_hex()}"
        self._waiting: dict[str, _Waiting] = {}
        self._serial = 0
        self._served: list[Subscription] = []
        self._working: dict[str, asyncio.Task[None]] = {}  # by the caller's reply subject
        self._outbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(limits.QUEUE_MAX)

    async def start(self) -> None:
        """Connect. Raises Unavailable after the configured time."""
        try:
            async with asyncio.timeout(self._config.start_timeout_s):
                await self._nats.connect(
                    servers=list(self._config.servers),
                    name=self._name,
                    token=self._config.token or None,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=1,
                    ping_interval=10,
                    error_cb=_report,
                    disconnected_cb=self._lost,
                    pending_size=0,
                )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Unavailable(
                f"No broker at {self._where()}: {error}", code="bus.broker"
            ) from error
        except ValueError:
            what = f"Not the address of a broker: {self._where()}"
            raise Invalid(what, code="bus.url") from None
        await self._nats.subscribe(f"{self._inbox}.*", cb=self._receive)
        self._tasks.start("bus watch", self._watch, restart=Restart())
        self._tasks.start("bus outbox", self._send_events, restart=Restart())

    def _where(self) -> str:
        """The servers without what opens them."""
        return ", ".join(server.rpartition("@")[2] for server in self._config.servers)

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._nats.is_connected

    async def stop(self) -> None:
        """Take no more calls, finish those begun, leave."""
        if self._nats.is_closed:
            return
        for subscription in self._served:
            await self._quietly(subscription.drain)  # calls on their way here are still taken
        if self._working:
            await asyncio.wait(list(self._working.values()), timeout=DRAIN_S)
        await self._quietly(self._settle)
        await self._tasks.stop()
        await self._nats.close()

    async def serve(self, subject: str, handler: Handler) -> Close:
        """Answer calls of `subject`, sharing them with other processes that do."""

        async def take(message: Msg) -> None:
            if not message.reply:
                return  # none of ours
            work = self._answer(handler, message.reply, message.data)
            task = self._tasks.spawn(f"call {subject}", work)
            self._working[message.reply] = task
            task.add_done_callback(lambda _: self._working.pop(message.reply, None))

        async def drop(message: Msg) -> None:
            task = self._working.get(message.data.decode())
            if task is not None:
                task.cancel()

        if self._local is not None:
            self._local[subject] = handler
        pair = [
            await self._nats.subscribe(self._at("call", subject), queue=_QUEUE, cb=take),
            await self._nats.subscribe(self._at("cancel", subject), cb=drop),
        ]
        self._served += pair
        await self._settle()

        async def close() -> None:
            if self._local is not None and self._local.get(subject) is handler:
                del self._local[subject]
            for subscription in pair:
                self._served.remove(subscription)
                await self._quietly(subscription.drain)
            await self._quietly(self._settle)

        return close

    async def call(self, subject: str, request: bytes, timeout_s: float) -> bytes:
        """The answer of one server. Raises Unavailable, Timeout, TooLarge, Corrupt."""
        local = self._local.get(subject) if self._local is not None else None
        if local is not None:
            return await local(request)
        if not self._nats.is_connected:
            raise Unavailable("The broker cannot be reached.", code="bus.broker")
        first, parts = frames.whole(request), None
        if len(first) > self._nats.max_payload:
            parts = frames.parts(request, self._nats.max_payload)
            first = frames.large(len(parts))
        reply, waiting = self._expect(parts)
        try:
            async with asyncio.timeout(timeout_s + GRACE_S) as scope:
                await self._nats.publish(self._at("call", subject), first, reply=reply)
                return await waiting.future
        except asyncio.CancelledError:
            self._post(self._at("cancel", subject), reply.encode())
            raise
        except nats.errors.Error as error:
            raise Unavailable(f"The broker: {error!r}", code="bus.broker") from error
        except TimeoutError:
            assert scope.expired()
            what = f"{subject} did not answer in {timeout_s:.3g} s."
            raise Timeout(what, code="bus.timeout") from None
        except Unavailable as error:
            raise Unavailable(f"{subject}: {error.message}", code=error.code) from error
        finally:
            self._forget(reply)

    def publish(self, topic: str, event: bytes) -> None:
        """Queue an event for the broker; when the queue is full it is lost."""
        self._post(self._at("event", topic), event)

    async def listen(self, topic: str, listener: Listener) -> Close:
        """Give each event of `topic` to `listener`."""

        async def take(message: Msg) -> None:
            listener(message.data)

        subscription = await self._nats.subscribe(self._at("event", topic), cb=take)
        await self._settle()

        async def close() -> None:
            await self._quietly(subscription.unsubscribe)

        return close

    def _expect(self, parts: list[bytes] | None = None) -> tuple[str, _Waiting]:
        self._serial += 1
        subject = f"{self._inbox}.{self._serial}"
        waiting = self._waiting[subject] = _Waiting(parts)
        return subject, waiting

    def _forget(self, subject: str) -> None:
        waiting = self._waiting.pop(subject, None)
        if waiting is not None and waiting.future.done() and not waiting.future.cancelled():
            waiting.future.exception()  # it may have failed after its caller had left

    async def _receive(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject)
        if waiting is None or waiting.future.done():
            return
        waiting.heard_at = asyncio.get_running_loop().time()
        if message.headers and message.headers.get("Status") == "503":
            waiting.end(Unavailable("nobody serves it.", code="bus.no_server"))
            return
        try:
            await self._take_frame(waiting, message.data)
        except OctoError as error:
            waiting.end(error)

    async def _take_frame(self, waiting: _Waiting, data: bytes) -> None:
        kind = data[0] if data else None
        if kind == frames.Kind.WHOLE:
            waiting.future.set_result(data[1:])
        elif kind == frames.Kind.PART:
            waiting.collector = waiting.collector or frames.Collector()
            complete = waiting.collector.add(data)
            if complete is not None:
                waiting.future.set_result(complete)
        elif kind == frames.Kind.PULL:
            parts, waiting.parts = waiting.parts, None
            for part in parts or ():
                await self._nats.publish(data[1:].decode(), part)
        elif kind == frames.Kind.REFUSED:
            waiting.end(TooLarge(data[1:].decode(), code="bus.too_large"))
        elif kind != frames.Kind.ALIVE:
            waiting.end(Corrupt("The answer's frame cannot be read.", code="bus.frame"))

    async def _answer(self, handler: Handler, reply: str, data: bytes) -> None:
        """Serve one call; what cannot be read is dropped, as its sender is none of us."""
        try:
            if data[:1] == bytes((frames.Kind.LARGE,)):
                request = await self._pull(reply, frames.count_of(data))
            else:
                request = data[1:]
            answer = await handler(request)
            await self._send(reply, answer)
        except (OctoError, TimeoutError) as error:
            _log.warning("call dropped", error=str(error))
        except nats.errors.Error as error:
            _log.warning("answer lost", error=repr(error))

    async def _pull(self, reply: str, count: int) -> bytes:
        if count * self._nats.max_payload > 2 * frames.TOTAL_BYTES_MAX:
            raise TooLarge(f"{count} parts are too many.", code="bus.too_large")
        subject, waiting = self._expect()
        try:
            await self._nats.publish(reply, frames.pull(subject))
            async with asyncio.timeout(PULL_TIMEOUT_S):
                return await waiting.future
        finally:
            self._forget(subject)

    async def _send(self, reply: str, answer: bytes) -> None:
        message_max = self._nats.max_payload
        if len(answer) < message_max:
            await self._nats.publish(reply, frames.whole(answer))
            return
        try:
            parts = frames.parts(answer, message_max)
        except TooLarge as error:
            parts = [frames.refused(error.message)]
        for part in parts:
            await self._nats.publish(reply, part)

    async def _watch(self) -> None:
        """Tell callers that their calls are being worked on; give up on silent servers."""
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            if not self._nats.is_connected:
                continue
            for reply in list(self._working):
                self._post(reply, frames.ALIVE)
            silent_since = asyncio.get_running_loop().time() - SILENCE_S
            for waiting in list(self._waiting.values()):
                if waiting.heard_at < silent_since:
                    waiting.end(Unavailable("its server fell silent.", code="bus.lost"))

    async def _send_events(self) -> None:
        while True:
            topic, event = await self._outbox.get()
            if self._nats.is_connected:
                await self._quietly(lambda t=topic, e=event: self._nats.publish(t, e))  # type: ignore[misc]

    async def _lost(self) -> None:
        for waiting in list(self._waiting.values()):
            waiting.end(Unavailable("the connection broke.", code="bus.lost"))

    def _at(self, kind: str, name: str) -> str:
        return f"{self._config.prefix}.{kind}.{name}"

    def _post(self, subject: str, data: bytes) -> None:
        if not self._outbox.full():
            self._outbox.put_nowait((subject, data))

    async def _settle(self) -> None:
        """Wait until the broker has all that was sent: who is told "served" can be called.

        nats-py sends a PING ahead of what it still holds back, so the first PONG proves nothing.
        """
        await self._nats.flush(5)
        await self._nats.flush(5)

    async def _quietly(self, act: Callable[[], Any]) -> None:
        try:
            await act()
        except (nats.errors.Error, TimeoutError) as error:
            _log.debug("broker", error=repr(error))


async def _report(error: Exception) -> None:
    _log.warning("broker", error=repr(error))
