# SPDX-License-Identifier: Apache-2.0
"""What surrounds the agreement of copies: its phases, what a copy keeps, what it asks for."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from octostack.engines.ceph.osd.core.log import Log
from octostack.engines.ceph.osd.core.values import Info, Interval, Lacks, Message
from octostack.wire.ceph.objects import EVersion, HObject


class Phase(StrEnum):
    """Where a copy is; a primary goes down the list, anyone else stands at the first two."""

    STRAY = "stray"
    REPLICA = "replica"
    INFO = "get info"
    DOWN = "down"
    INCOMPLETE = "incomplete"
    WAIT_MAP = "wait for the acting set"
    LOG = "get log"
    LACKS = "get missing"
    UP_THRU = "wait for up_thru"
    ACTIVATING = "activating"
    ACTIVE = "active"


class Record(msgspec.Struct):
    """What a copy keeps durably beside its objects."""

    log: Log
    info: Info = Info()
    lacks: Lacks = {}
    past: list[Interval] = []

    def forget_past(self) -> None:
        """Intervals of before all copies were whole matter no more."""
        self.past = [one for one in self.past if one.last >= self.info.history.clean]

    def learn_past(self, past: list[Interval]) -> None:
        """One that is new to the group learns its past from any other copy."""
        known, since = {one.first for one in self.past}, self.info.history.clean
        new = [one for one in past if one.first not in known and one.last >= since]
        if new:
            self.past = sorted([*self.past, *new], key=lambda one: one.first)


class Outside(Protocol):
    """What the machine asks of the world."""

    def send(self, osd: int, message: Message) -> None:
        """To another OSD, about this group."""

    def keep(self, remove: list[HObject], then: Callable[[], None] | None = None) -> None:
        """Make the record durable, and take these objects away; then call `then`."""

    def take_back(self, versions: list[EVersion]) -> None:
        """With the next `keep`, take back these changes, newest first."""

    def agreed(self) -> None:
        """The log as it is now counts, for ever."""

    def want_up_thru(self, epoch: int) -> None:
        """Ask the monitors to note that we are up in this epoch."""

    def want_acting(self, osds: tuple[int, ...]) -> None:
        """Ask the monitors that these act; none: those of the map itself."""

    def interval_begins(self) -> None:
        """Whatever was under way is void."""

    def activated(self) -> None:
        """All copies agree: serve, and recover."""

    def sources_changed(self, lost: set[int]) -> None:
        """Other OSDs can be asked for objects now; what `lost` ones were asked will not come."""
