# SPDX-License-Identifier: Apache-2.0
"""The cluster's log: what daemons and operators say, and what a change of the maps is worth saying.

Lines are kept with the maps, the last ones only; clients follow them by channel and priority.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.wire.ceph.addresses import Addresses, format_many
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap, OSDState

KEPT: Final = 500
CLUSTER, AUDIT = "cluster", "audit"
DEBUG, INFO, SEC, WARN, ERROR = range(5)
LEVELS: Final = {"debug": DEBUG, "info": INFO, "sec": SEC, "warn": WARN, "error": ERROR}
MARKS: Final = {DEBUG: "DBG", INFO: "INF", SEC: "SEC", WARN: "WRN", ERROR: "ERR"}


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One line. `seq` is its number in the log; 0 until it is there."""

    who: str  # mon.a, client.admin
    text: str
    priority: int = INFO
    channel: str = CLUSTER
    stamp: int = 0
    addresses: Addresses = ()
    seq: int = 0


def numbered(log: tuple[Line, ...], new: Iterable[Line], now_ns: int) -> tuple[Line, ...]:
    """The new lines with their places in the log, and a time where they have none."""
    last = log[-1].seq if log else 0
    return tuple(
        msgspec.structs.replace(line, seq=last + place, stamp=line.stamp or now_ns)
        for place, line in enumerate(new, 1)
    )


def addressed(line: Line, who: str, where: Addresses) -> Line:
    """The line, from where it was said if it was said by `who`."""
    return msgspec.structs.replace(line, addresses=where) if line.who == who else line


def grown(log: tuple[Line, ...], new: tuple[Line, ...]) -> tuple[Line, ...]:
    """The log with them, without what is too old."""
    return (log + new)[-KEPT:]


def told(before: OSDMap, change: Incremental, who: str) -> list[Line]:
    """What a change of the OSD map is worth saying."""
    lines = []
    for osd, where in sorted(change.new_up_client.items()):
        lines.append(Line(who, f"osd.{osd} {format_many(where)} boot"))
    return [*lines, Line(who, _summary(before, change), DEBUG)]


def _summary(before: OSDMap, change: Incremental) -> str:
    """``osdmap e9: 3 total, 2 up, 3 in``."""
    known = {osd for osd in range(before.max_osd) if osds.is_known(before, osd)}
    up = {osd for osd in known if osds.is_up(before, osd)}
    inside = {osd for osd in known if osds.is_in(before, osd)}
    for osd, bits in change.new_state.items():
        if bits & OSDState.EXISTS:
            known ^= {osd}
        if bits & OSDState.UP:
            up -= {osd}
    up |= change.new_up_client.keys()
    for osd, weight in change.new_weight.items():
        inside = inside | {osd} if weight else inside - {osd}
    counts = f"{len(known)} total, {len(up & known)} up, {len(inside & known)} in"
    return f"osdmap e{change.epoch}: {counts}"


def led(members: tuple[str, ...], ranks: tuple[str, ...], who: str) -> tuple[Line, ...]:
    """An election is over, and `who` leads."""
    numbers = ",".join(str(ranks.index(name)) for name in members)
    names = ",".join(members)
    return (
        Line(who, f"{who} calling monitor election"),
        Line(who, f"{who} is new leader, mons {names} in quorum (ranks {numbers})"),
    )


def audited(who: str, entity: str, where: Addresses, words: str) -> tuple[Line, Line]:
    """A command that changes something: who asked `who` for it, and that it was done."""
    asked = f"from='{entity.partition('.')[0]}.? {format_many(where)}' entity='{entity}'"
    return (
        Line(who, f"{asked} cmd=[{words}]: dispatch", INFO, AUDIT),
        Line(who, f"{asked} cmd='[{words}]': finished", INFO, AUDIT),
    )


def view(
    line: Line, ranks: dict[str, str], stamp: str, addresses: dict[str, Any]
) -> dict[str, Any]:
    """As `log last` shows it to programs."""
    return {
        "name": line.who,
        "rank": ranks.get(line.who, line.who),
        "addrs": addresses,
        "stamp": stamp,
        "seq": line.seq,
        "channel": line.channel,
        "priority": f"[{MARKS[line.priority]}]",
        "message": line.text,
    }
