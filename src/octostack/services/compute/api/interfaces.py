# SPDX-License-Identifier: Apache-2.0
"""Interfaces of a server: plugged in and out while it runs."""

from typing import Any

from octostack.base import clock, ids
from octostack.base.errors import Conflict, Invalid, NotFound, OctoError
from octostack.contracts.network import NicRequest, NicRequests, PortInfo, PortSpec
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.create import action
from octostack.services.compute.core import machine, metadata
from octostack.services.compute.model import ActionEvent, Nic, Server
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers


async def index(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-interface"""
    server = await lookup.server(app, req)
    ports = await _ports(app, server)
    return {"interfaceAttachments": [_view(p, server, req.version) for p in ports]}


async def show(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-interface/{port_id}"""
    server = await lookup.server(app, req)
    return {"interfaceAttachment": _view(await _port(app, req, server), server, req.version)}


async def create(app: App, req: Request) -> Any:
    """POST /servers/{server_id}/os-interface"""
    asked = (req.body or {}).get("interfaceAttachment") or {}
    server = await lookup.server_for(app, req, "attach_interface")
    request = _request(asked)
    try:
        requests = NicRequests(mode="listed" if request else "default", nics=request)
        planned = await app.network.plan_nics(req.caller, requests)
    except NotFound as e:
        status = 404 if asked.get("port_id") or asked.get("net_id") else 400
        raise NotFound(e.message, code=e.code, status=status) from e
    if not planned:
        raise Invalid("No network to attach to was found", field="net_id")
    (plan,) = planned[:1]
    spec = PortSpec(
        device_id=server.id,
        key=ids.new(),
        network_id=plan.network_id,
        port_id=plan.port_id,
        fixed_ip=plan.fixed_ip,
        device_owner=f"compute:{server.availability_zone or 'nova'}",
        host=server.host or "",
        hostname=server.hostname,
    )
    port = await app.network.ensure_port(req.caller, spec)
    nic = addresses.nic_of(port, asked.get("tag", ""))
    try:
        server = await _change(app, req, server, ("attach_interface", (*server.nics, nic)))
    except OctoError:
        await app.network.detach_port(server.id, port.id)
        raise
    port = next((p for p in await _ports(app, server) if p.id == port.id), port)
    return {"interfaceAttachment": _view(port, server, req.version)}


async def delete(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}/os-interface/{port_id}"""
    server = await lookup.server_for(app, req, "detach_interface")
    port = await _port(app, req, server)
    nics = tuple(n for n in server.nics if n.port_id != port.id)
    server = await _change(app, req, server, ("detach_interface", nics))
    await app.network.detach_port(server.id, port.id)


def _request(asked: dict[str, Any]) -> tuple[NicRequest, ...]:
    network_id, port_id = asked.get("net_id"), asked.get("port_id")
    fixed = asked.get("fixed_ips")
    if network_id and port_id:
        raise Invalid("Must not input both network_id and port_id", field="net_id")
    if fixed and not network_id:
        raise Invalid("Must input network_id when request IP address", field="fixed_ips")
    if not network_id and not port_id:
        return ()
    ip = fixed[0]["ip_address"] if fixed else None
    return (NicRequest(network_id=network_id, port_id=port_id, fixed_ip=ip),)


async def _change(
    app: App, req: Request, server: Server, what: tuple[str, tuple[Nic, ...]]
) -> Server:
    """Order the machine with other NICs; on failure the row is as it was. Raises OctoError."""
    name, nics = what
    began = clock.now()
    before = server.nics
    async with app.cell_db.write() as tx:
        server = await servers.update(tx, server, nics=nics, generation=server.generation + 1)
        await actions.insert(tx, action(req.caller, server.id, name))
    error: OctoError | None = None
    try:
        seen = await app.agent(server.host or "").ensure_machine(machine.spec(
            server, await _drive(app, server), app.config.stop_timeout_s))  # fmt: skip
        if seen.fault:
            error = Conflict(seen.fault, code="InterfaceAttachFailed")
    except OctoError as e:
        error = e
    event = ActionEvent(
        action_id=0,
        event=f"compute_{name}",
        started_at=began,
        finished_at=clock.now(),
        result="Error" if error else "Success",
        host=server.host,
        details=error.message if error else None,
    )
    async with app.cell_db.write() as tx:
        await actions.finish(tx, server.id, event, message="Error" if error else None)
        if error:
            await servers.update(tx, server, nics=before, generation=server.generation + 1)
    if error:
        raise error
    return server


async def _drive(app: App, server: Server) -> tuple[Any, ...]:
    if not server.config_drive:
        return ()
    guest = metadata.Guest(
        server=server,
        ports=tuple(await _ports(app, server)),
        domain=app.config.dhcp_domain,
        secret=app.secret,
    )
    return metadata.config_drive(guest, server.boot.get("admin_pass"))


async def _ports(app: App, server: Server) -> list[PortInfo]:
    found = (await app.network.list_ports((server.id,))).get(server.id, [])
    place = {n.port_id: i for i, n in enumerate(server.nics)}
    return sorted(found, key=lambda p: place.get(p.id, len(place)))


async def _port(app: App, req: Request, server: Server) -> PortInfo:
    port_id = req.params["port_id"]
    for port in await _ports(app, server):
        if port.id == port_id:
            return port
    raise NotFound(
        f"Instance {server.id} does not have a port with id {port_id}", code="PortNotFound"
    )


def _view(port: PortInfo, server: Server, version: tuple[int, int]) -> dict[str, Any]:
    view: dict[str, Any] = {
        "net_id": port.network.id,
        "port_id": port.id,
        "mac_addr": port.mac_address,
        "port_state": port.status,
        "fixed_ips": [
            {"subnet_id": ip.subnet.id, "ip_address": ip.address} for ip in port.fixed_ips
        ],
    }
    if version >= (2, 70):
        tags = {n.port_id: n.tag for n in server.nics}
        view["tag"] = tags.get(port.id) or None
    return view
