# SPDX-License-Identifier: Apache-2.0
"""Sagas and the clock: budgets, pauses, leases that run out; on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import Busy, Conflict, OctoError, Timeout, Unavailable
from octostack.runtime.db import Database, open_database
from octostack.runtime.saga import Retry, Run, Runner, Saga, Step, add_table
from octostack.runtime.saga.model import Status
from octostack.runtime.saga.runner import LEASE_S
from octostack.runtime.saga.store import Store
from octostack.runtime.tasks import Supervisor
from octostack.testing import simloop

METADATA = sa.MetaData()
SAGAS = add_table(METADATA)


def play(directory: Path, story: Callable[[Database], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        db = await open_database(f"sqlite:{directory}", "test", METADATA)
        try:
            return await story(db)
        finally:
            await db.close()

    return simloop.run(main, seed=1)


async def end_of(db: Database, runner: Runner, saga: Saga) -> Run:
    async with db.write() as tx:
        run_id = await runner.start(tx, saga, "s1", {})
    await runner.idle()
    async with db.read() as tx:
        run = await Store(SAGAS).find(tx, run_id)
    assert run is not None
    return run


@pytest.mark.parametrize(
    ("error", "again"),
    [(Unavailable, True), (Timeout, True), (Busy, True), (Conflict, False), (OctoError, False)],
)
def test_a_transient_error_is_tried_again_for_the_budget(
    tmp_path: Path, error: type[OctoError], again: bool
) -> None:
    async def story(db: Database) -> None:
        tries: list[float] = []
        undone: list[str] = []

        async def fail(app: None, state: dict[str, Any]) -> None:
            tries.append(clock.now())
            raise error("no host")

        async def undo(app: None, state: dict[str, Any]) -> None:
            undone.append("far")

        retry = Retry(budget_s=60, pause_s=1, pause_max_s=8)
        saga = Saga("s", (Step("far", fail, undo, retry),))
        tasks, runner = Supervisor(), Runner(db, SAGAS, None, [saga])
        await runner.launch(tasks)
        run = await end_of(db, runner, saga)
        await tasks.stop()
        assert (run.status, undone) == (Status.UNDONE, ["far"])
        assert run.fault is not None
        assert (run.fault.step, run.fault.kind, run.fault.message) == ("far", error.kind, "no host")
        waited = tries[-1] - tries[0]
        assert (len(tries), waited) == (1, 0) if not again else len(tries) > 6 and 45 < waited <= 60

    play(tmp_path, story)


def test_an_undo_is_tried_for_ever(tmp_path: Path) -> None:
    async def story(db: Database) -> None:
        began = clock.now()

        async def fail(app: None, state: dict[str, Any]) -> None:
            raise Conflict("no")

        async def undo(app: None, state: dict[str, Any]) -> None:
            if clock.now() < began + 7200:
                raise KeyError("the host is away, in whatever way")

        saga = Saga("s", (Step("far", fail, undo),))
        tasks, runner = Supervisor(), Runner(db, SAGAS, None, [saga])
        await runner.launch(tasks)
        run = await end_of(db, runner, saga)
        await tasks.stop()
        assert run.status is Status.UNDONE
        assert 7200 <= clock.now() - began < 7200 + 60

    play(tmp_path, story)


def test_another_process_takes_over_when_the_lease_has_run_out(tmp_path: Path) -> None:
    async def story(db: Database) -> None:
        began: list[tuple[str, float]] = []

        async def work(app: str, state: dict[str, Any]) -> dict[str, Any]:
            began.append((app, clock.now()))
            await asyncio.sleep(100)  # many leases long: they are renewed
            return {"by": app}

        saga = Saga("s", (Step("work", work),))
        lives = {name: Supervisor(name) for name in ("one", "two")}
        runners = {n: Runner(db, SAGAS, n, [saga], owner=n) for n in lives}
        for name, tasks in lives.items():
            await runners[name].launch(tasks)
        async with db.write() as tx:
            run_id = await runners["one"].start(tx, saga, "s1", {})
        await asyncio.sleep(50)
        killed_at = clock.now()
        await lives["one"].stop()
        await asyncio.sleep(LEASE_S + 10)
        await runners["two"].idle()
        await lives["two"].stop()
        async with db.read() as tx:
            run = await Store(SAGAS).find(tx, run_id)
        assert run is not None
        assert (run.status, run.state) == (Status.DONE, {"by": "two"})
        assert [name for name, _ in began] == ["one", "two"]
        assert 0 < began[1][1] - killed_at < LEASE_S + 6

    play(tmp_path, story)
