# SPDX-License-Identifier: Apache-2.0
"""Copying an object from another one, which may live in another group or on another OSD.

The vector stops with `NeedsSource`; the group has the source fetched and runs it anew, with what
was fetched in `OpContext.sources`.
"""

import errno
import struct

import msgspec

from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.objects import Locator, read_locator

_COPY_FROM = struct.Struct("<QQB")


class Source(msgspec.Struct, frozen=True):
    """Which object, as of which snapshot."""

    name: bytes
    locator: Locator
    snap: int


class Fetched(msgspec.Struct, frozen=True):
    """A whole object; `failure` is an errno when it could not be had."""

    data: bytes = b""
    attrs: dict[bytes, bytes] = {}
    omap: dict[bytes, bytes] = {}
    header: bytes = b""
    version: int = 0
    failure: int = 0


class NeedsSource(Exception):
    """The vector cannot go on without this object."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.source = source


def copy_from(ctx: OpContext, op: Op) -> None:
    """In: str name, locator. Raises OpError ERANGE, EOVERFLOW when its version is another."""
    snap, version, _ = _COPY_FROM.unpack_from(op.parameters)
    r = Reader(op.payload)
    source = Source(r.bytes(), read_locator(r), snap)
    fetched = ctx.sources.get(source)
    if fetched is None:
        raise NeedsSource(source)
    require(not fetched.failure, fetched.failure)
    require(not version or version >= fetched.version, errno.ERANGE)
    require(not version or version <= fetched.version, errno.EOVERFLOW)
    if ctx.exists:
        ctx.remove()
    ctx.write(0, fetched.data)
    for name, value in fetched.attrs.items():
        ctx.set_attr(name, value)
    if fetched.omap:
        ctx.omap_set(fetched.omap)
    if fetched.header:
        ctx.omap_set_header(fetched.header)


def export(ctx: OpContext) -> Fetched:
    """The object as it is, for a copy of it. Raises OpError ENOENT."""
    data = ctx.read()
    omap = dict(ctx.omap_list(b"", 1 << 30)) if ctx.place.omap else {}
    header = ctx.omap_header() if ctx.place.omap else b""
    return Fetched(data, ctx.attrs(), omap, header, ctx.info.user_version)
