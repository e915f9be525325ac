# SPDX-License-Identifier: Apache-2.0
"""Which OSDs others do not hear, and when that is enough to mark one down.

Reporters from two different hosts must say so, or from all hosts that there are; an OSD that
refuses connections (its process is gone) is believed at once. A report that is not said again is
forgotten. Whoever was marked down wrongly before is waited for longer, and so is he whose reporters
were: each by how often and for how long, which is forgotten by half in an hour.
"""

import math
from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds, places
from octostack.engines.ceph.mon.core import osds as osd_changes
from octostack.engines.ceph.mon.core.settings import Config, number_of, text_of
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.messages.cluster import FAILED, OSDFailure

FORGOTTEN_AFTER_S: Final = 300.0
_NANOS: Final = 1_000_000_000


class Rules(msgspec.Struct, frozen=True):
    """What is enough."""

    grace_s: float = 20.0
    reporters_min: int = 2
    level: str = "host"  # reporters in one bucket of this type count once
    adjusts: bool = True
    halflife_s: float = 3600.0
    up_ratio_min: float = 0.3


class Verdict(msgspec.Struct, frozen=True):
    """An OSD is dead: who says so."""

    reporters: int
    level: str
    failed_for_s: float
    grace_s: float

    def __str__(self) -> str:
        return (
            f"{self.reporters} reporters from different {self.level} after "
            f"{self.failed_for_s:.6f} >= grace {self.grace_s:.6f}"
        )


class _Report(msgspec.Struct, frozen=True):
    since: float
    said_at: float
    up_from: int  # of the target: which of its lives it is about


def rules_of(config: Config) -> Rules:
    """As they are configured."""
    return Rules(
        number_of(config, "osd_heartbeat_grace"),
        number_of(config, "mon_osd_min_down_reporters"),
        text_of(config, "mon_osd_reporter_subtree_level"),
        bool(number_of(config, "mon_osd_adjust_heartbeat_grace")),
        max(1, number_of(config, "mon_osd_laggy_halflife")),
        float(text_of(config, "mon_osd_min_up_ratio")),
    )


def laggy_of(config: Config) -> osd_changes.Laggy:
    """What is remembered of those that were marked down wrongly."""
    return osd_changes.Laggy(
        float(text_of(config, "mon_osd_laggy_weight")),
        number_of(config, "mon_osd_laggy_max_interval"),
    )


class Failures:
    """Reports by target and reporter; times are those of one monotonic clock."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._reports: dict[int, dict[int, _Report]] = {}

    def take(self, osdmap: OSDMap, told: OSDFailure, reporter: int, now: float) -> None:
        """`reporter` does not hear an OSD, or hears it again. Void when it speaks of one of the
        lives that the OSD had before this one, or of itself."""
        target = told.target
        if target == reporter or not is_of_this_life(osdmap, told):
            return
        if told.flags & FAILED:
            born = osdmap.osd_info[target].up_from
            report = _Report(now - told.failed_for_s, now, born)
            self._reports.setdefault(target, {})[reporter] = report
        else:
            self._reports.get(target, {}).pop(reporter, None)

    def forget(self, target: int) -> None:
        """It was marked down."""
        self._reports.pop(target, None)

    def may_mark_down(self, osdmap: OSDMap, target: int) -> bool:
        """Whether the map's flags, and how many would be left, allow it."""
        if not may_go_down(osdmap, target):
            return False
        known = osds.list_known(osdmap)
        up = sum(osds.is_up(osdmap, osd) for osd in known)
        return up / len(known) >= self.rules.up_ratio_min

    def find_refusal(self, osdmap: OSDMap, target: int, now: float) -> int | None:
        """Whom the OSD refuses connections, which is enough."""
        if not self.may_mark_down(osdmap, target):
            return None
        return next(iter(self._valid(osdmap, target, now)), None)

    def find_verdict(self, osdmap: OSDMap, target: int, now: float, now_ns: int) -> Verdict | None:
        """Whether it is to be marked down; `now_ns` is the time that is in maps."""
        if not self.may_mark_down(osdmap, target):
            return None
        valid = self._valid(osdmap, target, now)
        if not valid:
            return None
        grace_s = self._grace_s(osdmap, target, tuple(valid), now_ns)
        late = {osd: now - report.since for osd, report in valid.items()}
        late = {osd: for_s for osd, for_s in late.items() if for_s >= grace_s}
        level = self.rules.level
        others = [osd for osd in osds.list_known(osdmap) if osds.is_up(osdmap, osd)]
        there = {places.subtree(osdmap.crush, osd, level) for osd in others if osd != target}
        said = {places.subtree(osdmap.crush, osd, level) for osd in late}
        if not said or len(said) < min(self.rules.reporters_min, len(there)):
            return None
        return Verdict(len(said), level, min(late.values()), grace_s)

    def _valid(self, osdmap: OSDMap, target: int, now: float) -> dict[int, _Report]:
        """What counts: of this life of it, whatever ended the one before."""
        born = osdmap.osd_info[target].up_from
        return {
            reporter: report
            for reporter, report in self._reports.get(target, {}).items()
            if report.up_from == born
            and osds.is_up(osdmap, reporter)
            and now - report.said_at < FORGOTTEN_AFTER_S
        }

    def _grace_s(
        self, osdmap: OSDMap, target: int, reporters: tuple[int, ...], now_ns: int
    ) -> float:
        grace_s = self.rules.grace_s
        if not self.rules.adjusts:
            return grace_s
        peers = sum(self._lag_s(osdmap, osd, now_ns) for osd in reporters) / len(reporters)
        return grace_s + self._lag_s(osdmap, target, now_ns) + peers

    def _lag_s(self, osdmap: OSDMap, osd: int, now_ns: int) -> float:
        known = osdmap.osd_xinfo[osd]
        age_s = max(0, now_ns - known.down_stamp) / _NANOS
        kept = math.exp(age_s * math.log(0.5) / self.rules.halflife_s)
        return kept * known.laggy_interval * known.laggy_probability / osd_changes.WHOLE


def is_of_this_life(osdmap: OSDMap, told: OSDFailure) -> bool:
    """Whether a report is of the OSD as the map has it now. One that was taken for dead comes back
    with the same address for clients: who has not heard of that yet speaks of its life before."""
    target = told.target
    if not 0 <= target < osdmap.max_osd:
        return False
    same = osdmap.client_addresses[target] == told.target_addresses
    return same and told.epoch >= osdmap.osd_info[target].up_from


def may_go_down(osdmap: OSDMap, osd: int) -> bool:
    """Whether it is up, and no flag, of all or of it, keeps it so."""
    if osdmap.flags & MapFlag.NODOWN or not osds.is_up(osdmap, osd):
        return False
    return not osdmap.osd_state[osd] & OSDState.NODOWN
