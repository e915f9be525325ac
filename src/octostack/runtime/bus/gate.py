# SPDX-License-Identifier: Apache-2.0
"""Who may run now and for how long: the bound and the deadline of calls that are served.

``asyncio.timeout`` and ``asyncio.Semaphore`` together cost as much as all the rest of a call in
the process. Nearly every call is over long before its deadline, so one timer here watches all of
them: it is set for the earliest deadline known and looks again when it fires.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any

from octostack.base.errors import Busy, Timeout


class Gate:
    """At most `limit` passes at once, `queue_max` waiting, each until its deadline."""

    def __init__(self, name: str, limit: int, queue_max: int) -> None:
        self.name = name
        self.free = limit
        self.queue_max = queue_max
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.passes: dict[Pass, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, item: "Pass") -> None:
        """Cancel the task of `item` at its deadline."""
        self.passes[item] = None
        if self._timer is None or item.over < self._timer.when():
            self._set_timer(item.over)

    def release(self) -> None:
        """Give the place to who waits longest, or keep it free."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for item in list(self.passes):
            if item.over <= now:
                del self.passes[item]
                item.expire()
        if self.passes:
            self._set_timer(min(item.over for item in self.passes))


class Pass:
    """``async with Pass(gate, over):`` the place of one call. Raises Busy, Timeout."""

    __slots__ = ("_cancelling", "_expired", "_gate", "_task", "over")

    def __init__(self, gate: Gate, over: float) -> None:
        self._gate = gate
        self.over = over
        self._expired = False

    async def __aenter__(self) -> None:
        gate = self._gate
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        gate.watch(self)
        if gate.free and not gate.waiting:
            gate.free -= 1
            return
        try:
            await self._wait()
        except asyncio.CancelledError:
            self._leave()
            raise
        except BaseException:
            gate.passes.pop(self, None)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gate.release()
        if kind is asyncio.CancelledError or self._expired:
            self._leave()
        else:
            self._gate.passes.pop(self, None)

    def expire(self) -> None:
        """The deadline has come."""
        self._expired = True
        self._task.cancel()

    def _leave(self) -> None:
        """A cancellation that the deadline caused becomes a Timeout; another one passes."""
        self._gate.passes.pop(self, None)
        if self._expired and self._task.uncancel() <= self._cancelling:
            raise Timeout(f"{self._gate.name} took too long.", code="bus.timeout") from None

    async def _wait(self) -> None:
        gate = self._gate
        if len(gate.waiting) >= gate.queue_max:
            raise Busy(f"{gate.name} has too many calls waiting.", code="bus.busy")
        waiter = asyncio.get_running_loop().create_future()
        gate.waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                gate.release()  # the place was given in the same moment
            elif waiter in gate.waiting:
                gate.waiting.remove(waiter)
            raise
