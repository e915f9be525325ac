# SPDX-License-Identifier: Apache-2.0
"""What an image knows of the group it is in: {1,1: s64 pool, str id}."""

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.wire.ceph.codec import Writer

_KEY = b"rbd_group_ref"


@method("rbd", "image_group_get")
def image_group_get(ctx: OpContext, data: bytes) -> bytes:
    """Out: the group, or that of no pool and no name."""
    found = ctx.omap_get((_KEY,)).get(_KEY) if ctx.exists else None
    if found is not None:
        return found
    w = Writer()
    with w.versioned(1, 1):
        w.s64(-1)
        w.bytes(b"")
    return w.done()
