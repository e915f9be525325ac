# SPDX-License-Identifier: Apache-2.0
"""A shard of an erasure-coded group at work, and, on its primary, the group itself.

Everything but the bytes of objects is alike on all shards: attributes, snapshots, the log. So the
primary decides on its own what a request does, and only what reads bytes, or writes a stripe in
part, waits for other shards. While it waits so do later requests for the object, in their order.

A write is answered when all acting shards have it, durably. Until a shard hears so (with a later
write, or when the group agrees anew) it keeps what it takes to undo the write.
"""

from collections.abc import Callable, Mapping
from typing import Any

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd import backend, undos
from octostack.engines.ceph.osd.core.log import ZERO, Entry
from octostack.engines.ceph.osd.core.members import shard_of
from octostack.engines.ceph.osd.core.shards import undoing
from octostack.engines.ceph.osd.core.shards.gathering import Found, Gathering, Wanted
from octostack.engines.ceph.osd.core.shards.layout import Layout
from octostack.engines.ceph.osd.core.shards.needs import NeedsData
from octostack.engines.ceph.osd.core.shards.recent import ONCE_MAX, Recent
from octostack.engines.ceph.osd.core.shards.striping import Striping
from octostack.engines.ceph.osd.core.shards.undoing import Undo
from octostack.engines.ceph.osd.core.values import (
    Copy,
    Message,
    RepOp,
    ShardRead,
    ShardReadReply,
    View,
)
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, decode_info
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.replicated import Home, Replica
from octostack.wire.ceph.objects import SNAP_HEAD, EVersion, HObject


