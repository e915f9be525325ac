# SPDX-License-Identifier: Apache-2.0
"""What every handler, saga step and loop of Compute is handed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from octostack.base import clock
from octostack.base.errors import Unavailable
from octostack.contracts.compute_agent import ComputeAgent
from octostack.contracts.identity import Caller, Identity
from octostack.contracts.image import Images
from octostack.contracts.network import Network
from octostack.contracts.placement import Placement
from octostack.runtime.bus import Bus
from octostack.runtime.db import Database, Tx
from octostack.runtime.saga import Runner
from octostack.services.compute.core.scheduling import World
from octostack.services.compute.model import Config, Host, Server

CELL = "cell1"


class App:
    """The parts that Compute works with, and its memory of the world."""

    def __init__(
        self, *, config: Config, bus: Bus, api_db: Database, cell_db: Database, public_url: str
    ) -> None:
        self.config = config
        self.bus = bus
        self.api_db = api_db
        self.cell_db = cell_db
        self.public_url = public_url
        self.identity = bus.stub(Identity)
        self.images = bus.stub(Images)
        self.network = bus.stub(Network)
        self.placement = bus.stub(Placement)
        self.world = World()
        self.seen: dict[str, float] = {}  # host -> when it last reported, ahead of its row
        self.secret = b""  # of the installation, for seeds
        self.viewer: dict[str, Path] = {}  # the files of the console's viewer
        # Set by service.build, because what they start lies above this layer.
        self.order_boot: Callable[[Tx, Server, Caller], Awaitable[None]] = _unset
        self.order_delete: Callable[[Tx, Server], Awaitable[None]] = _unset
        self.runner: Runner | Any = None
        self.wake_tasks: Callable[[], None] = _nothing
        self.wake_world: Callable[[], None] = _nothing
        self._agents: dict[str, ComputeAgent] = {}
        self._news: dict[str, asyncio.Event] = {}
        self.plugged: dict[str, set[str]] = {}  # server -> ports that Network said are up

    def agent(self, host: str) -> ComputeAgent:
        """The agent of one host."""
        stub = self._agents.get(host)
        if stub is None:
            stub = self._agents[host] = self.bus.stub(ComputeAgent, instance=host)
        return stub

    def is_up(self, host: Host) -> bool:
        """Does its agent report in time, and has nobody forced it down?"""
        if host.forced_down:
            return False
        seen = max(host.seen_at, self.seen.get(host.host, 0.0))
        return clock.now() - seen <= self.config.service_down_time_s

    def tell(self, server_id: str) -> None:
        """Something about a server changed: whoever waits for it looks again."""
        event = self._news.get(server_id)
        if event:
            event.set()

    async def news(self, server_id: str, timeout_s: float) -> None:
        """Wait until `tell`, or for a while: a hint may be lost, so the caller looks either way."""
        event = self._news.setdefault(server_id, asyncio.Event())
        event.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass

    def forget(self, server_id: str) -> None:
        """Nobody waits for this server any more."""
        self.plugged.pop(server_id, None)
        self._news.pop(server_id, None)


def _nothing() -> None:
    """Until the loops are there."""


async def _unset(*_args: Any) -> None:
    raise Unavailable("Compute is not ready", code="compute.starting")
