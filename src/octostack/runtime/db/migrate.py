# SPDX-License-Identifier: Apache-2.0
"""Numbered, forward steps that bring a database to the shape the code expects.

Three phases let version N and N-1 of a service work side by side:

    EXPAND    add what the new code needs; the old code does not notice
    MIGRATE   move rows; the old code still finds what it knows
    CONTRACT  drop what only the old code used; from here it cannot run any more

An empty database gets the tables as they are defined today and every number noted as done. The
code refuses a database that has passed a CONTRACT step it does not know.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import Conflict
from octostack.runtime.db.tx import Tx

if TYPE_CHECKING:
    from octostack.runtime.db.engine import Database


class Phase(enum.StrEnum):
    """What a step means for the code of the version before."""

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"


class Migration(NamedTuple):
    """One step; `apply` must stand being run again after a crash in its middle."""

    number: int
    name: str
    phase: Phase
    apply: Callable[[Tx], Awaitable[None]]


_metadata = sa.MetaData()
_done = sa.Table(
    "schema_migrations",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("applied_at", sa.Float, nullable=False),
)


async def migrate(db: "Database", metadata: sa.MetaData, steps: Sequence[Migration]) -> list[int]:
    """Bring `db` to `metadata` by `steps`; returns the numbers applied now.

    Raises Conflict ``db.newer`` when a later version's CONTRACT step was applied already.
    """
    fresh = _done.name not in await db.table_names()
    if fresh:
        await db.create_all(_metadata)
        await db.create_all(metadata)
        async with db.write() as tx:
            for step in steps:
                await _note(tx, step)
        return []
    async with db.read() as tx:
        rows = await tx.all(sa.select(_done.c.number, _done.c.name, _done.c.phase))
    known = {step.number for step in steps}
    for row in rows:
        if row.number not in known and row.phase == Phase.CONTRACT:
            raise Conflict(
                f"Database {db.name} was changed by a newer version ({row.number} {row.name})",
                code="db.newer",
            )
    applied = {row.number for row in rows}
    pending = [step for step in sorted(steps) if step.number not in applied]
    for step in pending:
        async with db.write() as tx:
            await step.apply(tx)
            await _note(tx, step)
    return [step.number for step in pending]


async def _note(tx: Tx, step: Migration) -> None:
    await tx.run(
        sa.insert(_done).values(
            number=step.number, name=step.name, phase=step.phase.value, applied_at=clock.now()
        )
    )
