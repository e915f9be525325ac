# SPDX-License-Identifier: Apache-2.0
"""What operations put out, as values, and how the bytes are taken apart."""

import struct
from typing import Final

import msgspec

from octostack.wire.ceph.addresses import Address, read_address
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import NANOS, Malformed, Reader
from octostack.wire.ceph.objects import SNAP_HEAD, HObject, read_hobject

_STAT = struct.Struct("<QII")
Name = str | bytes


class Stat(msgspec.Struct, frozen=True):
    """An object's size, and when it was last written (nanoseconds since the epoch)."""

    size: int
    mtime_ns: int


class Extents(msgspec.Struct, frozen=True):
    """What of a range is no hole: offset to bytes."""

    parts: dict[int, bytes]

    def fill(self, offset: int, length: int) -> bytes:
        """The range with its holes as zeros."""
        whole = bytearray(length)
        for at, data in self.parts.items():
            whole[at - offset : at - offset + len(data)] = data
        return bytes(whole)


class OmapPage(msgspec.Struct, frozen=True):
    """Keys with their values, in order, and whether there are more behind the last."""

    values: dict[str, bytes]
    more: bool


class KeysPage(msgspec.Struct, frozen=True):
    """Keys in order, and whether there are more behind the last."""

    keys: list[str]
    more: bool


class Watcher(msgspec.Struct, frozen=True):
    """Who watches an object, and after how long unheard it is given up."""

    client: int
    cookie: int
    timeout_s: int
    address: Address


class Clone(msgspec.Struct, frozen=True):
    """A state of an object: which snapshots show it, and what it shares with the next newer one."""

    id: int  # SNAP_HEAD: the object as it is
    snaps: tuple[int, ...]
    overlap: tuple[tuple[int, int], ...]  # offset, length
    size: int

    @property
    def is_head(self) -> bool:
        return self.id == SNAP_HEAD


class SnapSet(msgspec.Struct, frozen=True):
    """All states of an object, oldest first, and the newest snapshot it has seen."""

    clones: tuple[Clone, ...]
    seq: int


class Listed(msgspec.Struct, frozen=True):
    """An object in a listing."""

    name: str
    namespace: str = ""
    locator: str = ""


class ListPage(msgspec.Struct, frozen=True):
    """What a group had to list from a cursor on, and where to go on."""

    objects: list[tuple[bytes, bytes, bytes]]  # namespace, name, locator key
    cursor: HObject


def to_bytes(name: Name) -> bytes:
    """A name as it goes over the wire."""
    return name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name


def to_text(name: bytes) -> str:
    """A name as people read it; what is not UTF-8 survives a round trip."""
    return name.decode("utf-8", "surrogateescape")


def nothing(_output: Buffer) -> None:
    """For operations that put nothing out."""


def data(output: Buffer) -> bytes:
    """Bytes as they are."""
    return bytes(output)


def read_stat(output: Buffer) -> Stat:
    """u64 size, utime."""
    if len(output) < _STAT.size:
        raise Malformed(f"a stat of {len(output)} bytes")
    size, seconds, nanos = _STAT.unpack_from(output)
    return Stat(size, seconds * NANOS + nanos)


def read_extents(output: Buffer) -> Extents:
    """map<u64 offset, u64 length>, and the bytes one after the other."""
    r = Reader(output)
    spans = r.map(r.u64, r.u64, 16)
    body = r.view()
    if sum(spans.values()) > len(body):
        raise Malformed("extents longer than their bytes")
    parts, at = {}, 0
    for offset, length in spans.items():
        parts[offset] = bytes(body[at : at + length])
        at += length
    return Extents(parts)


def read_extent_map(output: Buffer) -> dict[int, int]:
    """map<u64 offset, u64 length>."""
    r = Reader(output)
    return r.map(r.u64, r.u64, 16)


def read_strings(output: Buffer) -> dict[str, bytes]:
    """map<str, bytes>."""
    r = Reader(output)
    return r.map(r.string, r.bytes, 8)


def read_omap(output: Buffer) -> OmapPage:
    """map<str, bytes>, u8 whether there are more."""
    r = Reader(output)
    return OmapPage(r.map(r.string, r.bytes, 8), r.boolean())


def read_keys(output: Buffer) -> KeysPage:
    """vec<str>, u8 whether there are more."""
    r = Reader(output)
    return KeysPage(r.vector(r.string, 4), r.boolean())


def read_watchers(output: Buffer) -> list[Watcher]:
    """{1,1: vec<{2,1: entity, u64 cookie, u32 timeout, entity_addr}>}."""
    r = Reader(output)

    def one() -> Watcher:
        with r.versioned(2) as version:
            r.u8()
            client, cookie, timeout = r.s64(), r.u64(), r.u32()
            return Watcher(client, cookie, timeout, read_address(r) if version >= 2 else Address())

    with r.versioned(1):
        return r.vector(one, 27)


def read_snaps(output: Buffer) -> SnapSet:
    """{2,1: vec<{1,1: u64 id, vec<u64> snaps, vec<(u64, u64)> overlap, u64 size}>, u64 seq}."""
    r = Reader(output)

    def one() -> Clone:
        with r.versioned(1):
            number, snaps = r.u64(), tuple(r.numbers("Q"))
            overlap = tuple(r.vector(lambda: (r.u64(), r.u64()), 16))
            return Clone(number, snaps, overlap, r.u64())

    with r.versioned(2) as version:
        clones = tuple(r.vector(one, 30))
        return SnapSet(clones, r.u64() if version >= 2 else 0)


def read_checksums(output: Buffer) -> list[int]:
    """vec<u32>."""
    return Reader(output).numbers("I")


def read_list(output: Buffer) -> ListPage:
    """{1,1: hobject next, vec<(str namespace, str name, str locator)>}."""
    r = Reader(output)
    with r.versioned(1):
        cursor = read_hobject(r)
        return ListPage(r.vector(lambda: (r.bytes(), r.bytes(), r.bytes()), 12), cursor)


NOTIFY_ID: Final = struct.Struct("<Q")


def read_notify_id(output: Buffer) -> int:
    """u64."""
    if len(output) < NOTIFY_ID.size:
        raise Malformed("a notify without a number")
    number: int = NOTIFY_ID.unpack_from(output)[0]
    return number
