# SPDX-License-Identifier: Apache-2.0
"""Class `refcount`: who needs the object; it goes with the last of them.

An object that nobody ever counted may be held by one reference that has no name ("implicit").
A reference that was given up is remembered, so that giving it up twice is no mistake.
"""

import errno

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_ATTR = b"refcount"
_WILDCARD = b""


def _load(ctx: OpContext, implicit: bool) -> tuple[set[bytes], set[bytes]]:
    """The references, and those given up."""
    data = ctx.find_attr(_ATTR)
    if data is None:
        return ({_WILDCARD} if implicit else set()), set()
    r = Reader(data)
    with r.versioned(2) as version:
        held = {name for name, there in r.map(r.bytes, r.boolean).items() if there}
        return held, set(r.vector(r.bytes)) if version >= 2 else set()


def _save(ctx: OpContext, held: set[bytes], retired: set[bytes]) -> None:
    w = Writer()
    with w.versioned(2, 1):
        w.map(dict.fromkeys(held, True), w.bytes, w.boolean)
        w.vector(sorted(retired), w.bytes)
    ctx.set_attr(_ATTR, w.done())


@method("refcount", "get", writes=True)
def get(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str tag, u8 implicit}."""
    r = Reader(data)
    with r.versioned(1):
        tag, implicit = r.bytes(), r.boolean()
    held, retired = _load(ctx, implicit)
    _save(ctx, held | {tag}, retired)


@method("refcount", "put", writes=True)
def put(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str tag, u8 implicit}."""
    r = Reader(data)
    with r.versioned(1):
        tag, implicit = r.bytes(), r.boolean()
    held, retired = _load(ctx, implicit)
    require(held, errno.EINVAL)
    one = tag if tag in held else _WILDCARD
    if one not in held or (one == _WILDCARD != tag and not implicit) or tag in retired:
        return
    held.remove(one)
    if held:
        _save(ctx, held, retired | {tag})
    else:
        ctx.remove()


@method("refcount", "set", writes=True)
def set_all(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: vec<str>}; none at all removes the object."""
    r = Reader(data)
    with r.versioned(1):
        held = set(r.vector(r.bytes))
    if held:
        _save(ctx, held, set())
    else:
        ctx.remove()


@method("refcount", "read")
def read(ctx: OpContext, data: bytes) -> bytes:
    """In: {1,1: u8 implicit}. Out: {1,1: vec<str>}."""
    r, w = Reader(data), Writer()
    with r.versioned(1):
        implicit = r.boolean()
    with w.versioned(1, 1):
        w.vector(sorted(_load(ctx, implicit)[0]), w.bytes)
    return w.done()
