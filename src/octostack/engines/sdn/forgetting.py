# SPDX-License-Identifier: Apache-2.0
"""Translations that ended are forgotten a second time.

What a switch derived from its flows (Open vSwitch's datapath flows) is replaced up to half a second
after the flows are. A packet in between is still tracked as before, and its connection would go on
so for as long as somebody sends.
"""

import asyncio
from collections.abc import Iterable

from octostack.base import log
from octostack.base.errors import OctoError
from octostack.engines.sdn.dataplane import Dataplane
from octostack.runtime.tasks import Restart, Supervisor
from octostack.wire.openflow import messages as of

_log = log.get("forgetting")


class Forgetting:
    """What is to be forgotten again, and the task that does it."""

    def __init__(self, dataplane: Dataplane) -> None:
        self._dataplane = dataplane
        self._waiting: list[of.FlushConnections] = []
        self._wake = asyncio.Event()

    def start(self, tasks: Supervisor) -> None:
        """Begin."""
        tasks.start("forgetting", self._work, restart=Restart())

    def again(self, connections: Iterable[of.FlushConnections]) -> None:
        """These were forgotten just now, after their flows went."""
        self._waiting += connections
        if self._waiting:
            self._wake.set()

    def clear(self) -> None:
        """Those zones may be another's by now."""
        self._waiting.clear()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._dataplane.settle()
                if self._dataplane.switch is not None:
                    await self._dataplane.switch.forget(waiting)
            except OctoError as e:  # the switch went, and with it what it tracked
                _log.warning("connections not forgotten", error=e.message)
