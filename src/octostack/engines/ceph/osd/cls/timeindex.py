# SPDX-License-Identifier: Apache-2.0
"""Class `timeindex`: values in the order of time, each with a name, in the omap."""

import errno
import re

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import NANOS, Reader, Writer

PREFIX = b"1_"
ENTRIES_MAX = 1000
_KEY = re.compile(rb"1_(\d+)\.(\d+)_(\S{1,255})")


def time_key(nanos: int) -> bytes:
    """What keys of this time begin with."""
    seconds, rest = divmod(nanos, NANOS)
    return PREFIX + b"%010d.%06d_" % (seconds, rest // 1000)


def reaches(key: bytes, bound: bytes) -> bool:
    """Whether `key`, no longer than it is compared, is not before `bound`."""
    return key[: len(bound)] >= bound


@method("timeindex", "add", writes=True)
def add(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: vec<{1,1: utime, str name, str value}>}."""
    r = Reader(data)

    def entry() -> tuple[bytes, bytes]:
        with r.versioned(1):
            return time_key(r.utime()) + r.bytes(), r.bytes()

    with r.versioned(1):
        ctx.omap_set(dict(r.vector(entry, 6)))


@method("timeindex", "list")
def list_entries(ctx: OpContext, data: bytes) -> bytes:
    """In: {1,1: utime from, str marker, utime to, s32 max}. Out: {1,1: vec, str at, u8 more}."""
    r, w = Reader(data), Writer()
    with r.versioned(1):
        start, marker, end, limit = r.utime(), r.bytes(), r.utime(), r.s32()
    bound = time_key(end) if end >= start else b""
    found, more = ctx.omap_after(marker or time_key(start), min(limit, ENTRIES_MAX), PREFIX)
    kept = [pair for pair in found if not bound or not reaches(pair[0], bound)]
    with w.versioned(1, 1):
        w.u32(len(kept))
        for key, value in kept:
            parsed = _KEY.fullmatch(key)
            seconds, micros, name = parsed.groups() if parsed else (b"0", b"0", b"")
            with w.versioned(1, 1):
                w.utime(int(seconds) * NANOS + int(micros))  # as a real OSD has it: not scaled
                w.bytes(name)
                w.bytes(value)
        ended = found[len(kept)][0] if len(kept) < len(found) else b""
        w.bytes(ended or (found[-1][0] if found else b""))
        w.boolean(more and not ended)
    return w.done()


@method("timeindex", "trim", writes=True)
def trim(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: utime from, utime to, str from, str to}. Raises OpError ENODATA at the end."""
    r = Reader(data)
    with r.versioned(1):
        start, end, first, last = r.utime(), r.utime(), r.bytes(), r.bytes()
    bound = last or time_key(end)
    found, _ = ctx.omap_after(first or time_key(start), ENTRIES_MAX, PREFIX)
    gone = [key for key, _ in found if key[: len(bound)] <= bound]
    require(gone, errno.ENODATA)
    ctx.omap_remove(gone)
