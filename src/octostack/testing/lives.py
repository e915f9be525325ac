# SPDX-License-Identifier: Apache-2.0
"""Processes of a simulation, which can be killed as real ones are: at once, with no last word.

All that a daemon runs descends from one call of `Life.spawn`: tasks and timers carry the life in
their context. `Life.end` takes from the loop whatever belongs to it, so that not one more line of
it runs: no handler of a cancellation, no goodbye. `bury` ends its tasks properly, once the
simulation is over and nobody looks any more.

It leans on asyncio's ``_ready``, ``_scheduled`` and ``Handle._context``.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)
_PRUNE_FROM = 256


class Life:
    """One run of one process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.over = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = _PRUNE_FROM
        self._held: list[asyncio.Handle] = []

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something that belongs to it, with all that comes of it."""
        context = contextvars.copy_context()
        context.run(_LIFE.set, self)
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_task)  # type: ignore[arg-type]  # typeshed's has no context
        return loop.create_task(work, name=self.name, context=context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """A task that began in it."""
        self._tasks.append(task)
        if len(self._tasks) > self._prune_at:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._prune_at = 2 * len(self._tasks) + _PRUNE_FROM

    def end(self) -> None:
        """Nothing of it runs from now on."""
        self.over = True
        loop: Any = asyncio.get_running_loop()
        for handle in loop._scheduled:
            if handle._context.get(_LIFE) is self:
                handle.cancel()
        for at, handle in enumerate(loop._ready):  # as many as before: the loop counts them
            if handle._context.get(_LIFE) is self:
                self._held.append(handle)
                loop._ready[at] = asyncio.Handle(_nothing, (), loop)

    def bury(self) -> None:
        """Cancel its tasks; only when what they still do can harm nobody."""
        loop: Any = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        loop._ready.extend(self._held)
        self._held = []


def _nothing() -> None:
    return


def _task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T],
    context: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    task = asyncio.Task(work, loop=loop, context=context)
    life = _LIFE.get() if context is None else context.get(_LIFE)
    if life is not None:
        life.own(task)
    return task
