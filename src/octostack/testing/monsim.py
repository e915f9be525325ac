# SPDX-License-Identifier: Apache-2.0
"""Monitors that agree, under faults that a seed draws: no loop, no sockets, a heap of moments.

Messages are lost, late, out of order, doubled; links are cut, also one way; clocks differ a little;
a crash loses whatever was not saved, at any place among a machine's effects. A disk takes its time.
Unless the weather is bad, links are as streams: whole and in order.

Monitors have names; their ranks are those of the map that they use, which changes by agreement as
all else does. Words are of a map: who has an older one is told the newer (as `mon.seat` does).
"""

import heapq
import random
from collections import deque
from collections.abc import Callable

import msgspec

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.machine import Machine
from octostack.engines.ceph.mon.core.paxos.values import (
    Effect,
    Members,
    Pending,
    Role,
    Stored,
    Strategy,
    Times,
)

PART_PAIRS = 3
_TICK_S = 1e-4  # moments are a little late, as they are with any clock


class Rules(msgspec.Struct, frozen=True):
    """The size of things; times are seconds."""

    size: int = 3
    strategy: Strategy = Strategy.CLASSIC
    delay_s: float = 0.05
    save_s: float = 0.02
    loss: float = 0.02
    doubled: float = 0.02
    drift_s: float = 0.02
    times: Times = Times(0.3, 1.0, 0.5, 0.1, 0.05, 0.2)


class Map(msgspec.Struct, frozen=True, array_like=True):
    """The monitors, by rank."""

    epoch: int
    names: tuple[int, ...]


class Word(msgspec.Struct, frozen=True):
    """What goes over a link: of the map of that epoch; None tells no more than that."""

    epoch: int
    body: v.Message | Map | None


_MAP, _PREFIX = "map", b"map "
_map = msgspec.msgpack.Decoder(Map)


class Disk(msgspec.Struct):
    """What survives: the machine's part, and what all values applied come to."""

    stored: Stored = msgspec.field(default_factory=Stored)
    pairs: dict[str, bytes] = {}

    @property
    def map(self) -> Map:
        """Of monitors."""
        return _map.decode(self.pairs[_MAP])

    def adopt(self, newer: Map) -> None:
        """Take a map, unless it is older."""
        if newer.epoch > self.map.epoch:
            self.pairs[_MAP] = msgspec.msgpack.encode(newer)


def map_value(map_: Map) -> bytes:
    """A version that changes the map."""
    return _PREFIX + msgspec.msgpack.encode(map_)


def find_map(value: bytes) -> Map | None:
    """The map in a version, if it changes that."""
    return _map.decode(value[len(_PREFIX) :]) if value.startswith(_PREFIX) else None


