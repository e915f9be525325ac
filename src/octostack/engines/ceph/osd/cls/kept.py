# SPDX-License-Identifier: Apache-2.0
"""What classes keep in an object's omap: one encoded value under each key.

Reads see the object as it was when the request began, as all of a class does; a value that cannot
be read is EIO, as in real classes.
"""

import errno
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError
from octostack.wire.ceph.codec import Malformed, Reader, Writer

T = TypeVar("T")
_PAGE = 64


def encoded(put: Callable[[Writer, T], None], value: T) -> bytes:
    """The bytes of a value: ``encoded(Writer.u64, 3)``."""
    w = Writer()
    put(w, value)
    return w.done()


def decoded(take: Callable[[Reader], T], data: bytes) -> T:
    """The value of bytes that we have kept. Raises OpError EIO."""
    try:
        return take(Reader(data))
    except Malformed as error:
        raise OpError(errno.EIO) from error


def find(ctx: OpContext, key: bytes, take: Callable[[Reader], T]) -> T | None:
    """The value of a key; None when it is not there, nor the object."""
    if not ctx.exists:
        return None
    data = ctx.omap_get((key,)).get(key)
    return None if data is None else decoded(take, data)


def get(ctx: OpContext, key: bytes, take: Callable[[Reader], T]) -> T:
    """The value of a key. Raises OpError ENOENT."""
    return decoded(take, ctx.omap_value(key))


def put(ctx: OpContext, key: bytes, how: Callable[[Writer, T], None], value: T) -> None:
    """Keep a value."""
    ctx.omap_set({key: encoded(how, value)})


def remove(ctx: OpContext, *keys: bytes) -> None:
    """Take keys away; they need not be there."""
    ctx.omap_remove(list(keys))


def walk(ctx: OpContext, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """What stands behind the key `prefix` + `after` and begins with `prefix`: the rest of each
    key, and its value. Raises OpError ENOENT for the object."""
    ctx.require_exists()
    last, more = prefix + after, True
    while more:
        found, more = ctx.omap_after(last, _PAGE, prefix)
        for key, value in found:
            last = key
            yield key[len(prefix) :], value


def page(ctx: OpContext, prefix: bytes, after: bytes, limit: int) -> dict[bytes, bytes]:
    """The first `limit` of those."""
    return dict(islice(walk(ctx, prefix, after), limit))
