# SPDX-License-Identifier: Apache-2.0
"""What is looked after without being asked: every few seconds each job looks, and may change."""

import asyncio
import functools
from collections.abc import Callable
from typing import Protocol

from octostack.engines.ceph.mon.core import upkeep
from octostack.engines.ceph.mon.core.commands.table import Query
from octostack.engines.ceph.mon.core.state import Change

TICK_S = 1.0
Job = Callable[[Query], Change | None]

OWN: tuple[Job, ...] = (
    upkeep.put_out,
    upkeep.note_full,
    upkeep.note_quotas,
    upkeep.forget_blocked,
    upkeep.forget_mutes,
)


class Term(Protocol):
    """Who wants to know whether this monitor leads."""

    def lead(self) -> None:
        """It does, and its state is the newest."""

    def follow(self) -> None:
        """It does not any more."""


class Kept(Protocol):
    """The monitor, as far as this needs it."""

    name: str

    def query(self, arguments: dict[str, object]) -> Query:
        """All that may be looked at."""

    def submit(self, decide: Callable[[], Change | None]) -> None:
        """Change something when its turn comes."""


class Keeper:
    """See the module's essay."""

    def __init__(self, monitor: Kept) -> None:
        self._monitor = monitor
        self.jobs = list(OWN)  # others may add theirs
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """For ever; the leader's keeper alone does anything."""
        while True:
            await asyncio.sleep(TICK_S)
            self.look()

    def look(self) -> None:
        """Each job once."""
        if self._monitor.query({}).quorum.leader != self._monitor.name:
            self._said = {}  # another says what is wrong, and when it is over
            return
        for job in self.jobs:
            change = job(self._monitor.query({}))
            if change is not None:
                self._monitor.submit(functools.partial(self._still, change))
        self._said, lines = upkeep.health_lines(self._said, self._monitor.query({}))
        if lines:
            self._monitor.submit(lambda: Change(log=tuple(lines)))

    def _still(self, change: Change) -> Change | None:
        """The change, if the map is still the one that it was thought for; else it comes again."""
        epoch = self._monitor.query({}).state.osdmap.epoch
        if change.osdmap is not None and change.osdmap.epoch != epoch + 1:
            return None
        return change
