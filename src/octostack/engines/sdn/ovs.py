# SPDX-License-Identifier: Apache-2.0
"""A host on Open vSwitch: the bridges, what connects them, and the guests' devices.

    br-int   all guests; follows our flows and nothing else (fail mode secure)
    br-x0…   one per physical network: a plain learning switch with a patch to br-int, the machine's
             own address where it shall reach the outside from here, and a real interface where one
             is given
    br-phy   holds the tunnel's address, with the interface that leads to other hosts: the
             userspace datapath sends VXLAN only through bridges of its own

All names begin with letters made of the state directory and the host's name, so that several clouds
and hosts share a machine. Guests reach the metadata proxy over a veth pair whose far end is in a
network namespace of its own: nothing of this machine can be reached from there.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from octostack.base import clock, log
from octostack.base.errors import OctoError, Timeout
from octostack.engines.sdn import daemon, devices
from octostack.engines.sdn.core import layout, model, pipeline
from octostack.engines.sdn.core.layout import BridgeSpec, PortSpec
from octostack.engines.sdn.dataplane import Dataplane, PortFact, PortPlan
from octostack.engines.sdn.ovsdb import Database
from octostack.engines.sdn.switch import Events, OpenFlowSwitch
from octostack.runtime.tasks import Supervisor
from octostack.wire import ovsdb
from octostack.wire.openflow import text

_log = log.get("ovs")

ATTACH_TIMEOUT_S = 5.0
BRIDGE_TIMEOUT_S = 10.0
GREETING_TIMEOUT_S = 1.5  # the kernel asks again after one
GREETING_POLL_S = 0.01
GREET_AGAIN_S = 300.0
MTU_OUTSIDE = 1500
DATAPATH = "netdev"


class Outside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A physical network. `interface`: the machine's NIC that leads there, if any.

    `host_address`: this machine takes the address of the external subnet's gateway, so that
    floating addresses are reached from it.
    """

    interface: str = ""
    host_address: bool = True


class OvsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `tunnel` is the CIDR of its address for other hosts, `underlay` the NIC there."""

    host: str
    state_dir: Path
    tunnel: str = ""
    underlay: str = ""
    outside: dict[str, Outside] = {}
    tap_owner: int | None = None
    metadata: bool = True


class Names(msgspec.Struct, frozen=True):
    """What a host's bridges and devices are called."""

    prefix: str

    def of(self, part: str) -> str:
        """The name of one of them; 15 characters at most."""
        return f"{self.prefix}-{part}"

    @property
    def mark(self) -> str:
        """What our taps bear, to be found whatever became of their ports."""
        return f"octostack {self.prefix}"

    @property
    def netns(self) -> str:
        """The namespace of the metadata proxy."""
        return f"octostack-{self.prefix}"

    def mac(self, part: str) -> str:
        """A MAC of its own for one of them."""
        digest = hashlib.blake2b(self.of(part).encode(), digest_size=5).digest()
        return text.mac(0x02 << 40 | int.from_bytes(digest, "big"))


def names_of(state_dir: Path, host: str) -> Names:
    """Names that no other state directory or host on this machine has."""
    told = f"{state_dir.resolve()}\0{host}".encode()
    return Names("o" + hashlib.blake2b(told, digest_size=3).hexdigest())


