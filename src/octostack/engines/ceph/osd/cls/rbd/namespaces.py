# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a pool that have images."""

import errno

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_PREFIX = b"name_"


def _is_there(ctx: OpContext, name: bytes) -> bool:
    return ctx.exists and bool(ctx.omap_get((_PREFIX + name,)))


@method("rbd", "namespace_add", writes=True)
def namespace_add(ctx: OpContext, data: bytes) -> None:
    """In: str name."""
    name = Reader(data).bytes()
    require(not _is_there(ctx, name), errno.EEXIST)
    ctx.omap_set({_PREFIX + name: b""})


@method("rbd", "namespace_remove", writes=True)
def namespace_remove(ctx: OpContext, data: bytes) -> None:
    """In: str name."""
    name = Reader(data).bytes()
    require(_is_there(ctx, name), errno.ENOENT)
    kept.remove(ctx, _PREFIX + name)


@method("rbd", "namespace_list")
def namespace_list(ctx: OpContext, data: bytes) -> bytes:
    """In: str name to begin behind, u64 max. Out: list<str>."""
    r, w = Reader(data), Writer()
    w.vector(kept.page(ctx, _PREFIX, r.bytes(), r.u64()), w.bytes)
    return w.done()
