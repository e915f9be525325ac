# SPDX-License-Identifier: Apache-2.0
"""What every database must keep, on each engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from octostack.base.errors import Conflict, Invalid
from octostack.runtime.db import Database, Migration, Page, Phase, Tx, open_database, paged
from octostack.runtime.scopes import writing

pytestmark = pytest.mark.anyio

metadata = sa.MetaData()
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255)),
    sa.Column("size", sa.BigInteger, nullable=False, default=0),
    sa.Column("facts", sa.JSON),
)
parts = sa.Table(
    "parts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("thing_id", sa.ForeignKey("things.id"), nullable=False),
)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await open_database(database_url, "shop", metadata)
    yield database
    await database.close()


async def names(db: Database) -> list[str]:
    async with db.read() as tx:
        return [row.name for row in await tx.all(sa.select(things).order_by(things.c.id))]


async def test_a_failed_block_leaves_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.write() as tx:
            await tx.run(sa.insert(things).values(id="1", name="one"))
            raise ZeroDivisionError
    assert await names(db) == []


async def test_constraints_become_our_errors(db: Database) -> None:
    async with db.write() as tx:
        await tx.run(sa.insert(things), [{"id": "1", "name": "one", "facts": {"a": [1]}}])
        with pytest.raises(Conflict) as duplicate:
            async with tx.savepoint():
                await tx.run(sa.insert(things).values(id="1", name="again"))
        with pytest.raises(Conflict) as reference:
            async with tx.savepoint():
                await tx.run(sa.insert(parts).values(id="1", thing_id="none"))
        await tx.run(sa.insert(things).values(id="2", name="two"))
    assert (duplicate.value.code, reference.value.code) == ("db.duplicate", "db.reference")
    assert await names(db) == ["one", "two"]


async def test_a_value_too_big_is_invalid_and_harmless(db: Database) -> None:
    with pytest.raises(Invalid):
        async with db.write() as tx:
            await tx.run(sa.insert(things).values(id="1", size=2**70))
    assert await names(db) == []


async def test_hints_go_out_only_after_the_commit(db: Database) -> None:
    woken: list[str] = []
    async with db.write() as tx:
        tx.after_commit(lambda: woken.append("yes"))
        assert woken == []
        assert writing.get() == "shop"
    assert woken == ["yes"]
    assert writing.get() is None
    with pytest.raises(ZeroDivisionError):
        async with db.write() as tx:
            tx.after_commit(lambda: woken.append("no"))
            raise ZeroDivisionError
    assert woken == ["yes"]


async def test_pages_meet_without_gap_or_overlap(db: Database) -> None:
    sizes = [3, 1, 3, 2, 3, 1]
    async with db.write() as tx:
        for i, size in enumerate(sizes):
            name = None if i % 2 else f"n{i}"
            await tx.run(sa.insert(things).values(id=str(i), name=name, size=size))
    columns = dict(things.c)
    for sort in ((("size", "desc"), ("id", "asc")), (("name", "asc"), ("id", "desc"))):
        async with db.read() as tx:
            whole = [r.id for r in await tx.all(paged(sa.select(things), columns, Page(sort=sort)))]
            seen: list[str] = []
            last = None
            while True:
                page = Page(limit=2, sort=sort)
                rows = await tx.all(paged(sa.select(things), columns, page, last))
                if not rows:
                    break
                seen += [row.id for row in rows]
                last = rows[-1]._mapping
        assert seen == whole
        assert sorted(whole) == ["0", "1", "2", "3", "4", "5"]


async def test_migrations_run_once_and_in_order(db: Database, database_url: str) -> None:
    ran: list[int] = []

    def step(number: int, phase: Phase = Phase.EXPAND) -> Migration:
        async def apply(tx: Tx) -> None:
            ran.append(number)

        return Migration(number, f"step {number}", phase, apply)

    steps = [step(2), step(1)]
    for _ in range(2):
        await (await open_database(database_url, "shop", metadata, steps)).close()
    assert ran == [1, 2]
    await (
        await open_database(database_url, "shop", metadata, [*steps, step(3, Phase.CONTRACT)])
    ).close()
    with pytest.raises(Conflict, match="newer version"):
        await open_database(database_url, "shop", metadata, steps)
    await (await open_database(database_url, "fresh", metadata, steps)).close()
    assert ran == [1, 2, 3]


async def test_everything_is_there_after_opening_again(db: Database, database_url: str) -> None:
    async with db.write() as tx:
        await tx.run(sa.insert(things).values(id="1", name="one", facts={"a": [1, None]}))
    again = await open_database(database_url, "shop", metadata)
    async with again.read() as tx:
        row = await tx.first(sa.select(things))
    await again.close()
    assert row is not None
    assert row.facts == {"a": [1, None]}


async def test_writers_take_turns(db: Database) -> None:
    import asyncio

    async with db.write() as tx:
        await tx.run(sa.insert(things).values(id="1", size=0))

    async def add() -> None:
        async with db.write() as tx:
            size = await tx.scalar(sa.select(things.c.size))
            await asyncio.sleep(0)
            await tx.run(sa.update(things).values(size=size + 1))

    await asyncio.gather(*(add() for _ in range(20)))
    async with db.read() as tx:
        assert await tx.scalar(sa.select(things.c.size)) == 20


def test_the_file_is_private(database_url: str, tmp_path: Path) -> None:
    if not database_url.startswith("sqlite:"):
        return
    import asyncio

    async def make() -> None:
        await (await open_database(database_url, "shop", metadata)).close()

    asyncio.run(make())
    assert Path(database_url.removeprefix("sqlite:"), "shop.db").stat().st_mode & 0o077 == 0
