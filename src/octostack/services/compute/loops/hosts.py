# SPDX-License-Identifier: Apache-2.0
"""What hosts say: registrations, heartbeats, machines that changed."""

from collections.abc import Sequence
from typing import Any

from octostack.base import clock, ids, log
from octostack.base.errors import Conflict, NotFound, OctoError
from octostack.contracts.compute import HostFacts, HostOrders, MachineReport
from octostack.contracts.placement import Inventory, ProviderSpec
from octostack.services.compute.core import machine as machine_of
from octostack.services.compute.core import states
from octostack.services.compute.core.scheduling.world import DEFAULT_ZONE
from octostack.services.compute.loops.boot import drive_files
from octostack.services.compute.model import Config, Host
from octostack.services.compute.store.api_db import aggregates
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts, servers

_log = log.get("hosts")
_BEATS_PER_S = 100  # of all hosts together
_OVERLAP_S = 2.0  # clocks of two processes differ
_SILENT_MAX = 500  # asked for again in each round


async def register(app: App, facts: HostFacts) -> HostOrders:
    """A host's row and its provider are as the host says."""
    values = _columns(facts)
    now = clock.now()
    async with app.cell_db.write() as tx:
        known = await hosts.find(tx, facts.host)
        if known is None:
            await hosts.insert(
                tx,
                Host(
                    id=0, uuid=ids.new(), created_at=now, seen_at=now, zone=DEFAULT_ZONE, **values
                ),
            )
        else:
            await hosts.update(tx, known.id, seen_at=now, updated_at=now, **values)
        host = await hosts.get(tx, host=facts.host)
    app.seen[facts.host] = now
    await app.placement.ensure_provider(await provider(app, host, facts.traits))
    app.world.put_host(host, up=app.is_up(host))
    return HostOrders(heartbeat_s=_heartbeat_s(app))


async def provider(app: App, host: Host, traits: tuple[str, ...] | None = None) -> ProviderSpec:
    """The host as Placement shall know it."""
    async with app.api_db.read() as tx:
        member_of = tuple(a.uuid for a in await aggregates.list_all(tx) if host.host in a.hosts)
    return ProviderSpec(
        id=host.provider_id,
        name=host.hypervisor_hostname,
        inventories=inventories(host, app.config),
        traits=traits,
        aggregates=member_of,
    )


def inventories(host: Host, config: Config) -> dict[str, Inventory]:
    """What a host has to give."""
    c = config
    made = {
        "VCPU": _inventory(host.vcpus, 0, c.cpu_allocation_ratio),
        "MEMORY_MB": _inventory(
            host.memory_mb, min(c.reserved_host_memory_mb, host.memory_mb), c.ram_allocation_ratio
        ),
        "DISK_GB": _inventory(
            host.disk_gb, min(c.reserved_host_disk_gb, host.disk_gb), c.disk_allocation_ratio
        ),
    }
    return {name: inventory for name, inventory in made.items() if inventory.total > 0}


async def heartbeat(app: App, host: str, machines: Sequence[MachineReport]) -> HostOrders:
    """The host lives; where its machines are not as the rows say, the rows follow."""
    if host not in app.world.by_host:
        return HostOrders(known=False)
    app.seen[host] = clock.now()
    slot = app.world.by_host[host]
    if not app.world.up >> slot & 1:
        app.world.put_host(app.world.hosts[slot], up=app.is_up(app.world.hosts[slot]))
        app.wake_tasks()
    async with app.cell_db.read() as tx:
        rows = {row.id: row for row in await servers.states_of_host(tx, host)}
    foreign = []
    for machine in machines:
        row = rows.get(machine.server_id)
        if row is None:
            foreign.append(machine.server_id)
        elif row.task_state is None and machine.generation < row.generation:
            await _order_again(app, host, machine.server_id)
        elif row.power_state != states.POWER.get(machine.power):
            await observed(app, host, machine)
    if foreign:
        foreign = await _remove_deleted(app, host, foreign)
    return HostOrders(heartbeat_s=_heartbeat_s(app), foreign=tuple(foreign))


