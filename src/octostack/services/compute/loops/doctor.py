# SPDX-License-Identifier: Apache-2.0
"""Rows compared with reality: machines on hosts, places claimed, ports, servers that hang.

A loop finds, an operator repairs: `examine(repair=True)` undoes a difference by the same calls
that would have prevented it. What is younger than a few minutes is left alone, because a boot or
a delete may be on its way.
"""

from octostack.base import clock, log
from octostack.base.errors import NotFound, OctoError, Unavailable
from octostack.contracts.compute import Finding
from octostack.services.compute.core import machine, states
from octostack.services.compute.loops import mappings
from octostack.services.compute.loops.boot import drive_files
from octostack.services.compute.model import Host, Server
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts, servers

_log = log.get("doctor")
_YOUNG_S = 300.0


async def examine(app: App, *, repair: bool) -> list[Finding]:
    """Every difference found, and which of them are gone now."""
    async with app.cell_db.read() as tx:
        all_hosts = await hosts.list_all(tx)
    found: list[Finding] = []
    for host in all_hosts:
        found += await _examine_host(app, host, repair=repair)
        found += await _examine_provider(app, host, repair=repair)
    found += await _examine_ports(app)
    found += await _examine_tasks(app)
    found += await _examine_mappings(app, repair=repair)
    return found


async def _examine_host(app: App, host: Host, *, repair: bool) -> list[Finding]:
    """Machines that no server has, and servers whose machine is gone."""
    if not app.is_up(host):
        return []
    try:
        machines = {m.id: m for m in await app.agent(host.host).list_machines()}
    except Unavailable:
        return []
    async with app.cell_db.read() as tx:
        rows = {s.id: s for s in await servers.list_of_host(tx, host.host)}
    found = []
    for machine_id in machines.keys() - rows.keys():
        done = repair and await _remove_machine(app, host, machine_id)
        text = f"host {host.host} runs machine {machine_id} that no server has"
        found.append(Finding(kind="orphan_machine", subject=machine_id, text=text, repaired=done))
    for server_id in rows.keys() - machines.keys():
        server = rows[server_id]
        if server.task_state is not None or server.vm_state == states.ERROR:
            continue
        done = repair and await _make_machine(app, server)
        text = f"server {server_id} should be on host {host.host}, which has no such machine"
        found.append(Finding(kind="missing_machine", subject=server_id, text=text, repaired=done))
    return found


async def _examine_provider(app: App, host: Host, *, repair: bool) -> list[Finding]:
    """Places claimed for servers that are gone or elsewhere."""
    try:
        held = await app.placement.allocations_of_provider(host.provider_id)
    except NotFound:
        return []
    found = []
    for consumer_id in held:
        async with app.cell_db.read() as tx:
            server = await servers.find(tx, consumer_id)
        if server is not None and (server.host == host.host or server.task_state):
            continue
        if server is not None and server.host is not None:
            continue  # a move of later days, not ours to judge
        if repair:
            await app.placement.release(consumer_id)
        text = f"server {consumer_id} holds a place on host {host.host} and is not there"
        found.append(
            Finding(kind="orphan_allocation", subject=consumer_id, text=text, repaired=repair)
        )
    return found


async def _examine_ports(app: App) -> list[Finding]:
    """Servers whose ports are not those of the row."""
    async with app.cell_db.read() as tx:
        rows = [s for s in await servers.list_placed(tx) if s.task_state is None]
    ports = await app.network.list_ports(tuple(s.id for s in rows))
    found = []
    for server in rows:
        has = {p.id for p in ports.get(server.id, [])}
        for nic in server.nics:
            if nic.port_id not in has:
                text = f"server {server.id} has lost its port {nic.port_id}"
                found.append(Finding(kind="missing_port", subject=nic.port_id, text=text))
    return found


async def _examine_tasks(app: App) -> list[Finding]:
    """Servers that have been at something for longer than it can take."""
    async with app.cell_db.read() as tx:
        rows = await servers.list_with_task(tx)
    late = clock.now() - max(app.config.build_timeout_s, app.config.task_timeout_s)
    return [
        Finding(
            kind="stuck_server",
            subject=s.id,
            text=f"server {s.id} has been in task state {s.task_state} for too long",
        )
        for s in rows
        if (s.updated_at or s.created_at) < late
    ]


async def _examine_mappings(app: App, *, repair: bool) -> list[Finding]:
    """Mappings of servers that never came to be."""
    lost = await mappings.find_lost(app)
    if lost and repair:
        await mappings.forget(app, lost)
    return [
        Finding(kind="lost_mapping", subject=i, text=f"server {i} was never made", repaired=repair)
        for i in lost
    ]


async def _remove_machine(app: App, host: Host, machine_id: str) -> bool:
    try:
        await app.agent(host.host).remove_machine(machine_id)
        await app.network.release_device(machine_id)
    except OctoError as e:
        _log.warning("repair failed", machine=machine_id, why=e.message)
        return False
    return True


async def _make_machine(app: App, server: Server) -> bool:
    try:
        spec = machine.spec(server, await drive_files(app, server), app.config.stop_timeout_s)
        await app.agent(server.host or "").ensure_machine(spec)
    except OctoError as e:
        _log.warning("repair failed", server=server.id, why=e.message)
        return False
    return True
