# SPDX-License-Identifier: Apache-2.0
"""Numbered, forward steps that bring a database to the shape the code expects.

Three phases let version N and N-1 of a service work side by side:

    EXPAND    add what the new code needs; the old code does not notice
    MIGRATE   move rows; the old code still finds what it knows
    CONTRACT  drop what only the old code used; from here it cannot run any more

A step names what came or went; the shape of what came is taken from the tables as they are
defined today::

    MIGRATIONS = (
        expand(1, "volumes", tables.volumes, tables.servers.c.root_volume),
        convert(2, "names of zones", fill_zones),
        contract(3, "the old zone", "servers.zone"),
    )

So a step finds done what a later one has changed again, and an empty database simply gets the
tables of today with every number noted. What is added must not trouble code that does not know
it: a column may be NULL or has a server_default. Each step and its number are one transaction.

The code refuses a database that has passed a CONTRACT step it does not know. A number is never
given twice and a step that has landed never changes: `tests/contract/database` keeps watch.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from octostack.base import clock, log
from octostack.base.errors import Conflict
from octostack.runtime.db.tx import Tx

if TYPE_CHECKING:
    from octostack.runtime.db.engine import Database

Apply = Callable[[Tx], Awaitable[None]]
Added = sa.Table | sa.Column[Any] | sa.Index

_log = log.get("db")


class Phase(enum.StrEnum):
    """What a step means for the code of the version before."""

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"


class Migration(msgspec.Struct, frozen=True):
    """One step; made by `expand`, `convert` or `contract`."""

    number: int
    name: str
    phase: Phase
    apply: Apply


def expand(number: int, name: str, *added: Added) -> Migration:
    """Add tables (their indexes with them), columns and indexes, in this order."""
    for item in added:
        bearable = not isinstance(item, sa.Column) or item.nullable or item.server_default
        assert bearable, f"{item}: a new column may be NULL or has a server_default"

    async def apply(tx: Tx) -> None:
        await tx.on_connection(lambda connection: _add(connection, added))

    return Migration(number, name, Phase.EXPAND, apply)


def convert(number: int, name: str, apply: Apply) -> Migration:
    """Move rows; the code of before still finds what it knows."""
    return Migration(number, name, Phase.MIGRATE, apply)


def contract(number: int, name: str, *dropped: str) -> Migration:
    """Drop tables (``table``) and columns (``table.column``) that no code uses any more."""

    async def apply(tx: Tx) -> None:
        await tx.on_connection(lambda connection: _drop(connection, dropped))

    return Migration(number, name, Phase.CONTRACT, apply)


_metadata = sa.MetaData()
_done = sa.Table(
    "schema_migrations",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("applied_at", sa.Float, nullable=False),
)
_APPLIED = sa.select(_done.c.number, _done.c.name, _done.c.phase)


async def migrate(db: "Database", metadata: sa.MetaData, steps: Sequence[Migration]) -> list[int]:
    """Bring `db` to `metadata` by `steps`; returns the numbers applied now.

    Several processes may do so at once: each step looks again under the writers' lock. Raises
    Conflict ``db.newer`` when a later version's CONTRACT step was applied already.
    """
    if not await _exists(db):
        async with db.write() as tx:
            if not await tx.on_connection(_has_table):
                await tx.on_connection(_metadata.create_all)
                await tx.on_connection(metadata.create_all)
                await tx.run(sa.insert(_done), [_row(step) for step in steps])
        return []
    async with db.read() as tx:
        applied = await _applied(tx, db.name, steps)
    pending = [s for s in sorted(steps, key=lambda s: s.number) if s.number not in applied]
    return [step.number for step in pending if await _take(db, step, steps)]


async def _take(db: "Database", step: Migration, steps: Sequence[Migration]) -> bool:
    """Apply one step, unless another process was quicker."""
    async with db.write() as tx:
        if step.number in await _applied(tx, db.name, steps):
            return False
        await step.apply(tx)
        await tx.run(sa.insert(_done), [_row(step)])
    _log.info("migrated", database=db.name, number=step.number, name=step.name)
    return True


async def _exists(db: "Database") -> bool:
    async with db.read() as tx:
        return await tx.on_connection(_has_table)


def _has_table(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table(_done.name)


async def _applied(tx: Tx, database: str, steps: Sequence[Migration]) -> set[int]:
    rows = await tx.all(_APPLIED)
    known = {step.number for step in steps}
    for row in rows:
        if row.number not in known and row.phase == Phase.CONTRACT:
            raise Conflict(
                f"Database {database} was changed by a newer version ({row.number} {row.name})",
                code="db.newer",
            )
    return {row.number for row in rows}


def _row(step: Migration) -> dict[str, Any]:
    return {
        "number": step.number,
        "name": step.name,
        "phase": step.phase.value,
        "applied_at": clock.now(),
    }


def _add(connection: sa.Connection, added: Sequence[Added]) -> None:
    for item in added:
        if not isinstance(item, sa.Column):
            item.create(connection, checkfirst=True)
        elif item.name not in _columns(connection, item.table.name):
            connection.exec_driver_sql(_add_column_sql(connection, item))


def _drop(connection: sa.Connection, dropped: Sequence[str]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    for item in dropped:
        table, _, column = item.partition(".")
        if not column:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quote(table)}")
        elif column in _columns(connection, table):
            connection.exec_driver_sql(f"ALTER TABLE {quote(table)} DROP COLUMN {quote(column)}")


def _columns(connection: sa.Connection, table: str) -> set[str]:
    inspector = sa.inspect(connection)
    return (
        {c["name"] for c in inspector.get_columns(table)} if inspector.has_table(table) else set()
    )


def _add_column_sql(connection: sa.Connection, column: sa.Column[Any]) -> str:
    """ALTER TABLE with the column as CREATE TABLE would have it, its reference in the line."""
    quote = connection.dialect.identifier_preparer.quote
    shape = str(sa.schema.CreateColumn(column).compile(dialect=connection.dialect))
    for reference in column.foreign_keys:
        table, _, name = reference.target_fullname.rpartition(".")
        shape += f" REFERENCES {quote(table)} ({quote(name)})"
        shape += f" ON DELETE {reference.ondelete}" if reference.ondelete else ""
    return f"ALTER TABLE {quote(column.table.name)} ADD COLUMN {shape}"
