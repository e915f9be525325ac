# SPDX-License-Identifier: Apache-2.0
"""Whom a primary must ask, whose log counts, and who shall act."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.values import Info, Interval, View


class Prior(msgspec.Struct, frozen=True):
    """Copies that may know of writes; `blocked`: those that are down, and must come back or be
    given up first, as too few others may know of the writes of some interval."""

    ask: frozenset[int]
    blocked: frozenset[int]


class Choice(msgspec.Struct, frozen=True):
    """Whose log counts; who acts; who is to be filled from the beginning."""

    best: int
    acting: tuple[int, ...]
    backfill: tuple[int, ...]


def may_have_written(first: int, last: View) -> bool:
    """Whether an interval that began in `first`, and in which `last` was the last map, took writes.

    It can only have after its primary had told the monitors that it was up in it.
    """
    primary = last.primary
    return (
        primary >= 0
        and len(last.acting) >= last.min_size
        and last.up_from.get(primary, 0) <= first
        and last.up_thru.get(primary, 0) >= first
    )


def prior(view: View, past: Sequence[Interval], started: int) -> Prior:
    """Whom to ask, so that no write of an interval since `started` goes unheard of; but what an
    operator has given up (`osd lost`), or an OSD had that has left the map, is not waited for
    (PastIntervals::PriorSet)."""
    ask = {*view.up, *view.acting}
    blocked: set[int] = set()
    for interval in past:
        if interval.last < started or not interval.wrote:
            continue
        there = [one for one in interval.acting if one in view.alive]
        ask.update(there)
        away = [one for one in interval.acting if one not in view.alive and _is_known(view, one)]
        down = [one for one in away if view.lost.get(osd_of(one), 0) <= interval.first]
        if len(there) + len(away) - len(down) < view.k:
            blocked.update(down)
    return Prior(frozenset(ask), frozenset(blocked))


def _is_known(view: View, member: int) -> bool:
    return view.known is None or osd_of(member) in view.known


def best_info(infos: Mapping[int, Info], primary: int) -> int | None:
    """Whose log counts: of those that took part in the last agreement, the one that is furthest.

    One with a backfill unfinished knows the log but not the objects: it does not count.
    """
    agreed = max((info.started for info in infos.values()), default=0)
    agreed = max([agreed, *(info.history.started for info in infos.values())])
    fit = [
        (info.last_update, -info.log_tail.version, osd == primary, -osd)
        for osd, info in infos.items()
        if info.is_complete and info.started >= agreed
    ]
    return -max(fit)[3] if fit else None


def choose(view: View, infos: Mapping[int, Info], me: int) -> Choice | None:
    """Who shall act; None when nobody has a log that counts."""
    best = best_info(infos, me) if view.k == 1 else oldest_info(infos)
    if best is None:
        return None
    tail = max(infos[best].log_tail, infos[me].log_tail)  # of what we shall have of that log

    def is_near(osd: int) -> bool:
        """Whether the log alone tells what it lacks."""
        info = infos.get(osd)
        return info is not None and info.is_complete and info.last_update >= tail

    if view.k > 1:
        return _choose_shards(view, infos, best, is_near)
    wanted = view.primary if view.acting == view.up else next(iter(view.up), best)
    first = wanted if is_near(wanted) else best
    acting = [first] + [osd for osd in view.up if osd != first and is_near(osd)]
    backfill = [osd for osd in view.up if osd not in acting]
    for osd in (*view.acting, *sorted(infos)):
        if len(acting) < view.size and osd not in acting and osd in view.alive and is_near(osd):
            acting.append(osd)
    backfill = [osd for osd in backfill if osd not in acting]
    return Choice(best, tuple(acting), tuple(backfill))


def settled(view: View) -> tuple[int, ...]:
    """Who shall act once all who act are whole: those the map chose, and others that act already
    as long as it has too few."""
    if view.k > 1:
        placed = {shard_of(member) for member in view.up}
        others = [member for member in view.acting if shard_of(member) not in placed]
        return tuple(sorted((*view.up, *others), key=shard_of))
    others = [osd for osd in view.acting if osd not in view.up]
    return (*view.up, *others)[: max(view.size, len(view.up))]


def oldest_info(infos: Mapping[int, Info]) -> int | None:
    """Of shards, whose log counts: of those that took part in the last agreement, the one that is
    least far. What was acknowledged all of them have; the rest can be taken back, while what only
    some have cannot be made whole."""
    agreed = max((info.started for info in infos.values()), default=0)
    agreed = max([agreed, *(info.history.started for info in infos.values())])
    fit = [
        (info.last_update, member)
        for member, info in infos.items()
        if info.is_complete and info.started >= agreed
    ]
    return min(fit)[1] if fit else None


def _choose_shards(
    view: View, infos: Mapping[int, Info], best: int, is_near: Callable[[int], bool]
) -> Choice | None:
    """For each shard, the one that the map has if the log tells what it lacks, else any other."""
    acting: list[int] = []
    for shard in range(view.size):
        fit = [
            member
            for member in (*view.up, *view.acting, *sorted(infos))
            if shard_of(member) == shard and member in view.alive and is_near(member)
        ]
        acting += fit[:1]
    if len(acting) < view.k:
        return None
    backfill = tuple(member for member in view.up if member not in acting)
    return Choice(best, tuple(acting), backfill)
