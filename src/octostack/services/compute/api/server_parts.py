# SPDX-License-Identifier: Apache-2.0
"""What hangs on a server: metadata, tags, addresses, password, diagnostics, topology."""

from typing import Any

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.contracts.compute_agent import Diagnostics
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.core import quota
from octostack.services.compute.model import Server
from octostack.services.compute.schema import server_view, terms
from octostack.services.compute.store import addresses
from octostack.services.compute.store.api_db import quotas
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

_TAGS_MAX = 50
_TAG = terms.compiled(terms.TAG)


async def list_metadata(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/metadata"""
    return {"metadata": (await lookup.server(app, req)).metadata}


async def add_metadata(app: App, req: Request) -> Any:
    """POST /servers/{server_id}/metadata"""
    server = await lookup.server_for(app, req, "update_metadata")
    return {"metadata": await _write(app, req, server, server.metadata | req.body["metadata"])}


async def replace_metadata(app: App, req: Request) -> Any:
    """PUT /servers/{server_id}/metadata"""
    server = await lookup.server_for(app, req, "update_metadata")
    return {"metadata": await _write(app, req, server, req.body["metadata"])}


async def show_metadatum(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/metadata/{key}"""
    server = await lookup.server(app, req)
    key = _key(server, req)
    return {"meta": {key: server.metadata[key]}}


async def put_metadatum(app: App, req: Request) -> Any:
    """PUT /servers/{server_id}/metadata/{key}"""
    server = await lookup.server_for(app, req, "update_metadata")
    given = req.body["meta"]
    if req.params["key"] not in given:
        raise Invalid("Request body and URI mismatch", field="meta")
    await _write(app, req, server, server.metadata | given)
    return {"meta": given}


async def delete_metadatum(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}/metadata/{key}"""
    server = await lookup.server_for(app, req, "delete_metadata")
    key = _key(server, req)
    await _write(app, req, server, {k: v for k, v in server.metadata.items() if k != key})


def _key(server: Server, req: Request) -> str:
    key = req.params["key"]
    if key not in server.metadata:
        raise NotFound("Metadata item was not found", code="MetadataNotFound")
    return key


async def _write(
    app: App, req: Request, server: Server, metadata: dict[str, str]
) -> dict[str, str]:
    async with app.api_db.read() as tx:
        limits = await quotas.effective(tx, server.project_id, req.caller.user_id)
    quota.check_count("metadata_items", len(metadata), limits, quota.TOO_MANY_METADATA)
    async with app.cell_db.write() as tx:
        await servers.update(tx, await servers.get(tx, server.id), metadata=metadata)
    return metadata


async def list_tags(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/tags"""
    return {"tags": list((await lookup.server(app, req)).tags)}


async def has_tag(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/tags/{tag}"""
    server = await lookup.server(app, req)
    _find_tag(server, req)
    return Response(status=204)


async def replace_tags(app: App, req: Request) -> Any:
    """PUT /servers/{server_id}/tags"""
    server = await lookup.server_for(app, req, "tags")
    tags = list(dict.fromkeys(req.body["tags"]))
    await _write_tags(app, server, tags)
    return {"tags": tags}


async def add_tag(app: App, req: Request) -> Any:
    """PUT /servers/{server_id}/tags/{tag}"""
    server = await lookup.server_for(app, req, "tags")
    tag = req.params["tag"]
    _TAG.check(tag)
    location = {"Location": f"{req.base_url}/servers/{server.id}/tags/{tag}"}
    if tag in server.tags:
        return Response(status=204, headers=location)
    if len(server.tags) >= _TAGS_MAX:
        raise Invalid(f"The number of tags exceeded the per-server limit {_TAGS_MAX}")
    await _write_tags(app, server, [*server.tags, tag])
    return Response(status=201, headers=location)


async def delete_tag(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}/tags/{tag}"""
    server = await lookup.server_for(app, req, "tags")
    tag = _find_tag(server, req)
    await _write_tags(app, server, [t for t in server.tags if t != tag])


async def delete_tags(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}/tags"""
    await _write_tags(app, await lookup.server_for(app, req, "tags"), [])


def _find_tag(server: Server, req: Request) -> str:
    tag = req.params["tag"]
    if tag not in server.tags:
        raise NotFound(f"Server {server.id} has no tag '{tag}'", code="TagNotFound")
    return tag


async def _write_tags(app: App, server: Server, tags: list[str]) -> None:
    async with app.cell_db.write() as tx:
        await servers.update(tx, await servers.get(tx, server.id), tags=tuple(tags))


async def list_ips(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/ips"""
    fresh, _ = await addresses.fresh(app, [await lookup.server(app, req)])
    return {"addresses": server_view.ips(fresh[0].nics)}


async def show_ips(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/ips/{network}"""
    fresh, _ = await addresses.fresh(app, [await lookup.server(app, req)])
    shown = server_view.ips(fresh[0].nics)
    network = req.params["network"]
    if network not in shown:
        raise NotFound("Instance is not a member of specified network", code="NetworkNotFound")
    return {network: shown[network]}


async def show_password(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-server-password"""
    return {"password": (await lookup.server(app, req)).boot.get("password", "")}


async def clear_password(app: App, req: Request) -> None:
    """DELETE /servers/{server_id}/os-server-password"""
    server = await lookup.server(app, req)
    async with app.cell_db.write() as tx:
        fresh = await servers.get(tx, server.id)
        boot = {k: v for k, v in fresh.boot.items() if k != "password"}
        await servers.patch(tx, server.id, boot=boot)


async def show_topology(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/topology"""
    await lookup.server(app, req)
    shown: dict[str, Any] = {"nodes": [], "pagesize_kb": None}
    return shown


async def list_volumes(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-volume_attachments: none, since there are no volumes"""
    await lookup.server(app, req)
    return {"volumeAttachments": []}


async def list_migrations(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/migrations: none, since nothing migrates"""
    await lookup.server(app, req)
    return {"migrations": []}


async def show_diagnostics(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/diagnostics"""
    server = await lookup.server_for(app, req, "diagnostics")
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="InstanceNotReady")
    try:
        found = await app.agent(server.host).diagnostics(server.id)
    except Conflict as e:
        raise Conflict(f"Instance {server.id} is not running", code="InstanceNotRunning") from e
    return _diagnostics(found) if req.version >= (2, 48) else _old_diagnostics(found)


def _diagnostics(d: Diagnostics) -> dict[str, Any]:
    return {
        "state": d.state,
        "driver": "libvirt",  # of the names which Nova's schema knows, the one for QEMU
        "hypervisor": d.hypervisor,
        "hypervisor_os": d.hypervisor_os,
        "uptime": d.uptime_s,
        "config_drive": d.config_drive,
        "num_cpus": len(d.cpu_times_ns),
        "num_nics": len(d.nics),
        "num_disks": len(d.disks),
        "cpu_details": [
            {"id": i, "time": t, "utilisation": None} for i, t in enumerate(d.cpu_times_ns)
        ],
        "nic_details": [
            {
                "mac_address": n.mac_address, "rx_octets": n.rx_octets,
                "rx_packets": n.rx_packets, "rx_errors": n.rx_errors, "rx_drop": n.rx_drop,
                "rx_rate": None, "tx_octets": n.tx_octets, "tx_packets": n.tx_packets,
                "tx_errors": n.tx_errors, "tx_drop": n.tx_drop, "tx_rate": None,
            }
            for n in d.nics
        ],
        "disk_details": [
            {
                "read_bytes": x.read_bytes, "read_requests": x.read_requests,
                "write_bytes": x.write_bytes, "write_requests": x.write_requests,
                "errors_count": x.errors_count,
            }
            for x in d.disks
        ],
        "memory_details": {"maximum": d.memory_max_mb, "used": d.memory_used_mb},
    }  # fmt: skip


def _old_diagnostics(d: Diagnostics) -> dict[str, Any]:
    """Before 2.48: flat, in the words of libvirt."""
    flat: dict[str, Any] = {f"cpu{i}_time": t for i, t in enumerate(d.cpu_times_ns)}
    flat |= {"memory": d.memory_max_mb * 1024}
    for disk, name in zip(d.disks, ("vda", "vdb", "vdc", "vdd"), strict=False):
        flat |= {
            f"{name}_read": disk.read_bytes,
            f"{name}_read_req": disk.read_requests,
            f"{name}_write": disk.write_bytes,
            f"{name}_write_req": disk.write_requests,
            f"{name}_errors": disk.errors_count,
        }
    return flat
