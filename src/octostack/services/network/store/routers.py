# SPDX-License-Identifier: Apache-2.0
"""Routers and floating addresses: what hangs on what."""

from collections.abc import Iterable

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.network.model import nouns
from octostack.services.network.store import rows, tables

_f = tables.floatingips.c
_p = tables.ports.c
_r = tables.routers.c


async def interfaces(tx: Tx, router_id: str) -> list[nouns.Port]:
    """The router's ports in tenant networks."""
    return await rows.select(
        tx,
        nouns.Port,
        _p.device_id == router_id,
        _p.device_owner == nouns.OWNER_ROUTER_INTERFACE,
        order=(_p.created_at, _p.id),
    )


async def interfaces_on(tx: Tx, network_id: str) -> list[nouns.Port]:
    """The ports of routers on a network."""
    return await rows.select(
        tx,
        nouns.Port,
        _p.network_id == network_id,
        _p.device_owner == nouns.OWNER_ROUTER_INTERFACE,
        order=(_p.created_at, _p.id),
    )


async def gateway_ports(tx: Tx, port_ids: Iterable[str]) -> dict[str, nouns.Port]:
    """Gateway ports by id."""
    return await rows.by_ids(tx, nouns.Port, list(port_ids))


async def with_gateway_to(tx: Tx, network_id: str) -> list[nouns.Router]:
    """The routers with a gateway to an external network."""
    return await rows.select(tx, nouns.Router, _r.gateway_network_id == network_id)


async def with_gateway(tx: Tx) -> list[nouns.Router]:
    """Every router with a gateway."""
    return await rows.select(tx, nouns.Router, _r.gateway_port_id.is_not(None))


async def floating_of_ports(tx: Tx, port_ids: Iterable[str]) -> list[nouns.FloatingIp]:
    """The floating addresses that lead to the ports."""
    return await rows.by_column(tx, nouns.FloatingIp, "port_id", port_ids)


async def floating_of_router(tx: Tx, router_id: str) -> list[nouns.FloatingIp]:
    """The floating addresses that a router serves."""
    return await rows.select(tx, nouns.FloatingIp, _f.router_id == router_id)


async def floating_to(
    tx: Tx, port_id: str, address: str, network_id: str
) -> nouns.FloatingIp | None:
    """The floating address of an external network that leads to a fixed one."""
    found = await rows.select(
        tx,
        nouns.FloatingIp,
        _f.port_id == port_id,
        _f.fixed_ip_address == address,
        _f.floating_network_id == network_id,
    )
    return found[0] if found else None


async def floating_unused(tx: Tx, network_id: str) -> list[nouns.FloatingIp]:
    """The floating addresses of an external network that lead nowhere."""
    return await rows.select(
        tx, nouns.FloatingIp, _f.floating_network_id == network_id, _f.port_id.is_(None)
    )


async def floating_in(tx: Tx, network_id: str) -> bool:
    """True if there is a floating address of an external network."""
    stmt = sa.select(_f.id).where(_f.floating_network_id == network_id)
    return await tx.first(stmt) is not None


async def set_host(tx: Tx, router_id: str, host: str) -> None:
    """Which host serves the gateway; hosts hear of it, the user's revision stays."""
    await tx.run(sa.update(tables.routers).where(_r.id == router_id).values(gateway_host=host))
    await rows.note(tx, nouns.Router, router_id)
