# SPDX-License-Identifier: Apache-2.0
"""A switch in memory: the flows of a simulated host, handled as the real one handles them."""

from collections.abc import Iterable, Sequence

from octostack.engines.sdn.core import diff
from octostack.engines.sdn.core.model import FlowKey, Place, Span
from octostack.engines.sdn.dataplane import Dataplane, PortFact, PortPlan
from octostack.engines.sdn.switch import Events, Forgotten, Switch
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of


class SimulatedSwitch(Switch):
    """Holds flows and ports; carries no packet."""

    simulated = True

    def __init__(self) -> None:
        self._flows: dict[FlowKey, of.FlowMod] = {}
        self._ports: tuple[of.Port, ...] = ()

    async def flows(self) -> list[of.FlowStats]:
        return [
            of.FlowStats(
                table=m.table,
                priority=m.priority,
                match=m.match,
                instructions=acts.encode_instructions(m.instructions),
                cookie=m.cookie,
            )
            for m in self._flows.values()
        ]

    async def change(self, mods: Sequence[of.FlowMod]) -> None:
        diff.carry_out(self._flows, mods)

    async def ports(self) -> list[of.Port]:
        return list(self._ports)

    async def forget(self, connections: Sequence[Forgotten]) -> None:
        """There are no connections."""

    async def meters(self) -> set[int]:
        return set()

    async def measure(self, mods: Sequence[of.MeterMod]) -> None:
        """Nothing comes that could be measured."""

    def send(self, data: bytes, actions: acts.Actions) -> None:
        """There is nobody to receive it."""

    def plug(self, ports: Sequence[PortPlan]) -> None:
        """Have exactly these ports."""
        self._ports = tuple(of.Port(p.number, 0, p.interface) for p in ports)


class SimulatedDataplane(Dataplane):
    """Every device is there as soon as it is asked for."""

    simulated = True
    kind = "simulated"
    bridge = "simulated"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._switch = SimulatedSwitch()

    async def connect(self, events: Events, wished: Span) -> bool:
        fresh, self.switch = self.switch is None, self._switch
        return fresh

    async def ensure_ports(self, ports: Sequence[PortPlan]) -> dict[str, PortFact]:
        self._switch.plug(ports)
        return {p.interface: PortFact(interface=p.interface, attached=True) for p in ports}

    async def ensure_outside(self, addresses: dict[str, tuple[str, ...]]) -> None:
        """There is no outside."""

    async def greet(self, tunnel_ips: Iterable[str]) -> None:
        """There is nobody."""

    async def settle(self) -> None:
        """No packet goes anywhere."""

    async def close(self) -> None:
        self.switch = None
