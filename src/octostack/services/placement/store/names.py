# SPDX-License-Identifier: Apache-2.0
"""Custom traits and resource classes."""

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.placement.model import CustomName
from octostack.services.placement.store import tables

_names = tables.custom_names


async def list_custom(tx: Tx) -> list[CustomName]:
    """All of them, of both kinds."""
    rows = await tx.all(sa.select(_names))
    return [CustomName(r.kind, r.name, r.created_at, r.updated_at) for r in rows]


async def insert(tx: Tx, kind: str, name: str, now: float) -> None:
    """A new one. Raises Conflict when it is there."""
    row = {"kind": kind, "name": name, "created_at": now, "updated_at": now}
    await tx.run(sa.insert(_names).values(**row))


async def delete(tx: Tx, kind: str, name: str) -> None:
    """It is no more; nothing may use it."""
    await tx.run(sa.delete(_names).where(_names.c.kind == kind, _names.c.name == name))


async def rename_class(tx: Tx, old: str, new: str, now: float) -> None:
    """The class has another name, everywhere. Raises Conflict when the new name is taken."""
    where = sa.and_(_names.c.kind == "class", _names.c.name == old)
    await tx.run(sa.update(_names).where(where).values(name=new, updated_at=now))
    for table in (tables.inventories, tables.allocations):
        column = table.c.resource_class
        await tx.run(sa.update(table).where(column == old).values(resource_class=new))
