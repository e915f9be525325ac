# SPDX-License-Identifier: Apache-2.0
"""Structs of many fields as tables: one line per field serves reading and writing.

A `Kind` knows how one type lies on the wire. `since` is the version of the struct that brought the
field; of an older one it keeps its default. What a newer one has beyond the table is skipped.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from octostack.wire.ceph import addresses, objects
from octostack.wire.ceph.codec import Malformed, Reader, Writer

S = TypeVar("S", bound=msgspec.Struct)


class Kind(NamedTuple):
    """How values of one type are read and written; `bytes_min` bounds hostile counts."""

    read: Callable[[Reader], Any]
    write: Callable[[Writer, Any], None]
    bytes_min: int = 1


class Field(NamedTuple):
    """One field of a struct."""

    name: str
    kind: Kind
    since: int = 0


U8 = Kind(Reader.u8, Writer.u8)
U16 = Kind(Reader.u16, Writer.u16, 2)
U32 = Kind(Reader.u32, Writer.u32, 4)
S32 = Kind(Reader.s32, Writer.s32, 4)
U64 = Kind(Reader.u64, Writer.u64, 8)
S64 = Kind(Reader.s64, Writer.s64, 8)
F32 = Kind(Reader.f32, Writer.f32, 4)
BOOL = Kind(Reader.boolean, Writer.boolean)
STRING = Kind(Reader.string, Writer.string, 4)
BYTES = Kind(Reader.bytes, Writer.bytes, 4)
UTIME = Kind(Reader.utime, Writer.utime, 8)
UUID = Kind(Reader.uuid, Writer.uuid, 16)
PG = Kind(objects.read_pg, objects.write_pg, 17)
ADDRESS = Kind(addresses.read_address, addresses.write_address, 7)
ADDRESSES = Kind(addresses.read_addresses, addresses.write_addresses, 4)


def vector(item: Kind) -> Kind:
    """u32 count and items, as a tuple."""

    def read(r: Reader) -> tuple[Any, ...]:
        return tuple(item.read(r) for _ in range(r.count(item.bytes_min)))

    def write(w: Writer, values: Iterable[Any]) -> None:
        w.vector(values, lambda value: item.write(w, value))

    return Kind(read, write, 4)


def set_of(item: Kind) -> Kind:
    """u32 count and items in order, as a frozenset."""

    def read(r: Reader) -> frozenset[Any]:
        return frozenset(item.read(r) for _ in range(r.count(item.bytes_min)))

    def write(w: Writer, values: Iterable[Any]) -> None:
        w.vector(sorted(values), lambda value: item.write(w, value))

    return Kind(read, write, 4)


def mapping(key: Kind, value: Kind, order: Callable[[Any], Any] | None = None) -> Kind:
    """u32 count and pairs in the order of the keys, as a dict."""

    def read(r: Reader) -> dict[Any, Any]:
        count = r.count(key.bytes_min + value.bytes_min)
        return {key.read(r): value.read(r) for _ in range(count)}

    def write(w: Writer, values: dict[Any, Any]) -> None:
        w.u32(len(values))
        for k in sorted(values, key=order):
            key.write(w, k)
            value.write(w, values[k])

    return Kind(read, write, 4)


def pair(first: Kind, second: Kind) -> Kind:
    """Two values, one after the other."""

    def read(r: Reader) -> tuple[Any, Any]:
        return first.read(r), second.read(r)

    def write(w: Writer, values: tuple[Any, Any]) -> None:
        first.write(w, values[0])
        second.write(w, values[1])

    return Kind(read, write, first.bytes_min + second.bytes_min)


def zero(kind: Kind, value: int = 0) -> Kind:
    """A field that means nothing any more: written as it always was."""
    return Kind(kind.read, lambda w, _: kind.write(w, value), kind.bytes_min)


def constant(data: bytes) -> Kind:
    """Bytes that never differ."""

    def read(r: Reader) -> None:
        if (found := r.take(len(data))) != data:
            raise Malformed(f"{found.hex()} where {data.hex()} is wanted", r.position)

    return Kind(read, lambda w, _: w.raw(data), len(data))


def struct(kind: type[S], fields: tuple[Field, ...], version: int, compat: int) -> Kind:
    """A versioned struct, written as of `version`."""

    def read(r: Reader) -> S:
        with r.versioned(version) as found:
            return kind(**read_fields(r, found, fields))

    def write(w: Writer, value: S) -> None:
        with w.versioned(version, compat):
            write_fields(w, version, fields, value)

    return Kind(read, write, 6)


def _read_opaque(r: Reader) -> bytes:
    w = Writer()
    version, compat, body = r.u8(), r.u8(), r.view()
    w.u8(version)
    w.u8(compat)
    w.bytes(body)
    return w.done()


OPAQUE = Kind(_read_opaque, Writer.raw, 6)  # a versioned struct that we hand on as it is


def read_fields(r: Reader, version: int, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The values of a struct of that version, by name; an unnamed field is passed over."""
    values = {field.name: field.kind.read(r) for field in fields if field.since <= version}
    values.pop("", None)
    return values


def write_fields(w: Writer, version: int, fields: tuple[Field, ...], value: S) -> None:
    """The body of a struct of that version."""
    for field in fields:
        if field.since <= version:
            field.kind.write(w, getattr(value, field.name) if field.name else 0)


def _wire_order(address: addresses.Address) -> bytes:
    """C++ orders addresses by the memory they lie in: type, nonce, socket address."""
    w = Writer()
    addresses.write_address(w, address)
    return bytes(w.data[7:15] + w.data[19:])


def by_address(value: Kind) -> Kind:
    """A map of addresses in C++'s order."""
    return mapping(ADDRESS, value, _wire_order)
