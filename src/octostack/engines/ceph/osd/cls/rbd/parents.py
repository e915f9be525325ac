# SPDX-License-Identifier: Apache-2.0
"""Clones: an image knows its parent, a snapshot its children; older clones stand in
``rbd_children``, a map from parents to names."""

import errno

import msgspec

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.cls.rbd import values
from octostack.engines.ceph.osd.cls.rbd.header import (
    get_snap,
    has_feature,
    put_snap,
    set_operations,
)
from octostack.engines.ceph.osd.cls.rbd.snapshots import walk_snaps
from octostack.engines.ceph.osd.cls.rbd.values import TRASH, Feature, Operation, Parent
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD


def _find(ctx: OpContext) -> Parent:
    return kept.find(ctx, b"parent", values.read_parent) or Parent()


@method("rbd", "get_parent")
def get_parent(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: s64 pool, str image, u64 snap, u64 overlap; EXDEV in a namespace."""
    snap, parent = Reader(data).u64(), Parent()
    if has_feature(ctx, Feature.LAYERING):
        parent = _find(ctx)
        require(not parent.namespace, errno.EXDEV)
        if snap != SNAP_HEAD:
            overlap = get_snap(ctx, snap).parent_overlap
            parent = (
                Parent() if overlap is None else msgspec.structs.replace(parent, overlap=overlap)
            )
    w = Writer()
    w.s64(parent.pool)
    w.bytes(parent.image)
    w.u64(parent.snap)
    w.u64(parent.overlap or 0)
    return w.done()


@method("rbd", "parent_get")
def parent_get(ctx: OpContext, data: bytes) -> bytes:
    """Out: what `write_parent_spec` says."""
    layered = has_feature(ctx, Feature.LAYERING)
    return kept.encoded(values.write_parent_spec, _find(ctx) if layered else Parent())


@method("rbd", "parent_overlap_get")
def parent_overlap_get(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: optional<u64>."""
    snap, overlap = Reader(data).u64(), None
    if has_feature(ctx, Feature.LAYERING):
        overlap = _find(ctx).overlap if snap == SNAP_HEAD else get_snap(ctx, snap).parent_overlap
    return kept.encoded(values.write_optional, overlap)


def _attach(ctx: OpContext, parent: Parent, reattach: bool = False) -> None:
    require(has_feature(ctx, Feature.LAYERING), errno.ENOEXEC)
    require(parent.exists and parent.overlap, errno.EINVAL)
    before = kept.find(ctx, b"parent", values.read_parent)
    if before is not None and not reattach:
        require(before.overlap is None and before.is_same(parent), errno.EEXIST)
    size = kept.get(ctx, b"size", Reader.u64)
    shown = msgspec.structs.replace(parent, overlap=min(parent.overlap or 0, size))
    kept.put(ctx, b"parent", values.write_parent, shown)


def _detach(ctx: OpContext, legacy: bool) -> None:
    require(has_feature(ctx, Feature.LAYERING), errno.ENOEXEC)
    parent = kept.get(ctx, b"parent", values.read_parent)
    require(not (legacy and parent.namespace), errno.EXDEV)
    require(parent.overlap is not None, errno.ENOENT)
    children = [snap for snap in walk_snaps(ctx) if snap.parent_overlap is not None]
    if children and not has_feature(ctx, Feature.DEEP_FLATTEN):
        # its snapshots still show the parent
        headless = msgspec.structs.replace(parent, overlap=None)
        kept.put(ctx, b"parent", values.write_parent, headless)
        return
    for snap in children:
        snap.parent_overlap = None
        put_snap(ctx, snap)
    kept.remove(ctx, b"parent")
    set_operations(ctx, 0, Operation.CLONE_CHILD)


@method("rbd", "set_parent", writes=True)
def set_parent(ctx: OpContext, data: bytes) -> None:
    """In: s64 pool, str image, u64 snap, u64 overlap."""
    r = Reader(data)
    _attach(ctx, Parent(r.s64(), b"", r.bytes(), r.u64(), r.u64()))


@method("rbd", "parent_attach", writes=True)
def parent_attach(ctx: OpContext, data: bytes) -> None:
    """In: a parent's spec, u64 overlap, and u8 whether there may be one already."""
    r = Reader(data)
    spec, overlap = values.read_parent_spec(r), r.u64()
    reattach = r.boolean() if r.left else False
    _attach(ctx, msgspec.structs.replace(spec, overlap=overlap), reattach)


@method("rbd", "remove_parent", writes=True)
def remove_parent(ctx: OpContext, data: bytes) -> None:
    """The image needs it no more."""
    _detach(ctx, legacy=True)


@method("rbd", "parent_detach", writes=True)
def parent_detach(ctx: OpContext, data: bytes) -> None:
    """The same, wherever it is."""
    _detach(ctx, legacy=False)


@method("rbd", "set_size", writes=True)
def set_size(ctx: OpContext, data: bytes) -> None:
    """In: u64 size. A smaller image shows less of its parent."""
    size = Reader(data).u64()
    before = kept.get(ctx, b"size", Reader.u64)
    kept.put(ctx, b"size", Writer.u64, size)
    parent = _find(ctx)
    if size < before and parent.exists and (parent.overlap or 0) > size:
        shown = msgspec.structs.replace(parent, overlap=size)
        kept.put(ctx, b"parent", values.write_parent, shown)


# Children in the parent's header


def _children_key(snap: int) -> bytes:
    return b"snap_children_%016x" % snap


@method("rbd", "child_attach", writes=True)
def child_attach(ctx: OpContext, data: bytes) -> None:
    """In: u64 snap, a child. ENOENT for a snapshot in the trash."""
    r = Reader(data)
    at, child = r.u64(), values.read_child(r)
    snap = get_snap(ctx, at)
    require(snap.kind.kind != TRASH, errno.ENOENT)
    children = kept.find(ctx, _children_key(at), values.read_children) or set()
    require(child not in children, errno.EEXIST)
    kept.put(ctx, _children_key(at), values.write_children, children | {child})
    snap.child_count += 1
    put_snap(ctx, snap)
    set_operations(ctx, Operation.CLONE_PARENT, Operation.CLONE_PARENT)


@method("rbd", "child_detach", writes=True)
def child_detach(ctx: OpContext, data: bytes) -> None:
    """In: u64 snap, a child."""
    r = Reader(data)
    at, child = r.u64(), values.read_child(r)
    snap = get_snap(ctx, at)
    children = kept.find(ctx, _children_key(at), values.read_children) or set()
    require(snap.child_count == len(children), errno.EINVAL)
    require(child in children, errno.ENOENT)
    left = children - {child}
    if left:
        kept.put(ctx, _children_key(at), values.write_children, left)
    else:
        kept.remove(ctx, _children_key(at))
    snap.child_count -= 1
    put_snap(ctx, snap)
    if not left and not any(one.child_count for one in walk_snaps(ctx) if one.id != at):
        set_operations(ctx, 0, Operation.CLONE_PARENT)


@method("rbd", "children_list")
def children_list(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: set<child>; ENOENT when it has none."""
    at = Reader(data).u64()
    get_snap(ctx, at)
    found = kept.get(ctx, _children_key(at), values.read_children)
    return kept.encoded(values.write_children, found)


# Children in ``rbd_children``


def _read_names(r: Reader) -> set[bytes]:
    return set(r.vector(r.bytes, 4))


def _write_names(w: Writer, names: set[bytes]) -> None:
    w.vector(sorted(names), w.bytes)


def _parent_key(r: Reader) -> bytes:
    """In: u64 pool, str image, u64 snap; so it is kept, too."""
    w = Writer()
    w.u64(r.u64())
    w.bytes(r.bytes())
    w.u64(r.u64())
    return w.done()


@method("rbd", "add_child", writes=True)
def add_child(ctx: OpContext, data: bytes) -> None:
    """In: a parent, str child."""
    r = Reader(data)
    key, child = _parent_key(r), r.bytes()
    children = kept.find(ctx, key, _read_names) or set()
    require(child not in children, errno.EEXIST)
    kept.put(ctx, key, _write_names, children | {child})


@method("rbd", "remove_child", writes=True)
def remove_child(ctx: OpContext, data: bytes) -> None:
    """In: a parent, str child."""
    r = Reader(data)
    key, child = _parent_key(r), r.bytes()
    children = kept.get(ctx, key, _read_names)
    require(child in children, errno.ENOENT)
    if len(children) > 1:
        kept.put(ctx, key, _write_names, children - {child})
    else:
        kept.remove(ctx, key)


@method("rbd", "get_children")
def get_children(ctx: OpContext, data: bytes) -> bytes:
    """In: a parent. Out: set<str>; ENOENT when it has none."""
    found = kept.find(ctx, _parent_key(Reader(data)), _read_names)
    if found is None:
        raise OpError(errno.ENOENT)
    return kept.encoded(_write_names, found)
