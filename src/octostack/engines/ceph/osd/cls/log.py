# SPDX-License-Identifier: Apache-2.0
"""Class `log`: entries in the order of time, in the omap; its header knows the newest."""

import errno

import msgspec

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.cls.timeindex import PREFIX, reaches, time_key
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

ENTRIES_MAX = 1000


class Entry(msgspec.Struct, frozen=True):
    """What was logged, of which section and name."""

    section: bytes
    name: bytes
    time: int
    data: bytes
    id: bytes


def _read(r: Reader) -> Entry:
    with r.versioned(2) as version:
        parts = (r.bytes(), r.bytes(), r.utime(), r.bytes())
        return Entry(*parts, r.bytes() if version >= 2 else b"")


def _write(w: Writer, entry: Entry) -> None:
    with w.versioned(2, 1):
        w.bytes(entry.section)
        w.bytes(entry.name)
        w.utime(entry.time)
        w.bytes(entry.data)
        w.bytes(entry.id)


def _header(ctx: OpContext) -> tuple[bytes, int]:
    """The marker and the time of the newest entry."""
    data = ctx.omap_header() if ctx.exists else b""
    if not data:
        return b"", 0
    r = Reader(data)
    with r.versioned(1):
        return r.bytes(), r.utime()


def _encode_header(marker: bytes, time: int) -> bytes:
    w = Writer()
    with w.versioned(1, 1):
        w.bytes(marker)
        w.utime(time)
    return w.done()


@method("log", "add", writes=True)
def add(ctx: OpContext, data: bytes) -> None:
    """In: {2,1: vec<entry>, u8 whether time must not go back}."""
    r = Reader(data)
    with r.versioned(2) as version:
        entries = r.vector(lambda: _read(r), 6)
        monotonic = version >= 2 and r.boolean()
    marker, newest = _header(ctx)
    put: dict[bytes, bytes] = {}
    for number, entry in enumerate(entries):
        time = max(entry.time, newest) if monotonic else entry.time
        key = entry.id or time_key(time) + b"%d.%d" % (ctx.next_user_version, number)
        w = Writer()
        _write(w, msgspec.structs.replace(entry, time=time, id=key))
        put[key] = w.done()
        newest, marker = max(newest, time), max(marker, key)
    ctx.omap_set(put)
    ctx.omap_set_header(_encode_header(marker, newest))


@method("log", "list")
def list_entries(ctx: OpContext, data: bytes) -> bytes:
    """In: {1,1: utime from, str marker, utime to, s32 max}. Out: {1,1: vec, str at, u8 more}."""
    r, w = Reader(data), Writer()
    with r.versioned(1):
        start, marker, end, limit = r.utime(), r.bytes(), r.utime(), r.s32()
    bound = time_key(end) if start and end and end >= start else b""
    limit = min(limit, ENTRIES_MAX) if limit > 0 else ENTRIES_MAX
    found, more = ctx.omap_after(marker or time_key(start), limit, PREFIX)
    kept = [pair for pair in found if not bound or not reaches(pair[0], bound)]
    with w.versioned(1, 1):
        w.u32(len(kept))
        for key, value in kept:
            _write(w, msgspec.structs.replace(_read(Reader(value)), id=key))
        last = found[min(len(kept), len(found) - 1)][0] if found else b""
        w.bytes(last)
        w.boolean(more and len(kept) == len(found))
    return w.done()


@method("log", "trim", writes=True)
def trim(ctx: OpContext, data: bytes) -> None:
    """In: {2,1: utime from, utime to, str from, str to}. Raises OpError ENODATA at the end."""
    r = Reader(data)
    with r.versioned(2) as version:
        start, end = r.utime(), r.utime()
        first, last = (r.bytes(), r.bytes()) if version >= 2 else (b"", b"")
    bound = last or time_key(end)
    found, _ = ctx.omap_after(first or time_key(start), ENTRIES_MAX, PREFIX)
    gone = [key for key, _ in found if key[: len(bound)] <= bound]
    require(gone, errno.ENODATA)
    ctx.omap_remove(gone)


@method("log", "info")
def info(ctx: OpContext, data: bytes) -> bytes:
    """Out: {1,1: {1,1: str newest marker, utime newest time}}."""
    ctx.require_exists()
    w = Writer()
    with w.versioned(1, 1):
        w.raw(_encode_header(*_header(ctx)))
    return w.done()
