# SPDX-License-Identifier: Apache-2.0
"""Ports: their addresses, their MACs, their groups."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.network.model import nouns
from octostack.services.network.store import rows, tables

_a = tables.allocations.c
_p = tables.ports.c

_FOR_REQUEST = sa.select(tables.ports).where(
    _p.device_id == sa.bindparam("b_device"), _p.request_key == sa.bindparam("b_key")
)
_WITH_MAC = sa.select(_p.id).where(
    _p.network_id == sa.bindparam("b_network"), _p.mac_address == sa.bindparam("b_mac")
)
_SHOWN = (
    sa.select(
        _p.id,
        _p.device_id,
        _p.network_id,
        _p.mac_address,
        _p.fixed_ips,
        _p.security_groups,
        _p.request_key,
    )
    .where(_p.device_id.in_(sa.bindparam("b_devices", expanding=True)))
    .order_by(_p.created_at)
)
_NUMBERS = sa.select(_a.number).where(
    _a.subnet_id == sa.bindparam("b_subnet"),
    _a.number >= sa.bindparam("b_first"),
    _a.number <= sa.bindparam("b_last"),
)


async def of_network(tx: Tx, network_id: str) -> list[nouns.Port]:
    """Every port of a network."""
    return await rows.select(tx, nouns.Port, _p.network_id == network_id)


async def of_device(tx: Tx, device_id: str, *owners: str) -> list[nouns.Port]:
    """The ports of a device, of those owners if any are given; oldest first."""
    where = [_p.device_id == device_id, *([_p.device_owner.in_(owners)] if owners else [])]
    return await rows.select(tx, nouns.Port, *where, order=(_p.created_at, _p.id))


async def of_devices(tx: Tx, device_ids: Iterable[str]) -> list[nouns.Port]:
    """The ports of many devices, oldest first."""
    return await rows.by_column(tx, nouns.Port, "device_id", device_ids)


async def shown_of_devices(tx: Tx, device_ids: Sequence[str]) -> list[Any]:
    """Of the ports of many devices what is shown of them, oldest first."""
    wanted = list(dict.fromkeys(device_ids))
    found: list[Any] = []
    for at in range(0, len(wanted), rows.CHUNK):
        found += await tx.all(_SHOWN, {"b_devices": wanted[at : at + rows.CHUNK]})
    return found


async def for_request(tx: Tx, device_id: str, key: str) -> nouns.Port | None:
    """The port that was made for, or attached as, one NIC of a device."""
    row = await tx.first(_FOR_REQUEST, {"b_device": device_id, "b_key": key})
    return rows.build(nouns.Port, [row])[0] if row is not None else None


async def mac_is_used(tx: Tx, network_id: str, mac: str) -> bool:
    """True if a port of the network has that MAC."""
    return await tx.first(_WITH_MAC, {"b_network": network_id, "b_mac": mac}) is not None


async def used_numbers(tx: Tx, subnet_id: str, first: str, last: str) -> set[int]:
    """The addresses taken within a piece of a subnet (its ends as sortable text)."""
    piece = {"b_subnet": subnet_id, "b_first": first, "b_last": last}
    return {int(row[0], 16) for row in await tx.all(_NUMBERS, piece)}


async def holder(tx: Tx, subnet_id: str, number: str) -> str | None:
    """The port that has an address."""
    found: str | None = await tx.scalar(
        sa.select(_a.port_id).where(_a.subnet_id == subnet_id, _a.number == number)
    )
    return found


async def take(tx: Tx, taken: Sequence[nouns.Allocation]) -> None:
    """Note addresses as given. Raises Conflict (``db.duplicate``) when one is taken."""
    await tx.run(
        sa.insert(tables.allocations),
        [
            {
                "subnet_id": a.subnet_id,
                "number": a.number,
                "address": a.address,
                "port_id": a.port_id,
                "network_id": a.network_id,
            }
            for a in taken
        ],
    )


async def give_back(tx: Tx, port_id: str, addresses: Collection[tuple[str, str]]) -> None:
    """Free addresses of a port: (subnet, sortable number)."""
    for subnet_id, number in addresses:
        await tx.run(
            sa.delete(tables.allocations).where(
                _a.subnet_id == subnet_id, _a.number == number, _a.port_id == port_id
            )
        )


async def users_of_subnet(tx: Tx, subnet_id: str) -> list[tuple[str, str]]:
    """(port, its owner) for every address of a subnet that is taken."""
    stmt = (
        sa.select(_p.id, _p.device_owner)
        .join(tables.allocations, _a.port_id == _p.id)
        .where(_a.subnet_id == subnet_id)
        .distinct()
    )
    return [(row[0], row[1]) for row in await rows.values(tx, stmt)]


async def count_taken(tx: Tx, subnet_ids: Iterable[str]) -> dict[str, int]:
    """How many addresses of each subnet are taken."""
    wanted = list(subnet_ids)
    found: dict[str, int] = {}
    for at in range(0, len(wanted), rows.CHUNK):
        stmt = (
            sa.select(_a.subnet_id, sa.func.count())
            .where(_a.subnet_id.in_(wanted[at : at + rows.CHUNK]))
            .group_by(_a.subnet_id)
        )
        found |= {row[0]: row[1] for row in await rows.values(tx, stmt)}
    return found


async def at_address(tx: Tx, network_id: str, address: str) -> nouns.Port | None:
    """The port of a network that has an address."""
    stmt = sa.select(_a.port_id).where(_a.network_id == network_id, _a.address == address)
    port_id = await tx.scalar(stmt)
    return await rows.find(tx, nouns.Port, port_id) if port_id else None


async def devices_by_address(tx: Tx, project_id: str | None) -> list[tuple[str, str]]:
    """(address, device) for every address of a machine's port."""
    stmt = (
        sa.select(_a.address, _p.device_id)
        .join(tables.ports, _a.port_id == _p.id)
        .where(_p.device_owner.startswith("compute:"))
    )
    if project_id is not None:
        stmt = stmt.where(_p.project_id == project_id)
    return [(row[0], row[1]) for row in await rows.values(tx, stmt)]


