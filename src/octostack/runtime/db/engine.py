# SPDX-License-Identifier: Apache-2.0
"""What a database is to a service, and how one is opened."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import sqlalchemy as sa

from octostack.base.errors import Invalid
from octostack.runtime.db import migrate
from octostack.runtime.db.tx import Tx


class Database(ABC):
    """One service's tables, on whatever engine."""

    dialect: str

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[Tx]:
        """``async with db.read() as tx``: statements that change nothing."""

    @abstractmethod
    def write(self) -> AbstractAsyncContextManager[Tx]:
        """``async with db.write() as tx``: all of the block or nothing; one writer at a time."""

    async def check(self) -> None:
        """Answer one question. Raises Unavailable."""
        async with self.read() as tx:
            await tx.scalar(sa.select(1))

    @abstractmethod
    async def close(self) -> None:
        """Let go of every connection."""


async def open_database(
    url: str, name: str, metadata: sa.MetaData, migrations: Sequence[migrate.Migration] = ()
) -> Database:
    """The database `name` at `url`, its tables made or migrated.

    ``sqlite:DIR`` is a file of that name in a directory, ``postgresql://...`` a schema of that
    name. Raises Invalid for another URL, Unavailable when it cannot be reached.
    """
    db: Database
    if url.startswith("sqlite:"):
        from octostack.runtime.db.sqlite import Sqlite  # noqa: PLC0415 - load one engine only

        db = Sqlite(name, Path(url.removeprefix("sqlite:")) / f"{name}.db")
    elif url.startswith("postgresql:"):
        from octostack.runtime.db.postgres import Postgres  # noqa: PLC0415 - an extra

        db = await Postgres.connect(name, url)
    else:
        raise Invalid(f"Not a database URL: {url.split(':', 1)[0]}:...", code="db.url")
    try:
        await migrate.migrate(db, metadata, migrations)
    except BaseException:
        await db.close()
        raise
    return db
