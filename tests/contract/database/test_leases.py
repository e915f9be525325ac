# SPDX-License-Identifier: Apache-2.0
"""A name has one holder at a time, on each engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from octostack.base import clock
from octostack.runtime.db import Database, open_database
from octostack.runtime.lease import LEASE_S, Leases, add_table

pytestmark = pytest.mark.anyio

metadata = sa.MetaData()
table = add_table(metadata)


class Later(clock.Source):
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return super().now() + self._seconds


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await open_database(database_url, "shop", metadata)
    yield db
    await db.close()


async def test_a_name_has_one_holder(db: Database) -> None:
    holders = [Leases(db, table, f"p{n}") for n in range(5)]
    names = [f"n{n}" for n in range(20)]
    won = await asyncio.gather(*(holder.take(names) for holder in holders))
    assert sorted(name for some in won for name in some) == sorted(names)


async def test_what_is_dropped_is_free(db: Database) -> None:
    one, two = Leases(db, table, "one"), Leases(db, table, "two")
    assert await one.take(["a", "b"]) == {"a", "b"}
    assert await two.take(["a", "b"]) == set()
    await one.drop("a")
    await two.drop("b")  # not its own
    assert await two.take(["a", "b"]) == {"a"}


async def test_a_dead_ones_names_are_free_after_a_time(db: Database) -> None:
    one, two = Leases(db, table, "one"), Leases(db, table, "two")
    await one.take(["a"])
    assert await Leases(db, table, "one").take(["a"]) == {"a"}  # the same process, anew
    with clock.installed(Later(LEASE_S + 1)):
        assert await two.take(["a"]) == {"a"}
        assert await one.renew() == {"a"}  # it slept too long, and is told
        await one.drop("a")
        assert await one.take(["a"]) == set()


async def test_who_renews_keeps_it(db: Database) -> None:
    one, two = Leases(db, table, "one"), Leases(db, table, "two")
    await one.take(["a"])
    with clock.installed(Later(LEASE_S - 1)):
        assert await one.renew() == set()
    with clock.installed(Later(LEASE_S + 1)):
        assert await two.take(["a"]) == set()
