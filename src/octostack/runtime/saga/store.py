# SPDX-License-Identifier: Apache-2.0
"""The rows of sagas: every statement, each write guarded by the fence."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Conflict
from octostack.runtime.db import Tx
from octostack.runtime.saga.model import Fault, Run, Status


class LeaseLost(Conflict):
    """Another process drives this saga now; nothing more may be written for it."""


_OPEN = (Status.DOING, Status.UNDOING)
_FIELDS = [name for name in Run.__struct_fields__]  # noqa: C416 - a list of str for mypy

_SAVED = (
    "state", "status", "step", "failures", "step_began_at", "next_at", "fault", "trouble",
    "lease_until", "updated_at",
)  # fmt: skip


def add_table(metadata: sa.MetaData) -> sa.Table:
    """Define the table ``sagas`` among a service's tables."""
    return sa.Table(
        "sagas",
        metadata,
        sa.Column("number", sa.Integer, primary_key=True),  # the order of sagas of one subject
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("saga", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(64), nullable=False, index=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("step_began_at", sa.Float, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("fault", sa.Text),
        sa.Column("trouble", sa.Text),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Index("sagas_status", "status", "updated_at"),
    )


class Store:
    """Statements over one table of sagas."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self._columns = [table.c[name] for name in _FIELDS]
        # Made once: every step of every saga runs them.
        fenced = sa.update(table).where(
            table.c.id == sa.bindparam("of_id"), table.c.fence == sa.bindparam("of_fence")
        )
        self._save = fenced.values({name: sa.bindparam(name) for name in _SAVED}).returning(
            table.c.cancelled
        )
        self._of_subject = (
            sa.select(*self._columns)
            .where(table.c.subject == sa.bindparam("of_subject"), table.c.status.in_(_OPEN))
            .order_by(table.c.number)
        )

    async def insert(self, tx: Tx, run: Run) -> None:
        """A new saga."""
        await tx.run(sa.insert(self.table), [_row(run)])

    async def find(self, tx: Tx, run_id: str) -> Run | None:
        """A saga by its id."""
        t = self.table
        query = sa.select(*self._columns).where(t.c.id == run_id)
        return _run_or_none(await tx.first(query))

    async def of_subject(self, tx: Tx, subject: str) -> list[Run]:
        """The subject's sagas that have not ended, in order."""
        found = await tx.all(self._of_subject, {"of_subject": subject})
        return [_run(row) for row in found]

    async def claimable(
        self, tx: Tx, known: Iterable[tuple[str, int]], now: float, limit: int
    ) -> list[Run]:
        """Sagas that nobody drives, oldest first, where no older one of the subject is open."""
        t = self.table
        older = t.alias("older")
        blocked = sa.exists().where(
            older.c.subject == t.c.subject,
            older.c.status.in_(_OPEN),
            older.c.number < t.c.number,
        )
        query = (
            sa.select(*self._columns)
            .where(
                t.c.status.in_(_OPEN),
                t.c.lease_until <= now,
                sa.or_(*((t.c.saga == name) & (t.c.version == v) for name, v in known)),
                ~blocked,
            )
            .order_by(t.c.number)
            .limit(limit)
        )
        return [_run(row) for row in await tx.all(query)]

    async def claim(self, tx: Tx, run: Run, owner: str, lease_until: float) -> bool:
        """Take the lease with a new fence; False when another was quicker. Updates `run`."""
        won = await self._update(
            tx, run, {"owner": owner, "fence": run.fence + 1, "lease_until": lease_until}
        )
        if won:
            run.owner, run.fence, run.lease_until = owner, run.fence + 1, lease_until
        return won

    async def save(self, tx: Tx, run: Run) -> None:
        """Write what a driver may change of `run`; `cancelled` is read. Raises LeaseLost."""
        values = _row(run)
        saved = {name: values[name] for name in _SAVED}
        row = await tx.first(self._save, saved | {"of_id": run.id, "of_fence": run.fence})
        if row is None:
            raise LeaseLost(f"{run.saga} {run.id}: fence {run.fence}", code="saga.lease")
        run.cancelled = bool(row[0])

    async def renew(self, tx: Tx, run: Run, lease_until: float) -> bool:
        """Keep the lease; False when it was lost."""
        return await self._update(tx, run, {"lease_until": lease_until})

    async def cancel(self, tx: Tx, run_id: str) -> None:
        """Ask for the turn; whoever drives it sees it at the next boundary."""
        t = self.table
        await tx.run(sa.update(t).where(t.c.id == run_id).values(cancelled=True))

    async def release(self, tx: Tx, owner: str) -> int:
        """Let go of every lease of `owner`: its process is no more."""
        t = self.table
        gone = sa.update(t).where(t.c.owner == owner, t.c.status.in_(_OPEN))
        return await tx.run(gone.values(lease_until=0.0, fence=t.c.fence + 1))

    async def forget_ended(self, tx: Tx, before: float) -> int:
        """Delete sagas that ended before `before`."""
        t = self.table
        ended = t.c.status.not_in(_OPEN) & (t.c.updated_at < before)
        return await tx.run(sa.delete(t).where(ended))

    async def list_open(self, tx: Tx) -> list[Run]:
        """Every saga that has not ended, oldest first."""
        t = self.table
        query = sa.select(*self._columns).where(t.c.status.in_(_OPEN)).order_by(t.c.number)
        return [_run(row) for row in await tx.all(query)]

    async def _update(self, tx: Tx, run: Run, values: dict[str, Any]) -> bool:
        t = self.table
        guarded = sa.update(t).where(t.c.id == run.id, t.c.fence == run.fence)
        return await tx.run(guarded.values(**values)) == 1


def _row(run: Run) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in _FIELDS}
    row["state"] = _text(run.state)
    row["fault"] = _text(run.fault) if run.fault else None
    row["trouble"] = _text(run.trouble) if run.trouble else None
    return row


def _run(row: Sequence[Any]) -> Run:
    values = dict(zip(_FIELDS, row, strict=True))
    values["state"] = msgspec.json.decode(values["state"])
    values["status"] = Status(values["status"])
    for name in ("fault", "trouble"):
        if values[name]:
            values[name] = msgspec.json.decode(values[name], type=Fault)
    return Run(**values)


def _run_or_none(row: Sequence[Any] | None) -> Run | None:
    return None if row is None else _run(row)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
