# SPDX-License-Identifier: Apache-2.0
"""How Ceph writes plain values: little-endian, lengths as u32, structs with a version in front.

A versioned struct is ``u8 version, u8 compat, u32 length, body``. A reader that knows at least
`compat` may read it, and skips what it does not know at the body's end. A count is checked against
the bytes that are left before anything is made of it, so a hostile one allocates nothing.

A time (`utime`) is an int of nanoseconds since the epoch. A name that a client chooses is bytes: it
need not be UTF-8, and its order is that of bytes. `string` is for names that we choose.
"""

import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TypeVar

from octostack.base.errors import Invalid

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

NANOS = 1_000_000_000
U32_MAX = 0xFFFFFFFF
U64_MAX = 0xFFFFFFFFFFFFFFFF

_U8 = struct.Struct("<B")
_S8 = struct.Struct("<b")
_U16 = struct.Struct("<H")
_S16 = struct.Struct("<h")
_U32 = struct.Struct("<I")
_S32 = struct.Struct("<i")
_U64 = struct.Struct("<Q")
_S64 = struct.Struct("<q")
_F32 = struct.Struct("<f")
_F64 = struct.Struct("<d")
_UTIME = struct.Struct("<II")
_HEAD = struct.Struct("<BBI")


class Malformed(Invalid):
    """Bytes that are not what they claim to be; ``details["at"]`` is the position."""

    kind = "malformed"

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message, code="ceph.malformed", at=at)


