# SPDX-License-Identifier: Apache-2.0
"""Networks: their segment, who shares them, when they may go."""

from collections.abc import Sequence
from typing import Any

from octostack.base import clock
from octostack.services.network.api import floating, lending, plumbing
from octostack.services.network.api.app import Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.core import segments
from octostack.services.network.core import subnets as rules
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.networks import NETWORKS
from octostack.services.network.schema.resource import invalid, to_fields
from octostack.services.network.store import filters, networks, routers, rows
from octostack.services.network.store import ports as port_rows

SEGMENTS_TRIED = 10
_PROVIDER = ("network_type", "physical_network", "segmentation_id")


async def create(op: Op, values: Values) -> nouns.Network:
    """A network with a segment of its own."""
    fields = to_fields(NETWORKS, values)
    provider = segments.check_provider(fields, op.app.fabric)
    provider["segmentation_id"] = await _segment(op, provider)
    fields |= provider
    fields["mtu"] = segments.check_mtu(fields["mtu"], provider["network_type"], op.app.fabric)
    await check_zones(op, fields["availability_zone_hints"])
    if fields["is_default"]:
        await _check_default(op, fields["external"])
    network: nouns.Network = op.fresh(nouns.Network, **fields)
    await rows.insert(op.tx, network)
    if values["shared"]:
        await lending.lend(op, "network", network, filters.SHARED)
    if network.external:
        await lending.lend(op, "network", network, filters.EXTERNAL)
    return network


async def _segment(op: Op, provider: Values) -> int:
    """The segment asked for, or a free one. Raises Conflict, Unavailable."""
    kind, physical = provider["network_type"], provider["physical_network"]
    wanted: int = provider["segmentation_id"]
    if wanted or kind == "flat":
        if await networks.segment_is_used(op.tx, kind, physical, wanted):
            raise _taken(kind, physical, wanted)
        return wanted
    for _attempt in range(SEGMENTS_TRIED):
        guess = segments.guess(kind, op.app.fabric, clock.rng())
        if not await networks.segment_is_used(op.tx, kind, physical, guess):
            return guess
    used = await networks.used_segments(op.tx, kind, physical)
    first, last = segments.span(kind, op.app.fabric)
    free = next((n for n in range(first, last + 1) if n not in used), None)
    if free is None:
        raise fault("NoNetworkAvailable")
    return free


def _taken(kind: str, physical: str, segment: int) -> Exception:
    if kind == "flat":
        return fault("FlatNetworkInUse", physical_network=physical)
    if kind == "vlan":
        return fault("VlanIdInUse", vlan_id=segment, physical_network=physical)
    return fault("TunnelIdInUse", tunnel_id=segment)


async def check_zones(op: Op, hints: Sequence[str]) -> None:
    """Refuse an availability zone that no host is in. Raises NotFound."""
    known = await zones(op)
    for hint in hints:
        if hint not in known:
            raise fault("AvailabilityZoneNotFound", availability_zone=hint)


async def zones(op: Op) -> list[str]:
    """The availability zones of the hosts."""
    return sorted({agent.availability_zone for agent in await rows.select(op.tx, nouns.Agent)})


async def _check_default(op: Op, external: bool, but: str = "") -> None:
    if not external:
        return
    known = await networks.default_external(op.tx)
    if known is not None and known.id != but:
        raise fault(
            "AutoAllocationConflict",
            reason="a default external network already exists",
        )


async def update(op: Op, network: nouns.Network, values: Values) -> nouns.Network:
    """Change a network; unsharing is refused while others use it."""
    fields = to_fields(NETWORKS, values)
    if any(name in fields and _given(fields, network, name) for name in _PROVIDER):
        raise invalid("Plugin does not support updating provider attributes")
    fields = {k: v for k, v in fields.items() if k not in _PROVIDER}
    if "mtu" in fields:
        kind = network.network_type
        fields["mtu"] = segments.check_mtu(fields["mtu"], kind, op.app.fabric)
    if fields.get("is_default"):
        await _check_default(op, fields.get("external", network.external), network.id)
    if "external" in fields and fields["external"] != network.external:
        await _set_external(op, network, fields["external"])
    if "shared" in values:
        await _set_shared(op, network, values["shared"])
    changed: nouns.Network = op.stamped(network, **fields)
    return await rows.update(op.tx, network, changed)


