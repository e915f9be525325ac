# SPDX-License-Identifier: Apache-2.0
"""Operations on an object's bytes, and on the object as a whole."""

import errno
import struct
from typing import NamedTuple

import google_crc32c

from octostack.engines.ceph.osd.objectstore.api import Data
from octostack.engines.ceph.osd.ops.context import OBJECT_BYTES_MAX, OpContext
from octostack.engines.ceph.osd.ops.failures import CMPEXT_BASE, OpError, require
from octostack.engines.ceph.osd.requests import FLAG_EXCLUSIVE, Op
from octostack.wire.ceph.codec import Writer

_EXTENT = struct.Struct("<QQQI")
_WRITE_SAME = struct.Struct("<QQQ")
_CHECKSUM = struct.Struct("<QQIB")
_HINT = struct.Struct("<QQI")
_STAT = struct.Struct("<QII")
_CRC32C = 2


class Extent(NamedTuple):
    """A range, and the size an object was truncated to as of the truncation `truncate_seq`."""

    offset: int
    length: int
    truncate_size: int
    truncate_seq: int


def _extent(op: Op) -> Extent:
    return Extent._make(_EXTENT.unpack_from(op.parameters))


def read(ctx: OpContext, op: Op) -> Data:
    """Bytes of the range; a length of 0 means all there is."""
    ctx.require_exists()
    offset, length, truncate_size, truncate_seq = _EXTENT.unpack_from(op.parameters)
    size = ctx.size
    hidden = ctx.info.truncate_seq < truncate_seq and size > truncate_size
    if hidden and offset + length > truncate_size:
        size = truncate_size  # cut by a truncation of which we have not heard
    end = min(size, offset + length) if length else size
    return ctx.view(offset, end - offset) if offset < end else b""


def stat(ctx: OpContext, op: Op) -> bytes:
    """u64 size, utime."""
    ctx.require_exists()
    return _STAT.pack(ctx.size, *divmod(ctx.info.mtime, 1_000_000_000))


def extent_map(ctx: OpContext, op: Op) -> bytes:
    """map<u64 offset, u64 length> of what is no hole."""
    at = _extent(op)
    w = Writer()
    w.map(dict(ctx.extents(at.offset, at.length or ctx.size)), w.u64, w.u64)
    return w.done()


def sparse_read(ctx: OpContext, op: Op) -> bytes:
    """map<u64 offset, u64 length>, and the bytes of those ranges."""
    ctx.require_exists()
    at = _extent(op)
    length = at.length or max(0, ctx.size - at.offset)
    found = ctx.extents(at.offset, length) if at.offset < ctx.size else []
    w = Writer()
    w.map(dict(found), w.u64, w.u64)
    w.bytes(b"".join(ctx.read(start, count) for start, count in found))
    return w.done()


def checksum(ctx: OpContext, op: Op) -> bytes:
    """u32 count and the CRC-32C of each chunk of the range, begun with the value given."""
    offset, length, chunk, kind = _CHECKSUM.unpack_from(op.parameters)
    require(kind == _CRC32C, errno.EOPNOTSUPP)
    require(len(op.payload) == 4, errno.EINVAL)
    data = ctx.read(offset, length or None)
    chunk = chunk or len(data)
    require(chunk and len(data) % chunk == 0, errno.EINVAL)
    start = int.from_bytes(op.payload, "little") ^ 0xFFFFFFFF
    sums = [
        google_crc32c.extend(start, data[at : at + chunk]) ^ 0xFFFFFFFF
        for at in range(0, len(data), chunk)
    ]
    return struct.pack(f"<I{len(sums)}I", len(sums), *sums)


def compare(ctx: OpContext, op: Op) -> int:
    """Whether the bytes are there; what lies behind the end of the object counts as zeros."""
    at = _extent(op)
    wanted = bytes(op.payload)
    require(len(wanted) == at.length, errno.EINVAL)
    there = ctx.read(at.offset, at.length) if ctx.exists else b""
    there += bytes(len(wanted) - len(there))
    if there != wanted:
        differs = next(
            n for n, pair in enumerate(zip(there, wanted, strict=True)) if len({*pair}) > 1
        )
        raise OpError(CMPEXT_BASE + differs)
    return 0


