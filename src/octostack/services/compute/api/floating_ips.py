# SPDX-License-Identifier: Apache-2.0
"""Floating addresses by Compute (to 2.35, the actions to 2.43); they live in Network."""

from collections.abc import Sequence
from typing import Any

from octostack.base.errors import Conflict, Invalid, NotFound, OverQuota
from octostack.contracts.api import ApiCall
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.asking import fetch, send
from octostack.services.compute.model import Server
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App

_IPS, _NETWORKS = "/floatingips", "/networks"
_EXTERNAL = {"router:external": "true"}
_EXHAUSTED = ("IpAddressGenerationFailure", "ExternalIpAddressExhausted")
Floating = dict[str, Any]


async def list_pools(app: App, req: Request) -> Any:
    """GET /os-floating-ip-pools"""
    found = (await fetch(app.network, req, _NETWORKS, _EXTERNAL))["networks"]
    return {"floating_ip_pools": [{"name": n["name"] or n["id"]} for n in found]}


async def index(app: App, req: Request) -> Any:
    """GET /os-floating-ips"""
    query = {"tenant_id": req.caller.project_id or ""}
    found = (await fetch(app.network, req, _IPS, query))["floatingips"]
    return {"floating_ips": await _views(app, req, found)}


async def show(app: App, req: Request) -> Any:
    """GET /os-floating-ips/{floating_ip_id}"""
    [view] = await _views(app, req, [await _get(app, req)])
    return {"floating_ip": view}


async def create(app: App, req: Request) -> Any:
    """POST /os-floating-ips"""
    asked = req.body.get("pool") if isinstance(req.body, dict) else None
    if not isinstance(asked, str | None):
        raise Invalid("Invalid input for field/attribute pool.", field="pool")
    pool_id = await _pool(app, req, asked or app.config.default_floating_pool)
    body = {"floatingip": {"floating_network_id": pool_id}}
    where = f" in pool {asked}" if asked else ""
    try:
        made = await send(app.network, req, ApiCall(method="POST", path=_IPS), body)
    except OverQuota as e:
        raise OverQuota(f"IP allocation over quota{where}.", code=e.code) from e
    except (Conflict, Invalid) as e:
        if e.code not in _EXHAUSTED:
            raise
        where = where or " available"
        raise NotFound(f"No more floating IPs{where}.", code=e.code) from e
    [view] = await _views(app, req, [made["floatingip"]])
    return {"floating_ip": view}


async def delete(app: App, req: Request) -> None:
    """DELETE /os-floating-ips/{floating_ip_id}"""
    found = await _get(app, req)
    await send(app.network, req, ApiCall(method="DELETE", path=f"{_IPS}/{found['id']}"))


async def add(app: App, req: Request, body: dict[str, Any]) -> None:
    """The action addFloatingIp: to the address given, or the first of IPv4."""
    server = await lookup.server(app, req)
    port_id, fixed = await _fixed(app, server, body)
    floating = await _at(app, req, body["address"])
    try:
        await _lead(app, req, floating, {"port_id": port_id, "fixed_ip_address": fixed})
    except Conflict as e:
        raise Invalid(e.message, code=e.code) from e
    except NotFound as e:
        raise Invalid(
            f"Unable to associate floating IP {body['address']} to fixed IP {fixed} for instance "
            f"{server.id}. Error: {e.message}",
            code=e.code,
        ) from e


async def remove(app: App, req: Request, body: dict[str, Any]) -> None:
    """The action removeFloatingIp."""
    server = await lookup.server(app, req)
    floating = await _at(app, req, body["address"])
    if (floating.get("port_details") or {}).get("device_id") != server.id:
        raise Conflict(
            f"Floating IP {body['address']} is not associated with instance {server.id}.",
            code="FloatingIpNotAssociated",
        )
    await _lead(app, req, floating, {"port_id": None})


async def _fixed(app: App, server: Server, body: dict[str, Any]) -> tuple[str, str]:
    """The port and fixed address of the server that shall be reached."""
    fresh, _groups = await addresses.fresh(app, [server])
    found = [(a, n.port_id) for n in fresh[0].nics for a, _subnet in n.fixed_ips]
    if not found:
        raise Invalid("No fixed IPs associated to instance", code="NoFixedIps")
    wanted = body.get("fixed_address")
    for address, port_id in found:
        if address == wanted or (not wanted and ":" not in address):
            return port_id, address
    if wanted:
        raise Invalid("Specified fixed address not assigned to instance", field="fixed_address")
    raise Invalid(
        f"Unable to associate floating IP {body['address']} to any fixed IPs for instance "
        f"{server.id}. Instance has no fixed IPv4 addresses to associate.",
        code="NoFixedIps",
    )


async def _lead(app: App, req: Request, floating: Floating, where: dict[str, Any]) -> None:
    call = ApiCall(method="PUT", path=f"{_IPS}/{floating['id']}")
    await send(app.network, req, call, {"floatingip": where})


async def _get(app: App, req: Request) -> Floating:
    id_ = req.params["floating_ip_id"]
    try:
        found: Floating = (await fetch(app.network, req, f"{_IPS}/{id_}"))["floatingip"]
    except NotFound as e:
        raise NotFound(f"Floating IP not found for ID {id_[:100]}", code=e.code) from e
    return found


async def _at(app: App, req: Request, address: str) -> Floating:
    found: list[Floating] = (await fetch(app.network, req, _IPS, {"floating_ip_address": address}))[
        "floatingips"
    ]
    if not found:
        raise NotFound("floating IP not found", code="FloatingIpNotFoundForAddress")
    if len(found) > 1:
        raise Conflict(
            f"Multiple floating IPs are found for address {address}.",
            code="FloatingIpMultipleFoundForAddress",
        )
    return found[0]


async def _pool(app: App, req: Request, name: str) -> str:
    """The external network of a name or id. Raises NotFound, Conflict."""
    found = (await fetch(app.network, req, _NETWORKS, _EXTERNAL))["networks"]
    matches: list[str] = [n["id"] for n in found if name in (n["id"], n["name"])]
    if not matches:
        raise NotFound("Floating IP pool not found.", code="FloatingIpPoolNotFound")
    if len(matches) > 1:
        raise Conflict(
            f"Multiple floating IP pools matches found for name '{name[:100]}'",
            code="NoUniqueMatch",
        )
    return matches[0]


async def _views(app: App, req: Request, found: Sequence[Floating]) -> list[dict[str, Any]]:
    """The addresses with their pools' names."""
    ids = sorted({f["floating_network_id"] for f in found})
    query = {"id": ids, "fields": ["id", "name"]}
    pools = (await fetch(app.network, req, _NETWORKS, query))["networks"] if ids else []
    names = {n["id"]: n["name"] for n in pools}
    return [
        {
            "id": f["id"],
            "ip": f["floating_ip_address"],
            "fixed_ip": f["fixed_ip_address"],
            "instance_id": (f.get("port_details") or {}).get("device_id"),
            "pool": names.get(f["floating_network_id"]) or f["floating_network_id"],
        }
        for f in found
    ]
