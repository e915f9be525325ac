# SPDX-License-Identifier: Apache-2.0
"""The maps that an OSD has: the newest, on its disk what its copies need to go on from, and in
memory the latest changes for who is behind.

On the disk stands one whole map and the changes since, and which epoch all copies had noted
(`settled`). Both go the way of every change: what is queued earlier is durable earlier, so copies
never know of an epoch that the disk has not.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from octostack.base import log
from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages.client import OSDMapMessage
from octostack.wire.ceph.objects import HObject

_log = log.get("ceph.osd")
CHANGES_KEPT = 200
CHANGES_SHARED_MAX = 40
WHOLE_EVERY = 50
_OBJECT = HObject(b"maps", pool=-1)
_WHOLE, _SETTLED, _GAP = b"W", b"S", b"G"


class Maps:
    """See the module's essay."""

    def __init__(self, store: api.ObjectStore) -> None:
        self.newest = OSDMap()
        self.durable = 0  # the newest epoch that a crash leaves here
        self._store = store
        self._changes: OrderedDict[int, bytes] = OrderedDict()  # of the latest epochs
        self.gap = 0  # epochs are missing before this one: copies that knew older ones must ask
        self._whole_at = 0  # the epoch of the whole map on the disk

    def load(self) -> Iterator[OSDMap]:
        """The map that all copies on the disk had noted, and all later ones; none on a new disk."""
        store = self._store
        if api.META not in store.collections():
            store.queue([[api.CreateCollection(api.META)]])
        if not store.exists(api.META, _OBJECT):
            return
        kept = dict(store.omap_list(api.META, _OBJECT, b"", 1 << 30))
        self.newest = osdmap_wire.decode(kept[_WHOLE])
        self._whole_at = self.newest.epoch
        settled = int.from_bytes(kept[_SETTLED], "big")
        self.gap = int.from_bytes(kept[_GAP], "big")
        if self.newest.epoch >= settled:
            yield self.newest
        while (blob := kept.get(_change_key(self.newest.epoch + 1))) is not None:
            if self._apply(blob).epoch >= settled:
                yield self.newest
        self.durable = self.newest.epoch

    def take(self, message: OSDMapMessage) -> list[OSDMap]:
        """The maps that are new, in order, queued to the disk. The first one is whole, and not
        the next one, when epochs are missing that nobody has any more (`lacks` none of these)."""
        whole = max(message.maps, default=0)
        found: list[OSDMap] = []
        if self.lacks(message):
            return found
        if whole > self.newest.epoch and not self._follows(message.incrementals, whole):
            self.gap = whole if self.newest.epoch else 0
            self.newest = osdmap_wire.decode(message.maps[whole])
            self._changes.clear()
            self._keep_whole(message.maps[whole])
            found.append(self.newest)
        put: dict[bytes, bytes] = {}
        for epoch in sorted(message.incrementals):
            if epoch == self.newest.epoch + 1:
                blob = message.incrementals[epoch]
                found.append(self._apply(blob))
                put[_change_key(epoch)] = blob
        if put:
            self._queue([api.OmapSet(api.META, _OBJECT, put)])
        return found

    def lacks(self, message: OSDMapMessage) -> bool:
        """Whether what was sent does not follow on what we have, and what would is to be had."""
        mine = self.newest.epoch
        first = min([*message.incrementals, *message.maps], default=0)
        return 0 < message.oldest <= mine + 1 < first and mine > 0

    def settle(self) -> None:
        """All copies have queued what the newest map means to them."""
        epoch = self.newest.epoch
        if epoch - self._whole_at >= WHOLE_EVERY:
            self._keep_whole(osdmap_wire.encode(self.newest))
            return
        put = {_SETTLED: _packed(epoch)}
        self._queue([api.OmapSet(api.META, _OBJECT, put)])

    def _queue(self, changes: api.Transaction) -> None:
        epoch = self.newest.epoch

        def kept() -> None:
            self.durable = max(self.durable, epoch)

        self._store.queue([changes], kept)

    def message_from(self, first: int) -> OSDMapMessage:
        """The changes from epoch `first` on, or the whole map where they are no more at hand."""
        newest = self.newest.epoch
        wanted = range(first, newest + 1)
        changes = {e: self._changes[e] for e in wanted if e in self._changes}
        maps: dict[int, bytes] = {}
        if len(changes) != len(wanted) or len(wanted) > CHANGES_SHARED_MAX:
            changes, maps = {}, {newest: osdmap_wire.encode(self.newest)}
        oldest = next(iter(self._changes), newest)
        return OSDMapMessage(self.newest.fsid, changes, maps, oldest, newest)

    def _follows(self, changes: Iterable[int], whole: int) -> bool:
        """Whether the changes lead from our map to the whole one."""
        return self.newest.epoch > 0 and set(changes) >= set(range(self.newest.epoch + 1, whole))

    def _apply(self, blob: bytes) -> OSDMap:
        change = osdmap_wire.decode_incremental(blob)
        self.newest = osd_changes.apply(self.newest, change)
        self._changes[change.epoch] = blob
        if len(self._changes) > CHANGES_KEPT:
            self._changes.popitem(last=False)
        return self.newest

    def _keep_whole(self, blob: bytes) -> None:
        """Begin anew on the disk, with this map as what all copies have noted."""
        epoch = self.newest.epoch
        self._whole_at = epoch
        put = {_WHOLE: blob, _SETTLED: _packed(epoch), _GAP: _packed(self.gap)}
        clear, keep = api.OmapClear(api.META, _OBJECT), api.OmapSet(api.META, _OBJECT, put)
        self._queue([clear, keep])


def _change_key(epoch: int) -> bytes:
    return b"C" + _packed(epoch)


def _packed(epoch: int) -> bytes:
    return epoch.to_bytes(8, "big")
