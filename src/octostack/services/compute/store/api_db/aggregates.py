# SPDX-License-Identifier: Apache-2.0
"""Aggregates of hosts."""

from typing import Any

import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import NotFound
from octostack.runtime.db import Tx
from octostack.services.compute.model import Aggregate
from octostack.services.compute.store.api_db.tables import aggregates


async def insert(tx: Tx, uuid: str, name: str, metadata: dict[str, str]) -> Aggregate:
    """A new one without hosts. Raises Conflict db.duplicate."""
    values: dict[str, Any] = {"uuid": uuid, "name": name, "hosts": [], "metadata": metadata}
    await tx.run(sa.insert(aggregates).values(created_at=clock.now(), **values))
    row = await tx.first(sa.select(aggregates).where(aggregates.c.uuid == uuid))
    assert row is not None
    return _aggregate(row)


async def get(tx: Tx, aggregate_id: int) -> Aggregate:
    """By number. Raises NotFound."""
    row = await tx.first(sa.select(aggregates).where(aggregates.c.id == aggregate_id))
    if row is None:
        raise NotFound(f"Aggregate {aggregate_id} could not be found.", code="AggregateNotFound")
    return _aggregate(row)


async def list_all(tx: Tx) -> list[Aggregate]:
    """All, oldest first."""
    return [_aggregate(r) for r in await tx.all(sa.select(aggregates).order_by(aggregates.c.id))]


async def update(tx: Tx, aggregate_id: int, **changes: Any) -> Aggregate:
    """Write columns and read the whole back. Raises Conflict db.duplicate, NotFound."""
    if "hosts" in changes:
        changes["hosts"] = list(changes["hosts"])
    await tx.run(
        sa.update(aggregates)
        .where(aggregates.c.id == aggregate_id)
        .values(updated_at=clock.now(), **changes)
    )
    return await get(tx, aggregate_id)


async def delete(tx: Tx, aggregate_id: int) -> None:
    """Remove it."""
    await tx.run(sa.delete(aggregates).where(aggregates.c.id == aggregate_id))


def _aggregate(row: sa.Row[Any]) -> Aggregate:
    values = dict(row._mapping)
    values["hosts"] = tuple(values["hosts"])
    return Aggregate(**values)
