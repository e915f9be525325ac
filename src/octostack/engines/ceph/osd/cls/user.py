# SPDX-License-Identifier: Apache-2.0
"""Class `user`: the buckets of a user of radosgw, each with its size, and their sums in the header.

An entry of the omap is a bucket; the omap's header has the sums of those that were counted.
(cls_user_types.h of 16.2)
"""

import errno

import msgspec

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import NANOS, U64_MAX, Malformed, Reader, Writer

LIST_MAX = 1000


class Entry(msgspec.Struct):
    """A bucket. `placement`: what tells where it is kept, as it came; its version says how."""

    name: bytes
    bucket: tuple[int, bytes, bytes, tuple[bytes, ...]]  # version, marker, id, placement
    size: int = 0
    size_rounded: int = 0
    created: int = 0
    count: int = 0
    counted: bool = False


class Header(msgspec.Struct):
    """Sums, when they were last made anew, and when last changed."""

    count: int = 0
    size: int = 0
    size_rounded: int = 0
    synced: int = 0
    updated: int = 0

    def add(self, entry: Entry, sign: int = 1) -> None:
        """Count a bucket in, or out."""
        self.count = (self.count + sign * entry.count) & U64_MAX
        self.size = (self.size + sign * entry.size) & U64_MAX
        self.size_rounded = (self.size_rounded + sign * entry.size_rounded) & U64_MAX


def _read_bucket(r: Reader) -> tuple[bytes, tuple[int, bytes, bytes, tuple[bytes, ...]]]:
    """Name, and the rest: {9,8: str name, marker, id, placement id}, or with pools
    {7,3: str name, data pool, marker, id, index pool, extra pool}."""
    with r.versioned(9) as version:
        if version < 7:
            raise Malformed(f"a bucket of version {version}")
        name = r.bytes()
        if version >= 8:
            return name, (9, r.bytes(), r.bytes(), (r.bytes(),))
        data, marker, number = r.bytes(), r.bytes(), r.bytes()
        return name, (7, marker, number, (data, r.bytes(), r.bytes()))


def _write_bucket(w: Writer, entry: Entry) -> None:
    version, marker, number, placement = entry.bucket
    with w.versioned(version, 8 if version == 9 else 3):
        w.bytes(entry.name)
        parts = (marker, number, *placement)
        if version < 8:
            parts = (placement[0], marker, number, *placement[1:])
        for part in parts:
            w.bytes(part)


def read_entry(r: Reader) -> Entry:
    """{9,5: str empty, u64 size, u32 time, u64 count, bucket, u64 rounded, u8 counted, time}."""
    with r.versioned(9) as version:
        if version < 7:
            raise Malformed(f"a bucket's entry of version {version}")
        r.bytes()
        size, _, count = r.u64(), r.u32(), r.u64()
        name, bucket = _read_bucket(r)
        rounded, counted, created = r.u64(), r.boolean(), r.utime()
        return Entry(name, bucket, size, rounded, created, count, counted)