class OvsDataplane(Dataplane):
    """The real thing; needs root."""

    kind = DATAPATH

    def __init__(self, config: OvsConfig, tasks: Supervisor) -> None:
        self.names = names_of(config.state_dir, config.host)
        self.bridge = self.names.of("int")
        self._physical = {name: i for i, name in enumerate(sorted(config.outside))}
        first = pipeline.PHYSICAL_PORT_MIN
        place = model.Place(
            host=config.host,
            tunnel_ip=config.tunnel.partition("/")[0],
            physical={name: first + i for name, i in self._physical.items()},
            metadata_mac=model.mac(self.names.mac("md1")) if config.metadata else 0,
            meters=True,  # the userspace datapath has them
        )
        super().__init__(place)
        self.paths = daemon.paths()
        self._config = config
        self._tasks = tasks
        self._database: Database | None = None
        self._guests: tuple[PortPlan, ...] | None = None
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._greeted: dict[str, float] = {}  # other hosts' addresses, and when that was

    @property
    def bridges(self) -> dict[str, str]:
        """The bridge of each physical network."""
        return {name: self.names.of(f"x{i}") for name, i in self._physical.items()}

    # ---- the frame --------------------------------------------------------------------------

    async def connect(self, events: Events, wished: model.Span) -> bool:
        started = await daemon.ensure(self.paths)
        switch = self.switch
        alive = isinstance(switch, OpenFlowSwitch) and not switch.lost
        if alive and not started and self._database and not self._database.lost:
            return False
        await self._open(events)
        for nic in self._nics():
            self._restrain(nic, devices.NIC)
        if self._config.metadata:
            await self._ensure_metadata_link()
        if self._guests is None:
            self._guests = self._present_guests()
        await self._claim(wished, self._guests, afresh=started)
        if self._config.tunnel:
            await self._ensure_tunnel_address()
        self._addresses.clear()
        self._greeted.clear()
        if isinstance(switch, OpenFlowSwitch):
            switch.close()
        path = self.paths.bridge_socket(self.bridge)
        self.switch = await OpenFlowSwitch.connect(path, self._tasks, events)
        return True

    async def _claim(self, wished: model.Span, guests: Sequence[PortPlan], *, afresh: bool) -> None:
        """Have our bridges, marked with a span of numbers that no other cloud's bridge has."""
        async with daemon.alone():
            columns = ["name", "external_ids"]
            (answer,) = await self._db.transact([ovsdb.select("Bridge", [], columns)])
            spans = layout.spans(ovsdb.decode_row(row) for row in answer["rows"])
            mine = spans.pop(self.names.prefix, wished)
            self.span = model.free_span(spans.values(), mine)
            count = await self._order_layout(guests, afresh=afresh)
        await self._made(count)  # others need not wait for that

    async def _open(self, events: Events) -> None:
        if self._database is None or self._database.lost:
            path = self.paths.database_socket
            self._database = await Database.connect(path, self._tasks, events.lost)

    @property
    def _db(self) -> Database:
        assert self._database is not None, "connect first"
        return self._database

    def _present_guests(self) -> tuple[PortPlan, ...]:
        """Who is on the bridge since before: they stay until the intent says otherwise."""
        own = {port.name for port in self._own_ports()} | {self.bridge}
        bridge = next(
            (b for b in self._db.tables.get("Bridge", {}).values() if b["name"] == self.bridge),
            None,
        )
        if bridge is None:
            return ()
        found = layout.interfaces(self._db.tables)
        ports = layout.ports_of(self._db.tables, bridge)
        return tuple(
            PortPlan(interface=name, number=layout.number_of(found[name]), mtu=0, tap=False)
            for name in ports
            if name not in own and name in found
        )

    def _bridges(self, guests: Sequence[PortPlan]) -> tuple[BridgeSpec, ...]:
        ports = tuple(PortSpec(name=g.interface, number=max(g.number, 0)) for g in guests)
        out = [self._bridge("int", controlled=True, ports=(*self._own_ports(), *ports))]
        for name, i in self._physical.items():
            nic = self._config.outside[name].interface
            real = (PortSpec(name=nic),) if nic else ()
            patch = self._patch(f"px{i}", f"pi{i}", 0)
            out.append(self._bridge(f"x{i}", controlled=False, ports=(patch, *real)))
        if self._config.tunnel:
            nics = (PortSpec(name=self._config.underlay),) if self._config.underlay else ()
            out.append(self._bridge("phy", controlled=False, ports=nics))
        return tuple(out)

    def _nics(self) -> list[str]:
        """The machine's own interfaces that are in our bridges."""
        own = [outside.interface for outside in self._config.outside.values()]
        return [nic for nic in (self._config.underlay, *own) if nic]

    def _restrain(self, device: str, settings: Mapping[str, str]) -> None:
        try:
            devices.restrain(device, settings)
        except OctoError as e:
            _log.warning("the kernel answers on a device too", device=device, error=e.message)

    def _bridge(self, part: str, *, controlled: bool, ports: tuple[PortSpec, ...]) -> BridgeSpec:
        return BridgeSpec(
            name=self.names.of(part),
            datapath=DATAPATH,
            mac=self.names.mac(part),
            controlled=controlled,
            ports=ports,
            span=self.span if controlled else None,
        )

    def _patch(self, part: str, peer: str, number: int) -> PortSpec:
        options = {"peer": self.names.of(peer)}
        return PortSpec(name=self.names.of(part), type="patch", options=options, number=number)

    def _own_ports(self) -> list[PortSpec]:
        """The ports of br-int that are not guests'."""
        first = pipeline.PHYSICAL_PORT_MIN
        out = [self._patch(f"pi{i}", f"px{i}", first + i) for i in self._physical.values()]
        if self._config.metadata:
            out.append(PortSpec(name=self.names.of("md0"), number=pipeline.METADATA_PORT))
        if self._config.tunnel:
            options = {"key": "flow", "remote_ip": "flow", "local_ip": self.place.tunnel_ip}
            out.append(
                PortSpec(
                    name=self.names.of("vx"),
                    type="vxlan",
                    options=options,
                    number=pipeline.VXLAN_PORT,
                )
            )
        return out

    async def _order_layout(self, guests: Sequence[PortPlan], *, afresh: bool = False) -> int:
        """Have bridges and ports in the database; the count to wait for in `_made`, 0: nothing new.

        `afresh`: ovs-vswitchd may have done nothing yet of what is there.
        """
        tables = self._db.tables
        operations = layout.plan(tables, self._bridges(guests), self.names.prefix)
        if not operations and not afresh and not layout.is_behind(tables):
            return 0
        answers = await self._db.transact([*operations, *layout.count_change(tables)])
        return int(answers[len(operations) + 1]["rows"][0]["next_cfg"])

    async def _made(self, count: int) -> None:
        """Wait until ovs-vswitchd has done what was ordered. Raises Timeout."""
        tables = self._db.tables
        if not await self._db.until(lambda: layout.counted(tables) >= count, BRIDGE_TIMEOUT_S):
            raise Timeout("the switch does not make its bridges", code="switch.bridge")

    async def leavings(self) -> list[str]:
        wanted = {port.interface for port in self._guests or ()}
        found = {*devices.list_marked(self.names.mark)}
        found |= {port.interface for port in self._present_guests()}
        return sorted(found - wanted)

    async def look(self, ports: Sequence[PortPlan]) -> dict[str, PortFact]:
        return {p.interface: self._fact(p, "") for p in ports}

    async def settle(self) -> None:
        for _ in range(2):  # a round that had begun before may be the first to end
            await daemon.ask(self.paths, "revalidator/wait")

    async def zones(self) -> frozenset[int]:
        said = await daemon.ask(self.paths, "dpctl/dump-conntrack", f"{DATAPATH}@ovs-{DATAPATH}")
        found = map(int, re.findall(r"\bzone=(\d+)", said))
        return frozenset(zone for zone in found if zone in self.span)

    async def _ensure_metadata_link(self) -> None:
        inner, outer = self.names.of("md1"), self.names.of("md0")
        await devices.ensure_netns(self.names.netns)
        if not devices.exists(outer):
            mac = self.names.mac("md1")
            peer = ("peer", "name", inner, "address", mac, "netns", self.names.netns)
            await devices.ip("link", "add", outer, "type", "veth", *peer)
        self._restrain(outer, devices.GUEST)
        devices.set_up(outer)
        inside = self.names.netns
        await devices.ip("addr", "replace", "169.254.169.254/32", "dev", inner, netns=inside)
        await devices.ip("link", "set", inner, "up", netns=inside)
        await devices.ip("route", "replace", "100.64.0.0/10", "dev", inner, netns=inside)
        await devices.checksums_off_within(inside, inner)

    async def _ensure_tunnel_address(self) -> None:
        bridge = self.names.of("phy")
        await self._db.until(lambda: devices.exists(bridge), BRIDGE_TIMEOUT_S)
        # not touched where it is: the switch reads all routes anew when any address is written
        if not devices.bears(bridge, self._config.tunnel):
            await devices.ip("addr", "replace", self._config.tunnel, "dev", bridge)
        devices.set_up(bridge)
        if self._config.underlay:
            devices.set_up(self._config.underlay)
            devices.checksums_off(self._config.underlay)

    # ---- what changes -------------------------------------------------------------------------

    async def ensure_ports(self, ports: Sequence[PortPlan]) -> dict[str, PortFact]:
        wanted = tuple(ports)
        errors: dict[str, str] = {}
        before = set(self._guests or ())
        for port in wanted:
            if port.tap and (port not in before or not devices.exists(port.interface)):
                try:
                    devices.ensure_tap(
                        port.interface, self.names.mark, port.mtu, self._config.tap_owner
                    )
                except OctoError as e:
                    errors[port.interface] = e.message
        for port in wanted:
            if port not in before and devices.exists(port.interface):
                self._restrain(port.interface, devices.GUEST)
        gone = {p.interface for p in before} - {p.interface for p in wanted}
        if self.mistrusted:
            gone |= set(devices.list_marked(self.names.mark)) - {p.interface for p in wanted}
            self.mistrusted = False
        await self._made(await self._order_layout(wanted))
        self._guests = wanted
        for name in sorted(gone):
            self._delete(name)
        await self._settled(wanted)
        return {p.interface: self._fact(p, errors.get(p.interface, "")) for p in wanted}

    def _delete(self, name: str) -> None:
        try:
            devices.delete_tap(name)
        except OctoError as e:
            _log.warning("tap stays", tap=name, error=e.message)

    async def _settled(self, ports: Sequence[PortPlan]) -> None:
        def known() -> bool:
            found = layout.interfaces(self._db.tables)
            return all(p.interface in found and layout.number_of(found[p.interface]) for p in ports)

        await self._db.until(known, ATTACH_TIMEOUT_S)

    def _fact(self, port: PortPlan, error: str) -> PortFact:
        row = layout.interfaces(self._db.tables).get(port.interface, {})
        number = layout.number_of(row)
        if not error and not devices.exists(port.interface):
            error = "there is no such device"
        said = row.get("error", [])
        if not error and isinstance(said, str):
            error = said
        if not error and number > 0 and number != port.number:
            error = f"the switch calls it port {number}, not {port.number}"
        return PortFact(
            interface=port.interface, attached=number == port.number and not error, error=error
        )

    async def ensure_outside(self, addresses: dict[str, tuple[str, ...]]) -> None:
        for name, wanted in addresses.items():
            outside = self._config.outside.get(name)
            if outside is not None and outside.host_address:
                await self._ensure_addresses(self.names.of(f"x{self._physical[name]}"), wanted)

    async def _ensure_addresses(self, bridge: str, wanted: tuple[str, ...]) -> None:
        """Have a device bear these addresses, but for networks that lead elsewhere already."""
        if self._addresses.get(bridge) != wanted:
            devices.set_up(bridge, MTU_OUTSIDE)
            for gone in set(self._addresses.get(bridge, ())) - set(wanted):
                await devices.ip("addr", "del", gone, "dev", bridge)
        for cidr in wanted:
            other = devices.find_route(cidr)
            if other in ("", bridge):
                self.collisions.discard(cidr)
                if not devices.bears(bridge, cidr):
                    await devices.ip("addr", "replace", cidr, "dev", bridge)
            elif cidr not in self.collisions:
                self.collisions.add(cidr)
                _log.error("another device has this network", cidr=cidr, device=other)
        self._addresses[bridge] = wanted

    async def greet(self, tunnel_ips: Iterable[str]) -> None:
        """The kernel asks by ARP; the switch, which sends VXLAN itself, overhears the answer.

        It forgets it when it overheard none for 15 minutes and had nothing to send, and then loses
        the next packet, at least. So all are called at again from time to time.
        """
        if not self._config.tunnel:
            return
        bridge, now = self.names.of("phy"), clock.monotonic()
        asked = set()
        for address in sorted(set(tunnel_ips)):
            greeted_at = self._greeted.get(address)
            if greeted_at is not None and now - greeted_at < GREET_AGAIN_S:
                continue
            try:
                if greeted_at is None:
                    devices.ask_for(address, bridge)
                    asked.add(address)
                else:
                    devices.call_at(address)
                self._greeted[address] = now
            except OctoError as e:
                _log.info("other host not reached", tunnel_ip=address, error=e.message)
        deadline = now + GREETING_TIMEOUT_S
        while asked and clock.monotonic() < deadline:
            await asyncio.sleep(GREETING_POLL_S)
            asked -= {address for address in asked if devices.is_answered(address, bridge)}

    async def close(self) -> None:
        if isinstance(self.switch, OpenFlowSwitch):
            self.switch.close()
        if self._database is not None:
            self._database.close()


async def stop(state_dir: Path, host: str) -> None:
    """Take the host's bridges out of the switch, and end the switch when it has no others.

    The guests' taps stay.
    """
    names = names_of(state_dir, host)
    await daemon.leave(daemon.paths(), names.prefix)
    await devices.delete_netns(names.netns)
    await devices.delete_link(names.of("md0"))


async def remove(state_dir: Path, host: str) -> None:
    """Stop, and take every device of this host out of the kernel."""
    await stop(state_dir, host)
    for tap in devices.list_marked(names_of(state_dir, host).mark):
        try:
            devices.delete_tap(tap)
        except OctoError as e:
            _log.warning("tap stays", tap=tap, error=e.message)
