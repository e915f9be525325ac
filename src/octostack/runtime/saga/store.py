# SPDX-License-Identifier: Apache-2.0
"""The rows of sagas: every statement, each write guarded by the fence."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Conflict
from octostack.runtime.db import Tx
from octostack.runtime.saga.model import Fault, Run, Status


class LeaseLost(Conflict):
    """Another process drives this saga now; nothing more may be written for it."""


_OPEN = (Status.DOING, Status.UNDOING)
_FIELDS: tuple[str, ...] = Run.__struct_fields__
_NOT_SAVED = ("id", "fence", "cancelled")


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
    """Statements over one table of sagas, made once: making one costs more than running it."""

    def __init__(self, table: sa.Table) -> None:
        t = self.table = table
        columns = [t.c[name] for name in _FIELDS]
        chosen = sa.select(*columns)
        mine = (t.c.id == sa.bindparam("b_id")) & (t.c.fence == sa.bindparam("b_fence"))
        saved: dict[str, Any] = {
            name: sa.bindparam(f"b_{name}") for name in _FIELDS if name not in _NOT_SAVED
        }
        self._insert = sa.insert(t)
        self._find = chosen.where(t.c.id == sa.bindparam("b_id"))
        self._of_subject = chosen.where(
            t.c.subject == sa.bindparam("b_subject"), t.c.status.in_(_OPEN)
        ).order_by(t.c.number)
        self._claimable = _claimable(t, chosen)
        self._save = sa.update(t).where(mine).values(saved).returning(t.c.cancelled)
        self._claim = sa.update(t).where(mine).values(
            owner=sa.bindparam("b_owner"),
            fence=t.c.fence + 1,
            lease_until=sa.bindparam("b_lease_until"),
        )  # fmt: skip
        self._renew = sa.update(t).where(mine).values(lease_until=sa.bindparam("b_lease_until"))
        self._list_open = chosen.where(t.c.status.in_(_OPEN)).order_by(t.c.number)

    async def insert(self, tx: Tx, run: Run) -> None:
        """A new saga."""
        await tx.run(self._insert, [_row(run)])

    async def find(self, tx: Tx, run_id: str) -> Run | None:
        """A saga by its id."""
        return _run_or_none(await tx.first(self._find, {"b_id": run_id}))

    async def of_subject(self, tx: Tx, subject: str) -> list[Run]:
        """The subject's sagas that have not ended, in order."""
        return [_run(row) for row in await tx.all(self._of_subject, {"b_subject": subject})]

    async def claimable(self, tx: Tx, now: float, limit: int) -> list[Run]:
        """Sagas that nobody drives, oldest first, where no older one of the subject is open."""
        return [
            _run(row) for row in await tx.all(self._claimable, {"b_now": now, "b_limit": limit})
        ]

    async def claim(self, tx: Tx, run: Run, owner: str, lease_until: float) -> bool:
        """Take the lease with a new fence; False when another was quicker. Updates `run`."""
        values = {"b_owner": owner, "b_lease_until": lease_until}
        won = await tx.run(self._claim, [{**_mine(run), **values}]) == 1
        if won:
            run.owner, run.fence, run.lease_until = owner, run.fence + 1, lease_until
        return won

    async def save(self, tx: Tx, run: Run) -> None:
        """Write all of `run` but `cancelled`, which is read. Raises LeaseLost."""
        values = {f"b_{name}": v for name, v in _row(run).items() if name not in _NOT_SAVED}
        row = await tx.first(self._save, {**_mine(run), **values})
        if row is None:
            raise LeaseLost(f"{run.saga} {run.id}: fence {run.fence}", code="saga.lease")
        run.cancelled = bool(row[0])

    async def renew(self, tx: Tx, run: Run, lease_until: float) -> bool:
        """Keep the lease; False when it was lost."""
        values = {**_mine(run), "b_lease_until": lease_until}
        return await tx.run(self._renew, [values]) == 1

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
        return [_run(row) for row in await tx.all(self._list_open)]


def _claimable(t: sa.Table, chosen: sa.Select[Any]) -> sa.Select[Any]:
    older = t.alias("older")
    blocked = sa.exists().where(
        older.c.subject == t.c.subject,
        older.c.status.in_(_OPEN),
        older.c.number < t.c.number,
    )
    free = t.c.status.in_(_OPEN), t.c.lease_until <= sa.bindparam("b_now"), ~blocked
    return chosen.where(*free).order_by(t.c.number).limit(sa.bindparam("b_limit"))


def _mine(run: Run) -> dict[str, Any]:
    return {"b_id": run.id, "b_fence": run.fence}


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