def _given(fields: Values, network: nouns.Network, name: str) -> bool:
    return (fields[name] or None) != (getattr(network, name) or None)


async def _set_external(op: Op, network: nouns.Network, external: bool) -> None:
    if external:
        await lending.lend(op, "network", network, filters.EXTERNAL)
        return
    used = await routers.with_gateway_to(op.tx, network.id)
    if used or await routers.floating_in(op.tx, network.id):
        raise fault("ExternalNetworkInUse", net_id=network.id)
    await lending.take_back(op, network.id, filters.EXTERNAL)


async def _set_shared(op: Op, network: nouns.Network, shared: bool) -> None:
    everybody = [
        policy
        for policy in await networks.policies_of(op.tx, network.id, filters.SHARED)
        if policy.target_project == "*"
    ]
    if shared and not everybody:
        await lending.lend(op, "network", network, filters.SHARED)
    if not shared and everybody:
        await lending.check_unused(op, network)
        await lending.take_back(op, network.id, filters.SHARED, "*")


async def delete(op: Op, network: nouns.Network) -> None:
    """Remove a network that only its own service ports and idle floating addresses use."""
    for unused in await routers.floating_unused(op.tx, network.id):
        await floating.delete(op, unused)
    found = await port_rows.of_network(op.tx, network.id)
    used = [port.id for port in found if port.device_owner != nouns.OWNER_DHCP]
    if used:
        raise fault(
            "NetworkInUse",
            net_id=network.id,
            reason="There are one or more ports still in use on the network, id for these ports "
            f"is: {','.join(used[:20])}",
        )
    for port in found:
        await plumbing.remove(op, port)
    for subnet in await networks.subnets_of(op.tx, network.id):
        await rows.delete(op.tx, subnet)
    await networks.drop_policies(op.tx, network.id)
    await rows.delete(op.tx, network)


async def extras(op: Op, found: Sequence[nouns.Network]) -> list[Values]:
    """Subnets, sharing, zones and address scopes."""
    ids = [network.id for network in found]
    subnets = await networks.subnet_ids(op.tx, ids)
    lent = await networks.lent(op.tx, "network", op.caller.project_id)
    scopes = await networks.scopes_of(op.tx, ids)
    places = await zones(op)
    return [
        {
            "subnets": subnets[network.id],
            "shared": network.id in lent,
            "availability_zones": places if subnets[network.id] else [],
            "ipv4_address_scope": scopes.get((network.id, 4)),
            "ipv6_address_scope": scopes.get((network.id, 6)),
        }
        for network in found
    ]


async def targets(op: Op, found: Sequence[nouns.Network]) -> list[Values]:
    """Owner, and whether the caller has it by sharing."""
    project_id = op.caller.project_id
    shared = await networks.lent(op.tx, "network", project_id)
    external = await networks.lent(op.tx, "network", project_id, filters.EXTERNAL)
    return [
        {
            **owned(network.project_id),
            "shared": network.id in shared,
            "router:external": network.external and network.id in external,
        }
        for network in found
    ]


async def availability(op: Op, found: Sequence[nouns.Network]) -> list[dict[str, Any]]:
    """How many addresses each network has and how many are taken."""
    answer = []
    for network in found:
        subnets = await networks.subnets_of(op.tx, network.id)
        taken = await port_rows.count_taken(op.tx, [subnet.id for subnet in subnets])
        parts: list[dict[str, Any]] = [
            {
                "cidr": subnet.cidr,
                "ip_version": subnet.ip_version,
                "subnet_id": subnet.id,
                "subnet_name": subnet.name,
                "total_ips": rules.total_addresses(subnet),
                "used_ips": taken.get(subnet.id, 0),
            }
            for subnet in subnets
        ]
        answer.append(
            {
                "network_id": network.id,
                "network_name": network.name,
                **owned(network.project_id),
                "subnet_ip_availability": parts,
                "total_ips": sum(part["total_ips"] for part in parts),
                "used_ips": sum(part["used_ips"] for part in parts),
            }
        )
    return answer


THING = Behaviour(
    resource=NETWORKS,
    missing=("NetworkNotFound", "net_id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    targets=targets,
    quota="network",
)
