# SPDX-License-Identifier: Apache-2.0
"""Routers: their interfaces, their gateway, their routes.

A router is distributed over all hosts that need it; only translation of addresses happens in one
place, on the host that ``loops.gateways`` chooses. So ``distributed`` and ``ha`` are shown as
they are (true, false), and what asks for something else is refused.
"""

from collections.abc import Sequence
from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request
from octostack.services.network.api import addresses, plumbing
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.api.networks import check_zones, zones
from octostack.services.network.core import routers as rules
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import UNSET, bad, invalid, to_fields
from octostack.services.network.schema.routers import ROUTERS
from octostack.services.network.store import networks, routers, rows


async def create(op: Op, values: Values) -> nouns.Router:
    """A router, with a gateway if one is asked for."""
    _check_kind(values)
    fields = to_fields(ROUTERS, values)
    await check_zones(op, fields["availability_zone_hints"])
    router: nouns.Router = op.fresh(nouns.Router, **fields)
    await rows.insert(op.tx, router)
    gateway = values["external_gateway_info"]
    if gateway is not UNSET and gateway:
        return await _set_gateway(op, router, gateway)
    return router


def _check_kind(values: Values) -> None:
    if values.get("ha", UNSET) is True:
        raise invalid("ha routers are not offered here: a router is on every host already")
    if values.get("distributed", UNSET) is False:
        raise invalid("centralized routers are not offered here: every router is distributed")


async def update(op: Op, router: nouns.Router, values: Values) -> nouns.Router:
    """Change a router."""
    _check_kind(values)
    fields = to_fields(ROUTERS, values)
    if "external_gateway_info" in values:
        router = await _change_gateway(op, router, values["external_gateway_info"])
    if "routes" in fields:
        await _check_routes(op, router, fields["routes"])
    changed: nouns.Router = op.stamped(router, **fields)
    return await rows.update(op.tx, router, changed)


async def _change_gateway(op: Op, router: nouns.Router, wanted: Values | None) -> nouns.Router:
    same = wanted is not None and wanted["network_id"] == router.gateway_network_id
    if wanted is not None and same:
        return await _refit_gateway(op, router, wanted)
    if router.gateway_port_id:
        router = await _drop_gateway(op, router)
    return await _set_gateway(op, router, wanted) if wanted else router


async def _refit_gateway(op: Op, router: nouns.Router, wanted: Values) -> nouns.Router:
    """The same external network, perhaps other addresses or no SNAT."""
    if wanted.get("external_fixed_ips"):
        port = await rows.find(op.tx, nouns.Port, router.gateway_port_id or "")
        assert port is not None, "a router's gateway has a port"
        await _check_external_ips(op, wanted)
        fixed_ips, moved = await addresses.rechoose(op, port, wanted["external_fixed_ips"])
        if moved:
            await plumbing.change(op, port, fixed_ips=fixed_ips)
            await rows.note(op.tx, nouns.Router, router.id)
    changed: nouns.Router = op.stamped(router, enable_snat=wanted.get("enable_snat", True))
    return await rows.update(op.tx, router, changed)


async def _set_gateway(op: Op, router: nouns.Router, wanted: Values) -> nouns.Router:
    network = await op.network(wanted["network_id"])
    if not network.external:
        raise fault(
            "BadRequest", resource="router", msg=f"Network {network.id} is not an external network"
        )
    await _check_external_ips(op, wanted)
    await _check_gateway_overlap(op, router, network)
    port = await plumbing.make(
        op,
        wanted.get("external_fixed_ips") or None,
        network_id=network.id,
        project_id="",  # operators' own, as the external network is
        device_owner=nouns.OWNER_ROUTER_GATEWAY,
        device_id=router.id,
        port_security_enabled=False,
        status=nouns.ACTIVE,
    )
    if not port.fixed_ips:
        raise fault(
            "BadRequest",
            resource="router",
            msg=f"No IPs available for external network {network.id}",
        )
    changed: nouns.Router = op.stamped(
        router,
        gateway_network_id=network.id,
        gateway_port_id=port.id,
        enable_snat=wanted.get("enable_snat", True),
    )
    return await rows.update(op.tx, router, changed)


