# SPDX-License-Identifier: Apache-2.0
"""All copies of groups on one OSD: which there are, and what reaches them.

Every epoch of the map goes to every copy, none left out; a message waits for the epoch it was sent
in. A copy comes to be in three ways: it is found on the disk; the group itself is new (its pool was
made in an epoch that was seen, and nobody can have taken a write since; or nobody has a copy, see
`seeking`); or another copy speaks of the group, and thereby tells of its past.

On a restart the copies go on from the epoch they had all noted (`settled`): `begin` is given that
one and all that came since, and only once the map has this process as up, so that nobody mistakes
it for the one before.
"""

from collections.abc import Callable
from importlib import import_module

import msgspec

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.osd import records
from octostack.engines.ceph.osd.core import choosing
from octostack.engines.ceph.osd.core.allowance import Allowance
from octostack.engines.ceph.osd.core.members import member_of, osd_of, shard_of
from octostack.engines.ceph.osd.core.reserving import Places
from octostack.engines.ceph.osd.core.scrub.values import Result
from octostack.engines.ceph.osd.core.shards.recent import Recent
from octostack.engines.ceph.osd.core.values import (
    Activate,
    Message,
    Nothing,
    Notify,
    Query,
    Seek,
    View,
)
from octostack.engines.ceph.osd.epochs import Epoch
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.replicated import Links, Replica
from octostack.engines.ceph.osd.requests import OpRequest, Reply
from octostack.engines.ceph.osd.seeking import Seeking
from octostack.engines.ceph.osd.splitting import list_children, plan_split
from octostack.wire.ceph.objects import PG, ShardPG

_SHARDED = "octostack.engines.ceph.osd.sharded"  # brings numpy: only who has shards loads it
HOMELESS_MAX = 1024  # requests for groups that have yet to come here


class _Seen(msgspec.Struct):
    """A group as the last epoch has it."""

    first: int  # epoch of the interval, as far as is known
    view: View
    created: int  # the epoch the group is new from, while nobody can have taken a write; or 0
    served: ShardPG | None  # our copy, where it is the primary
    served_since: int  # that primary is, without a break; an epoch before which it was not


