# SPDX-License-Identifier: Apache-2.0
"""Methods of the objects that hold an image's bytes."""

import errno

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader


@method("rbd", "copyup", writes=True)
def copyup(ctx: OpContext, data: bytes) -> None:
    """In: what the parent has. An object that is there stays as it is."""
    if not ctx.exists:
        ctx.write(0, data)


@method("rbd", "sparse_copyup", writes=True)
def sparse_copyup(ctx: OpContext, data: bytes) -> None:
    """In: map<u64 offset, u64 length>, str bytes of these. An object that is there stays."""
    r = Reader(data)
    spans, body = r.map(r.u64, r.u64, 16), r.view()
    if ctx.exists:
        return
    require(sum(spans.values()) <= len(body), errno.EINVAL)
    ctx.create()
    at = 0
    for offset, length in sorted(spans.items()):
        ctx.write(offset, bytes(body[at : at + length]))
        at += length


@method("rbd", "sparsify", writes=True)
def sparsify(ctx: OpContext, data: bytes) -> None:
    """In: u64 unit, u8 whether an object of zeros goes. Zeros become holes, or the end."""
    r = Reader(data)
    unit, remove_empty = r.u64(), r.boolean()
    require(unit, errno.EINVAL)
    ctx.require_exists()
    body = ctx.read()
    end = len(body.rstrip(b"\0"))
    if not end and remove_empty:
        ctx.remove()
        return
    for at in range(0, end, unit):
        piece = body[at : at + unit]
        if not piece.strip(b"\0"):
            ctx.zero(at, len(piece))
    end = min(len(body), -(-end // unit) * unit)
    if end < ctx.size:
        ctx.truncate(end)
