# SPDX-License-Identifier: Apache-2.0
"""Who may run now and for how long: the bound and the deadline of calls that are served.

``asyncio.timeout`` and ``asyncio.Semaphore`` together cost as much as all the rest of a call in
the process. Nearly every call is over long before its deadline, so one timer here watches all of
them: it is set for the earliest deadline known and looks again when it fires.
"""

import asyncio
from collections import deque
from typing import Any

from octostack.base.errors import Busy, Timeout


class Gate:
    """At most `limit` passes at once, `queue_max` waiting, each until its deadline.

    ``item = gate.enter(over) or await gate.wait(over)``, work, and ``gate.leave(item)`` finally.
    """

    def __init__(self, name: str, limit: int, queue_max: int) -> None:
        self.name = name
        self._free = limit
        self._queue_max = queue_max
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passes: set[Pass] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")

    def enter(self, over: float) -> "Pass | None":
        """A place until `over`, if one is free."""
        if not self._free or self._waiting:
            return None
        self._free -= 1
        return self._watched(over)

    async def wait(self, over: float) -> "Pass":
        """A place, after those who came before. Raises Busy, Timeout."""
        if len(self._waiting) >= self._queue_max:
            raise Busy(f"{self.name} has too many calls waiting.", code="bus.busy")
        item = self._watched(over)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release()  # the place was given in the same moment
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            self._passes.discard(item)
            self._raise_if_late(item)
            raise
        return item

    def leave(self, item: "Pass") -> None:
        """Give the place back. Raises Timeout when the deadline had come."""
        self._passes.discard(item)
        self._release()
        self._raise_if_late(item)

    def _watched(self, over: float) -> "Pass":
        task = asyncio.current_task()
        assert task is not None
        item = Pass(over, task)
        self._passes.add(item)
        if over < self._due:
            self._set_timer(over)
        return item

    def _release(self) -> None:
        """Give the place to who waits longest, or keep it free."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _raise_if_late(self, item: "Pass") -> None:
        """A cancellation that the deadline caused becomes a Timeout; another one passes."""
        if item.expired and item.task.uncancel() <= item.cancelling:
            raise Timeout(f"{self.name} took too long.", code="bus.timeout") from None

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = when
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer, self._due = None, float("inf")
        now = asyncio.get_running_loop().time()
        for item in [item for item in self._passes if item.over <= now]:
            self._passes.discard(item)
            item.expired = True
            item.task.cancel()
        if self._passes:
            self._set_timer(min(item.over for item in self._passes))


class Pass:
    """The place of one call."""

    __slots__ = ("cancelling", "expired", "over", "task")

    def __init__(self, over: float, task: asyncio.Task[Any]) -> None:
        self.over = over
        self.task = task
        self.cancelling = task.cancelling()
        self.expired = False
