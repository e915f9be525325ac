# SPDX-License-Identifier: Apache-2.0
"""Vectors of operations on one object: `ReadOp` and `WriteOp`.

Each method adds an operation and returns a `Result`, which has a value once the vector was done::

    op = ReadOp()
    size = op.stat()
    head = op.read(0, 512)
    await pool.operate("object", op)
    print(size.value.size, head.value)

A vector of writes happens whole or not at all. The first operation that fails ends a vector, and
is its error, unless `may_fail` was said of it: then its `Result` alone raises.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Final, Generic, Self, TypeVar

from octostack.base.errors import Unavailable
from octostack.engines.ceph.rados.core import values
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.core.values import Name, to_bytes
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.messages.osdop import NO_PARAMETERS, RawOp
from octostack.wire.ceph.objects import SNAP_HEAD, Locator, write_locator
from octostack.wire.ceph.opcodes import Code

T = TypeVar("T")

EXCLUSIVE, FAIL_OK = 1, 2  # flags of an operation
FLAG_READ, FLAG_WRITE = 0x10, 0x20  # of a vector (CEPH_OSD_FLAG_*)
FLAG_BALANCE_READS, FLAG_IGNORE_CACHE, FLAG_IGNORE_OVERLAY = 0x100, 0x8000, 0x20000
FLAG_FULL_TRY, FLAG_FULL_FORCE, FLAG_RETURN_VECTOR = 0x800000, 0x1000000, 0x4000000

_EXTENT = struct.Struct("<QQQI")
_XATTR = struct.Struct("<IIBB18x")
_CALL = struct.Struct("<BBBI21x")
_NUMBER = struct.Struct("<Q20x")
_PAIR = struct.Struct("<QQ12x")
_HINT = struct.Struct("<QQI8x")
_SAME = struct.Struct("<QQQ4x")
_CHECKSUM = struct.Struct("<QQIB7x")
_COPY = struct.Struct("<QQBIB6x")
_RANGE_MAX: Final = 1 << 30
_CRC32C: Final = 2
_STRING_MODE, _NUMBER_MODE = 1, 2


class Compare(IntEnum):
    """How what is there must stand to what is given: ``GREATER`` holds when given > there."""

    EQUAL = 1
    NOT_EQUAL = 2
    GREATER = 3
    GREATER_OR_EQUAL = 4
    LESS = 5
    LESS_OR_EQUAL = 6


def extent(offset: int, length: int) -> bytes:
    """The parameters of what reads or writes a range."""
    return _EXTENT.pack(offset, length, 0, 0)


def hashed_names(names: Iterable[Name]) -> bytes:
    """set<str>."""
    w = Writer()
    w.vector(sorted({to_bytes(name) for name in names}), w.bytes)
    return w.done()


class Result(Generic[T]):
    """What one operation of a vector came to."""

    __slots__ = ("_decode", "_done", "_output", "code", "result")

    def __init__(self, code: int, decode: Callable[[Buffer], T]) -> None:
        self.code = code
        self.result = 0
        self._decode = decode
        self._output: Buffer = b""
        self._done = False

    def settle(self, result: int, output: Buffer) -> None:
        """Note the answer."""
        self.result, self._output, self._done = result, output, True

    @property
    def value(self) -> T:
        """What it put out. Raises the operation's own failure, and Unavailable before its time."""
        if not self._done:
            raise Unavailable("The vector has not been done.", code="rados.not_done")
        if self.result < 0:
            raise error_of(self.result, f"operation {self.code:#x}")
        return self._decode(self._output)


