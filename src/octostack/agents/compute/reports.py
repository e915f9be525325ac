# SPDX-License-Identifier: Apache-2.0
"""Tells the compute service of this host and its machines.

A change is told at once, and again with the next heartbeat, which carries all machines: a report
that is lost costs seconds. While the service is away nothing piles up: what is to be told is a
set of machines, and what is told is their state at the time of telling.
"""

import asyncio
from collections.abc import Awaitable, Callable

from octostack.agents.compute.ledger import Entry, Ledger
from octostack.base import clock, log
from octostack.base.errors import OctoError
from octostack.contracts.compute import Compute, HostFacts, MachineReport
from octostack.runtime.tasks import Restart, Supervisor

_log = log.get("compute_agent")

_PAUSE_S = 0.2
_PAUSE_MAX_S = 10.0


class Reports:
    """`changed` is the only call that others make."""

    def __init__(
        self,
        host: str,
        compute: Compute,
        ledger: Ledger,
        facts: Callable[[], Awaitable[HostFacts]],
        strays: Callable[[], list[str]],
    ) -> None:
        self._host = host
        self._compute = compute
        self._ledger = ledger
        self._facts = facts
        self._strays = strays
        self._pending: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._known = False
        self._heartbeat_s = 10.0
        self._beat_at = 0.0  # by the monotonic clock; a busy host's changes do not put it off

    def start(self, tasks: Supervisor) -> None:
        """Report until the tasks are stopped."""
        tasks.start(f"reports {self._host}", self._run, restart=Restart())

    def changed(self, machine_id: str) -> None:
        """Something about the machine is new."""
        self._pending[machine_id] = None
        self._wake.set()

    def told(self, machine_id: str) -> None:
        """The service learned of it otherwise, by the answer to its own call."""
        self._pending.pop(machine_id, None)

    async def _run(self) -> None:
        pause = _PAUSE_S
        while True:
            try:
                await self._tell()
                pause = _PAUSE_S
            except OctoError as e:
                _log.info("compute service cannot be told", host=self._host, reason=e.message)
                self._known = False
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MAX_S)
                continue
            await self._until_due()

    async def _tell(self) -> None:
        if not self._known:
            orders = await self._compute.register(await self._facts())
            self._known, self._heartbeat_s = True, orders.heartbeat_s
        elif self._pending and clock.monotonic() < self._beat_at:
            await self._tell_changes()
            return
        reports = [report(entry) for entry in self._ledger.list()]
        reports += [
            MachineReport(server_id=machine_id, power="running") for machine_id in self._strays()
        ]
        orders = await self._compute.heartbeat(self._host, reports)
        self._known, self._heartbeat_s = orders.known, orders.heartbeat_s
        self._beat_at = clock.monotonic() + self._heartbeat_s
        if orders.foreign:
            _log.info("machines without a server", host=self._host, machines=list(orders.foreign))

    async def _tell_changes(self) -> None:
        while self._pending:
            machine_id = next(iter(self._pending))
            entry = self._ledger.find(machine_id)
            if entry is not None:
                await self._compute.observed(self._host, report(entry))
            self._pending.pop(machine_id, None)

    async def _until_due(self) -> None:
        if not self._known or self._pending:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(max(0.0, self._beat_at - clock.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            pass


def report(entry: Entry) -> MachineReport:
    """A ledger entry in the compute service's words."""
    return MachineReport(
        server_id=entry.spec.id,
        power=entry.power,
        generation=entry.settled,
        fault=entry.fault or "",
    )
