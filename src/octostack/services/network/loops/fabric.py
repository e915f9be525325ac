# SPDX-License-Identifier: Apache-2.0
"""Hosts are told what they must know, as it changes.

The rows that matter are kept in memory (`core.intent.World`). Each run takes up the noted changes,
reads the rows behind them, works out the hosts they touch and sends each its difference. A guest's
own host hears of its port at once; the others, which only learn where it is, within `HEARSAY_S`, so
that a hundred servers that start together are one message to each. A host that cannot be reached,
or that is somewhere else than we thought, is sent the whole intent when it can be. At the start
everything is read once and every host is sent everything.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Conflict, OctoError
from octostack.contracts.network_agent import (
    AgentPort,
    AppliedState,
    HostIntent,
    IntentChange,
    LocalPort,
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
HEARSAY_S = 0.25
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

    def __init__(
        self,
        app: App,
        agent: Callable[[str], NetworkAgent],
        wake_in: Callable[[float], None],
    ) -> None:
        self._app = app
        self._agent = agent
        self._wake_in = wake_in
        self._world: intent.World | None = None
        self._sent: dict[str, intent.Items] = {}
        self._generations: dict[str, int] = {}
        self._seen: dict[str, tuple[AgentPort, ...]] = {}  # what each said of its ports last
        self._started: dict[str, float] = {}
        self._due: set[str] = set()
        self._hearsay: set[str] = set()  # hosts that are due when `_hearsay_at` has come
        self._hearsay_at = 0.0

    async def work(self) -> None:
        """One run."""
        if self._world is None:
            self._world = await self._read_all()
            self._due = set(self._world.agents)
        else:
            while await self._take_up(self._world):
                pass
        self._note_restarts(self._world)
        if self._hearsay and clock.monotonic() >= self._hearsay_at:
            self._due |= self._hearsay
            self._hearsay = set()
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
                own, others_ = await _refresh(tx, world, kind, ids)
                self._due |= own
                self._hear(others_)
        async with self._app.db.write() as tx:
            await others.settle(tx, numbers)
        return len(numbers) == CHANGES_MAX

    def _hear(self, hosts: set[str]) -> None:
        """Tell these hosts with the next round, which is called when there is none yet."""
        if hosts and not self._hearsay:
            self._hearsay_at = clock.monotonic() + HEARSAY_S
            self._wake_in(HEARSAY_S)
        self._hearsay |= hosts

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
        messages = [m for m in (self._message(host, world.intent(host)) for host in due) if m]
        await self._remember(messages)
        slots = asyncio.Semaphore(HOSTS_AT_ONCE)

        async def tell(message: _Message) -> None:
            async with slots:
                try:
                    await self._send(message)
                except OctoError as e:
                    self._sent.pop(message.host, None)
                    self._due.add(message.host)
                    _log.warning("host not told", host=message.host, error=e.message)

        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(tell(message))

    def _message(self, host: str, wanted: intent.Items) -> "_Message | None":
        """What to tell a host, None if it knows."""
        base = self._generations.get(host, 0)
        known = self._sent.get(host)
        if known is None:
            return _Message(host, base + 1, wanted, None)
        put, drop = intent.difference(known, wanted)
        if not put and not drop:
            return None
        change = IntentChange(
            host=host, base=base, generation=base + 1, put=tuple(put), drop=tuple(drop)
        )
        return _Message(host, base + 1, wanted, change)

    async def _send(self, message: "_Message") -> None:
        host = message.host
        if message.change is None:
            state = await self._send_whole(message)
        else:
            try:
                state = await self._agent(host).change(message.change)
            except Conflict:  # it is not at `base`: tell it everything
                again = msgspec.structs.replace(message, generation=message.generation + 1)
                await self._remember([again])
                state = await self._send_whole(again)
        self._sent[host] = message.wanted
        if not message.of_others or self._seen.get(host) != state.ports:
            up = {port.id: port.up for port in state.ports}
            await binding.observe(self._app, host, up, complete=False)
            self._seen[host] = state.ports

    async def _send_whole(self, message: "_Message") -> AppliedState:
        items = tuple(message.wanted.values())
        whole = HostIntent(host=message.host, generation=message.generation, items=items)
        return await self._agent(message.host).apply(whole)

    async def _remember(self, messages: "list[_Message]") -> None:
        """Before they are sent: a generation is never used twice, whatever happens."""
        numbers = {message.host: message.generation for message in messages}
        self._generations |= numbers
        if numbers:
            async with self._app.db.write() as tx:
                await others.set_generations(tx, numbers)


class _Message(msgspec.Struct, frozen=True, gc=False):
    """What one host is told: a change of what it knows, or all of it."""

    host: str
    generation: int
    wanted: intent.Items
    change: IntentChange | None

    @property
    def of_others(self) -> bool:
        """Is it about other hosts' ports alone?"""
        return self.change is not None and not any(
            isinstance(item, LocalPort) for item in self.change.put
        )


async def _refresh(
    tx: Tx, world: intent.World, kind: str, ids: Iterable[str]
) -> tuple[set[str], set[str]]:
    """Bring rows in memory to what they are; whose they are, and whom else it matters to."""
    wanted = list(ids)
    if kind == "group":
        known = await rows.by_ids(tx, nouns.SecurityGroup, wanted)
        found = {group.id: group for group in await _groups(tx, known.values())}
    else:
        found = dict(await rows.by_ids(tx, _NOUNS[kind], wanted))
    own: set[str] = set()
    touched: set[str] = set()
    for id_ in wanted:
        row = found.get(id_)
        before = world.ports.get(id_) if kind == "port" else None
        hosts = world.put(kind, row) if row is not None else world.drop(kind, id_)
        touched |= hosts
        ports = [one for one in (before, row) if isinstance(one, nouns.Port)]
        if ports and all(port.device_owner not in nouns.SERVICE_OWNERS for port in ports):
            own |= {port.host for port in ports}
        else:
            own |= hosts
    return own & touched, touched - own


async def _groups(tx: Tx, found: Iterable[nouns.SecurityGroup]) -> list[intent.Group]:
    wanted = list(found)
    by_group = await groups.rules_of(tx, [group.id for group in wanted])
    return [intent.Group(group, tuple(by_group[group.id])) for group in wanted]
