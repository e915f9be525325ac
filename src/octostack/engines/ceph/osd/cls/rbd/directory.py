# SPDX-License-Identifier: Apache-2.0
"""The names and ids of a pool's images, each the key to the other; and the object that holds the
id of one image under its name."""

import errno

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_NAME, _ID, _STATE = b"name_", b"id_", b"state"
_READY, _CLOSED = 0, 1


def _is_id(text: bytes) -> bool:
    return text.isalnum()


def _add(ctx: OpContext, name: bytes, image: bytes, *, renamed: bool = False) -> None:
    require(name and _is_id(image), errno.EINVAL)
    require(kept.find(ctx, _NAME + name, Reader.bytes) is None, errno.EEXIST)
    known = kept.find(ctx, _ID + image, Reader.bytes)
    require(known is None or renamed, errno.EBADF)
    ctx.omap_set(
        {
            _NAME + name: kept.encoded(Writer.bytes, image),
            _ID + image: kept.encoded(Writer.bytes, name),
        }
    )


def _remove(ctx: OpContext, name: bytes, image: bytes) -> None:
    stored = kept.get(ctx, _NAME + name, Reader.bytes), kept.get(ctx, _ID + image, Reader.bytes)
    require(stored == (image, name), errno.ESTALE)
    kept.remove(ctx, _NAME + name, _ID + image)


@method("rbd", "dir_add_image", writes=True)
def dir_add_image(ctx: OpContext, data: bytes) -> None:
    """In: str name, str id. EEXIST for the name, EBADF for the id."""
    r = Reader(data)
    ctx.create()
    _add(ctx, r.bytes(), r.bytes())


@method("rbd", "dir_remove_image", writes=True)
def dir_remove_image(ctx: OpContext, data: bytes) -> None:
    """In: str name, str id. ESTALE when they are not of one image."""
    r = Reader(data)
    _remove(ctx, r.bytes(), r.bytes())


@method("rbd", "dir_rename_image", writes=True)
def dir_rename_image(ctx: OpContext, data: bytes) -> None:
    """In: str old name, str new name, str id."""
    r = Reader(data)
    old, new, image = r.bytes(), r.bytes(), r.bytes()
    _remove(ctx, old, image)
    _add(ctx, new, image, renamed=True)


@method("rbd", "dir_get_id")
def dir_get_id(ctx: OpContext, data: bytes) -> bytes:
    """In: str name. Out: str id."""
    name = Reader(data).bytes()
    return kept.encoded(Writer.bytes, kept.get(ctx, _NAME + name, Reader.bytes))


@method("rbd", "dir_get_name")
def dir_get_name(ctx: OpContext, data: bytes) -> bytes:
    """In: str id. Out: str name."""
    image = Reader(data).bytes()
    return kept.encoded(Writer.bytes, kept.get(ctx, _ID + image, Reader.bytes))


@method("rbd", "dir_list")
def dir_list(ctx: OpContext, data: bytes) -> bytes:
    """In: str name to begin behind, u64 max. Out: map<str name, str id>."""
    r, w = Reader(data), Writer()
    w.map(kept.page(ctx, _NAME, r.bytes(), r.u64()), w.bytes, w.raw)  # as they are kept
    return w.done()


@method("rbd", "dir_state_assert")
def dir_state_assert(ctx: OpContext, data: bytes) -> None:
    """In: u8 state. ENOENT when it is another, or none."""
    require(Reader(data).u8() == kept.get(ctx, _STATE, Reader.u8), errno.ENOENT)


@method("rbd", "dir_state_set", writes=True)
def dir_state_set(ctx: OpContext, data: bytes) -> None:
    """In: u8 state: ready, or closed for new images, which it may be while there are none."""
    state = Reader(data).u8()
    require(state in (_READY, _CLOSED), errno.EINVAL)
    if state == _CLOSED:
        require(not any(True for _ in kept.walk(ctx, _NAME)), errno.EBUSY)
    kept.put(ctx, _STATE, Writer.u8, state)


@method("rbd", "get_id")
def get_id(ctx: OpContext, data: bytes) -> bytes:
    """Out: str id that the object holds."""
    ctx.require_exists()
    require(ctx.size, errno.ENOENT)
    return kept.encoded(Writer.bytes, kept.decoded(Reader.bytes, ctx.read()))


@method("rbd", "set_id", writes=True)
def set_id(ctx: OpContext, data: bytes) -> None:
    """In: str id. The object must be there, and hold none."""
    ctx.require_exists()
    image = Reader(data).bytes()
    require(_is_id(image), errno.EINVAL)
    require(not ctx.size, errno.EEXIST)
    ctx.write(0, kept.encoded(Writer.bytes, image))
