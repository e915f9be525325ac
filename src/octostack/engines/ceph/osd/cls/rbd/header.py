# SPDX-License-Identifier: Apache-2.0
"""What an image is: size, order, features, flags, times. Each is a key of the header's omap."""

import errno

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.cls.rbd import values
from octostack.engines.ceph.osd.cls.rbd.values import Feature, Snap
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD

_TIMES = ("create_timestamp", "access_timestamp", "modify_timestamp")


def snap_key(snap: int) -> bytes:
    """Of a snapshot's record."""
    return b"snapshot_%016x" % snap


def get_snap(ctx: OpContext, snap: int) -> Snap:
    """A snapshot's record. Raises OpError ENOENT."""
    return kept.get(ctx, snap_key(snap), values.read_snap)


def put_snap(ctx: OpContext, snap: Snap) -> None:
    """Keep a snapshot's record."""
    kept.put(ctx, snap_key(snap.id), values.write_snap, snap)


def has_feature(ctx: OpContext, feature: Feature) -> bool:
    """Whether the image has it. Raises OpError ENOENT for the object."""
    ctx.require_exists()
    return bool((kept.find(ctx, b"features", Reader.u64) or 0) & feature)


def set_operations(ctx: OpContext, wanted: int, mask: int) -> None:
    """Note which operations were done; the feature says whether any was."""
    features = kept.get(ctx, b"features", Reader.u64)
    before = kept.find(ctx, b"op_features", Reader.u64) or 0
    after = before & ~mask | wanted & mask
    if after == before:
        return
    if after:
        kept.put(ctx, b"op_features", Writer.u64, after)
        changed = features | Feature.OPERATIONS
    else:
        kept.remove(ctx, b"op_features")
        changed = features & ~Feature.OPERATIONS
    if changed != features:
        kept.put(ctx, b"features", Writer.u64, changed)


@method("rbd", "create", writes=True)
def create(ctx: OpContext, data: bytes) -> None:
    """In: u64 size, u8 order, u64 features, str prefix, and s64 data pool perhaps."""
    r = Reader(data)
    size, order, features, prefix = r.u64(), r.u8(), r.u64(), r.bytes()
    pool = r.s64() if r.left else -1
    require(not features & ~values.ALL_FEATURES, errno.ENOSYS)
    require(prefix, errno.EINVAL)
    require(kept.find(ctx, b"object_prefix", Reader.bytes) is None, errno.EEXIST)
    require(not features & Feature.OPERATIONS, errno.EINVAL)
    require(bool(features & Feature.DATA_POOL) == (pool != -1), errno.EINVAL)
    entries = {
        b"size": kept.encoded(Writer.u64, size),
        b"order": kept.encoded(Writer.u8, order),
        b"features": kept.encoded(Writer.u64, features),
        b"object_prefix": kept.encoded(Writer.bytes, prefix),
        b"snap_seq": kept.encoded(Writer.u64, 0),
    }
    entries |= {name.encode(): kept.encoded(Writer.utime, ctx.now) for name in _TIMES}
    if pool != -1:
        entries[b"data_pool_id"] = kept.encoded(Writer.s64, pool)
    ctx.omap_set(entries)


