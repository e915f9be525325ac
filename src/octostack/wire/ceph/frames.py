# SPDX-License-Identifier: Apache-2.0
"""Frames of messenger v2.1: a preamble, up to four segments, checksums or encryption.

    crc mode     preamble 32 | segment 0 | its crc | segments 1..3 | epilogue 13
    secure mode  {preamble, 48 bytes of segment 0} | {rest of segment 0} | {segments 1..3, epilogue}

A frame of one segment has no epilogue; {} is an encrypted block with its tag, its parts padded to
16 bytes. Empty segments at the end are not counted.

`Receiver` is given bytes where it wants them: small frames are cut out of one buffer, in crc mode
by a precompiled layout for each shape; a frame over `LARGE_BYTES` gets memory of its own, so that
its data is never copied again.
"""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from octostack.wire.ceph.checksum import SEED, Buffer, agree, crc32c, note
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.secure import TAG_BYTES, Stream


class Tag(IntEnum):
    """What a frame is."""

    HELLO = 1
    AUTH_REQUEST = 2
    AUTH_BAD_METHOD = 3
    AUTH_REPLY_MORE = 4
    AUTH_REQUEST_MORE = 5
    AUTH_DONE = 6
    AUTH_SIGNATURE = 7
    CLIENT_IDENT = 8
    SERVER_IDENT = 9
    IDENT_MISSING_FEATURES = 10
    SESSION_RECONNECT = 11
    SESSION_RESET = 12
    SESSION_RETRY = 13
    SESSION_RETRY_GLOBAL = 14
    SESSION_RECONNECT_OK = 15
    WAIT = 16
    MESSAGE = 17
    KEEPALIVE2 = 18
    KEEPALIVE2_ACK = 19
    ACK = 20


MESSAGE: Final = int(Tag.MESSAGE)
SEGMENTS_MAX: Final = 4
CONTROL_BYTES_MAX: Final = 64 << 10
MESSAGE_BYTES_MAX: Final = 128 << 20
LARGE_BYTES: Final = 64 << 10
BUFFER_BYTES: Final = 256 << 10

