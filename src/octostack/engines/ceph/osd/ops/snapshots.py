# SPDX-License-Identifier: Apache-2.0
"""Snapshots: a write that comes with a newer one leaves a clone of what was there before.

A clone is named by the newest snapshot it serves. `overlap` of a clone is what it still shares
with the next newer clone or the head; it shrinks as those are written.
"""

import errno
from copy import copy

import msgspec

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops import ranges
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.engines.ceph.osd.ops.state import (
    INFO_ATTR,
    SNAPSET_ATTR,
    Clone,
    ObjectInfo,
    ObjectState,
    SnapSet,
    encode_info,
)
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.objects import SNAP_HEAD, EVersion, HObject, ShardPG


def snap_of(head: HObject, snap: int) -> HObject:
    """The clone of `head` that is named `snap`."""
    return msgspec.structs.replace(head, snap=snap)


def resolve(head: HObject, state: ObjectState, snap: int) -> HObject | None:
    """The object that shows `head` as of `snap`; None when there was none."""
    if snap == SNAP_HEAD:
        return head if state.visible else None
    if snap > state.snaps.seq:
        return head if state.visible else None
    clone = state.snaps.find(snap)
    return snap_of(head, clone.id) if clone else None


class Cloned(msgspec.Struct, frozen=True):
    """A clone to be made before the changes of the request."""

    object: HObject
    info: ObjectInfo
    snaps: list[int]
    changes: list[api.Change]


def plan_clone(
    head: HObject, state: ObjectState, snaps: list[int], version: EVersion, where: ShardPG
) -> Cloned | None:
    """The clone that a first write after `snaps` (newest first) must leave, or None."""
    new = [snap for snap in snaps if snap > state.snaps.seq]
    if not new or not state.visible:
        return None
    target = snap_of(head, new[0])
    info = copy(state.info)
    info.version, info.prior, info.watchers = version, state.info.version, []
    changes: list[api.Change] = [
        api.Clone(where, head, target),
        api.SetAttrs(where, target, {INFO_ATTR: encode_info(info)}),
        api.RemoveAttr(where, target, SNAPSET_ATTR),
    ]
    return Cloned(target, info, new, changes)


def after_write(
    snaps: SnapSet, cloned: Cloned | None, seq: int, dirty: list[tuple[int, int]]
) -> SnapSet:
    """The snapset after a write: with the new clone, and with what it no longer shares."""
    clones = list(snaps.clones)
    if cloned:
        whole = [(0, cloned.info.size)] if cloned.info.size else []
        clones.append(Clone(cloned.object.snap, cloned.snaps, cloned.info.size, whole))
    if clones and dirty:
        last = copy(clones[-1])
        last.overlap = ranges.subtract(last.overlap, dirty)
        clones[-1] = last
    return SnapSet(max(snaps.seq, seq), clones)


def without(snaps: SnapSet, clone: Clone, removed: set[int]) -> tuple[SnapSet, bool]:
    """The snapset once `removed` snapshots are gone from `clone`, and whether the clone goes."""
    left = [snap for snap in clone.snaps if snap not in removed]
    at = next(n for n, c in enumerate(snaps.clones) if c.id == clone.id)
    clones = list(snaps.clones)
    if left:
        clones[at] = Clone(clone.id, left, clone.size, clone.overlap)
        return SnapSet(snaps.seq, clones), False
    if at > 0:
        older = clones[at - 1]
        shared = ranges.intersect(older.overlap, clone.overlap)
        clones[at - 1] = Clone(older.id, older.snaps, older.size, shared)
    del clones[at]
    return SnapSet(snaps.seq, clones), True


def rollback(ctx: OpContext, op: Op) -> None:
    """Make the head what it was as of a snapshot; when it was not there, delete it."""
    snap = int.from_bytes(op.parameters[:8], "little")
    head = ctx.what
    state = ObjectState(ctx.exists, ctx.info, ctx.snaps)
    source = resolve(head, state, snap)
    if source is None:
        if ctx.exists:
            ctx.remove()
        return
    if source == head:
        return
    clone = ctx.snaps.find(snap)
    assert clone is not None
    size = max(ctx.size, clone.size)
    ctx.create()
    ctx.wiped = True
    ctx.changes.append(api.Clone(ctx.place.collection, source, head))
    ctx.dirty.append((0, size))
    ctx.info.size = clone.size


def list_snaps(ctx: OpContext, op: Op) -> bytes:
    """{2,1: vec<clone>, u64 seq}; the head, when it is there, stands last."""
    w = Writer()
    with w.versioned(2, 1):
        rows = [(c.id, sorted(c.snaps), c.overlap, c.size) for c in ctx.snaps.clones]
        if ctx.exists:
            rows.append((SNAP_HEAD, [], [], ctx.info.size))
        require(rows, errno.ENOENT)
        w.u32(len(rows))
        for number, snaps, overlap, size in rows:
            with w.versioned(1, 1):
                w.u64(number)
                w.numbers("Q", snaps)
                w.u32(len(overlap))
                for start, length in overlap:
                    w.u64(start)
                    w.u64(length)
                w.u64(size)
        w.u64(ctx.snaps.seq)
    return w.done()
