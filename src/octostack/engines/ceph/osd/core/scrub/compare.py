# SPDX-License-Identifier: Apache-2.0
"""Which copy of an object counts, and what is wrong with the others.

A copy that cannot be read, or contradicts itself, does not count. Of the rest the newest do, and
of those the state that most copies share; where as many say one thing as another, the primary's.

Shards have different bytes. Those that agree on all else are held against one another by their
digests: which of them do not fit the others can be told as long as more than k do.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.core.scrub.values import (
    CopyFinding,
    Difference,
    Finding,
    Flaw,
    Seen,
)
from octostack.engines.ceph.osd.ops.state import (
    INFO_ATTR,
    SNAPSET_ATTR,
    ObjectInfo,
    decode_info,
    decode_snapset,
)
from octostack.wire.ceph.objects import EVersion, HObject


class Kind(Protocol):
    """What copies are: whole, or shards."""

    def stored_size(self, size: int) -> int:
        """How many bytes a copy has of an object of that size."""

    def list_odd(self, pieces: Mapping[int, bytes]) -> frozenset[int]:
        """Of shards with these digests, those that do not fit the others."""


class _Whole:
    def stored_size(self, size: int) -> int:
        return size

    def list_odd(self, pieces: Mapping[int, bytes]) -> frozenset[int]:
        return frozenset()


WHOLE: Kind = _Whole()


def compare(
    what: HObject, copies: Mapping[int, Seen | None], primary: int, kind: Kind = WHOLE
) -> Finding | None:
    """What is wrong with an object, or None."""
    flaws = {osd: _flaws(seen, kind) for osd, seen in copies.items()}
    fit = {osd: seen for osd, seen in copies.items() if seen is not None and not flaws[osd]}
    authority = _choose(fit, primary)
    best = copies[authority] if authority is not None else None
    if best is not None:
        size = kind.stored_size(_info(best).size)
        for osd in [osd for osd, seen in copies.items() if seen is not None and seen.size != size]:
            flaws[osd].add(Flaw.SIZE_WRONG)
    found = {
        osd: CopyFinding(seen, frozenset(flaws[osd]), _differences(seen, best))
        for osd, seen in copies.items()
    }
    version = _info(best).version if best is not None else EVersion()
    pieces = {
        osd: copy.seen.piece
        for osd, copy in found.items()
        if copy.is_good and copy.seen is not None and copy.seen.piece
    }
    odd = kind.list_odd(pieces) if pieces else frozenset()
    for osd in odd:
        found[osd] = replace(found[osd], flaws=frozenset({Flaw.PIECE}))
    if all(copy.is_good for copy in found.values()):
        return None
    if authority in odd:
        authority = next((osd for osd in sorted(pieces) if osd not in odd), None)
    return Finding(what, version, found, authority)


def _info(seen: Seen) -> ObjectInfo:
    return decode_info(seen.attrs[INFO_ATTR])


def _flaws(seen: Seen | None, kind: Kind) -> set[Flaw]:
    if seen is None:
        return {Flaw.MISSING}
    flaws: set[Flaw] = {Flaw.READ_ERROR} if seen.unreadable else set()
    if INFO_ATTR not in seen.attrs:
        return flaws | {Flaw.INFO_MISSING}
    try:
        info = _info(seen)
    except Corrupt:
        return flaws | {Flaw.INFO_CORRUPTED}
    if kind.stored_size(info.size) != seen.size:
        flaws.add(Flaw.SIZE_INFO)
    try:
        decode_snapset(seen.attrs.get(SNAPSET_ATTR, b"\x90"))
    except Corrupt:
        flaws.add(Flaw.SNAPSET_CORRUPTED)
    return flaws


def _choose(fit: Mapping[int, Seen], primary: int) -> int | None:
    if not fit:
        return None
    newest = max(_info(seen).version for seen in fit.values())
    votes: list[tuple[Seen, list[int]]] = []
    for osd, seen in sorted(fit.items(), key=lambda pair: (pair[0] != primary, pair[0])):
        if _info(seen).version != newest:
            continue
        same = next((voters for other, voters in votes if _says(other) == _says(seen)), None)
        if same is None:
            votes.append((seen, [osd]))
        else:
            same.append(osd)
    return max(votes, key=lambda vote: len(vote[1]))[1][0]


def _says(seen: Seen) -> tuple[object, ...]:
    """All in which copies are alike, and shards too."""
    return (seen.size, seen.attrs, seen.data_digest, seen.omap_digest)


def _differences(seen: Seen | None, best: Seen | None) -> frozenset[Difference]:
    if seen is None or best is None or seen is best:
        return frozenset()
    found: set[Difference] = set()
    if seen.size != best.size:
        found.add(Difference.SIZE)
    if not seen.unreadable:
        if seen.data_digest != best.data_digest:
            found.add(Difference.DATA)
        if seen.omap_digest != best.omap_digest:
            found.add(Difference.OMAP)
    if seen.attrs.keys() | {INFO_ATTR} != best.attrs.keys():  # without that it is flawed
        found.add(Difference.ATTR_NAME)
    for name in seen.attrs.keys() & best.attrs.keys():
        if seen.attrs[name] != best.attrs[name]:
            kinds = {INFO_ATTR: Difference.INFO, SNAPSET_ATTR: Difference.SNAPSET}
            found.add(kinds.get(name, Difference.ATTR_VALUE))
    return frozenset(found)
