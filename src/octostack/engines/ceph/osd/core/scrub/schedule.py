# SPDX-License-Identifier: Apache-2.0
"""When which group is to be scrubbed: each once an interval, and not all of them at once.

An interval is longer by a part that is drawn from the group and its last scrub, so that it needs
not be remembered, and groups that were made together drift apart. The defaults are Ceph's.
"""

from collections.abc import Container, Mapping
from typing import NamedTuple

import google_crc32c
import msgspec

from octostack.engines.ceph.osd.core.values import Stamp
from octostack.wire.ceph.objects import ShardPG

DAY_S = 86_400
_NS = 1_000_000_000


class Intervals(msgspec.Struct, frozen=True):
    """Seconds, and by which share of itself an interval may be longer."""

    shallow_s: float = DAY_S  # osd_scrub_min_interval
    deep_s: float = 7 * DAY_S  # osd_deep_scrub_interval
    longer: float = 0.5  # osd_scrub_interval_randomize_ratio
    at_once: int = 1  # osd_max_scrubs, of groups that this OSD leads


class Hours(msgspec.Struct, frozen=True):
    """When scrubs that nobody ordered may begin: from an hour to another, which may lie in the
    next day, and so with days of the week (0 and 7: Sunday). Equal ones: always."""

    begin_hour: int = 0  # osd_scrub_begin_hour
    end_hour: int = 0
    begin_day: int = 0  # osd_scrub_begin_week_day
    end_day: int = 0

    def allow(self, hour: int, day: int) -> bool:
        """Whether that is such a time."""
        hours = _within(hour, self.begin_hour % 24, self.end_hour % 24)
        return hours and _within(day % 7, self.begin_day % 7, self.end_day % 7)


def _within(now: int, begin: int, end: int) -> bool:
    if begin == end:
        return True
    return begin <= now < end if begin < end else now >= begin or now < end


class Due(NamedTuple):
    """A group whose time has come."""

    at_ns: int
    pg: ShardPG
    deep: bool


def due(pg: ShardPG, stamp: Stamp, intervals: Intervals) -> Due:
    """When the group's next scrub is to be, and whether a deep one."""
    draw = google_crc32c.value(f"{pg} {stamp.at_ns}".encode()) / 2**32
    longer = 1 + intervals.longer * draw
    shallow_ns = stamp.at_ns + int(intervals.shallow_s * longer * _NS)
    deep_ns = stamp.deep_at_ns + int(intervals.deep_s * longer * _NS)
    return Due(min(shallow_ns, deep_ns), pg, deep_ns <= shallow_ns)


def choose(
    groups: Mapping[ShardPG, Stamp], running: Container[ShardPG], now_ns: int, intervals: Intervals
) -> Due | None:
    """The group that has waited longest, if one is due and not enough are running."""
    if sum(pg in running for pg in groups) >= intervals.at_once:
        return None
    waiting = [due(pg, stamp, intervals) for pg, stamp in groups.items()]
    return min((one for one in waiting if one.at_ns <= now_ns), default=None)
