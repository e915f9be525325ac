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


async def older_than(tx: Tx, t: float, after: str, limit: int) -> list[str]:
    """Servers mapped before `t`, in the order of their ids, behind the id `after`."""
    c = server_mappings.c
    chosen = (c.created_at < t) & (c.server_id > after)
    stmt = sa.select(c.server_id).where(chosen).order_by(c.server_id).limit(limit)
    return [row.server_id for row in await tx.all(stmt)]


async def delete(tx: Tx, server_ids: Sequence[str]) -> None:
    """Servers whose rows never came, or have been purged."""
    await tx.run(
        sa.delete(server_mappings).where(server_mappings.c.server_id.in_(list(server_ids)))
    )
