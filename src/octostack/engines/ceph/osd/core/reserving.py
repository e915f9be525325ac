# SPDX-License-Identifier: Apache-2.0
"""Places for groups that are brought back, of which each OSD has few (`osd_max_backfills`).

A group's primary takes a place at its own OSD, then one at each OSD that is to get objects, one
after the other in the order of their numbers; it begins when it has all. Places for one's own
groups and for others' are counted apart, and all ask in the same order: so no ring of groups can
wait for one another. An OSD that is too full for a copy says so; the group then gives all back and
tries again later. All are given back when the interval ends, without a word: everyone knows of it.
"""

from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from typing import Protocol

import msgspec

from octostack.engines.ceph.osd.core.allowance import Allowance
from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.values import Message, Release, Reserve, Reserved

# ranks of groups, as Ceph has them: who serves nobody, who has objects to bring by the log, who has
# too few copies, and who only moves
INACTIVE, RECOVERED, DEGRADED, MOVED = 220, 180, 140, 100


class Kind(Enum):
    """What a group has to do."""

    RECOVER = "recover"  # by the log
    FILL = "fill"  # by comparing


class _Asking(msgspec.Struct):
    rank: int
    granted: Callable[[], None]


class Places:
    """Those of one kind on an OSD: the highest rank first, then who came first."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self._held: set[Hashable] = set()
        self._waiting: dict[Hashable, _Asking] = {}

    @property
    def held(self) -> int:
        """How many are taken."""
        return len(self._held)

    def ask(self, who: Hashable, rank: int, granted: Callable[[], None]) -> None:
        """`granted` is called, perhaps at once, when there is a place."""
        if who not in self._held:
            self._waiting[who] = _Asking(rank, granted)
            self._grant()

    def give(self, who: Hashable) -> None:
        """Give the place back, or ask no more."""
        self._held.discard(who)
        self._waiting.pop(who, None)
        self._grant()

    def resize(self, most: int) -> None:
        """So many from now on; who has one keeps it."""
        self.most = most
        self._grant()

    def _grant(self) -> None:
        while self._waiting and len(self._held) < self.most:
            who = max(self._waiting, key=lambda one: self._waiting[one].rank)  # the first of them
            asking = self._waiting.pop(who)
            self._held.add(who)
            asking.granted()


class Home(Protocol):
    """What all groups on an OSD share."""

    allowance: Allowance
    own_places: Places  # for groups that it is the primary of
    others_places: Places  # for those of others that it gets objects of


class Claim:
    """The places of one group: what its primary holds, and what it gives to another primary."""

    def __init__(self, peering: Peering, home: Home) -> None:
        self.kind: Kind | None = None
        self.is_held = False
        self.too_full = False  # somebody was, when last asked
        self._peering = peering
        self._allowance = home.allowance
        self._own = home.own_places
        self._others = home.others_places
        self._rank = 0
        self._number = 0  # of what was asked last
        self._left: list[int] = []  # to be asked, the next one last
        self._asked: list[int] = []
        self._then: Callable[[], None] = _nothing
        self._given: set[Hashable] = set()

    def take(self, kind: Kind, members: Iterable[int], rank: int, then: Callable[[], None]) -> None:
        """Ask for places at these; `then` is called, perhaps at once, when all are had."""
        self.drop()
        self.kind, self._rank, self._then = kind, rank, then
        self._left = sorted(members, key=osd_of, reverse=True)
        self._own.ask(id(self), rank, self._next)

    def drop(self) -> None:
        """Give all back."""
        asked = self._forget()
        for member in asked:
            self._send(member, Release(epoch=self._peering.view.epoch))
        self._own.give(id(self))

    def stop(self) -> None:
        """The interval is over."""
        self._forget()
        self.too_full = False
        given, self._given = self._given, set()
        for one in given:
            self._others.give(one)
        self._own.give(id(self))

    def receive(self, source: int, message: Message) -> bool:
        """A message about places; False when it is not."""
        match message:
            case Reserve():
                self._on_reserve(source, message)
            case Release():
                self._take_back(source)
            case Reserved():
                self._on_reserved(source, message)
            case _:
                return False
        return True

    def refuse(self, source: int) -> None:
        """We have become too full to be filled: the primary must stop."""
        self._take_back(source)
        self._answer(source, 0, False)

    def _forget(self) -> list[int]:
        asked = self._asked
        self.kind, self.is_held, self._then = None, False, _nothing
        self._left, self._asked = [], []
        self._number += 1
        return asked

    def _next(self) -> None:
        if not self._left:
            self.is_held, self.too_full = True, False
            self._then()
            return
        member = self._left.pop()
        self._asked.append(member)
        self._number += 1
        message = Reserve(
            epoch=self._peering.view.epoch,
            number=self._number,
            filling=self.kind == Kind.FILL,
            rank=self._rank,
        )
        self._send(member, message)

    def _on_reserved(self, source: int, message: Reserved) -> None:
        if source in self._asked and not message.granted:
            self._asked.remove(source)
            self.drop()
            self.too_full = True
        elif message.number == self._number and self._asked and not self.is_held:
            self._next()  # and not an answer to what was given back meanwhile

    def _on_reserve(self, source: int, message: Reserve) -> None:
        if message.filling and self._allowance.rules.is_full:
            self._answer(source, message.number, False)
            return
        who = (id(self), source)
        self._given.add(who)
        self._others.ask(who, message.rank, lambda: self._answer(source, message.number, True))

    def _answer(self, source: int, number: int, granted: bool) -> None:
        epoch = self._peering.view.epoch
        self._send(source, Reserved(epoch=epoch, number=number, granted=granted))

    def _take_back(self, source: int) -> None:
        who = (id(self), source)
        self._given.discard(who)
        self._others.give(who)

    def _send(self, member: int, message: Message) -> None:
        self._peering.outside.send(member, message)


def _nothing() -> None:
    return