class Copies:
    """See the module's essay."""

    def __init__(self, me: int, store: api.ObjectStore, links: Links) -> None:
        self.me = me
        self.store = store
        self.links = links
        self.allowance = Allowance()
        self.own_places, self.others_places = Places(), Places()
        self.recent = Recent()
        self.epoch = 0
        self.held: dict[ShardPG, Replica] = {}
        self._seen: dict[PG, _Seen] = {}
        self._asleep: dict[ShardPG, int] = {}  # on the disk, and the epoch to begin with
        self._now = Epoch(0)
        self._early: list[tuple[int, ShardPG, Message]] = []
        self._homeless: dict[PG, list[tuple[OpRequest, Reply]]] = {}
        self._seeking = Seeking(me, links.send)
        self.log_entries_max = 0  # other than the usual

    # -- maps

    def begin(self, *epochs: Epoch, gap: int = 0) -> None:
        """Start what the disk has: the first epoch is the one that all copies on it had noted.

        Epochs before `gap` are missing. What has happened in them others must tell: until then a
        copy that knows only older ones stays on the disk. Where there are no others, we are the
        only one who can have taken writes.
        """
        last = epochs[-1]
        for where in list(self.store.collections()):
            record = records.load_record(self.store, where)
            interval = record.info.interval
            if where.pg.pool < 0:
                continue
            if where.pg not in last.views or not (interval or record.log.entries):
                self.store.queue([[api.RemoveCollection(where)]])  # of no group, or never begun
            elif interval >= gap or last.views[where.pg].size == 1:
                self._asleep[where] = max(interval, gap)
        self.advance(*epochs)

    def lost_track(self, epoch: Epoch) -> None:
        """Epochs are missing before this one."""
        self._seen.clear()
        for replica in self.held.values():
            replica.stop()
            self.links.interval_began(replica.place.collection, dropped=True)
        self.held.clear()
        self._now = Epoch(0)
        self.begin(epoch, gap=epoch.number)

    def advance(self, *epochs: Epoch) -> None:
        """The next epochs of the map."""
        todo: list[Epoch] = []
        before = self._now
        for epoch in epochs:
            grown = _list_grown(before, epoch)
            if grown:
                self._advance(todo, {})
                todo = []
                self._advance([epoch], grown)
            else:
                todo.append(epoch)
            before = epoch
        self._advance(todo, {})
        self._settle()

    def _advance(self, epochs: list[Epoch], grown: dict[int, int]) -> None:
        """Take all copies on. Only a single epoch may have pools that have `grown`, given with
        the number of groups that they had."""
        for epoch in epochs:
            self._look(epoch)
        for where, replica in list(self.held.items()):
            views = [epoch.views[where.pg] for epoch in epochs if where.pg in epoch.views]
            old = grown.get(where.pg.pool)
            if where.pg not in self._now.views:
                replica.remove()
            elif old is not None and list_children(where, old, self._groups(where)):
                self._split(replica, old)
            elif views:
                replica.group.pool = self._now.pools[where.pg.pool]
                replica.advance(*views)
        if epochs:
            self._wake(epochs)

    def _wake(self, epochs: list[Epoch]) -> None:
        """Go on with copies on the disk that knew one of these epochs, or the one before."""
        for where, interval in list(self._asleep.items()):
            views = [
                epoch.views[where.pg]
                for epoch in epochs
                if epoch.number >= interval and where.pg in epoch.views
            ]
            if views:
                del self._asleep[where]
                self._make(where, views[0]).start(*views[1:])

    def _split(self, replica: Replica, old: int) -> None:
        """The copy's pool has more groups than the `old` number, some of which were in it."""
        where, view, now = replica.place.collection, replica.peering.view, self._now
        replica.stop()
        self.links.interval_began(where, dropped=True)
        plan = plan_split(self.store, where, old, self._groups(where))
        if plan:
            self.store.queue([plan])
        for one in (where, *list_children(where, old, self._groups(where))):
            if self._asleep.get(one, 0) < now.number:  # else it knows already
                self._asleep.pop(one, None)
                self._make(one, view).start(now.views[one.pg])

    def groups_of(self, pool: int) -> int:
        """How many there are of a pool, in the last epoch that is here."""
        return self._now.pools[pool].pg_num

    def _groups(self, where: ShardPG) -> int:
        return self.groups_of(where.pg.pool)

    def _look(self, epoch: Epoch) -> None:
        """Note what has become of each group."""
        knows_before = self.epoch == epoch.number - 1 and self.epoch > 0
        for pg, view in epoch.views.items():
            seen = self._seen.get(pg)
            if seen is None:
                created = self._created(pg, epoch) if knows_before else 0
                since = view.up_from.get(view.primary, 0)
                served = self._served(pg, view)
                self._seen[pg] = _Seen(epoch.number, view, created, served, since)
                continue
            if not seen.view.same_interval(view):
                if seen.created and choosing.may_have_written(seen.first, seen.view):
                    seen.created = 0
                seen.first = epoch.number
            if seen.view.primary != view.primary:
                seen.served_since = epoch.number
            seen.view, seen.served = view, self._served(pg, view)
        for pg in self._seen.keys() - epoch.views.keys():
            del self._seen[pg]
        self._now, self.epoch = epoch, epoch.number

    def _served(self, pg: PG, view: View) -> ShardPG | None:
        is_ours = osd_of(view.primary) == self.me
        return ShardPG(pg, shard_of(view.primary)) if is_ours else None

    def _created(self, pg: PG, epoch: Epoch) -> int:
        """Of a group that has come to be with this epoch: what `_Seen` says. One that was split
        from another is as old as that."""
        before = self._now.pools.get(pg.pool)
        if before is None:
            return epoch.number
        parent = self._seen.get(pools.ancestor(pg, before.pg_num))
        return parent.created if parent is not None else 0

    def _settle(self) -> None:
        """Make the groups that are new, and go on with what waited for the map."""
        for pg, seen in self._seen.items():
            ours = [member for member in seen.view.acting if osd_of(member) == self.me]
            for where in [ShardPG(pg, shard_of(member)) for member in ours if seen.created]:
                if where not in self.held:
                    self._make(where, seen.view, seen.first).start(created=seen.created)
        for pg in list(self._homeless):
            known = self._seen.get(pg)
            if known is None or osd_of(known.view.primary) != self.me:
                del self._homeless[pg]
                self.links.interval_began(ShardPG(pg), dropped=True)
        early, self._early = self._early, []
        for source, where, message in early:
            self.receive(source, where, message)

    def seek(self) -> None:
        """To be called every second or so: find out whether groups that nobody spoke of are new."""
        on_disk = {where.pg for where in self.store.collections()}
        wanted = {
            ShardPG(pg, shard_of(seen.view.primary)): seen.first
            for pg, seen in self._seen.items()
            if osd_of(seen.view.primary) == self.me and pg not in on_disk
        }
        for where in self._seeking.follow(self._now, wanted):
            seen = self._seen[where.pg]
            self._make(where, seen.view, seen.first).start(created=seen.first)

    def remember(self, entries: int) -> None:
        """How many changes a copy's log remembers."""
        if entries != self.log_entries_max:
            self.log_entries_max = entries
            for replica in self.held.values():
                replica.log_entries_max = entries

    def partners(self) -> set[int]:
        """The OSDs that have groups in common with us."""
        views = (replica.peering.view for replica in self.held.values())
        return {osd_of(one) for view in views for one in (*view.up, *view.acting)} - {self.me}

    # -- messages

    def receive(self, source: int, where: ShardPG, message: Message) -> None:
        """From the copy on another OSD."""
        if message.epoch > self.epoch:
            self._early.append((source, where, message))
            return
        if isinstance(message, Seek):
            if all(held.pg != where.pg for held in self.store.collections()):
                self.links.send(source, where, Nothing(epoch=self.epoch, shard=where.shard))
            return
        if isinstance(message, Nothing):
            self._seeking.heard(source, where, message)
            return
        member, replica = member_of(source, message.shard), self.held.get(where)
        if replica is not None:
            replica.receive(member, message)
            return
        seen = self._seen.get(where.pg)
        interval = _interval_of(message)
        if seen is None or interval is None or message.epoch < seen.first:
            return
        replica = self._make(where, seen.view, interval)
        replica.start(told=message)
        replica.receive(member, message)

    def submit(self, pg: PG, request: OpRequest, reply: Reply) -> bool:
        """A client's request; False when this OSD is not the group's primary, or was not when
        it was sent: since then it went to another one, who may have answered it. It is dropped
        when the group's interval ends before the answer."""
        seen = self._seen.get(pg)
        if seen is None or seen.served is None or 0 < request.epoch < seen.served_since:
            return False
        replica = self.held.get(seen.served)
        if replica is not None:
            replica.submit(request, reply)
        else:
            homeless = self._homeless.setdefault(pg, [])
            if len(homeless) < HOMELESS_MAX:
                homeless.append((request, reply))
        return True

    def _make(self, where: ShardPG, view: View, interval: int = 0) -> Replica:
        """A copy, of what is on the disk of it; `interval` when that does not know it."""
        facts = self._now.pools[where.pg.pool]
        if where not in self.store.collections():
            self.store.queue(
                [[api.CreateCollection(where, pools.hash_bits(facts.pg_num, where.pg))]]
            )
        replica = self._new(where, view, facts)
        if interval:
            replica.enter(interval)
        if self.log_entries_max:
            replica.log_entries_max = self.log_entries_max
        self.held[where] = replica
        if view.primary == replica.me:
            for request, reply in self._homeless.pop(where.pg, []):
                replica.submit(request, reply)
        return replica

    def _new(self, where: ShardPG, view: View, facts: PoolFacts) -> Replica:
        if facts.layout is None:
            return Replica(self.me, Place(self.store, where), self, view, facts)
        place = Place(self.store, where, omap=False, layout=facts.layout)
        make: Callable[..., Replica] = import_module(_SHARDED).Shard
        return make(member_of(self.me, where.shard), place, self, view, facts)

    # -- what copies ask for (`replicated.Links`)

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        """To the copy on another OSD."""
        self.links.send(osd, where, message)

    def want_up_thru(self, epoch: int) -> None:
        """Of the monitors."""
        self.links.want_up_thru(epoch)

    def want_acting(self, where: ShardPG, osds: tuple[int, ...]) -> None:
        """Of the monitors."""
        self.links.want_acting(where, osds)

    def interval_began(self, where: ShardPG, *, dropped: bool) -> None:
        """What was wanted is void."""
        self.links.interval_began(where, dropped=dropped)

    def pace(self, go_on: Callable[[], None]) -> None:
        """As the OSD has it."""
        self.links.pace(go_on)

    def scrubbed(self, where: ShardPG, result: Result) -> None:
        """For the OSD to tell."""
        self.links.scrubbed(where, result)

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        """From the OSD that has it."""
        return self.links.fetch(source, then)

    def forgotten(self, where: ShardPG) -> None:
        """The copy has been removed."""
        self.held.pop(where, None)
        self.links.forgotten(where)


def _list_grown(before: Epoch, after: Epoch) -> dict[int, int]:
    """The pools that have more groups than before, with how many they had."""
    return {
        number: facts.pg_num
        for number, facts in before.pools.items()
        if number in after.pools and after.pools[number].pg_num > facts.pg_num
    }


def _interval_of(message: Message) -> int | None:
    """The first epoch of the sender's interval, if it can begin a copy."""
    match message:
        case Query():
            return message.interval
        case Notify() | Activate():
            return message.info.interval
    return None
