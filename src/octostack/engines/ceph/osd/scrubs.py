# SPDX-License-Identifier: Apache-2.0
"""Scrubs on one OSD: those that were ordered, those whose time has come, and what they found.

No more than `Intervals.at_once` run at a time of those that this OSD leads. A group that is not
whole yet keeps its order until it is.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from octostack.base import clock, log
from octostack.engines.ceph.osd.core.scrub import schedule
from octostack.engines.ceph.osd.core.scrub.schedule import Hours, Intervals
from octostack.engines.ceph.osd.core.scrub.values import Finding, Result
from octostack.engines.ceph.osd.options import Options
from octostack.engines.ceph.osd.replicated import Replica
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

_log = log.get("ceph.osd.scrub")
DEBUG, ERROR = 0, 4  # priorities of the cluster's log
LINES_MAX = 100  # of one scrub


class Order(NamedTuple):
    """What somebody asked for."""

    deep: bool
    repair: bool


class Scrubs:
    """See the module's essay. `say` takes a line for the cluster's log, and its priority."""

    def __init__(self, say: Callable[[str, int], None], intervals: Intervals | None = None) -> None:
        self.intervals = intervals or Intervals()
        self.hours = Hours()
        self.during_recovery = False
        self.allowed = True  # by the flags of the map
        self.deep_allowed = True
        self._say = say
        self._orders: dict[ShardPG, Order] = {}

    def follow(self, options: Options) -> None:
        """Take the intervals from the configuration."""
        names = {
            "shallow_s": "osd_scrub_min_interval",
            "deep_s": "osd_deep_scrub_interval",
            "longer": "osd_scrub_interval_randomize_ratio",
            "at_once": "osd_max_scrubs",
        }
        said = {field: options.find(name) for field, name in names.items()}
        known = {field: float(text) for field, text in said.items() if text}
        self.intervals = msgspec.structs.replace(Intervals(), **known)
        number = options.number
        self.hours = Hours(
            int(number("osd_scrub_begin_hour")),
            int(number("osd_scrub_end_hour")),
            int(number("osd_scrub_begin_week_day")),
            int(number("osd_scrub_end_week_day")),
        )
        self.during_recovery = options.find("osd_scrub_during_recovery") == "true"

    def order(self, groups: Iterable[ShardPG], *, deep: bool, repair: bool) -> None:
        """Scrub these as soon as may be."""
        for pg in groups:
            self._orders[pg] = Order(deep, repair)

    def tick(self, groups: Mapping[ShardPG, Replica], now_ns: int) -> None:
        """Begin what is to begin."""
        ready = {pg: group for pg, group in groups.items() if group.peering.is_primary}
        running = {pg for pg, group in ready.items() if group.scrubbing.machine.is_running}
        for pg in [pg for pg in self._orders if pg not in ready]:
            del self._orders[pg]
        for pg, order in list(self._orders.items()):
            if len(running) >= self.intervals.at_once:
                return
            if self._start(ready[pg], pg, order):
                del self._orders[pg]
                running.add(pg)
        if not self.allowed or not self._is_time(ready, now_ns):
            return
        stamps = {pg: group.scrubbing.stamp for pg, group in ready.items()}
        due = schedule.choose(stamps, running, now_ns, self.intervals)
        if due is not None:
            self._start(ready[due.pg], due.pg, Order(due.deep and self.deep_allowed, False))

    def _start(self, group: Replica, where: ShardPG, order: Order) -> bool:
        if not group.scrubbing.machine.start(deep=order.deep, repair=order.repair):
            return False
        self._say(f"{where.pg} {_word(order)} starts", DEBUG)
        return True

    def _is_time(self, groups: Mapping[ShardPG, Replica], now_ns: int) -> bool:
        """Whether scrubs may begin that nobody ordered."""
        if not self.during_recovery and any(one.recovery.claim.is_held for one in groups.values()):
            return False
        now = clock.local(now_ns / 1e9)
        return self.hours.allow(now.tm_hour, now.tm_wday + 1)

    def ended(self, pg: PG, result: Result) -> None:
        """Tell what a scrub found, in the words of the real one."""
        word = _word(result)
        lines = [line for finding in result.findings for line in _lines(pg, finding)]
        for line in lines[:LINES_MAX]:
            self._say(line, ERROR)
        found = result.errors + result.mended
        if not found:
            fixed = ", 0 fixed" if result.repair else ""
            self._say(f"{pg} {word} ok{fixed}", DEBUG)
            return
        kinds = f"{_inconsistent(result)} inconsistent objects"
        self._say(f"{pg} {word} {_missing(result)} missing, {kinds}", ERROR)
        fixed = f", {result.mended} fixed" if result.repair else ""
        self._say(f"{pg} {word} {found} errors{fixed}", ERROR)
        _log.error("copies differ", group=str(pg), errors=found, mended=result.mended)


def _word(one: Order | Result) -> str:
    return "repair" if one.repair else "deep-scrub" if one.deep else "scrub"


def _missing(result: Result) -> int:
    return sum(copy.seen is None for f in result.findings for copy in f.copies.values())


def _inconsistent(result: Result) -> int:
    return len(result.findings)


def _lines(pg: PG, finding: Finding) -> list[str]:
    name = _name(finding.object)
    lines = []
    for osd in finding.bad:
        copy = finding.copies[osd]
        words = ", ".join(sorted([*copy.flaws, *copy.differs]))
        lines.append(f"{pg} shard {osd} soid {name} : {words}")
    if finding.authority is None:
        lines.append(f"{pg} soid {name} : failed to pick suitable object info")
    return lines


def _name(what: HObject) -> str:
    snap = "head" if what.snap == SNAP_HEAD else f"{what.snap:x}"
    name, space = what.name.decode(errors="replace"), what.namespace.decode(errors="replace")
    return f"{what.pool}:{what.hash:08x}:{space}::{name}:{snap}"
