# SPDX-License-Identifier: Apache-2.0
"""Compute's neighbours in memory, for tests of Compute alone: small, and true to the contracts.

Images and networks are dictionaries; the agent keeps a ledger and is at once what it was ordered
to be. `Trouble` makes any call of them fail.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.agents.compute.consoles import Consoles
from octostack.base import clock, ids
from octostack.base.errors import Conflict, Invalid, NotFound, OctoError, Unsupported
from octostack.contracts import compute_agent as agent
from octostack.contracts import network as net
from octostack.contracts.api import ApiCall
from octostack.contracts.compute import Compute, Finding, HostFacts, MachineReport
from octostack.contracts.identity import Caller
from octostack.contracts.image import ImageInfo, ImageLocation, Images, SnapshotSpec
from octostack.runtime.service import Runtime, Service
from octostack.runtime.tasks import Supervisor

_POWER: dict[str, agent.Power] = {
    "running": "running",
    "stopped": "shutdown",
    "paused": "paused",
    "suspended": "suspended",
}
Hook = Callable[[str], Awaitable[None]]


class MemoryImages(Images):
    """Images as a dictionary; every caller sees all of them but the private ones of others."""

    def __init__(self) -> None:
        self.images: dict[str, ImageInfo] = {}

    def add(self, name: str = "cirros", **facts: Any) -> str:
        """A small active image; its id."""
        image_id = ids.new()
        values: dict[str, Any] = {
            "status": "active", "owner": "p1", "visibility": "public", "disk_format": "qcow2",
            "container_format": "bare", "size_bytes": 1 << 20, "virtual_size_bytes": 1 << 26,
            "min_disk": 0, "min_ram": 0, "protected": False, "hidden": False, "checksum": "0",
            "sha512": "0" * 128, "created_at": clock.now(), "updated_at": clock.now(),
        } | facts  # fmt: skip
        self.images[image_id] = ImageInfo(id=image_id, name=name, **values)
        return image_id

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        raise NotFound("These images have no API", code="route")

    async def get(self, caller: Caller, image_id: str) -> ImageInfo:
        image = self.images.get(image_id)
        hidden = image and image.visibility == "private" and image.owner != caller.project_id
        if image is None or hidden:
            raise NotFound(f"No image found with ID {image_id}", code="image.not_found")
        return image

    async def locate(self, image_id: str) -> ImageLocation:
        image = self.images[image_id]
        if image.status != "active":
            raise Conflict(f"Image {image_id} is {image.status}", code="image.not_active")
        return ImageLocation(
            image_id=image_id,
            disk_format=image.disk_format or "raw",
            size_bytes=image.size_bytes or 0,
            virtual_size_bytes=image.virtual_size_bytes or 0,
            sha512=image.sha512 or "",
        )

    async def read(self, image_id: str, offset: int, length: int) -> bytes:
        return b""

    async def create_snapshot(self, caller: Caller, spec: SnapshotSpec) -> str:
        return self.add(
            spec.name,
            status="queued",
            owner=caller.project_id,
            visibility="private",
            properties=spec.properties,
        )

    async def import_file(self, image_id: str, path: str) -> ImageInfo:
        return await self.commit(image_id, 0, "")

    async def write(self, image_id: str, offset: int, data: bytes) -> int:
        return offset + len(data)

    async def commit(self, image_id: str, size_bytes: int, sha512: str) -> ImageInfo:
        image = msgspec.structs.replace(self.images[image_id], status="active")
        self.images[image_id] = image
        return image

    async def discard(self, image_id: str) -> None:
        self.images.pop(image_id, None)


class MemoryNetwork(net.Network):
    """Networks of one subnet each; ports come up as soon as they are bound."""

    def __init__(self) -> None:
        self.networks: dict[str, net.NetworkInfo] = {}
        self.ports: dict[str, net.PortInfo] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.next = 9
        self.comes_up = True
        self.hook: Hook | None = None

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        raise NotFound("These networks have no API", code="route")

    def add_network(self, name: str, project_id: str = "p1", *, shared: bool = False) -> str:
        """A network; its id."""
        network_id = ids.new()
        self.networks[network_id] = net.NetworkInfo(
            id=network_id, name=name, project_id=project_id, mtu=1450, shared=shared
        )
        return network_id

    def add_port(self, network_id: str) -> str:
        """A user's own port; its id."""
        port = self._make(network_id, None, preserve=True)
        return port.id

    def _make(self, network_id: str, ip: str | None, *, preserve: bool = False) -> net.PortInfo:
        self.next += 1
        port_id = ids.new()
        network = self.networks[network_id]
        subnet = net.SubnetInfo(id=network_id, cidr="10.0.0.0/8", ip_version=4,
                                gateway_ip="10.0.0.1", dns_nameservers=("9.9.9.9",))  # fmt: skip
        address = ip or f"10.0.{self.next >> 8}.{self.next & 255}"
        port = net.PortInfo(
            id=port_id,
            name="",
            network=network,
            project_id=network.project_id,
            mac_address=f"fa:16:3e:00:{self.next >> 8:02x}:{self.next & 255:02x}",
            status="DOWN",
            fixed_ips=(net.FixedIp(address=address, subnet=subnet),),
            security_groups=(("sg", "default"),),
            preserve=preserve,
        )
        self.ports[port_id] = port
        return port

    async def _called(self, name: str) -> None:
        if self.hook:
            await self.hook(name)

    async def list_networks(
        self, caller: Caller, ids: tuple[str, ...] = ()
    ) -> list[net.NetworkInfo]:
        mine = [n for n in self.networks.values() if n.shared or n.project_id == caller.project_id]
        return [n for n in mine if not ids or n.id in ids]

    async def plan_nics(self, caller: Caller, requests: net.NicRequests) -> list[net.PlannedNic]:
        if requests.mode == "none":
            return []
        mine = {n.id: n for n in await self.list_networks(caller)}
        if requests.mode in ("default", "auto"):
            if len(mine) > 1:
                raise Conflict(
                    "Multiple possible networks found, use a Network ID to be more specific.",
                    code="NetworkAmbiguous",
                )
            return [net.PlannedNic(network_id=n) for n in mine]
        planned = []
        for nic in requests.nics:
            network_id = nic.network_id or ""
            if nic.port_id:
                if nic.port_id not in self.ports:
                    raise NotFound(f"Port {nic.port_id} could not be found.", code="PortNotFound")
                network_id = self.ports[nic.port_id].network.id
            if network_id not in mine:
                raise NotFound(f"Network {network_id} could not be found.", code="NetworkNotFound")
            planned.append(
                net.PlannedNic(network_id=network_id, port_id=nic.port_id, fixed_ip=nic.fixed_ip)
            )
        return planned

    async def ensure_port(self, caller: Caller, spec: net.PortSpec) -> net.PortInfo:
        await self._called("ensure_port")
        key = (spec.device_id, spec.key)
        port_id = spec.port_id or self.keys.get(key)
        port = self.ports[port_id] if port_id else self._make(spec.network_id, spec.fixed_ip)
        self.keys[key] = port.id
        return self.put(port, spec.device_id, spec.host, spec.device_owner)

    def put(self, port: net.PortInfo, device: str, host: str, owner: str) -> net.PortInfo:
        """The port on that host, up if ports come up."""
        port = msgspec.structs.replace(
            port, device_id=device, host=host, device_owner=owner, vif_type="ovs",
            status="ACTIVE" if self.comes_up and host else "DOWN",
        )  # fmt: skip
        self.ports[port.id] = port
        return port

    async def bind_port(self, port_id: str, binding: net.Binding) -> net.PortInfo:
        return self.put(self.ports[port_id], binding.device_id, binding.host, binding.device_owner)

    async def unbind_port(self, port_id: str) -> None:
        port = self.ports.get(port_id)
        if port:
            self.put(port, "", "", "")

    async def delete_port(self, port_id: str) -> None:
        self.ports.pop(port_id, None)

    async def release_device(self, device_id: str) -> None:
        await self._called("release_device")
        for port in [p for p in self.ports.values() if p.device_id == device_id]:
            await self.detach_port(device_id, port.id)
        self.keys = {k: v for k, v in self.keys.items() if k[0] != device_id}

    async def detach_port(self, device_id: str, port_id: str) -> None:
        port = self.ports.get(port_id)
        if port is None or port.device_id != device_id:
            return
        if port.preserve:
            await self.unbind_port(port_id)
        else:
            del self.ports[port_id]

    async def list_ports(self, device_ids: tuple[str, ...]) -> dict[str, list[net.PortInfo]]:
        found: dict[str, list[net.PortInfo]] = {d: [] for d in device_ids}
        for port in self.ports.values():
            if port.device_id in found:
                found[port.device_id].append(port)
        return found

    async def list_addresses(
        self, device_ids: tuple[str, ...]
    ) -> dict[str, list[net.PortAddresses]]:
        found = await self.list_ports(device_ids)
        return {device: [_addresses(p) for p in ports] for device, ports in found.items()}

    async def get_port(self, caller: Caller, port_id: str) -> net.PortInfo:
        port = self.ports.get(port_id)
        if port is None or (port.project_id != caller.project_id and not caller.is_admin):
            raise NotFound(f"Port {port_id} could not be found.", code="PortNotFound")
        return port

    async def find_devices(self, ip: str, caller: Caller | None = None) -> list[str]:
        return [
            p.device_id
            for p in self.ports.values()
            if p.device_id and any(re.search(ip, f.address) for f in p.fixed_ips)
        ]

    async def list_security_groups(
        self, caller: Caller, names: tuple[str, ...] = ()
    ) -> list[net.SecurityGroupInfo]:
        for name in names:
            if name not in ("default", "web"):
                raise NotFound(f"Security group {name} not found.", code="SecurityGroupNotFound")
        return [net.SecurityGroupInfo(id=n, name=n) for n in names or ("default",)]

    async def change_security_groups(
        self, caller: Caller, device_id: str, add: tuple[str, ...], remove: tuple[str, ...]
    ) -> None:
        await self.list_security_groups(caller, (*add, *remove))
        for port in (await self.list_ports((device_id,)))[device_id]:
            kept = [g for g in port.security_groups if g[1] not in remove]
            groups = (*kept, *((g, g) for g in add if (g, g) not in kept))
            self.ports[port.id] = msgspec.structs.replace(port, security_groups=groups)

    async def quota_usage(self, project_id: str) -> dict[str, net.QuotaUsage]:
        used = sum(p.project_id == project_id for p in self.ports.values())
        return {
            "port": net.QuotaUsage(500, used),
            "network": net.QuotaUsage(100, len(self.networks)),
            "floatingip": net.QuotaUsage(50, 0),
            "security_group": net.QuotaUsage(10, 1),
            "security_group_rule": net.QuotaUsage(100, 4),
        }

    async def port_owner(
        self, port_id: str = "", network_id: str = "", fixed_ip: str = ""
    ) -> net.PortOwner:
        port = self.ports.get(port_id)
        for other in self.ports.values():
            ips = [ip.address for ip in other.fixed_ips]
            if not port_id and other.network.id == network_id and fixed_ip in ips:
                port = other
        if port is None:
            raise NotFound(f"Port {port_id} could not be found.", code="PortNotFound")
        return net.PortOwner(
            port_id=port.id,
            network_id=port.network.id,
            device_id=port.device_id,
            project_id=port.project_id,
            mac_address=port.mac_address,
        )

    async def register_agent(self, agent: net.AgentInfo) -> None:
        return

    async def doctor(self, repair: bool) -> list[Finding]:
        return []

    async def report(self, report: net.HostReport) -> None:
        return


