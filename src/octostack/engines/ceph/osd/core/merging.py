# SPDX-License-Identifier: Apache-2.0
"""Logs of copies that parted: which entries never counted, and what a copy then lacks.

All logs of a group are one line up to where they part: two logs that have the same entry have the
same entries before it. So a copy whose log goes on elsewhere is brought back to the last common
entry, and forward from there.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from octostack.engines.ceph.osd.core.log import ZERO, Entry, Kind, Log
from octostack.engines.ceph.osd.core.values import Lacks, Need
from octostack.wire.ceph.objects import EVersion, HObject


class Merged(msgspec.Struct):
    """What a merge has done to a log, and what is to be done to the objects."""

    taken_off: list[Entry]  # newest first
    added: list[Entry]
    remove: list[HObject]  # whose contents never counted, or were deleted since
    revert: list[EVersion]  # changes to be taken back, newest first, where that can be done


def cut(log: Log, since: EVersion) -> tuple[EVersion, list[Entry]]:
    """The part of a log for one who is at `since`: its newest entry up to there, and the rest."""
    newer = log.after(since)
    count = len(log) - len(newer)
    return (log.entries[count - 1].version if count else log.tail), newer


def split(log: Sequence[Entry], tail: EVersion, entries: Sequence[Entry]) -> EVersion:
    """The last common version of `log` (behind `tail`) and `entries` (which follow `tail`)."""
    theirs = {entry.version for entry in entries}
    common = tail
    for entry in log:
        if entry.version not in theirs:
            break
        common = entry.version
    return common


def merge(
    log: Log,
    lacks: Lacks,
    tail: EVersion,
    entries: Sequence[Entry],
    inside: Callable[[HObject], bool],
    reverts: bool = False,
) -> Merged:
    """Make `log` end with `entries`, which follow `tail`; bring `lacks` up to that.

    `inside` tells of which objects the copy should have some: those before its backfill; `reverts`,
    whether the copy can take back changes that never counted.
    """
    common = split(log.after(tail), tail, entries)
    taken_off = log.rewind(common)
    added = [entry for entry in entries if entry.version > common]
    reverted = [
        entry
        for entry in taken_off
        if reverts and not entry.is_lost and entry.object not in lacks and inside(entry.object)
    ]
    whole = {entry.object for entry in reverted}
    remove = undo(lacks, [e for e in taken_off if e.object not in whole], added)
    for entry in added:
        log.append(entry)
    remove += lack(lacks, (entry for entry in added if inside(entry.object)))
    revert = list(dict.fromkeys(entry.version for entry in reverted))
    return Merged(taken_off, added, list(dict.fromkeys(remove)), revert)


def lacks_of(
    log: Log, lacks: Lacks, part: tuple[EVersion, Sequence[Entry]], *, reverts: bool
) -> tuple[Lacks, EVersion]:
    """What a copy lacks of what `log` says, and where the two parted: it lacked `lacks`, and its
    own log goes on from `part`'s version with these entries."""
    tail, theirs = part
    found, mine = dict(lacks), log.after(tail)
    common = split(theirs, tail, mine)
    parted = [entry for entry in theirs if entry.version > common]
    later = [entry for entry in mine if entry.version > common]
    if reverts:  # what it has made
        parted = [entry for entry in parted if entry.object in found]
    undo(found, parted[::-1], later)
    lack(found, later)
    return found, common


def undo(lacks: Lacks, taken_off: Iterable[Entry], later: Iterable[Entry]) -> list[HObject]:
    """What is lacking once these entries never counted; the objects whose contents must go."""
    replaced = {entry.object for entry in later}
    oldest: dict[HObject, Entry] = {}
    for entry in taken_off:  # newest first
        oldest[entry.object] = entry
    remove: list[HObject] = []
    for what, entry in oldest.items():
        known = lacks.pop(what, None)
        made = entry.prior == ZERO or entry.kind == Kind.CLONE
        if made:
            remove.append(what)
        elif known is None:
            remove.append(what)
            lacks[what] = Need(entry.prior, ZERO)
        elif known.have != entry.prior:
            lacks[what] = Need(entry.prior, known.have)
        if what in replaced and what in lacks:
            lacks[what] = Need(lacks[what].need, ZERO)
    return remove


def lack(lacks: Lacks, entries: Iterable[Entry]) -> list[HObject]:
    """Add what a copy lacks that has not made these changes; the objects that are deleted."""
    remove: list[HObject] = []
    for entry in entries:
        what = entry.object
        known = lacks.pop(what, None)
        if entry.is_delete:
            remove.append(what)
            continue
        if what in remove:
            remove.remove(what)
        if known is not None:
            lacks[what] = Need(entry.version, known.have)
        elif entry.prior == ZERO or entry.kind == Kind.CLONE:
            lacks[what] = Need(entry.version, ZERO)
        else:
            lacks[what] = Need(entry.version, entry.prior)
    return remove