class Reader:
    """Takes values off the front of `data`. Everything raises Malformed, and nothing else."""

    __slots__ = ("_data", "_end", "_pos")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = data if isinstance(data, memoryview) else memoryview(data)
        self._pos = 0
        self._end = len(self._data)

    @property
    def position(self) -> int:
        """Bytes taken so far."""
        return self._pos

    @property
    def left(self) -> int:
        """Bytes still there, within the innermost struct."""
        return self._end - self._pos

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, not copied."""
        start = self._pos
        end = start + count
        if end > self._end or count < 0:
            raise Malformed(f"{count} bytes wanted, {self._end - start} there", start)
        self._pos = end
        return self._data[start:end]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        self.take(count)

    def rest(self) -> memoryview:
        """All that is left, not copied."""
        return self.take(self._end - self._pos)

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        """Several values at once, by a precompiled layout."""
        start = self._pos
        end = start + layout.size
        if end > self._end:
            raise Malformed(f"{layout.size} bytes wanted, {self._end - start} there", start)
        self._pos = end
        return layout.unpack_from(self._data, start)

    def u8(self) -> int:
        return self.unpack(_U8)[0]

    def s8(self) -> int:
        return self.unpack(_S8)[0]

    def u16(self) -> int:
        return self.unpack(_U16)[0]

    def s16(self) -> int:
        return self.unpack(_S16)[0]

    def u32(self) -> int:
        return self.unpack(_U32)[0]

    def s32(self) -> int:
        return self.unpack(_S32)[0]

    def u64(self) -> int:
        return self.unpack(_U64)[0]

    def s64(self) -> int:
        return self.unpack(_S64)[0]

    def f32(self) -> float:
        return self.unpack(_F32)[0]

    def f64(self) -> float:
        return self.unpack(_F64)[0]

    def boolean(self) -> bool:
        return self.unpack(_U8)[0] != 0

    def view(self) -> memoryview:
        """u32 length and bytes, not copied."""
        return self.take(self.unpack(_U32)[0])

    def bytes(self) -> bytes:
        """u32 length and bytes."""
        return self.take(self.unpack(_U32)[0]).tobytes()

    def string(self) -> str:
        """u32 length and UTF-8; what is not UTF-8 survives a round trip."""
        return str(self.take(self.unpack(_U32)[0]), "utf-8", "surrogateescape")

    def utime(self) -> int:
        """Nanoseconds since the epoch."""
        seconds, nanos = self.unpack(_UTIME)
        return seconds * NANOS + nanos

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.take(16).tobytes())

    def count(self, item_bytes: int = 1) -> int:
        """A u32 number of items of at least `item_bytes` each, which must fit what is left."""
        start = self._pos
        number = self.unpack(_U32)[0]
        if number * item_bytes > self._end - self._pos:
            raise Malformed(f"{number} items cannot fit {self._end - self._pos} bytes", start)
        return number

    def vector(self, item: Callable[[], T], item_bytes: int = 1) -> list[T]:
        """u32 count and items: ``r.vector(r.u32, 4)``."""
        return [item() for _ in range(self.count(item_bytes))]

    def map(self, key: Callable[[], K], value: Callable[[], V], item_bytes: int = 1) -> dict[K, V]:
        """u32 count and pairs."""
        return {key(): value() for _ in range(self.count(item_bytes))}

    def numbers(self, code: str) -> list[int]:
        """u32 count and plain numbers of the `struct` code, such as ``I`` or ``q``."""
        size = struct.calcsize("<" + code)
        number = self.count(size)
        return list(struct.unpack_from(f"<{number}{code}", self.take(number * size)))

    def versioned(self, understood: int = 255) -> "_ReadScope":
        """``with r.versioned(9) as version:`` reads a struct and skips what is newer in it."""
        return _ReadScope(self, understood)

    def begin(self, understood: int = 255) -> tuple[int, int]:
        """Enter a versioned struct: (its version, what `finish` wants)."""
        start = self._pos
        version, compat, length = self.unpack(_HEAD)
        if compat > understood:
            raise Malformed(f"a struct asks for version {compat}, we know {understood}", start)
        end = self._pos + length
        outer = self._end
        if end > outer:
            raise Malformed(f"a struct of {length} bytes, {outer - self._pos} there", start)
        self._end = end
        return version, outer

    def finish(self, outer: int) -> None:
        """Leave a versioned struct, passing over what was not read."""
        self._pos = self._end
        self._end = outer


class _ReadScope:
    __slots__ = ("_outer", "_reader", "_understood")

    def __init__(self, reader: Reader, understood: int) -> None:
        self._reader = reader
        self._understood = understood
        self._outer = 0

    def __enter__(self) -> int:
        version, self._outer = self._reader.begin(self._understood)
        return version

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._reader.finish(self._outer)


class Writer:
    """Puts values at the end of `data`. Each method returns nothing; `done` gives the bytes."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def done(self) -> bytes:
        """All that was written."""
        return bytes(self.data)

    def raw(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes as they are."""
        self.data += data

    def pack(self, layout: struct.Struct, *values: float) -> None:
        """Several values at once, by a precompiled layout."""
        self.data += layout.pack(*values)

    def u8(self, value: int) -> None:
        self.data += _U8.pack(value)

    def s8(self, value: int) -> None:
        self.data += _S8.pack(value)

    def u16(self, value: int) -> None:
        self.data += _U16.pack(value)

    def s16(self, value: int) -> None:
        self.data += _S16.pack(value)

    def u32(self, value: int) -> None:
        self.data += _U32.pack(value)

    def s32(self, value: int) -> None:
        self.data += _S32.pack(value)

    def u64(self, value: int) -> None:
        self.data += _U64.pack(value)

    def s64(self, value: int) -> None:
        self.data += _S64.pack(value)

    def f32(self, value: float) -> None:
        self.data += _F32.pack(value)

    def f64(self, value: float) -> None:
        self.data += _F64.pack(value)

    def boolean(self, value: bool) -> None:
        self.data += b"\x01" if value else b"\x00"

    def bytes(self, value: bytes | bytearray | memoryview) -> None:
        """u32 length and bytes."""
        self.data += _U32.pack(len(value))
        self.data += value

    def string(self, value: str) -> None:
        """u32 length and UTF-8."""
        self.bytes(value.encode("utf-8", "surrogateescape"))

    def utime(self, nanos: int) -> None:
        """Nanoseconds since the epoch as seconds and nanoseconds."""
        self.data += _UTIME.pack(*divmod(nanos, NANOS))

    def uuid(self, value: uuid.UUID) -> None:
        self.data += value.bytes

    def vector(self, items: Iterable[T], item: Callable[[T], None]) -> None:
        """u32 count and items: ``w.vector(epochs, w.u32)``."""
        at = len(self.data)
        self.data += b"\x00\x00\x00\x00"
        number = 0
        for value in items:
            item(value)
            number += 1
        _U32.pack_into(self.data, at, number)

    def map(
        self, items: Mapping[K, V], key: Callable[[K], None], value: Callable[[V], None]
    ) -> None:
        """u32 count and pairs in the order of the keys, as C++'s map has them."""
        self.u32(len(items))
        for k in sorted(items):  # type: ignore[type-var]
            key(k)
            value(items[k])

    def numbers(self, code: str, values: list[int] | tuple[int, ...]) -> None:
        """u32 count and plain numbers of the `struct` code."""
        self.data += struct.pack(f"<I{len(values)}{code}", len(values), *values)

    def versioned(self, version: int, compat: int) -> "_WriteScope":
        """``with w.versioned(9, 6):`` writes a struct; its length is filled in at the end."""
        return _WriteScope(self, version, compat)


class _WriteScope:
    __slots__ = ("_at", "_compat", "_version", "_writer")

    def __init__(self, writer: Writer, version: int, compat: int) -> None:
        self._writer = writer
        self._version = version
        self._compat = compat
        self._at = 0

    def __enter__(self) -> None:
        data = self._writer.data
        self._at = len(data)
        data += _HEAD.pack(self._version, self._compat, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        data = self._writer.data
        _U32.pack_into(data, self._at + 2, len(data) - self._at - _HEAD.size)
