# SPDX-License-Identifier: Apache-2.0
"""OSDs with one replicated group between them, under faults that a seed draws.

No loop and no clock: a heap of moments. Messages between two living OSDs keep their order and are
never lost, but take their time; a cut makes them wait, until it heals or the map says that one of
the two is down. A crash loses what the store had not committed. Monitors are one object that is
always right about what it decided, and often wrong about who lives.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from octostack.engines.ceph.osd.core.values import Message, View
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.replicated import Replica, load_record
from octostack.engines.ceph.osd.requests import OpReply, OpRequest
from octostack.wire.ceph.objects import PG, HObject, ShardPG

WHERE = ShardPG(PG(1, 0))
Link = tuple[int, int, int, int]  # from, to, and which life of each


class Rules(msgspec.Struct, frozen=True):
    """The size of things."""

    osds: int = 5
    size: int = 3
    min_size: int = 2
    delay: int = 20  # of a message, at most
    commit: int = 15  # of a disk, at most
    log_entries: int = 3000  # that a copy remembers; few make for backfills
    noticed: int = 150  # until a dead OSD is taken for dead, at most


class Osd:
    """One daemon, living or not; its disk survives."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.store = MemoryStore(by_hand=True)
        self.alive = False
        self.life = 0
        self.epoch = 0
        self.replica: Replica | None = None
        self._early: list[tuple[int, Callable[[], None]]] = []
        self._homeless: list[tuple[OpRequest, Callable[[OpReply], None]]] = []
        self._committing = False

    # -- life

    def boot(self) -> None:
        """Start from the disk."""
        self.alive, self.replica = True, None
        self.life += 1
        self._early = []
        views = self.cluster.views
        if self.life == 1:
            self.epoch = 1
            if self.number in views[1].up:
                self.replica = self._make(views[1])
                self.replica.start(*views[2:], created=1)
        else:
            self.cluster.mon_boot(self.number)
            if WHERE in self.store.collections():
                interval = load_record(self.store, WHERE).info.interval
                if interval:
                    self.replica = self._make(views[interval])
                    self.replica.start(*views[interval + 1 :])
        self.epoch = views[-1].epoch
        self.settle()

    def crash(self) -> None:
        """Lose all but what is on the disk."""
        self.alive, self.replica = False, None
        self._homeless = []
        self.life += 1
        self.store.crash()

    def advance(self, *views: View) -> None:
        """The next epochs of the map."""
        views = tuple(view for view in views if view.epoch > self.epoch)
        if not views:
            return
        self.epoch = views[-1].epoch
        if self.replica is not None:
            self.replica.advance(*views)
        early, self._early = self._early, []
        for epoch, call in early:
            self.when(epoch, call)
        self.settle()

    def when(self, epoch: int, call: Callable[[], None]) -> None:
        """Call at once, or as soon as this epoch of the map is here."""
        if epoch > self.epoch:
            self._early.append((epoch, call))
        else:
            call()
            self.settle()

    # -- messages

    def receive(self, source: int, message: Message) -> None:
        """From another OSD."""
        self.when(message.epoch, lambda: self._receive(source, message))

    def _receive(self, source: int, message: Message) -> None:
        if self.replica is None:
            views = self.cluster.views
            epoch = self.epoch
            while epoch > 1 and views[epoch - 1].same_interval(views[epoch]):
                epoch -= 1
            if message.epoch < epoch or type(message).__name__ == "Forget":
                return
            self.replica = self._make(views[epoch])
            self.replica.start(*views[epoch + 1 : self.epoch + 1], told=message)
        self.replica.receive(source, message)

    def submit(self, request: OpRequest, reply: Callable[[OpReply], None]) -> None:
        """From a client."""
        if self.replica is not None:
            self.replica.submit(request, reply)
        else:  # primary of a group that has yet to come here
            self._homeless.append((request, reply))

    def _make(self, view: View) -> Replica:
        if WHERE not in self.store.collections():
            self.store.queue([[api.CreateCollection(WHERE)]])
        replica = Replica(self.number, Place(self.store, WHERE), self, view)
        replica.log_entries_max = self.cluster.rules.log_entries
        homeless, self._homeless = self._homeless, []
        for request, reply in homeless:
            self.cluster.later(1, replica.submit, request, reply)
        return replica

    def settle(self) -> None:
        """Let the disk commit some of what waits, later."""
        if self.store.waiting and not self._committing:
            self._committing = True
            self.cluster.later(self.cluster.rules.commit, self._commit, self.life)

    def _commit(self, life: int) -> None:
        self._committing = False
        if life == self.life:
            self.store.commit(self.cluster.rng.randint(1, max(1, self.store.waiting)))
        self.settle()

    # -- what a replica asks for (`replicated.Links`)

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        """To another OSD."""
        self.cluster.send(self.number, osd, message)

    def want_up_thru(self, epoch: int) -> None:
        """Of the monitors."""
        self.cluster.tell_mon(self.number, lambda: self.cluster.mon_alive(self.number, epoch))

    def want_acting(self, where: ShardPG, osds: tuple[int, ...]) -> None:
        """Of the monitors."""
        asked = self.epoch
        self.cluster.tell_mon(self.number, lambda: self.cluster.mon_acting(asked, osds))

    def forgotten(self, where: ShardPG) -> None:
        """The copy is gone."""
        self.replica = None


