# SPDX-License-Identifier: Apache-2.0
"""One row to one item of a host's intent: from Neutron's words to the fabric's."""

import ipaddress
from collections.abc import Iterable, Sequence

from octostack.contracts import network_agent as fabric
from octostack.contracts.network import Route
from octostack.services.network.core import rules
from octostack.services.network.model import nouns

INTERFACE_CHARS = 11  # of the port's id, behind "tap": Linux takes 15 in all


def interface(port_id: str) -> str:
    """The name of a port's device on its host."""
    return "tap" + port_id[:INTERFACE_CHARS]


def network(row: nouns.Network) -> fabric.Network:
    """A segment."""
    tunnelled = row.network_type == "vxlan"
    return fabric.Network(
        id=row.id,
        mtu=row.mtu,
        vni=row.segmentation_id if tunnelled else None,
        physical=None if tunnelled else row.physical_network,
        vlan=row.segmentation_id if row.network_type == "vlan" else 0,
        external=row.external,
        admin_up=row.admin_state_up,
    )


def subnet(row: nouns.Subnet, dhcp_address: str, domain: str) -> fabric.Subnet:
    """What DHCP tells of a subnet; `dhcp_address` "" means that it tells nothing."""
    return fabric.Subnet(
        id=row.id,
        network_id=row.network_id,
        cidr=row.cidr,
        gateway_ip=row.gateway_ip,
        dns=tuple(row.dns_nameservers),
        host_routes=_routes(row.host_routes),
        dhcp_address=dhcp_address if row.enable_dhcp else "",
        dns_domain=domain.rstrip("."),
    )


def local(row: nouns.Port) -> fabric.LocalPort:
    """A guest's port, for its own host."""
    return fabric.LocalPort(
        id=row.id,
        network_id=row.network_id,
        mac=row.mac_address,
        addresses=addresses(row),
        interface=interface(row.id),
        project_id=row.project_id,
        device_id=row.device_id,
        hostname=hostname(row),
        port_security=row.port_security_enabled,
        allowed_pairs=_pairs(row),
        security_groups=tuple(sorted(row.security_groups)),
        dhcp_options=tuple(
            (o["opt_name"], o["opt_value"]) for o in row.extra_dhcp_opts if o["ip_version"] == 4
        ),
        admin_up=row.admin_state_up,
    )


def remote(row: nouns.Port, tunnel_ip: str) -> fabric.RemotePort:
    """A guest's port, for other hosts than its own."""
    return fabric.RemotePort(
        id=row.id,
        network_id=row.network_id,
        mac=row.mac_address,
        addresses=addresses(row),
        allowed_pairs=_pairs(row),
        host=row.host,
        tunnel_ip=tunnel_ip,
    )


def hostname(row: nouns.Port) -> str:
    """The name DHCP gives the guest."""
    if row.dns_name:
        return row.dns_name
    return "host-" + row.fixed_ips[0]["ip_address"].replace(".", "-") if row.fixed_ips else ""


def addresses(row: nouns.Port) -> tuple[fabric.FixedAddress, ...]:
    """The port's addresses."""
    return tuple(fabric.FixedAddress(ip["subnet_id"], ip["ip_address"]) for ip in row.fixed_ips)


def _pairs(row: nouns.Port) -> tuple[fabric.AddressPair, ...]:
    return tuple(
        fabric.AddressPair(pair["ip_address"], pair.get("mac_address", ""))
        for pair in row.allowed_address_pairs
    )


def group(
    row: nouns.SecurityGroup, its_rules: Iterable[nouns.SecurityGroupRule]
) -> fabric.SecurityGroup:
    """A security group with its rules, in a stable order."""
    made = sorted((_rule(rule) for rule in its_rules), key=repr)
    return fabric.SecurityGroup(id=row.id, rules=tuple(made), stateful=row.stateful)


def _rule(row: nouns.SecurityGroupRule) -> fabric.Rule:
    prefix = rules.network_of(row.remote_ip_prefix) or ""
    remote = f"set:{row.remote_group_id}" if row.remote_group_id else prefix
    return fabric.Rule(
        direction=row.direction,
        ip_version=int(row.ethertype[-1]),
        protocol=_protocol(row),
        port_min=row.port_range_min,
        port_max=row.port_range_max,
        remote=remote,
    )


def _protocol(row: nouns.SecurityGroupRule) -> int | None:
    number = rules.protocol_number(row.protocol)
    # A rule for IPv6 that says "icmp" means ICMPv6.
    return 58 if number == 1 and row.ethertype == "IPv6" else number


def address_set(group_id: str, members: Iterable[nouns.Port]) -> fabric.AddressSet:
    """Where a group's members send from."""
    found = set()
    for port in members:
        found |= {ip["ip_address"] for ip in port.fixed_ips}
        found |= {pair["ip_address"] for pair in port.allowed_address_pairs}
    return fabric.AddressSet(id=group_id, addresses=tuple(sorted(found)))


def router(
    row: nouns.Router, feet: Sequence[nouns.Port], gateway: fabric.Gateway | None
) -> fabric.Router:
    """A router with its feet in tenant networks and outside."""
    return fabric.Router(
        id=row.id,
        interfaces=tuple(
            fabric.RouterInterface(
                port_id=foot.id,
                network_id=foot.network_id,
                mac=foot.mac_address,
                addresses=addresses(foot),
            )
            for foot in sorted(feet, key=lambda foot: foot.id)
        ),
        gateway=gateway,
        routes=_routes(row.routes),
        admin_up=row.admin_state_up,
    )


def gateway(row: nouns.Router, port: nouns.Port, tunnel_ip: str) -> fabric.Gateway:
    """A router's foot outside, and the host that serves it."""
    return fabric.Gateway(
        port_id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        addresses=addresses(port),
        snat=row.enable_snat,
        host=row.gateway_host,
        tunnel_ip=tunnel_ip,
    )


def floating(row: nouns.FloatingIp, mac: str) -> fabric.FloatingIp | None:
    """A floating address that leads somewhere."""
    if not (row.port_id and row.router_id and row.fixed_ip_address):
        return None
    return fabric.FloatingIp(
        id=row.id,
        network_id=row.floating_network_id,
        address=row.floating_ip_address,
        mac=mac,
        router_id=row.router_id,
        port_id=row.port_id,
        fixed_address=row.fixed_ip_address,
    )


def _routes(given: nouns.Items) -> tuple[Route, ...]:
    return tuple(Route(r["destination"], r["nexthop"]) for r in given)


def dhcp_address(subnet_id: str, port: nouns.Port | None) -> str:
    """The address that answers DHCP in a subnet, of the network's DHCP port."""
    if port is None:
        return ""
    for ip in port.fixed_ips:
        if ip["subnet_id"] == subnet_id and ipaddress.ip_address(ip["ip_address"]).version == 4:
            return str(ip["ip_address"])
    return ""
