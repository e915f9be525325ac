# SPDX-License-Identifier: Apache-2.0
"""Reconcile loops: rows hold what is wanted, a loop makes it so.

A loop runs its work when it starts, when it is woken, and every `every_s` all the same. A wake-up
carries no data and may be lost or doubled: the work reads the state afresh each time, so happy
path, crash and restart are one path. Wake-ups that arrive while the work runs are kept as one.
A failing run is logged, counted and tried again after a pause that doubles; the loop never stops.
"""

import asyncio
from collections.abc import Awaitable, Callable

from octostack.base import clock, ids, log
from octostack.runtime import metrics
from octostack.runtime.tasks import Restart, Supervisor

_log = log.get("loop")


class Loop:
    """`work`, run again and again; see the module's essay."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        every_s: float = 60.0,
        backoff: Restart | None = None,
    ) -> None:
        self.name = name
        self.every_s = every_s
        self.failures = 0  # in a row
        self.last_error: Exception | None = None
        self._work = work
        self._backoff = backoff or Restart(pause_s=0.05)
        self._wanted = asyncio.Event()
        self._wanted.set()  # the run at the start
        self._idle = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """A hint that there is something to do; never blocks, any number counts as one."""
        self._wanted.set()
        self._idle.clear()

    def wake_in(self, delay_s: float) -> None:
        """`wake` after a time, unless that is called for already."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(delay_s, self._wake_now)
            self._idle.clear()

    def _wake_now(self) -> None:
        self._later = None
        self.wake()

    async def idle(self) -> None:
        """Wait until a run succeeded and no wake-up is pending, nor one called for later."""
        await self._idle.wait()

    def start(self, tasks: Supervisor) -> None:
        """Run under `tasks` until it stops."""
        tasks.start(f"loop {self.name}", self.run, restart=Restart())

    async def run(self) -> None:
        """Work for ever; `start` is the usual way in."""
        while True:
            self._wanted.clear()
            await self.run_once()
            if self.failures:
                await asyncio.sleep(self._backoff.pause(self.failures))
                self._wanted.set()
            elif not self._wanted.is_set():
                if self._later is None:
                    self._idle.set()
                await self._wait()
                self._idle.clear()

    async def run_once(self) -> None:
        """One run with its own request id; an error is kept in `last_error` and logged."""
        token = log.request_id.set(ids.new_request())
        began = clock.monotonic()
        try:
            await self._work()
            self.failures, self.last_error = 0, None
        except Exception as error:  # a loop runs again, whatever happened
            self.failures += 1
            self.last_error = error
            _log.failed("loop failed", error, loop=self.name, failures=self.failures)
        finally:
            metrics.loop_run(self.name, clock.monotonic() - began, self.failures == 0)
            log.request_id.reset(token)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self.every_s * clock.rng().uniform(0.9, 1.1)):
                await self._wanted.wait()
        except TimeoutError:
            pass
