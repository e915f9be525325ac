# SPDX-License-Identifier: Apache-2.0
"""Supervised tasks: nothing runs that nobody watches.

A part starts its long work through one `Supervisor`. A crash is logged once, with the task's
name, and the task is started again by its `Restart` policy or left dead (`NEVER`). `stop` cancels
in the reverse order of starting and waits for each, so that what came last (and may use the rest)
goes first. A supervisor is the one place where any exception may be caught.

``asyncio.TaskGroup`` cancels all siblings when one fails. That is right for one operation made of
parts (`gather_bounded`), and wrong for a server made of loops.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Timeout, Unavailable
from octostack.runtime import scopes

T = TypeVar("T")
R = TypeVar("R")

_log = log.get("tasks")


class Restart(msgspec.Struct, frozen=True):
    """When a crashed task starts again: after a pause that doubles, and shrinks back."""

    pause_s: float = 0.1
    pause_max_s: float = 30.0
    healthy_after_s: float = 60.0  # a run this long makes the next pause the first one again

    def pause(self, crashes: int) -> float:
        """Seconds to wait before the start after the `crashes`-th crash in a row, with jitter."""
        base = min(self.pause_max_s, self.pause_s * 2.0 ** min(crashes - 1, 16))
        return base * clock.rng().uniform(0.8, 1.2)


ALWAYS = Restart()
NEVER: Restart | None = None


class Supervisor:
    """Owns tasks by name; see the module's essay."""

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self._tasks: dict[asyncio.Task[Any], None] = {}  # ordered as started
        self._stopping = False

    @property
    def running(self) -> list[str]:
        """Names of the tasks alive, oldest first."""
        return [t.get_name() for t in self._tasks]

    def start(
        self, name: str, run: Callable[[], Awaitable[Any]], restart: Restart | None = NEVER
    ) -> asyncio.Task[None]:
        """Run `run()` as a task; a crash is logged and answered by `restart`.

        Raises Unavailable after `stop`.
        """
        return self._adopt(name, self._supervise(name, run, restart))

    def spawn(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """One piece of work whose result or error the caller awaits from the task itself."""
        return self._adopt(name, work)

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Cancel all, the youngest first, and wait for each; Timeout names what would not end."""
        self._stopping = True
        stuck: list[str] = []
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._tasks:
            task = next(reversed(self._tasks))
            if task is asyncio.current_task():
                self._tasks.pop(task)
                continue
            task.cancel()
            left = max(0.05, deadline - asyncio.get_running_loop().time())
            await asyncio.wait({task}, timeout=left)
            self._tasks.pop(task, None)
            if not task.done():
                stuck.append(task.get_name())
        if stuck:
            raise Timeout(f"tasks did not stop: {', '.join(stuck)}", code="tasks.stuck")

    def _adopt(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if self._stopping:
            work.close()
            # A caller on the bus tries again, and finds the next process.
            raise Unavailable(f"{name}: {self.name} has stopped", code="tasks.stopped")
        # It outlives the call or the transaction that started it; the request id goes on.
        context = contextvars.copy_context()
        context.run(scopes.leave)
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    async def _supervise(
        self, name: str, run: Callable[[], Awaitable[Any]], restart: Restart | None
    ) -> None:
        crashes = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await run()
                return
            except Exception:  # tasks are supervised here
                _log.exception("task crashed", task=name, restarts=restart is not None)
            if restart is None:
                return
            lasted = asyncio.get_running_loop().time() - began
            crashes = 1 if lasted >= restart.healthy_after_s else crashes + 1
            await asyncio.sleep(restart.pause(crashes))


async def gather_bounded(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, limit: int
) -> list[R]:
    """``[await work(i) for i in items]`` with at most `limit` at once, results in order.

    The first failure cancels the rest and is raised as it is.
    """
    queue = list(enumerate(items))
    results: dict[int, R] = {}
    queue.reverse()

    async def worker() -> None:
        while queue:
            index, item = queue.pop()
            results[index] = await work(item)

    count = min(limit, len(queue))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [results[i] for i in range(len(results))]
