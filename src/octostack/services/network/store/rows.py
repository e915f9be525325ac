# SPDX-License-Identifier: Apache-2.0
"""What is done alike with the rows of every noun."""

import functools
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Page, Tx, paged
from octostack.services.network.model import nouns
from octostack.services.network.store import tables

R = TypeVar("R", bound=nouns.Row)

CHUNK = 500  # values in one IN list
# Nouns whose rows the hosts hear of, by the name a change is noted under.
KINDS: dict[type[Any], str] = {
    nouns.Network: "network",
    nouns.Subnet: "subnet",
    nouns.Port: "port",
    nouns.Router: "router",
    nouns.FloatingIp: "floatingip",
    nouns.SecurityGroup: "group",
    nouns.Agent: "agent",
}


def build(noun: type[R], found: Iterable[Any]) -> list[R]:
    """Rows of a SELECT over the whole table as values."""
    names = noun.__struct_fields__
    return [noun(**dict(zip(names, row, strict=True))) for row in found]


async def find(tx: Tx, noun: type[R], id_: str) -> R | None:
    """The row of that id, or None."""
    row = await tx.first(_with(noun, "id"), {"b_value": id_})
    return build(noun, [row])[0] if row is not None else None


async def select(tx: Tx, noun: type[R], *where: Any, order: Sequence[Any] = ()) -> list[R]:
    """Every row that meets all the conditions."""
    stmt = sa.select(tables.OF[noun]).where(*where)
    return build(noun, await tx.all(stmt.order_by(*order) if order else stmt))


async def by_ids(tx: Tx, noun: type[R], ids: Collection[str]) -> dict[str, R]:
    """The rows of those ids that there are."""
    return {row.id: row for row in await by_column(tx, noun, "id", ids)}


async def by_column(tx: Tx, noun: type[R], column: str, values: Iterable[str]) -> list[R]:
    """The rows whose column holds one of the values."""
    wanted = list(dict.fromkeys(values))
    if len(wanted) == 1:
        return build(noun, await tx.all(_with(noun, column), {"b_value": wanted[0]}))
    found: list[R] = []
    for at in range(0, len(wanted), CHUNK):
        piece = {"b_values": wanted[at : at + CHUNK]}
        found += build(noun, await tx.all(_with_one_of(noun, column), piece))
    return found


@functools.cache
def _with(noun: type[Any], column: str) -> sa.Select[Any]:
    """Rows by the value of a column, oldest first; made once, since making costs most."""
    table = tables.OF[noun]
    chosen = sa.select(table).where(table.c[column] == sa.bindparam("b_value"))
    return chosen.order_by(table.c.created_at)


@functools.cache
def _with_one_of(noun: type[Any], column: str) -> sa.Select[Any]:
    table = tables.OF[noun]
    values: sa.BindParameter[Any] = sa.bindparam("b_values", expanding=True)
    return sa.select(table).where(table.c[column].in_(values)).order_by(table.c.created_at)


async def page(tx: Tx, noun: type[R], where: Sequence[Any], wanted: Page) -> list[R]:
    """One page of the rows that meet the conditions; the marker must exist, else None is found.

    Raises NotFound (code "marker") when the marker is no row's id.
    """
    table = tables.OF[noun]
    after = None
    if wanted.marker is not None:
        marker = await tx.first(sa.select(table).where(table.c.id == wanted.marker))
        if marker is None:
            return []
        after = dict(marker._mapping)
    stmt = paged(sa.select(table).where(*where), dict(table.c), wanted, after)
    found = build(noun, await tx.all(stmt))
    return found[::-1] if wanted.reverse else found


async def insert(tx: Tx, row: nouns.Row) -> None:
    """A new row; its tags and its change are noted with it."""
    await tx.run(sa.insert(tables.OF[type(row)]), [msgspec.structs.asdict(row)])
    if row.tags:
        await _write_tags(tx, row)
    await note(tx, type(row), row.id)


async def update(tx: Tx, old: R, new: R) -> R:
    """Write what differs; the row must still be as it was read."""
    table = tables.OF[type(new)]
    changed = {
        name: getattr(new, name)
        for name in new.__struct_fields__
        if getattr(new, name) != getattr(old, name)
    }
    if changed:
        where = (table.c.id == old.id, table.c.revision_number == old.revision_number)
        touched = await tx.run(sa.update(table).where(*where).values(**changed))
        assert touched == 1, "writers are serialised: nobody changed the row meanwhile"
        if "tags" in changed:
            await _write_tags(tx, new)
        await note(tx, type(new), new.id)
    return new


async def delete(tx: Tx, row: nouns.Row) -> None:
    """Remove a row and what was said about it."""
    table = tables.OF[type(row)]
    await tx.run(sa.delete(table).where(table.c.id == row.id))
    if row.tags:
        await tx.run(sa.delete(tables.tags).where(tables.tags.c.resource_id == row.id))
    await note(tx, type(row), row.id)


async def values(tx: Tx, stmt: Any) -> list[Any]:
    """The rows of a statement as plain tuples."""
    return [tuple(row) for row in await tx.all(stmt)]


async def count(tx: Tx, noun: type[Any], project_id: str) -> int:
    """How many rows of the noun a project has."""
    table = tables.OF[noun]
    stmt = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == project_id)
    return int(await tx.scalar(stmt))


async def note(tx: Tx, noun: type[Any], id_: str) -> None:
    """Say that hosts may have to hear of a row."""
    kind = KINDS.get(noun)
    if kind:
        await tx.run(sa.insert(tables.changes), [{"kind": kind, "id": id_}])


async def _write_tags(tx: Tx, row: nouns.Row) -> None:
    await tx.run(sa.delete(tables.tags).where(tables.tags.c.resource_id == row.id))
    await tx.run(sa.insert(tables.tags), [{"resource_id": row.id, "tag": tag} for tag in row.tags])
