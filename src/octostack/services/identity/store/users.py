# SPDX-License-Identifier: Apache-2.0
"""Users beyond a row: passwords and groups."""

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.model import Group, Password, User
from octostack.services.identity.store import rows, tables


async def insert_password(tx: Tx, password: Password, *, keep: int) -> None:
    """Make `password` the one that works; `keep` older ones stay for the history rule."""
    table = tables.passwords
    await tx.run(sa.insert(table).values(_row(password)))
    older = sa.select(table.c.id).where(table.c.user_id == password.user_id)
    stale = [row.id for row in await tx.all(older.order_by(table.c.created_at.desc()))][keep + 1 :]
    if stale:
        await tx.run(sa.delete(table).where(table.c.id.in_(stale)))


async def insert_passwords(tx: Tx, passwords: list[Password]) -> None:
    """The first passwords of as many users."""
    await tx.run(sa.insert(tables.passwords), [_row(password) for password in passwords])


async def list_passwords(tx: Tx, user_id: str) -> list[Password]:
    """Newest first."""
    table = tables.passwords
    stmt = sa.select(table).where(table.c.user_id == user_id)
    return [
        Password(**row._mapping) for row in await tx.all(stmt.order_by(table.c.created_at.desc()))
    ]


async def find_password(tx: Tx, user_id: str) -> Password | None:
    """The one that works, if there is any."""
    table = tables.passwords
    stmt = sa.select(table).where(table.c.user_id == user_id)
    row = await tx.first(stmt.order_by(table.c.created_at.desc()).limit(1))
    return None if row is None else Password(**row._mapping)


async def expiries(tx: Tx) -> dict[str, float | None]:
    """User id: when the password that works expires."""
    table = tables.passwords
    stmt = sa.select(table.c.user_id, table.c.expires_at).order_by(table.c.created_at)
    return {row.user_id: row.expires_at for row in await tx.all(stmt)}


async def list_groups(tx: Tx, user_id: str) -> list[Group]:
    """The groups of a user, by id."""
    stmt = (
        sa.select(tables.groups)
        .join(tables.memberships, tables.memberships.c.group_id == tables.groups.c.id)
        .where(tables.memberships.c.user_id == user_id)
        .order_by(tables.groups.c.id)
    )
    return [rows.from_row(rows.GROUPS, row) for row in await tx.all(stmt)]


async def list_members(tx: Tx, group_id: str) -> list[User]:
    """The users of a group, by id."""
    stmt = (
        sa.select(tables.users)
        .join(tables.memberships, tables.memberships.c.user_id == tables.users.c.id)
        .where(tables.memberships.c.group_id == group_id)
        .order_by(tables.users.c.id)
    )
    return [rows.from_row(rows.USERS, row) for row in await tx.all(stmt)]


async def memberships(tx: Tx) -> dict[str, list[str]]:
    """Group id: the ids of its users."""
    found: dict[str, list[str]] = {}
    for row in await tx.all(sa.select(tables.memberships)):
        found.setdefault(row.group_id, []).append(row.user_id)
    return found


async def is_member(tx: Tx, user_id: str, group_id: str) -> bool:
    """Is the user in the group?"""
    table = tables.memberships
    here = sa.and_(table.c.user_id == user_id, table.c.group_id == group_id)
    return await tx.first(sa.select(table).where(here)) is not None


async def add_member(tx: Tx, user_id: str, group_id: str) -> None:
    """Put the user into the group; no matter if there already."""
    if not await is_member(tx, user_id, group_id):
        await tx.run(sa.insert(tables.memberships).values(user_id=user_id, group_id=group_id))


async def remove_member(tx: Tx, user_id: str, group_id: str) -> bool:
    """Take the user out of the group; False if not in it."""
    table = tables.memberships
    here = sa.and_(table.c.user_id == user_id, table.c.group_id == group_id)
    return bool(await tx.run(sa.delete(table).where(here)))


def _row(password: Password) -> dict[str, object]:
    return {name: getattr(password, name) for name in Password.__struct_fields__}