async def _check_external_ips(op: Op, wanted: Values) -> None:
    gateways = {s.gateway_ip for s in await networks.subnets_of(op.tx, wanted["network_id"])}
    for item in wanted.get("external_fixed_ips", []):
        if item.get("ip_address") in gateways:
            raise fault(
                "BadRequest",
                resource="router",
                msg=f"External IP {item['ip_address']} is the same as the gateway IP",
            )


async def _check_gateway_overlap(op: Op, router: nouns.Router, network: nouns.Network) -> None:
    inner = await _subnets(op, await routers.interfaces(op.tx, router.id))
    for subnet in await networks.subnets_of(op.tx, network.id):
        rules.check_no_overlap(subnet, inner)


async def _drop_gateway(op: Op, router: nouns.Router) -> nouns.Router:
    if await routers.floating_of_router(op.tx, router.id):
        raise fault(
            "RouterExternalGatewayInUseByFloatingIp",
            router_id=router.id,
            net_id=router.gateway_network_id,
        )
    port = await rows.find(op.tx, nouns.Port, router.gateway_port_id or "")
    changed: nouns.Router = op.stamped(
        router, gateway_network_id=None, gateway_port_id=None, enable_snat=True, gateway_host=""
    )
    await rows.update(op.tx, router, changed)
    if port is not None:
        await plumbing.remove(op, port)
    return changed


async def _subnets(op: Op, found: Sequence[nouns.Port]) -> list[nouns.Subnet]:
    ids = [ip["subnet_id"] for port in found for ip in port.fixed_ips]
    return list((await rows.by_ids(op.tx, nouns.Subnet, ids)).values())


async def _check_routes(op: Op, router: nouns.Router, routes: nouns.Items) -> None:
    feet = await routers.interfaces(op.tx, router.id)
    if router.gateway_port_id:
        feet += (await routers.gateway_ports(op.tx, [router.gateway_port_id])).values()
    own = {ip["ip_address"] for port in feet for ip in port.fixed_ips}
    cidrs = [subnet.cidr for subnet in await _subnets(op, feet)]
    rules.check_routes(router.id, routes, cidrs, own)


async def delete(op: Op, router: nouns.Router) -> None:
    """Remove a router without interfaces, with its gateway."""
    if await routers.interfaces(op.tx, router.id):
        raise fault("RouterInUse", router_id=router.id, reason="still has ports")
    if router.gateway_port_id:
        router = await _drop_gateway(op, router)
    await rows.delete(op.tx, router)


async def add_interface(app: App, req: Request) -> Any:
    """``PUT /routers/{id}/add_router_interface`` with a subnet or a port."""
    async with app.db.write() as tx:
        op, router = await _acted(app, req, tx, "add_router_interface")
        subnet_id, port_id = _one_of(req.body)
        if port_id:
            port, subnets = await _adopt(op, router, port_id)
        else:
            port, subnets = await _add_subnet(op, router, subnet_id)
        await rows.update(tx, router, op.bumped(router))
        tx.after_commit(app.wake)
    return _interface(router, port, [subnet.id for subnet in subnets])


async def _acted(app: App, req: Request, tx: Any, rule: str) -> tuple[Op, nouns.Router]:
    """The router that an action is on, if the caller may do it."""
    op = Op(app, tx, req.caller)
    router = await rows.find(tx, nouns.Router, req.params["id"])
    req.authorized = True
    if router is None or not op.allowed("get_router", owned(router.project_id)):
        raise fault("RouterNotFound", router_id=req.params["id"])
    if not op.allowed(rule, owned(router.project_id)):
        raise fault("PolicyNotAuthorized", action=rule)
    return op, router


def _one_of(body: Any, *, both: bool = False) -> tuple[str, str]:
    """(subnet, port) of a request's body. Raises Invalid."""
    given = body if isinstance(body, dict) else {}
    found = []
    for key in ("subnet_id", "port_id"):
        value = given.get(key)
        try:
            found.append(types.uuid(value) if value is not None else "")
        except ValueError as e:
            raise bad(f"Invalid input for {key}. Reason: {e}.", key) from e
    if not any(found):
        msg = "Either subnet_id or port_id must be specified"
        raise fault("BadRequest", resource="router", msg=msg)
    if all(found) and not both:
        msg = "Cannot specify both subnet-id and port-id"
        raise fault("BadRequest", resource="router", msg=msg)
    return found[0], found[1]


