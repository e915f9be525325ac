# SPDX-License-Identifier: Apache-2.0
"""OSDs with one group between them, or as many as it is split into, under faults that a seed draws.

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

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.osd.copies import Copies
from octostack.engines.ceph.osd.core import allowance
from octostack.engines.ceph.osd.core.members import member_of, osd_of, shard_of
from octostack.engines.ceph.osd.core.scrub.values import Result
from octostack.engines.ceph.osd.core.shards.layout import layout_of
from octostack.engines.ceph.osd.core.values import Message, View
from octostack.engines.ceph.osd.epochs import Epoch
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.requests import OpReply, OpRequest
from octostack.testing.damage import DamagedStore
from octostack.wire.ceph.objects import PG, HObject, ShardPG

WHERE = ShardPG(PG(1, 0))
UNIT = 16  # bytes of a stripe that go to a shard
_NOTE = HObject(b"settled", pool=-1)
Sent = tuple[ShardPG, Message]  # to whose copy of the group
Link = tuple[int, int, int, int]  # from, to, and the address of each


class Rules(msgspec.Struct, frozen=True):
    """The size of things."""

    osds: int = 5
    size: int = 3
    min_size: int = 2
    delay: int = 20  # of a message, at most
    commit: int = 15  # of a disk, at most
    recovered: int = 3  # objects at a time, of an OSD
    log_entries: int = 3000  # that a copy remembers; few make for backfills
    noticed: int = 150  # until a dead OSD is taken for dead, at most
    k: int = 1  # shards of data, of `size`; 1: whole copies
    unseen: bool = False  # nobody saw the group come to be


class Osd:
    """One daemon, living or not; its disk survives."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.store = DamagedStore()
        self.alive = False
        self.life = 0
        self.address = 0
        self.is_up = False
        self.copies = Copies(number, self.store, self)
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._committing = False

    @property
    def epoch(self) -> int:
        """Of the map that it has."""
        return self.copies.epoch

    @property
    def replica(self) -> Replica | None:
        """Its copy of the first group; if it is the primary, the one that serves."""
        return self.replica_of(WHERE.pg)

    def replica_of(self, pg: PG) -> Replica | None:
        """The same of any group."""
        primary = self.cluster.view_of(pg).primary
        if osd_of(primary) == self.number:
            return self.copies.held.get(ShardPG(pg, shard_of(primary)))
        return next((one for where, one in self.copies.held.items() if where.pg == pg), None)

    # -- life

    def boot(self) -> None:
        """Start from the disk."""
        self.alive = True
        self.life += 1
        self._waiting = []
        self.copies = Copies(self.number, self.store, self)
        self.copies.log_entries_max = self.cluster.rules.log_entries
        self.copies.allowance.follow(allowance.Rules(objects_max=self.cluster.rules.recovered))
        self.copies.allowance.rest = self._rest
        self.cluster.mon_boot(self.number)
        self.copies.begin(*self.cluster.epochs[self._settled() :])
        self.is_up = True
        self._note()
        if self.cluster.rules.unseen:
            self._seek(self.life)

    def _seek(self, life: int) -> None:
        if self.alive and self.life == life:
            self.copies.seek()
            self.cluster.later(60, self._seek, life)

    def _rest(self, go_on: Callable[[], None]) -> None:
        """Recovery goes on a little later."""
        life = self.life
        self.cluster.later(5, lambda: go_on() if life == self.life else None)

    def _settled(self) -> int:
        """The epoch that all copies on the disk have noted."""
        if not self.store.exists(api.META, _NOTE):
            self.store.queue([[api.CreateCollection(api.META)]])
            return 2 if self.cluster.rules.unseen else 1
        return int.from_bytes(self.store.read(api.META, _NOTE), "big")

    def _note(self) -> None:
        data = self.epoch.to_bytes(4, "big")
        self.store.queue([[api.Write(api.META, _NOTE, 0, data)]])
        self.settle()

    def crash(self) -> None:
        """Lose all but what is on the disk."""
        self.alive = False
        self.life += 1
        self.store.crash()

    def advance(self, *epochs: Epoch) -> None:
        """The next epochs of the map."""
        new = [epoch for epoch in epochs if epoch.number > self.epoch]
        if not new:
            return
        self.copies.advance(*new)
        self._note()
        waiting, self._waiting = self._waiting, []
        for epoch, call in waiting:
            self.when(epoch, call)

    def when(self, epoch: int, call: Callable[[], None]) -> None:
        """Call at once, or as soon as this epoch of the map is here."""
        if epoch > self.epoch:
            self._waiting.append((epoch, call))
        else:
            call()
            self.settle()

    def must_rebind(self) -> bool:
        """Whether the map takes it for dead: what was said to its old address is void then."""
        was_up, self.is_up = (
            self.is_up,
            self.cluster.addresses[self.epoch].get(self.number) == self.address,
        )
        return was_up and not self.is_up

    # -- messages

    def receive(self, source: int, address: int, sent: Sent) -> None:
        """From another OSD; one that the map does not have there (any more) is not heard."""
        where, message = sent
        known = self.cluster.addresses[self.epoch].get(source)
        if message.epoch > self.epoch or known == address:
            self.copies.receive(source, where, message)
            self.settle()

    def submit(self, request: OpRequest, reply: Callable[[OpReply], None]) -> None:
        """From a client, about the group that the map has the object in."""
        groups = self.copies.groups_of(WHERE.pg.pool)
        self.copies.submit(group_of(request.object, groups), request, reply)

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

    # -- what copies ask for (`replicated.Links`)

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        """To another OSD."""
        self.cluster.send(self, osd, (where, message))

    def want_up_thru(self, epoch: int) -> None:
        """Of the monitors."""
        self.cluster.tell_mon(self.number, lambda: self.cluster.mon_alive(self.number, epoch))

    def want_acting(self, where: ShardPG, osds: tuple[int, ...]) -> None:
        """Of the monitors."""
        asked = self.epoch
        self.cluster.tell_mon(self.number, lambda: self.cluster.mon_acting(asked, where.pg, osds))

    def interval_began(self, where: ShardPG, *, dropped: bool) -> None:
        """Clients of the simulation look at the map."""

    def pace(self, go_on: Callable[[], None]) -> None:
        """A scrub goes on a little later."""
        self.cluster.later(10, go_on)

    def scrubbed(self, where: ShardPG, result: Result) -> None:
        """Nobody reads it here: tests look at `Replica.found`."""

    def forgotten(self, where: ShardPG) -> None:
        """The copy is gone."""

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        """There is but one group."""
        raise AssertionError(f"nobody copies {source}")


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
        self._under_way: dict[Link, deque[Sent]] = {}
        self.osds: list[Osd] = []
        self.order = self.rng.sample(range(self.rules.osds), self.rules.osds)
        self.out: set[int] = set()
        self.up: dict[int, int] = {}  # osd: up_from
        self.up_thru: dict[int, int] = {}
        self.temp: dict[PG, tuple[int, ...]] = {}
        self.epochs = [Epoch(0), Epoch(1)]  # without the group
        self.addresses: list[dict[int, int]] = [{}, {}]  # where each OSD is, of each epoch
        self._here: dict[int, int] = {}
        self._address = 0
        self.watchers: list[Callable[[], None]] = []
        self.facts = PoolFacts()
        if self.rules.k > 1:
            profile = {"k": str(self.rules.k), "m": str(self.rules.size - self.rules.k)}
            self.facts = PoolFacts(layout=layout_of(profile, UNIT))
        for number in range(self.rules.osds):
            osd = Osd(self, number)
            self.osds.append(osd)
            self.give_address(osd)
            self.up[number] = 2
            self._here[number] = osd.address
        self._append_epoch()

    # -- time

    def later(self, longest: int, call: Callable[..., None], *args: Any) -> int:
        """Call within `longest`; when."""
        return self.at(self.now + self.rng.randint(1, longest), call, *args)

    def at(self, moment: int, call: Callable[..., None], *args: Any) -> int:
        """Call at this moment; which it is."""
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

    def give_address(self, osd: Osd) -> None:
        """A new one, which nobody knows yet."""
        self._address += 1
        osd.address = self._address

    def send(self, source: Osd, target: int, message: Sent) -> None:
        """Once, in order, to where the sender's map has it; void when it is not there any more."""
        address = self.addresses[source.epoch].get(target)
        if address is None:
            return
        link = (source.number, target, source.address, address)
        self._under_way.setdefault(link, deque()).append(message)
        self.in_order(link, lambda: self._deliver(link))

    def _deliver(self, link: Link) -> None:
        """The oldest message of the link arrives, unless it is cut."""
        source, target, ours, theirs = link
        waiting = self._under_way.get(link)
        osd = self.osds[target]
        if not waiting or osd.address != theirs or self.osds[source].address != ours:
            return
        if frozenset((source, target)) in self.cuts:
            self._held.append(link)
        elif osd.alive:
            osd.receive(source, ours, waiting.popleft())

    def in_order(self, link: Any, call: Callable[[], None]) -> None:
        """Call later, after what went over the link before."""
        moment = self.now + self.rng.randint(1, self.rules.delay)
        self._last[link] = max(moment, self._last.get(link, 0))
        self.at(self._last[link], call)

    def heal(self) -> None:
        """All cuts are over."""
        self.cuts.clear()
        held, self._held = self._held, []
        for link in held:
            self.in_order(link, lambda link=link: self._deliver(link))  # type: ignore[misc]

    # -- monitors

    @property
    def views(self) -> list[View]:
        """The first group, in each epoch that has it."""
        return [epoch.views[WHERE.pg] for epoch in self.epochs[2:]]

    @property
    def view(self) -> View:
        """The first group now."""
        return self.view_of(WHERE.pg)

    def view_of(self, pg: PG) -> View:
        """Any group now."""
        return self.epochs[-1].views[pg]

    @property
    def groups(self) -> list[PG]:
        """All there are."""
        return [PG(WHERE.pg.pool, seed) for seed in range(self.facts.pg_num)]

    def grow(self, groups: int) -> None:
        """Split the group into so many, which are placed by themselves at once."""
        self.facts = msgspec.structs.replace(self.facts, pg_num=groups)
        self.publish()

    def _append_epoch(self) -> None:
        views = {pg: self._view_in(len(self.epochs), pg) for pg in self.groups}
        noted = {osd: self.up.get(osd, 0) for osd in self.up_thru}
        facts = {WHERE.pg.pool: self.facts}
        self.epochs.append(Epoch(len(self.epochs), views, facts, noted))
        self.addresses.append({osd: self._here[osd] for osd in self.up})

    def _view_in(self, epoch: int, pg: PG) -> View:
        size, turn = self.rules.size, pg.seed % len(self.order)
        order = self.order[turn:] + self.order[:turn]
        chosen = [osd for osd in order if osd not in self.out][:size]
        alive = self.up
        if self.rules.k > 1:
            alive = {member_of(osd, n): at for osd, at in self.up.items() for n in range(size)}
            chosen = self._place_shards(order)
        up = tuple(member for member in chosen if member in alive)
        acting = tuple(member for member in self.temp.get(pg, ()) if member in alive) or up
        thru = {member: self.up_thru.get(osd_of(member), 0) for member in alive}
        return View(
            epoch,
            up,
            acting,
            acting[0] if acting else -1,
            size,
            self.rules.min_size,
            frozenset(alive),
            dict(alive),
            thru,
            self.facts.pg_num,
            k=self.rules.k,
        )

    def _place_shards(self, order: list[int]) -> list[int]:
        """Each shard keeps its place, unless its OSD is out; a spare one takes that."""
        size = self.rules.size
        places, spare = order[:size], [o for o in order[size:] if o not in self.out]
        for shard, osd in enumerate(places):
            if osd in self.out and spare:
                places[shard] = spare.pop(0)
        return [member_of(osd, n) for n, osd in enumerate(places) if osd not in self.out]

    def publish(self) -> None:
        """The next epoch, to everyone."""
        self._append_epoch()
        for osd in self.osds:
            self._share(osd)
        for watcher in self.watchers:
            watcher()

    def _share(self, osd: Osd) -> None:
        life, count = osd.life, len(self.epochs)

        def arrive() -> None:
            if osd.alive and osd.life == life:
                osd.advance(*self.epochs[osd.epoch + 1 : count])
                if osd.must_rebind():
                    self.give_address(osd)
                    self.tell_mon(osd.number, lambda: self.mon_boot(osd.number))

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
        if self._here[osd] == self.osds[osd].address and osd in self.up:
            return
        if osd in self.up:
            del self.up[osd]
            self.publish()
        self.up[osd] = len(self.epochs)
        self._here[osd] = self.osds[osd].address
        self.publish()

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

    def mon_acting(self, asked: int, pg: PG, osds: tuple[int, ...]) -> None:
        """Note who shall act."""
        then = self.epochs[asked].views[pg]
        if not then.same_interval(self.view_of(pg)) or self.temp.get(pg, ()) == osds:
            return
        self.temp[pg] = osds
        self.publish()

    # -- faults

    def kill(self, number: int) -> None:
        """Crash it; the monitors hear of it in time, if it has not come back."""
        osd = self.osds[number]
        if not osd.alive:
            return
        osd.crash()
        self.give_address(osd)
        life = osd.life

        def notice() -> None:
            if osd.life == life:
                self.mon_down(number)

        self.later(self.rules.noticed, notice)

    def revive(self, number: int) -> None:
        """Start it again."""
        if not self.osds[number].alive:
            self.osds[number].boot()


def group_of(what: HObject, groups: int) -> PG:
    """The group that an object is in when there are so many."""
    return PG(WHERE.pg.pool, pools.stable_mod(what.hash, groups, pools.mask(groups)))