class Shard(Replica):
    """See the module's essay."""

    def __init__(self, me: int, place: Place, links: Home, view: View, pool: PoolFacts) -> None:
        assert pool.layout is not None
        self.layout: Layout = pool.layout
        self.recent: Recent = links.recent
        self._undos: dict[EVersion, Undo] = undos.load(place.store, place.collection)
        self._back: list[api.Change] = []  # to be taken back with the next `keep`
        self._settled = ZERO  # all acting shards have made what was changed up to there
        self._read: Mapping[Any, Any] = {}
        self._fetching: set[HObject] = set()  # heads
        self._fresh: dict[HObject, dict[Any, bytes]] = {}  # of them: read, and not changed since
        super().__init__(me, place, links, view, pool)
        self.gathering = Gathering(me, self.layout.k, self)

    # -- changes

    def prepare(self, changes: list[api.Change], read: Mapping[Any, Any]) -> None:  # type: ignore[override]
        self._read = read
        self._striping().needed(changes, dict(read))

    def commit(
        self, changes: list[api.Change], entries: list[Entry], done: Callable[[], None]
    ) -> None:
        read, self._read = dict(self._read), {}
        striping = self._striping()
        plans = striping.plan(changes, read)
        striping.remember(self.recent)
        version, what = entries[-1].version, entries[-1].object
        self._fresh.pop(snap_of(what, SNAP_HEAD), None)

        def settled() -> None:
            self._settled = version
            done()

        def message(osd: int) -> RepOp:
            takes = self.recovery.takes(osd, what)
            return RepOp(
                epoch=self.epoch,
                changes=plans[shard_of(osd)] if takes else [],
                entries=entries,
                settled=self._settled,
            )

        self.write(message, entries, settled)

    def _striping(self) -> Striping:
        return Striping(self.layout, self.place.collection, self._size_of)

    def _size_of(self, what: HObject) -> int | None:
        data = api.find_attr(self.place.store, self.place.collection, what, INFO_ATTR)
        return decode_info(data).size if data else None

    def apply(self, message: RepOp, keep: list[api.Change], done: Callable[[], None]) -> None:
        """Make the change here, with what it takes to undo it."""
        where, store = self.place.collection, self.place.store
        version = message.entries[-1].version
        before, undo = undoing.plan(store, where, message.changes, version)
        self._undos[version] = undo
        meta = backend.meta_object(where)
        note = api.OmapSet(where, meta, {undos.key_of(version): undoing.encode(undo)})
        forget = self._forget([known for known in self._undos if known <= message.settled])
        store.queue([[*before, *message.changes, *keep, note, *forget]], done)

    def forgettable(self, message: RepOp) -> int:
        """Of what some shard may not have yet, all entries are needed to take it back: with a log
        that begins later, a shard would stand alone."""
        return len(self.log) - len(self.log.after(message.settled))

    def _forget(self, versions: list[EVersion]) -> list[api.Change]:
        """What was kept for undoing these goes."""
        where = self.place.collection
        gone = [what for version in versions for what in self._undos.pop(version).kept]
        changes: list[api.Change] = [api.Remove(where, what) for what in gone]
        if versions:
            keys = [undos.key_of(version) for version in versions]
            changes.append(api.OmapRemove(where, backend.meta_object(where), keys))
        return changes

    def take_back(self, versions: list[EVersion]) -> None:
        """Undo these with the next `keep`."""
        for version in versions:
            undo = self._undos.get(version)
            if undo is not None:
                self._back += [*undo.steps, *self._forget([version])]

    def pending(self) -> list[api.Change]:
        """What goes with the next `keep`."""
        back, self._back = self._back, []
        if back:
            self.group.tally.reset()
        return back

    # -- reading

    def fetch(self, need: NeedsData, then: Callable[[Mapping[Any, Any] | None], None]) -> None:
        """Stripes of an object, as it is behind all that was changed until now."""
        head = snap_of(need.what, SNAP_HEAD)
        unit = self.layout.unit
        known = self._known(head, need)
        if known is not None:
            then(known)
            return
        wanted = Wanted(need.what, self._version(need.what), need.first * unit, need.count * unit)
        self._fetching.add(head)

        def found(pieces: Found | None) -> None:
            self._fetching.discard(head)
            if pieces is None and not self.recovery.finding.is_readable(need.what):
                again = self._waiting.setdefault(head, [])
                again.append(lambda: self.fetch(need, then))  # once more of them are there
                return
            read = None if pieces is None else self._stripes(need, pieces)
            self._learn(head, read or {})
            then(read)
            if head not in self._fetching:
                self.free(head)
            if head not in self._fetching:
                self._fresh.pop(head, None)

        self.gathering.start(self.epoch, wanted, found)

    def _known(self, head: HObject, need: NeedsData) -> dict[Any, bytes] | None:
        """The stripes, when all were read or written not long ago."""
        numbers = range(need.first, need.first + need.count)
        span = [(need.what, number) for number in numbers]
        fresh = self._fresh.get(head, {})
        if all(stripe in fresh for stripe in span):
            return {stripe: fresh[stripe] for stripe in span}
        found = self.recent.find(self.place.collection, need.what, numbers)
        return None if found is None else dict(zip(span, found, strict=True))

    def _learn(self, head: HObject, read: dict[Any, bytes]) -> None:
        self._fresh.setdefault(head, {}).update(read)
        if sum(map(len, read.values())) <= ONCE_MAX:
            for (what, number), data in read.items():
                self.recent.put(self.place.collection, what, {number: data})

    def _version(self, what: HObject) -> EVersion:
        attrs = self.place.store.attrs(self.place.collection, what)
        return decode_info(attrs.get(INFO_ATTR, b"")).version

    def _stripes(self, need: NeedsData, found: Found) -> dict[Any, bytes]:
        size, width = need.count * self.layout.unit, self.layout.width
        whole = self.layout.join({n: data.ljust(size, b"\0") for n, data in found.pieces.items()})
        return {
            (need.what, need.first + n): whole[n * width : (n + 1) * width]
            for n in range(need.count)
        }

    def blocks(self, what: HObject | None, writes: bool, retry: Callable[[], None]) -> bool:
        if what in self._fetching:
            self._waiting.setdefault(what, []).append(retry)
            return True
        return super().blocks(what, writes, retry)

    def replaced(self, what: HObject) -> None:
        """What is remembered of the object is out of date."""
        super().replaced(what)
        self._fresh.pop(snap_of(what, SNAP_HEAD), None)
        self.recent.drop(self.place.collection, what)

    def who_has(self, what: HObject) -> list[int]:
        """Shards that can be read."""
        return self.recovery.finding.who_has(what)

    def read_shard(self, wanted: ShardRead) -> ShardReadReply:
        """What this one has."""
        store, where, what = self.place.store, self.place.collection, wanted.object
        found = ShardReadReply(epoch=self.epoch, number=wanted.number, found=False)
        if not store.exists(where, what):
            return found
        try:
            data = store.read(where, what, wanted.offset, wanted.length or None)
            attrs = dict(store.attrs(where, what))
            version = decode_info(attrs.get(INFO_ATTR, b"")).version
        except Corrupt:
            return found
        return ShardReadReply(
            epoch=self.epoch,
            number=wanted.number,
            found=True,
            version=version,
            data=data,
            attrs=attrs,
        )

    def make_copy(
        self, osd: int, what: HObject, version: EVersion, then: Callable[[Copy | None], None]
    ) -> None:
        """What a shard ought to have of an object."""
        shard = shard_of(osd)

        def found(pieces: Found | None) -> None:
            if pieces is None:
                then(None)
                return
            data = self.layout.rebuild(pieces.pieces, shard)
            spans = [(0, data)] if data else []
            then(Copy(what, version, True, len(data), spans, pieces.attrs))

        self.gathering.start(self.epoch, Wanted(what, version), found)

    # -- what comes in

    def hear(self, source: int, message: Message) -> bool:
        """Whether the message was one about shards."""
        match message:
            case ShardRead():
                self.send(source, self.read_shard(message))
            case ShardReadReply():
                self.gathering.answered(source, message)
            case _:
                return False
        return True

    def interval_begins(self) -> None:
        """What was asked for is void."""
        self.gathering.stop()
        self._fetching.clear()
        self._fresh.clear()
        self.recent.forget(self.place.collection)
        super().interval_begins()

    def agreed(self) -> None:
        """What the log says now counts: nothing of it need be undone."""
        self._settled = self.log.head
        forget = self._forget(list(self._undos))
        if forget:
            self.place.store.queue([forget])

    def sources_changed(self, lost: set[int]) -> None:
        """Who is gone answers no more."""
        self.gathering.lost(lost, self.epoch)
        super().sources_changed(lost)
        self.free_all()
