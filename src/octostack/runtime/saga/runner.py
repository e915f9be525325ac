# SPDX-License-Identifier: Apache-2.0
"""What drives sagas: one task per open saga of this process, and the leases that say so."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base import clock, ids, log
from octostack.runtime import metrics
from octostack.runtime.db import Database, Tx
from octostack.runtime.loop import Loop
from octostack.runtime.saga.model import (
    TRANSIENT,
    UNDO,
    Fault,
    Hook,
    Retry,
    Run,
    Saga,
    State,
    Status,
    Step,
)
from octostack.runtime.saga.store import LeaseLost, Store
from octostack.runtime.tasks import Restart, Supervisor

_log = log.get("saga")

LEASE_S = 15.0
POLL_S = 5.0
KEEP_ENDED_S = 86400.0
STEPS_AT_ONCE = 64
DRIVEN_MAX = 10_000

# The saga whose step runs in this task: its id and fence make good idempotency tokens.
current: ContextVar[Run | None] = ContextVar("saga_run", default=None)


class Pace(msgspec.Struct, frozen=True):
    """How long a silent process keeps its sagas, and how undos are tried again."""

    lease_s: float = LEASE_S
    undo: Retry = UNDO


class _Driven(msgspec.Struct):
    run: Run
    task: asyncio.Task[None]
    cancelled: asyncio.Event


class Runner:
    """Starts, drives and cancels the sagas of one database; see the package's essay.

    `app` is handed to every step; it may be set after construction, before `launch`. `owner` is
    the stable name of this process among those which share the database.
    """

    def __init__(
        self,
        db: Database,
        table: sa.Table,
        app: Any,
        sagas: Iterable[Saga],
        *,
        owner: str = "main",
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self.app = app
        self._db = db
        self._store = Store(table)
        self._sagas = {(saga.name, saga.version): saga for saga in sagas}
        self._owner = owner
        self._lease_s = pace.lease_s
        self._undo_retry = pace.undo
        self._driven: dict[str, _Driven] = {}
        self._queued: set[str] = set()  # started here behind another one of the subject
        self._counts: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(STEPS_AT_ONCE)
        self._scan_loop = Loop(f"sagas.{db.name}", self._scan, every_s=POLL_S)
        self._lease_loop = Loop(f"leases.{db.name}", self._renew, every_s=pace.lease_s / 3)
        self._tasks: Supervisor | None = None

    async def launch(self, tasks: Supervisor) -> None:
        """Drive sagas under `tasks`; what an earlier process of this owner left, first."""
        async with self._db.write() as tx:
            await self._store.release(tx, self._owner)
        drivers = self._tasks = Supervisor(f"sagas.{self._db.name}")

        async def keep() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                await drivers.stop()

        tasks.start(f"sagas.{self._db.name}", keep)
        self._scan_loop.start(drivers)
        self._lease_loop.start(drivers)

    async def start(self, tx: Tx, saga: Saga, subject: str, state: State) -> str:
        """Order a saga within the caller's transaction; it begins after the commit."""
        assert (saga.name, saga.version) in self._sagas, f"{saga.name} is not registered"
        now = clock.now()
        run = Run(
            id=ids.new(),
            saga=saga.name,
            version=saga.version,
            subject=subject,
            request_id=log.request_id.get(),
            state=_as_stored(state),
            status=Status.DOING,
            step=0,
            created_at=now,
            updated_at=now,
        )
        # Nobody else can claim what is born with a lease: one transaction less on the way.
        first = self._tasks is not None and not await self._store.of_subject(tx, subject)
        if first:
            run.owner, run.fence, run.lease_until = self._owner, 1, now + self._lease_s
        await self._store.insert(tx, run)
        tx.after_commit(lambda: self._drive(run) if first else self._queue(run))
        return run.id

    async def cancel(self, tx: Tx, subject: str, saga: Saga | None = None) -> int:
        """Turn the subject's open sagas at their next boundary; how many will end undone."""
        runs = [
            run
            for run in await self._store.of_subject(tx, subject)
            if saga is None or run.saga == saga.name
        ]
        for run in runs:
            await self._store.cancel(tx, run.id)
        tx.after_commit(lambda: self._signal([run.id for run in runs]))
        return len(runs)

    async def list_open(self, tx: Tx) -> list[Run]:
        """Every saga that has not ended; its `trouble` says what it waits for."""
        return await self._store.list_open(tx)

    def wake(self) -> None:
        """Look for sagas to drive now."""
        self._scan_loop.wake()

    async def idle(self) -> None:
        """Wait until this process drives no saga and finds none."""
        await self._scan_loop.idle()
        while self._driven:
            await asyncio.wait([driven.task for driven in self._driven.values()])
            await self._scan_loop.idle()

    def _queue(self, run: Run) -> None:
        self._queued.add(run.id)
        self._scan_loop.wake()

    def _signal(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            driven = self._driven.get(run_id)
            if driven is not None:
                driven.run.cancelled = True
                driven.cancelled.set()

    async def _scan(self) -> None:
        now = clock.now()
        async with self._db.read() as tx:
            room = DRIVEN_MAX - len(self._driven)
            found = await self._store.claimable(tx, now, room)
        runs = [run for run in found if self._is_for_us(run)]
        if not runs:
            return
        async with self._db.write() as tx:
            lease_until = now + self._lease_s
            won = [
                run for run in runs if await self._store.claim(tx, run, self._owner, lease_until)
            ]
        for run in won:
            self._queued.discard(run.id)
            self._drive(run)

    def _is_for_us(self, run: Run) -> bool:
        if (run.saga, run.version) in self._sagas:
            return run.id not in self._driven
        _log.error("unknown saga", saga=run.saga, version=run.version, subject=run.subject)
        return False

    async def _renew(self) -> None:
        now = clock.now()
        async with self._db.write() as tx:
            await self._store.forget_ended(tx, now - KEEP_ENDED_S)
            for driven in list(self._driven.values()):
                run = driven.run
                if run.lease_until > now + self._lease_s / 2:
                    continue
                if await self._store.renew(tx, run, now + self._lease_s):
                    run.lease_until = now + self._lease_s
                else:
                    driven.task.cancel()

    def _drive(self, run: Run) -> None:
        if self._tasks is None:
            return  # stopped: the row is found at the next start
        self._counts[run.saga] += 1
        metrics.sagas_open(run.saga, self._counts[run.saga])
        work = self._run_to_end(run)
        task = self._tasks.spawn(f"saga {run.saga} {run.subject}", work)
        self._driven[run.id] = _Driven(run, task, asyncio.Event())
        task.add_done_callback(lambda _: self._leave(run))

    def _leave(self, run: Run) -> None:
        self._driven.pop(run.id, None)
        self._counts[run.saga] -= 1
        metrics.sagas_open(run.saga, self._counts[run.saga])

    async def _run_to_end(self, run: Run) -> None:
        log.request_id.set(run.request_id)
        current.set(run)
        saga = self._sagas[run.saga, run.version]
        crashes = 0
        try:
            while run.status in (Status.DOING, Status.UNDOING):
                try:
                    await self._advance(saga, run)
                    crashes = 0
                except LeaseLost:
                    raise
                except Exception:  # a hook's or the database's; the row is as it was
                    crashes += 1
                    _log.exception("saga stumbled", saga=run.saga, subject=run.subject)
                    await asyncio.sleep(Restart().pause(crashes))
                    run = await self._read_again(run)
                    current.set(run)
        except LeaseLost as lost:
            _log.warning("saga taken over", saga=run.saga, subject=run.subject, why=lost.message)
            return
        metrics.saga_end(run.saga, run.status)
        if self._queued:  # perhaps for this one
            self._scan_loop.wake()

    async def _read_again(self, run: Run) -> Run:
        async with self._db.read() as tx:
            fresh = await self._store.find(tx, run.id)
        if fresh is None or fresh.fence != run.fence:
            raise LeaseLost(f"{run.saga} {run.id}: fence {run.fence}", code="saga.lease")
        driven = self._driven.get(run.id)
        if driven is not None:
            driven.run = fresh
        return fresh

    async def _advance(self, saga: Saga, run: Run) -> None:
        """One step there or back, and what follows from it."""
        step = saga.steps[run.step]
        if run.status is Status.UNDOING:
            await self._undo(saga, run, step)
        elif run.cancelled:
            await self._turn(saga, run, None)
        else:
            await self._do(saga, run, step)

    async def _do(self, saga: Saga, run: Run, step: Step) -> None:
        run.step_began_at = run.step_began_at or clock.now()
        error: Exception
        try:
            async with self._slots:
                more = await step.do(self.app, run.state)
        except TRANSIENT as e:
            waited = clock.now() - run.step_began_at
            pause = step.retry.pause(run.failures + 1)
            if waited + pause <= step.retry.budget_s:
                metrics.saga_step(saga.name, step.name, "retry")
                await self._pause(run, Fault.of(step.name, e), pause)
                return
            error = e
        except Exception as e:  # a step may fail in any way: it is undone
            error = e
        else:
            metrics.saga_step(saga.name, step.name, "done")
            await self._done(saga, run, more)
            return
        metrics.saga_step(saga.name, step.name, "failed")
        _log.failed("saga turns", error, saga=saga.name, subject=run.subject, step=step.name)
        await self._turn(saga, run, Fault.of(step.name, error))

    async def _done(self, saga: Saga, run: Run, more: State | None) -> None:
        ahead = self._changed(run, more, step=run.step + 1)
        is_last = ahead.step == len(saga.steps)
        if is_last:
            ahead.status = Status.DONE
        async with self._db.write() as tx:
            await self._store.save(tx, ahead)
            if is_last and ahead.cancelled:  # asked for in the last moment
                ahead.status, ahead.step = Status.UNDOING, len(saga.steps) - 1
                await self._store.save(tx, ahead)
                await self._call(saga.on_turn, tx, ahead)
            elif is_last:
                await self._call(saga.on_done, tx, ahead)
        _assign(run, ahead)

    async def _turn(self, saga: Saga, run: Run, fault: Fault | None) -> None:
        back = self._changed(run, None, step=run.step)
        back.status, back.fault = Status.UNDOING, fault
        async with self._db.write() as tx:
            await self._store.save(tx, back)
            await self._call(saga.on_turn, tx, back)
        _assign(run, back)

    async def _undo(self, saga: Saga, run: Run, step: Step) -> None:
        more = None
        try:
            if step.undo is not None:
                async with self._slots:
                    more = await step.undo(self.app, run.state)
        except Exception as error:  # an undo may fail in any way: it is tried again
            metrics.saga_step(saga.name, step.name, "undo_retry")
            _log.failed(
                "undo failed", error, saga=saga.name, subject=run.subject, step=step.name,
                failures=run.failures + 1,
            )  # fmt: skip
            await self._pause(
                run, Fault.of(step.name, error), self._undo_retry.pause(run.failures + 1)
            )
            return
        metrics.saga_step(saga.name, step.name, "undone")
        back = self._changed(run, more, step=run.step - 1)
        if back.step < 0:
            back.status = Status.UNDONE
        if step.undo is None and back.status is Status.UNDOING:
            _assign(run, back)  # nothing happened that would need noting
            return
        async with self._db.write() as tx:
            await self._store.save(tx, back)
            if back.status is Status.UNDONE:
                await self._call(saga.on_failed, tx, back)
        _assign(run, back)

    async def _pause(self, run: Run, trouble: Fault, pause_s: float) -> None:
        later = msgspec.structs.replace(
            run,
            failures=run.failures + 1,
            trouble=trouble,
            next_at=clock.now() + pause_s,
            lease_until=clock.now() + self._lease_s,
            updated_at=clock.now(),
        )
        async with self._db.write() as tx:
            await self._store.save(tx, later)
        _assign(run, later)
        driven = self._driven.get(run.id)
        signal = driven.cancelled if driven and run.status is Status.DOING else asyncio.Event()
        try:
            async with asyncio.timeout(pause_s):
                await signal.wait()
        except TimeoutError:
            pass

    async def _call(self, hook: Hook | None, tx: Tx, run: Run) -> None:
        if hook is not None:
            await hook(self.app, tx, run)

    def _changed(self, run: Run, more: State | None, step: int) -> Run:
        """The row after a step; `run` itself changes only once that is committed."""
        now = clock.now()
        state = _as_stored({**run.state, **more}) if more else run.state
        return msgspec.structs.replace(
            run,
            state=state,
            step=step,
            failures=0,
            step_began_at=0.0,
            next_at=0.0,
            trouble=None,
            lease_until=now + self._lease_s,
            updated_at=now,
        )


def _assign(run: Run, other: Run) -> None:
    for name in Run.__struct_fields__:
        setattr(run, name, getattr(other, name))


def _as_stored(state: State) -> State:
    """The state as another process would read it: a surprise shows at once, not after a crash."""
    stored: State = msgspec.json.decode(msgspec.json.encode(state))
    return stored
