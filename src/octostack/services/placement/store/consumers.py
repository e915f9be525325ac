# SPDX-License-Identifier: Apache-2.0
"""Consumers and what they hold."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.placement.model import Allocation, Consumer, Wanted
from octostack.services.placement.store import tables

_consumers = tables.consumers
_allocations = tables.allocations

# Made once: for a statement as small as these, making it costs more than running it.
_INSERT = sa.insert(_consumers)
_INSERT_ALLOCATIONS = sa.insert(_allocations)


class Use(msgspec.Struct, frozen=True):
    """An amount of a class held by the consumers of one type."""

    consumer_type: str | None
    resource_class: str
    used: int


async def find_all(tx: Tx, ids: Iterable[str]) -> dict[str, Consumer]:
    """Those of the consumers that are there, by id."""
    rows = await tx.all(sa.select(_consumers).where(_consumers.c.id.in_(list(ids))))
    return {row.id: Consumer(**row._mapping) for row in rows}


async def held_by(tx: Tx, ids: Iterable[str]) -> list[Allocation]:
    """Everything these consumers hold."""
    column = _allocations.c.consumer_id
    return _read(await tx.all(sa.select(_allocations).where(column.in_(list(ids)))))


async def held_from(tx: Tx, provider_id: str) -> list[Allocation]:
    """Everything that is held from this provider."""
    column = _allocations.c.provider_id
    return _read(await tx.all(sa.select(_allocations).where(column == provider_id)))


async def replace(
    tx: Tx, wanted: Iterable[Wanted], known: dict[str, Consumer], now: float
) -> list[Consumer]:
    """Write what was decided: each consumer holds what it wants, and nothing else."""
    written = []
    for one in wanted:
        consumer = known.get(one.consumer_id)
        if consumer is not None:
            gone = _allocations.c.consumer_id == consumer.id
            await tx.run(sa.delete(_allocations).where(gone))
        if not one.allocations:
            await tx.run(sa.delete(_consumers).where(_consumers.c.id == one.consumer_id))
            continue
        written.append(await _save(tx, one, consumer, now))
        await tx.run(_INSERT_ALLOCATIONS, _rows(one, now))
    return written


async def delete(tx: Tx, consumer_id: str) -> None:
    """The consumer and all it holds."""
    await tx.run(sa.delete(_allocations).where(_allocations.c.consumer_id == consumer_id))
    await tx.run(sa.delete(_consumers).where(_consumers.c.id == consumer_id))


async def list_uses(tx: Tx, project_id: str, user_id: str | None = None) -> list[Use]:
    """What the project (or one user in it) holds, by consumer type and class."""
    columns = _consumers.c.consumer_type, _allocations.c.resource_class
    stmt = (
        sa.select(*columns, sa.func.sum(_allocations.c.used).label("used"))
        .join(_consumers, _consumers.c.id == _allocations.c.consumer_id)
        .where(*_of(project_id, user_id))
        .group_by(*columns)
    )
    return [Use(r.consumer_type, r.resource_class, int(r.used)) for r in await tx.all(stmt)]


async def count_by_type(
    tx: Tx, project_id: str, user_id: str | None = None
) -> dict[str | None, int]:
    """How many consumers of each type the project has."""
    stmt = (
        sa.select(_consumers.c.consumer_type, sa.func.count().label("n"))
        .where(*_of(project_id, user_id))
        .group_by(_consumers.c.consumer_type)
    )
    return {row.consumer_type: row.n for row in await tx.all(stmt)}


def _of(project_id: str, user_id: str | None) -> list[sa.ColumnElement[bool]]:
    conditions = [_consumers.c.project_id == project_id]
    if user_id is not None:
        conditions.append(_consumers.c.user_id == user_id)
    return conditions


async def _save(tx: Tx, one: Wanted, known: Consumer | None, now: float) -> Consumer:
    consumer = Consumer(
        id=one.consumer_id,
        generation=known.generation + 1 if known else 1,
        project_id=one.project_id,
        user_id=one.user_id,
        consumer_type=one.consumer_type or (known.consumer_type if known else None),
        created_at=known.created_at if known else now,
        updated_at=now,
    )
    row = msgspec.structs.asdict(consumer)
    if known is None:
        await tx.run(_INSERT, [row])
    else:
        await tx.run(sa.update(_consumers).where(_consumers.c.id == consumer.id).values(**row))
    return consumer


def _rows(one: Wanted, now: float) -> list[dict[str, Any]]:
    return [
        {
            "consumer_id": one.consumer_id,
            "provider_id": provider_id,
            "resource_class": name,
            "used": amount,
            "created_at": now,
        }
        for provider_id, resources in one.allocations.items()
        for name, amount in resources.items()
    ]


def _read(rows: Sequence[sa.Row[Any]]) -> list[Allocation]:
    return [
        Allocation(r.consumer_id, r.provider_id, r.resource_class, r.used, r.created_at)
        for r in rows
    ]
