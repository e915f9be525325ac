# SPDX-License-Identifier: Apache-2.0
"""What an OSD tells a monitor of itself and of the groups it is the primary of."""

from collections.abc import Mapping

import msgspec

from octostack.engines.ceph.core.osdmap import placement
from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import PG, SNAP_HEAD, EVersion, ShardPG

_PAGE = 1000
_GROUPS_AT_ONCE = 64  # of which the objects are counted anew in one report


class Reports:
    """Makes reports; a group is counted again only after something changed in it."""

    def __init__(self, number: int, store: api.ObjectStore) -> None:
        self._number = number
        self._store = store
        self._counted: dict[PG, tuple[EVersion, int, int, int]] = {}
        self._last = b""

    def next(self, osdmap: OSDMap, groups: Mapping[PG, Group]) -> bytes | None:
        """The report of now, encoded; None when it says what the last one said."""
        left = _GROUPS_AT_ONCE
        found = []
        for pg, group in groups.items():
            head = group.backend.log.head
            known = self._counted.get(pg)
            if known is None or (known[0] != head and left > 0):
                known = self._counted[pg] = (head, *self._count(ShardPG(pg)))
                left -= 1
            place = placement.of_group(osdmap, pg)
            pool = osdmap.pools.get(pg.pool)
            full = pool is None or len(place.acting) >= pool.size
            state = "active+clean" if full else "active+undersized+degraded"
            found.append(
                (
                    *(pg.pool, pg.seed, state, place.up, place.acting),
                    *(known[1], known[2], known[3], 0, 0, 0),
                    (head.epoch, head.version),
                    osdmap.epoch,
                )
            )
        for pg in [pg for pg in self._counted if pg not in groups]:
            del self._counted[pg]
        space = self._store.space()
        used = space.total - space.free
        data = msgspec.msgpack.encode((self._number, space.total, used, space.free, found))
        if data == self._last:
            return None
        self._last = data
        return data

    def forget(self) -> None:
        """The next report is said whatever the last one was: to a new monitor."""
        self._last = b""

    def _count(self, where: ShardPG) -> tuple[int, int, int]:
        """(objects, bytes, clones) of a group."""
        objects = size = clones = 0
        store = self._store
        page = store.list_objects(where, limit=_PAGE)
        while page:
            for what in page:
                if not what.name:  # of the group itself
                    continue
                objects += 1
                clones += what.snap != SNAP_HEAD
                size += store.size(where, what)
            if len(page) < _PAGE:
                break
            last = page[-1]
            page = store.list_objects(where, first=last, limit=_PAGE)[1:]
        return objects, size, clones
