# SPDX-License-Identifier: Apache-2.0
"""Subnets: their range, given or cut from a pool, and when they may go."""

import ipaddress
from collections.abc import Sequence

from octostack.services.network.api import dhcp, plumbing, pools
from octostack.services.network.api.app import Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.core import ipam
from octostack.services.network.core import subnets as rules
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.resource import invalid, to_fields
from octostack.services.network.schema.subnets import SUBNETS
from octostack.services.network.store import filters, networks, rows
from octostack.services.network.store import ports as port_rows

_SERVICE_TYPES = ("network:", "compute:", "baremetal:")


async def create(op: Op, values: Values) -> nouns.Subnet:
    """A subnet on a network of the caller's."""
    network = await op.network(values["network_id"])
    fields = to_fields(SUBNETS, values)
    fields["cidr"], fields["subnetpool_id"] = await pools.range_for(op, network, values)
    net = rules.check_range(fields["cidr"], fields["ip_version"], fields["enable_dhcp"])
    rules.check_overlap(net, await networks.subnets_of(op.tx, network.id), network.id)
    rules.check_ipv6_modes(fields)
    _check_service_types(fields["service_types"])
    if "gateway_ip" not in fields:
        fields["gateway_ip"] = rules.default_gateway(net)
    elif fields["gateway_ip"]:
        rules.check_gateway(fields["gateway_ip"], net)
    if "allocation_pools" in fields:
        fields["allocation_pools"] = rules.check_pools(
            fields["allocation_pools"], net, fields["gateway_ip"]
        )
    else:
        fields["allocation_pools"] = rules.default_pools(net, fields["gateway_ip"])
    rules.check_servers(fields.get("dns_nameservers", []), net.version, "new subnet")
    rules.check_routes(fields.get("host_routes", []), net.version, "new subnet")
    subnet: nouns.Subnet = op.fresh(nouns.Subnet, **fields)
    await rows.insert(op.tx, subnet)
    await dhcp.tend(op, network)
    await _revise(op, network)
    return subnet


async def _revise(op: Op, network: nouns.Network) -> None:
    known = await rows.find(op.tx, nouns.Network, network.id)
    if known is not None:
        await rows.update(op.tx, known, op.bumped(known))


def _check_service_types(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if not kind.startswith(_SERVICE_TYPES):
            raise fault("InvalidSubnetServiceType", service_type=kind)


async def update(op: Op, subnet: nouns.Subnet, values: Values) -> nouns.Subnet:
    """Change a subnet; a gateway that a router's port has stays."""
    fields = to_fields(SUBNETS, values)
    net = ipaddress.ip_network(subnet.cidr)
    gateway = fields.get("gateway_ip", subnet.gateway_ip)
    if gateway != subnet.gateway_ip:
        await _check_gateway_change(op, subnet, gateway)
        if gateway:
            rules.check_gateway(gateway, net)
    if "allocation_pools" in fields:
        fields["allocation_pools"] = rules.check_pools(fields["allocation_pools"], net, gateway)
    elif "gateway_ip" in fields:
        rules.check_gateway_outside(gateway, rules.spans_of(subnet.allocation_pools))
    rules.check_servers(fields.get("dns_nameservers", []), net.version, subnet.id)
    rules.check_routes(fields.get("host_routes", []), net.version, subnet.id)
    _check_service_types(fields.get("service_types", []))
    enable = fields.get("enable_dhcp", subnet.enable_dhcp)
    if not enable and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise invalid("Cannot disable enable_dhcp with ipv6 attributes set")
    if enable and not subnet.enable_dhcp:
        rules.check_range(subnet.cidr, subnet.ip_version, True)
    changed: nouns.Subnet = await rows.update(op.tx, subnet, op.stamped(subnet, **fields))
    network = await op.find_network(subnet.network_id)
    if network is not None and enable != subnet.enable_dhcp:
        await dhcp.tend(op, network)
    return changed


async def _check_gateway_change(op: Op, subnet: nouns.Subnet, gateway: str | None) -> None:
    if subnet.gateway_ip is None:
        return
    number = ipam.sortable(subnet.gateway_ip)
    holder = await port_rows.holder(op.tx, subnet.id, number)
    port = await rows.find(op.tx, nouns.Port, holder) if holder else None
    if port is not None and port.device_owner in nouns.ROUTER_OWNERS:
        raise fault("GatewayIpInUse", ip_address=subnet.gateway_ip, port_id=port.id)
    if gateway:
        new_holder = await port_rows.holder(op.tx, subnet.id, ipam.sortable(gateway))
        other = await rows.find(op.tx, nouns.Port, new_holder) if new_holder else None
        if other is not None and other.device_owner not in nouns.ROUTER_OWNERS:
            raise fault("GatewayIpInUse", ip_address=gateway, port_id=other.id)


async def delete(op: Op, subnet: nouns.Subnet) -> None:
    """Remove a subnet from which only the service itself has addresses."""
    users = await port_rows.users_of_subnet(op.tx, subnet.id)
    for port_id, owner in users:
        port = await rows.find(op.tx, nouns.Port, port_id)
        if port is None or _goes_along(subnet, owner):
            continue
        raise fault(
            "SubnetInUse",
            subnet_id=subnet.id,
            reason="One or more ports have an IP allocation from this subnet",
        )
    for port_id, _owner in users:
        await _drop_addresses(op, port_id, subnet)
    await rows.delete(op.tx, subnet)
    network = await op.find_network(subnet.network_id)
    if network is not None:
        await dhcp.tend(op, network)
        await _revise(op, network)


def _goes_along(subnet: nouns.Subnet, owner: str) -> bool:
    """Addresses that the service gave itself, or that hosts made themselves."""
    automatic = ipam.is_automatic(subnet) and owner != nouns.OWNER_ROUTER_INTERFACE
    return owner == nouns.OWNER_DHCP or automatic


async def _drop_addresses(op: Op, port_id: str, subnet: nouns.Subnet) -> None:
    port = await rows.find(op.tx, nouns.Port, port_id)
    if port is None:
        return
    kept = [ip for ip in port.fixed_ips if ip["subnet_id"] != subnet.id]
    gone = [(subnet.id, ipam.sortable(ip["ip_address"])) for ip in port.fixed_ips if ip not in kept]
    await port_rows.give_back(op.tx, port.id, gone)
    await plumbing.change(op, port, fixed_ips=kept)


async def targets(op: Op, found: Sequence[nouns.Subnet]) -> list[Values]:
    """Owner of the subnet, owner and sharing of its network."""
    ids = {subnet.network_id for subnet in found}
    owners = await networks.owners(op.tx, ids)
    lent = await networks.lent(op.tx, "network", op.caller.project_id)
    outside = await networks.lent(op.tx, "network", op.caller.project_id, filters.EXTERNAL)
    return [
        {
            **owned(subnet.project_id),
            "network:project_id": owners[subnet.network_id],
            "shared": subnet.network_id in lent,
            "router:external": subnet.network_id in outside,
        }
        for subnet in found
    ]


async def new_target(op: Op, values: Values) -> Values:
    """The same for a subnet to be made. Raises NotFound for a network the caller cannot see."""
    network = await op.network(values["network_id"])
    return {**owned(values["project_id"]), "network:project_id": network.project_id}


THING = Behaviour(
    resource=SUBNETS,
    missing=("SubnetNotFound", "subnet_id"),
    create=create,
    update=update,
    delete=delete,
    targets=targets,
    new_target=new_target,
    quota="subnet",
)
