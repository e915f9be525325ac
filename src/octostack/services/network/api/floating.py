# SPDX-License-Identifier: Apache-2.0
"""Floating addresses: taken from an external network, led to a port through its router."""

from collections.abc import Sequence

import msgspec

from octostack.base import ids
from octostack.services.network.api import plumbing
from octostack.services.network.api.app import Op
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.resource import to_fields
from octostack.services.network.schema.routers import FLOATINGIPS
from octostack.services.network.store import networks, routers, rows


async def create(op: Op, values: Values) -> nouns.FloatingIp:
    """A floating address; led to a port at once if one is named."""
    network = await op.network(values["floating_network_id"])
    subnets = await networks.subnets_of(op.tx, network.id)
    if not network.external:
        raise _bad(f"Network {network.id} is not a valid external network")
    if not any(subnet.ip_version == 4 for subnet in subnets):
        raise _bad(f"Network {network.id} does not contain any IPv4 subnet")
    fields = to_fields(FLOATINGIPS, values)
    floating_id = ids.new()
    port = await plumbing.make(
        op,
        _wanted(values),
        network_id=network.id,
        project_id="",  # the address is the floating address's, not the project's port
        device_owner=nouns.OWNER_FLOATINGIP,
        device_id=floating_id,
        port_security_enabled=False,
        status="N/A",
    )
    address = next((ip["ip_address"] for ip in port.fixed_ips if ":" not in ip["ip_address"]), None)
    if address is None:
        raise fault("ExternalIpAddressExhausted", net_id=network.id)
    draft: nouns.FloatingIp = op.fresh(
        nouns.FloatingIp,
        **{
            **fields,
            "id": floating_id,
            "floating_ip_address": address,
            "floating_port_id": port.id,
            "port_id": None,
            "fixed_ip_address": None,
        },
    )
    floating = await _led(op, draft, values)
    await rows.insert(op.tx, floating)
    return floating


def _wanted(values: Values) -> list[dict[str, str]] | None:
    wanted = {}
    if values["subnet_id"]:
        wanted["subnet_id"] = values["subnet_id"]
    if values["floating_ip_address"]:
        wanted["ip_address"] = values["floating_ip_address"]
    return [wanted] if wanted else None


def _bad(msg: str) -> Exception:
    return fault("BadRequest", resource="floatingip", msg=msg)


async def update(op: Op, floating: nouns.FloatingIp, values: Values) -> nouns.FloatingIp:
    """Lead the address to another port, or nowhere."""
    fields = to_fields(FLOATINGIPS, values)
    changed: nouns.FloatingIp = floating
    if "port_id" in values or "fixed_ip_address" in values:
        given = {"port_id": floating.port_id, **values}
        if given["port_id"] == floating.port_id and "fixed_ip_address" not in values:
            given["fixed_ip_address"] = floating.fixed_ip_address
        if "port_id" in values and values["port_id"] is None:
            given["fixed_ip_address"] = values.get("fixed_ip_address")
        changed = await _led(op, floating, given)
    plain = {k: v for k, v in fields.items() if k not in ("port_id", "fixed_ip_address")}
    leads = {
        name: getattr(changed, name)
        for name in ("port_id", "fixed_ip_address", "router_id", "status")
    }
    result: nouns.FloatingIp = op.stamped(floating, **plain, **leads)
    return await rows.update(op.tx, floating, result)


async def _led(op: Op, floating: nouns.FloatingIp, values: Values) -> nouns.FloatingIp:
    """The floating address leading where it shall. Raises Invalid, NotFound, Conflict."""
    port_id, wanted = values.get("port_id"), values.get("fixed_ip_address")
    if not port_id:
        if wanted:
            raise _bad("fixed_ip_address cannot be specified without a port_id")
        leads = {"port_id": None, "fixed_ip_address": None, "router_id": None}
        return msgspec.structs.replace(floating, **leads, status=nouns.DOWN)
    port = await rows.find(op.tx, nouns.Port, port_id)
    if port is None or not _may_use(op, port, floating):
        raise fault("PortNotFound", port_id=port_id)
    address, subnet_id = _inner(port, wanted)
    other = await routers.floating_to(op.tx, port.id, address, floating.floating_network_id)
    if other is not None and other.id != floating.id:
        raise fault(
            "FloatingIPPortAlreadyAssociated",
            floating_ip_address=floating.floating_ip_address,
            fip_id=floating.id,
            port_id=port.id,
            fixed_ip=address,
            net_id=floating.floating_network_id,
        )
    router = await _router(op, floating.floating_network_id, port, subnet_id)
    return msgspec.structs.replace(
        floating,
        port_id=port.id,
        fixed_ip_address=address,
        router_id=router.id,
        status=nouns.ACTIVE,
    )


def _may_use(op: Op, port: nouns.Port, floating: nouns.FloatingIp) -> bool:
    return op.caller.is_admin or port.project_id in (op.caller.project_id, floating.project_id)


def _inner(port: nouns.Port, wanted: str | None) -> tuple[str, str]:
    """The fixed address to lead to, and its subnet. Raises Invalid."""
    usable = [ip for ip in port.fixed_ips if ":" not in ip["ip_address"]]
    if wanted:
        usable = [ip for ip in usable if ip["ip_address"] == wanted]
        if not usable:
            raise _bad(f"Port {port.id} does not have fixed ip {wanted}")
    if not usable:
        raise _bad(f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(usable) > 1:
        raise _bad(
            f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 "
            "address when assigning a floating IP"
        )
    return usable[0]["ip_address"], usable[0]["subnet_id"]


async def _router(op: Op, network_id: str, port: nouns.Port, subnet_id: str) -> nouns.Router:
    """The router between the port's subnet and the external network. Raises NotFound."""
    feet = [
        foot
        for foot in await routers.interfaces_on(op.tx, port.network_id)
        if any(ip["subnet_id"] == subnet_id for ip in foot.fixed_ips)
    ]
    subnet = await rows.find(op.tx, nouns.Subnet, subnet_id)
    gateway = subnet.gateway_ip if subnet is not None else None
    # The router at the subnet's gateway address comes first: it is where replies go.
    feet.sort(key=lambda foot: all(ip["ip_address"] != gateway for ip in foot.fixed_ips))
    for foot in feet:
        router = await rows.find(op.tx, nouns.Router, foot.device_id)
        if router is not None and router.gateway_network_id == network_id:
            return router
    raise fault(
        "ExternalGatewayForFloatingIPNotFound",
        subnet_id=subnet_id,
        external_network_id=network_id,
        port_id=port.id,
    )


async def delete(op: Op, floating: nouns.FloatingIp) -> None:
    """Give the address back."""
    await rows.delete(op.tx, floating)
    port = await rows.find(op.tx, nouns.Port, floating.floating_port_id)
    if port is not None:
        await plumbing.remove(op, port)


async def extras(op: Op, found: Sequence[nouns.FloatingIp]) -> list[Values]:
    """What is at the other end."""
    inner = await rows.by_ids(op.tx, nouns.Port, [f.port_id for f in found if f.port_id])
    return [{"port_details": _details(inner.get(f.port_id or ""))} for f in found]


def _details(port: nouns.Port | None) -> Values | None:
    if port is None:
        return None
    return {
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "admin_state_up": port.admin_state_up,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }


THING = Behaviour(
    resource=FLOATINGIPS,
    missing=("FloatingIPNotFound", "floatingip_id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    quota="floatingip",
)
