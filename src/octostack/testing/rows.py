# SPDX-License-Identifier: Apache-2.0
"""What a test cloud's databases hold, read from outside the cloud, on either engine."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]


class Rows(Protocol):
    """The rows of one cloud. A database is named as its service names it."""

    async def ask(self, database: str, question: str) -> list[tuple[Any, ...]]:
        """The rows that answer an SQL `question` to one database."""
        ...

    async def tables(self) -> list[tuple[str, str]]:
        """(database, table) of every table of every database, in order."""
        ...

    async def digests(self, without: Collection[str] = ()) -> dict[str, str]:
        """A digest of the rows of each table as database.table, but of those named `without`."""
        ...


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Rows]:
    """The rows behind a cloud's `database_url`, for reading."""
    kind, _, rest = database_url.partition(":")
    if kind == "sqlite":
        yield _OnSqlite(Path(rest))
        return
    connection = await asyncpg.connect(database_url)
    try:
        yield _OnPostgres(connection)
    finally:
        await connection.close()


class _OnSqlite:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask(self, database: str, question: str) -> list[tuple[Any, ...]]:
        return self._ask(database, question)

    async def tables(self) -> list[tuple[str, str]]:
        return list(self._tables())

    async def digests(self, without: Collection[str] = ()) -> dict[str, str]:
        return {
            f"{database}.{table}": _digest(self._ask(database, f'SELECT * FROM "{table}"'))
            for database, table in self._tables()
            if table not in without
        }

    def _tables(self) -> Iterator[tuple[str, str]]:
        for file in sorted(self._directory.glob("*.db")):
            names = self._ask(file.stem, "SELECT name FROM sqlite_master WHERE type = 'table'")
            yield from ((file.stem, name) for (name,) in sorted(names))

    def _ask(self, database: str, question: str) -> list[tuple[Any, ...]]:
        file = self._directory / f"{database}.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            return db.execute(question).fetchall()


def _digest(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()


class _OnPostgres:
    """A schema is a database. All digests are one statement: asking table by table is slow."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def ask(self, database: str, question: str) -> list[tuple[Any, ...]]:
        await self._connection.execute(f'SET search_path TO "{database}"')
        return [tuple(row) for row in await self._connection.fetch(question)]

    async def tables(self) -> list[tuple[str, str]]:
        rows = await self._connection.fetch(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        return [(row[0], row[1]) for row in rows]

    async def digests(self, without: Collection[str] = ()) -> dict[str, str]:
        one = (
            "SELECT '{0}.{1}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
            ' FROM "{0}"."{1}" t'
        )
        asked = [one.format(*names) for names in await self.tables() if names[1] not in without]
        return {row[0]: row[1] for row in await self._connection.fetch(" UNION ALL ".join(asked))}
