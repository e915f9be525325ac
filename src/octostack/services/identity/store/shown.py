# SPDX-License-Identifier: Apache-2.0
"""Which endpoints and groups of endpoints are shown to which project."""

from typing import Any, Literal

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.store import tables

What = Literal["endpoint", "endpoint_group"]

_TABLES: dict[What, tuple[sa.Table, sa.Column[Any]]] = {
    "endpoint": (tables.project_endpoints, tables.project_endpoints.c.endpoint_id),
    "endpoint_group": (
        tables.project_endpoint_groups,
        tables.project_endpoint_groups.c.endpoint_group_id,
    ),
}


async def pairs(tx: Tx, what: What) -> list[tuple[str, str]]:
    """Every (id, project id)."""
    table, id = _TABLES[what]
    stmt = sa.select(id, table.c.project_id).order_by(id, table.c.project_id)
    return [(str(row[0]), str(row.project_id)) for row in await tx.all(stmt)]


async def insert(tx: Tx, what: What, id: str, project_id: str) -> None:
    """Show it to the project. Raises Conflict when it is shown already."""
    table, column = _TABLES[what]
    await tx.run(sa.insert(table).values({column.name: id, "project_id": project_id}))


async def delete(tx: Tx, what: What, id: str, project_id: str) -> bool:
    """No longer; False if it was not."""
    table, column = _TABLES[what]
    here = sa.and_(column == id, table.c.project_id == project_id)
    return bool(await tx.run(sa.delete(table).where(here)))
