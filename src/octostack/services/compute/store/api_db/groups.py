# SPDX-License-Identifier: Apache-2.0
"""Server groups and their members."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.compute.model import ServerGroup
from octostack.services.compute.store.api_db.tables import group_members, server_groups

_COLUMNS = list(server_groups.c)


async def insert(tx: Tx, group: ServerGroup) -> None:
    """A new, empty group."""
    values = {c.name: getattr(group, c.name) for c in _COLUMNS}
    await tx.run(sa.insert(server_groups).values(**values))


async def find(tx: Tx, group_id: str) -> ServerGroup | None:
    """The group with its members."""
    row = await tx.first(sa.select(*_COLUMNS).where(server_groups.c.id == group_id))
    if row is None:
        return None
    return (await _with_members(tx, [ServerGroup(**row._mapping)]))[0]


async def list_all(
    tx: Tx, project_id: str | None, limit: int, offset: int = 0
) -> list[ServerGroup]:
    """Oldest first; None: of all projects. This list has always been cut by an offset."""
    c = server_groups.c
    stmt = sa.select(*_COLUMNS).order_by(c.created_at, c.id).limit(limit).offset(offset)
    if project_id is not None:
        stmt = stmt.where(c.project_id == project_id)
    found = [ServerGroup(**row._mapping) for row in await tx.all(stmt)]
    return await _with_members(tx, found)


async def count(tx: Tx, project_id: str, user_id: str | None = None) -> int:
    """How many a project (or one of its users) has."""
    c = server_groups.c
    stmt = sa.select(sa.func.count()).where(c.project_id == project_id)
    if user_id:
        stmt = stmt.where(c.user_id == user_id)
    return int(await tx.scalar(stmt))


async def add_members(tx: Tx, group_id: str, server_ids: Sequence[str]) -> None:
    """New servers join."""
    rows = [{"group_id": group_id, "server_id": s} for s in server_ids]
    await tx.run(sa.insert(group_members), rows)


async def remove_member(tx: Tx, server_id: str) -> None:
    """A server leaves whatever group it is in."""
    await tx.run(sa.delete(group_members).where(group_members.c.server_id == server_id))


async def delete(tx: Tx, group_id: str) -> bool:
    """Remove it; its servers stay."""
    return bool(await tx.run(sa.delete(server_groups).where(server_groups.c.id == group_id)))


async def _with_members(tx: Tx, found: list[ServerGroup]) -> list[ServerGroup]:
    if not found:
        return []
    m = group_members.c
    rows = await tx.all(
        sa.select(m.group_id, m.server_id).where(m.group_id.in_([g.id for g in found]))
    )
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(row.group_id, []).append(row.server_id)
    return [msgspec.structs.replace(g, members=tuple(members.get(g.id, ()))) for g in found]
