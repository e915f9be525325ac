# SPDX-License-Identifier: Apache-2.0
"""Which OSDs others do not hear, and when that is enough to mark one down.

Two others must say so, or all that there are; an OSD that refuses connections (its process is gone)
is believed at once. A report that is not said again is forgotten.
"""

from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap
from octostack.wire.ceph.messages.cluster import OSDFailure

REPORTERS_MIN: Final = 2
GRACE_S: Final = 20.0
FORGOTTEN_AFTER_S: Final = 300.0


class _Report(msgspec.Struct, frozen=True):
    since: float
    said_at: float


class Failures:
    """Reports by target and reporter; times are those of one monotonic clock."""

    def __init__(self) -> None:
        self.grace_s = GRACE_S
        self._reports: dict[int, dict[int, _Report]] = {}

    def take(self, target: int, reporter: int, now: float, failed_for_s: float) -> None:
        """`reporter` has not heard `target` for so long."""
        if target != reporter:
            report = _Report(now - failed_for_s, now)
            self._reports.setdefault(target, {})[reporter] = report

    def take_back(self, target: int, reporter: int) -> None:
        """It hears it again."""
        self._reports.get(target, {}).pop(reporter, None)

    def forget(self, target: int) -> None:
        """It was marked down."""
        self._reports.pop(target, None)

    def is_dead(self, osdmap: OSDMap, target: int, now: float, *, at_once: bool = False) -> bool:
        """Whether it is to be marked down."""
        if osdmap.flags & MapFlag.NODOWN or not osds.is_up(osdmap, target):
            return False
        valid = [
            report
            for reporter, report in self._reports.get(target, {}).items()
            if osds.is_up(osdmap, reporter) and now - report.said_at < FORGOTTEN_AFTER_S
        ]
        if at_once and valid:
            return True
        others = sum(osds.is_up(osdmap, osd) for osd in range(osdmap.max_osd)) - 1
        late = [report for report in valid if now - report.since >= self.grace_s]
        return bool(late) and len(late) >= min(REPORTERS_MIN, others)


def is_of_this_life(osdmap: OSDMap, told: OSDFailure) -> bool:
    """Whether a report is of the OSD as the map has it now. One that was taken for dead comes back
    with the same address for clients: who has not heard of that yet speaks of its life before."""
    target = told.target
    if not 0 <= target < osdmap.max_osd:
        return False
    same = osdmap.client_addresses[target] == told.target_addresses
    return same and told.epoch >= osdmap.osd_info[target].up_from
