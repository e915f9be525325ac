# SPDX-License-Identifier: Apache-2.0
"""Which address a port gets.

The database promises that an address of a subnet is given once. Here is only the choice: a window
of the subnet's pools is taken at random, the addresses in use within it are looked up, and the
first free one is taken. So the cost does not grow with the number of ports, two writers seldom
choose the same address, and where they do the loser chooses again. A subnet that is nearly full
is read whole as the last try.
"""

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from octostack.services.network.model.faults import fault
from octostack.services.network.model.nouns import Subnet

WINDOW = 256
WINDOWS_TRIED = 3
MAC_PREFIX = "fa:16:3e"
MACS_TRIED = 16


class Rng(Protocol):
    """The part of random.Random that is needed."""

    def randrange(self, stop: int, /) -> int: ...


def number_of(address: str) -> int:
    """The address as a number."""
    return int(ipaddress.ip_address(address))


def sortable(address: str | int) -> str:
    """32 hex digits that sort as the addresses do."""
    number = address if isinstance(address, int) else number_of(address)
    return f"{number:032x}"


def address_of(number: int, version: int) -> str:
    """The number as an address of that IP version."""
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


def ranges(subnet: Subnet) -> list[tuple[int, int]]:
    """The subnet's allocation pools as numbers, in order, both ends included."""
    return sorted((number_of(p["start"]), number_of(p["end"])) for p in subnet.allocation_pools)


def window(pools: Sequence[tuple[int, int]], rng: Rng) -> tuple[int, int]:
    """A piece of the pools to look for a free address in: first and last number."""
    total = sum(last - first + 1 for first, last in pools)
    if total <= WINDOW and len(pools) == 1:
        return pools[0]
    at = rng.randrange(total)
    for first, last in pools:
        size = last - first + 1
        if at < size:
            # Windows start at fixed places, so that a small pool is one window.
            start = first + at - at % WINDOW
            return start, min(start + WINDOW - 1, last)
        at -= size
    raise AssertionError("a window lies within the pools")


def whole(pools: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """From the lowest to the highest address of the pools."""
    return pools[0][0], max(last for _first, last in pools)


def pick(
    pools: Sequence[tuple[int, int]], piece: tuple[int, int], used: Collection[int]
) -> int | None:
    """The first address of the pools within `piece` that is not in `used`."""
    for first, last in pools:
        for number in range(max(first, piece[0]), min(last, piece[1]) + 1):
            if number not in used:
                return number
    return None


def usable(subnet: Subnet, service_owner: str) -> bool:
    """True if a port of that owner may have an address of the subnet (subnet service types)."""
    return not subnet.service_types or any(
        service_owner.startswith(kind) for kind in subnet.service_types
    )


def is_automatic(subnet: Subnet) -> bool:
    """True where hosts make their own IPv6 addresses (SLAAC), and none is chosen here."""
    return subnet.ipv6_address_mode in ("slaac", "dhcpv6-stateless")


def eui64(cidr: str, mac: str) -> str:
    """The address that a host of that MAC makes for itself in an IPv6 prefix (RFC 4291 App. A)."""
    digits = int(mac.replace(":", ""), 16)
    interface = (digits >> 24 << 40) | 0xFFFE << 24 | (digits & 0xFFFFFF)
    return str(ipaddress.IPv6Network(cidr).network_address + (interface ^ 1 << 57))


def new_mac(token: bytes) -> str:
    """A MAC of our prefix from three random bytes."""
    return MAC_PREFIX + "".join(f":{byte:02x}" for byte in token[:3])


def check_address(address: str, subnet: Subnet) -> None:
    """Refuse an address that is not one a host of the subnet can have. Raises Invalid."""
    network = ipaddress.ip_network(subnet.cidr)
    ip = ipaddress.ip_address(address)
    if ip not in network or not is_host(ip, network):
        raise fault("InvalidIpForSubnet", ip_address=address)


def is_host(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    """True if `ip` may be a host's: not the network's and not the broadcast address."""
    if network.prefixlen >= network.max_prefixlen - 1:
        return True
    if ip == network.network_address:
        return False
    return ip.version == 6 or ip != network.broadcast_address


def subnet_for(address: str, subnets: Iterable[Subnet]) -> Subnet:
    """The subnet that `address` lies in. Raises Invalid."""
    ip = ipaddress.ip_address(address)
    for subnet in subnets:
        network = ipaddress.ip_network(subnet.cidr)
        if ip in network and is_host(ip, network):
            return subnet
    raise fault("InvalidIpForNetwork", ip_address=address)


def choose_subnets(
    subnets: Sequence[Subnet], device_owner: str, *, allow_none: bool = True
) -> list[list[Subnet]]:
    """For a port that asks for nothing: one list of candidates for each address it shall get.

    One IPv4 address of any subnet with room, one IPv6 address likewise, and one address in every
    subnet whose hosts make their own.
    """
    fit = [s for s in subnets if usable(s, device_owner)]
    automatic = [s for s in fit if is_automatic(s)]
    chosen = [
        [s for s in fit if s.ip_version == version and s not in automatic] for version in (4, 6)
    ]
    wanted = [candidates for candidates in chosen if candidates] + [[s] for s in automatic]
    if subnets and not wanted and not allow_none:
        raise fault("IpAddressGenerationFailure", net_id=subnets[0].network_id)
    return wanted


def plain(fixed_ips: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Fixed addresses as they are shown."""
    return [{"subnet_id": ip["subnet_id"], "ip_address": ip["ip_address"]} for ip in fixed_ips]
