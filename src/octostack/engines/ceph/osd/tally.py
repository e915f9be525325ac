# SPDX-License-Identifier: Apache-2.0
"""How many objects a group has: counted once, page by page, and then kept by what changes."""

from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import HOBJECT_MIN, SNAP_HEAD, HObject, ShardPG

_PAGE = 500


class Tally:
    """See the module's essay. `objects` are heads and clones together."""

    def __init__(self, store: api.ObjectStore, where: ShardPG) -> None:
        self.objects = self.bytes = self.clones = 0
        self.is_whole = False
        self._store = store
        self._where = where
        self._next = HOBJECT_MIN  # all before this one is counted

    def reset(self) -> None:
        """Objects have changed unseen: begin anew."""
        self.objects = self.bytes = self.clones = 0
        self.is_whole = False
        self._next = HOBJECT_MIN

    def count(self, pages: int) -> int:
        """Count up to so many pages more; how many of them are left."""
        while pages > 0 and not self.is_whole:
            pages -= 1
            page = self._store.list_objects(self._where, self._next, limit=_PAGE + 1)
            for what in page[:_PAGE]:
                if what.name:  # else it is of the group itself
                    self._add(what, self._store.size(self._where, what), 1)
            self.is_whole = len(page) <= _PAGE
            if not self.is_whole:
                self._next = page[_PAGE]
        return pages

    def note(self, what: HObject, before: int | None, after: int | None) -> None:
        """An object had one size and has another; None: it was not, or is not there."""
        if not self.is_whole and what.sort_key() >= self._next.sort_key():
            return
        if before is not None:
            self._add(what, before, -1)
        if after is not None:
            self._add(what, after, 1)

    def _add(self, what: HObject, size: int, sign: int) -> None:
        self.objects += sign
        self.bytes += sign * size
        self.clones += sign * (what.snap != SNAP_HEAD)
