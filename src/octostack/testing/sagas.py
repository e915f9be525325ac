# SPDX-License-Identifier: Apache-2.0
"""Every way a saga can be hurt, tried on it: what its author need not think of.

A test gives the saga, a world that outlives a process, and what must be so at both ends::

    @pytest.mark.parametrize("hurt", sagas.hurts(BOOT), ids=str)
    async def test_boot_ends_done_or_undone(hurt: sagas.Hurt, world: World) -> None:
        await sagas.survive(
            sagas.Case(
                saga=BOOT, db=world.db, table=tables.sagas, subject="s1", state={...},
                app=world.make_app,            # a process's memory: made anew after a kill
                check_done=world.has_server,   # assert all that a finished saga leaves
                check_undone=world.is_empty,   # assert that nothing is left
            ),
            hurt,
        )
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import OctoError, Unavailable
from octostack.runtime.db import Database
from octostack.runtime.saga.model import Act, Retry, Saga, State, Status, Step
from octostack.runtime.saga.runner import Pace, Runner
from octostack.runtime.saga.store import Store
from octostack.runtime.tasks import Supervisor

SWIFT = Retry(budget_s=5.0, pause_s=0.001, pause_max_s=0.002)


class How(StrEnum):
    """What happens, and where about the step."""

    NOTHING = "nothing"
    FAIL_BEFORE = "fail before"
    FAIL_AFTER = "fail after"
    TROUBLE = "transient error after"
    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    CANCEL = "cancel before"
    UNDO_TWICE = "undo twice"
    UNDO_TROUBLE = "error after undo"
    KILL_BEFORE_UNDO = "kill before undo"
    KILL_AFTER_UNDO = "kill after undo"


# Those that try the way back need a saga that turns: its last step fails after its work.
_ON_THE_WAY_BACK = (
    How.UNDO_TWICE,
    How.UNDO_TROUBLE,
    How.KILL_BEFORE_UNDO,
    How.KILL_AFTER_UNDO,
)
_ENDS_DONE = (How.NOTHING, How.TROUBLE, How.KILL_BEFORE, How.KILL_AFTER)


class Hurt(msgspec.Struct, frozen=True):
    """One thing that happens to one step."""

    how: How
    step: str

    def __str__(self) -> str:
        return f"{self.how} {self.step}".replace(" ", "-")


class Case(msgspec.Struct, kw_only=True):
    """A saga and its world; see the module's essay."""

    saga: Saga
    db: Database
    table: sa.Table
    subject: str
    state: State
    app: Callable[[], Any]
    check_done: Callable[[], Awaitable[None]]
    check_undone: Callable[[], Awaitable[None]]


def hurts(saga: Saga) -> list[Hurt]:
    """Everything that can happen to each of its steps."""
    found = [Hurt(How.NOTHING, saga.steps[0].name)]
    for step in saga.steps:
        for how in How:
            if how is How.NOTHING or (step.undo is None and how in _ON_THE_WAY_BACK):
                continue
            found.append(Hurt(how, step.name))
    return found


async def survive(case: Case, hurt: Hurt, timeout_s: float = 30.0) -> None:
    """Run the saga, hurt it, restart what was killed; check the end it must come to."""
    async with asyncio.timeout(timeout_s):
        run_id = await _play(case, hurt)
    async with case.db.read() as tx:
        run = await Store(case.table).find(tx, run_id)
    wanted = Status.DONE if hurt.how in _ENDS_DONE else Status.UNDONE
    assert run is not None and run.status is wanted, f"{hurt}: ended as {run}"
    await (case.check_done() if wanted is Status.DONE else case.check_undone())


async def _play(case: Case, hurt: Hurt) -> str:
    process = _Process(case, hurt)
    await process.runner.launch(process.tasks)
    async with case.db.write() as tx:
        run_id = await process.runner.start(tx, process.saga, case.subject, case.state)
    watch = Supervisor("watch")
    ends = {watch.start("idle", process.runner.idle), watch.start("killed", process.killed.wait)}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await watch.stop()
    await process.tasks.stop()
    expected = hurt.how in (
        How.KILL_BEFORE, How.KILL_AFTER, How.KILL_BEFORE_UNDO, How.KILL_AFTER_UNDO,
    )  # fmt: skip
    assert process.killed.is_set() is expected, f"{hurt} was not reached"
    if expected:
        second = _Process(case, Hurt(How.NOTHING, hurt.step))
        await second.runner.launch(second.tasks)
        await second.runner.idle()
        await second.tasks.stop()
    return run_id


class _Process:
    """One life of the process that drives the saga: its runner, its tasks, its app's memory."""

    def __init__(self, case: Case, hurt: Hurt) -> None:
        self.killed = asyncio.Event()
        self.tasks = Supervisor(f"process of {case.saga.name}")
        self._case = case
        self._hurt = hurt
        self._struck = False
        last = case.saga.steps[-1].name
        steps = tuple(self._wrap(step, step.name == last) for step in case.saga.steps)
        self.saga = msgspec.structs.replace(case.saga, steps=steps)
        self.runner = Runner(case.db, case.table, case.app(), [self.saga], pace=Pace(undo=SWIFT))

    def _wrap(self, step: Step, is_last: bool) -> Step:
        do, undo = step.do, step.undo
        if is_last and self._hurt.how in _ON_THE_WAY_BACK:
            do = self._failing(do)
        if step.name == self._hurt.step:
            do, undo = self._hurt_do(do), self._hurt_undo(undo) if undo else None
        return Step(step.name, do, undo, SWIFT)

    def _failing(self, do: Act) -> Act:
        async def act(app: Any, state: State) -> State | None:
            await do(app, state)
            raise OctoError("the last step fails", code="test.fail")

        return act

    def _hurt_do(self, do: Act) -> Act:
        async def act(app: Any, state: State) -> State | None:
            match self._hurt.how:
                case How.FAIL_BEFORE:
                    raise OctoError("fails before its work", code="test.fail")
                case How.KILL_BEFORE:
                    await self._die()
                case How.CANCEL:
                    async with self._case.db.write() as tx:
                        assert await self.runner.cancel(tx, self._case.subject) == 1
            more = await do(app, state)
            match self._hurt.how:
                case How.FAIL_AFTER:
                    raise OctoError("fails after its work", code="test.fail")
                case How.TROUBLE if self._strikes():
                    raise Unavailable("for the moment")
                case How.KILL_AFTER:
                    await self._die()
            return more

        return act

    def _hurt_undo(self, undo: Act) -> Act:
        async def act(app: Any, state: State) -> State | None:
            if self._hurt.how is How.KILL_BEFORE_UNDO:
                await self._die()
            more = await undo(app, state)
            match self._hurt.how:
                case How.UNDO_TWICE:
                    more = await undo(app, {**state, **(more or {})})
                case How.UNDO_TROUBLE if self._strikes():
                    raise OctoError("an undo that fails once", code="test.fail")
                case How.KILL_AFTER_UNDO:
                    await self._die()
            return more

        return act

    def _strikes(self) -> bool:
        first, self._struck = not self._struck, True
        return first

    async def _die(self) -> None:
        """As `kill -9` looks from here: this line never returns."""
        self.killed.set()
        await asyncio.Event().wait()
