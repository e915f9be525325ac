# SPDX-License-Identifier: Apache-2.0
"""Mirroring, as far as clients ask whether there is any: the pool's mode and its mirrored images.

An image's record is {1+,1: str global id, u8 state, ...} and kept as it came.
"""

import errno

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_UUID, _MODE, _IMAGE, _GLOBAL = b"mirror_uuid", b"mirror_mode", b"image_", b"global_"
_PEER = b"mirror_peer_"
_DISABLED, _POOL = 0, 2
_DISABLING = 0


def _read_image(r: Reader) -> tuple[bytes, int]:
    """The global id, the state."""
    with r.versioned():
        return r.bytes(), r.u8()


@method("rbd", "mirror_uuid_get")
def mirror_uuid_get(ctx: OpContext, data: bytes) -> bytes:
    """Out: str."""
    return kept.encoded(Writer.bytes, ctx.omap_value(_UUID))


@method("rbd", "mirror_uuid_set", writes=True)
def mirror_uuid_set(ctx: OpContext, data: bytes) -> None:
    """In: str. EINVAL while mirroring is on."""
    uuid = Reader(data).bytes()
    require(uuid, errno.EINVAL)
    require(not kept.find(ctx, _MODE, Reader.u32), errno.EINVAL)
    ctx.omap_set({_UUID: uuid})


@method("rbd", "mirror_mode_get")
def mirror_mode_get(ctx: OpContext, data: bytes) -> bytes:
    """Out: u32; ENOENT where it was never set."""
    return kept.encoded(Writer.u32, kept.get(ctx, _MODE, Reader.u32))


@method("rbd", "mirror_mode_set", writes=True)
def mirror_mode_set(ctx: OpContext, data: bytes) -> None:
    """In: u32: off, by image, the whole pool. It needs a uuid, and goes off without images."""
    mode = Reader(data).u32()
    require(mode <= _POOL, errno.EINVAL)
    if mode != _DISABLED:
        require(ctx.exists and ctx.omap_get((_UUID,)), errno.EINVAL)
        kept.put(ctx, _MODE, Writer.u32, mode)
        return
    ctx.require_exists()
    require(not any(True for _ in kept.walk(ctx, _PEER)), errno.EBUSY)
    kept.remove(ctx, _MODE, _UUID)


@method("rbd", "mirror_peer_list")
def mirror_peer_list(ctx: OpContext, data: bytes) -> bytes:
    """Out: vec<peer>."""
    w = Writer()
    w.vector((peer for _, peer in kept.walk(ctx, _PEER)), w.raw)
    return w.done()


@method("rbd", "mirror_image_list")
def mirror_image_list(ctx: OpContext, data: bytes) -> bytes:
    """In: str id to begin behind, u64 max. Out: map<str id, str global id>."""
    r, w = Reader(data), Writer()
    found = kept.page(ctx, _IMAGE, r.bytes(), r.u64())
    names = {image: kept.decoded(_read_image, record)[0] for image, record in found.items()}
    w.map(names, w.bytes, w.bytes)
    return w.done()


@method("rbd", "mirror_image_get")
def mirror_image_get(ctx: OpContext, data: bytes) -> bytes:
    """In: str id. Out: its record."""
    return ctx.omap_value(_IMAGE + Reader(data).bytes())


@method("rbd", "mirror_image_get_image_id")
def mirror_image_get_image_id(ctx: OpContext, data: bytes) -> bytes:
    """In: str global id. Out: str id."""
    key = _GLOBAL + Reader(data).bytes()
    return kept.encoded(Writer.bytes, kept.get(ctx, key, Reader.bytes))


@method("rbd", "mirror_image_set", writes=True)
def mirror_image_set(ctx: OpContext, data: bytes) -> None:
    """In: str id, a record. The global id must be new, and stays."""
    r = Reader(data)
    image, record = r.bytes(), bytes(r.rest())
    global_id, state = _read_image(Reader(record))
    known = kept.find(ctx, _IMAGE + image, _read_image)
    if known is None:
        taken = kept.find(ctx, _GLOBAL + global_id, Reader.bytes)
        require(taken is None, errno.EEXIST)
        require(state != _DISABLING, errno.ENOENT)
    else:
        require(known[0] == global_id, errno.EINVAL)
    name = kept.encoded(Writer.bytes, image)
    ctx.omap_set({_IMAGE + image: record, _GLOBAL + global_id: name})


@method("rbd", "mirror_image_remove", writes=True)
def mirror_image_remove(ctx: OpContext, data: bytes) -> None:
    """In: str id. EBUSY unless it is on its way out."""
    key = _IMAGE + Reader(data).bytes()
    global_id, state = kept.get(ctx, key, _read_image)
    require(state == _DISABLING, errno.EBUSY)
    kept.remove(ctx, key, _GLOBAL + global_id)
