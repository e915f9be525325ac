# SPDX-License-Identifier: Apache-2.0
"""The agent: takes an intent, keeps it, makes the host follow it, and says how that went."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from octostack.agents.network.ledger import Change, Entry, Ledger
from octostack.base import clock, log
from octostack.base.errors import Conflict, Invalid, OctoError, Timeout, Unavailable
from octostack.contracts import network as service
from octostack.contracts.compute import Finding
from octostack.contracts.network_agent import (
    AgentPort,
    AgentStatus,
    AppliedState,
    HostIntent,
    IntentChange,
    Item,
    Key,
    NetworkAgent,
    TraceRequest,
    TraceResult,
)
from octostack.engines.sdn import checkup
from octostack.engines.sdn.core import model
from octostack.engines.sdn.core.question import Asked
from octostack.engines.sdn.dataplane import Dataplane, PortFact
from octostack.engines.sdn.fabric import HostFabric
from octostack.engines.sdn.switch import Events
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of

_log = log.get("network agent")

CONVERGE_TIMEOUT_S = 30.0
HEARTBEAT_S = 20.0


class Listener(Protocol):
    """The part of `contracts.network.Network` that agents talk to."""

    async def register_agent(self, agent: service.AgentInfo) -> None: ...

    async def report(self, report: service.HostReport) -> None: ...


class Agent(NetworkAgent):
    """One host's network agent. State changes only under `_turn`; readers see whole states."""

    def __init__(
        self,
        info: service.AgentInfo,
        dataplane: Dataplane,
        ledger: Ledger,
        network: Listener,
    ) -> None:
        entry = ledger.read()
        events = Events(packet_in=_ignore, port_status=self._port_status, lost=self._wake)
        numbers = model.Numbers(entry.numbers, entry.following, entry.span)
        self.host = info.host
        self.fabric = HostFabric(dataplane, numbers, events)
        self.wake = asyncio.Event()  # something is not as it was; the loop's work
        self._info = info
        self._ledger = ledger
        self._network = network
        self._items: dict[Key, Item] = {}
        self._generation = 0
        self._applied = 0
        self._facts: dict[str, PortFact] = {}
        self._error = ""
        self._told: service.HostReport | None = None
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        if not entry.generation:
            self._keep()  # from now on there is a host to be cleared away
        else:
            self._take({model.key_of(item): item for item in entry.items}, entry.generation)

    # ---- the contract -------------------------------------------------------------------------

    async def apply(self, intent: HostIntent) -> AppliedState:
        self._is_mine(intent.host)
        async with self._turn:
            if intent.generation >= self._generation:
                self._take(self._known(intent.items), intent.generation)
                self._keep()
            await self._converge()
        if self._error:
            self._wake()
        return self._state()

    async def change(self, change: IntentChange) -> AppliedState:
        self._is_mine(change.host)
        async with self._turn:
            if change.generation > self._generation:
                if change.base != self._generation:
                    raise Conflict(
                        f"the agent is at generation {self._generation}, not {change.base}",
                        code="intent.base",
                        generation=self._generation,
                    )
                before, _, _ = self.fabric.numbers.dump()
                items = {**self._items, **self._known(change.put)}
                for key in change.drop:
                    items.pop(key, None)
                self._take(items, change.generation)
                self._keep_change(change, before)
            await self._converge()
        if self._error:
            self._wake()
        return self._state()

    async def ensure_port(self, port_id: str, timeout_s: float = 10.0) -> AgentPort:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    port = self._port(port_id)
                    if port is not None and (port.up or port.error):
                        return port
                    await self._moved.wait()
        except TimeoutError:
            port = self._port(port_id)
            if port is not None:
                return port
            raise Timeout(
                f"no intent of {self.host} names port {port_id}", code="port.unknown"
            ) from None

    async def status(self) -> AgentStatus:
        dataplane = self.fabric.dataplane
        return AgentStatus(
            host=self.host,
            generation=self._generation,
            applied=self._applied,
            flows=len(self.fabric.flows),
            ports=len(self.fabric.fabric.ports),
            simulated=dataplane.simulated,
            datapath=dataplane.kind,
            bridge=dataplane.bridge,
            tunnel_ip=dataplane.place.tunnel_ip,
            error=self._error,
            counters=dict(self.fabric.packet_in.counters),
        )

    async def list_ports(self) -> list[AgentPort]:
        left = await self.fabric.dataplane.leavings() if self._generation else []
        strays = (AgentPort(id="", interface=name, up=False) for name in left)
        return [*self._ports(), *strays]

    async def examine(self, repair: bool = False) -> list[Finding]:
        if not self._generation:
            return []  # told nothing yet: there is nothing to compare with
        async with self._turn:
            found = await self._differences()
            if not found or not repair:
                return found
            self.fabric.mistrust()
            await self._converge()
            left = {(f.kind, f.subject) for f in await self._differences()}
        return [msgspec.structs.replace(f, repaired=(f.kind, f.subject) not in left) for f in found]

    async def _differences(self) -> list[Finding]:
        if self.fabric.dataplane.switch is None:
            raise Unavailable(f"{self.host} has no switch: {self._error}", code="switch.lost")
        return await checkup.differences(self.fabric, await self.fabric.look())

    async def trace(self, request: TraceRequest) -> TraceResult:
        fabric = self.fabric
        asked = Asked(fabric.fabric, fabric.numbers, fabric.dataplane.place)
        switch = fabric.dataplane.switch
        held = await switch.flows() if switch is not None else []
        result = asked.answer(request, [self._flow(stats) for stats in held])
        return TraceResult(
            verdict=result.verdict,
            outputs=result.outputs,
            steps=result.steps,
            simulated=fabric.dataplane.simulated,
        )

    def _flow(self, stats: of.FlowStats) -> model.Flow:
        wanted = self.fabric.flows.get((stats.table, stats.priority, stats.match))
        return model.Flow(
            stats.table,
            stats.priority,
            stats.match,
            acts.decode_instructions(stats.instructions),
            stats.cookie,
            wanted.note if wanted is not None else "",
        )

    # ---- the intent ---------------------------------------------------------------------------

    def _is_mine(self, host: str) -> None:
        if host != self.host:
            raise Invalid(f"an intent for {host} came to {self.host}", code="intent.host")

    def _known(self, items: Iterable[Item]) -> dict[Key, Item]:
        """Items by key; one that is as before is the same object, and costs nothing further on."""
        out: dict[Key, Item] = {}
        for item in items:
            key = model.key_of(item)
            held = self._items.get(key)
            out[key] = held if held is not None and held == item else item
        return out

    def _take(self, items: dict[Key, Item], generation: int) -> None:
        self.fabric.follow(items)
        self._items, self._generation = items, generation

    def _keep(self) -> None:
        numbers, following, span = self.fabric.numbers.dump()
        self._ledger.write(
            Entry(
                host=self.host,
                generation=self._generation,
                items=tuple(self._items.values()),
                numbers=numbers,
                following=following,
                span=span,
            )
        )

    def _keep_change(self, change: IntentChange, before: dict[str, int]) -> None:
        if not self._ledger.takes_changes:
            self._keep()
            return
        numbers, following, _ = self.fabric.numbers.dump()
        self._ledger.add(
            Change(
                generation=change.generation,
                put=change.put,
                drop=change.drop,
                given={name: n for name, n in numbers.items() if before.get(name) != n},
                taken=tuple(name for name in before if name not in numbers),
                following=following,
            )
        )

    # ---- carrying it out ----------------------------------------------------------------------

    async def refresh(self) -> bool:
        """Carry the intent out again; False when that failed and is to be tried again."""
        async with self._turn:
            await self._converge()
        await self._report()
        return not self._error

    async def _converge(self) -> None:
        generation, numbers = self._generation, self.fabric.numbers
        try:
            async with asyncio.timeout(CONVERGE_TIMEOUT_S):
                # told nothing yet, it must not take what is in the switch for leavings
                done = await self.fabric.converge(frame_only=not generation)
            if self.fabric.numbers is not numbers:
                self._keep()
        except (OctoError, OSError, TimeoutError) as e:
            before, self._error = self._error, str(e) or type(e).__name__
            if self._error != before:
                _log.warning("host does not follow", host=self.host, error=self._error)
            return
        if self._error:
            _log.info("host follows again", host=self.host)
        self._error = ""
        self._facts = done.ports
        self._applied = generation
        self._moved.set()
        self._moved = asyncio.Event()

    def _port_status(self, _: of.PortStatus) -> None:
        self._wake()

    def _wake(self) -> None:
        self.wake.set()

    # ---- what is said -------------------------------------------------------------------------

    async def heartbeat(self) -> None:
        """Say that the host lives. Raises when Network cannot be reached."""
        await self._network.register_agent(self._info)

    async def _report(self) -> None:
        """Tell Network of ports, when there is anything it was not told."""
        if not self._generation:
            return
        ports = tuple(service.PortState(port.id, port.up) for port in self._ports())
        report = service.HostReport(
            host=self.host, generation=self._applied, ports=ports, complete=True, error=self._error
        )
        if report == self._told:
            return
        try:
            await self._network.report(report)
        except OctoError as e:
            _log.info("report not taken", host=self.host, error=e.message)
            return
        self._told = report

    def _state(self) -> AppliedState:
        return AppliedState(
            host=self.host,
            generation=self._applied,
            ports=tuple(self._ports()),
            error=self._error,
            simulated=self.fabric.dataplane.simulated,
        )

    def _ports(self) -> Iterable[AgentPort]:
        for port_id in self.fabric.fabric.ports:
            port = self._port(port_id)
            if port is not None:
                yield port

    def _port(self, port_id: str) -> AgentPort | None:
        port = self.fabric.fabric.ports.get(port_id)
        if port is None:
            return None
        fact = self._facts.get(port_id)
        attached = fact is not None and fact.attached
        return AgentPort(
            id=port_id,
            interface=port.interface,
            up=attached and port.admin_up,
            error=fact.error if fact is not None else self._error,
        )

    def port_behind(self, number: int) -> tuple[str, str]:
        """The (port id, network id) of a number; empty when it is no port's."""
        kind, _, id = (self.fabric.numbers.owner(number) or "").partition("/")
        port = self.fabric.fabric.ports.get(id) if kind == "port" else None
        return (port.id, port.network_id) if port is not None else ("", "")


def _ignore(_: of.PacketIn) -> None:
    """The fabric puts its own in place of this."""


def info_of(
    host: str, place: model.Place, bridges: Mapping[str, str], *, simulated: bool
) -> service.AgentInfo:
    """What an agent says of itself."""
    return service.AgentInfo(
        host=host,
        tunnel_ip=place.tunnel_ip,
        bridge_mappings=dict(bridges),
        external_networks=tuple(place.physical),
        simulated=simulated,
        started_at=clock.now(),
    )
