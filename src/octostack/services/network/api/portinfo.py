# SPDX-License-Identifier: Apache-2.0
"""Rows as Compute is told of them."""

from collections.abc import Sequence

from octostack.contracts.network import (
    FixedIp,
    NetworkInfo,
    PortAddresses,
    PortInfo,
    Route,
    SubnetInfo,
)
from octostack.runtime.db import Tx
from octostack.services.network.api.app import Op
from octostack.services.network.api.ports import DETAILS
from octostack.services.network.core import items
from octostack.services.network.model import nouns
from octostack.services.network.store import networks as network_rows
from octostack.services.network.store import ports as port_rows
from octostack.services.network.store import routers, rows

_PLAIN = (str, int, bool)


async def networks(op: Op, found: Sequence[nouns.Network]) -> list[NetworkInfo]:
    """Networks as Compute sees them."""
    subnets = await network_rows.subnet_ids(op.tx, [network.id for network in found])
    lent = await network_rows.lent(op.tx, "network", op.caller.project_id)
    return [
        NetworkInfo(
            id=network.id,
            name=network.name,
            project_id=network.project_id,
            mtu=network.mtu,
            shared=network.id in lent,
            external=network.external,
            port_security_enabled=network.port_security_enabled,
            admin_state_up=network.admin_state_up,
            subnet_ids=tuple(subnets[network.id]),
        )
        for network in found
    ]


async def ports(op: Op, found: Sequence[nouns.Port]) -> list[PortInfo]:
    """Ports with their networks, subnets, floating addresses and groups; five queries for all."""
    known = await rows.by_ids(op.tx, nouns.Network, {port.network_id for port in found})
    by_id = {info.id: info for info in await networks(op, list(known.values()))}
    subnet_ids = {ip["subnet_id"] for port in found for ip in port.fixed_ips}
    subnets = {
        id_: _subnet(subnet)
        for id_, subnet in (await rows.by_ids(op.tx, nouns.Subnet, subnet_ids)).items()
    }
    floating: dict[tuple[str, str], list[str]] = {}
    for row in await routers.floating_of_ports(op.tx, [port.id for port in found]):
        key = (row.port_id or "", row.fixed_ip_address or "")
        floating.setdefault(key, []).append(row.floating_ip_address)
    group_ids = {id_ for port in found for id_ in port.security_groups}
    groups = await rows.by_ids(op.tx, nouns.SecurityGroup, group_ids)
    return [
        _port(
            port,
            by_id[port.network_id],
            tuple(
                FixedIp(
                    address=ip["ip_address"],
                    subnet=subnets[ip["subnet_id"]],
                    floating_ips=tuple(floating.get((port.id, ip["ip_address"]), ())),
                )
                for ip in port.fixed_ips
            ),
            tuple((id_, groups[id_].name) for id_ in port.security_groups if id_ in groups),
        )
        for port in found
    ]


async def addresses(tx: Tx, device_ids: Sequence[str]) -> dict[str, list[PortAddresses]]:
    """What is shown of the ports of many devices: few columns, and no row made whole."""
    found = await port_rows.shown_of_devices(tx, device_ids)
    networks = await rows.by_ids(tx, nouns.Network, {row.network_id for row in found})
    group_ids = {id_ for row in found for id_ in row.security_groups}
    groups = await rows.by_ids(tx, nouns.SecurityGroup, group_ids)
    floating: dict[str, list[tuple[str, str]]] = {}
    for row in await routers.floating_of_ports(tx, [row.id for row in found]):
        pair = (row.fixed_ip_address or "", row.floating_ip_address)
        floating.setdefault(row.port_id or "", []).append(pair)
    by_device: dict[str, list[PortAddresses]] = {id_: [] for id_ in device_ids}
    for id_, device_id, network_id, mac_address, fixed_ips, group_ids, request_key in found:
        network = networks[network_id]
        shown = PortAddresses(
            port_id=id_,
            network_id=network_id,
            network_name=network.name,
            mac_address=mac_address,
            fixed_ips=tuple([(ip["ip_address"], ip["subnet_id"]) for ip in fixed_ips]),
            floating_ips=tuple(floating.get(id_, ())),
            security_groups=tuple([groups[g].name for g in group_ids if g in groups]),
            mtu=network.mtu,
            preserve=_is_the_users(request_key),
        )
        by_device[device_id].append(shown)
    return by_device


def _port(
    port: nouns.Port,
    network: NetworkInfo,
    fixed_ips: tuple[FixedIp, ...],
    groups: tuple[tuple[str, str], ...],
) -> PortInfo:
    return PortInfo(
        id=port.id,
        name=port.name,
        network=network,
        project_id=port.project_id,
        mac_address=port.mac_address,
        status=port.status,
        admin_state_up=port.admin_state_up,
        fixed_ips=fixed_ips,
        security_groups=groups,
        port_security_enabled=port.port_security_enabled,
        device_id=port.device_id,
        device_owner=port.device_owner,
        host=port.host,
        vnic_type=port.vnic_type,
        vif_type="ovs" if port.host else "unbound",
        vif_details=_details(port) if port.host else {},
        profile={k: v for k, v in port.profile.items() if isinstance(v, _PLAIN)},
        preserve=_is_the_users(port.request_key),
    )


def _is_the_users(request_key: str) -> bool:
    return not request_key.startswith(nouns.MADE)


def _details(port: nouns.Port) -> dict[str, str | int | bool]:
    plain = {k: v for k, v in DETAILS.items() if isinstance(v, str | int | bool)}
    return {**plain, "interface": items.interface(port.id)}


def _subnet(subnet: nouns.Subnet) -> SubnetInfo:
    return SubnetInfo(
        id=subnet.id,
        cidr=subnet.cidr,
        ip_version=subnet.ip_version,
        gateway_ip=subnet.gateway_ip,
        dns_nameservers=tuple(subnet.dns_nameservers),
        host_routes=tuple(Route(r["destination"], r["nexthop"]) for r in subnet.host_routes),
        enable_dhcp=subnet.enable_dhcp,
        ipv6_address_mode=subnet.ipv6_address_mode,
        ipv6_ra_mode=subnet.ipv6_ra_mode,
    )
