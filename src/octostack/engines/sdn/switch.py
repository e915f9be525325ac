# SPDX-License-Identifier: Apache-2.0
"""A switch and the connection to it.

`Switch` is what the rest of the package uses; `OpenFlowSwitch` speaks to Open vSwitch over the
bridge's management socket (always there, no controller to configure), `simulated` has one in
memory. A change is one bundle: all of it or nothing, in order, with no packet in between.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from octostack.base import log
from octostack.base.errors import Conflict, Invalid, Timeout, Unavailable
from octostack.runtime.tasks import Supervisor
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of

_log = log.get("switch")

REPLY_TIMEOUT_S = 30.0
READ_BYTES = 1 << 18

Forgotten: TypeAlias = of.FlushZone | of.FlushConnections


class Events(msgspec.Struct, frozen=True):
    """Whom to tell what the switch says by itself; called from the read loop, must not block."""

    packet_in: Callable[[of.PacketIn], None]
    port_status: Callable[[of.PortStatus], None]
    lost: Callable[[], None]


class Switch(ABC):
    """A bridge that holds flows."""

    simulated = False

    @abstractmethod
    async def flows(self) -> list[of.FlowStats]:
        """Every flow in it. Raises Unavailable, Timeout."""

    @abstractmethod
    async def change(self, mods: Sequence[of.FlowMod]) -> None:
        """Carry out all the mods, or none. Raises Conflict when the switch refuses one."""

    @abstractmethod
    async def ports(self) -> list[of.Port]:
        """Every port of it."""

    @abstractmethod
    async def forget(self, connections: Sequence[Forgotten]) -> None:
        """Forget tracked connections."""

    @abstractmethod
    async def meters(self) -> set[int]:
        """The numbers of its meters."""

    @abstractmethod
    async def measure(self, mods: Sequence[of.MeterMod]) -> None:
        """Make, change or delete meters. Raises Conflict when the switch refuses one."""

    @abstractmethod
    def send(self, data: bytes, actions: acts.Actions) -> None:
        """Send a packet by actions; lost when the connection is."""


class _Waiting:
    """Replies expected under one xid, until the last of them."""

    def __init__(self, last: Callable[[of.Message], bool]) -> None:
        self.future: asyncio.Future[list[of.Message]] = asyncio.get_running_loop().create_future()
        self._last = last
        self._got: list[of.Message] = []

    def take(self, message: of.Message) -> bool:
        """Whether that was all."""
        if isinstance(message, of.Error):
            what = f"the switch refused a request: type {message.type} code {message.code}"
            self.fail(Conflict(what, code="switch.refused", type=message.type, error=message.code))
            return True
        self._got.append(message)
        if not self._last(message):
            return False
        if not self.future.done():
            self.future.set_result(self._got)
        return True

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        if not self.future.done():
            self.future.set_exception(error)


class OpenFlowSwitch(Switch):
    """The connection to one bridge of Open vSwitch; made by `connect`, dead once lost."""

    def __init__(self, writer: asyncio.StreamWriter, events: Events) -> None:
        self.datapath_id = 0
        self.lost = False
        self._writer = writer
        self._events = events
        self._xid = 0
        self._waiting: dict[int, _Waiting] = {}
        self._one_change = asyncio.Lock()

    @classmethod
    async def connect(cls, path: Path, tasks: Supervisor, events: Events) -> "OpenFlowSwitch":
        """Connect to ``DIR/BRIDGE.mgmt`` and ask for packet-ins. Raises Unavailable, Timeout."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except OSError as e:
            raise Unavailable(f"no switch at {path.name}: {e}", code="switch.connect") from e
        switch = cls(writer, events)
        tasks.start(f"openflow {path.name}", lambda: switch._read(reader))
        switch._post(of.Hello())
        (features,) = await switch._ask(of.FeaturesRequest(), _any)
        if not isinstance(features, of.FeaturesReply):
            raise Unavailable("the switch does not say what it is", code="switch.features")
        switch.datapath_id = features.datapath_id
        # a management connection gets no packets unless it asks for their size and their kind
        switch._post(of.SetConfig())
        switch._post(of.SetAsync())
        await switch._ask(of.BarrierRequest(), _any)
        return switch

    def close(self) -> None:
        """Leave; the switch goes on."""
        self._writer.close()

    async def flows(self) -> list[of.FlowStats]:
        replies = await self._ask(of.FlowStatsRequest(), _last_part)
        return [f for r in replies if isinstance(r, of.FlowStatsReply) for f in r.flows]

    async def ports(self) -> list[of.Port]:
        replies = await self._ask(of.PortsRequest(), _last_part)
        return [p for r in replies if isinstance(r, of.PortsReply) for p in r.ports]

    async def change(self, mods: Sequence[of.FlowMod]) -> None:
        if not mods:
            return
        async with self._one_change:
            await self._bundle(mods)

    async def _bundle(self, mods: Sequence[of.FlowMod]) -> None:
        bundle = self._next_xid()
        await self._ask(of.BundleControl(bundle, of.OPEN_REQUEST), _any)
        adds = self._expect(lambda _: False)  # silence is consent: only errors are answered
        xid, waiting = adds
        try:
            for mod in mods:
                message = of.encode(mod, xid)
                self._writer.write(of.encode(of.BundleAdd(bundle, message), xid))
                await self._writer.drain()
            await self._ask(of.BarrierRequest(), _any)
            if waiting.future.done():
                waiting.future.result()
            await self._ask(of.BundleControl(bundle, of.COMMIT_REQUEST), _any)
        except (Conflict, Invalid):
            self._post(of.BundleControl(bundle, of.DISCARD_REQUEST))
            raise
        except OSError as e:
            raise Unavailable(f"the switch is gone: {e}", code="switch.lost") from e
        finally:
            self._waiting.pop(xid, None)
            waiting.future.cancel()

    async def forget(self, connections: Sequence[Forgotten]) -> None:
        for request in connections:
            self._post(request)
        if connections:
            await self._ask(of.BarrierRequest(), _any)

    async def meters(self) -> set[int]:
        replies = await self._ask(of.MetersRequest(), _last_part)
        return {id for r in replies if isinstance(r, of.MetersReply) for id in r.ids}

    async def measure(self, mods: Sequence[of.MeterMod]) -> None:
        if not mods:
            return
        xid, waiting = self._expect(lambda _: False)  # only errors are answered
        try:
            for mod in mods:
                self._writer.write(of.encode(mod, xid))
            await self._ask(of.BarrierRequest(), _any)
            if waiting.future.done():
                waiting.future.result()
        finally:
            self._waiting.pop(xid, None)
            waiting.future.cancel()

    def send(self, data: bytes, actions: acts.Actions) -> None:
        if not self.lost:
            self._post(of.PacketOut(data, actions))

    # ---- the connection -----------------------------------------------------------------------

    def _next_xid(self) -> int:
        self._xid = self._xid % 0x7FFFFFFF + 1
        return self._xid

    def _post(self, message: of.Message) -> None:
        self._writer.write(of.encode(message, self._next_xid()))

    def _expect(self, last: Callable[[of.Message], bool]) -> tuple[int, _Waiting]:
        if self.lost:
            raise Unavailable("the switch is gone", code="switch.lost")
        xid = self._next_xid()
        waiting = self._waiting[xid] = _Waiting(last)
        return xid, waiting

    async def _ask(
        self, message: of.Message, last: Callable[[of.Message], bool]
    ) -> list[of.Message]:
        xid, waiting = self._expect(last)
        self._writer.write(of.encode(message, xid))
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await waiting.future
        except TimeoutError as e:
            raise Timeout("the switch does not answer", code="switch.silent") from e
        finally:
            self._waiting.pop(xid, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        buffer = bytearray()
        try:
            while data := await reader.read(READ_BYTES):
                buffer += data
                for message in of.split(buffer):
                    self._read_one(message)
        except (OSError, Invalid) as e:
            _log.warning("switch connection broken", error=str(e))
        finally:
            self.lost = True
            self._writer.close()
            for waiting in self._waiting.values():
                waiting.fail(Unavailable("the switch is gone", code="switch.lost"))
            self._events.lost()

    def _read_one(self, data: bytes) -> None:
        """One message that cannot be read is no reason to lose the others."""
        try:
            message, xid = of.decode(data)
        except Invalid as e:
            _log.warning("unreadable message from the switch", type=data[1], error=e.message)
            return
        self._take(message, xid)

    def _take(self, message: of.Message, xid: int) -> None:
        if isinstance(message, of.PacketIn):
            self._events.packet_in(message)
        elif isinstance(message, of.PortStatus):
            self._events.port_status(message)
        elif isinstance(message, of.EchoRequest):
            self._writer.write(of.encode(of.EchoReply(message.data), xid))
        elif isinstance(message, of.Hello):
            pass  # numbered by the switch: no answer to anything of ours
        elif (waiting := self._waiting.get(xid)) is not None:
            if waiting.take(message):
                self._waiting.pop(xid, None)
        elif isinstance(message, of.Error):
            _log.warning("the switch refused a message", type=message.type, code=message.code)


def _any(_: of.Message) -> bool:
    return True


def _last_part(message: of.Message) -> bool:
    return not getattr(message, "more", False)
