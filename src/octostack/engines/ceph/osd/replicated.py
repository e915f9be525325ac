# SPDX-License-Identifier: Apache-2.0
"""A copy of a replicated group at work: its agreement, its recovery, and what it serves.

It ties the pure machines (`core.peering`, `core.recovery`) to a store and to the group that
clients talk to. Messages and maps come in by `receive` and `advance`; messages and wishes go out
by `Links`. Nothing waits here: what takes time is answered by a call from the store or a message.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd import backend, contents, records
from octostack.engines.ceph.osd.core import choosing, reserving
from octostack.engines.ceph.osd.core.log import Entry, Log
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.recovery import Recovery
from octostack.engines.ceph.osd.core.shards.recent import Recent
from octostack.engines.ceph.osd.core.values import (
    Activate,
    Copy,
    Forget,
    Message,
    Notify,
    Query,
    RepOp,
    RepOpReply,
    View,
)
from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.engines.ceph.osd.ops.state import (
    INFO_ATTR,
    decode_info,
)
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.requests import OpReply, OpRequest, Reply
from octostack.engines.ceph.osd.scrubbing import Scrubbing, Told
from octostack.engines.ceph.osd.trimming import Trimming
from octostack.engines.ceph.osd.unfound import Losing
from octostack.wire.ceph.objects import (
    HOBJECT_MAX,
    SNAP_DIR,
    EVersion,
    HObject,
    ShardPG,
)
from octostack.wire.ceph.opcodes import Code

_SCRUBLS = int(Code.SCRUBLS)  # asked for each request
UNKNOWN_BYTES = 4 << 20  # of an object that is not here


class Links(Told, Protocol):
    """The way to other OSDs and to the monitors."""

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        """To the copy of the group on another OSD."""

    def want_up_thru(self, epoch: int) -> None:
        """Ask the monitors to note that we are up."""

    def want_acting(self, where: ShardPG, osds: tuple[int, ...]) -> None:
        """Ask the monitors for other OSDs to act; none: those of the map."""

    def interval_began(self, where: ShardPG, *, dropped: bool) -> None:
        """What was wanted for the group is void; `dropped`: so are requests without an answer,
        and their clients should look at the map."""

    def forgotten(self, where: ShardPG) -> None:
        """The copy has been removed."""

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        """Read an object of any group; what is returned gives up."""


class Home(Links, reserving.Home, Protocol):
    """What all copies on an OSD share."""

    recent: Recent


class _Writing(msgspec.Struct):
    version: EVersion
    waiting: set[int]
    done: Callable[[], None]


class Replica(backend.Backend):
    """See the module's essay. `view`: that of the interval in the record; for a new copy, any."""

    def __init__(
        self, me: int, place: Place, links: Home, view: View, pool: PoolFacts | None = None
    ) -> None:
        self.me = me
        self.place = place
        self.links = links
        self.record = records.load_record(place.store, place.collection)
        self._kept_log = {entry.version for entry in self.record.log.entries}
        self._kept_lacks = dict(self.record.lacks)
        self.peering = Peering(me, self.record, self, view)
        self.recovery = Recovery(self.peering, self, links)
        self.scrubbing = Scrubbing(place, self.peering, self.recovery, links)
        self.group = Group(place, self, pool or PoolFacts(), links.fetch)
        self.trimming = Trimming(self.group)
        self.losing = Losing(self)
        self._writing: deque[_Writing] = deque()
        self._requests: dict[int, tuple[OpRequest, Reply]] = {}  # that have no answer yet
        self._count = 0
        self._held: list[int] = []  # of these: until the group is active
        self._waiting: dict[HObject | None, list[Callable[[], None]]] = {}
        self._interval = self.record.info.interval
        self.log_entries_max = backend.LOG_ENTRIES_MAX

    @property
    def is_clean(self) -> bool:
        """Whether there are as many copies as there should be, whole and in their places."""
        view = self.peering.view
        placed = len(view.acting) >= view.size and view.acting == choosing.settled(view)
        return placed and self.recovery.is_done

    # -- what comes in

    def start(self, *views: View, told: Message | None = None, created: int = 0) -> None:
        """Begin, with the map as it has changed since; a new copy with what it was made for.

        `created` is the epoch of a group that is new itself.
        """
        if isinstance(told, Notify | Activate):
            self.peering.learn(told.info.history, told.past)
        elif isinstance(told, Query):
            self.peering.learn(told.history, told.past)
        self.peering.start(*views, created=created)

    def enter(self, interval: int) -> None:
        """The present interval began in this epoch, which the record does not say."""
        self.record.info = msgspec.structs.replace(self.record.info, interval=interval)
        self._interval = interval

    def advance(self, *views: View) -> None:
        """The next epochs of the map."""
        self.peering.advance(*views)

    def receive(self, source: int, message: Message) -> None:
        """A message from the copy on another OSD, sent in an epoch that this one has."""
        if self.peering.receive(source, message):
            if isinstance(message, Notify):
                self.recovery.tell_if_spare(source)
        elif message.epoch >= self.record.info.interval:
            self._receive(source, message)

    def tick(self) -> None:
        """To be called every second or so."""
        if self.peering.is_active:
            self.group.tick()
            self.recovery.tick()
            if self.is_clean and not self.scrubbing.machine.is_running:
                self.trimming.step()

    def stop(self) -> None:
        """Take no further part."""
        self.peering.stop()
        self.interval_begins()

    def remove(self) -> None:
        """The copy goes, and all that is in it."""
        self.stop()
        self.links.interval_began(self.place.collection, dropped=True)
        self.place.store.queue([[api.RemoveCollection(self.place.collection)]])
        self.links.forgotten(self.place.collection)

    def submit(self, request: OpRequest, reply: Reply) -> None:
        """A client's request; held until the group is active, dropped where we are not primary.

        When another interval begins and we are still its primary, it is begun anew.
        """
        if not self.peering.is_primary:
            return
        self._count += 1
        number = self._count
        self._requests[number] = (request, reply)
        if self.peering.is_active:
            self._do(number)
        else:
            self._held.append(number)

    def _do(self, number: int) -> None:
        request, reply = self._requests[number]

        def answer(found: OpReply) -> None:
            if self._requests.pop(number, None) is not None:
                reply(found)

        if request.ops and request.ops[0].code == _SCRUBLS:
            answer(self.scrubbing.list_found(request.ops[0]))
        else:
            self.group.submit(request, answer)

    def _receive(self, source: int, message: Message) -> None:
        match message:
            case RepOp():
                self._on_repop(source, message)
            case RepOpReply():
                self._on_durable(source, message.version)
            case Forget():
                view = self.peering.view
                if self.me not in (*view.up, *view.acting):
                    self.remove()
            case _ if self.hear(source, message):
                pass
            case _:
                if not self.recovery.receive(source, message):
                    self.scrubbing.machine.receive(source, message)

    # -- changes

    @property
    def log(self) -> Log:  # type: ignore[override]
        return self.record.log

    @property
    def epoch(self) -> int:  # type: ignore[override]
        return self.peering.view.epoch

    def commit(
        self, changes: list[api.Change], entries: list[Entry], done: Callable[[], None]
    ) -> None:
        what = entries[-1].object
        whole = RepOp(epoch=self.epoch, changes=changes, entries=entries)

        def message(osd: int) -> RepOp:
            if self.recovery.takes(osd, what):
                return whole
            return msgspec.structs.replace(whole, changes=[])

        self.write(message, entries, done)

    def write(
        self, message: Callable[[int], RepOp], entries: list[Entry], done: Callable[[], None]
    ) -> None:
        """Send each copy its change, and make ours."""
        mine = message(self.me)
        keep = self._append(mine)
        version, copies = entries[-1].version, self.peering.copies
        self._writing.append(_Writing(version, {self.me, *copies}, done))
        for osd in copies:
            self.send(osd, message(osd))
        interval = self.record.info.interval

        def durable() -> None:
            if interval == self.record.info.interval:
                self._on_durable(self.me, version)

        self.apply(mine, keep, durable)

    def apply(self, message: RepOp, keep: list[api.Change], done: Callable[[], None]) -> None:
        """Make a change here."""
        self.place.store.queue([[*message.changes, *keep]], done)

    def forgettable(self, message: RepOp) -> int:
        """How many entries of the log may go: who is behind them can be filled."""
        return len(self.log)

    def _append(self, message: RepOp) -> list[api.Change]:
        """Take the entries into the log; what keeps them."""
        for entry in message.entries:
            self.log.append(entry)
            self._kept_log.add(entry.version)
        excess = min(len(self.log) - self.log_entries_max, self.forgettable(message))
        at_once = min(backend.TRIM_AT_ONCE, self.log_entries_max // 4)
        trimmed = self.log.trim(excess) if excess >= at_once else []
        self._kept_log.difference_update(entry.version for entry in trimmed)
        where = self.place.collection
        keep = backend.log_changes(where, message.entries, trimmed)
        found = [entry.object for entry in message.entries if entry.is_lost]
        for what in found:  # given up, or made what it was: it is not lacking any more
            self.record.lacks.pop(what, None)
            self._kept_lacks.pop(what, None)
        keys = [records.lacks_key(what) for what in found]
        return [*keep, api.OmapRemove(where, backend.meta_object(where), keys)] if keys else keep

    def _on_repop(self, source: int, message: RepOp) -> None:
        keep = self._append(message)
        version, interval = message.entries[-1].version, self.record.info.interval

        def durable() -> None:
            if interval == self.record.info.interval:
                self.send(source, RepOpReply(epoch=self.epoch, version=version))

        self.apply(message, keep, durable)

    def _on_durable(self, osd: int, version: EVersion) -> None:
        for writing in self._writing:
            if writing.version == version:
                writing.waiting.discard(osd)
        while self._writing and not self._writing[0].waiting:
            self._writing.popleft().done()

    def blocks(self, what: HObject | None, writes: bool, retry: Callable[[], None]) -> bool:
        lacks = self.record.lacks
        waits = bool(lacks) if what is None else self.recovery.must_wait(what, writes)
        if waits:
            self._waiting.setdefault(what, []).append(retry)
        return waits

    def mend(self, what: HObject) -> bool:
        return self.scrubbing.mend(what)

    # -- what agreement asks for (`core.peering.Outside`)

    def send(self, osd: int, message: Message) -> None:
        """To another copy."""
        where = self.place.collection
        if where.shard >= 0:
            message = msgspec.structs.replace(message, shard=where.shard)
        self.links.send(osd_of(osd), ShardPG(where.pg, shard_of(osd)), message)

    def take_back(self, versions: list[EVersion]) -> None:
        """A whole copy takes nothing back: it fetches what counts."""

    def pending(self) -> list[api.Change]:
        """What goes with the next `keep`."""
        return []

    def agreed(self) -> None:
        """The log counts."""

    def hear(self, source: int, message: Message) -> bool:
        """Messages of a kind of group."""
        return False

    def make_copy(
        self, osd: int, what: HObject, version: EVersion, then: Callable[[Copy | None], None]
    ) -> None:
        """It is there, or at another copy."""
        then(self.find_copy(what))

    def keep(self, remove: list[HObject], then: Callable[[], None] | None = None) -> None:
        """Make the record durable, and take these objects away."""
        where, record = self.place.collection, self.record
        meta = backend.meta_object(where)
        now = {entry.version: entry for entry in record.log.entries}
        put = {
            backend.entry_key(version): backend.encode_entry(now[version])
            for version in now.keys() - self._kept_log
        }
        gone = [backend.entry_key(version) for version in self._kept_log - now.keys()]
        known = self._kept_lacks
        new = {what: need for what, need in record.lacks.items() if known.get(what) != need}
        put |= records.encode_lacks(new) | records.encode_state(record)
        gone += [records.lacks_key(what) for what in self._kept_lacks.keys() - record.lacks.keys()]
        self._kept_log, self._kept_lacks = set(now), dict(record.lacks)
        if remove:
            self.group.tally.reset()
        changes: list[api.Change] = self.pending()
        changes += [api.Remove(where, what) for what in remove]
        changes += [api.OmapSet(where, meta, put), api.OmapRemove(where, meta, gone)]
        self.place.store.queue([changes], then)

    def want_up_thru(self, epoch: int) -> None:
        """Ask the monitors."""
        self.links.want_up_thru(epoch)

    def want_acting(self, osds: tuple[int, ...]) -> None:
        """Ask the monitors."""
        self.links.want_acting(self.place.collection, osds)

    def interval_begins(self) -> None:
        """Clients will ask again; what was under way between copies is void."""
        self._writing.clear()
        self._waiting.clear()
        self.recovery.stop()
        self.scrubbing.stop()
        self.trimming.stop()
        self.losing.stop()
        self.group.reset()
        is_primary = self.peering.is_primary
        if not is_primary:
            self._requests.clear()
        self._held = list(self._requests)
        if self._interval != self.record.info.interval:
            self._interval = self.record.info.interval
            self.links.interval_began(self.place.collection, dropped=not is_primary)
        if not self.peering.is_primary:
            self.group.tally.reset()

    def activated(self) -> None:
        """Serve and recover."""
        self.agreed()
        self.scrubbing.begin()
        self.recovery.begin()
        if not self.peering.is_active:
            return  # with fewer copies than the pool wants
        held, self._held = self._held, []
        for number in held:
            self._do(number)

    def sources_changed(self, lost: set[int]) -> None:
        """Recovery may go on otherwise."""
        self.recovery.sources_changed(lost)

    # -- what recovery does to objects (`core.recovery.Objects`)

    def find_copy(self, what: HObject) -> Copy | None:
        """An object as it is now; None when it cannot be read."""
        store, where = self.place.store, self.place.collection
        if not store.exists(where, what):
            return Copy(what, EVersion(), exists=False)
        try:
            attrs = dict(store.attrs(where, what))
            size = store.size(where, what)
            spans = store.extents(where, what)
            data: list[tuple[int, Any]] = [(at, store.view(where, what, at, n)) for at, n in spans]
            omap = dict(store.omap_list(where, what, b"", 1 << 30))
            header = store.omap_header(where, what)
            version = decode_info(attrs.get(INFO_ATTR, b"")).version
        except Corrupt:
            return None
        return Copy(what, version, True, size, data, attrs, omap, header)

    def replaced(self, what: HObject) -> None:
        """What is remembered of the object is out of date."""
        self.group.forget(what)

    def size_of(self, what: HObject) -> int:
        """Its bytes, or those of an older version that is here."""
        store, where = self.place.store, self.place.collection
        return store.size(where, what) if store.exists(where, what) else UNKNOWN_BYTES

    def put_copy(self, copy: Copy, then: Callable[[], None]) -> None:
        """Make the object that."""
        where, what, store = self.place.collection, copy.object, self.place.store
        before = store.size(where, what) if store.exists(where, what) else None
        self.group.tally.note(what, before, copy.size if copy.exists else None)
        changes = contents.changes_to(where, copy)
        meta = backend.meta_object(where)
        changes.append(api.OmapRemove(where, meta, [records.lacks_key(what)]))
        self._kept_lacks.pop(what, None)
        self.group.forget(what)
        store.queue([changes], then)

    def scan(self, first: HObject, limit: int) -> tuple[dict[HObject, EVersion], HObject]:
        """Objects with their versions, and where to go on: never between clones of one object."""
        store, where = self.place.store, self.place.collection
        while True:
            found = store.list_objects(where, first, limit=limit + 3)
            end = HOBJECT_MAX if len(found) < limit + 3 else snap_of(found[-1], 0)
            inside = [what for what in found if what.name and what.sort_key() < end.sort_key()]
            if inside or end.is_max:
                break
            limit *= 2
        return self._versions(inside), end

    def versions(self, what: HObject) -> dict[HObject, EVersion]:
        """Of an object and its clones."""
        store, where = self.place.store, self.place.collection
        first, last = snap_of(what, 0), snap_of(what, SNAP_DIR)
        return self._versions(store.list_objects(where, first, last, limit=1 << 30))

    def _versions(self, objects: list[HObject]) -> dict[HObject, EVersion]:
        store, where = self.place.store, self.place.collection
        infos = {what: store.attrs(where, what).get(INFO_ATTR) for what in objects}
        return {what: decode_info(data).version for what, data in infos.items() if data}

    def fill_to(self, end: HObject, then: Callable[[], None]) -> None:
        """Note how far a backfill has come."""
        self.record.info = msgspec.structs.replace(self.record.info, last_backfill=end)
        where = self.place.collection
        state = records.encode_state(self.record)
        self.place.store.queue([[api.OmapSet(where, backend.meta_object(where), state)]], then)

    def free(self, what: HObject) -> None:
        """Whoever waits for this object may go on."""
        waiting = self._waiting.pop(what, [])
        if not self.record.lacks:
            waiting += self._waiting.pop(None, [])
        for retry in waiting:
            retry()

    def free_all(self) -> None:
        """Whoever waits looks again."""
        waiting, self._waiting = self._waiting, {}
        for retries in waiting.values():
            for retry in retries:
                retry()
