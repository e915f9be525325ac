# SPDX-License-Identifier: Apache-2.0
"""What an OSD tells a monitor of itself and of the groups it is the primary of."""

from collections.abc import Iterable, Mapping

import msgspec

from octostack.engines.ceph.core import pgs
from octostack.engines.ceph.osd.core.members import places_of
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.counts import Counts
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.scrubbing import Scrubbing
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import PG, ShardPG

_PAGES_AT_ONCE = 64  # of objects that are counted for one report
_IDLE = {Phase.DOWN: "down", Phase.INCOMPLETE: "incomplete", Phase.ACTIVATING: "activating"}


class Shortage(msgspec.Struct, frozen=True):
    """Copies of objects: not there, at another place than they should be, and nowhere to be had."""

    degraded: int = 0
    misplaced: int = 0
    unfound: int = 0


class Reports:
    """Makes reports."""

    def __init__(self, number: int, store: api.ObjectStore, counts: Counts) -> None:
        self.count = 0  # how many were made
        self._number = number
        self._store = store
        self._counts = counts
        self._last = b""

    def next(
        self,
        osdmap: OSDMap,
        groups: Mapping[ShardPG, Replica],
        kept: int,
        told: Mapping[str, str],
    ) -> bytes | None:
        """The report of now, encoded; None when it says what the last one said. `kept`: the newest
        epoch whose map is durable; `told`: options that hold at this OSD alone."""
        pages = _PAGES_AT_ONCE
        found = []
        for where, replica in groups.items():
            if not replica.peering.is_primary:
                continue
            tally = replica.group.tally
            if replica.peering.phase == Phase.ACTIVE:
                pages = tally.count(pages)
            stamp = replica.scrubbing.stamp
            short, head = shortage(replica), replica.log.head
            found.append(
                (
                    *(where.pg.pool, where.pg.seed, "+".join(state(replica)), *_places(replica)),
                    *(tally.objects, tally.bytes, tally.clones),
                    *(short.degraded, short.misplaced, short.unfound),
                    (head.epoch, head.version),
                    *(osdmap.epoch, 0, 0),
                    *self._done(where.pg),
                    *(stamp.at_ns, stamp.deep_at_ns, stamp.errors, _clean(replica)),
                    replica.peering.blocked_by,
                )
            )
        space = self._store.space()
        used = space.total - space.free
        rest = (len(groups), int(self._counts.commit_s * 1e9), kept, told)
        said = (self._number, space.total, used, space.free, found, space.data, *rest)
        data = msgspec.msgpack.encode(said)
        if data == self._last:
            return None
        self._last = data
        self.count += 1
        return data

    def _done(self, pg: PG) -> tuple[int, int, int, int]:
        """(reads, KiB, writes, KiB) of clients in a group."""
        known = self._counts.of(pg)
        return known.reads, known.read_bytes >> 10, known.writes, known.write_bytes >> 10

    def forget(self) -> None:
        """The next report is said whatever the last one was: to a new monitor."""
        self._last = b""


def state(replica: Replica) -> list[str]:
    """The state of a group in Ceph's words and order, as its primary knows it."""
    peering, recovery = replica.peering, replica.recovery
    view = peering.view
    words = {*_scrub_words(replica.scrubbing)}
    if view.up != view.acting:
        words.add("remapped")
    if peering.phase != Phase.ACTIVE:
        words.add(_IDLE.get(peering.phase, "peering"))
        return [word for word in pgs.ORDER if word in words]
    words.add("active" if peering.is_active else "peered")
    is_short = len(view.acting) < view.size
    if is_short:
        words.add("undersized")
    if shortage(replica).degraded:
        words.add("degraded")
    words.update(recovery.words())
    if replica.is_clean:
        words.add("clean")
        words |= {"snaptrim"} if replica.trimming.is_running else set()
    return [word for word in pgs.ORDER if word in words]


def _clean(replica: Replica) -> int:
    """The newest epoch of which is known that all of the past was over in it."""
    info = replica.record.info
    if info.history.clean >= info.interval > 0:
        return replica.peering.view.epoch
    return max(info.history.clean, info.history.created)


def _scrub_words(scrubbing: Scrubbing) -> list[str]:
    words, machine = [], scrubbing.machine
    if machine.is_running:
        words = ["scrubbing", *(["deep"] if machine.deep else [])]
        words += ["repair"] if machine.repair else []
    if scrubbing.stamp.errors:
        words.append("inconsistent")
    return words


def shortage(replica: Replica) -> Shortage:
    """What is missing of the group's copies."""
    peering, recovery = replica.peering, replica.recovery
    if peering.phase != Phase.ACTIVE:
        return Shortage()
    view, objects = peering.view, replica.group.tally.objects
    lacking = len(replica.record.lacks) + _lacks(replica, view.acting)
    empty = max(0, view.size - len(view.acting)) * objects
    filling = sum(max(0, objects - done) for done in recovery.progress().values())
    unfound = len(recovery.finding.list_unfound())
    if empty:
        return Shortage(lacking + max(empty, filling), 0, unfound)
    return Shortage(lacking, filling, unfound)


def _places(replica: Replica) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The OSDs that are up, and that act, with holes where shards have none."""
    view = replica.peering.view
    if view.k == 1:
        return view.up, view.acting
    return places_of(view.up, view.size), places_of(view.acting, view.size)


def _lacks(replica: Replica, osds: Iterable[int]) -> int:
    lacks = replica.peering.lacks
    return sum(len(lacks.get(osd, ())) for osd in osds if osd != replica.me)
