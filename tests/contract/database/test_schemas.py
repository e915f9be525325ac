# SPDX-License-Identifier: Apache-2.0
"""An installation of an earlier version opens with today's code, on each engine.

After a change of a table that is meant: a step in the service's `migrations`, then ``pytest
tests/contract/database/test_schemas.py --rewrite``, and read the difference before committing it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from octostack.base.errors import Conflict
from octostack.runtime.db import Database, Migration, Tx, contract, convert, expand, open_database
from octostack.testing import cloud, schemas

HERE = Path(__file__).parent
KEPT = HERE / "schemas.json"
OLDER = HERE / "older"


async def raw(url: str, name: str, script: list[str]) -> None:
    """Run the statements in an empty database, as the version of then did."""
    db = await open_database(url, name, sa.MetaData())
    async with db.write() as tx:
        await tx.on_connection(lambda c: c.exec_driver_sql("DROP TABLE schema_migrations"))
        for line in script:
            await tx.on_connection(lambda c, line=line: c.exec_driver_sql(line))  # type: ignore[misc]
    await db.close()


def dump(version: str, url: str) -> dict[str, list[str]]:
    """The statements by database."""
    found: dict[str, list[str]] = {}
    engine = url.partition(":")[0]
    for line in (OLDER / f"{version}.{engine}.sql").read_text().splitlines()[1:]:
        if line.startswith("-- "):
            section = found[line[3:]] = []
        else:
            section.append(line)
    return found


async def fill(url: str, version: str) -> None:
    """An installation of `version` with the rows it had."""
    rows = msgspec.json.decode((OLDER / f"{version}.rows.json").read_bytes())
    for name, script in dump(version, url).items():
        await raw(url, name, script)
        db = await open_database(url, name, sa.MetaData())
        metadata = sa.MetaData()
        async with db.write() as tx:
            await tx.on_connection(metadata.reflect)
            for table, items in rows.get(name, {}).items():
                await tx.run(sa.insert(metadata.tables[table]), items)
        await db.close()


def test_no_table_changed_without_a_step(request: pytest.FixtureRequest) -> None:
    kept: dict[str, Any] = msgspec.json.decode(KEPT.read_bytes())
    now = {
        name: schemas.describe(schemas.metadata_of(name), schemas.migrations_of(name))
        for name in schemas.DATABASES
    }
    flaws = {name: schemas.judge(kept[name], now[name]) for name in kept.keys() & now.keys()}
    assert {name: what for name, what in flaws.items() if what} == {}
    if request.config.getoption("--rewrite"):
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1) + b"\n")
        return
    assert kept == now, "changed as it should be: rewrite the file (--rewrite), and read it"


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["0.1"])
async def test_an_older_database_ends_as_a_new_one_begins(database_url: str, version: str) -> None:
    await fill(database_url, version)
    for name in schemas.DATABASES:
        tables, steps = schemas.metadata_of(name), schemas.migrations_of(name)
        old = await open_database(database_url, name, tables, steps)
        new = await open_database(database_url, f"new_{name}", tables, steps)
        async with old.read() as there, new.read() as wanted:
            found = await there.on_connection(schemas.reflect)
            assert found == await wanted.on_connection(schemas.reflect), name
        await old.close()
        await new.close()


@pytest.mark.anyio
async def test_an_older_cloud_goes_on(database_url: str, tmp_path: Path) -> None:
    await fill(database_url, "0.1")
    async with (
        cloud.running(tmp_path / "state", database_url=database_url) as running,
        running.client(await running.login()) as client,
    ):
        everyone = {"all_tenants": "1"}
        found = await client.get("/compute/v2.1/servers/detail", params=everyone)
        servers = found.json()["servers"]
        assert [(s["name"], s["status"]) for s in servers] == [("s", "ACTIVE")]
        ports = (await client.get("/networking/v2.0/ports")).json()["ports"]
        assert servers[0]["id"] in {port["device_id"] for port in ports}
        images = (await client.get("/image/v2/images")).json()["images"]
        assert [(i["name"], i["status"]) for i in images] == [("base", "active")]


@pytest.mark.anyio
async def test_every_database_of_the_cloud_is_watched(tmp_path: Path) -> None:
    directory = tmp_path / "db"
    async with cloud.running(tmp_path, database_url=f"sqlite:{directory}"):
        assert {path.stem for path in directory.glob("*.db")} == set(schemas.DATABASES)


class Shop:
    """The tables of a small service in two versions, and the steps between them."""

    def __init__(self, *, later: bool) -> None:
        self.metadata = sa.MetaData()
        self.things = sa.Table(
            "things",
            self.metadata,
            sa.Column("id", sa.String(36), primary_key=True),
            *(self._new() if later else [sa.Column("colour", sa.String(9))]),
        )
        self.steps: tuple[Migration, ...] = ()
        if later:
            boxes = sa.Table("boxes", self.metadata, sa.Column("id", sa.String(36), index=True))
            c = self.things.c
            self.steps = (
                expand(1, "boxes", boxes, c.box, c.facts, c.hue, sa.Index("by_hue", c.hue)),
                convert(2, "hues", self._fill),
                contract(3, "colours", "things.colour"),
            )

    def _new(self) -> list[sa.Column[Any]]:
        return [
            sa.Column("box", sa.String(36)),
            sa.Column("facts", sa.JSON, nullable=False, server_default='{"a":1}'),
            sa.Column("hue", sa.String(9)),
        ]

    async def _fill(self, tx: Tx) -> None:
        await tx.run(sa.text("UPDATE things SET hue = 'dark ' || colour"))


@pytest.mark.anyio
async def test_steps_add_move_and_drop(database_url: str) -> None:
    before, after = Shop(later=False), Shop(later=True)
    async with opened(database_url, before) as db, db.write() as tx:
        await tx.run(sa.insert(before.things), [{"id": "1", "colour": "red"}])
    first, second = after.steps[:2], after.steps
    for steps in (first, second, second):
        db = await open_database(database_url, "shop", after.metadata, steps)
        async with db.read() as tx:
            rows = [row._asdict() for row in await tx.all(sa.select(after.things))]
        await db.close()
        assert rows == [{"id": "1", "box": None, "facts": {"a": 1}, "hue": "dark red"}]
    async with opened(database_url, after) as db, db.read() as tx:
        shape = await tx.on_connection(schemas.reflect)
        new = await open_database(database_url, "fresh", after.metadata, after.steps)
        async with new.read() as fresh:
            assert shape == await fresh.on_connection(schemas.reflect)
        await new.close()
    with pytest.raises(Conflict, match="newer version"):
        await open_database(database_url, "shop", before.metadata, before.steps)


@pytest.mark.anyio
async def test_several_processes_open_an_old_database_at_once(database_url: str) -> None:
    before, after = Shop(later=False), Shop(later=True)
    for shop in (before, after):
        opening = [open_database(database_url, "shop", shop.metadata, shop.steps) for _ in "12345"]
        for db in await asyncio.gather(*opening):
            await db.close()
    async with opened(database_url, after) as db, db.read() as tx:
        assert await tx.all(sa.select(after.things)) == []


@asynccontextmanager
async def opened(url: str, shop: Shop) -> AsyncIterator[Database]:
    db = await open_database(url, "shop", shop.metadata, shop.steps)
    yield db
    await db.close()


def test_what_changes_needs_a_step() -> None:
    before, after = Shop(later=False), Shop(later=True)
    old = schemas.describe(before.metadata, ())
    assert schemas.judge(old, schemas.describe(after.metadata, after.steps)) == []
    flaws = schemas.judge(old, schemas.describe(after.metadata, ()))
    assert flaws[0] == "the tables changed and there is no new step"
    assert "things.colour" in flaws[1]
    new = schemas.describe(after.metadata, after.steps)

    def flaw(shape: schemas.Shape, steps: Sequence[Migration]) -> str:
        return schemas.judge(shape, schemas.describe(after.metadata, steps))[0]

    assert "things.colour" in flaw(old, after.steps[:1])
    assert "has landed" in flaw(new, after.steps[:2])
    assert "a gap" in flaw(old, after.steps[1:])


def test_a_column_that_troubles_older_code_is_no_step() -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("strict", sa.Integer, nullable=False))
    with pytest.raises(AssertionError, match="server_default"):
        expand(1, "strict", table.c.strict)
