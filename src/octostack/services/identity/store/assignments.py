# SPDX-License-Identifier: Apache-2.0
"""Who was given which role where, and what roles imply."""

from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.model import Assignment, Role
from octostack.services.identity.store import rows, tables

_table = tables.assignments


async def list_for_user(tx: Tx, user_id: str) -> list[Assignment]:
    """A user's own and those of all groups of the user, everywhere."""
    groups = sa.select(tables.memberships.c.group_id).where(tables.memberships.c.user_id == user_id)
    mine = sa.and_(_table.c.actor == "user", _table.c.actor_id == user_id)
    ours = sa.and_(_table.c.actor == "group", _table.c.actor_id.in_(groups))
    return [Assignment(**row._mapping) for row in await tx.all(_select().where(sa.or_(mine, ours)))]


async def list_all(tx: Tx, **equal: Any) -> list[Assignment]:
    """All with these attributes, in a stable order."""
    stmt = _select()
    for name, value in equal.items():
        stmt = stmt.where(_table.c[name] == value)
    return [Assignment(**row._mapping) for row in await tx.all(stmt)]


async def find(tx: Tx, wanted: Assignment) -> Assignment | None:
    """Itself, if it was made."""
    row = await tx.first(sa.select(_table).where(_same(wanted)))
    return None if row is None else wanted


async def insert(tx: Tx, assignment: Assignment) -> None:
    """Make it; no matter if it is there already."""
    if await find(tx, assignment) is None:
        await tx.run(sa.insert(_table).values(msgspec.structs.asdict(assignment)))


async def insert_many(tx: Tx, made: list[Assignment]) -> None:
    """Make all of them, of which none is there."""
    await tx.run(sa.insert(_table), [msgspec.structs.asdict(one) for one in made])


async def delete(tx: Tx, assignment: Assignment) -> bool:
    """Take it back; False if it was not there."""
    return bool(await tx.run(sa.delete(_table).where(_same(assignment))))


async def delete_for_actors(tx: Tx, actor_ids: list[str]) -> None:
    """Take back all of users or groups that go."""
    await tx.run(sa.delete(_table).where(_table.c.actor_id.in_(actor_ids)))


async def delete_for_targets(tx: Tx, target_ids: list[str]) -> None:
    """Take back all on projects or domains that go."""
    await tx.run(sa.delete(_table).where(_table.c.target_id.in_(target_ids)))


async def implications(tx: Tx) -> dict[str, frozenset[str]]:
    """Role id: the ids of those it implies directly."""
    found: dict[str, set[str]] = {}
    for row in await tx.all(sa.select(tables.implied_roles)):
        found.setdefault(row.prior_role_id, set()).add(row.implied_role_id)
    return {role_id: frozenset(implied) for role_id, implied in found.items()}


async def roles(tx: Tx) -> dict[str, Role]:
    """Every role by id."""
    return {role.id: role for role in await rows.list_all(tx, rows.ROLES)}


async def insert_implication(tx: Tx, prior_id: str, implied_id: str) -> None:
    """`prior_id` implies `implied_id` from now on."""
    values = {"prior_role_id": prior_id, "implied_role_id": implied_id}
    if not await tx.first(sa.select(tables.implied_roles).filter_by(**values)):
        await tx.run(sa.insert(tables.implied_roles).values(values))


async def insert_implications(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Each first implies each second, of which none did."""
    values = [{"prior_role_id": prior, "implied_role_id": implied} for prior, implied in pairs]
    await tx.run(sa.insert(tables.implied_roles), values)


async def delete_implication(tx: Tx, prior_id: str, implied_id: str) -> bool:
    """No longer; False if it did not."""
    table = tables.implied_roles
    here = sa.and_(table.c.prior_role_id == prior_id, table.c.implied_role_id == implied_id)
    return bool(await tx.run(sa.delete(table).where(here)))


def _select() -> sa.Select[Any]:
    return sa.select(_table).order_by(
        _table.c.actor_id, _table.c.target_id, _table.c.role_id, _table.c.inherited
    )


def _same(one: Assignment) -> sa.ColumnElement[bool]:
    return sa.and_(*(_table.c[name] == getattr(one, name) for name in Assignment.__struct_fields__))
