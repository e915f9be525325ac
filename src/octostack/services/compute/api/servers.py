# SPDX-License-Identifier: Apache-2.0
"""One server: show, update, delete."""

from collections.abc import Iterator
from typing import Any

import msgspec

from octostack.base.errors import Invalid
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.create import action
from octostack.services.compute.core import states
from octostack.services.compute.model import Server
from octostack.services.compute.schema import server_view, terms
from octostack.services.compute.schema.server_view import Shown
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

_P = "os_compute_api:"


async def show(app: App, req: Request) -> Any:
    """GET /servers/{server_id}"""
    return {"server": await view(app, req, await lookup.server(app, req))}


async def view(app: App, req: Request, server: Server) -> dict[str, Any]:
    """One server as this caller may see it at this version."""
    return next(await views(app, req, [server]))


async def views(app: App, req: Request, found: list[Server]) -> Iterator[dict[str, Any]]:
    """Servers as this caller may see them at this version, each made as it is asked for."""
    fresh, group_names = await addresses.fresh(app, found)
    own = lookup.own(req)
    common = Shown(
        version=req.version,
        base_url=req.base_url,
        extended=req.allowed(_P + "os-extended-server-attributes", own),
        host_status=req.allowed(_P + "servers:show:host_status", own),
        host_status_unknown_only=req.allowed(_P + "servers:show:host_status:unknown-only", own),
    )
    states_of_hosts = {host: _host_state(app, host) for host in {s.host for s in fresh}}
    return (
        server_view.detail(
            s,
            msgspec.structs.replace(
                common,
                security_groups=group_names.get(s.id),
                host_state=states_of_hosts[s.host],
            ),
        )
        for s in fresh
    )


async def update(app: App, req: Request) -> Any:
    """PUT /servers/{server_id}"""
    server = await lookup.server(app, req)
    given = req.body["server"]
    changes: dict[str, Any] = {}
    for key, column in _UPDATABLE.items():
        if key in given:
            changes[column] = given[key]
            if key.startswith("accessIP"):
                changes[column] = terms.address(given[key])
    if "name" in changes:
        changes["name"] = changes["name"].strip()
        if not changes["name"]:
            raise Invalid("Server name is an empty string", field="name")
    if changes:
        async with app.cell_db.write() as tx:
            fresh = await servers.get(tx, server.id)
            server = await servers.update(tx, fresh, **changes)
    return {"server": server_view.trimmed(await view(app, req, server), req.version)}


_UPDATABLE = {
    "name": "name",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "OS-DCF:diskConfig": "disk_config",
}


async def delete(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}"""
    server = await lookup.server(app, req)
    states.refuse_locked(server, may_override=lookup.may_override_lock(req, server))
    states.check("delete", server)
    async with app.cell_db.write() as tx:
        fresh = await servers.get(tx, server.id)
        if fresh.task_state == "deleting":
            return  # as often as you like
        await servers.update(
            tx, fresh, task_state="deleting", generation=fresh.generation + 1, progress=0
        )
        await actions.insert(tx, action(req.caller, server.id, "delete"))
        await app.order_delete(tx, server)
        tx.after_commit(lambda: app.tell(server.id))


def _host_state(app: App, name: str | None) -> str:
    if not name:
        return ""
    slot = app.world.by_host.get(name)
    if slot is None:
        return "UNKNOWN"
    host = app.world.hosts[slot]
    if host.forced_down:
        return "DOWN"
    if not app.is_up(host):
        return "UNKNOWN"
    return "MAINTENANCE" if host.disabled else "UP"
