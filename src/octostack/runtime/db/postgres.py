# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, chosen by a URL: a schema for each service.

A writer first takes the schema's advisory lock, so writers are serialised as they are on SQLite
and a service's "read, decide, write" needs no retry on either.
"""

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from octostack.base.errors import Invalid, Unavailable
from octostack.runtime.db.engine import Database
from octostack.runtime.db.sqlite import to_json
from octostack.runtime.db.tx import Rows, Tx, refuse_nested, translated
from octostack.runtime.scopes import writing

POOL_SIZE = 5

T = TypeVar("T")


class Postgres(Database):
    """One schema of a PostgreSQL database."""

    dialect = "postgresql"

    def __init__(self, name: str, engine: AsyncEngine) -> None:
        super().__init__(name)
        self._engine = engine
        self._lock_sql = _lock_sql(name)

    @classmethod
    async def connect(cls, name: str, url: str) -> "Postgres":
        """The schema `name`, made when it is not there. Raises Unavailable, Invalid."""
        engine = create_async_engine(
            _read(url),
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
            connect_args={"server_settings": {"search_path": name, "application_name": name}},
        )
        try:
            async with engine.begin() as connection:
                await connection.execute(_lock_sql(name))  # two who make it at once would clash
                await connection.execute(sa.schema.CreateSchema(name, if_not_exists=True))
        except (exc.SQLAlchemyError, OSError) as e:
            await engine.dispose()
            raise Unavailable(f"PostgreSQL cannot be reached: {e}", code="db.failed") from e
        except TypeError:  # the driver's own word for an option that it does not know
            await engine.dispose()
            options = ", ".join(sorted(engine.url.query))
            what = f"The database's URL has an option that is none: {options}"
            raise Invalid(what, code="db.url") from None
        return cls(name, engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Statements on a pooled connection, each seeing what is committed by then."""
        async with self._engine.connect() as connection:
            yield Tx(_Connection(connection))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """One transaction, begun with the schema's lock."""
        refuse_nested(self.name)
        mark = writing.set(self.name)
        try:
            async with self._engine.begin() as connection:
                await connection.execute(self._lock_sql)
                tx = Tx(_Connection(connection))
                yield tx
        except exc.SQLAlchemyError as e:
            raise translated(e) from e
        finally:
            writing.reset(mark)
        tx.committed()

    async def close(self) -> None:
        await self._engine.dispose()


def _read(url: str) -> sa.URL:
    """The URL as SQLAlchemy has it; what is wrong with one is not said, for its password's sake."""
    try:
        return sa.make_url(url).set(drivername="postgresql+asyncpg")
    except (exc.ArgumentError, ValueError):
        what = "The database's URL is not postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise Invalid(what, code="db.url") from None


def _lock_sql(name: str) -> sa.TextClause:
    number = zlib.crc32(name.encode())  # a number of our own
    return sa.text(f"SELECT pg_advisory_xact_lock({number})")


class _Connection:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, stmt: sa.Executable, rows: Rows) -> sa.CursorResult[Any]:
        return await self._connection.execute(stmt, rows)

    async def run_sync(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._connection.run_sync(work)
