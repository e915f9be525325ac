# SPDX-License-Identifier: Apache-2.0
"""In which cell a server lives."""

from collections.abc import Sequence

import sqlalchemy as sa

from octostack.base import clock
from octostack.runtime.db import Tx
from octostack.services.compute.store.api_db.tables import server_mappings


async def insert(tx: Tx, server_ids: Sequence[str], project_id: str, cell: str) -> None:
    """New servers; written before their rows, so that a row is never without its mapping."""
    now = clock.now()
    rows = [
        {"server_id": s, "cell": cell, "project_id": project_id, "created_at": now}
        for s in server_ids
    ]
    await tx.run(sa.insert(server_mappings), rows)


async def older_than(tx: Tx, t: float, limit: int = 1000) -> list[str]:
    """Servers mapped before `t`, oldest first."""
    c = server_mappings.c
    stmt = sa.select(c.server_id).where(c.created_at < t).order_by(c.created_at).limit(limit)
    return [row.server_id for row in await tx.all(stmt)]


async def delete(tx: Tx, server_ids: Sequence[str]) -> None:
    """Servers whose rows never came, or have been purged."""
    await tx.run(
        sa.delete(server_mappings).where(server_mappings.c.server_id.in_(list(server_ids)))
    )
