# SPDX-License-Identifier: Apache-2.0
"""Rows and memory in step.

The database is the truth, `core.world.World` the copy that questions are put to. One row counts
changes (`tables.world`):

    a reader   asks for the number; if memory is behind, it loads what changed since
    a writer   holds the database's one write lock, brings memory up to date, decides, writes rows
               and marks the providers it touched with the next number; after the commit memory
               gets the same change, without reading it again where the writer knows it

So several processes on one database need no messages between them: a process that missed a
change finds it by its number at its next question. What is loaded is applied by `seq` per
provider, so a late answer never overwrites a newer state.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec
import sqlalchemy as sa

from octostack.base import clock
from octostack.runtime.db import Database, Tx
from octostack.services.placement.core.claims import Deltas
from octostack.services.placement.core.world import World
from octostack.services.placement.model import ProviderState
from octostack.services.placement.store import names, providers, tables

_COUNT = sa.update(tables.world).values(seq=sa.bindparam("b_seq"))
_NUMBERS = sa.select(tables.world.c.seq, tables.world.c.names_seq)

TOMBSTONE_AGE_S = 3600.0  # a process that did not look for so long loads everything afresh


class Change:
    """One write: the transaction, the world as it was before, and what the write touches."""

    def __init__(self, tx: Tx, world: World, seq: int) -> None:
        self.tx = tx
        self.world = world
        self.seq = seq
        self.now = clock.now()
        self._states: dict[str, ProviderState] = {}
        self._removed: set[str] = set()
        self._names_changed = False
        self._made: set[tuple[str, str]] = set()
        self._renamed_states: dict[str, ProviderState] = {}

    def state(self, provider_id: str) -> ProviderState | None:
        """The provider as this write has made it so far."""
        if provider_id in self._removed:
            return None
        return self._states.get(provider_id) or self.world.find(provider_id)

    def touch(self, state: ProviderState) -> None:
        """The provider is so from now on; its own row is written at the end."""
        self._states[state.id] = msgspec.structs.replace(state, seq=self.seq)

    def use(self, deltas: Deltas, bump: Iterable[str] = ()) -> None:
        """What is used changes; the providers in `bump` get their next generation."""
        by_provider: dict[str, dict[str, int]] = {}
        for (provider_id, name), delta in deltas.items():
            by_provider.setdefault(provider_id, {})[name] = delta
        bumped = set(bump)
        for provider_id in by_provider.keys() | bumped:
            state = self.state(provider_id)
            assert state is not None
            used = dict(state.used)
            for name, delta in by_provider.get(provider_id, {}).items():
                used[name] = used.get(name, 0) + delta
                if not used[name]:
                    del used[name]
            generation = state.generation + (provider_id in bumped)
            self.touch(msgspec.structs.replace(state, used=used, generation=generation))

    def renamed(self, state: ProviderState, old: str, new: str) -> None:
        """A class has another name; its rows were renamed already."""
        stocks = {new if name == old else name: stock for name, stock in state.stocks.items()}
        used = {new if name == old else name: n for name, n in state.used.items()}
        self._renamed_states[state.id] = msgspec.structs.replace(state, stocks=stocks)
        self.touch(msgspec.structs.replace(state, stocks=stocks, used=used))

    def remove(self, provider_id: str) -> None:
        """The provider's rows go at the end."""
        self._removed.add(provider_id)
        self._states.pop(provider_id, None)

    async def make_name(self, kind: str, name: str) -> None:
        """A new custom trait or class, known to the rest of this write."""
        await names.insert(self.tx, kind, name, self.now)
        self._made.add((kind, name))
        self._names_changed = True

    def knows(self, kind: str, name: str) -> bool:
        """Does the trait or class exist, now or within this write?"""
        if (kind, name) in self._made:
            return True
        return self.world.knows_trait(name) if kind == "trait" else self.world.knows_class(name)

    def names_changed(self) -> None:
        """A custom trait or class was made, renamed or deleted."""
        self._names_changed = True

    async def finish(self) -> None:
        """Write what was touched and the number of this change."""
        bumped = []
        for state in providers.parents_first(self._states.values()):
            before = self._renamed_states.get(state.id) or self.world.find(state.id)
            if providers.only_bumped(state, before):
                bumped.append(state)
            else:
                await providers.save(self.tx, state, before)
        await providers.bump(self.tx, bumped)
        for provider_id in self._removed:
            await providers.delete(self.tx, provider_id, self.seq, self.now)
        await self.tx.run(_COUNT, [{"b_seq": self.seq}])
        if self._names_changed:
            await self.tx.run(sa.update(tables.world).values(names_seq=self.seq))

    def apply(self) -> None:
        """Committed: memory follows, unless it is behind for another reason."""
        if self._names_changed or self.world.seq != self.seq - 1:
            return  # the next reader loads it
        self.world.put(self._states.values())
        for provider_id in self._removed:
            self.world.drop(provider_id, self.seq)
        self.world.seq = self.seq


class Ledger:
    """The one way to Placement's data."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._world = World()
        self._looked_at = clock.monotonic()

    async def prepare(self) -> None:
        """Make the counting row of a new database."""
        async with self.db.write() as tx:
            if await tx.first(sa.select(tables.world.c.id)) is None:
                row = {"id": 1, "seq": 0, "names_seq": 0, "created_at": clock.now()}
                await tx.run(sa.insert(tables.world).values(**row))

    async def world(self) -> World:
        """The world as of now; what others committed before this call is in it."""
        async with self.db.read() as tx:
            return await self._current(tx)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[tuple[Tx, World]]:
        """The world and a transaction to read beside it."""
        async with self.db.read() as tx:
            yield tx, await self._current(tx)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Change]:
        """One change, all or nothing; nobody else writes meanwhile."""
        async with self.db.write() as tx:
            world = await self._current(tx)
            change = Change(tx, world, world.seq + 1)
            yield change
            await change.finish()
            tx.after_commit(change.apply)

    async def prune(self) -> None:
        """Forget removals that every process has seen long ago."""
        await self.world()
        async with self.db.write() as tx:
            old = tables.removed_providers.c.removed_at < clock.now() - 2 * TOMBSTONE_AGE_S
            await tx.run(sa.delete(tables.removed_providers).where(old))

    async def _current(self, tx: Tx) -> World:
        now = clock.monotonic()
        if now - self._looked_at > TOMBSTONE_AGE_S:
            self._world = World()
        self._looked_at = now
        row = await tx.first(_NUMBERS)
        assert row is not None, "the ledger was not prepared"
        if row.seq > self._world.seq:
            await self._catch_up(tx, row.seq, row.names_seq)
        return self._world

    async def _catch_up(self, tx: Tx, seq: int, names_seq: int) -> None:
        world = self._world
        since = world.seq
        if names_seq > world.names_seq:
            world.set_names(await names.list_custom(tx))
            world.names_seq = names_seq
        removed = await providers.list_removed(tx, since) if since else []
        states = await providers.list_changed(tx, since)
        for provider_id, removed_seq in removed:
            world.drop(provider_id, removed_seq)
        world.put(states)
        world.seq = max(world.seq, seq)
