# SPDX-License-Identifier: Apache-2.0
"""Hosts are told what they must know, as it changes.

The rows that matter are kept in memory (`core.intent.World`). Each run takes up the noted changes,
reads the rows behind them, works out the hosts they touch and sends each its difference. A host
that cannot be reached, or that is somewhere else than we thought, is sent the whole intent when
it can be. At the start everything is read once and every host is sent everything.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from octostack.base import log
from octostack.base.errors import Conflict, OctoError
from octostack.contracts.network_agent import (
    AppliedState,
    HostIntent,
    IntentChange,
    NetworkAgent,
)
from octostack.runtime.db import Tx
from octostack.services.network.api import binding
from octostack.services.network.api.app import App
from octostack.services.network.core import intent
from octostack.services.network.model import nouns
from octostack.services.network.store import groups, others, rows

CHANGES_MAX = 2000  # taken up in one run
HOSTS_AT_ONCE = 32
_NOUNS: dict[str, type[Any]] = {
    "network": nouns.Network,
    "subnet": nouns.Subnet,
    "port": nouns.Port,
    "router": nouns.Router,
    "floatingip": nouns.FloatingIp,
    "agent": nouns.Agent,
}
_log = log.get("network")


class Fabric:
    """The work of the loop and what it remembers between runs."""

    def __init__(self, app: App, agent: Callable[[str], NetworkAgent]) -> None:
        self._app = app
        self._agent = agent
        self._world: intent.World | None = None
        self._sent: dict[str, intent.Items] = {}
        self._generations: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._due: set[str] = set()

    async def work(self) -> None:
        """One run."""
        if self._world is None:
            self._world = await self._read_all()
            self._due = set(self._world.agents)
        else:
            while await self._take_up(self._world):
                pass
        self._note_restarts(self._world)
        await self._tell(self._world)

    async def _read_all(self) -> intent.World:
        world = intent.World()
        async with self._app.db.write() as tx:
            numbers, _changed = await others.pending(tx, 1 << 30)
            await others.settle(tx, numbers)
        async with self._app.db.read() as tx:
            for kind, noun in _NOUNS.items():
                for row in await rows.select(tx, noun):
                    world.put(kind, row)
            found = await rows.select(tx, nouns.SecurityGroup)
            for group in await _groups(tx, found):
                world.put("group", group)
        self._generations = {host: agent.generation for host, agent in world.agents.items()}
        return world

    async def _take_up(self, world: intent.World) -> bool:
        """The changes noted since; True if there may be more."""
        async with self._app.db.read() as tx:
            numbers, changed = await others.pending(tx, CHANGES_MAX)
            if not numbers:
                return False
            for kind in dict.fromkeys(change.kind for change in changed):
                ids = [change.id for change in changed if change.kind == kind]
                self._due |= await _refresh(tx, world, kind, ids)
        async with self._app.db.write() as tx:
            await others.settle(tx, numbers)
        return len(numbers) == CHANGES_MAX

    def _note_restarts(self, world: intent.World) -> None:
        """An agent that started anew may have lost what it was sent."""
        for host, agent in world.agents.items():
            if self._started.get(host) != agent.started_at:
                self._started[host] = agent.started_at
                self._sent.pop(host, None)
                self._due.add(host)

    async def _tell(self, world: intent.World) -> None:
        due = [host for host in sorted(self._due) if host in world.agents]
        self._due = set()
        slots = asyncio.Semaphore(HOSTS_AT_ONCE)

        async def tell(host: str) -> None:
            async with slots:
                try:
                    await self._tell_host(world, host)
                except OctoError as e:
                    self._sent.pop(host, None)
                    self._due.add(host)
                    _log.warning("host not told", host=host, error=e.message)

        async with asyncio.TaskGroup() as group:
            for host in due:
                group.create_task(tell(host))

    async def _tell_host(self, world: intent.World, host: str) -> None:
        wanted = world.intent(host)
        known = self._sent.get(host)
        if known is None:
            state = await self._send_whole(host, wanted)
        else:
            put, drop = intent.difference(known, wanted)
            if not put and not drop:
                return
            base = self._generations[host]
            change = IntentChange(
                host=host, base=base, generation=base + 1, put=tuple(put), drop=tuple(drop)
            )
            await self._remember(host, base + 1)
            try:
                state = await self._agent(host).change(change)
            except Conflict:  # it is not at `base`: tell it everything
                state = await self._send_whole(host, wanted)
        self._sent[host] = wanted
        await binding.observe(
            self._app, host, {port.id: port.up for port in state.ports}, complete=False
        )

    async def _send_whole(self, host: str, wanted: intent.Items) -> AppliedState:
        generation = self._generations.get(host, 0) + 1
        await self._remember(host, generation)
        message = HostIntent(host=host, generation=generation, items=tuple(wanted.values()))
        return await self._agent(host).apply(message)

    async def _remember(self, host: str, generation: int) -> None:
        """Before it is sent: a generation is never used twice, whatever happens."""
        self._generations[host] = generation
        async with self._app.db.write() as tx:
            await others.set_generation(tx, host, generation)


async def _refresh(tx: Tx, world: intent.World, kind: str, ids: Iterable[str]) -> set[str]:
    """Bring rows in memory to what they are; the hosts it matters to."""
    wanted = list(ids)
    if kind == "group":
        known = await rows.by_ids(tx, nouns.SecurityGroup, wanted)
        found = {group.id: group for group in await _groups(tx, known.values())}
    else:
        found = dict(await rows.by_ids(tx, _NOUNS[kind], wanted))
    touched: set[str] = set()
    for id_ in wanted:
        row = found.get(id_)
        touched |= world.put(kind, row) if row is not None else world.drop(kind, id_)
    return touched


async def _groups(tx: Tx, found: Iterable[nouns.SecurityGroup]) -> list[intent.Group]:
    wanted = list(found)
    by_group = await groups.rules_of(tx, [group.id for group in wanted])
    return [intent.Group(group, tuple(by_group[group.id])) for group in wanted]