class Mon:
    """One monitor; `disk` is what a crash leaves."""

    def __init__(self, cluster: "Cluster", name: int, disk: Disk) -> None:
        self.cluster = cluster
        self.name = name
        self.disk = disk
        self.memory = disk  # as the disk, and what is to be saved with the next thing
        self.used = disk.map  # which ranks are of
        self.alive = False
        self.is_removed = False
        self.life = 0
        self.skew = cluster.rng.uniform(-1, 1) * cluster.rules.drift_s
        self.machine: Machine
        self._effects: deque[Effect] = deque()
        self._saving = False
        self._due = float("inf")
        self.proposed: tuple[int, bytes] | None = None
        self.term = 0  # in which that was
        self.fuse: tuple[int, Callable[[], None]] | None = None  # after so many effects: this

    @property
    def now(self) -> float:
        """By its own clock."""
        return self.cluster.now + self.skew

    @property
    def is_settled(self) -> bool:
        """Whether what the machine knows is applied."""
        return not self._effects

    @property
    def may_change(self) -> bool:
        """Whether it may decide upon another map, by the one that it has."""
        is_idle = self.alive and self.is_settled and not self._saving
        return is_idle and self.machine.is_writable(self.now)

    @property
    def names(self) -> tuple[int, ...]:
        """All that it takes for monitors."""
        return self.used.names

    def find_leader(self) -> int | None:
        """The name of whom it follows."""
        leader = self.machine.leader
        return self.names[leader] if leader is not None else None

    def list_quorum(self) -> set[int]:
        """Their names."""
        return {self.names[rank] for rank in self.machine.quorum}

    def boot(self) -> None:
        """Start from the disk, if that says that it is a monitor."""
        if self.name not in self.disk.map.names:
            return
        self.alive, self._saving, self._due = True, False, float("inf")
        self.life += 1
        self._effects.clear()
        self.proposed = None
        self.memory = _copy(self.disk)
        self.used = self.disk.map
        stored, times = _copy(self.disk).stored, self.cluster.rules.times
        self.machine = Machine(self._members(), stored, times, self.now)
        self.machine.start(self.now)
        self.settle()

    def _members(self) -> Members:
        return Members(self.names.index(self.name), len(self.names), self.cluster.rules.strategy)

    def crash(self) -> None:
        """Lose all but what is on the disk."""
        self.alive = False
        self.life += 1

    def receive(self, source: int, word: Word) -> None:
        """A word came."""
        if isinstance(word.body, Map):
            self.memory.adopt(word.body)
        elif word.epoch < self.used.epoch:
            self._say(source, self.memory.map)
        elif word.epoch > self.used.epoch:
            self._say(source, None)
        elif source in self.names and word.body is not None and not self.is_removed:
            self.machine.receive(self.now, self.names.index(source), word.body)
        self.settle()

    def _say(self, to: int, body: v.Message | Map | None) -> None:
        self.cluster.send(self.name, to, Word(self.used.epoch, body))

    def tick(self, life: int) -> None:
        """The machine asked for this moment."""
        if life != self.life:
            return
        self._due = float("inf")
        if self.now >= self.machine.next_tick:
            self.machine.tick(self.now)
        self.settle()

    def suspect(self, unreachable: set[int]) -> None:
        """It is told, rightly or not, that those cannot be connected to."""
        if self.alive and not self.is_removed:
            ranks = {rank for rank, name in enumerate(self.names) if name in unreachable}
            self.machine.suspect(self.now, ranks - {self.machine.rank})
            self.settle()

    def propose(self, value: bytes) -> None:
        """As a leader, if it is one that may."""
        if self.alive and self.machine.is_writable(self.now):
            self.proposed, self.term = (self.machine.history.last + 1, value), self.machine.epoch
            self.machine.propose(self.now, value)
            self.settle()

    def settle(self) -> None:
        """Do the effects in their order, until one has to wait for the disk."""
        self._effects += self.machine.out
        self.machine.out.clear()
        while self._effects and not self._saving and self.alive:
            self._do(self._effects.popleft())
            self._burn()
        if not self.alive:
            return
        if not self._effects and not self._saving and self.memory.map != self.used:
            self._follow_map()
            return
        due = self.machine.next_tick
        if due < self._due:
            self._due = due
            self.cluster.at(due - self.skew + _TICK_S, self.tick, self.life)

    def _follow_map(self) -> None:
        """When all that was said to the monitors of before is on its way."""
        self.used = self.memory.map
        if self.name in self.names:
            self.machine.reconfigure(self.now, self._members())
        else:
            self.is_removed = True
            self.machine.retire()
        self.settle()

    def _burn(self) -> None:
        if self.fuse is None:
            return
        left, action = self.fuse
        self.fuse = (left - 1, action) if left else None
        if not left:
            action()

    def _do(self, effect: Effect) -> None:
        match effect:
            case v.Send():
                self._say(self.names[effect.to], effect.message)
            case v.Save():
                stored = self.memory.stored
                if effect.epoch is not None:
                    stored.epoch = effect.epoch
                if effect.pending is not None:
                    stored.pending = effect.pending
                self._save()
            case v.Learn():
                self._learn(effect)
                if effect.at_once:
                    self._save(lambda: self.cluster.learned(self, effect.version, effect.value))
                else:
                    self.cluster.learned(self, effect.version, effect.value)
            case v.Install():
                epoch = self.memory.stored.epoch
                self.memory.stored = Stored(epoch, effect.version + 1, effect.version)
                self.memory.pairs = dict(effect.pairs)
                self._save()
            case v.Offer():
                self._offer(effect)
            case v.Turned():
                if self.machine.role is not Role.LEADER:
                    self.proposed = None

    def _learn(self, effect: v.Learn) -> None:
        stored = self.memory.stored
        assert effect.version == stored.last + 1
        stored.last, stored.pending = effect.version, None
        if effect.is_kept:
            stored.log[effect.version] = effect.value
        for version in effect.trimmed:
            stored.log.pop(version, None)
        stored.first = stored.last + 1 - len(stored.log)
        changed = find_map(effect.value)
        if changed is not None:
            self.memory.adopt(changed)
        else:
            self.memory.pairs[f"k{effect.version % 7}"] = effect.value

    def _offer(self, effect: v.Offer) -> None:
        items = sorted(self.memory.pairs.items())
        parts = [dict(items[n : n + PART_PAIRS]) for n in range(0, len(items), PART_PAIRS)]
        for number, part in enumerate(parts):
            message = v.SyncPart(effect.epoch, effect.version, number, len(parts), part)
            self._say(self.names[effect.to], message)

    def _save(self, then: Callable[[], None] = lambda: None) -> None:
        """Until it is durable nothing that comes later is done."""
        self._saving = True
        image = _copy(self.memory)
        life = self.life

        def saved() -> None:
            if life == self.life:
                self.disk, self._saving = image, False
                then()
                self.settle()

        self.cluster.later(self.cluster.rules.save_s, saved)