async def set_groups(tx: Tx, port_id: str, group_ids: Iterable[str]) -> None:
    """The security groups of a port, in place of those it had."""
    g = tables.port_groups
    await tx.run(sa.delete(g).where(g.c.port_id == port_id))
    await tx.run(
        sa.insert(g), [{"port_id": port_id, "security_group_id": id_} for id_ in group_ids]
    )


async def of_group(tx: Tx, group_id: str) -> list[nouns.Port]:
    """The ports in a security group."""
    g = tables.port_groups.c
    ids = sa.select(g.port_id).where(g.security_group_id == group_id)
    return await rows.select(tx, nouns.Port, _p.id.in_(ids))


async def group_is_used(tx: Tx, group_id: str) -> bool:
    """True if a port is in the security group."""
    g = tables.port_groups.c
    return await tx.first(sa.select(g.port_id).where(g.security_group_id == group_id)) is not None


async def to_tell(tx: Tx, limit: int) -> list[nouns.Port]:
    """Machines' ports whose status Compute has not heard of."""
    stmt = (
        sa.select(tables.ports)
        .where(
            _p.device_owner.startswith("compute:"),
            _p.device_id != "",
            # Four ranges of one index; "!=" would read every port there is, at every boot.
            sa.or_(
                sa.and_(_p.told < nouns.ACTIVE, _p.status == nouns.ACTIVE),
                sa.and_(_p.told > nouns.ACTIVE, _p.status == nouns.ACTIVE),
                sa.and_(_p.told == nouns.ACTIVE, _p.status < nouns.ACTIVE),
                sa.and_(_p.told == nouns.ACTIVE, _p.status > nouns.ACTIVE),
            ),
        )
        .limit(limit)
    )
    return rows.build(nouns.Port, await tx.all(stmt))


async def told(tx: Tx, ports: Iterable[nouns.Port]) -> None:
    """Note that Compute knows these ports' status; no change for anybody else."""
    for port in ports:
        await tx.run(sa.update(tables.ports).where(_p.id == port.id).values(told=port.status))


async def set_status(tx: Tx, port_id: str, status: str) -> None:
    """What the host says of a port; not a revision of the user's, and nothing for hosts."""
    await tx.run(sa.update(tables.ports).where(_p.id == port_id).values(status=status))


_STATUS_ON_HOST = sa.select(_p.id, _p.status).where(_p.host == sa.bindparam("b_host"))


async def status_on_host(tx: Tx, host: str) -> dict[str, str]:
    """The status of each port that is bound to a host."""
    return {row.id: row.status for row in await tx.all(_STATUS_ON_HOST, {"b_host": host})}


async def foreign_projects(tx: Tx, network_id: str, project_id: str) -> set[str]:
    """Other projects than `project_id` with ports of their own on a network."""
    stmt = (
        sa.select(_p.project_id)
        .where(
            _p.network_id == network_id,
            _p.project_id.not_in((project_id, "")),
            _p.device_owner.not_in((nouns.OWNER_ROUTER_GATEWAY, nouns.OWNER_FLOATINGIP)),
        )
        .distinct()
    )
    return {row[0] for row in await rows.values(tx, stmt)}
