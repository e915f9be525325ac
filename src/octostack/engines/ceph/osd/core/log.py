# SPDX-License-Identifier: Apache-2.0
"""The log of a placement group: its last changes, in the order in which they were made.

Versions count up by one within a group; a version's epoch is that of the map under which it was
given, so two changes that were given the same number under different primaries differ.
"""

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from octostack.engines.ceph.osd.requests import ReqId
from octostack.wire.ceph.objects import EVersion, HObject

ZERO = EVersion()


class Kind(IntEnum):
    """What a change did (the numbers of pg_log_entry_t)."""

    MODIFY = 1
    CLONE = 2
    DELETE = 3
    LOST_REVERT = 5  # an older version was made the newest, as nobody had that
    LOST_DELETE = 6


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change of one object."""

    kind: int
    object: HObject
    version: EVersion
    prior: EVersion  # of the object; ZERO when it is new
    reqid: ReqId | None = None
    mtime: int = 0
    user_version: int = 0

    @property
    def is_delete(self) -> bool:
        """Whether the object is gone after it."""
        return self.kind in (Kind.DELETE, Kind.LOST_DELETE)

    @property
    def is_lost(self) -> bool:
        """Whether it gave up what came before."""
        return self.kind in (Kind.LOST_REVERT, Kind.LOST_DELETE)


class Log:
    """Entries with versions in (`tail`, `head`], and where to find those of a request."""

    def __init__(
        self, entries: Iterable[Entry] = (), tail: EVersion = ZERO, head: EVersion | None = None
    ) -> None:
        self.entries: list[Entry] = list(entries)
        self.tail = tail
        self.head = head or (self.entries[-1].version if self.entries else tail)
        self.user_version = 0  # the greatest of all entries
        self._by_reqid: dict[ReqId, Entry] = {}
        for entry in self.entries:
            self._index(entry)

    def __len__(self) -> int:
        return len(self.entries)

    def append(self, entry: Entry) -> None:
        """Add the newest change."""
        assert entry.version > self.head
        self.entries.append(entry)
        self.head = entry.version
        self._index(entry)

    def find_request(self, reqid: ReqId) -> Entry | None:
        """The change that a request made, if it is remembered."""
        return self._by_reqid.get(reqid)

    def trim(self, count: int) -> list[Entry]:
        """Forget the `count` oldest; which they were."""
        gone = self.entries[:count]
        if gone:
            del self.entries[:count]
            self.tail = gone[-1].version
            for entry in gone:
                if entry.reqid and self._by_reqid.get(entry.reqid) is entry:
                    del self._by_reqid[entry.reqid]
        return gone

    def after(self, version: EVersion) -> list[Entry]:
        """Entries newer than `version`, oldest first."""
        return self.entries[self._position(version) :]

    def rewind(self, version: EVersion) -> list[Entry]:
        """Take off the entries newer than `version`; which they were, newest first."""
        at = self._position(version)
        gone = self.entries[at:]
        del self.entries[at:]
        self.head = self.entries[-1].version if self.entries else max(self.tail, ZERO)
        for entry in gone:
            if entry.reqid and self._by_reqid.get(entry.reqid) is entry:
                del self._by_reqid[entry.reqid]
        return gone[::-1]

    def copy(self) -> "Log":
        """Its own copy."""
        return Log(self.entries, self.tail, self.head)

    def _position(self, version: EVersion) -> int:
        low, high = 0, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            if self.entries[middle].version <= version:
                low = middle + 1
            else:
                high = middle
        return low

    def _index(self, entry: Entry) -> None:
        self.user_version = max(self.user_version, entry.user_version)
        if entry.reqid is not None and entry.kind != Kind.CLONE:
            self._by_reqid[entry.reqid] = entry