class Vector:
    """What read and write vectors have in common."""

    flags = FLAG_READ

    def __init__(self) -> None:
        self.raw: list[RawOp] = []
        self._results: list[Result[object]] = []

    def __len__(self) -> int:
        return len(self.raw)

    def settle(self, results: Iterable[int], outputs: Iterable[RawOp]) -> None:
        """Give each operation what it came to."""
        for one, result, output in zip(self._results, results, outputs, strict=True):
            one.settle(result, output.payload)

    def may_fail(self) -> Self:
        """The operation added last may fail without ending the vector."""
        last = self.raw[-1]
        last.flags |= FAIL_OK
        return self

    def full_try(self) -> Self:
        """Not to be held back while the pool is full: fail instead, or make room."""
        self.flags |= FLAG_FULL_TRY
        return self

    def assert_version(self, version: int) -> None:
        """Go on only if the object has this version (`Pool.last_version`): ERANGE, EOVERFLOW."""
        self._add(Code.ASSERT_VER, _PAIR.pack(0, version))

    def assert_exists(self) -> None:
        """Go on only if the object is there."""
        self._add(Code.STAT)

    def compare(self, offset: int, wanted: Buffer) -> None:
        """Go on only if these bytes are there; the error tells the first that differs."""
        self._add(Code.CMPEXT, extent(offset, len(wanted)), wanted)

    def compare_xattr(self, name: Name, relation: Compare, wanted: bytes | int) -> None:
        """Go on only if an attribute stands so: ECANCELED."""
        key = to_bytes(name)
        is_number = isinstance(wanted, int)
        given = wanted.to_bytes(8, "little") if isinstance(wanted, int) else wanted
        mode = _NUMBER_MODE if is_number else _STRING_MODE
        self._add(Code.CMPXATTR, _XATTR.pack(len(key), len(given), relation, mode), key + given)

    def compare_omap(self, key: Name, relation: Compare, wanted: bytes) -> None:
        """Go on only if a value stands so (EQUAL, GREATER or LESS): ECANCELED."""
        w = Writer()
        w.u32(1)
        w.bytes(to_bytes(key))
        w.bytes(wanted)
        w.s32(relation)
        self._add(Code.OMAP_CMP, NO_PARAMETERS, w.done())

    def exec(self, class_name: str, method: str, data: bytes = b"") -> Result[bytes]:
        """Call a method of an object class."""
        name, verb = class_name.encode(), method.encode()
        parameters = _CALL.pack(len(name), len(verb), 0, len(data))
        return self._add(Code.CALL, parameters, name + verb + data, values.data)

    def _add(
        self,
        code: int,
        parameters: bytes = NO_PARAMETERS,
        payload: Buffer = b"",
        decode: Callable[[Buffer], T] = values.nothing,  # type: ignore[assignment]
        flags: int = 0,
    ) -> Result[T]:
        self.raw.append(RawOp(code, flags, parameters, payload))
        result = Result(code, decode)
        self._results.append(result)  # type: ignore[arg-type]
        return result


class ReadOp(Vector):
    """A vector that changes nothing."""

    def read(self, offset: int = 0, length: int = 0) -> Result[bytes]:
        """Bytes of a range; a length of 0 means all there is."""
        return self._add(Code.READ, extent(offset, length), b"", values.data)

    def sparse_read(self, offset: int = 0, length: int = 0) -> Result[values.Extents]:
        """What of a range is no hole."""
        return self._add(Code.SPARSE_READ, extent(offset, length), b"", values.read_extents)

    def extent_map(self, offset: int = 0, length: int = 0) -> Result[dict[int, int]]:
        """Where of a range there is something: offset to length."""
        return self._add(Code.MAPEXT, extent(offset, length), b"", values.read_extent_map)

    def stat(self) -> Result[values.Stat]:
        """Size and time."""
        return self._add(Code.STAT, NO_PARAMETERS, b"", values.read_stat)

    def checksum(self, offset: int, length: int, chunk: int = 0) -> Result[list[int]]:
        """CRC-32C of each chunk of a range, begun with ones and not inverted at the end."""
        parameters = _CHECKSUM.pack(offset, length, chunk, _CRC32C)
        return self._add(Code.CHECKSUM, parameters, b"\xff\xff\xff\xff", values.read_checksums)

    def get_xattr(self, name: Name) -> Result[bytes]:
        """An attribute."""
        key = to_bytes(name)
        return self._add(Code.GETXATTR, _XATTR.pack(len(key), 0, 0, 0), key, values.data)

    def list_xattrs(self) -> Result[dict[str, bytes]]:
        """All attributes."""
        return self._add(Code.GETXATTRS, NO_PARAMETERS, b"", values.read_strings)

    def list_omap_keys(self, after: Name = "", limit: int = 1024) -> Result[values.KeysPage]:
        """Up to `limit` keys behind `after`."""
        w = Writer()
        w.bytes(to_bytes(after))
        w.u64(limit)
        return self._add(Code.OMAP_KEYS, NO_PARAMETERS, w.done(), values.read_keys)

    def list_omap(
        self, after: Name = "", limit: int = 1024, prefix: Name = ""
    ) -> Result[values.OmapPage]:
        """Up to `limit` keys behind `after` that begin with `prefix`, and their values."""
        w = Writer()
        w.bytes(to_bytes(after))
        w.u64(limit)
        w.bytes(to_bytes(prefix))
        return self._add(Code.OMAP_VALUES, NO_PARAMETERS, w.done(), values.read_omap)

    def get_omap(self, keys: Iterable[Name]) -> Result[dict[str, bytes]]:
        """The values of those of these keys that are there."""
        found = hashed_names(keys)
        return self._add(Code.OMAP_BY_KEYS, NO_PARAMETERS, found, values.read_strings)

    def get_omap_header(self) -> Result[bytes]:
        """The omap's header."""
        return self._add(Code.OMAP_HEADER, NO_PARAMETERS, b"", values.data)

    def list_watchers(self) -> Result[list[values.Watcher]]:
        """Who watches."""
        return self._add(Code.LIST_WATCHERS, NO_PARAMETERS, b"", values.read_watchers)

    def list_snaps(self) -> Result[values.SnapSet]:
        """All states that are kept; must be asked of `Pool.at(SNAP_DIR)`."""
        return self._add(Code.LIST_SNAPS, NO_PARAMETERS, b"", values.read_snaps)