class Cluster:
    """All monitors, the links between them, and what must hold."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.rules = rules
        self.rng = random.Random(seed)
        self.now = 0.0
        self.cuts: set[tuple[int, int]] = set()
        self.history: dict[int, bytes] = {}  # version: the value that somebody took as committed
        self.told = 0  # the newest version that a leader has answered for
        self.answered = 0
        self.reads = 0
        self.leaders: dict[int, int] = {}  # epoch: who committed in it
        self.syncs = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.bad_weather = True
        self._newest: dict[tuple[int, int], float] = {}  # on each link: when it comes
        self.map = Map(1, tuple(range(rules.size)))  # the newest that is committed
        pairs = {_MAP: msgspec.msgpack.encode(self.map)}
        self.mons = [Mon(self, name, Disk(pairs=dict(pairs))) for name in self.map.names]
        for mon in self.mons:
            self.later(1.0, mon.boot)

    # -- time

    def later(self, longest: float, call: Callable[[], None]) -> None:
        """Call within so many seconds."""
        self._push(self.now + self.rng.uniform(0, longest), call)

    def at(self, moment: float, call: Callable[[int], None], life: int) -> None:
        """Call then."""
        self._push(max(moment, self.now), lambda: call(life))

    def _push(self, moment: float, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, call))

    def run(self, until: float) -> None:
        """All moments until then."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, call = heapq.heappop(self._heap)
            call()
        self.now = until

    # -- links

    def send(self, source: int, to: int, word: Word) -> None:
        """Perhaps it comes, perhaps twice, perhaps much later."""
        self.syncs += isinstance(word.body, v.SyncPart)
        rules, rng = self.rules, self.rng
        copies = 1
        if self.bad_weather:
            copies = 0 if rng.random() < rules.loss else 1 + (rng.random() < rules.doubled)
        for _ in range(copies):
            late = rng.random() < 0.01 and self.bad_weather
            comes = self.now + rng.uniform(0, rules.delay_s * (60 if late else 1))
            if not self.bad_weather:  # in their order, as on a stream
                comes = max(comes, self._newest.get((source, to), 0.0))
                self._newest[source, to] = comes
            self._push(comes, lambda: self._arrive(source, to, word))

    def _arrive(self, source: int, to: int, word: Word) -> None:
        if (source, to) not in self.cuts and self.mons[to].alive:
            self.mons[to].receive(source, word)
            self.check_reads()

    def isolate(self, names: set[int]) -> None:
        """Nothing passes between those and the others."""
        for one in range(len(self.mons)):
            for other in range(len(self.mons)):
                if (one in names) != (other in names):
                    self.cuts.add((one, other))

    # -- who comes and goes

    def add(self, by: Mon, name: int) -> None:
        """One more, with an empty disk, which begins with the map that `by` has, and itself in it;
        a name that is free, or that of one that was removed."""
        known = by.memory.map
        assert name not in self.map.names
        if by.may_change and name not in known.names:
            made = Map(known.epoch, (*known.names, name))
            disk = Disk(Stored(first=0, last=-1), {_MAP: msgspec.msgpack.encode(made)})
            new = Mon(self, name, disk)
            if name < len(self.mons):
                self.mons[name].crash()
                self.mons[name] = new
            else:
                self.mons.append(new)
            new.boot()
            by.propose(map_value(Map(known.epoch + 1, made.names)))

    def change(self, by: Mon, names: tuple[int, ...]) -> None:
        """One less, or other ranks."""
        if by.may_change:
            by.propose(map_value(Map(by.memory.map.epoch + 1, names)))

    # -- what must hold

    def learned(self, mon: Mon, version: int, value: bytes) -> None:
        """A monitor takes this as committed."""
        known = self.history.setdefault(version, value)
        assert known == value, f"two values of version {version}"
        changed = find_map(value)
        if changed is not None and changed.epoch > self.map.epoch:
            assert changed.epoch == self.map.epoch + 1, "a map that does not follow the last one"
            self.map = changed
        if mon.proposed == (version, value):
            other = self.leaders.setdefault(mon.term, mon.name)
            assert other == mon.name, f"two leaders commit in epoch {mon.term}"
            self.told = max(self.told, version)
            self.answered += 1
            mon.proposed = None

    def check_reads(self) -> None:
        """Whoever may answer has all that anybody was told of."""
        for mon in self.mons:
            if mon.alive and mon.machine.is_readable(mon.now) and mon.is_settled:
                self.reads += 1
                assert mon.memory.stored.last >= self.told, "a read that is out of date"

    def check_durable(self) -> None:
        """Everything that was told can be read back from the disks of any majority."""
        disks = [self.mons[name].disk.stored for name in self.map.names]
        for version in range(1, self.told + 1):
            lack = sum(not _holds(stored, version, self.history) for stored in disks)
            assert lack <= len(disks) // 2, f"version {version} may be lost"


def _holds(stored: Stored, version: int, history: dict[int, bytes]) -> bool:
    pending: Pending | None = stored.pending
    if stored.last >= version:
        return True
    return pending is not None and pending.version == version and pending.value == history[version]


def _copy(disk: Disk) -> Disk:
    stored = msgspec.structs.replace(disk.stored, log=dict(disk.stored.log))
    return Disk(stored, dict(disk.pairs))
