# SPDX-License-Identifier: Apache-2.0
"""Class `hello`: the one to learn from, as it is in a real OSD."""

import errno

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require

_NAME_MAX = 100


def _greeting(name: bytes) -> bytes:
    require(len(name) <= _NAME_MAX, errno.EINVAL)
    return b"Hello, " + (name or b"world") + b"!"


def _origin(ctx: OpContext) -> bytes:
    session = ctx.request.session
    return f"client.{session.client} {session.address}".encode()


@method("hello", "say_hello")
def say_hello(ctx: OpContext, data: bytes) -> bytes:
    """In: a name, or nothing. Out: a greeting."""
    return _greeting(data)


@method("hello", "record_hello", writes=True)
def record_hello(ctx: OpContext, data: bytes) -> None:
    """Make an object of the greeting; it must be new."""
    require(not ctx.exists, errno.EEXIST)
    ctx.write_full(_greeting(data))
    ctx.set_attr(b"recorded_by", _origin(ctx))


@method("hello", "replay")
def replay(ctx: OpContext, data: bytes) -> bytes:
    """Out: what was recorded."""
    return ctx.read()


@method("hello", "turn_it_to_11", writes=True)
def turn_it_to_11(ctx: OpContext, data: bytes) -> None:
    """Make what was recorded louder."""
    ctx.write_full(ctx.read().upper())
    ctx.set_attr(b"amplified_by", _origin(ctx))