async def _add_subnet(
    op: Op, router: nouns.Router, subnet_id: str
) -> tuple[nouns.Port, list[nouns.Subnet]]:
    subnet = await rows.find(op.tx, nouns.Subnet, subnet_id)
    if subnet is None:
        raise fault("SubnetNotFound", subnet_id=subnet_id)
    try:
        network = await op.network(subnet.network_id)
    except NotFound as e:
        raise fault("SubnetNotFound", subnet_id=subnet_id) from e
    mine = op.caller.is_admin or network.project_id == op.caller.project_id
    if not (mine or await op.is_shared(network.id)):
        raise fault("SubnetNotFound", subnet_id=subnet_id)
    if not subnet.gateway_ip:
        msg = "Subnet for router interface must have a gateway IP"
        raise fault("BadRequest", resource="router", msg=msg)
    await _check_room(op, router, subnet)
    return await connect(op, router, subnet), [subnet]


async def connect(op: Op, router: nouns.Router, subnet: nouns.Subnet) -> nouns.Port:
    """The router's new port at the subnet's gateway address."""
    return await plumbing.make(
        op,
        [{"subnet_id": subnet.id, "ip_address": subnet.gateway_ip or ""}],
        network_id=subnet.network_id,
        project_id=router.project_id,
        device_owner=nouns.OWNER_ROUTER_INTERFACE,
        device_id=router.id,
        port_security_enabled=False,
        status=nouns.ACTIVE,
    )


async def _check_room(op: Op, router: nouns.Router, subnet: nouns.Subnet) -> None:
    feet = await routers.interfaces(op.tx, router.id)
    if router.gateway_port_id:
        feet += (await routers.gateway_ports(op.tx, [router.gateway_port_id])).values()
    rules.check_no_overlap(subnet, await _subnets(op, feet))


async def _adopt(
    op: Op, router: nouns.Router, port_id: str
) -> tuple[nouns.Port, list[nouns.Subnet]]:
    """A port of the user's becomes the router's."""
    port = await rows.find(op.tx, nouns.Port, port_id)
    if port is None or not (op.caller.is_admin or port.project_id == op.caller.project_id):
        raise fault("PortNotFound", port_id=port_id)
    if port.device_id or port.device_owner:
        raise fault("PortInUse", port_id=port.id, net_id=port.network_id, device_id=port.device_id)
    subnets = await _subnets(op, [port])
    if not subnets:
        msg = "Router port must have at least one fixed IP"
        raise fault("BadRequest", resource="router", msg=msg)
    if len([subnet for subnet in subnets if subnet.ip_version == 4]) > 1:
        msg = "Cannot have multiple IPv4 subnets on router port"
        raise fault("BadRequest", resource="router", msg=msg)
    for subnet in subnets:
        await _check_room(op, router, subnet)
    adopted = await plumbing.change(
        op,
        port,
        device_id=router.id,
        device_owner=nouns.OWNER_ROUTER_INTERFACE,
        security_groups=[],
        port_security_enabled=False,
        allowed_address_pairs=[],
        status=nouns.ACTIVE,
    )
    return adopted, subnets


async def remove_interface(app: App, req: Request) -> Any:
    """``PUT /routers/{id}/remove_router_interface`` by subnet, by port or by both."""
    async with app.db.write() as tx:
        op, router = await _acted(app, req, tx, "remove_router_interface")
        subnet_id, port_id = _one_of(req.body, both=True)
        port = await _foot(op, router, subnet_id, port_id)
        subnets = await _subnets(op, [port])
        for subnet in subnets:
            rules.check_unused_by_routes(router.id, subnet, router.routes)
            await _check_no_floating(op, router, subnet)
        await plumbing.remove(op, port)
        await rows.update(tx, router, op.bumped(router))
        tx.after_commit(app.wake)
    return _interface(router, port, [subnet.id for subnet in subnets])