def write(ctx: OpContext, op: Op) -> None:
    """Put the payload at the offset."""
    at = _extent(op)
    require(len(op.payload) == at.length, errno.EINVAL)
    _follow_truncation(ctx, at)
    ctx.write(at.offset, op.payload)


def write_full(ctx: OpContext, op: Op) -> None:
    """Make the payload the whole contents."""
    require(len(op.payload) == _extent(op).length, errno.EINVAL)
    ctx.write_full(op.payload)


def append(ctx: OpContext, op: Op) -> None:
    """Put the payload at the end."""
    require(len(op.payload) == _extent(op).length, errno.EINVAL)
    ctx.write(ctx.size, op.payload)


def write_same(ctx: OpContext, op: Op) -> None:
    """Put the payload again and again until the range is full."""
    offset, length, unit = _WRITE_SAME.unpack_from(op.parameters)
    if not length:
        return
    require(unit and len(op.payload) == unit and length % unit == 0, errno.EINVAL)
    require(offset + length <= OBJECT_BYTES_MAX, errno.EFBIG)
    ctx.write(offset, bytes(op.payload) * (length // unit))


def zero(ctx: OpContext, op: Op) -> None:
    """Make zeros of the range; up to the end of the object it is a truncation."""
    at = _extent(op)
    require(at.offset + at.length <= OBJECT_BYTES_MAX, errno.EFBIG)
    if ctx.exists and at.offset >= ctx.size:
        return
    ctx.require_overwrites()
    if not ctx.exists:
        return
    require(at.length, errno.EINVAL)
    if at.offset + at.length >= ctx.size:
        ctx.truncate(at.offset)
    else:
        ctx.zero(at.offset, at.length)


def truncate(ctx: OpContext, op: Op) -> None:
    """Cut or grow to the size that stands in the offset."""
    at = _extent(op)
    ctx.require_overwrites()
    require(at.offset <= OBJECT_BYTES_MAX, errno.EFBIG)
    if not ctx.exists:
        return
    if at.truncate_seq:
        if at.truncate_seq <= ctx.info.truncate_seq:
            return  # an old one, overtaken
        ctx.info.truncate_seq, ctx.info.truncate_size = at.truncate_seq, at.truncate_size
    ctx.truncate(at.offset)


def trim_truncate(ctx: OpContext, op: Op) -> None:
    """CephFS's truncation: the size stands in truncate_size."""
    at = _extent(op)
    new = _EXTENT.pack(at.truncate_size, at.length, at.truncate_size, at.truncate_seq)
    truncate(ctx, Op(op.code, op.flags, new.ljust(28, b"\0"), b""))


def create(ctx: OpContext, op: Op) -> None:
    """Let it be; with the exclusive flag it must be new."""
    require(not (ctx.exists and op.flags & FLAG_EXCLUSIVE), errno.EEXIST)
    ctx.create()


def delete(ctx: OpContext, op: Op) -> None:
    """Take it away."""
    ctx.remove()


def alloc_hint(ctx: OpContext, op: Op) -> None:
    """Remember how large the object will be; lets it be."""
    hint = _HINT.unpack_from(op.parameters)
    ctx.create()
    ctx.info.hint = (hint[0], hint[1], hint[2])


def assert_version(ctx: OpContext, op: Op) -> None:
    """Fail unless the object's version is the one given."""
    wanted = int.from_bytes(op.parameters[8:16], "little")
    require(wanted, errno.EINVAL)
    require(wanted >= ctx.info.user_version, errno.ERANGE)
    require(wanted <= ctx.info.user_version, errno.EOVERFLOW)


def is_dirty(ctx: OpContext, op: Op) -> bytes:
    """u8: without cache tiers every object is what it is."""
    ctx.require_exists()
    return b"\0"


def _follow_truncation(ctx: OpContext, at: Extent) -> None:
    """A write may bring news of a truncation that has yet to come here, or be older than one."""
    seen = ctx.info.truncate_seq
    if at.truncate_seq > seen and ctx.exists:
        ctx.info.truncate_seq, ctx.info.truncate_size = at.truncate_seq, at.truncate_size
        if ctx.size > at.truncate_size:
            ctx.truncate(at.truncate_size)
