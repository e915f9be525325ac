# SPDX-License-Identifier: Apache-2.0
"""SQLite, the embedded default.

It runs on the event loop's own thread: a statement takes tens of microseconds, a hop to a thread
costs more, and a simulation stays deterministic. One connection writes, under a lock; another
reads, and in WAL mode never waits. A commit survives `kill -9` of any process; a loss of power may
take back the last moments, never leave them half done (synchronous=NORMAL).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, exc, pool

from octostack.base.errors import Unavailable
from octostack.runtime.db.direct import Direct
from octostack.runtime.db.engine import Database
from octostack.runtime.db.tx import Result, Rows, Tx, refuse_nested
from octostack.runtime.scopes import writing

T = TypeVar("T")

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA temp_store=MEMORY",
)


def to_json(value: Any) -> str:
    """JSON for a column of that type."""
    return msgspec.json.encode(value).decode()


class Sqlite(Database):
    """One SQLite file."""

    dialect = "sqlite"

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = sa.create_engine(
            f"sqlite:///{path}",
            isolation_level="AUTOCOMMIT",
            poolclass=pool.NullPool,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _prepare)
        try:
            self._writer = _Connection(self._engine.connect())
            self._reader = _Connection(self._engine.connect())
        except exc.SQLAlchemyError as e:
            raise Unavailable(f"{path}: {e.args[0]}", code="db.failed") from e
        # Begin and commit by the driver itself: a tenth of what they cost through SQLAlchemy.
        self._driver: Any = self._writer.sync.connection.dbapi_connection
        path.chmod(0o600)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Statements on the reading connection, each seeing what is committed by then."""
        yield Tx(self._reader)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """One transaction on the writing connection."""
        refuse_nested(self.name)
        async with self._lock:
            tx = Tx(self._writer)
            mark = writing.set(self.name)
            try:
                self._control("BEGIN IMMEDIATE")
                try:
                    yield tx
                except BaseException:
                    self._control("ROLLBACK")
                    raise
                self._control("COMMIT")
            finally:
                writing.reset(mark)
        tx.committed()

    async def close(self) -> None:
        self._writer.sync.close()
        self._reader.sync.close()
        self._engine.dispose()

    def _control(self, sql: str) -> None:
        try:
            self._driver.execute(sql)
        except sqlite3.Error as e:
            raise Unavailable(f"The database failed: {e}", code="db.failed") from e


class _Connection:
    """A synchronous connection behind the asynchronous interface of `tx.Executor`."""

    def __init__(self, sync: sa.Connection) -> None:
        self.sync = sync
        driver: Any = sync.connection.dbapi_connection
        self._direct = Direct(driver, sync.dialect)

    async def execute(self, stmt: sa.Executable, rows: Rows) -> Result:
        if isinstance(stmt, sa.schema.ExecutableDDLElement):
            return self.sync.execute(stmt, rows)
        found = self._direct.execute(stmt, rows)
        return found if found is not None else self.sync.execute(stmt, rows)

    async def run_sync(self, work: Callable[[sa.Connection], T]) -> T:
        return work(self.sync)


def _prepare(connection: Any, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
