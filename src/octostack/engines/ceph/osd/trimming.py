# SPDX-License-Identifier: Apache-2.0
"""Removed snapshots are taken from the clones that were kept for them, a few at a time.

The index of snapshots says which clones each has, and a clone that is done leaves it in the same
transaction: so the index is itself the memory of what remains, and it does not matter who goes on
with it, or when. A walk passes over the snapshots that are there yet; another one begins when the
map has other removed ones than before, and with each interval.
"""

from typing import NamedTuple

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.backend import snaps_object
from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.objects import SNAP_HEAD, HObject, ShardPG, read_hobject

TRIMS_AT_ONCE = 8  # clones of a group, and the next ones only when these are durable
LOOKS_AT_ONCE = 64  # into the index
_SNAP_BYTES = 8  # in front of the names in the index


class Due(NamedTuple):
    """An entry of the index that is to go."""

    snap: int
    key: bytes
    clone: HObject


class Trimming:
    """See the module's essay."""

    def __init__(self, group: Group) -> None:
        self.is_running = False  # there was something to trim when it was last looked for
        self._group = group
        self._removed: frozenset[int] = frozenset()
        self._next: bytes | None = None  # key of the index to go on with; None: all was looked at
        self._writing = 0

    def stop(self) -> None:
        """The interval is over, and with it what was being written."""
        self.is_running = False
        self._removed, self._next, self._writing = frozenset(), None, 0

    def step(self) -> None:
        """Trim the next few; to be called every second or so while all copies are whole."""
        if self._writing or not self._group.pool.may_trim:
            return
        removed = self._group.pool.removed_snaps
        if removed is not self._removed:
            self._removed, self._next = removed, b""
        place = self._group.place
        due: list[Due] = []
        if self._next is not None:
            due, self._next = list_due(place.store, place.collection, removed, self._next)
        self.is_running = bool(due)
        for one in due:
            if not self._trim(one):
                self._next = one.key  # somebody is at the object: it has to wait, and so do others
                return

    def _trim(self, one: Due) -> bool:
        """Whether to go on with the next one. What cannot be read is made anew if possible."""
        self._writing += 1
        try:
            if self._group.trim(one.snap, one.key, one.clone, self._written):
                return True
        except Corrupt:
            self._writing -= 1
            mend, head = self._group.backend.mend, snap_of(one.clone, SNAP_HEAD)
            return not any([mend(head), mend(one.clone)])
        self._writing -= 1
        return False

    def _written(self) -> None:
        self._writing -= 1


def list_due(
    store: api.ObjectStore, where: ShardPG, removed: frozenset[int], first: bytes
) -> tuple[list[Due], bytes | None]:
    """The next few entries of removed snapshots, and the key to go on with; None at the end."""
    index = snaps_object(where)
    due: list[Due] = []
    if not removed or not store.exists(where, index):
        return due, None
    for _ in range(LOOKS_AT_ONCE):
        room = TRIMS_AT_ONCE - len(due)
        rows = store.omap_list(where, index, first, room)
        for key, _ in rows:
            snap = int.from_bytes(key[:_SNAP_BYTES], "big")
            if snap not in removed:
                first = (snap + 1).to_bytes(_SNAP_BYTES, "big")
                break
            due.append(Due(snap, key, read_hobject(Reader(key[_SNAP_BYTES:]))))
            first = key + b"\0"
        else:
            if len(rows) < room:
                return due, None
        if len(due) == TRIMS_AT_ONCE:
            break
    return due, first
