# SPDX-License-Identifier: Apache-2.0
"""Resources that newer versions dropped: hosts (to 2.42), networks and images (to 2.35)."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound, Unsupported
from octostack.contracts.image import ImageInfo
from octostack.contracts.network import NetworkInfo
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


async def show_image(app: App, req: Request) -> Any:
    """GET /images/{image_id}"""
    return {"image": _image(await app.images.get(req.caller, req.params["image_id"]), req)}


async def list_image_metadata(app: App, req: Request) -> Any:
    """GET /images/{image_id}/metadata"""
    return {"metadata": dict((await app.images.get(req.caller, req.params["image_id"])).properties)}


_IMAGE_STATUS = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "importing": "SAVING",
                 "killed": "ERROR", "deleted": "DELETED", "pending_delete": "DELETED"}  # fmt: skip
_IMAGE_PROGRESS = {"ACTIVE": 100, "SAVING": 25}


def _image(image: ImageInfo, req: Request) -> dict[str, Any]:
    status = _IMAGE_STATUS.get(image.status, "UNKNOWN")
    root = req.base_url.rsplit("/v2", 1)[0]
    view: dict[str, Any] = {
        "id": image.id,
        "name": image.name,
        "status": status,
        "progress": _IMAGE_PROGRESS.get(status, 0),
        "minDisk": image.min_disk,
        "minRam": image.min_ram,
        "metadata": dict(image.properties),
        "created": clock.iso(image.created_at),
        "updated": clock.iso(image.updated_at),
        "OS-EXT-IMG-SIZE:size": image.size_bytes or 0,
        "links": [
            {"rel": "self", "href": f"{req.base_url}/images/{image.id}"},
            {"rel": "bookmark", "href": f"{root}/images/{image.id}"},
            {
                "rel": "alternate",
                "type": "application/vnd.openstack.image",
                "href": f"{req.host_url}/image/v2/images/{image.id}",
            },
        ],
    }
    server_id = image.properties.get("instance_uuid")
    if server_id:
        href = f"{req.base_url}/servers/{server_id}"
        links = [
            {"rel": "self", "href": href},
            {"rel": "bookmark", "href": f"{root}/servers/{server_id}"},
        ]
        view["server"] = {"id": server_id, "links": links}
    return view


async def list_networks(app: App, req: Request) -> Any:
    """GET /os-tenant-networks"""
    found = await app.network.list_networks(req.caller)
    return {"networks": [_network(n) for n in found]}


async def show_network(app: App, req: Request) -> Any:
    """GET /os-tenant-networks/{network_id}"""
    network_id = req.params["network_id"]
    for network in await app.network.list_networks(req.caller):
        if network.id == network_id:
            return {"network": _network(network)}
    raise NotFound("Network not found", code="NetworkNotFound")


def _network(network: NetworkInfo) -> dict[str, Any]:
    return {"id": network.id, "label": network.name, "cidr": "None"}