@method("rbd", "get_features")
def get_features(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap (ignored), and u8 read-only perhaps. Out: u64 features, u64 incompatible."""
    r, w = Reader(data), Writer()
    r.u64()
    read_only = r.boolean() if r.left else False
    features = kept.get(ctx, b"features", Reader.u64)
    w.u64(features)
    w.u64(features & (values.INCOMPATIBLE if read_only else values.ALL_FEATURES))
    return w.done()


@method("rbd", "set_features", writes=True)
def set_features(ctx: OpContext, data: bytes) -> None:
    """In: u64 features, u64 mask."""
    r = Reader(data)
    wanted, mask = r.u64(), r.u64()
    before = kept.find(ctx, b"features", Reader.u64) or 0
    require(not mask & values.INTERNAL, errno.EINVAL)
    mask &= values.ALL_FEATURES
    require(not wanted & mask & ~values.MUTABLE, errno.EINVAL)
    require(not ~wanted & mask & ~values.REMOVABLE, errno.EINVAL)
    kept.put(ctx, b"features", Writer.u64, before & ~mask | wanted & mask)


@method("rbd", "get_all_features")
def get_all_features(ctx: OpContext, data: bytes) -> bytes:
    """Out: u64 of what this class knows."""
    return kept.encoded(Writer.u64, values.ALL_FEATURES)


@method("rbd", "get_size")
def get_size(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: u8 order, u64 size."""
    snap, w = Reader(data).u64(), Writer()
    w.u8(kept.get(ctx, b"order", Reader.u8))
    if snap == SNAP_HEAD:
        w.u64(kept.get(ctx, b"size", Reader.u64))
    else:
        w.u64(get_snap(ctx, snap).image_size)
    return w.done()


@method("rbd", "get_stripe_unit_count")
def get_stripe_unit_count(ctx: OpContext, data: bytes) -> bytes:
    """Out: u64 unit, u64 count."""
    require(has_feature(ctx, Feature.STRIPING), errno.ENOEXEC)
    unit = kept.find(ctx, b"stripe_unit", Reader.u64)
    w = Writer()
    w.u64(1 << kept.get(ctx, b"order", Reader.u8) if unit is None else unit)
    count = kept.find(ctx, b"stripe_count", Reader.u64)
    w.u64(1 if count is None else count)
    return w.done()


@method("rbd", "set_stripe_unit_count", writes=True)
def set_stripe_unit_count(ctx: OpContext, data: bytes) -> None:
    """In: u64 unit, u64 count."""
    r = Reader(data)
    unit, count = r.u64(), r.u64()
    require(unit and count, errno.EINVAL)
    require(has_feature(ctx, Feature.STRIPING), errno.ENOEXEC)
    size = 1 << kept.get(ctx, b"order", Reader.u8)
    require(unit <= size and size % unit == 0, errno.EINVAL)
    kept.put(ctx, b"stripe_unit", Writer.u64, unit)
    kept.put(ctx, b"stripe_count", Writer.u64, count)


def _time(name: str) -> None:
    key = f"{name}_timestamp".encode()

    @method("rbd", f"get_{name}_timestamp")
    def get(ctx: OpContext, data: bytes) -> bytes:
        """Out: utime, or none of it."""
        return kept.encoded(Writer.utime, kept.find(ctx, key, Reader.utime) or 0)

    if name == "create":
        return

    @method("rbd", f"set_{name}_timestamp", writes=True)
    def touch(ctx: OpContext, data: bytes) -> None:
        """It is now."""
        ctx.require_exists()
        kept.put(ctx, key, Writer.utime, ctx.now)


for _name in ("create", "access", "modify"):
    _time(_name)


@method("rbd", "get_flags")
def get_flags(ctx: OpContext, data: bytes) -> bytes:
    """In: u64 snap. Out: u64 flags."""
    snap = Reader(data).u64()
    if snap != SNAP_HEAD:
        return kept.encoded(Writer.u64, get_snap(ctx, snap).flags)
    return kept.encoded(Writer.u64, kept.find(ctx, b"flags", Reader.u64) or 0)


@method("rbd", "set_flags", writes=True)
def set_flags(ctx: OpContext, data: bytes) -> None:
    """In: u64 flags, u64 mask, and u64 snap perhaps."""
    r = Reader(data)
    wanted, mask = r.u64(), r.u64()
    at = r.u64() if r.left else SNAP_HEAD
    if at == SNAP_HEAD:
        before = kept.find(ctx, b"flags", Reader.u64) or 0
        kept.put(ctx, b"flags", Writer.u64, before & ~mask | wanted & mask)
        return
    snap = get_snap(ctx, at)
    snap.flags = snap.flags & ~mask | wanted & mask
    put_snap(ctx, snap)


@method("rbd", "op_features_get")
def op_features_get(ctx: OpContext, data: bytes) -> bytes:
    """Out: u64 of what was done."""
    return kept.encoded(Writer.u64, kept.find(ctx, b"op_features", Reader.u64) or 0)


@method("rbd", "op_features_set", writes=True)
def op_features_set(ctx: OpContext, data: bytes) -> None:
    """In: u64 operations, u64 mask."""
    r = Reader(data)
    wanted, mask = r.u64(), r.u64()
    require(not mask & ~values.ALL_OPERATIONS, errno.EINVAL)
    set_operations(ctx, wanted, mask)


@method("rbd", "get_object_prefix")
def get_object_prefix(ctx: OpContext, data: bytes) -> bytes:
    """Out: str that the names of its objects begin with."""
    return kept.encoded(Writer.bytes, kept.get(ctx, b"object_prefix", Reader.bytes))


@method("rbd", "get_data_pool")
def get_data_pool(ctx: OpContext, data: bytes) -> bytes:
    """Out: s64 pool of its objects, or -1: that of the header."""
    pool = kept.find(ctx, b"data_pool_id", Reader.s64)
    return kept.encoded(Writer.s64, -1 if pool is None else pool)


@method("rbd", "assert_snapc_seq")
def assert_snapc_seq(ctx: OpContext, data: bytes) -> None:
    """In: u64 seq, u8 relation: that it is beyond (0), or not (1), what the object has seen."""
    r = Reader(data)
    seq, relation = r.u64(), r.u8()
    if relation > 1:
        raise OpError(errno.EOPNOTSUPP)
    is_beyond = not ctx.exists or seq > ctx.snaps.seq
    require(is_beyond == (relation == 0), errno.ERANGE)
