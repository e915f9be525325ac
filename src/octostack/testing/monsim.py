# SPDX-License-Identifier: Apache-2.0
"""Monitors that agree, under faults that a seed draws: no loop, no sockets, a heap of moments.

Messages are lost, late, out of order, doubled; links are cut, also one way; clocks differ a little;
a crash loses whatever was not saved, at any place among a machine's effects. A disk takes its time.
Unless the weather is bad, links are as streams: whole and in order.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable

import msgspec

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.machine import Machine
from octostack.engines.ceph.mon.core.paxos.values import Effect, Pending, Role, Stored, Times

PART_PAIRS = 3
_TICK_S = 1e-4  # moments are a little late, as they are with any clock


class Rules(msgspec.Struct, frozen=True):
    """The size of things; times are seconds."""

    size: int = 3
    delay_s: float = 0.05
    save_s: float = 0.02
    loss: float = 0.02
    doubled: float = 0.02
    drift_s: float = 0.02
    times: Times = Times(0.3, 1.0, 0.5, 0.1, 0.05)


class Disk(msgspec.Struct):
    """What survives: the machine's part, and what all values applied come to."""

    stored: Stored = msgspec.field(default_factory=Stored)
    pairs: dict[str, bytes] = {}


class Mon:
    """One monitor; `disk` is what a crash leaves."""

    def __init__(self, cluster: "Cluster", rank: int) -> None:
        self.cluster = cluster
        self.rank = rank
        self.disk = Disk()
        self.memory = Disk()  # as the disk, and what is to be saved with the next thing
        self.alive = False
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

    def boot(self) -> None:
        """Start from the disk."""
        self.alive, self._saving, self._due = True, False, float("inf")
        self.life += 1
        self._effects.clear()
        self.proposed = None
        self.memory = _copy(self.disk)
        rules = self.cluster.rules
        stored = _copy(self.disk).stored
        self.machine = Machine(self.rank, rules.size, stored, rules.times, self.now)
        self.machine.start(self.now)
        self.settle()

    def crash(self) -> None:
        """Lose all but what is on the disk."""
        self.alive = False
        self.life += 1

    def receive(self, source: int, message: v.Message) -> None:
        """A message came."""
        self.machine.receive(self.now, source, message)
        self.settle()

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
        if self.alive:
            self.machine.suspect(self.now, unreachable - {self.rank})
            self.settle()

    def propose(self, value: bytes) -> None:
        """As a leader, if it is one that may."""
        if self.alive and self.machine.is_writable(self.now):
            self.proposed, self.term = (self.machine.last + 1, value), self.machine.epoch
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
        due = self.machine.next_tick
        if due < self._due:
            self._due = due
            self.cluster.at(due - self.skew + _TICK_S, self.tick, self.life)

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
                self.cluster.send(self.rank, effect.to, effect.message)
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
        self.memory.pairs[f"k{effect.version % 7}"] = effect.value

    def _offer(self, effect: v.Offer) -> None:
        items = sorted(self.memory.pairs.items())
        parts = [dict(items[n : n + PART_PAIRS]) for n in range(0, len(items), PART_PAIRS)]
        for number, part in enumerate(parts):
            message = v.SyncPart(effect.epoch, effect.version, number, len(parts), part)
            self.cluster.send(self.rank, effect.to, message)

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
        self.mons = [Mon(self, rank) for rank in range(rules.size)]
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

    def send(self, source: int, to: int, message: v.Message) -> None:
        """Perhaps it comes, perhaps twice, perhaps much later."""
        self.syncs += isinstance(message, v.SyncPart)
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
            self._push(comes, lambda: self._arrive(source, to, message))

    def _arrive(self, source: int, to: int, message: v.Message) -> None:
        if (source, to) not in self.cuts and self.mons[to].alive:
            self.mons[to].receive(source, message)
            self.check_reads()

    def isolate(self, ranks: set[int]) -> None:
        """Nothing passes between those and the others."""
        for one in range(self.rules.size):
            for other in range(self.rules.size):
                if (one in ranks) != (other in ranks):
                    self.cuts.add((one, other))

    # -- what must hold

    def learned(self, mon: Mon, version: int, value: bytes) -> None:
        """A monitor takes this as committed."""
        known = self.history.setdefault(version, value)
        assert known == value, f"two values of version {version}"
        if mon.proposed == (version, value):
            other = self.leaders.setdefault(mon.term, mon.rank)
            assert other == mon.rank, f"two leaders commit in epoch {mon.term}"
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
        for version in range(1, self.told + 1):
            holders = [mon for mon in self.mons if _holds(mon.disk.stored, version, self.history)]
            assert len(holders) > self.rules.size // 2, f"version {version} may be lost"


def _holds(stored: Stored, version: int, history: dict[int, bytes]) -> bool:
    pending: Pending | None = stored.pending
    if stored.last >= version:
        return True
    return pending is not None and pending.version == version and pending.value == history[version]


def _copy(disk: Disk) -> Disk:
    stored = msgspec.structs.replace(disk.stored, log=dict(disk.stored.log))
    return Disk(stored, dict(disk.pairs))
