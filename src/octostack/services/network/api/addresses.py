# SPDX-License-Identifier: Apache-2.0
"""Giving addresses to ports: `core.ipam` chooses, the store promises that no one else has them."""

from collections.abc import Sequence

from octostack.base import clock
from octostack.services.network.api.app import Op
from octostack.services.network.core import ipam
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.resource import invalid
from octostack.services.network.store import networks, ports

Wanted = list[dict[str, str]]
ADDRESSES_MAX = 64  # of one port


async def choose(
    op: Op, network_id: str, port: nouns.Port, wanted: Wanted | None
) -> list[nouns.Allocation]:
    """Addresses for a port: those wanted, or where None one of each IP version.

    Nothing is written. Raises Invalid, Conflict.
    """
    subnets = await networks.subnets_of(op.tx, network_id)
    chosen: list[nouns.Allocation] = []
    if wanted is None:
        for candidates in ipam.choose_subnets(subnets, port.device_owner):
            chosen.append(await _automatic(op, candidates, port, chosen))
        return chosen
    if len(wanted) > ADDRESSES_MAX:
        raise invalid("Exceeded maximum amount of fixed ips per port.")
    # Explicit addresses first, so that none of them is given away to the others.
    for item in sorted(wanted, key=lambda item: "ip_address" not in item):
        chosen.append(await _wanted(op, subnets, port, item, chosen))
    return chosen


async def _wanted(
    op: Op,
    subnets: Sequence[nouns.Subnet],
    port: nouns.Port,
    item: dict[str, str],
    chosen: Sequence[nouns.Allocation],
) -> nouns.Allocation:
    address = item.get("ip_address")
    if "subnet_id" in item:
        subnet = _named(subnets, port, item["subnet_id"])
        if address:
            ipam.check_address(address, subnet)
    else:
        subnet = ipam.subnet_for(address or "", subnets)
    if not address:
        return await _automatic(op, [subnet], port, chosen)
    if ipam.is_automatic(subnet) and port.device_owner not in nouns.SERVICE_OWNERS:
        own = ipam.eui64(subnet.cidr, port.mac_address)
        if address != own:
            raise invalid(
                f"IPv6 address {address} can not be directly assigned to a port on subnet "
                f"{subnet.id} since the subnet is configured for automatic addresses"
            )
    taken = _allocation(subnet, ipam.number_of(address), port)
    holder = await ports.holder(op.tx, subnet.id, taken.number)
    if (holder and holder != port.id) or taken in chosen:
        raise fault("IpAddressAlreadyAllocated", ip=address, subnet_id=subnet.id)
    return taken


def _named(subnets: Sequence[nouns.Subnet], port: nouns.Port, subnet_id: str) -> nouns.Subnet:
    for subnet in subnets:
        if subnet.id == subnet_id:
            return subnet
    raise invalid(
        f"Failed to create port on network {port.network_id}, because fixed_ips included invalid "
        f"subnet {subnet_id}"
    )


async def _automatic(
    op: Op,
    candidates: Sequence[nouns.Subnet],
    port: nouns.Port,
    chosen: Sequence[nouns.Allocation],
) -> nouns.Allocation:
    """A free address of the first subnet that has one. Raises Conflict."""
    for subnet in candidates:
        if ipam.is_automatic(subnet) and port.device_owner not in nouns.SERVICE_OWNERS:
            own = ipam.eui64(subnet.cidr, port.mac_address)
            return _allocation(subnet, ipam.number_of(own), port)
        number = await _free(op, subnet, {int(a.number, 16) for a in chosen})
        if number is not None:
            return _allocation(subnet, number, port)
    raise fault("IpAddressGenerationFailure", net_id=port.network_id)


async def _free(op: Op, subnet: nouns.Subnet, chosen: set[int]) -> int | None:
    pools = ipam.ranges(subnet)
    if not pools:
        return None
    tries = [ipam.window(pools, clock.rng()) for _ in range(ipam.WINDOWS_TRIED)]
    for first, last in (*tries, ipam.whole(pools)):
        used = await ports.used_numbers(op.tx, subnet.id, ipam.sortable(first), ipam.sortable(last))
        number = ipam.pick(pools, (first, last), used | chosen)
        if number is not None:
            return number
    return None


def _allocation(subnet: nouns.Subnet, number: int, port: nouns.Port) -> nouns.Allocation:
    address = ipam.address_of(number, subnet.ip_version)
    return nouns.Allocation(subnet.id, ipam.sortable(number), address, port.id, subnet.network_id)


def shown(chosen: Sequence[nouns.Allocation]) -> nouns.Items:
    """Allocations as a port's fixed_ips."""
    return [{"subnet_id": a.subnet_id, "ip_address": a.address} for a in chosen]


async def mac(op: Op, network_id: str, wanted: str | None) -> str:
    """The MAC asked for, or a free one. Raises Conflict, Unavailable."""
    if wanted:
        if await ports.mac_is_used(op.tx, network_id, wanted):
            raise fault("MacAddressInUse", net_id=network_id, mac=wanted)
        return wanted
    for _attempt in range(ipam.MACS_TRIED):
        guess = ipam.new_mac(clock.token_bytes(3))
        if not await ports.mac_is_used(op.tx, network_id, guess):
            return guess
    raise fault("NetworkMacAddressGenerationFailure", net_id=network_id)


async def rechoose(op: Op, port: nouns.Port, wanted: Wanted) -> tuple[nouns.Items, bool]:
    """Other addresses for a port; those it keeps stay its own. True if any changed."""
    kept = {(ip["subnet_id"], ip["ip_address"]) for ip in port.fixed_ips}
    wanted = [_prefer_kept(item, kept) for item in wanted]
    chosen = await choose(op, port.network_id, port, wanted)
    new = {(a.subnet_id, a.address) for a in chosen}
    gone = [(s, ipam.sortable(address)) for s, address in kept - new]
    await ports.give_back(op.tx, port.id, gone)
    await ports.take(op.tx, [a for a in chosen if (a.subnet_id, a.address) not in kept])
    return shown(chosen), new != kept


def _prefer_kept(item: dict[str, str], kept: set[tuple[str, str]]) -> dict[str, str]:
    """An item that names only a subnet keeps the address that the port has there."""
    if "ip_address" in item:
        return item
    for subnet_id, address in sorted(kept):
        if subnet_id == item["subnet_id"]:
            return {"subnet_id": subnet_id, "ip_address": address}
    return item
