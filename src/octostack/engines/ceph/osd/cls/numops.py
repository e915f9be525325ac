# SPDX-License-Identifier: Apache-2.0
"""Class `numops`: sums and products of numbers in the omap, kept as text."""

import errno
from collections.abc import Callable
from operator import add, mul

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError
from octostack.wire.ceph.codec import Reader


def _number(text: bytes, failure: int) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OpError(failure) from error


def _change(ctx: OpContext, data: bytes, how: Callable[[float, float], float]) -> None:
    """In: str key, str number."""
    r = Reader(data)
    key, given = r.bytes(), _number(r.bytes(), errno.EINVAL)
    there = ctx.omap_get((key,)).get(key, b"")
    value = how(_number(there, errno.EBADMSG) if there else 0.0, given)
    ctx.omap_set({key: f"{value:.10g}".encode()})


@method("numops", "add", writes=True)
def add_to(ctx: OpContext, data: bytes) -> None:
    """What is not there counts as 0."""
    _change(ctx, data, add)


@method("numops", "mul", writes=True)
def multiply(ctx: OpContext, data: bytes) -> None:
    """What is not there counts as 0."""
    _change(ctx, data, mul)
