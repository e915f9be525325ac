# SPDX-License-Identifier: Apache-2.0
"""One host's fabric: the intent it follows, and the step that makes the dataplane follow.

`follow` is pure decision (compile, numbers); `converge` carries out. After a break (a new
connection, a switch that refused) nothing is assumed: the flows are read back and compared.
"""

from collections.abc import Iterable, Mapping

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Conflict, Unavailable
from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import Item, Key
from octostack.engines.sdn.core import compile as compiling
from octostack.engines.sdn.core import dhcp, diff, model, neighbours, pipeline
from octostack.engines.sdn.dataplane import Dataplane, PortFact, PortPlan
from octostack.engines.sdn.forgetting import Forgetting
from octostack.engines.sdn.packet_in import PacketIn
from octostack.engines.sdn.switch import Events, Forgotten, Switch
from octostack.runtime.tasks import Supervisor
from octostack.wire.openflow import messages as of

_log = log.get("fabric")


class Converged(msgspec.Struct, frozen=True):
    """What a convergence did and found. `ports` by the port's id."""

    changed: int
    ports: dict[str, PortFact]


class HostFabric:
    """The network of one host."""

    def __init__(self, dataplane: Dataplane, numbers: model.Numbers, events: Events) -> None:
        self.dataplane = dataplane
        self.numbers = numbers
        self.packet_in = PacketIn(self._lease_of)
        self.forgetting = Forgetting(dataplane)
        self.fabric = model.Fabric({})
        self.compiler = compiling.Compiler()
        self._events = msgspec.structs.replace(events, packet_in=self.packet_in.put)
        self._mods: dict[model.FlowKey, of.FlowMod] = {}  # decided and not yet in the switch
        self._forgotten: list[Forgotten] = []  # connections that are nobody's any more
        self._meters: set[int] = set()  # in the switch
        self._ways_out: list[neighbours.Where] = []
        self._in_step = False  # the switch holds what the compiler holds, `_mods` apart

    def start(self, tasks: Supervisor) -> None:
        """Begin the work that goes on by itself: packets that come up, connections to forget."""
        self.packet_in.start(tasks)
        self.forgetting.start(tasks)

    @property
    def flows(self) -> Mapping[model.FlowKey, model.Flow]:
        """Every flow the host shall have."""
        return self.compiler.flows

    def follow(self, items: Mapping[Key, Item]) -> None:
        """Decide on a new intent. Raises Invalid and then follows the former one still."""
        fabric = model.Fabric(items)
        model.check(fabric, self.fabric)
        before = self.numbers.dump()
        forgotten = list(self._unbound(fabric))
        freed = self.numbers.settle(fabric.names())
        try:
            delta = self.compiler.update(fabric, self.numbers, self.dataplane.place)
        except BaseException:
            self.numbers = model.Numbers(*before)
            raise
        self.fabric = fabric
        self._forgotten += [of.FlushZone(number) for number in freed] + forgotten
        self._owe(delta)

    def _owe(self, delta: compiling.Delta) -> None:
        for key in delta.drop:
            self._mods[key] = diff.drop(key)
        for flow in delta.put:
            self._mods[flow.key] = diff.put(flow)
        self._note_feet()

    def _renumber(self, span: model.Span) -> None:
        """Number within another span. What had numbers outside of it gets new ones."""
        self.numbers = self.numbers.within(span)
        self.numbers.settle(self.fabric.names())
        self._forgotten.clear()  # those zones may be another cloud's by now
        self.forgetting.clear()
        self._owe(self.compiler.update(self.fabric, self.numbers, self.dataplane.place))

    def _unbound(self, fabric: model.Fabric) -> Iterable[Forgotten]:
        """What was translated by a floating address that is gone or leads elsewhere now."""
        for id, item in self.fabric.floating_ips.items():
            snat = self.numbers.find(f"snat/{item.router_id}")
            dnat = self.numbers.find(f"dnat/{item.router_id}")
            if fabric.floating_ips.get(id) != item and snat and dnat:
                yield of.FlushConnections(snat, src=model.address(item.fixed_address))
                yield of.FlushConnections(dnat, dst=model.address(item.address))

    def _lease_of(self, number: int) -> dhcp.Lease | None:
        kind, _, id = (self.numbers.owner(number) or "").partition("/")
        port = self.fabric.ports.get(id) if kind == "port" else None
        if port is None:
            return None
        return dhcp.lease(port, self.fabric, metadata=bool(self.dataplane.place.metadata_mac))

    def _note_feet(self) -> None:
        """In whose name neighbours are asked for, and which the routers will need."""
        askers, ways, feet = {}, [], {}
        for router in self.fabric.routers.values():
            site = compiling.router_site(router, self.fabric, self.numbers, self.dataplane.place)
            outer = site.outer if site.served and router.admin_up else ()
            for leg in (*site.inner, *outer):
                askers[leg.number] = neighbours.Asker(leg.mac, leg.address)
            for leg in site.inner:
                feet[site.number, leg.number] = neighbours.Asker(leg.mac, leg.address)
            ways += [(leg.number, leg.gateway_ip) for leg in outer if leg.gateway_ip]
        self.packet_in.neighbours.askers = askers
        self.packet_in.feet = feet
        self._ways_out = ways

    async def converge(self, *, frame_only: bool = False) -> Converged:
        """Make the host as decided; with `frame_only` leave all flows and guests as they are.

        Raises Unavailable, Timeout, Conflict; call again then.
        """
        fresh = await self.dataplane.connect(self._events, self.numbers.span)
        if self.numbers.span != self.dataplane.span:
            self._renumber(self.dataplane.span)
        switch = self.dataplane.switch
        if switch is None:
            raise Unavailable("no switch", code="switch.lost")
        self.packet_in.switch = switch
        if fresh:
            self._in_step = False
        if frame_only:
            return Converged(0, {})
        changed = await self._send(switch)
        plans = {port.id: self._plan(port) for port in self.fabric.ports.values()}
        facts = await self.dataplane.ensure_ports(list(plans.values()))
        await self.dataplane.ensure_outside(self._outside())
        await self.dataplane.greet(self.fabric.other_hosts(self.dataplane.place.tunnel_ip))
        self.packet_in.seek(self._ways_out)
        return Converged(changed, {id: facts[plan.interface] for id, plan in plans.items()})

    async def _send(self, switch: Switch) -> int:
        if not self._in_step:
            mods = await self._compare(switch)
        else:
            mods = list(self._mods.values())
        forgotten = list(self._forgotten)
        self._mods.clear()
        self._forgotten.clear()
        try:
            wanted = await self._ensure_meters(switch)
            await switch.change(mods)
            await switch.forget(forgotten)
            await self._drop_meters(switch, self._meters - wanted)
        except BaseException as e:
            self._in_step = False
            self._forgotten = forgotten + self._forgotten
            if isinstance(e, Conflict):
                _log.warning("the switch refused a change", mods=len(mods), error=e.message)
            raise
        self._in_step = True
        self.forgetting.again(c for c in forgotten if isinstance(c, of.FlushConnections))
        return len(mods)

    async def _ensure_meters(self, switch: Switch) -> set[int]:
        """Have the meters that flows name, before the flows; which."""
        if not self.dataplane.place.meters:
            return set()
        rates = dict(pipeline.METERS)
        for port_id in self.fabric.ports:
            rates[self.numbers[f"port/{port_id}"]] = pipeline.PORT_METER
        if not self._in_step:
            self._meters = await switch.meters()
            old = sorted(rates.keys() & self._meters)
            await switch.measure([of.MeterMod(of.METER_MODIFY, id, *rates[id]) for id in old])
        new = sorted(rates.keys() - self._meters)
        await switch.measure([of.MeterMod(of.METER_ADD, id, *rates[id]) for id in new])
        self._meters |= rates.keys()
        return set(rates)

    async def _drop_meters(self, switch: Switch, gone: set[int]) -> None:
        """Meters that no flow names any more: their flows would go with them."""
        await switch.measure([of.MeterMod(of.METER_DELETE, id) for id in sorted(gone)])
        self._meters -= gone

    async def _compare(self, switch: Switch) -> list[of.FlowMod]:
        held = await switch.flows()
        self._forgotten += [of.FlushZone(zone) for zone in await self.zones_left(held)]
        learned = [flow for flow in held if diff.is_learned(flow.cookie)]
        back = self.packet_in.neighbours.adopt(learned, clock.monotonic())
        return [*diff.changes(self.compiler.flows, held), *back]

    async def zones_left(self, held: list[of.FlowStats]) -> list[int]:
        """Zones with connections that are nobody's, or of somebody who is new to the switch."""
        cookies = {flow.cookie for flow in held}
        left = []
        for zone in sorted(await self.dataplane.zones()):
            kind, _, id = (self.numbers.owner(zone) or "").partition("/")
            if kind == "port":
                known = pipeline.cookie("port", zone) in cookies
            elif kind in ("snat", "dnat"):
                router = self.numbers.find(f"router/{id}") or 0
                known = pipeline.cookie("router", router) in cookies
            else:
                known = False
            if not known:
                left.append(zone)
        return left

    async def look(self) -> dict[str, PortFact]:
        """The ports' devices as they are now, by the port's id."""
        plans = {port.id: self._plan(port) for port in self.fabric.ports.values()}
        facts = await self.dataplane.look(list(plans.values()))
        return {id: facts[plan.interface] for id, plan in plans.items()}

    def mistrust(self) -> None:
        """Have the next convergence compare everything, whatever is remembered."""
        self._in_step = False
        self.dataplane.mistrusted = True

    def _plan(self, port: intents.LocalPort) -> PortPlan:
        return PortPlan(
            interface=port.interface,
            number=self.numbers[f"port/{port.id}"],
            mtu=self.fabric.networks[port.network_id].mtu,
            tap=port.plug == "tap",
        )

    def _outside(self) -> dict[str, tuple[str, ...]]:
        """The addresses this machine takes in external networks: those of their gateways."""
        out: dict[str, tuple[str, ...]] = {}
        for net in self.fabric.networks.values():
            if not net.external or net.physical not in self.dataplane.place.physical or net.vlan:
                continue
            subnets = self.fabric.subnets_of.get(net.id, [])
            addresses = [
                f"{s.gateway_ip}/{model.prefix(s.cidr)[2]}"
                for s in subnets
                if s.gateway_ip and not model.is_v6(s.cidr)
            ]
            out[net.physical or ""] = (*out.get(net.physical or "", ()), *addresses)
        return out
