# SPDX-License-Identifier: Apache-2.0
"""Operations on an object's ordered map."""

import errno

from octostack.engines.ceph.osd.ops.attrs import COMPARISONS
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Reader, Writer

ENTRIES_MAX = 1024  # of one answer
_EQUAL, _GREATER, _LESS = 1, 3, 5


def keys(ctx: OpContext, op: Op) -> bytes:
    """In: str after, u64 max. Out: vec<str>, u8 whether there are more."""
    r, w = Reader(op.payload), Writer()
    found, more = ctx.omap_after(r.bytes(), min(r.u64(), ENTRIES_MAX))
    w.vector((key for key, _ in found), w.bytes)
    w.boolean(more)
    return w.done()


def values(ctx: OpContext, op: Op) -> bytes:
    """In: str after, u64 max, str prefix. Out: map<str, str>, u8 whether there are more."""
    r, w = Reader(op.payload), Writer()
    after, limit = r.bytes(), min(r.u64(), ENTRIES_MAX)
    found, more = ctx.omap_after(after, limit, r.bytes())
    w.map(dict(found), w.bytes, w.bytes)
    w.boolean(more)
    return w.done()


def header(ctx: OpContext, op: Op) -> bytes:
    """The header as it is."""
    return ctx.omap_header()


def by_keys(ctx: OpContext, op: Op) -> bytes:
    """In: set<str>. Out: map<str, str> of those that are there."""
    r, w = Reader(op.payload), Writer()
    w.map(ctx.omap_get(r.vector(r.bytes, 4)), w.bytes, w.bytes)
    return w.done()


def compare(ctx: OpContext, op: Op) -> int:
    """In: map<str, (str value, s32 relation)>: what is there stands in the relation to it."""
    r = Reader(op.payload)
    wanted = r.map(r.bytes, lambda: (r.bytes(), r.s32()), 12)
    there = ctx.omap_get(wanted)
    for key, (value, relation) in wanted.items():
        if relation not in (_EQUAL, _GREATER, _LESS):
            raise OpError(errno.EINVAL)
        require(COMPARISONS[relation](there.get(key, b""), value), errno.ECANCELED)
    return 0


def set_values(ctx: OpContext, op: Op) -> None:
    """In: map<str, str>."""
    r = Reader(op.payload)
    ctx.omap_set(r.map(r.bytes, r.bytes, 8))


def set_header(ctx: OpContext, op: Op) -> None:
    """In: the header as it is."""
    ctx.omap_set_header(bytes(op.payload))


def clear(ctx: OpContext, op: Op) -> None:
    """Take all and the header."""
    ctx.omap_clear()


def remove(ctx: OpContext, op: Op) -> None:
    """In: set<str>."""
    r = Reader(op.payload)
    ctx.omap_remove(r.vector(r.bytes, 4))


def remove_range(ctx: OpContext, op: Op) -> None:
    """In: str first, str last; `last` itself stays."""
    r = Reader(op.payload)
    ctx.omap_remove_range(r.bytes(), r.bytes())