async def _foot(op: Op, router: nouns.Router, subnet_id: str, port_id: str) -> nouns.Port:
    feet = await routers.interfaces(op.tx, router.id)
    if port_id:
        found = [port for port in feet if port.id == port_id]
        if not found:
            raise fault("RouterInterfaceNotFound", router_id=router.id, port_id=port_id)
        if subnet_id and all(ip["subnet_id"] != subnet_id for ip in found[0].fixed_ips):
            raise fault("SubnetMismatchForPort", port_id=port_id, subnet_id=subnet_id)
        return found[0]
    found = [port for port in feet if any(ip["subnet_id"] == subnet_id for ip in port.fixed_ips)]
    if not found:
        raise fault("RouterInterfaceNotFoundForSubnet", router_id=router.id, subnet_id=subnet_id)
    return found[0]


async def _check_no_floating(op: Op, router: nouns.Router, subnet: nouns.Subnet) -> None:
    """Refuse to cut off a subnet that floating addresses lead to. Raises Conflict."""
    served = await routers.floating_of_router(op.tx, router.id)
    inside = await rows.by_ids(op.tx, nouns.Port, [f.port_id for f in served if f.port_id])
    for floating in served:
        port = inside.get(floating.port_id or "")
        pairs = port.fixed_ips if port is not None else []
        if {"subnet_id": subnet.id, "ip_address": floating.fixed_ip_address} in pairs:
            raise fault(
                "RouterInterfaceInUseByFloatingIP", router_id=router.id, subnet_id=subnet.id
            )


def _interface(router: nouns.Router, port: nouns.Port, subnet_ids: list[str]) -> Values:
    return {
        "id": router.id,
        **owned(router.project_id),
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnet_ids[0],
        "subnet_ids": subnet_ids,
        "tags": router.tags,
    }


async def add_routes(app: App, req: Request) -> Any:
    """``PUT /routers/{id}/add_extraroutes``."""
    return await _change_routes(app, req, "add_extraroutes", rules.added)


async def remove_routes(app: App, req: Request) -> Any:
    """``PUT /routers/{id}/remove_extraroutes``."""
    return await _change_routes(app, req, "remove_extraroutes", rules.removed)


async def _change_routes(app: App, req: Request, rule: str, merge: Any) -> Any:
    body = req.body if isinstance(req.body, dict) else {}
    given = body.get("router")
    if not isinstance(given, dict) or "routes" not in given:
        raise bad("Unable to find 'router' with 'routes' in request body", "routes")
    try:
        routes = types.routes(given["routes"])
    except ValueError as e:
        raise bad(f"Invalid input for routes. Reason: {e}.", "routes") from e
    async with app.db.write() as tx:
        op, router = await _acted(app, req, tx, rule)
        merged = merge(router.routes, routes)
        await _check_routes(op, router, merged)
        changed: nouns.Router = op.stamped(router, routes=merged)
        await rows.update(tx, router, changed)
        [more] = await extras(op, [changed])
        tx.after_commit(app.wake)
    return {"router": {**ROUTERS.view(changed), **more}}


async def extras(op: Op, found: Sequence[nouns.Router]) -> list[Values]:
    """Gateway, zones and the kind of router it is."""
    gateways = await routers.gateway_ports(
        op.tx, [router.gateway_port_id for router in found if router.gateway_port_id]
    )
    places = await zones(op)
    return [
        {
            "external_gateway_info": _gateway(router, gateways),
            "availability_zones": places,
            "distributed": True,
            "ha": False,
        }
        for router in found
    ]


def _gateway(router: nouns.Router, gateways: dict[str, nouns.Port]) -> Values | None:
    port = gateways.get(router.gateway_port_id or "")
    if port is None:
        return None
    return {
        "network_id": router.gateway_network_id,
        "external_fixed_ips": port.fixed_ips,
        "enable_snat": router.enable_snat,
    }


THING = Behaviour(
    resource=ROUTERS,
    missing=("RouterNotFound", "router_id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    quota="router",
)
