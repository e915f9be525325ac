# SPDX-License-Identifier: Apache-2.0
"""Scrubs of one copy's group over its store, and objects that turned out to be unreadable."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from octostack.base import clock
from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd import inconsistent, looking
from octostack.engines.ceph.osd.core.members import shard_of
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.recovery import Recovery
from octostack.engines.ceph.osd.core.scrub.machine import Scrub
from octostack.engines.ceph.osd.core.scrub.values import Result, Seen
from octostack.engines.ceph.osd.core.values import History, Stamp
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, decode_info
from octostack.engines.ceph.osd.requests import Op, OpReply
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

MENDED_MAX = 3  # times in an interval: a disk that spoils one object more often goes on so


class Told(Protocol):
    """Who sets the pace, and hears of results."""

    def pace(self, go_on: Callable[[], None]) -> None:
        """Call when a scrub may take its next range."""

    def scrubbed(self, where: ShardPG, result: Result) -> None:
        """A scrub has ended."""


class Scrubbing:
    """`machine` is the scrub itself; `found` what the last one found in this interval."""

    def __init__(self, place: Place, peering: Peering, recovery: Recovery, told: Told) -> None:
        self._place = place
        self._peering = peering
        self._recovery = recovery
        self._told = told
        self._tried: Counter[tuple[HObject, EVersion]] = Counter()
        self.machine = Scrub(peering, recovery, self)
        self.found: Result | None = None

    @property
    def stamp(self) -> Stamp:
        """Of the last scrub."""
        return self._peering.record.info.history.scrub

    def begin(self) -> None:
        """The group is active. One that is new has its first scrub an interval from now."""
        if not self.stamp.at_ns:
            now_ns = int(clock.now() * 1e9)
            self._peering.note(History(scrub=Stamp(now_ns, now_ns)))

    def stop(self) -> None:
        """The interval is over."""
        self.machine.stop()
        self.found = None
        self._tried.clear()

    def mend(self, what: HObject) -> bool:
        """The object cannot be read here: have it made anew from another copy, unless that has
        been tried too often. Then whoever wants it must wait."""
        peering, version = self._peering, self._version_of(what)
        others = [osd for osd in peering.copies if what not in peering.lacks.get(osd, ())]
        if (
            len(others) < peering.view.k
            or version is None
            or self._tried[what, version] >= MENDED_MAX
        ):
            return False
        self._tried[what, version] += 1
        self._recovery.mark_lost(peering.me, what, version)
        self._recovery.again()
        return True

    def _version_of(self, what: HObject) -> EVersion | None:
        """The newest, by the log or else by the object itself."""
        for entry in reversed(self._peering.record.log.entries):
            if entry.object == what:
                return None if entry.is_delete else entry.version
        try:
            data = api.find_attr(self._place.store, self._place.collection, what, INFO_ATTR)
            return decode_info(data or b"").version
        except Corrupt:
            return None

    def list_found(self, op: Op) -> OpReply:
        """What the last scrub found, for a client."""
        info = self._peering.record.info
        result, output = inconsistent.answer(op, info.interval, self.found, self._peering.me)
        return OpReply(result, [output], [result])

    # -- `core.scrub.machine.Shown`

    def next_range(self, first: HObject, count: int, size: int) -> HObject:
        """Where a range ends."""
        return looking.end_of_range(self._place.store, self._place.collection, first, count, size)

    def look(self, first: HObject, end: HObject, deep: bool) -> dict[HObject, Seen]:
        """What this copy has of it."""
        place = self._place
        fold = None if place.layout is None else place.layout.digest
        return looking.look(place.store, place.collection, (first, end), deep, fold)

    def pace(self, go_on: Callable[[], None]) -> None:
        """As the OSD has it."""
        self._told.pace(go_on)

    def stored_size(self, size: int) -> int:
        """A copy is as large as the object; a shard has its part, in whole stripes."""
        layout = self._place.layout
        return size if layout is None else layout.shard_size(size)

    def list_odd(self, pieces: Mapping[int, bytes]) -> frozenset[int]:
        """Shards that do not fit the others, from the digests of all."""
        layout = self._place.layout
        if layout is None:
            return frozenset()
        members = {shard_of(member): member for member in pieces}
        odd = layout.list_odd({shard_of(member): piece for member, piece in pieces.items()})
        return frozenset(members[shard] for shard in odd)

    def scrubbed(self, result: Result) -> None:
        """Note when, and what remains wrong; a shallow one cannot tell that data is right again."""
        self.found = result
        last, now_ns = self.stamp, max(int(clock.now() * 1e9), self.stamp.at_ns + 1)
        errors = result.errors if result.deep else max(result.errors, last.errors)
        deep_at_ns = now_ns if result.deep else last.deep_at_ns
        self._peering.note(History(scrub=Stamp(now_ns, deep_at_ns, errors)))
        self._told.scrubbed(self._place.collection, result)
