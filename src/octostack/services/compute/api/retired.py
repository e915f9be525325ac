# SPDX-License-Identifier: Apache-2.0
"""What newer versions dropped: hosts (to 2.42), and what is gone from every version."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound, Unsupported
from octostack.runtime.http import Request
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts, servers


async def list_hosts(app: App, req: Request) -> Any:
    """GET /os-hosts"""
    zone = req.query.get("zone") or None
    async with app.cell_db.read() as tx:
        found = await hosts.list_all(tx)
    views = [
        {"host_name": h.host, "service": "compute", "zone": app.world.zone(h.host)} for h in found
    ]
    return {"hosts": [v for v in views if zone in (None, v["zone"])]}


async def show_host(app: App, req: Request) -> Any:
    """GET /os-hosts/{host}: what it has, what is used, and by which project"""
    name = req.params["host"]
    async with app.cell_db.read() as tx:
        host = await hosts.find(tx, name)
        on_it = await servers.list_of_host(tx, name)
    if host is None:
        raise NotFound(f"Compute host {name} could not be found.", code="ComputeHostNotFound")
    rows: list[tuple[Any, ...]] = [(name, "(total)", host.vcpus, host.memory_mb, host.disk_gb)]
    projects: dict[str, list[int]] = {}
    for server in on_it:
        f = server.flavor
        sizes = (f.vcpus, f.memory_mb, f.root_gb + f.ephemeral_gb)
        before = projects.get(server.project_id, [0, 0, 0])
        projects[server.project_id] = [a + b for a, b in zip(before, sizes, strict=True)]
    used = [sum(column) for column in zip(*projects.values(), strict=True)] or [0, 0, 0]
    for label in ("(used_now)", "(used_max)"):
        rows.append((name, label, *used))
    rows += [(name, project, *sizes) for project, sizes in projects.items()]
    return {"host": [{"resource": _resource(row)} for row in rows]}


async def gone(_app: App, _req: Request) -> Any:
    """Any of GONE: Nova removed what stood there, in every version of the API."""
    raise NotFound("This API is no longer available.", code="gone", status=410)


# Removed from Nova with the releases 20 to 29, as its routes.py still names them.
GONE: dict[str, tuple[str, ...]] = {
    "/os-agents": ("GET", "POST"),
    "/os-agents/{id}": ("PUT", "DELETE"),
    "/os-cells": ("GET", "POST"),
    "/os-cells/{id}": ("GET", "PUT", "DELETE"),
    "/os-certificates": ("POST",),
    "/os-certificates/{id}": ("GET",),
    "/os-cloudpipe": ("GET", "POST"),
    "/os-cloudpipe/{id}": ("PUT",),
    "/os-fixed-ips/{id}": ("GET",),
    "/os-fixed-ips/{id}/action": ("POST",),
    "/os-floating-ip-dns": ("GET",),
    "/os-floating-ip-dns/{id}": ("PUT", "DELETE"),
    "/os-floating-ips-bulk": ("GET", "POST"),
    "/os-floating-ips-bulk/{id}": ("GET", "PUT"),
    "/os-fping": ("GET",),
    "/os-fping/{id}": ("GET",),
    "/os-networks": ("POST",),
    "/os-networks/add": ("POST",),
    "/os-networks/{network_id}": ("DELETE",),
    "/os-networks/{network_id}/action": ("POST",),
    "/os-security-group-default-rules": ("GET", "POST"),
    "/os-security-group-default-rules/{id}": ("GET", "DELETE"),
    "/os-tenant-networks": ("POST",),
    "/os-tenant-networks/{network_id}": ("DELETE",),
}


async def update_host(app: App, req: Request) -> Any:
    """PUT /os-hosts/{host}: enable or disable; there is no maintenance mode here"""
    given = {k: str(v).strip().lower() for k, v in (req.body or {}).items()}
    if not given or not set(given) <= {"status", "maintenance_mode"}:
        raise Invalid("Invalid update setting: give status or maintenance_mode", field="status")
    for name, value in given.items():
        if value not in ("enable", "disable"):
            raise Invalid(f"Invalid {name}: '{value[:50]}'", field=name)
    name = req.params["host"]
    async with app.cell_db.write() as tx:
        host = await hosts.find(tx, name)
        if host is None:
            raise NotFound(f"Compute host {name} could not be found.", code="ComputeHostNotFound")
        if "maintenance_mode" in given:
            raise Unsupported("There is no maintenance mode here.", code="NotImplemented")
        disabled = given["status"] == "disable"
        await hosts.update(tx, host.id, disabled=disabled, updated_at=clock.now())
    app.wake_world()
    return {"host": name, "status": given["status"] + "d"}


async def power_host(app: App, req: Request) -> Any:
    """GET /os-hosts/{host}/startup, shutdown, reboot: hosts are not ours to switch"""
    name = req.params["host"]
    async with app.cell_db.read() as tx:
        if await hosts.find(tx, name) is None:
            raise NotFound(f"Compute host {name} could not be found.", code="ComputeHostNotFound")
    raise Unsupported("Hosts are not switched from here.", code="NotImplemented")


def _resource(row: tuple[Any, ...]) -> dict[str, Any]:
    host, project, cpu, memory_mb, disk_gb = row
    return {
        "host": host, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb,
    }  # fmt: skip