async def observed(app: App, host: str, machine: MachineReport) -> None:
    """A machine is as its host says, unless that answers an older order."""
    async with app.cell_db.read() as tx:
        server = await servers.find(tx, machine.server_id)
    if server is None or server.host != host:
        return
    if machine.generation >= server.generation and machine.power != "building":
        changes = states.observed(server, machine.power)
        if changes and server.task_state not in states.BOOT_TASKS:
            try:
                async with app.cell_db.write() as tx:
                    await servers.update(tx, server, **changes)
            except Conflict:
                pass  # an order came meanwhile; what comes of it will be reported too
    app.tell(server.id)


async def load(app: App) -> None:
    """Fill the world from the rows; at the start of a process."""
    async with app.cell_db.read() as tx:
        for host in await hosts.list_all(tx):
            app.world.put_host(host, up=app.is_up(host))
        placed = await servers.list_placed(tx)
    async with app.api_db.read() as tx:
        app.world.put_aggregates(await aggregates.list_all(tx))
    for server in placed:
        app.world.put_server(server)


class Keeper:
    """Writes down who reported, marks hosts up or down, follows what other processes did."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._written: dict[str, float] = {}
        self._followed_at = clock.now()

    async def run(self) -> None:
        """One round."""
        app, world = self._app, self._app.world
        fresh = {h: t for h, t in app.seen.items() if self._written.get(h) != t}
        since, began = self._followed_at - _OVERLAP_S, clock.now()
        silent = [h for h, slot in world.by_host.items() if not app.is_up(world.hosts[slot])]
        async with app.cell_db.write() as tx:
            await hosts.beats(tx, fresh)
            await hosts.drop_tokens(tx)
            rows = await hosts.list_some(tx, silent[:_SILENT_MAX], since)
            known = await hosts.ids(tx)
            changed = await servers.list_placed(tx, since)
        self._written.update(fresh)
        self._followed_at = began
        for gone in [p for p in world.slots if p not in known]:
            world.drop_host(gone)
        for row in rows:
            world.put_host(row, up=app.is_up(row))
        for server in changed:
            world.put_server(server)
        async with app.api_db.read() as tx:
            world.put_aggregates(await aggregates.list_all(tx))


async def _order_again(app: App, host: str, server_id: str) -> None:
    """The host has not heard of the last order: a call was lost, or a process died before it."""
    async with app.cell_db.read() as tx:
        server = await servers.find(tx, server_id)
    if server is None or server.host != host or server.vm_state == states.ERROR:
        return
    try:
        spec = machine_of.spec(server, await drive_files(app, server), app.config.stop_timeout_s)
        await app.agent(host).ensure_machine(spec)
    except OctoError as e:
        _log.warning("order failed", host=host, server=server_id, why=e.message)


async def _remove_deleted(app: App, host: str, machine_ids: list[str]) -> list[str]:
    """Machines of servers that were deleted while their host was away; the others are foreign."""
    foreign = []
    for machine_id in machine_ids:
        async with app.cell_db.read() as tx:
            server = await servers.find(tx, machine_id, deleted=True)
        if server is None or server.deleted_at is None:
            foreign.append(machine_id)
            continue
        try:
            await app.agent(host).remove_machine(machine_id)
        except (OctoError, NotFound) as e:
            _log.warning("removal failed", host=host, server=machine_id, why=e.message)
    return foreign


def _columns(facts: HostFacts) -> dict[str, Any]:
    return {
        "host": facts.host,
        "provider_id": facts.provider_id,
        "hypervisor_hostname": facts.hypervisor_hostname or facts.host,
        "hypervisor_type": facts.hypervisor_type,
        "hypervisor_version": facts.hypervisor_version,
        "host_ip": facts.host_ip,
        "vcpus": facts.vcpus,
        "memory_mb": facts.memory_mb,
        "disk_gb": facts.disk_gb,
        "booted_at": facts.booted_at,
        "facts": {
            "architecture": facts.architecture,
            "cpu_model": facts.cpu_model,
            "cpu_topology": list(facts.cpu_topology),
            "cpu_features": list(facts.cpu_features),
            "simulated": facts.simulated,
        },
    }


def _inventory(total: int, reserved: int, ratio: float) -> Inventory:
    return Inventory(total=total, reserved=reserved, max_unit=max(total, 1), allocation_ratio=ratio)


def _heartbeat_s(app: App) -> float:
    return max(app.config.heartbeat_s, len(app.world.slots) / _BEATS_PER_S)
