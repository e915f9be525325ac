# SPDX-License-Identifier: Apache-2.0
"""Operations on attributes: names and values stand one after the other in the payload."""

import errno
import struct
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Writer

_XATTR = struct.Struct("<IIBB")
_STRING, _NUMBER = 1, 2
COMPARISONS: dict[int, Callable[[Any, Any], bool]] = {1: eq, 2: ne, 3: gt, 4: ge, 5: lt, 6: le}


def _parts(op: Op) -> tuple[bytes, bytes]:
    name, value, _, _ = _XATTR.unpack_from(op.parameters)
    require(name + value <= len(op.payload), errno.EINVAL)
    return bytes(op.payload[:name]), bytes(op.payload[name : name + value])


def get(ctx: OpContext, op: Op) -> tuple[int, bytes]:
    """The value; its length is the result."""
    value = ctx.get_attr(_parts(op)[0])
    return len(value), value


def get_all(ctx: OpContext, op: Op) -> bytes:
    """map<str, str>."""
    w = Writer()
    w.map(ctx.attrs(), w.bytes, w.bytes)
    return w.done()


def compare(ctx: OpContext, op: Op) -> int:
    """1 when the given value stands in the relation to the one that is there."""
    name, given = _parts(op)
    _, _, relation, mode = _XATTR.unpack_from(op.parameters)
    there = ctx.find_attr(name) or b""
    holds = COMPARISONS.get(relation)
    if holds is None or mode not in (_STRING, _NUMBER):
        raise OpError(errno.EINVAL)
    if mode == _NUMBER:
        require(len(given) >= 8, errno.EINVAL)
        same = holds(int.from_bytes(given[:8], "little"), _leading_number(there))
    else:
        same = holds(given, there)
    require(same, errno.ECANCELED)
    return 1


def set_one(ctx: OpContext, op: Op) -> None:
    """Put one."""
    ctx.set_attr(*_parts(op))


def remove(ctx: OpContext, op: Op) -> None:
    """Take one away; it need not be there."""
    ctx.remove_attr(_parts(op)[0])


def _leading_number(text: bytes) -> int:
    """As C's atoll reads it, for what is no negative number."""
    digits = text.strip()
    end = next((n for n, c in enumerate(digits) if not 48 <= c <= 57), len(digits))
    return int(digits[:end] or 0)