def write_entry(w: Writer, entry: Entry) -> None:
    """The reverse."""
    with w.versioned(9, 5):
        w.bytes(b"")
        w.u64(entry.size)
        w.u32(entry.created // NANOS)
        w.u64(entry.count)
        _write_bucket(w, entry)
        w.u64(entry.size_rounded)
        w.boolean(entry.counted)
        w.utime(entry.created)


def read_header(r: Reader) -> Header:
    """{1,1: {1,1: u64 count, bytes, rounded}, time synced, time updated}."""
    with r.versioned(1):
        with r.versioned(1):
            sums = r.u64(), r.u64(), r.u64()
        return Header(*sums, r.utime(), r.utime())


def write_header(w: Writer, header: Header) -> None:
    """The reverse."""
    with w.versioned(1, 1):
        _write_sums(w, header)
        w.utime(header.synced)
        w.utime(header.updated)


def _write_sums(w: Writer, header: Header) -> None:
    with w.versioned(1, 1):
        for one in (header.count, header.size, header.size_rounded):
            w.u64(one)


def _load(ctx: OpContext) -> Header:
    """Raises OpError ENOENT for the object."""
    data = ctx.omap_header()
    return kept.decoded(read_header, data) if data else Header()


def _save(ctx: OpContext, header: Header) -> None:
    ctx.omap_set_header(kept.encoded(write_header, header))


@method("user", "set_buckets_info", writes=True)
def set_buckets_info(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: list<entry>, u8 whether new ones are taken, time}."""
    r = Reader(data)
    with r.versioned(1):
        given = r.vector(lambda: read_entry(r), 6)
        adds, now = r.boolean(), r.utime()
    header = _load(ctx)
    for update in given:
        require(update.name, errno.EINVAL)
        entry = kept.find(ctx, update.name, read_entry)
        if entry is None:
            if not adds:
                continue  # it was removed meanwhile
            entry = update
        elif adds:
            entry.bucket, entry.created = update.bucket, update.created
        if entry.counted:
            header.add(entry, -1)
        if not adds:
            entry.size, entry.size_rounded = update.size, update.size_rounded
            entry.count = update.count
        entry.counted = True
        kept.put(ctx, update.name, write_entry, entry)
        header.add(entry)
    header.updated = max(header.updated, now)
    _save(ctx, header)


@method("user", "complete_stats_sync", writes=True)
def complete_stats_sync(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: time} at which all were counted."""
    r = Reader(data)
    with r.versioned(1):
        now = r.utime()
    header = _load(ctx)
    header.synced = max(header.synced, now)
    _save(ctx, header)


@method("user", "remove_bucket", writes=True)
def remove_bucket(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: bucket}; it need not be there."""
    r = Reader(data)
    with r.versioned(1):
        name, _ = _read_bucket(r)
    header = _load(ctx)
    require(name, errno.EINVAL)
    entry = kept.find(ctx, name, read_entry)
    if entry is None:
        return
    kept.remove(ctx, name)
    if entry.counted:
        header.add(entry, -1)
        _save(ctx, header)


@method("user", "list_buckets")
def list_buckets(ctx: OpContext, data: bytes) -> bytes:
    """In: {2,1: str marker, s32 max, str end}. Out: {1,1: list<entry>, str marker, u8 more}."""
    r, w = Reader(data), Writer()
    with r.versioned(2) as version:
        after, limit = r.bytes(), r.s32()
        end = r.bytes() if version >= 2 else b""
    found, more = ctx.omap_after(after, LIST_MAX if limit < 0 else min(limit, LIST_MAX))
    marker = b""
    entries = []
    for key, value in found:
        marker = key
        if end and key >= end:
            more = False
            break
        entries.append(kept.decoded(read_entry, value))
    with w.versioned(1, 1):
        w.vector(entries, lambda entry: write_entry(w, entry))
        w.bytes(marker if more else b"")
        w.boolean(more)
    return w.done()


@method("user", "get_header")
def get_header(ctx: OpContext, data: bytes) -> bytes:
    """Out: {1,1: header}."""
    header, w = _load(ctx), Writer()
    with w.versioned(1, 1):
        write_header(w, header)
    return w.done()


@method("user", "reset_user_stats", writes=True)
def reset_user_stats(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: time}. Make the sums anew."""
    r = Reader(data)
    with r.versioned(1):
        header = Header(updated=r.utime())
    for _, value in kept.walk(ctx, b""):
        header.add(kept.decoded(read_entry, value))
    _save(ctx, header)


@method("user", "reset_user_stats2", writes=True)
def reset_user_stats_page(ctx: OpContext, data: bytes) -> bytes:
    """Make the sums anew, page by page. In: {1,1: time, str marker, sums so far}. Out: {1,1: str
    marker, sums, u8 more}; at the end they are the header's."""
    r, w = Reader(data), Writer()
    with r.versioned(1):
        now, marker = r.utime(), r.bytes()
        with r.versioned(1):
            pass  # a real class begins anew with each page, and so do we
        header = Header(updated=now)
    found, more = ctx.omap_after(marker, LIST_MAX)
    marker = found[-1][0] if found else b""
    for _, value in found:
        header.add(kept.decoded(read_entry, value))
    if not more:
        _save(ctx, header)
    with w.versioned(1, 1):
        w.bytes(marker)
        _write_sums(w, header)
        w.boolean(more)
    return w.done()
