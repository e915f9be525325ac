# SPDX-License-Identifier: Apache-2.0
"""A copy that the log does not reach back to, filled in the order of objects.

The primary compares a range of its own objects with the copy's, and brings what differs, object by
object, each with its clones. The copy gets every change of objects before the one that it is `at`,
and none of those behind: what clients change there is looked at again when it is its turn. So only
what is on its way has to be waited for. The next range is asked for while this one is at work, and
the copy notes from time to time how far all is there (`done`).
"""

from bisect import bisect_left, insort
from collections import deque
from typing import Any, Protocol

from msgspec.structs import replace

from octostack.engines.ceph.osd.core.allowance import Allowance
from octostack.engines.ceph.osd.core.objects import Objects
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.values import Backfilled, Copy, Message, Scan, Scanned
from octostack.wire.ceph.objects import HOBJECT_MIN, SNAP_DIR, SNAP_HEAD, EVersion, HObject

RANGE = 128


class Owner(Protocol):
    """The recovery of the group."""

    peering: Peering
    objects: Objects
    allowance: Allowance

    @property
    def may_fill(self) -> bool:
        """Whether it is the group's turn."""

    def send(self, osd: int, message: Message) -> None:
        """To the copy."""

    def send_copy(self, osd: int, copy: Copy) -> None:
        """To the copy."""

    def make_to_fill(self, osd: int, what: HObject, version: EVersion) -> None:
        """Of a shard: make it; `made` is called then."""

    def mark_lost(self, osd: int, what: HObject, version: EVersion) -> None:
        """The copy lacks it."""

    def unreadable(self, osd: int, what: HObject, version: EVersion) -> None:
        """Our own cannot be read: both lack it."""

    def sent_all(self) -> None:
        """The rest is on its way."""

    def filled(self, osd: int) -> None:
        """All is there."""


