# SPDX-License-Identifier: Apache-2.0
"""The session with the monitors: one of them at a time, looked for anew whenever it is lost.

Maps are subscribed to; what was asked and not answered is asked again of the next monitor. A
monitor that is not heard of for `mon_client_ping_timeout` is left for another.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Invalid, NotFound, OctoError, Timeout, Unauthorized, Unavailable
from octostack.engines.ceph.core import hunting
from octostack.engines.ceph.rados.auth import Credentials
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.core.monhosts import Place
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Address, AddressKind, EntityType, msgr2
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.maps import monmap as monmap_wire
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.messages import client, monitor
from octostack.wire.ceph.messages.layout import Message
from octostack.wire.ceph.messages.monitor import Subscription

_log = log.get("ceph.rados")
_M = TypeVar("_M", bound=Message)
_TICK_S = 1.0
_WAITING_MAX = 10_000


class Listener(Protocol):
    """Who hears what the monitors publish."""

    @property
    def epoch(self) -> int:
        """Of the newest OSD map."""

    def osdmaps(self, message: client.OSDMapMessage) -> None:
        """Newer OSD maps."""

    def mgrmap(self, message: monitor.MgrMapMessage) -> None:
        """A newer map of managers."""


class _Asked(msgspec.Struct):
    encode: Callable[[], Outgoing]  # anew for each monitor: it names the cluster
    answer: "asyncio.Future[Message]"


class Monitors:
    """See the module's essay."""

    def __init__(
        self,
        settings: Settings,
        places: tuple[Place, ...],
        credentials: Credentials,
        listener: Listener,
    ) -> None:
        self.monmap = MonMap()
        self._settings = settings
        self._places = places
        self._credentials = credentials
        self._listener = listener
        self._messenger: Messenger | None = None
        self._conn: Connection | None = None
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._refusal: OctoError | None = None
        self._asked: dict[int, _Asked] = {}
        self._next_tid = 1
        self._order: list[Address] = []
        self._hunt = hunting.Hunt(settings.seconds("mon_client_hunt_interval"))
        self._wants_osdmap = False
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            monitor.MonMapMessage: self._on_monmap,
            monitor.ConfigMessage: self._on_config,
            monitor.MgrMapMessage: listener.mgrmap,
            client.OSDMapMessage: listener.osdmaps,
            monitor.AuthReply: credentials.take,
        }

    def start(self, messenger: Messenger, tasks: Supervisor) -> None:
        """Begin to look for a monitor."""
        self._messenger = messenger
        tasks.start("monitors", self._run, ALWAYS)

    async def wait_ready(self) -> None:
        """Until a monitor has let us in and told us who the monitors are.

        Raises Unauthorized, NotFound when no name has an address, Invalid in another cluster.
        """
        ready = self._ready
        while not ready.is_set():
            if self._refusal is not None:
                raise self._refusal
            self._changed.clear()
            await self._changed.wait()

    @property
    def target(self) -> Address | None:
        """The monitor that we are with."""
        return self._conn.target if self._conn is not None else None

    # Asking

    async def ask(
        self, make: Callable[[], Message], kind: type[_M], timeout_s: float | None = None
    ) -> _M:
        """The answer to a request, made anew for each monitor it is sent to.

        Raises Timeout, where one is set (`rados_mon_op_timeout`).
        """
        tid = self._next_tid
        self._next_tid += 1
        if len(self._asked) >= _WAITING_MAX:
            raise Unavailable("Too many requests wait for a monitor.", code="rados.mon_busy")
        asked = _Asked(
            lambda: messages.encode(make(), tid), asyncio.get_running_loop().create_future()
        )
        self._asked[tid] = asked
        if self._ready.is_set() and self._conn is not None:
            self._conn.send(asked.encode())
        limit = timeout_s or self._settings.seconds("rados_mon_op_timeout") or None
        try:
            async with asyncio.timeout(limit):
                found = await asked.answer
        except TimeoutError as error:
            raise Timeout("The monitors did not answer.", code="rados.etimedout") from error
        finally:
            del self._asked[tid]
        assert isinstance(found, kind)
        return found

    async def newest(self, what: str) -> int:
        """The version of a map that the monitors have now."""
        reply = await self.ask(lambda: monitor.MonGetVersion(1, what), monitor.MonGetVersionReply)
        return reply.newest

    def want_osdmap(self) -> None:
        """Ask for a newer OSD map, once; the subscription may have been lost on the way."""
        if not self._wants_osdmap:
            self._wants_osdmap = True
            self._subscribe({"osdmap": Subscription(self._listener.epoch + 1)})

    def osdmap_came(self) -> None:
        """It may be asked for again."""
        self._wants_osdmap = False

    def _subscribe(self, what: dict[str, Subscription]) -> None:
        if self._ready.is_set() and self._conn is not None:
            self._conn.send(messages.encode(monitor.MonSubscribe(what)))

    # A dispatcher's part

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """From a monitor."""
        if conn is not self._conn:
            return
        if messages.find_layout(envelope.type) is None:
            _log.debug("message not known", type=envelope.type)
            return
        found = messages.decode(envelope)
        asked = self._asked.get(envelope.tid) if envelope.tid else None
        handler = self._handlers.get(type(found))
        if handler is not None:
            handler(found)
        elif asked is not None and not asked.answer.done():
            asked.answer.set_result(found)

    def opened(self, conn: Connection) -> None:
        """A monitor let us in."""
        if conn is not self._conn:
            return
        self._credentials.welcomed(conn)
        conn.answered_at = clock.monotonic()
        conn.send(messages.encode(monitor.MonGetMap()))
        self._changed.set()

    def closed(self, conn: Connection) -> None:
        """The session has ended."""
        if conn is self._conn:
            self._conn = None
            if isinstance(conn.failure, Unauthorized):
                self._refusal = conn.failure
            self._changed.set()

    # Maps

    def _on_monmap(self, message: monitor.MonMapMessage) -> None:
        self.monmap = monmap_wire.decode(message.monmap)
        wanted = self._settings.text("fsid")
        if wanted and wanted != str(self.monmap.fsid):
            self._refusal = Invalid(f"The monitors are of cluster {self.monmap.fsid}, not {wanted}")
            self._changed.set()
            return
        if self._ready.is_set():
            return
        self._refusal = None
        self._ready.set()
        self._hunt.found()
        epoch = self._listener.epoch
        self._subscribe(
            {
                "config": Subscription(0),
                "monmap": Subscription(self.monmap.epoch + 1),
                "mgrmap": Subscription(0),
                "osdmap": Subscription(epoch + 1 if epoch else 0),
            }
        )
        self._wants_osdmap = False
        assert self._conn is not None
        for asked in self._asked.values():
            self._conn.send(asked.encode())
        self._changed.set()

    def _on_config(self, message: monitor.ConfigMessage) -> None:
        self._settings.central = message.options

    # Hunting

    async def _run(self) -> None:
        while True:
            try:
                target = await self._next()
            except NotFound as error:
                self._refusal = error
                self._changed.set()
                await asyncio.sleep(_TICK_S)
                continue
            assert self._messenger is not None
            self._ready.clear()
            self._changed.clear()
            self._conn = self._messenger.connect(target, EntityType.MON)
            if await self._settled():
                await self._watch()
            self._leave()

    async def _settled(self) -> bool:
        """Whether the monitor let us in, in time."""
        try:
            async with asyncio.timeout(self._hunt.patience_s):
                while self._conn is not None and not self._ready.is_set():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._hunt.was_silent()
        if not self._ready.is_set() and not self._order:
            self._leave()  # all were tried
            await asyncio.sleep(self._hunt.next_pause_s())
        return self._ready.is_set()

    async def _watch(self) -> None:
        """Until the session ends: ask whether the monitor is there, keep tickets fresh."""
        interval = self._settings.seconds("mon_client_ping_interval")
        patience = self._settings.seconds("mon_client_ping_timeout")
        asked_at = clock.monotonic()
        while (conn := self._conn) is not None:
            self._changed.clear()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._changed.wait()
                continue
            except TimeoutError:
                pass
            now = clock.monotonic()
            if now - asked_at >= interval:
                asked_at = now
                conn.keepalive()
            if patience and now - conn.answered_at > patience:
                _log.warning("a monitor is not heard of", monitor=str(conn.target))
                return
            if self._credentials.must_prove:
                return
            self._credentials.renew(conn)

    def _leave(self) -> None:
        conn, self._conn = self._conn, None
        self._ready.clear()
        if conn is not None:
            conn.close()

    async def _next(self) -> Address:
        """The monitor to try, all of them in a drawn order before any again."""
        if not self._order:
            self._order = await self._addresses()
            clock.rng().shuffle(self._order)
        return self._order.pop()

    async def _addresses(self) -> list[Address]:
        known = [msgr2(info.addresses) for info in self.monmap.monitors.values()]
        found = [address for address in known if address is not None]
        if not found:
            found = [a for place in self._places for a in await _resolved(place)]
        if not found:
            raise NotFound("No monitor is known.", code="rados.no_monitor")
        return list(dict.fromkeys(found))


async def _resolved(place: Place) -> list[Address]:
    if place.is_address:
        return [Address(AddressKind.MSGR2, place.host, place.port)]
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(place.host, place.port, type=1)
    except OSError as error:
        _log.warning("a monitor's name has no address", name=place.host, why=str(error))
        return []
    return [Address(AddressKind.MSGR2, str(row[4][0]), place.port) for row in rows]
