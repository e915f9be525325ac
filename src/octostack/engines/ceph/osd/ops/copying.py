# SPDX-License-Identifier: Apache-2.0
"""Copying an object from another one, which may live in another group or on another OSD.

The vector stops with `NeedsSource`; the group has the source fetched and runs it anew, with what
was fetched in `OpContext.sources`. The source's primary gives it piece by piece (`copy_get`): a
cursor says what came already, and the version of the first piece is asserted for the others.
(object_copy_data_t and PrimaryLogPG::do_copy_get of 16.2)
"""

import errno
import struct

import msgspec

from octostack.engines.ceph.osd.ops.context import OBJECT_BYTES_MAX, OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import U32_MAX, Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD, Locator, read_locator
from octostack.wire.ceph.opcodes import Code

PIECE_BYTES = 8 << 20  # osd_copyfrom_max_chunk
_COPY_FROM = struct.Struct("<QQB")
_TRUNCATED, _FLAGS_KNOWN = 0x20, 0x3F  # CEPH_OSD_COPY_FROM_FLAG_*
_PAGE = 256
_NO_DIGEST = U32_MAX


class Source(msgspec.Struct, frozen=True):
    """Which object, as of which snapshot, at which version (0: any)."""

    name: bytes
    locator: Locator
    snap: int
    version: int = 0


class Fetched(msgspec.Struct, frozen=True):
    """A whole object; `failure` is an errno when it could not be had."""

    data: bytes = b""
    attrs: dict[bytes, bytes] = {}
    omap: dict[bytes, bytes] = {}
    header: bytes = b""
    truncated: tuple[int, int] = (0, 0)  # truncate_seq, truncate_size
    failure: int = 0


class Cursor(msgspec.Struct):
    """How much of an object came (object_copy_cursor_t)."""

    attrs: bool = False
    offset: int = 0
    data: bool = False
    key: bytes = b""
    omap: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all came."""
        return self.attrs and self.data and self.omap


class Piece(msgspec.Struct):
    """A part of an object (object_copy_data_t)."""

    size: int
    attrs: dict[bytes, bytes]
    data: Buffer
    omap: dict[bytes, bytes]
    cursor: Cursor
    header: bytes
    truncated: tuple[int, int]


class NeedsSource(Exception):
    """The vector cannot go on without this object."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.source = source


def copy_from(ctx: OpContext, op: Op) -> None:
    """In: str name, locator; of the second form also u32 truncate_seq, u64 truncate_size.

    Raises OpError ERANGE, EOVERFLOW when the source's version is another, and what else keeps
    it from being had.
    """
    snap, version, flags = _COPY_FROM.unpack_from(op.parameters)
    second = op.code == Code.COPY_FROM2
    require(not second or not flags & ~_FLAGS_KNOWN, errno.EINVAL)
    r = Reader(op.payload)
    source = Source(r.bytes(), read_locator(r), snap, version)
    truncated = (r.u32(), r.u64()) if second and flags & _TRUNCATED else None
    require(not _is_this(ctx, source), errno.EINVAL)
    fetched: Fetched | None = ctx.sources.get(source)
    if fetched is None:
        raise NeedsSource(source)
    require(not fetched.failure, fetched.failure)
    require(ctx.place.omap or not (fetched.omap or fetched.header), errno.EOPNOTSUPP)
    ctx.empty()
    ctx.write(0, fetched.data)
    for name, value in fetched.attrs.items():
        ctx.set_attr(name, value)
    if fetched.omap:
        ctx.omap_set(fetched.omap)
    if fetched.header:
        ctx.omap_set_header(fetched.header)
    ctx.info.truncate_seq, ctx.info.truncate_size = truncated or fetched.truncated


def copy_get(ctx: OpContext, op: Op) -> bytes:
    """In: cursor, u64 bytes at most. Out: a piece."""
    r = Reader(op.payload)
    cursor = _read_cursor(r)
    left = min(r.u64(), PIECE_BYTES)
    ctx.require_exists()
    truncated = (ctx.info.truncate_seq, ctx.info.truncate_size)
    piece = Piece(ctx.size, {}, b"", {}, cursor, b"", truncated)
    if not cursor.attrs:
        piece.attrs, cursor.attrs = ctx.attrs(), True
    if not cursor.data:
        if cursor.offset < ctx.size:
            piece.data = ctx.view(cursor.offset, left)
            cursor.offset += len(piece.data)
            left -= len(piece.data)
        cursor.data = cursor.offset >= ctx.size or not len(piece.data)
    if cursor.data and not ctx.place.omap:
        cursor.omap = True
    elif cursor.data and not cursor.omap and left > 0:
        _add_omap(ctx, piece, left)
    return _encode(piece)