class MemoryAgent(agent.ComputeAgent):
    """A host whose machines are what they were ordered to be, at once; it tells Compute."""

    def __init__(self, facts: HostFacts, compute: Compute) -> None:
        self._facts = facts
        self._compute = compute
        self.specs: dict[str, agent.MachineSpec] = {}
        self.power: dict[str, agent.Power] = {}
        self.rebooted: list[tuple[str, bool, str]] = []
        self.hook: Hook | None = None
        self.images: Images | None = None
        self.console = "unix:/none"
        self.consoles = Consoles(Supervisor(facts.host))

    def connect(self, compute: Compute) -> None:
        """Report to this Compute from now on."""
        self._compute = compute

    async def _called(self, name: str) -> None:
        if self.hook:
            await self.hook(name)

    async def ensure_machine(self, spec: agent.MachineSpec) -> agent.MachineState:
        await self._called("ensure_machine")
        known = self.specs.get(spec.id)
        if known and known.generation > spec.generation:
            raise Conflict("an older order", code="agent.stale_generation")
        self.specs[spec.id] = spec
        self.power[spec.id] = _POWER[spec.wanted]
        return await self.look(spec.id)

    async def remove_machine(self, machine_id: str) -> None:
        await self._called("remove_machine")
        self.specs.pop(machine_id, None)
        self.power.pop(machine_id, None)

    async def look(self, machine_id: str) -> agent.MachineState:
        spec = self.specs.get(machine_id)
        if spec is None:
            raise NotFound(f"no machine {machine_id}")
        return agent.MachineState(
            id=spec.id,
            generation=spec.generation,
            power=self.power[machine_id],
            nics=tuple(agent.NicState(port_id=n.port_id, mac=n.mac, tap="t") for n in spec.nics),
            simulated=True,
        )

    async def list_machines(self) -> list[agent.MachineState]:
        return [await self.look(m) for m in self.specs]

    async def reboot(self, machine_id: str, hard: bool, request_id: str) -> agent.MachineState:
        await self._called("reboot")
        if (machine_id, hard, request_id) not in self.rebooted:
            self.rebooted.append((machine_id, hard, request_id))
        self.power[machine_id] = "running"
        return await self.look(machine_id)

    async def console_output(self, machine_id: str, lines: int | None) -> str:
        kept = ["simulated console", f"machine {machine_id}", "login:"]
        return "\n".join(kept[-lines:] if lines else kept)

    async def console_access(
        self, machine_id: str, kind: agent.ConsoleKind
    ) -> agent.ConsoleAddress:
        return agent.ConsoleAddress(kind=kind, host=self._facts.host, address=self.console)

    async def open_console(self, machine_id: str, kind: agent.ConsoleKind) -> str:
        return await self.consoles.open(self.console)

    async def read_console(self, session: str, number: int, wait_s: float) -> bytes:
        return await self.consoles.read(session, number, wait_s)

    async def write_console(self, session: str, number: int, data: bytes) -> None:
        await self.consoles.write(session, number, data)

    async def close_console(self, session: str) -> None:
        self.consoles.close(session)

    async def snapshot(
        self, machine_id: str, image_id: str, disk_format: str = "qcow2"
    ) -> agent.SnapshotProgress:
        await self._called("snapshot")
        if self.images:
            await self.images.commit(image_id, 1, "")
        return agent.SnapshotProgress(image_id=image_id, status="done", size_bytes=1)

    async def drop_snapshot(self, image_id: str) -> None:
        return

    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        raise Unsupported("The guest runs no QEMU guest agent", code="agent.no_guest_agent")

    async def diagnostics(self, machine_id: str) -> agent.Diagnostics:
        if self.power.get(machine_id) != "running":
            raise Conflict(f"machine {machine_id} does not run")
        return agent.Diagnostics(
            state="running", driver="simulated", hypervisor="simulated", hypervisor_os="linux",
            cpu_times_ns=(1, 2), disks=(agent.DiskDiagnostics(),),
            nics=(agent.NicDiagnostics(mac_address="fa:16:3e:00:00:01"),), memory_max_mb=64,
        )  # fmt: skip

    async def facts(self) -> HostFacts:
        return self._facts

    async def report(self, machine_id: str) -> None:
        """Tell Compute how one machine is."""
        seen = await self.look(machine_id)
        await self._compute.observed(
            self._facts.host,
            MachineReport(server_id=seen.id, power=seen.power, generation=seen.generation),
        )

    async def beat(self) -> None:
        """One heartbeat."""
        machines = [
            MachineReport(server_id=m.id, power=m.power, generation=m.generation)
            for m in await self.list_machines()
        ]
        await self._compute.heartbeat(self._facts.host, machines)