class Cluster:
    """OSDs, links, monitors and the heap of moments."""

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.rng = random.Random(seed)
        self.now = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._last: dict[Any, int] = {}  # when the last message of a link arrives
        self.cuts: set[frozenset[int]] = set()
        self._held: list[Link] = []  # a message of each waits for the end of a cut
        self._under_way: dict[Link, deque[Message]] = {}
        self.osds = [Osd(self, n) for n in range(self.rules.osds)]
        self.order = self.rng.sample(range(self.rules.osds), self.rules.osds)
        self.out: set[int] = set()
        self.up: dict[int, int] = dict.fromkeys(range(self.rules.osds), 1)  # osd: up_from
        self.up_thru: dict[int, int] = {}
        self.temp: tuple[int, ...] = ()
        self.views: list[View] = []
        self.watchers: list[Callable[[], None]] = []
        self._append_view()
        self._append_view()

    # -- time

    def later(self, longest: int, call: Callable[..., None], *args: Any) -> int:
        """Call within `longest`; when."""
        return self._at(self.now + self.rng.randint(1, longest), call, *args)

    def _at(self, moment: int, call: Callable[..., None], *args: Any) -> int:
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, lambda: call(*args)))
        return moment

    def step(self) -> bool:
        """The next moment; False when nothing is to come."""
        if not self._heap:
            return False
        self.now, _, call = heapq.heappop(self._heap)
        call()
        return True

    def run(self, until: int) -> None:
        """All moments until then."""
        while self._heap and self._heap[0][0] <= until:
            self.step()
        self.now = max(self.now, until)

    # -- links

    def send(self, source: int, target: int, message: Message) -> None:
        """Once, in order; void when either dies before it comes."""
        link = (source, target, self.osds[source].life, self.osds[target].life)
        self._under_way.setdefault(link, deque()).append(message)
        self.in_order(link, lambda: self._deliver(link))

    def _deliver(self, link: Link) -> None:
        """The oldest message of the link arrives, unless it is cut."""
        source, target, *lives = link
        waiting = self._under_way.get(link)
        if not waiting or lives != [self.osds[source].life, self.osds[target].life]:
            return
        if frozenset((source, target)) in self.cuts:
            self._held.append(link)
        elif self.osds[target].alive:
            self.osds[target].receive(source, waiting.popleft())

    def in_order(self, link: Any, call: Callable[[], None]) -> None:
        """Call later, after what went over the link before."""
        moment = self.now + self.rng.randint(1, self.rules.delay)
        self._last[link] = max(moment, self._last.get(link, 0))
        self._at(self._last[link], call)

    def heal(self) -> None:
        """All cuts are over."""
        self.cuts.clear()
        held, self._held = self._held, []
        for link in held:
            self.in_order(link, lambda link=link: self._deliver(link))  # type: ignore[misc]

    # -- monitors

    def _append_view(self) -> None:
        size, epoch = self.rules.size, len(self.views)
        chosen = [osd for osd in self.order if osd not in self.out][:size]
        up = tuple(osd for osd in chosen if osd in self.up)
        acting = tuple(osd for osd in self.temp if osd in self.up) or up
        primary = acting[0] if acting else -1
        self.views.append(
            View(
                epoch,
                up,
                acting,
                primary,
                size,
                self.rules.min_size,
                frozenset(self.up),
                dict(self.up),
                dict(self.up_thru),
            )
        )

    def publish(self) -> None:
        """The next epoch, to everyone."""
        self._append_view()
        for osd in self.osds:
            self._share(osd)
        for watcher in self.watchers:
            watcher()

    def _share(self, osd: Osd) -> None:
        life, views = osd.life, self.views[:]

        def arrive() -> None:
            if osd.alive and osd.life == life:
                osd.advance(*views[max(1, osd.epoch + 1) :])
                if osd.number not in self.views[osd.epoch].alive:
                    self.tell_mon(osd.number, lambda: self._mon_back(osd.number))

        self.in_order(("map", osd.number), arrive)

    def tell_mon(self, osd: int, call: Callable[[], None]) -> None:
        """A message to the monitors."""
        life = self.osds[osd].life

        def arrive() -> None:
            if self.osds[osd].life == life:
                call()

        self.in_order(("mon", osd), arrive)

    def mon_boot(self, osd: int) -> None:
        """An OSD says that it is up: it was down before, whatever was believed."""
        if osd in self.up:
            del self.up[osd]
            self.publish()
        self.up[osd] = len(self.views)
        self.publish()

    def _mon_back(self, osd: int) -> None:
        """One that was wrongly taken for dead says so."""
        if osd not in self.up:
            self.mon_boot(osd)

    def mon_down(self, osd: int) -> None:
        """The monitors take it for dead, rightly or not."""
        if osd in self.up:
            del self.up[osd]
            for link in [link for link in self._held if osd in link[:2]]:
                self._under_way[link].clear()
            self._held = [link for link in self._held if osd not in link[:2]]
            self.publish()

    def mon_alive(self, osd: int, epoch: int) -> None:
        """Note that it is up."""
        if osd in self.up and self.up_thru.get(osd, 0) < epoch:
            self.up_thru[osd] = epoch
            self.publish()

    def mon_acting(self, asked: int, osds: tuple[int, ...]) -> None:
        """Note who shall act."""
        if not self.views[asked].same_interval(self.views[-1]) or self.temp == osds:
            return
        self.temp = osds
        self.publish()

    # -- faults

    def kill(self, number: int) -> None:
        """Crash it; the monitors hear of it in time, if it has not come back."""
        osd = self.osds[number]
        if not osd.alive:
            return
        osd.crash()
        life = osd.life

        def notice() -> None:
            if osd.life == life:
                self.mon_down(number)

        self.later(self.rules.noticed, notice)

    def revive(self, number: int) -> None:
        """Start it again."""
        if not self.osds[number].alive:
            self.osds[number].boot()


def content(osd: Osd) -> dict[HObject, Any]:
    """All that an OSD's copy has."""
    store = osd.store
    return {
        what: (
            store.read(WHERE, what),
            dict(store.attrs(WHERE, what)),
            dict(store.omap_list(WHERE, what)),
            store.omap_header(WHERE, what),
        )
        for what in store.list_objects(WHERE)
        if what.name
    }
