# SPDX-License-Identifier: Apache-2.0
"""Words that users keep with an image, or with a pool."""

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.wire.ceph.codec import Reader, Writer

_PREFIX = b"metadata_"
_PAGE = 64


@method("rbd", "metadata_list")
def metadata_list(ctx: OpContext, data: bytes) -> bytes:
    """In: str key to begin behind, u64 max (0: 64). Out: map<str, str>."""
    r, w = Reader(data), Writer()
    w.map(kept.page(ctx, _PREFIX, r.bytes(), r.u64() or _PAGE), w.bytes, w.bytes)
    return w.done()


@method("rbd", "metadata_set", writes=True)
def metadata_set(ctx: OpContext, data: bytes) -> None:
    """In: map<str, str>."""
    r = Reader(data)
    ctx.omap_set({_PREFIX + key: value for key, value in r.map(r.bytes, r.bytes, 8).items()})


@method("rbd", "metadata_remove", writes=True)
def metadata_remove(ctx: OpContext, data: bytes) -> None:
    """In: str key; it need not be there."""
    kept.remove(ctx, _PREFIX + Reader(data).bytes())


@method("rbd", "metadata_get")
def metadata_get(ctx: OpContext, data: bytes) -> bytes:
    """In: str key. Out: str value."""
    return kept.encoded(Writer.bytes, ctx.omap_value(_PREFIX + Reader(data).bytes()))
