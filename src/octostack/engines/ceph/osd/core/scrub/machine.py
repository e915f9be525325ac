# SPDX-License-Identifier: Apache-2.0
"""A scrub of one group, run by its primary once all copies are whole.

It goes through the objects in their order, a range at a time: each copy tells what it has of the
range, the primary compares. Nothing has to be held back meanwhile. A link keeps its order, so a
copy is asked behind all changes that were sent to it before, and what it shows is what it has
after exactly those: all copies show the range as of one moment of the group.

What is to be repaired counts as lacking from then on, in its newest version; recovery brings it
from a copy that is good, and requests for the object wait for that.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.recovery import Recovery
from octostack.engines.ceph.osd.core.scrub.compare import compare
from octostack.engines.ceph.osd.core.scrub.values import Finding, Result, Seen
from octostack.engines.ceph.osd.core.values import Message, ScrubAsk, ScrubMap
from octostack.wire.ceph.objects import HOBJECT_MIN, EVersion, HObject

RANGE = 25  # objects
RANGE_BYTES = 8 << 20  # that are read at once, at most, if it is more than one object


class Shown(Protocol):
    """What a scrub looks at, and where it tells what it found."""

    def next_range(self, first: HObject, count: int, size: int) -> HObject:
        """Where a range of so many objects, and bytes, ends; the greatest: at the end."""

    def look(self, first: HObject, end: HObject, deep: bool) -> dict[HObject, Seen]:
        """What this copy has of the range."""

    def pace(self, go_on: Callable[[], None]) -> None:
        """Call when the next range may be taken: at once, or after a pause."""

    def scrubbed(self, result: Result) -> None:
        """The group has been gone through."""

    def list_odd(self, pieces: Mapping[int, bytes]) -> frozenset[int]:
        """Of shards with these digests, those that do not fit the others."""

    def stored_size(self, size: int) -> int:
        """How many bytes a copy has of an object of that size."""


class Scrub:
    """See the module's essay."""

    def __init__(self, peering: Peering, recovery: Recovery, shown: Shown) -> None:
        self._peering = peering
        self._recovery = recovery
        self._shown = shown
        self._life = 0
        self._first = self._end = HOBJECT_MIN
        self._waiting: set[int] = set()
        self._maps: dict[int, dict[HObject, Seen]] = {}
        self._findings: list[Finding] = []
        self._objects = 0
        self.is_running = False
        self.deep = False
        self.repair = False

    def start(self, *, deep: bool, repair: bool = False) -> bool:
        """Begin; False when one is running, or the group is not whole."""
        peering = self._peering
        if self.is_running or not (peering.is_primary and peering.is_active):
            return False
        if not self._recovery.is_done:
            return False
        self.is_running, self.deep, self.repair = True, deep, repair
        self._findings, self._objects = [], 0
        self._take(HOBJECT_MIN)
        return True

    def stop(self) -> None:
        """The interval is over."""
        self.is_running = False
        self._life += 1
        self._waiting.clear()
        self._maps.clear()

    def receive(self, source: int, message: Message) -> bool:
        """A message about scrubs; False when it is not."""
        match message:
            case ScrubAsk():
                objects = self._shown.look(message.first, message.end, message.deep)
                epoch = self._peering.view.epoch
                answer = ScrubMap(epoch=epoch, first=message.first, objects=objects)
                self._peering.outside.send(source, answer)
            case ScrubMap():
                self._on_map(source, message)
            case _:
                return False
        return True

    def _take(self, first: HObject) -> None:
        peering = self._peering
        self._first = first
        self._end = self._shown.next_range(first, RANGE, RANGE_BYTES if self.deep else 1 << 62)
        self._waiting = {peering.me, *peering.copies}
        self._maps = {}
        ask = ScrubAsk(epoch=peering.view.epoch, first=first, end=self._end, deep=self.deep)
        for osd in sorted(peering.copies):
            peering.outside.send(osd, ask)
        self._note(peering.me, self._shown.look(first, self._end, self.deep))

    def _on_map(self, source: int, message: ScrubMap) -> None:
        if self.is_running and source in self._waiting and message.first == self._first:
            self._note(source, message.objects)

    def _note(self, osd: int, objects: dict[HObject, Seen]) -> None:
        self._waiting.discard(osd)
        self._maps[osd] = objects
        if self._waiting:
            return
        self._compare()
        if self._end.is_max:
            self._finish()
            return
        life = self._life

        def go_on() -> None:
            if life == self._life and self.is_running:
                self._take(self._end)

        self._shown.pace(go_on)

    def _compare(self) -> None:
        names = {what for objects in self._maps.values() for what in objects}
        self._objects += len(names)
        for what in sorted(names, key=HObject.sort_key):
            copies = {osd: objects.get(what) for osd, objects in self._maps.items()}
            found = compare(what, copies, self._peering.me, self._shown)
            if found is not None:
                self._findings.append(found)

    def _finish(self) -> None:
        self.is_running = False
        findings, self._findings = self._findings, []
        mended = sum(self._mend(finding) for finding in findings) if self.repair else 0
        result = Result(self.deep, self.repair, self._objects, findings, mended)
        if mended:
            self._recovery.again()
        self._shown.scrubbed(result)

    def _mend(self, finding: Finding) -> int:
        """Have the bad copies made anew; how many."""
        version = self.newest(finding.object, finding.version)
        good = len(finding.copies) - len(finding.bad)
        if finding.authority is None or version is None or good < self._peering.view.k:
            return 0
        for osd in finding.bad:
            self._recovery.mark_lost(osd, finding.object, version)
        return len(finding.bad)

    def newest(self, what: HObject, known: EVersion) -> EVersion | None:
        """The version of the object by now, given one that it had; None: it was deleted since."""
        for entry in reversed(self._peering.record.log.after(known)):
            if entry.object == what:
                return None if entry.is_delete else entry.version
        return known
