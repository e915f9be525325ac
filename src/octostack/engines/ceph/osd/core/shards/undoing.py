# SPDX-License-Identifier: Apache-2.0
"""What a shard keeps of a change, so that it can take it back.

A change that not all shards have made may turn out never to have counted. Each shard keeps, until
it hears that all have made it, what was there before: nothing for an object that was new, the
bytes that are overwritten, or the whole object where it is replaced.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

Step: TypeAlias = (
    api.Remove
    | api.Move
    | api.CloneRange
    | api.Truncate
    | api.RemoveAttrs
    | api.SetAttrs
    | api.OmapSet
)


class Undo(msgspec.Struct, frozen=True, array_like=True):
    """How to take back a change, and the objects that are kept for it."""

    steps: list[Step]
    kept: list[HObject]


def kept_object(what: HObject, version: EVersion, number: int) -> HObject:
    """What was there before a change: nameless, as all that is no client's, and beside the object,
    so that it goes with it when groups are split."""
    key = b"%016x%016x%04x" % (version.epoch, version.version, number)
    return HObject(key=key, hash=what.hash, pool=what.pool, snap=2)


def plan(
    store: api.ObjectStore, where: ShardPG, changes: Sequence[api.Change], version: EVersion
) -> tuple[list[api.Change], Undo]:
    """What is to be done before the changes, and how to undo them."""
    before: list[api.Change] = []
    undo = Undo([], [])
    for number, (what, ranges) in enumerate(_touched(changes).items()):
        if not store.exists(where, what):
            undo.steps.append(api.Remove(where, what))
            continue
        kept = kept_object(what, version, number)
        size = store.size(where, what)
        if ranges is None:
            before.append(api.Clone(where, what, kept))
            undo.kept.append(kept)
            undo.steps.append(api.Move(where, kept, what))
            continue
        inside = [(at, min(n, size - at)) for at, n in ranges if at < size]
        for at, length in inside:
            before.append(api.CloneRange(where, what, kept, at, length, at))
            undo.steps.append(api.CloneRange(where, kept, what, at, length, at))
        undo.kept.extend([kept] if inside else [])
        attrs = dict(store.attrs(where, what))
        undo.steps.append(api.Truncate(where, what, size))
        undo.steps.append(api.RemoveAttrs(where, what))
        undo.steps.append(api.SetAttrs(where, what, attrs))
    for change in changes:
        if isinstance(change, api.OmapRemove) and store.exists(where, change.object):  # the index
            rows = store.omap_get(where, change.object, change.keys)
            undo.steps.append(api.OmapSet(where, change.object, rows))
    return before, undo


def _touched(changes: Sequence[api.Change]) -> dict[HObject, list[tuple[int, int]] | None]:
    """Clients' objects that change, with the ranges of bytes; None: all of it."""
    found: dict[HObject, list[tuple[int, int]] | None] = {}
    for change in changes:
        match change:
            case api.Clone() | api.Move():
                found[change.target] = None
            case api.Remove():
                found[change.object] = None
            case api.Write():
                _add(found, change.object, change.offset, len(change.data))
            case api.Truncate():
                _add(found, change.object, change.size, 1 << 62)
            case api.Touch() | api.SetAttrs() | api.RemoveAttr() | api.RemoveAttrs():
                _add(found, change.object, 0, 0)
            case _:
                continue
    return {what: ranges for what, ranges in found.items() if what.name}


def _add(
    found: dict[HObject, list[tuple[int, int]] | None], what: HObject, at: int, length: int
) -> None:
    ranges = found.setdefault(what, [])
    if ranges is not None and length:
        ranges.append((at, length))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Undo)


def encode(undo: Undo) -> bytes:
    """As it is kept."""
    return _encoder.encode(undo)


def decode(data: bytes) -> Undo:
    """The reverse."""
    return _decoder.decode(data)