def _add_omap(ctx: OpContext, piece: Piece, left: int) -> None:
    """Entries behind the cursor, as long as there is room; the header goes with the first."""
    cursor = piece.cursor
    if not cursor.key:
        piece.header = ctx.omap_header()
    while left > 0 and not cursor.omap:
        found, more = ctx.omap_after(cursor.key, _PAGE)
        for key, value in found:
            piece.omap[key] = value
            cursor.key = key
            left -= len(key) + len(value)
        cursor.omap = not more


def _is_this(ctx: OpContext, source: Source) -> bool:
    at, what = source.locator, ctx.what
    place = (source.name, at.key, at.namespace, at.pool)
    return source.snap == SNAP_HEAD and place == (what.name, what.key, what.namespace, what.pool)


class Gathering:
    """The pieces of one object, until they are all there."""

    def __init__(self, piece_bytes: int = PIECE_BYTES) -> None:
        self.cursor = Cursor()
        self._piece_bytes = piece_bytes  # at most
        self._data: list[bytes] = []
        self._attrs: dict[bytes, bytes] = {}
        self._omap: dict[bytes, bytes] = {}
        self._header = b""
        self._truncated = (0, 0)

    def ask(self) -> bytes:
        """What `copy_get` is asked for the next piece."""
        w = Writer()
        _write_cursor(w, self.cursor)
        w.u64(self._piece_bytes)
        return w.done()

    def take(self, output: Buffer) -> Fetched | None:
        """The next piece; the object, when that was the last. Raises Malformed."""
        piece = _decode(output)
        if piece.size > OBJECT_BYTES_MAX:
            return Fetched(failure=errno.EFBIG)
        self.cursor = piece.cursor
        self._data.append(bytes(piece.data))
        self._attrs |= piece.attrs
        self._omap |= piece.omap
        self._header = piece.header or self._header
        self._truncated = piece.truncated
        if not piece.cursor.is_done:
            return None
        data = b"".join(self._data)
        return Fetched(data, self._attrs, self._omap, self._header, self._truncated)


def _read_cursor(r: Reader) -> Cursor:
    with r.versioned(1):
        return Cursor(r.boolean(), r.u64(), r.boolean(), r.bytes(), r.boolean())


def _write_cursor(w: Writer, cursor: Cursor) -> None:
    with w.versioned(1, 1):
        w.boolean(cursor.attrs)
        w.u64(cursor.offset)
        w.boolean(cursor.data)
        w.bytes(cursor.key)
        w.boolean(cursor.omap)


def _encode(piece: Piece) -> bytes:
    w = Writer()
    entries = Writer()
    if piece.omap:
        entries.map(piece.omap, entries.bytes, entries.bytes)
    with w.versioned(8, 5):
        w.u64(piece.size)
        w.utime(0)  # who copies sets the time anew
        w.map(piece.attrs, w.bytes, w.bytes)
        w.bytes(piece.data)
        w.bytes(entries.done())
        _write_cursor(w, piece.cursor)
        w.bytes(piece.header)
        w.u32(0)  # snapshots
        w.u64(0)
        w.u32(0)  # flags: no digests
        w.u32(_NO_DIGEST)
        w.u32(_NO_DIGEST)
        w.u32(0)  # requests it has answered
        w.u32(piece.truncated[0])
        w.u64(piece.truncated[1])
        w.u32(0)  # their results
    return w.done()


def _pass_request(r: Reader) -> None:
    with r.versioned():
        pass
    r.u64()


def _decode(output: Buffer) -> Piece:
    r = Reader(output)
    with r.versioned(8):
        size, _ = r.u64(), r.utime()
        attrs = r.map(r.bytes, r.bytes, 8)
        data, entries = r.view(), Reader(r.view())
        omap = entries.map(entries.bytes, entries.bytes, 8) if entries.left else {}
        cursor, header = _read_cursor(r), r.bytes()
        r.numbers("Q")
        r.skip(8 + 4 + 4 + 4)
        r.vector(lambda: _pass_request(r), 14)
        return Piece(size, attrs, data, omap, cursor, header, (r.u32(), r.u64()))
