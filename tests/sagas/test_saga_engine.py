# SPDX-License-Identifier: Apache-2.0
"""The saga engine: hurt at every step, cancelled, queued, taken over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from octostack.base.errors import Conflict, OctoError, Unavailable
from octostack.runtime.db import Database, Tx, open_database
from octostack.runtime.saga import Retry, Run, Runner, Saga, Step, add_table, current
from octostack.runtime.saga.model import Status
from octostack.runtime.saga.store import Store
from octostack.runtime.tasks import Supervisor
from octostack.testing import backends, sagas

pytestmark = pytest.mark.anyio

METADATA = sa.MetaData()
SAGAS = add_table(METADATA)


class World:
    """What outlives a process: things made, by name; and what the hooks noted."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.things: set[str] = set()
        self.notes: list[str] = []

    async def has_all(self) -> None:
        assert self.things == {"claim-s1", "port-s1", "machine-s1"}
        assert self.notes == ["done"]

    async def is_empty(self) -> None:
        assert self.things == set()
        assert self.notes == ["turn", "failed"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(backends.database_url(tmp_path), "test", METADATA)
    yield database
    await database.close()


@pytest.fixture
def world(db: Database) -> World:
    return World(db)


@pytest.fixture
async def tasks() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    await supervisor.stop()


def maker(kind: str, after: str | None = None) -> Any:
    async def make(world: World, state: dict[str, Any]) -> dict[str, Any]:
        assert after is None or state[after] == f"{after}-{state['name']}"
        thing = f"{kind}-{state['name']}"
        world.things.add(thing)
        return {kind: thing}

    return make


def dropper(kind: str) -> Any:
    async def drop(world: World, state: dict[str, Any]) -> None:
        world.things.discard(f"{kind}-{state['name']}")

    return drop


def note(word: str) -> Any:
    async def hook(world: World, tx: Tx, run: Run) -> None:
        world.notes.append(word)

    return hook


BOOT = Saga(
    "boot",
    steps=(
        Step("claim", maker("claim"), undo=dropper("claim")),
        Step("port", maker("port", after="claim"), undo=dropper("port")),
        Step("machine", maker("machine", after="port"), undo=dropper("machine")),
    ),
    on_done=note("done"),
    on_turn=note("turn"),
    on_failed=note("failed"),
)


@pytest.mark.parametrize("hurt", sagas.hurts(BOOT), ids=str)
async def test_ends_done_or_undone(hurt: sagas.Hurt, world: World) -> None:
    case = sagas.Case(
        saga=BOOT,
        db=world.db,
        table=SAGAS,
        subject="s1",
        state={"name": "s1"},
        app=lambda: world,
        check_done=world.has_all,
        check_undone=world.is_empty,
    )
    await sagas.survive(case, hurt)


async def test_the_test_finds_an_undo_that_forgets(world: World) -> None:
    async def forget(world: World, state: dict[str, Any]) -> None:
        return None

    careless = Saga("boot", steps=(*BOOT.steps[:2], Step("machine", maker("machine"), forget)))
    case = sagas.Case(
        saga=careless, db=world.db, table=SAGAS, subject="s1", state={"name": "s1"},
        app=lambda: world, check_done=world.has_all, check_undone=world.is_empty,
    )  # fmt: skip
    with pytest.raises(AssertionError):
        await sagas.survive(case, sagas.Hurt(sagas.How.FAIL_AFTER, "machine"))


async def order(runner: Runner, db: Database, saga: Saga, subject: str = "s1") -> str:
    async with db.write() as tx:
        return await runner.start(tx, saga, subject, {"name": subject})


async def status(db: Database, run_id: str) -> Run:
    async with db.read() as tx:
        run = await Store(SAGAS).find(tx, run_id)
    assert run is not None
    return run


async def test_nothing_begins_when_the_order_rolls_back(
    world: World, db: Database, tasks: Supervisor
) -> None:
    runner = Runner(db, SAGAS, world, [BOOT])
    await runner.launch(tasks)
    with pytest.raises(Conflict):
        async with db.write() as tx:
            await runner.start(tx, BOOT, "s1", {"name": "s1"})
            raise Conflict("the quota was reached")
    await runner.idle()
    async with db.read() as tx:
        assert await runner.list_open(tx) == []
    assert world.things == set()


async def test_an_unknown_error_keeps_its_text_to_the_log(
    world: World, db: Database, tasks: Supervisor
) -> None:
    async def bug(world: World, state: dict[str, Any]) -> None:
        raise KeyError("the password is sesame")

    saga = Saga("s", steps=(Step("bug", bug),))
    runner = Runner(db, SAGAS, world, [saga])
    await runner.launch(tasks)
    run_id = await order(runner, db, saga)
    await runner.idle()
    fault = (await status(db, run_id)).fault
    assert fault is not None
    assert fault.code == "saga.internal"
    assert "sesame" not in fault.message


async def test_sagas_of_one_subject_wait_for_each_other(
    world: World, db: Database, tasks: Supervisor
) -> None:
    go, other, seen = asyncio.Event(), asyncio.Event(), []

    async def slow(world: World, state: dict[str, Any]) -> None:
        seen.append("boot begins")
        await go.wait()
        seen.append("boot ends")

    async def quick(world: World, state: dict[str, Any]) -> None:
        seen.append(f"delete {state['name']}")
        other.set()

    boot, delete = Saga("boot", (Step("a", slow),)), Saga("delete", (Step("a", quick),))
    runner = Runner(db, SAGAS, world, [boot, delete])
    await runner.launch(tasks)
    await order(runner, db, boot)
    await order(runner, db, delete)
    await order(runner, db, delete, "another")
    await other.wait()
    go.set()
    await runner.idle()
    assert seen == ["boot begins", "delete another", "boot ends", "delete s1"]


async def test_cancelling_cuts_a_long_pause_short(
    world: World, db: Database, tasks: Supervisor
) -> None:
    tried = asyncio.Event()

    async def never(world: World, state: dict[str, Any]) -> None:
        tried.set()
        raise Unavailable("no host")

    patient = Retry(budget_s=1e9, pause_s=1e6, pause_max_s=1e6)
    saga = Saga("s", (BOOT.steps[0], Step("never", never, retry=patient)), on_failed=note("failed"))
    runner = Runner(db, SAGAS, world, [saga])
    await runner.launch(tasks)
    run_id = await order(runner, db, saga)
    await tried.wait()
    async with db.write() as tx:
        assert await runner.cancel(tx, "s1", saga) == 1
    await runner.idle()
    run = await status(db, run_id)
    assert (run.status, run.cancelled, run.fault) == (Status.UNDONE, True, None)
    assert world.things == set()
    assert world.notes == ["failed"]


async def test_who_lost_the_lease_writes_nothing_more(
    world: World, db: Database, tasks: Supervisor
) -> None:
    entered, again, go = asyncio.Event(), asyncio.Event(), asyncio.Event()
    fences: list[int] = []

    async def slow(world: World, state: dict[str, Any]) -> dict[str, Any]:
        run = current.get()
        assert run is not None
        fences.append(run.fence)
        (again if entered.is_set() else entered).set()
        await go.wait()
        return {"by": run.fence}

    saga = Saga("s", (Step("slow", slow), BOOT.steps[0]), on_done=note("done"))
    first = Runner(db, SAGAS, world, [saga], owner="main")
    await first.launch(tasks)
    run_id = await order(first, db, saga)
    await entered.wait()
    second_tasks, second = Supervisor(), Runner(db, SAGAS, world, [saga], owner="main")
    await second.launch(second_tasks)  # the same name: the first is taken for dead
    await again.wait()
    go.set()
    await first.idle()
    await second.idle()
    await second_tasks.stop()
    run = await status(db, run_id)
    assert run.status is Status.DONE
    assert fences[1] > fences[0]
    assert run.state["by"] == fences[1]
    assert world.notes == ["done"]


async def test_a_hook_that_fails_leaves_the_saga_before_its_end(
    world: World, db: Database, tasks: Supervisor
) -> None:
    calls = []

    async def hook(world: World, tx: Tx, run: Run) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OctoError("not now")

    saga = Saga("s", BOOT.steps, on_done=hook)
    runner = Runner(db, SAGAS, world, [saga])
    await runner.launch(tasks)
    run_id = await order(runner, db, saga)
    await runner.idle()
    assert (await status(db, run_id)).status is Status.DONE
    assert len(calls) == 2


async def test_a_state_that_json_cannot_hold_is_refused_at_once(
    world: World, db: Database, tasks: Supervisor
) -> None:
    runner = Runner(db, SAGAS, world, [BOOT])
    with pytest.raises(TypeError):
        async with db.write() as tx:
            await runner.start(tx, BOOT, "s1", {"name": object()})
