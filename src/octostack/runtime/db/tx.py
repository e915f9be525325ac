# SPDX-License-Identifier: Apache-2.0
"""One transaction, the same words on every engine."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from octostack.base.errors import Conflict, Invalid, OctoError, Unavailable
from octostack.runtime.scopes import writing

T = TypeVar("T")
Rows = Sequence[dict[str, Any]] | dict[str, Any] | None


class Result(Protocol):
    """What a statement found, or how many rows it touched."""

    def all(self) -> Sequence[sa.Row[Any]]: ...
    def first(self) -> sa.Row[Any] | None: ...
    def scalar(self) -> Any: ...
    @property
    def rowcount(self) -> int: ...


class Executor(Protocol):
    """What an engine gives a transaction: one statement in, a buffered result out."""

    async def execute(self, stmt: Any, rows: Rows) -> Result: ...

    async def run_sync(self, work: Callable[[sa.Connection], T]) -> T: ...


class Tx:
    """A transaction; made by `Database.read` and `Database.write`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._after_commit: list[Callable[[], None]] = []

    async def all(
        self, stmt: sa.Executable, params: dict[str, Any] | None = None
    ) -> Sequence[sa.Row[Any]]:
        """Every row of `stmt`.

        Building a statement costs more than running it: a hot one is made once, with
        ``bindparam``s, and run with its `params`.
        """
        return (await self._execute(stmt, params)).all()

    async def first(
        self, stmt: sa.Executable, params: dict[str, Any] | None = None
    ) -> sa.Row[Any] | None:
        """The first row of `stmt`, or None."""
        return (await self._execute(stmt, params)).first()

    async def scalar(self, stmt: sa.Executable, params: dict[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        return (await self._execute(stmt, params)).scalar()

    async def run(self, stmt: sa.Executable, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Run an INSERT, UPDATE or DELETE; returns how many rows it touched.

        With `rows` the statement runs once for each; ``run(insert(t), [row])`` costs a third of
        ``run(insert(t).values(**row))``, which builds a new expression. Raises Conflict
        ``db.duplicate`` or ``db.reference`` when a constraint forbids it; inside a `savepoint`
        the transaction stays usable after that.
        """
        if rows is not None and not rows:
            return 0
        return (await self._execute(stmt, rows[0] if rows and len(rows) == 1 else rows)).rowcount

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that may fail alone."""
        await self._execute(sa.text("SAVEPOINT part"))
        try:
            yield
        except BaseException:
            await self._execute(sa.text("ROLLBACK TO SAVEPOINT part"))
            raise
        finally:
            await self._execute(sa.text("RELEASE SAVEPOINT part"))

    async def on_connection(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` makes of the connection: for the shape of tables, not for rows."""
        try:
            return await self._executor.run_sync(work)
        except exc.SQLAlchemyError as e:
            raise translated(e) from e

    def after_commit(self, hint: Callable[[], None]) -> None:
        """Call `hint` once the transaction is durable; not at all if it rolls back."""
        self._after_commit.append(hint)

    def committed(self) -> None:
        """The engine says so; the hints go out."""
        for hint in self._after_commit:
            hint()

    async def _execute(self, stmt: sa.Executable, rows: Rows = None) -> Result:
        try:
            return await self._executor.execute(stmt, rows)
        except exc.SQLAlchemyError as e:
            raise translated(e) from e
        except (OverflowError, UnicodeError) as e:
            raise Invalid(f"A value cannot be stored: {e}", code="db.value") from e


def refuse_nested(name: str) -> None:
    """A writer that waits for itself would wait for ever: raise instead.

    It is a mistake of ours: a write block that calls another part, which calls back.
    """
    if writing.get() == name:
        raise RuntimeError(f"a transaction on {name} is begun inside another one of the same task")


def translated(error: exc.SQLAlchemyError) -> OctoError:
    """SQLAlchemy's error as one of ours."""
    text = str(getattr(error, "orig", error))
    if isinstance(error, exc.IntegrityError):
        lowered = text.lower()
        if "foreign key" in lowered:
            return Conflict(text, code="db.reference")
        if "unique" in lowered or "primary key" in lowered:
            return Conflict(text, code="db.duplicate")
        return Invalid(text, code="db.value")
    if isinstance(error, exc.DataError | exc.StatementError) and not isinstance(
        error, exc.OperationalError | exc.ProgrammingError | exc.InterfaceError
    ):
        return Invalid(f"A value cannot be stored: {text}", code="db.value")
    return Unavailable(f"The database failed: {text}", code="db.failed")
