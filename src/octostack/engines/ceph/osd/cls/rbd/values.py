# SPDX-License-Identifier: Apache-2.0
"""What class `rbd` is asked with, answers and keeps (cls_rbd.h, cls_rbd_types.h of 16.2)."""

import errno
from enum import IntFlag
from typing import Final

import msgspec

from octostack.engines.ceph.osd.ops.failures import OpError
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD

USER, GROUP, TRASH, MIRROR = 0, 1, 2, 3  # kinds of snapshots
UNPROTECTED, UNPROTECTING, PROTECTED = 0, 1, 2
UNLIMITED: Final = 0xFFFFFFFFFFFFFFFF


class Feature(IntFlag):
    """What an image may have."""

    LAYERING = 0x1
    STRIPING = 0x2
    EXCLUSIVE_LOCK = 0x4
    OBJECT_MAP = 0x8
    FAST_DIFF = 0x10
    DEEP_FLATTEN = 0x20
    JOURNALING = 0x40
    DATA_POOL = 0x80
    OPERATIONS = 0x100
    MIGRATING = 0x200
    NON_PRIMARY = 0x400
    DIRTY_CACHE = 0x800


ALL_FEATURES: Final = 0xFFF
INCOMPATIBLE: Final = 0x883  # with who does not know them, even for reading
MUTABLE: Final = 0xC5C
REMOVABLE: Final = MUTABLE | Feature.DEEP_FLATTEN
INTERNAL: Final = Feature.OPERATIONS | Feature.MIGRATING


class Operation(IntFlag):
    """What has been done with an image that older clients do not know."""

    CLONE_PARENT = 0x1
    CLONE_CHILD = 0x2
    GROUP = 0x4
    SNAP_TRASH = 0x8


ALL_OPERATIONS: Final = 0xF


class Parent(msgspec.Struct, frozen=True):
    """Of what an image is a clone; `overlap`: how many of its bytes the head still shows."""

    pool: int = -1
    namespace: bytes = b""
    image: bytes = b""
    snap: int = SNAP_HEAD
    overlap: int | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self.pool >= 0 and bool(self.image) and self.snap != SNAP_HEAD

    def is_same(self, other: "Parent") -> bool:
        """Whether it is the same snapshot."""
        return msgspec.structs.replace(self, overlap=other.overlap) == other


class SnapKind(msgspec.Struct, frozen=True):
    """Who a snapshot belongs to: one of the kinds, and what that kind tells of it."""

    kind: int = USER
    body: bytes = b""


class Snap(msgspec.Struct):
    """A snapshot in a header."""

    id: int = SNAP_HEAD
    name: bytes = b""
    image_size: int = 0
    protection: int = UNPROTECTED
    flags: int = 0
    kind: SnapKind = SnapKind()
    timestamp: int = 0
    child_count: int = 0
    parent_overlap: int | None = None


class Child(msgspec.Struct, frozen=True, order=True):
    """A clone of a snapshot."""

    pool: int
    namespace: bytes
    image: bytes


def read_optional(r: Reader) -> int | None:
    """u8 whether it is there, u64."""
    return r.u64() if r.boolean() else None


def write_optional(w: Writer, value: int | None) -> None:
    """u8 whether it is there, u64."""
    w.boolean(value is not None)
    if value is not None:
        w.u64(value)


def read_parent(r: Reader) -> Parent:
    """{2,2: s64 pool, str namespace, str image, u64 snap, optional<u64> overlap}."""
    with r.versioned(2) as version:
        pool = r.s64()
        namespace = r.bytes() if version >= 2 else b""
        image, snap = r.bytes(), r.u64()
        return Parent(pool, namespace, image, snap, r.u64() if version < 2 else read_optional(r))


def write_parent(w: Writer, parent: Parent) -> None:
    """The reverse, in version 2."""
    with w.versioned(2, 2):
        w.s64(parent.pool)
        w.bytes(parent.namespace)
        w.bytes(parent.image)
        w.u64(parent.snap)
        write_optional(w, parent.overlap)


def read_parent_spec(r: Reader) -> Parent:
    """{1,1: s64 pool, str namespace, str image, u64 snap}."""
    with r.versioned(1):
        return Parent(r.s64(), r.bytes(), r.bytes(), r.u64())


def write_parent_spec(w: Writer, parent: Parent) -> None:
    """The reverse."""
    with w.versioned(1, 1):
        w.s64(parent.pool)
        w.bytes(parent.namespace)
        w.bytes(parent.image)
        w.u64(parent.snap)


def read_snap_kind(r: Reader) -> SnapKind:
    """{1,1: u32 kind, ...}."""
    with r.versioned(1):
        return SnapKind(r.u32(), bytes(r.rest()))


def write_snap_kind(w: Writer, kind: SnapKind) -> None:
    """The reverse."""
    with w.versioned(1, 1):
        w.u32(kind.kind)
        w.raw(kind.body)


def read_snap(r: Reader) -> Snap:
    """As `write_snap`. What releases before 14 wrote is EIO: an image of theirs was never here."""
    with r.versioned(8) as version:
        if version < 8:
            raise OpError(errno.EIO)
        snap = Snap(r.u64(), r.bytes(), r.u64(), r.u8(), r.u64(), read_snap_kind(r))
        snap.timestamp, snap.child_count = r.utime(), r.u32()
        snap.parent_overlap = read_optional(r)
        return snap


def write_snap(w: Writer, snap: Snap) -> None:
    """{8,8: u64 id, str name, u64 size, u8 protection, u64 flags, kind, utime, u32 children,
    optional<u64> overlap with the parent}."""
    with w.versioned(8, 8):
        w.u64(snap.id)
        w.bytes(snap.name)
        w.u64(snap.image_size)
        w.u8(snap.protection)
        w.u64(snap.flags)
        write_snap_kind(w, snap.kind)
        w.utime(snap.timestamp)
        w.u32(snap.child_count)
        write_optional(w, snap.parent_overlap)


def write_snap_info(w: Writer, snap: Snap) -> None:
    """{1,1: u64 id, kind, str name, u64 size, utime, u32 children}."""
    with w.versioned(1, 1):
        w.u64(snap.id)
        write_snap_kind(w, snap.kind)
        w.bytes(snap.name)
        w.u64(snap.image_size)
        w.utime(snap.timestamp)
        w.u32(snap.child_count)


def read_child(r: Reader) -> Child:
    """{2,1: s64 pool, str image, str namespace}."""
    with r.versioned(2) as version:
        pool, image = r.s64(), r.bytes()
        return Child(pool, r.bytes() if version >= 2 else b"", image)


def read_children(r: Reader) -> set[Child]:
    """set<child>."""
    return set(r.vector(lambda: read_child(r), 10))


def write_children(w: Writer, children: set[Child]) -> None:
    """set<child>."""

    def put(child: Child) -> None:
        with w.versioned(2, 1):
            w.s64(child.pool)
            w.bytes(child.image)
            w.bytes(child.namespace)

    w.vector(sorted(children), put)