class Filling:
    """See the module's essay."""

    def __init__(self, osd: int, owner: Owner) -> None:
        self.passed = 0  # objects before `done`
        self._osd = osd
        self._owner = owner
        self._at: Any = HOBJECT_MIN.sort_key()
        self._end = HOBJECT_MIN  # of the range at work
        self._todo: list[tuple[Any, HObject]] = []  # heads that may differ, in order
        self._theirs: dict[HObject, dict[HObject, EVersion]] = {}  # by head
        self._flying: set[HObject] = set()
        self._asked: HObject | None = None  # the range that was asked for
        self._next: Scanned | None = None
        self._count = 0  # of our own objects in the range
        self._marks: deque[tuple[HObject, int]] = deque()  # to be noted, and the objects before
        self._busy = False

    @property
    def all_sent(self) -> bool:
        """Whether all that it lacked is there or on its way."""
        return self._end.is_max and self._at == self._end.sort_key()

    def flies(self, what: HObject) -> bool:
        """Whether the object is on its way."""
        return what in self._flying

    def takes(self, what: HObject) -> bool:
        """Whether a change of the object, which is a head, is for the copy."""
        key = what.sort_key()
        if key < self._at:
            return True
        if key < self._end.sort_key():
            one = (key, what)
            place = bisect_left(self._todo, one)
            if self._todo[place : place + 1] != [one]:
                insort(self._todo, one)
        return False

    def stop(self) -> None:
        """The interval is over."""
        allowance = self._owner.allowance
        allowance.leave(id(self))
        flying, self._flying = self._flying, set()
        for what in flying:
            allowance.give((id(self), what))

    def go_on(self) -> None:
        """As far as may be now."""
        if not self._busy:
            self._busy = True
            self._go_on()
            self._busy = False

    def _go_on(self) -> None:
        while self._owner.may_fill:
            if self._todo:
                if not self._pass(self._todo[0][1]):
                    return
                continue
            self._leave_range()
            if self._end.is_max:
                return
            if self._next is None:
                self._ask()
                return
            self._enter_range(self._next)

    def scanned(self, message: Scanned) -> None:
        """What the copy has in a range."""
        if message.first == self._asked and self._next is None:
            self._next = message
            self.go_on()

    def pushed(self, what: HObject) -> bool:
        """The copy has the object, durably; False when it was not from here."""
        if what not in self._flying:
            return False
        self._land(what)
        self.note()
        self.go_on()
        return True

    def made(self, copy: Copy) -> None:
        """A shard that was to be made."""
        if copy.exists:
            self._owner.send_copy(self._osd, copy)
            return
        what = copy.object
        self._land(what)
        version = self._owner.objects.versions(what).get(what)
        if version is not None:
            self._owner.mark_lost(self._osd, what, version)
        self.note()
        self.go_on()

    def noted(self, end: HObject) -> None:
        """The copy has noted how far all is there."""
        if end.is_max:
            self._owner.filled(self._osd)
        self._owner.objects.free_all()

    def note(self) -> None:
        """Have the copy note how far all is there, if that is further than it was."""
        peering = self._owner.peering
        under_way = set(peering.lacks.get(self._osd, ()))
        if peering.view.k > 1:  # whole copies were sent before, on the same link
            under_way |= self._flying
        last: tuple[HObject, int] | None = None
        while self._marks:
            end = self._marks[0][0].sort_key()
            if any(what.sort_key() < end for what in under_way):
                break
            last = self._marks.popleft()
            self.passed += last[1]
        if last is not None:
            epoch = peering.view.epoch
            self._owner.send(self._osd, Backfilled(epoch=epoch, last_backfill=last[0]))

    # -- ranges

    def _ask(self) -> None:
        if self._asked != self._end:
            self._asked = self._end
            epoch = self._owner.peering.view.epoch
            self._owner.send(self._osd, Scan(epoch=epoch, first=self._end, limit=RANGE))

    def _enter_range(self, scanned: Scanned) -> None:
        self._next = None
        mine, end = self._owner.objects.scan(scanned.first, RANGE)
        if scanned.end.sort_key() < end.sort_key():
            end = scanned.end
        key = end.sort_key()
        mine = {what: at for what, at in mine.items() if what.sort_key() < key}
        theirs = {what: at for what, at in scanned.objects.items() if what.sort_key() < key}
        differ = {
            replace(what, snap=SNAP_HEAD)
            for what in {*mine, *theirs}
            if mine.get(what) != theirs.get(what)
        }
        self._todo = sorted((head.sort_key(), head) for head in differ)
        self._theirs = {}
        for what, version in theirs.items():
            self._theirs.setdefault(replace(what, snap=SNAP_HEAD), {})[what] = version
        self._end, self._count = end, len(mine)
        if not end.is_max:
            self._ask()

    def _leave_range(self) -> None:
        end = self._end.sort_key()
        if self._at < end:
            self._at = end
            self._theirs = {}
            self._marks.append((self._end, self._count))
            self.note()
            if self._end.is_max:
                self._owner.sent_all()

    # -- objects

    def _pass(self, head: HObject) -> bool:
        """Bring an object with its clones; False when some of it has to wait."""
        mine = self._owner.objects.versions(head)
        theirs = self._theirs.setdefault(head, {})
        for what in sorted({*mine, *theirs}, key=HObject.sort_key):
            version = mine.get(what)
            if version == theirs.get(what):
                continue
            if not self._bring(what, version):
                return False
            if version is None:
                del theirs[what]
            else:
                theirs[what] = version
        self._todo.pop(0)
        self._at = replace(head, snap=SNAP_DIR).sort_key()
        return True

    def _bring(self, what: HObject, version: EVersion | None) -> bool:
        """Begin to; without a version: take it away there."""
        owner = self._owner
        size = 0 if version is None else owner.objects.size_of(what)
        if what in self._flying or not owner.allowance.take((id(self), what), size):
            owner.allowance.wait(id(self), self.go_on)
            return False
        self._flying.add(what)
        if version is None:
            owner.send_copy(self._osd, Copy(what, EVersion(), exists=False))
        elif owner.peering.view.k > 1:
            owner.make_to_fill(self._osd, what, version)
        else:
            copy = owner.objects.find_copy(what)
            if copy is None:
                self._flying.discard(what)
                owner.allowance.give((id(self), what))
                owner.unreadable(self._osd, what, version)
            else:
                owner.send_copy(self._osd, copy)
        return True

    def _land(self, what: HObject) -> None:
        self._flying.discard(what)
        self._owner.allowance.give((id(self), what))
        self._owner.objects.free(what)
