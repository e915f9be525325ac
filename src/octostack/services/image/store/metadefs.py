# SPDX-License-Identifier: Apache-2.0
"""Metadata definitions: namespaces, and what stands in them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Conflict
from octostack.contracts.identity import Caller
from octostack.runtime.db import Tx
from octostack.services.image.model import Definition, Namespace
from octostack.services.image.store import tables

_namespaces = tables.namespaces
_definitions = tables.definitions


async def find(tx: Tx, name: str) -> Namespace | None:
    """The namespace, or None."""
    row = await tx.first(sa.select(_namespaces).where(_namespaces.c.namespace == name))
    return Namespace(**row._mapping) if row else None


async def list_visible(tx: Tx, caller: Caller, visibility: str | None) -> list[Namespace]:
    """The namespaces the caller may see, the newest first."""
    stmt = sa.select(_namespaces)
    if not caller.is_admin:
        own = _namespaces.c.owner == caller.project_id if caller.project_id else sa.false()
        stmt = stmt.where(sa.or_(own, _namespaces.c.visibility == "public"))
    if visibility:
        stmt = stmt.where(_namespaces.c.visibility == visibility)
    stmt = stmt.order_by(_namespaces.c.created_at.desc(), _namespaces.c.namespace)
    return [Namespace(**row._mapping) for row in await tx.all(stmt)]


async def insert(tx: Tx, namespace: Namespace) -> None:
    """A new namespace. Raises Conflict when the name is taken."""
    if await find(tx, namespace.namespace) is not None:
        raise _taken("The metadata definition namespace", namespace.namespace)
    await tx.run(sa.insert(_namespaces).values(**msgspec.structs.asdict(namespace)))


async def save(tx: Tx, before: Namespace, namespace: Namespace) -> None:
    """The namespace is so from now on; a new name takes its definitions with it."""
    renamed = namespace.namespace != before.namespace
    if renamed and await find(tx, namespace.namespace) is not None:
        raise _taken("The metadata definition namespace", namespace.namespace)
    here = _namespaces.c.namespace == before.namespace
    await tx.run(sa.update(_namespaces).where(here).values(**msgspec.structs.asdict(namespace)))
    if renamed:
        below = _definitions.c.namespace == before.namespace
        stmt = sa.update(_definitions).where(below).values(namespace=namespace.namespace)
        await tx.run(stmt)


async def delete(tx: Tx, name: str) -> None:
    """The namespace and all that stands in it."""
    await tx.run(sa.delete(_definitions).where(_definitions.c.namespace == name))
    await tx.run(sa.delete(_namespaces).where(_namespaces.c.namespace == name))


async def list_definitions(
    tx: Tx, names: Sequence[str], kind: str | None = None
) -> list[Definition]:
    """What stands in the namespaces, of one kind or of all."""
    stmt = sa.select(_definitions).where(_definitions.c.namespace.in_(names))
    if kind is not None:
        stmt = stmt.where(_definitions.c.kind == kind)
    rows = await tx.all(stmt.order_by(_definitions.c.created_at, _definitions.c.name))
    return [Definition(**row._mapping) for row in rows]


async def find_definition(tx: Tx, namespace: str, kind: str, name: str) -> Definition | None:
    """One definition, or None."""
    for found in await list_definitions(tx, [namespace], kind):
        if found.name == name:
            return found
    return None


async def insert_definition(tx: Tx, definition: Definition) -> None:
    """A new one. Raises Conflict when the name is taken."""
    known = await find_definition(tx, definition.namespace, definition.kind, definition.name)
    if known is not None:
        raise _taken(f"A metadata definition in {definition.kind}", definition.name)
    await tx.run(sa.insert(_definitions).values(**msgspec.structs.asdict(definition)))


async def save_definition(tx: Tx, before: Definition, definition: Definition) -> None:
    """It is so from now on."""
    await delete_definitions(tx, before.namespace, before.kind, before.name)
    await insert_definition(tx, definition)


async def delete_definitions(tx: Tx, namespace: str, kind: str, name: str | None = None) -> None:
    """One, or all of a kind."""
    stmt = sa.delete(_definitions).where(
        _definitions.c.namespace == namespace, _definitions.c.kind == kind
    )
    await tx.run(stmt if name is None else stmt.where(_definitions.c.name == name))


def _taken(what: str, name: Any) -> Conflict:
    return Conflict(f"{what} with name={name} already exists.", code="image.duplicate")