class Neighbours:
    """Images, networks and hosts; give `parts` to ``running(..., extra=...)``."""

    def __init__(self, hosts: int = 2, **facts: Any) -> None:
        self.images = MemoryImages()
        self.network = MemoryNetwork()
        self.agents: dict[str, MemoryAgent] = {}
        self.facts = [
            HostFacts(
                host=f"host{i}",
                provider_id=f"00000000-0000-4000-8000-{i:012}",
                hypervisor_type="simulated",
                hypervisor_version=7002000,
                simulated=True,
                **{"vcpus": 16, "memory_mb": 32768, "disk_gb": 500} | facts,
            )
            for i in range(1, hosts + 1)
        ]

    async def build_images(self, _runtime: Runtime) -> Service:
        """Images as a part."""
        return Service(name="image", contracts=[(Images, self.images, None)])

    async def build_network(self, _runtime: Runtime) -> Service:
        """Networks as a part."""
        return Service(name="network", contracts=[(net.Network, self.network, None)])

    async def build_hosts(self, runtime: Runtime) -> Service:
        """The hosts as a part; they register once everything is served."""
        compute = runtime.bus.stub(Compute)
        for facts in self.facts:
            made = self.agents.setdefault(facts.host, MemoryAgent(facts, compute))
            made.consoles = Consoles(runtime.tasks)
            made.images = self.images  # a host outlives the cloud's processes
            made.connect(compute)

        async def start() -> None:
            for facts in self.facts:
                await compute.register(facts)

        contracts = [(agent.ComputeAgent, a, name) for name, a in self.agents.items()]
        return Service(name="hosts", contracts=contracts, start=start)


class Failing:
    """A hook that fails the named calls, so many times."""

    def __init__(self, error: OctoError | None = None, **times: int) -> None:
        self.error = error or Invalid("it does not work")
        self.times = times

    async def __call__(self, name: str) -> None:
        await asyncio.sleep(0)
        if self.times.get(name, 0) > 0:
            self.times[name] -= 1
            raise self.error


def _addresses(port: net.PortInfo) -> net.PortAddresses:
    return net.PortAddresses(
        port_id=port.id,
        network_id=port.network.id,
        network_name=port.network.name,
        mac_address=port.mac_address,
        fixed_ips=tuple((ip.address, ip.subnet.id) for ip in port.fixed_ips),
        security_groups=tuple(name for _, name in port.security_groups),
        mtu=port.network.mtu,
        preserve=port.preserve,
    )
