# SPDX-License-Identifier: Apache-2.0
"""The object map: which objects of an image are there, two bits for each.

It is the body of an object of its own (BitVector<2> of 16.2)::

    u32 14, {1,1: u64 objects}     the header
    four objects a byte, the first in the highest bits
    u32 length, u32 sum of the header, u32 count, u32 sum of each block of 4096 bytes

Sums are CRC-32C begun with 0. An update reads and writes no more than the blocks it changes.
"""

import errno
import struct
from collections.abc import Sequence

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.codec import Malformed, Reader, Writer

GONE, EXISTS, PENDING, CLEAN = 0, 1, 2, 3
OBJECTS_MAX = 256_000_000
_HEADER = struct.Struct("<IBBIQ")
_BLOCK = 4096
_SUM = struct.Struct("<I")
_SAME = (0, 1, 2, 3)
_ALL_OF = (0x00, 0x55, 0xAA, 0xFF)


def _bytes_of(objects: int) -> int:
    return (objects + 3) // 4


def encode_header(objects: int) -> bytes:
    """What stands before the bits."""
    return _HEADER.pack(14, 1, 1, 8, objects)


class Bits:
    """Two bits each of objects from `first` on, which is the first of a byte."""

    def __init__(self, data: bytes, first: int = 0) -> None:
        self.data = bytearray(data)
        self.first = first

    def get(self, number: int) -> int:
        """Of one object."""
        at, rest = divmod(number - self.first, 4)
        return self.data[at] >> (6 - 2 * rest) & 3

    def put(self, number: int, state: int) -> None:
        """Of one object."""
        at, rest = divmod(number - self.first, 4)
        shift = 6 - 2 * rest
        self.data[at] = self.data[at] & ~(3 << shift) & 0xFF | state << shift

    def change(self, start: int, end: int, states: Sequence[int]) -> bool:
        """Make `states[s]` of each state s from `start` to `end`; whether that made a change."""
        before = bytes(self.data)
        whole = (start + 3) // 4 * 4, end // 4 * 4
        if whole[0] < whole[1]:
            low, high = ((at - self.first) // 4 for at in whole)
            self.data[low:high] = self.data[low:high].translate(_table(states))
            edges = [*range(start, whole[0]), *range(whole[1], end)]
        else:
            edges = [*range(start, end)]
        for number in edges:
            self.put(number, states[self.get(number)])
        return before != self.data


def _table(states: Sequence[int]) -> bytes:
    def changed(byte: int) -> int:
        return sum(states[byte >> shift & 3] << shift for shift in (0, 2, 4, 6))

    return bytes(changed(byte) for byte in range(256))


def encode(objects: int, data: bytes | bytearray, *, sums: bool = True) -> bytes:
    """The whole map."""
    header, w, footer = encode_header(objects), Writer(), Writer()
    w.raw(header)
    w.raw(data)
    if sums:
        footer.u32(crc32c(header[4:], 0))
        starts = range(0, len(data), _BLOCK)
        footer.vector((crc32c(bytes(data[at : at + _BLOCK]), 0) for at in starts), footer.u32)
    w.bytes(footer.done())
    return w.done()


def decode(data: bytes | memoryview) -> tuple[int, bytes]:
    """The number of objects, and their bits. Raises Malformed; a footer may have no sums."""
    r = Reader(data)
    head = r.bytes()
    inner = Reader(head)
    with inner.versioned(1):
        objects = inner.u64()
    if objects > OBJECTS_MAX:
        raise Malformed(f"a map of {objects} objects")
    bits, footer = bytes(r.take(_bytes_of(objects))), Reader(r.view())
    if footer.left:
        known, sums = footer.u32(), footer.numbers("I")
        starts = range(0, len(bits), _BLOCK)
        if known != crc32c(head, 0) or sums != [crc32c(bits[n : n + _BLOCK], 0) for n in starts]:
            raise Malformed("a map with wrong sums")
    return objects, bits


def _load(ctx: OpContext) -> tuple[int, bytes]:
    """Raises OpError ENOENT, and EINVAL for a damaged one."""
    ctx.require_exists()
    require(ctx.size, errno.ENOENT)
    return decode(ctx.read())


@method("rbd", "object_map_load")
def object_map_load(ctx: OpContext, data: bytes) -> bytes:
    """Out: the map, without sums."""
    objects, bits = _load(ctx)
    return encode(objects, bits, sums=False)


@method("rbd", "object_map_save", writes=True)
def object_map_save(ctx: OpContext, data: bytes) -> None:
    """In: a map."""
    ctx.write_full(encode(*decode(data)))


@method("rbd", "object_map_resize", writes=True)
def object_map_resize(ctx: OpContext, data: bytes) -> None:
    """In: u64 objects, u8 state of new ones; ESTALE when one that goes has another state."""
    r = Reader(data)
    objects, state = r.u64(), r.u8() & 3
    require(objects <= OBJECTS_MAX, errno.EINVAL)
    before, bits = _load(ctx) if ctx.exists and ctx.size else (0, b"")
    filled = Bits(bits)
    if objects < before:
        filled.change(objects, before, [state] * 4)
        require(bits == filled.data, errno.ESTALE)
        filled.change(objects, before, [0] * 4)
        del filled.data[_bytes_of(objects) :]
    else:
        filled.data += bytes(_bytes_of(objects) - len(bits))
        filled.change(before, objects, [state] * 4)
    ctx.write_full(encode(objects, filled.data))


@method("rbd", "object_map_update", writes=True)
def object_map_update(ctx: OpContext, data: bytes) -> None:
    """In: u64 start, u64 end, u8 new state, optional<u8> only of this one. ERANGE beyond it."""
    r = Reader(data)
    start, end, new = r.u64(), r.u64(), r.u8() & 3
    only = r.u8() if r.boolean() else None
    ctx.require_exists()
    header = ctx.read(0, _HEADER.size)
    if len(header) < _HEADER.size:
        raise OpError(errno.EINVAL)
    objects = _HEADER.unpack(header)[4]
    require(start < end <= objects, errno.ERANGE)
    total = _bytes_of(objects)
    low = start // 4 // _BLOCK * _BLOCK
    high = min(total, ((end - 1) // 4 // _BLOCK + 1) * _BLOCK)
    bits = Bits(ctx.read(_HEADER.size + low, high - low), low * 4)
    states = [new if _is_meant(state, only) else state for state in _SAME]
    if bits.change(start, end, states):
        ctx.write(_HEADER.size + low, bytes(bits.data))
        starts = range(0, high - low, _BLOCK)
        sums = b"".join(_SUM.pack(crc32c(bytes(bits.data[n : n + _BLOCK]), 0)) for n in starts)
        footer = _HEADER.size + total + 12  # behind its length, the header's sum, the count
        ctx.write(footer + low // _BLOCK * _SUM.size, sums)


def _is_meant(state: int, only: int | None) -> bool:
    return only is None or state == only or (only == EXISTS and state == CLEAN)


@method("rbd", "object_map_snap_add", writes=True)
def object_map_snap_add(ctx: OpContext, data: bytes) -> None:
    """Objects that are there are clean: as the snapshot has them."""
    objects, bits = _load(ctx)
    clean = Bits(bits)
    if clean.change(0, objects, [GONE, CLEAN, PENDING, CLEAN]):
        ctx.write_full(encode(objects, clean.data))


@method("rbd", "object_map_snap_remove", writes=True)
def object_map_snap_remove(ctx: OpContext, data: bytes) -> None:
    """In: the map of a snapshot that goes. What it had as changed is no longer clean."""
    count, theirs = decode(data)
    objects, bits = _load(ctx)
    ours, other = Bits(bits), Bits(theirs)
    for number in range(objects):
        if ours.get(number) == CLEAN and (number >= count or other.get(number) == EXISTS):
            ours.put(number, EXISTS)
    if ours.data != bits:
        ctx.write_full(encode(objects, ours.data))
