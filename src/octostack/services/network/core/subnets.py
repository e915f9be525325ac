# SPDX-License-Identifier: Apache-2.0
"""May this subnet be: its range, gateway, pools, DNS servers and routes agree with one another."""

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from octostack.base.errors import OctoError
from octostack.services.network.core import ipam
from octostack.services.network.model.faults import fault
from octostack.services.network.model.nouns import Items, Subnet

Net: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NAMESERVERS_MAX = 5
ROUTES_MAX = 20


def wrong(reason: str) -> OctoError:
    """InvalidInput with that reason."""
    return fault("InvalidInput", error_message=reason)


def check_range(cidr: str, version: int, enable_dhcp: bool) -> Net:
    """The subnet's range. Raises Invalid where it cannot serve."""
    net = ipaddress.ip_network(cidr)
    check_version(net.version, version, "cidr", cidr)
    if net.prefixlen == 0:
        raise wrong("0 is not allowed as CIDR prefix length")
    if not enable_dhcp:
        return net
    if net.prefixlen > (30 if version == 4 else 126):
        raise wrong("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if net.is_multicast:
        raise wrong("Multicast IP subnet is not supported if enable_dhcp is True")
    if net.is_loopback:
        raise wrong("Loopback IP subnet is not supported if enable_dhcp is True")
    if version == 4 and int(net.network_address) == 0:
        raise wrong("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")
    return net


def check_version(given: int, wanted: int, name: str, shown: str) -> None:
    """Refuse an address of the other IP version. Raises Invalid."""
    if given != wanted:
        raise wrong(f"{name} '{shown}' does not match the ip_version '{wanted}'")


def check_overlap(net: Net, others: Iterable[Subnet], network_id: str) -> None:
    """Refuse a range that overlaps another of the same network. Raises Invalid."""
    for other in others:
        known = ipaddress.ip_network(other.cidr)
        if known.version == net.version and known.overlaps(net):
            raise wrong(
                f"Requested subnet with cidr: {net} for network: {network_id} overlaps with "
                "another subnet"
            )


def default_gateway(net: Net) -> str:
    """The address after the network's own."""
    first = net.network_address
    alone = net.prefixlen >= net.max_prefixlen - 1
    return str(first if alone and net.prefixlen == net.max_prefixlen else first + 1)


def check_gateway(gateway: str, net: Net) -> None:
    """Refuse a gateway of the other version, or the network's or broadcast address. Invalid."""
    ip = ipaddress.ip_address(gateway)
    check_version(ip.version, net.version, "gateway_ip", gateway)
    if ip in net and not ipam.is_host(ip, net) and net.version == 4:
        raise wrong("Gateway is not valid on subnet")


def default_pools(net: Net, gateway: str | None) -> Items:
    """All host addresses without the gateway."""
    first, last = _hosts(net)
    spans = [(first, last)]
    if gateway and ipaddress.ip_address(gateway) in net:
        g = ipam.number_of(gateway)
        spans = [(a, b) for a, b in ((first, g - 1), (g + 1, last)) if a <= b]
        if not first <= g <= last:
            spans = [(first, last)]
    version = net.version
    return [
        {"start": ipam.address_of(a, version), "end": ipam.address_of(b, version)} for a, b in spans
    ]


def _hosts(net: Net) -> tuple[int, int]:
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.prefixlen >= net.max_prefixlen - 1:
        return first, last
    # An IPv6 subnet has no broadcast address; its first is the routers' anycast address.
    return first + 1, last - 1 if net.version == 4 else last


def check_pools(pools: Items, net: Net, gateway: str | None) -> Items:
    """The pools in order. Raises Invalid or Conflict where they leave the range or overlap."""
    first, last = _hosts(net)
    spans = []
    for pool in pools:
        shown = f"{pool['start']}-{pool['end']}"
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        if start.version != net.version or end.version != net.version or int(end) < int(start):
            raise fault("InvalidAllocationPool", pool=shown)
        if int(start) < first or int(end) > last:
            raise fault("OutOfBoundsAllocationPool", pool=shown, subnet_cidr=str(net))
        spans.append((int(start), int(end), shown))
    spans.sort()
    for a, b in itertools.pairwise(spans):
        if b[0] <= a[1]:
            raise fault(
                "OverlappingAllocationPools", pool_1=a[2], pool_2=b[2], subnet_cidr=str(net)
            )
    check_gateway_outside(gateway, spans)
    return [{"start": p["start"], "end": p["end"]} for p in pools]


def check_gateway_outside(gateway: str | None, spans: Sequence[tuple[int, int, str]]) -> None:
    """Refuse a gateway within a pool. Raises Conflict."""
    if not gateway:
        return
    number = ipam.number_of(gateway)
    for start, end, shown in spans:
        if start <= number <= end:
            raise fault("GatewayConflictWithAllocationPools", pool=shown, ip_address=gateway)


def spans_of(pools: Items) -> list[tuple[int, int, str]]:
    """The pools as numbers, with how they are written."""
    return [
        (ipam.number_of(p["start"]), ipam.number_of(p["end"]), f"{p['start']}-{p['end']}")
        for p in pools
    ]


def check_servers(servers: list[str], version: int, subnet_id: str) -> None:
    """Refuse too many DNS servers, or one of the other IP version. Raises Invalid."""
    if len(servers) > NAMESERVERS_MAX:
        raise fault("DNSNameServersExhausted", subnet_id=subnet_id, quota=NAMESERVERS_MAX)
    for server in servers:
        check_version(ipaddress.ip_address(server).version, version, "dns_nameserver", server)


def check_routes(routes: Items, version: int, subnet_id: str) -> None:
    """Refuse too many host routes, or one of the other IP version. Raises Invalid."""
    if len(routes) > ROUTES_MAX:
        raise fault("HostRoutesExhausted", subnet_id=subnet_id, quota=ROUTES_MAX)
    for route in routes:
        hop, to = route["nexthop"], route["destination"]
        check_version(ipaddress.ip_address(hop).version, version, "nexthop", hop)
        check_version(ipaddress.ip_network(to).version, version, "destination", to)


def check_ipv6_modes(values: dict[str, Any]) -> None:
    """RA and address mode go together, with DHCP on, on IPv6 only. Raises Invalid."""
    ra, mode = values.get("ipv6_ra_mode"), values.get("ipv6_address_mode")
    for name, given in (("ipv6_ra_mode", ra), ("ipv6_address_mode", mode)):
        if given and values["ip_version"] == 4:
            raise wrong(f"{name} is not valid when ip_version is 4")
    if ra and mode and ra != mode:
        raise wrong(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{mode}' is not valid. "
            "If both attributes are set, they must be the same value"
        )
    if (ra or mode) and not values["enable_dhcp"]:
        raise wrong("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is False")


def total_addresses(subnet: Subnet) -> int:
    """How many addresses the pools hold."""
    return sum(last - first + 1 for first, last in ipam.ranges(subnet))
