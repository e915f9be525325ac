# SPDX-License-Identifier: Apache-2.0
"""Snapshots of an image: records in its header, in the order of their ids."""

import errno
from collections.abc import Iterator

import msgspec

from octostack.base import ids
from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.cls.rbd import values
from octostack.engines.ceph.osd.cls.rbd.header import get_snap, put_snap, set_operations, snap_key
from octostack.engines.ceph.osd.cls.rbd.values import (
    TRASH,
    UNLIMITED,
    UNPROTECTED,
    USER,
    Operation,
    Snap,
    SnapKind,
)
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD, SNAP_MAX

_PREFIX = b"snapshot_"
_LIMIT = b"snap_limit"


def walk_snaps(ctx: OpContext) -> Iterator[Snap]:
    """All records."""
    for _, data in kept.walk(ctx, _PREFIX):
        yield kept.decoded(values.read_snap, data)


@method("rbd", "get_snapcontext")
def get_snapcontext(ctx: OpContext, data: bytes) -> bytes:
    """Out: u64 newest snapshot it ever had, vec<u64> those it has, newest first."""
    found = [int(name, 16) for name, _ in kept.walk(ctx, _PREFIX)]
    w = Writer()
    w.u64(kept.get(ctx, b"snap_seq", Reader.u64))
    w.numbers("Q", found[::-1])
    return w.done()


@method("rbd", "get_snapshot_name")
def get_snapshot_name(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: str."""
    return kept.encoded(Writer.bytes, _asked(ctx, data).name)


@method("rbd", "get_snapshot_timestamp")
def get_snapshot_timestamp(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: utime."""
    return kept.encoded(Writer.utime, _asked(ctx, data).timestamp)


@method("rbd", "snapshot_get")
def snapshot_get(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: what `write_snap_info` says."""
    return kept.encoded(values.write_snap_info, _asked(ctx, data))


def _asked(ctx: OpContext, data: bytes) -> Snap:
    snap = Reader(data).u64()
    require(snap != SNAP_HEAD, errno.EINVAL)
    return get_snap(ctx, snap)


@method("rbd", "snapshot_add", writes=True)
def snapshot_add(ctx: OpContext, data: bytes) -> None:
    """In: str name, u64 id, and its kind perhaps. EEXIST when the name or the id is taken, ESTALE
    when a newer one was there, EDQUOT over the image's limit."""
    r = Reader(data)
    new = Snap(name=r.bytes(), id=r.u64(), timestamp=ctx.now)
    if r.left:
        new.kind = values.read_snap_kind(r)
    require(new.kind.kind <= values.MIRROR and new.id <= SNAP_MAX, errno.EINVAL)
    require(new.id >= kept.get(ctx, b"snap_seq", Reader.u64), errno.ESTALE)
    new.image_size = kept.get(ctx, b"size", Reader.u64)
    new.flags = kept.find(ctx, b"flags", Reader.u64) or 0
    limit = kept.find(ctx, _LIMIT, Reader.u64)
    for count, old in enumerate(walk_snaps(ctx), 1):
        require(count < (UNLIMITED if limit is None else limit), errno.EDQUOT)
        taken = (old.name, old.kind) == (new.name, new.kind) or old.id == new.id
        require(not taken, errno.EEXIST)
    parent = kept.find(ctx, b"parent", values.read_parent)
    if parent is not None and parent.exists:
        new.parent_overlap = parent.overlap
    if new.kind.kind == TRASH:
        set_operations(ctx, Operation.SNAP_TRASH, Operation.SNAP_TRASH)
    kept.put(ctx, b"snap_seq", Writer.u64, new.id)
    put_snap(ctx, new)


@method("rbd", "snapshot_rename", writes=True)
def snapshot_rename(ctx: OpContext, data: bytes) -> None:
    """In: u64 id, str new name."""
    r = Reader(data)
    at, name = r.u64(), r.bytes()
    taken = any(old.kind.kind == USER and old.name == name for old in walk_snaps(ctx))
    require(not taken, errno.EEXIST)
    snap = get_snap(ctx, at)
    require(snap.kind.kind == USER, errno.EINVAL)
    snap.name = name
    put_snap(ctx, snap)


@method("rbd", "snapshot_remove", writes=True)
def snapshot_remove(ctx: OpContext, data: bytes) -> None:
    """In: u64 id. EBUSY while it is protected or has children."""
    at = Reader(data).u64()
    snap = get_snap(ctx, at)
    require(snap.protection == UNPROTECTED and not snap.child_count, errno.EBUSY)
    kept.remove(ctx, snap_key(at))
    left = [one for one in walk_snaps(ctx) if one.id != at]
    parent = kept.find(ctx, b"parent", values.read_parent)
    has_parent = parent is not None and parent.exists
    is_child = parent is not None and parent.exists and parent.overlap is not None
    has_children = any(one.parent_overlap is not None for one in left)
    if has_parent and not is_child and not has_children:
        kept.remove(ctx, b"parent")
    gone = 0
    if not has_children and not is_child:
        gone |= Operation.CLONE_CHILD
    if all(one.kind.kind != TRASH for one in left):
        gone |= Operation.SNAP_TRASH
    set_operations(ctx, 0, gone)


@method("rbd", "snapshot_trash_add", writes=True)
def snapshot_trash_add(ctx: OpContext, data: bytes) -> None:
    """In: u64 id. It goes out of sight, under a new name, until its children are gone."""
    snap = get_snap(ctx, Reader(data).u64())
    require(snap.protection == UNPROTECTED, errno.EBUSY)
    require(snap.kind.kind != TRASH, errno.EEXIST)
    set_operations(ctx, Operation.SNAP_TRASH, Operation.SNAP_TRASH)
    w = Writer()
    w.bytes(snap.name)
    w.u32(snap.kind.kind)
    changed = {"kind": SnapKind(TRASH, w.done()), "name": ids.new().encode()}
    put_snap(ctx, msgspec.structs.replace(snap, **changed))


@method("rbd", "get_protection_status")
def get_protection_status(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: u8."""
    return kept.encoded(Writer.u8, _asked(ctx, data).protection)


@method("rbd", "set_protection_status", writes=True)
def set_protection_status(ctx: OpContext, data: bytes) -> None:
    """In: u64 snap, u8. ENOEXEC for an image that cannot be cloned."""
    r = Reader(data)
    at, status = r.u64(), r.u8()
    features = kept.find(ctx, b"features", Reader.u64) or 0
    ctx.require_exists()
    require(features & values.Feature.LAYERING, errno.ENOEXEC)
    require(at != SNAP_HEAD and status <= values.PROTECTED, errno.EINVAL)
    snap = get_snap(ctx, at)
    snap.protection = status
    put_snap(ctx, snap)


@method("rbd", "snapshot_get_limit")
def snapshot_get_limit(ctx: OpContext, data: bytes) -> bytes:
    """Out: u64 how many it may have."""
    limit = kept.find(ctx, _LIMIT, Reader.u64)
    return kept.encoded(Writer.u64, UNLIMITED if limit is None else limit)


@method("rbd", "snapshot_set_limit", writes=True)
def snapshot_set_limit(ctx: OpContext, data: bytes) -> None:
    """In: u64 how many it may have. ERANGE when it has more."""
    limit = Reader(data).u64()
    if limit == UNLIMITED:
        kept.remove(ctx, _LIMIT)
        return
    require(limit >= sum(1 for _ in kept.walk(ctx, _PREFIX)), errno.ERANGE)
    kept.put(ctx, _LIMIT, Writer.u64, limit)