_PREAMBLE = struct.Struct("<BBIHIHIHIHBB")
_EPILOGUE = struct.Struct("<BIII")
_CRC = struct.Struct("<I")
_PREAMBLE_BYTES = _PREAMBLE.size + 4
_WHOLE_PREAMBLE = struct.Struct(f"{_PREAMBLE_BYTES}s")
_INLINE_BYTES = 48
_BLOCK_BYTES = _PREAMBLE_BYTES + _INLINE_BYTES + TAG_BYTES
_PAD = 16
_STATUS_ABORTED, _STATUS_COMPLETE, _STATUS_MASK = 0x01, 0x0E, 0x0F
_ALIGNMENTS = (8, 8, 8, 4096)
_UNCOUNTED = (0,) * SEGMENTS_MAX  # what stands for the sums of segments that are not there
_CACHED_PREAMBLES = 512


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A tag and its segments; large ones are views into the memory they were received into."""

    tag: int
    segments: tuple[Buffer, ...]


# Memory of so many bytes, best such that the one at an offset begins a page.
Allocate = Callable[[int, int], memoryview]


class _Shape(msgspec.Struct, frozen=True, gc=False):
    tag: int
    lengths: tuple[int, ...]
    total: int  # of the lengths
    last_at: int  # where the last segment begins, of what follows the preamble in crc mode
    plain_bytes: int  # what follows the preamble in crc mode
    sealed_bytes: int  # what follows the first block in secure mode
    layout: struct.Struct | None  # of what follows the preamble in crc mode, if it is to be copied


def _padded(length: int) -> int:
    return (length + _PAD - 1) & -_PAD


@lru_cache(_CACHED_PREAMBLES)
def _shape(preamble: bytes) -> _Shape:
    """What a preamble announces; most frames of a connection have one of a few."""
    (expected,) = _CRC.unpack_from(preamble, _PREAMBLE.size)
    if crc32c(preamble[: _PREAMBLE.size], 0) != expected:
        raise Malformed("the checksum of a preamble is wrong")
    tag, count, a, _, b, _, c, _, d, _, flags, _ = _PREAMBLE.unpack_from(preamble)
    if not 1 <= count <= SEGMENTS_MAX:
        raise Malformed(f"a frame of {count} segments")
    lengths = (a, b, c, d)[:count]
    if count > 1 and not lengths[-1]:
        raise Malformed("the last segment of a frame is empty")
    if any((a, b, c, d)[count:]):
        raise Malformed("a segment that is not counted has a length")
    if flags:
        raise Malformed(f"a frame with flags {flags:#x}")
    several = count > 1
    plain = (a + 4 if a else 0) + (sum(lengths[1:]) + _EPILOGUE.size if several else 0)
    rest = _padded(a) - _INLINE_BYTES
    sealed = (rest + TAG_BYTES if rest > 0 else 0) + (
        sum(map(_padded, lengths[1:])) + _PAD + TAG_BYTES if several else 0
    )
    last_at = plain - _EPILOGUE.size - lengths[-1] if several else 0
    layout = _layout(lengths) if a and plain <= LARGE_BYTES else None
    return _Shape(tag, lengths, sum(lengths), last_at, plain, sealed, layout)


def _layout(lengths: tuple[int, ...]) -> struct.Struct:
    """A first segment and its sum; and if there are several, the others, a status, three sums."""
    first, *others = lengths
    rest = "".join(f"{length}s" for length in others) + "BIII" if others else ""
    return struct.Struct(f"<{first}sI{rest}")


@lru_cache(_CACHED_PREAMBLES)
def _preamble(tag: int, lengths: tuple[int, ...]) -> bytes:
    fields = [tag, len(lengths)]
    for index in range(SEGMENTS_MAX):
        counted = index < len(lengths)
        fields += (lengths[index], _ALIGNMENTS[index]) if counted else (0, 0)
    head = _PREAMBLE.pack(*fields, 0, 0)
    return head + _CRC.pack(crc32c(head, 0))


def encode(tag: int, segments: Sequence[Buffer], seal: Stream | None = None) -> list[Buffer]:
    """The frame as buffers to send one after the other; large segments are not copied."""
    count = len(segments)
    while count > 1 and not segments[count - 1]:
        count -= 1
    first, *others = segments[:count]
    preamble = _preamble(tag, (len(first), *map(len, others)))
    if seal is not None:
        return [_encode_sealed(preamble, segments[:count], seal)]
    parts: list[Buffer] = [preamble]
    if first:
        parts += first, _CRC.pack(crc32c(first))
    if others:
        sums = [crc32c(segment) for segment in others]
        parts += others
        parts.append(_EPILOGUE.pack(_STATUS_COMPLETE, *sums, *_UNCOUNTED[count:]))
        if len(others[-1]) >= LARGE_BYTES:
            return [b"".join(parts[:-2]), *parts[-2:]]
    return [b"".join(parts)]


def _encode_sealed(preamble: bytes, segments: Sequence[Buffer], seal: Stream) -> bytes:
    first = bytes(segments[0])
    first += bytes(_padded(len(first)) - len(first))
    inline = first[:_INLINE_BYTES].ljust(_INLINE_BYTES, b"\0")
    parts = [seal.seal(preamble + inline)]
    if len(first) > _INLINE_BYTES:
        parts.append(seal.seal(first[_INLINE_BYTES:]))
    if len(segments) > 1:
        rest = bytearray()
        for segment in segments[1:]:
            rest += segment
            rest += bytes(_padded(len(segment)) - len(segment))
        rest.append(_STATUS_COMPLETE)
        rest += bytes(_PAD - 1)
        parts.append(seal.seal(rest))
    return b"".join(parts)


class Receiver:
    """Bytes to frames. Read into `buffer()`, say `received(count)`, then take `next_frame()`s.

    `message_bytes_max` bounds a MESSAGE frame, CONTROL_BYTES_MAX every other one; what is longer is
    refused as soon as its preamble is there. All errors are Malformed, and final.
    """

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self.opener: Stream | None = None  # set when the connection turns secure
        self.transcript: bytearray | None = None  # gets a copy of what is taken, while it is set
        self.message_bytes_max = message_bytes_max
        self.allocate: Allocate = _allocate
        self._memory = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._memory)
        self._start = 0
        self._end = 0
        self._shape: _Shape | None = None  # of the frame whose rest is awaited
        self._inline = b""
        self._large: memoryview | None = None
        self._filled = 0

    def buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self._large is not None:
            return self._large[self._filled :]
        return self._view[self._end :]

    def received(self, count: int) -> None:
        """`count` bytes were put into `buffer()`."""
        if self._large is not None:
            self._filled += count
        else:
            self._end += count

    def take(self, count: int) -> bytes | None:
        """The next `count` bytes as they are, as the banner comes; None: not yet there."""
        if self._end - self._start < count:
            self._make_room(count)
            return None
        found = bytes(self._view[self._start : self._start + count])
        self._start += count
        if self.transcript is not None:
            self.transcript += found
        return found

    def next_frame(self) -> Frame | None:
        """The next whole frame; None when bytes are missing. An aborted one is passed over."""
        while True:
            if self._start == self._end and self._large is None:
                self._start = self._end = 0  # nothing is left, as after most reads
                return None
            shape = self._shape or self._begin()
            if shape is None:
                return None
            plain = self.opener is None
            if plain and shape.layout is not None:
                parts = self._unpack(shape.layout)
                if parts is None:
                    self._shape = shape
                    return None
                frame = _cut(shape, parts)
            else:
                body = self._body(shape.plain_bytes if plain else shape.sealed_bytes, shape.last_at)
                if body is None:
                    self._shape = shape
                    return None
                frame = self._plain(shape, body) if plain else self._opened(shape, body)
            self._shape = None
            if frame is not None:
                return frame

    def _begin(self) -> _Shape | None:
        if self.opener is None:
            parts = self._unpack(_WHOLE_PREAMBLE)
            if parts is None:
                return None
            preamble = parts[0]
        else:
            block = self.take(_BLOCK_BYTES)
            if block is None:
                return None
            opened = self.opener.open(block)
            preamble, self._inline = opened[:_PREAMBLE_BYTES], opened[_PREAMBLE_BYTES:]
        shape = _shape(preamble)
        limit = self.message_bytes_max if shape.tag == MESSAGE else CONTROL_BYTES_MAX
        if shape.total > limit:
            raise Malformed(f"a frame of {shape.total} bytes, {limit} are allowed")
        return shape

    def _unpack(self, layout: struct.Struct) -> tuple[Any, ...] | None:
        """What comes next, cut into the parts of `layout`; None: it is not all there."""
        start = self._start
        end = start + layout.size
        if self._end < end:
            self._make_room(layout.size)
            return None
        self._start = end
        if self.transcript is not None:
            self.transcript += self._view[start:end]
        return layout.unpack_from(self._memory, start)

    def _body(self, count: int, page_at: int) -> Buffer | None:
        """The `count` bytes after the preamble: bytes, or memory of its own."""
        if self._large is not None:
            if self._filled < count:
                return None
            large, self._large = self._large, None
            return large
        if count <= LARGE_BYTES:
            return self.take(count)
        here = min(self._end - self._start, count)
        large = self.allocate(count, page_at)
        large[:here] = self._view[self._start : self._start + here]
        self._start += here
        if here == count:
            return large
        self._start = self._end = 0
        self._large, self._filled = large, here
        return None

    def _make_room(self, count: int) -> None:
        """After what is taken goes to the front, so that `count` bytes will fit."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + max(count, LARGE_BYTES) > BUFFER_BYTES or self._end == BUFFER_BYTES:
            left = bytes(self._view[self._start : self._end])
            self._view[: len(left)] = left
            self._start, self._end = 0, len(left)

    @staticmethod
    def _plain(shape: _Shape, body: Buffer) -> Frame | None:
        lengths = shape.lengths
        at = lengths[0]
        segments = [body[:at]]
        if at:
            _verify(segments[0], _CRC.unpack_from(body, at)[0])
            at += 4
        if len(lengths) == 1:
            return Frame(shape.tag, tuple(segments))
        status, *sums = _EPILOGUE.unpack_from(body, len(body) - _EPILOGUE.size)
        for length, expected in zip(lengths[1:], sums, strict=False):
            segment = body[at : at + length] if length else b""
            if length or expected != SEED:
                _verify(segment, expected)
            segments.append(segment)
            at += length
        return Frame(shape.tag, tuple(segments)) if _is_complete(status) else None

    def _opened(self, shape: _Shape, body: Buffer) -> Frame | None:
        assert self.opener is not None
        lengths = shape.lengths
        first_rest = _padded(lengths[0]) - _INLINE_BYTES
        sealed = memoryview(body)
        first = self._inline
        if first_rest > 0:
            first += self.opener.open(sealed[: first_rest + TAG_BYTES])
            sealed = sealed[first_rest + TAG_BYTES :]
        segments: list[Buffer] = [first[: lengths[0]]]
        if len(lengths) == 1:
            return Frame(shape.tag, tuple(segments))
        rest = self.opener.open(sealed)
        view: Buffer = memoryview(rest) if len(rest) > LARGE_BYTES else rest
        at = 0
        for length in lengths[1:]:
            segments.append(view[at : at + length])
            at += _padded(length)
        return Frame(shape.tag, tuple(segments)) if _is_complete(rest[at]) else None


def _cut(shape: _Shape, parts: Sequence[Any]) -> Frame | None:
    """A small frame in crc mode, of what its layout gave."""
    first, first_sum, *rest = parts
    others = len(shape.lengths) - 1
    segments = (first, *rest[:others])
    if not agree(segments, (first_sum, *rest[others + 1 :])):
        raise _damaged()
    if others and not _is_complete(rest[others]):
        return None
    return Frame(shape.tag, segments)


def _allocate(size: int, _page_at: int) -> memoryview:
    return memoryview(bytearray(size))


def _verify(segment: Buffer, expected: int) -> None:
    if crc32c(segment) != expected:
        raise _damaged()
    if type(segment) is memoryview and len(segment) >= LARGE_BYTES:
        note(segment, expected)


def _damaged() -> Malformed:
    return Malformed("the checksum of a segment is wrong")


def _is_complete(status: int) -> bool:
    found = status & _STATUS_MASK
    if found not in {_STATUS_ABORTED, _STATUS_COMPLETE}:
        raise Malformed(f"a frame ends with status {status:#x}")
    return found == _STATUS_COMPLETE