class WriteOp(Vector):
    """A vector that changes the object: all of it, or nothing."""

    flags = FLAG_WRITE

    def returning(self) -> Self:
        """Bring back what class methods put out (since release 15)."""
        self.flags |= FLAG_RETURN_VECTOR
        return self

    def create(self, *, exclusive: bool = False) -> None:
        """Let it be; exclusive: it must be new (EEXIST)."""
        self._add(Code.CREATE, flags=EXCLUSIVE if exclusive else 0)

    def write(self, offset: int, data: Buffer) -> None:
        """Put bytes at an offset. They must not change before the vector is done."""
        self._add(Code.WRITE, extent(offset, len(data)), data)

    def write_full(self, data: Buffer) -> None:
        """Make these bytes the whole object."""
        self._add(Code.WRITE_FULL, extent(0, len(data)), data)

    def write_same(self, offset: int, length: int, unit: Buffer) -> None:
        """Fill a range with copies of `unit`."""
        self._add(Code.WRITE_SAME, _SAME.pack(offset, length, len(unit)), unit)

    def append(self, data: Buffer) -> None:
        """Put bytes at the end."""
        self._add(Code.APPEND, extent(0, len(data)), data)

    def truncate(self, size: int) -> None:
        """Cut, or grow with zeros."""
        self._add(Code.TRUNCATE, extent(size, 0))

    def zero(self, offset: int, length: int) -> None:
        """Make zeros of a range."""
        self._add(Code.ZERO, extent(offset, length))

    def remove(self) -> None:
        """Take the object away."""
        self._add(Code.DELETE)

    def set_xattr(self, name: Name, value: bytes) -> None:
        """Put an attribute."""
        key = to_bytes(name)
        self._add(Code.SETXATTR, _XATTR.pack(len(key), len(value), 0, 0), key + value)

    def remove_xattr(self, name: Name) -> None:
        """Take an attribute away."""
        key = to_bytes(name)
        self._add(Code.RMXATTR, _XATTR.pack(len(key), 0, 0, 0), key)

    def set_omap(self, items: Mapping[str, bytes] | Mapping[bytes, bytes]) -> None:
        """Put keys and values."""
        w = Writer()
        w.map({to_bytes(key): value for key, value in items.items()}, w.bytes, w.bytes)
        self._add(Code.OMAP_SET, NO_PARAMETERS, w.done())

    def remove_omap(self, keys: Iterable[Name]) -> None:
        """Take keys away."""
        self._add(Code.OMAP_REMOVE, NO_PARAMETERS, hashed_names(keys))

    def remove_omap_range(self, first: Name, end: Name) -> None:
        """Take away the keys from `first` on up to `end`, which stays."""
        w = Writer()
        w.bytes(to_bytes(first))
        w.bytes(to_bytes(end))
        self._add(Code.OMAP_REMOVE_RANGE, NO_PARAMETERS, w.done())

    def clear_omap(self) -> None:
        """Take away all keys, and the header."""
        self._add(Code.OMAP_CLEAR)

    def set_omap_header(self, data: bytes) -> None:
        """Put the omap's header."""
        self._add(Code.OMAP_SET_HEADER, NO_PARAMETERS, data)

    def rollback(self, snap: int) -> None:
        """Make the object what it was as of a snapshot."""
        self._add(Code.ROLLBACK, _NUMBER.pack(snap))

    def set_alloc_hint(self, object_size: int, write_size: int, flags: int = 0) -> None:
        """Say how large the object and its writes will be."""
        self._add(Code.ALLOC_HINT, _HINT.pack(object_size, write_size, flags))

    def copy_from(
        self, source: Name, locator: Locator, *, version: int = 0, snap: int = SNAP_HEAD
    ) -> None:
        """Make the object a copy of another, at this version of it if one is given."""
        w = Writer()
        w.bytes(to_bytes(source))
        write_locator(w, locator)
        self._add(Code.COPY_FROM, _COPY.pack(snap, version, 0, 0, 0), w.done())
