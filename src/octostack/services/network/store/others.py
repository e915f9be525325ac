# SPDX-License-Identifier: Apache-2.0
"""Quotas, agents, automatic topologies, and the changes that hosts have yet to hear of."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.network.model import nouns
from octostack.services.network.store import rows, tables

_q = tables.quotas.c
_t = tables.auto_topologies.c
_c = tables.changes.c


async def limits_of(tx: Tx, project_id: str) -> dict[str, int]:
    """The limits set for a project, by resource."""
    stmt = sa.select(_q.resource, _q.size_max).where(_q.project_id == project_id)
    return {row[0]: row[1] for row in await rows.values(tx, stmt)}


async def all_limits(tx: Tx) -> dict[str, dict[str, int]]:
    """Project to its limits, for every project that has any of its own."""
    found: dict[str, dict[str, int]] = {}
    for project_id, resource, size_max in await rows.values(tx, sa.select(tables.quotas)):
        found.setdefault(project_id, {})[resource] = size_max
    return found


async def set_limits(tx: Tx, project_id: str, limits: dict[str, int]) -> None:
    """Limits of a project in place of those of the same name."""
    names = list(limits)
    await tx.run(
        sa.delete(tables.quotas).where(_q.project_id == project_id, _q.resource.in_(names))
    )
    await tx.run(
        sa.insert(tables.quotas),
        [{"project_id": project_id, "resource": n, "size_max": limits[n]} for n in names],
    )


async def drop_limits(tx: Tx, project_id: str) -> int:
    """Back to the defaults; how many limits there were."""
    return await tx.run(sa.delete(tables.quotas).where(_q.project_id == project_id))


async def agent_of(tx: Tx, host: str) -> nouns.Agent | None:
    """The agent of a host."""
    found = await rows.select(tx, nouns.Agent, tables.agents.c.host == host)
    return found[0] if found else None


async def beat(tx: Tx, agent_id: str, now: float) -> None:
    """The agent lives; not a revision, and nothing for hosts."""
    await tx.run(
        sa.update(tables.agents).where(tables.agents.c.id == agent_id).values(heartbeat_at=now)
    )


_GENERATION = (
    sa.update(tables.agents)
    .where(tables.agents.c.host == sa.bindparam("b_host"))
    .values(generation=sa.bindparam("b_generation"))
)


async def set_generations(tx: Tx, by_host: Mapping[str, int]) -> None:
    """The last intent that each host was sent."""
    await tx.run(
        _GENERATION, [{"b_host": host, "b_generation": number} for host, number in by_host.items()]
    )


async def topology_of(tx: Tx, project_id: str) -> tuple[str, str] | None:
    """(network, router) that were made for a project by themselves."""
    stmt = sa.select(_t.network_id, _t.router_id).where(_t.project_id == project_id)
    found = await rows.values(tx, stmt)
    return found[0] if found else None


async def set_topology(tx: Tx, project_id: str, network_id: str, router_id: str) -> None:
    """Note what was made for a project."""
    await tx.run(
        sa.insert(tables.auto_topologies),
        [{"project_id": project_id, "network_id": network_id, "router_id": router_id}],
    )


async def drop_topology(tx: Tx, project_id: str) -> None:
    """Forget what was made for a project."""
    await tx.run(sa.delete(tables.auto_topologies).where(_t.project_id == project_id))


async def pending(tx: Tx, limit: int) -> tuple[list[int], list[nouns.Change]]:
    """The oldest changes that no host was told of: their numbers, and each changed row once."""
    found = await rows.values(tx, sa.select(tables.changes).order_by(_c.seq).limit(limit))
    changed = dict.fromkeys(nouns.Change(row[1], row[2]) for row in found)
    return [row[0] for row in found], list(changed)


async def settle(tx: Tx, numbers: Sequence[int]) -> None:
    """These changes are taken up."""
    for at in range(0, len(numbers), rows.CHUNK):
        piece = numbers[at : at + rows.CHUNK]
        await tx.run(sa.delete(tables.changes).where(_c.seq.in_(piece)))
