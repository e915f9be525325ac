# SPDX-License-Identifier: Apache-2.0
"""Networks, subnets and pools: what belongs to what, who shares it, which segment is free."""

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.network.model import nouns
from octostack.services.network.store import filters, rows, tables

_n = tables.networks.c
_s = tables.subnets.c
_r = tables.rbac_policies.c


_SUBNETS_OF = (
    sa.select(tables.subnets)
    .where(_s.network_id == sa.bindparam("b_network"))
    .order_by(_s.created_at, _s.id)
)
_SUBNET_IDS = (
    sa.select(_s.network_id, _s.id)
    .where(_s.network_id.in_(sa.bindparam("b_networks", expanding=True)))
    .order_by(_s.created_at, _s.id)
)
_TO = _r.target_project.in_(sa.bindparam("b_targets", expanding=True)) & _r.action.in_(
    sa.bindparam("b_actions", expanding=True)
)
_LENT = sa.select(_r.object_id).where(_r.object_type == sa.bindparam("b_kind"), _TO)
_IS_LENT = sa.select(_r.id).where(_r.object_id == sa.bindparam("b_object"), _TO)


async def subnets_of(tx: Tx, network_id: str) -> list[nouns.Subnet]:
    """The subnets of a network, oldest first."""
    return rows.build(nouns.Subnet, await tx.all(_SUBNETS_OF, {"b_network": network_id}))


async def subnet_ids(tx: Tx, network_ids: Sequence[str]) -> dict[str, list[str]]:
    """Network to the ids of its subnets."""
    found: dict[str, list[str]] = {id_: [] for id_ in network_ids}
    for at in range(0, len(network_ids), rows.CHUNK):
        piece = {"b_networks": network_ids[at : at + rows.CHUNK]}
        for row in await tx.all(_SUBNET_IDS, piece):
            found[row.network_id].append(row.id)
    return found


async def lent(tx: Tx, kind: str, project_id: str | None, *actions: str) -> set[str]:
    """The objects of a kind that are lent to a project or to everybody."""
    found = await tx.all(_LENT, {"b_kind": kind, **_to(project_id, actions)})
    return {row[0] for row in found}


async def is_lent(tx: Tx, object_id: str, project_id: str | None, *actions: str) -> bool:
    """True if one object is lent to a project or to everybody."""
    found = await tx.first(_IS_LENT, {"b_object": object_id, **_to(project_id, actions)})
    return found is not None


def _to(project_id: str | None, actions: Sequence[str]) -> dict[str, list[str]]:
    targets = ["*"] if project_id is None else ["*", project_id]
    return {"b_targets": targets, "b_actions": list(actions or (filters.SHARED,))}


async def policies_of(tx: Tx, object_id: str, *actions: str) -> list[nouns.RbacPolicy]:
    """The RBAC policies on an object."""
    where = [_r.object_id == object_id, *([_r.action.in_(actions)] if actions else [])]
    return await rows.select(tx, nouns.RbacPolicy, *where)


async def drop_policies(tx: Tx, object_id: str) -> None:
    """Remove every RBAC policy on an object that goes."""
    await tx.run(sa.delete(tables.rbac_policies).where(_r.object_id == object_id))


async def segment_is_used(tx: Tx, kind: str, physical: str, segment: int) -> bool:
    """True if a network has that segment."""
    stmt = sa.select(_n.id).where(
        _n.network_type == kind, _n.physical_network == physical, _n.segmentation_id == segment
    )
    return await tx.first(stmt) is not None


async def used_segments(tx: Tx, kind: str, physical: str) -> set[int]:
    """Every segment of a kind that is used."""
    stmt = sa.select(_n.segmentation_id).where(
        _n.network_type == kind, _n.physical_network == physical
    )
    return {row[0] for row in await rows.values(tx, stmt)}


async def owners(tx: Tx, network_ids: Collection[str]) -> dict[str, str]:
    """Network to the project that owns it."""
    wanted = list(network_ids)
    found: dict[str, str] = {}
    for at in range(0, len(wanted), rows.CHUNK):
        piece = wanted[at : at + rows.CHUNK]
        stmt = sa.select(_n.id, _n.project_id).where(_n.id.in_(piece))
        found |= {row[0]: row[1] for row in await rows.values(tx, stmt)}
    return found


async def external_ids(tx: Tx, network_ids: Iterable[str]) -> set[str]:
    """Those of the networks that are external."""
    wanted = list(network_ids)
    stmt = sa.select(_n.id).where(_n.external.is_(True))
    everything = {row[0] for row in await rows.values(tx, stmt)}
    return everything & set(wanted)


async def of_pool(tx: Tx, pool_id: str) -> list[nouns.Subnet]:
    """The subnets cut from a pool."""
    return await rows.select(tx, nouns.Subnet, _s.subnetpool_id == pool_id)


async def default_pool(tx: Tx, version: int) -> nouns.SubnetPool | None:
    """The pool that is the default for an IP version."""
    c = tables.subnetpools.c
    found = await rows.select(tx, nouns.SubnetPool, c.is_default.is_(True), c.ip_version == version)
    return found[0] if found else None


async def pools_of_scope(tx: Tx, scope_id: str) -> list[nouns.SubnetPool]:
    """The pools of an address scope."""
    c = tables.subnetpools.c
    return await rows.select(tx, nouns.SubnetPool, c.address_scope_id == scope_id)


async def scopes_of(tx: Tx, network_ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """(network, IP version) to the address scope its subnets' pool is in, where there is one."""
    p = tables.subnetpools.c
    found: dict[tuple[str, int], str] = {}
    for at in range(0, len(network_ids), rows.CHUNK):
        stmt = (
            sa.select(_s.network_id, _s.ip_version, p.address_scope_id)
            .join(tables.subnetpools, p.id == _s.subnetpool_id)
            .where(
                _s.network_id.in_(network_ids[at : at + rows.CHUNK]),
                p.address_scope_id.is_not(None),
            )
        )
        found |= {(row[0], row[1]): row[2] for row in await rows.values(tx, stmt)}
    return found


async def default_external(tx: Tx) -> nouns.Network | None:
    """The external network that automatic topologies connect to."""
    found = await rows.select(
        tx, nouns.Network, _n.external.is_(True), _n.is_default.is_(True), order=(_n.created_at,)
    )
    return found[0] if found else None


async def attachable(tx: Tx, project_id: str) -> list[nouns.Network]:
    """Networks a project's machine may be put on: its own and those shared with it."""
    shared = filters.shared_ids("network", project_id)
    return await rows.select(
        tx,
        nouns.Network,
        sa.or_(_n.project_id == project_id, _n.id.in_(shared)),
        order=(_n.created_at, _n.id),
    )
