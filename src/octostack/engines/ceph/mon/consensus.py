# SPDX-License-Identifier: Apache-2.0
"""A monitor's machine among its surroundings: its effects are done in order, its clock is ours.

An effect that must be durable holds up those behind it, and nothing else: messages are heard
meanwhile. What the machine keeps lies in the store beside the state, under ``paxos/``.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

import msgspec

from octostack.base import clock, log
from octostack.base.errors import OctoError
from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.election import NEVER
from octostack.engines.ceph.mon.core.paxos.machine import Machine
from octostack.engines.ceph.mon.core.paxos.values import (
    Effect,
    Members,
    Pending,
    Role,
    Stored,
    Times,
)
from octostack.engines.ceph.mon.store import MonStore, Puts
from octostack.runtime.tasks import Supervisor

_log = log.get("ceph.mon")
_EPOCH, LAST, _PENDING, _LOG = "paxos/epoch", "paxos/last", "paxos/pending", "paxos/log/"
_OWN = "paxos/"
_PART_BYTES = 1 << 20
_encode = msgspec.msgpack.encode


class Deposed(Exception):
    """This monitor does not lead (any more): whether the value is committed will turn out."""


class Owner(Protocol):
    """The monitor."""

    def tell(self, rank: int, message: v.Message) -> None:
        """Send to another monitor."""

    def learned(self, value: bytes) -> Puts:
        """A value is committed; the keys that it changes."""

    def applied(self) -> None:
        """The store holds what was learned."""

    def replaced(self) -> None:
        """The store holds another state altogether."""

    def turned(self) -> None:
        """Role, leader, quorum, or what may be answered has changed."""

    def find_members(self) -> Members | None:
        """Among whom we are when the map of monitors has changed since it was asked; a rank of -1
        when we are none of them any more."""


class Consensus:
    """See the module's essay."""

    def __init__(self, owner: Owner, store: MonStore, members: Members) -> None:
        self._owner = owner
        self._store = store
        stored = load(store.values)
        self.machine = Machine(members, stored, Times(), clock.now())
        self.since = clock.monotonic()  # the quorum of now
        self._tasks = Supervisor(f"paxos {members.rank}")
        self._effects: deque[Effect] = deque()
        self._saving = False
        self._is_retired = False  # removed from among the monitors
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER
        self._moved = asyncio.Event()
        self._proposal: tuple[int, asyncio.Future[None]] | None = None
        self._quorum: tuple[int, ...] = ()

    def start(self) -> None:
        """Call the first election."""
        self.machine.start(clock.now())
        self._settle()

    async def stop(self) -> None:
        """Take no more part."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop()

    @property
    def is_leader(self) -> bool:
        return self.machine.role is Role.LEADER

    @property
    def is_readable(self) -> bool:
        """Whether the state is the newest; all that is committed is applied."""
        return self.machine.is_readable(clock.now()) and not self._effects

    def follow(self) -> None:
        """The map of monitors may be another."""
        self._settle()

    def receive(self, rank: int, message: v.Message) -> None:
        """What another monitor says."""
        if not self._is_retired:
            self.machine.receive(clock.now(), rank, message)
            self._settle()

    def suspect(self, unreachable: set[int]) -> None:
        """Those cannot be connected to."""
        if unreachable != self.machine.unreachable and not self._is_retired:
            self.machine.suspect(clock.now(), unreachable)
            self._settle()

    async def writable(self) -> None:
        """Until a value may be proposed. Raises Deposed."""
        while not self.machine.is_writable(clock.now()) or self._effects or self._saving:
            if not self.is_leader:
                raise Deposed
            self._moved.clear()
            await self._moved.wait()

    async def commit(self, value: bytes) -> None:
        """Have all agree on the value, at once after `writable`. Raises Deposed."""
        done = asyncio.get_running_loop().create_future()
        self._proposal = (self.machine.history.last + 1, done)
        self.machine.propose(clock.now(), value)
        self._settle()
        await done

    # Effects

    def _settle(self) -> None:
        machine = self.machine
        self._effects += machine.out
        machine.out.clear()
        while self._effects and not self._saving:
            self._do(self._effects.popleft())
        if not self._effects and not self._saving:
            self._follow_members()
        self._moved.set()
        self._owner.turned()
        due = machine.next_tick
        if due != self._due:
            self._due = due
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if due != NEVER:
                wait = max(0.0, due - clock.now())
                self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _follow_members(self) -> None:
        """Only when all that was said to the monitors of before is on its way."""
        found = self._owner.find_members()
        if found is None or self._is_retired:
            return
        if found.rank < 0:
            self._is_retired = True
            self.machine.retire()
        else:
            self.machine.reconfigure(clock.now(), found)
        self._settle()

    def _tick(self) -> None:
        self._due = NEVER
        self.machine.tick(clock.now())
        self._settle()

    def _do(self, effect: Effect) -> None:
        match effect:
            case v.Send():
                self._owner.tell(effect.to, effect.message)
            case v.Save():
                self._save(_saved(effect))
            case v.Learn() if effect.at_once:
                self._save({**msgspec.msgpack.decode(effect.value), **_learned(effect)}, effect)
            case v.Learn():
                puts = self._owner.learned(effect.value)
                self._store.stage({**puts, **_learned(effect)})
                self._told(effect)
            case v.Install():
                self._install(effect)
            case v.Offer():
                self._offer(effect)
            case v.Turned():
                self._turned()

    def _save(self, puts: Puts, then: v.Learn | v.Install | None = None) -> None:
        self._saving = True
        self._tasks.start("save", lambda: self._write(puts, then))

    async def _write(self, puts: Puts, then: v.Learn | v.Install | None) -> None:
        try:
            await self._store.commit(puts)
        except OctoError:
            _log.exception("nothing more can be made durable: this monitor takes no more part")
            return  # later effects are never done, so that nothing is promised
        self._saving = False
        if isinstance(then, v.Learn):
            self._owner.learned(then.value)
            self._told(then)
        elif then is not None:
            self._owner.replaced()
        self._settle()

    def _told(self, effect: v.Learn) -> None:
        self._owner.applied()
        if self._proposal is not None and self._proposal[0] == effect.version:
            _, done = self._proposal
            self._proposal = None
            if not done.done():
                done.set_result(None)

    def _install(self, effect: v.Install) -> None:
        puts: dict[str, bytes | None] = {
            key: None
            for key in self._store.values
            if not key.startswith(_OWN) or key.startswith(_LOG)
        }
        puts |= effect.pairs
        puts |= {LAST: _encode(effect.version), _PENDING: None}
        self._save(puts, effect)

    def _offer(self, effect: v.Offer) -> None:
        pairs = {k: b for k, b in self._store.values.items() if not k.startswith(_OWN)}
        parts: list[dict[str, bytes]] = [{}]
        size = 0
        for key, blob in pairs.items():
            if size + len(blob) > _PART_BYTES and parts[-1]:
                parts.append({})
                size = 0
            parts[-1][key] = blob
            size += len(blob)
        for number, part in enumerate(parts):
            message = v.SyncPart(effect.epoch, effect.version, number, len(parts), part)
            self._owner.tell(effect.to, message)

    def _turned(self) -> None:
        machine = self.machine
        if not self.is_leader and self._proposal is not None:
            _, done = self._proposal
            self._proposal = None
            if not done.done():
                done.set_exception(Deposed())
        if machine.quorum != self._quorum:
            self._quorum = machine.quorum
            self.since = clock.monotonic()
            _log.info(
                "quorum" if machine.quorum else "election",
                epoch=machine.epoch,
                role=machine.role.value,
                quorum=machine.quorum,
            )


def load(values: dict[str, bytes]) -> Stored:
    """What a store holds for the machine."""
    versions = sorted(int(key[len(_LOG) :]) for key in values if key.startswith(_LOG))
    last = _read(values, LAST, int, 0)
    return Stored(
        _read(values, _EPOCH, int, 0),
        versions[0] if versions else last + 1,
        last,
        {version: values[_log_key(version)] for version in versions},
        _read(values, _PENDING, Pending, None),
    )


def _read(values: dict[str, bytes], key: str, kind: Any, default: Any) -> Any:
    return msgspec.msgpack.decode(values[key], type=kind) if key in values else default


def _log_key(version: int) -> str:
    return f"{_LOG}{version:012}"


def _saved(effect: v.Save) -> Puts:
    puts: dict[str, bytes | None] = {}
    if effect.epoch is not None:
        puts[_EPOCH] = _encode(effect.epoch)
    if effect.pending is not None:
        puts[_PENDING] = _encode(effect.pending)
    return puts


def _learned(effect: v.Learn) -> Puts:
    puts: dict[str, bytes | None] = {_log_key(version): None for version in effect.trimmed}
    puts |= {LAST: _encode(effect.version), _PENDING: None}
    if effect.is_kept:
        puts[_log_key(effect.version)] = effect.value
    return puts
