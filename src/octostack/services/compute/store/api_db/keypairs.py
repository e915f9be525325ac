# SPDX-License-Identifier: Apache-2.0
"""Key pairs; each belongs to one user."""

import sqlalchemy as sa

from octostack.base.errors import Invalid
from octostack.runtime.db import Page, Tx, paged
from octostack.services.compute.model import KeyPair
from octostack.services.compute.store.api_db.tables import key_pairs

_COLUMNS = [key_pairs.c[f] for f in KeyPair.__struct_fields__]


async def insert(tx: Tx, key: KeyPair) -> None:
    """A new key pair. Raises Conflict db.duplicate for a name in use."""
    values = {f: getattr(key, f) for f in KeyPair.__struct_fields__ if f != "id"}
    await tx.run(sa.insert(key_pairs).values(**values))


async def find(tx: Tx, user_id: str, name: str) -> KeyPair | None:
    """By the user and the name."""
    c = key_pairs.c
    row = await tx.first(sa.select(*_COLUMNS).where(c.user_id == user_id, c.name == name))
    return KeyPair(**row._mapping) if row else None


async def count(tx: Tx, user_id: str) -> int:
    """How many a user has."""
    stmt = sa.select(sa.func.count()).where(key_pairs.c.user_id == user_id)
    return int(await tx.scalar(stmt))


async def list_of_user(
    tx: Tx, user_id: str, limit: int, marker: str | None = None
) -> list[KeyPair]:
    """By name; `marker` is a name. Raises Invalid for an unknown one."""
    c = key_pairs.c
    stmt = sa.select(*_COLUMNS).where(c.user_id == user_id)
    after = None
    if marker:
        found = await find(tx, user_id, marker)
        if found is None:
            raise Invalid(f"marker [{marker}] not found", code="MarkerNotFound")
        after = {"name": marker}
    stmt = paged(stmt, {"name": c.name}, Page(limit=limit, sort=(("name", "asc"),)), after)
    return [KeyPair(**row._mapping) for row in await tx.all(stmt)]


async def delete(tx: Tx, user_id: str, name: str) -> bool:
    """Remove it; False when there was none."""
    c = key_pairs.c
    return bool(await tx.run(sa.delete(key_pairs).where(c.user_id == user_id, c.name == name)))
