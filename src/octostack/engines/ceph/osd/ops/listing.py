# SPDX-License-Identifier: Apache-2.0
"""Listing a pool, group by group: the order is by the bits of the hash in reverse.

A cursor is an object's name, or the place before an object. When a group has been listed, the
cursor is the start of the group that follows in that order, and the operation's result is 1.
"""

import errno
import struct
from collections.abc import Callable
from typing import NamedTuple

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.objects import (
    ALL_NAMESPACES,
    HOBJECT_MAX,
    HOBJECT_MIN,
    PG,
    SNAP_HEAD,
    HObject,
    ShardPG,
    read_hobject,
    reverse_bits,
    write_hobject,
)
from octostack.wire.ceph.opcodes import Code

_PAGE = struct.Struct("<QI")
NAMES_MAX = 1024  # of one answer


class Listed(NamedTuple):
    """A page: the heads in it, where to go on, and whether the group has ended."""

    heads: list[HObject]
    cursor: HObject
    ended: bool


def split_bits(seed: int, pg_num: int) -> int:
    """How many of the last bits of the hash are the same for all objects of the group."""
    if pg_num == 1:
        return 0
    bits = pg_num.bit_length()
    half = 1 << (bits - 1)
    return bits if seed % half < pg_num % half else bits - 1


def bounds(pg: PG, pg_num: int) -> tuple[HObject, HObject]:
    """The first place in the group, and the first behind it."""
    start = reverse_bits(pg.seed)
    end = (start | 0xFFFFFFFF >> split_bits(pg.seed, pg_num)) + 1
    first = HObject(hash=pg.seed, pool=pg.pool)
    if end > 0xFFFFFFFF:
        return first, HOBJECT_MAX
    return first, HObject(snap=SNAP_HEAD, hash=reverse_bits(end), pool=pg.pool)


def page(
    store: api.ObjectStore,
    where: ShardPG,
    cursor: HObject,
    limit: int,
    visible: Callable[[HObject], bool],
) -> tuple[list[HObject], HObject | None]:
    """Up to `limit` visible heads from `cursor` on, and where to go on (None: at the end)."""
    heads: list[HObject] = []
    while True:
        found = store.list_objects(where, cursor, limit=256)
        for what in found:
            if what.snap == SNAP_HEAD and what.name and visible(what):
                if len(heads) == limit:
                    return heads, what
                heads.append(what)
        if len(found) < 256:
            return heads, None
        cursor = after(found[-1])


def after(what: HObject) -> HObject:
    """The least name that sorts behind `what`."""
    return HObject(
        what.name, what.key, what.snap + 1, what.hash, what.is_max, what.namespace, what.pool
    )


class Group(NamedTuple):
    """What a listing must know of the group."""

    store: api.ObjectStore
    where: ShardPG
    pg_num: int
    visible: Callable[[HObject], bool]


def _listed(group: Group, op: Op, namespace: bytes) -> Listed:
    limit, _ = _PAGE.unpack_from(op.parameters)
    cursor = read_hobject(Reader(op.payload)) if len(op.payload) else HOBJECT_MIN
    first, end = bounds(group.where.pg, group.pg_num)
    low, high = first.sort_key(), end.sort_key()
    at = cursor.sort_key()
    require(cursor == HOBJECT_MIN or low <= at < high, errno.EINVAL)

    def wanted(what: HObject) -> bool:
        return namespace in (ALL_NAMESPACES, what.namespace) and group.visible(what)

    heads, following = page(group.store, group.where, cursor, max(1, min(limit, NAMES_MAX)), wanted)
    return Listed(heads, end if following is None else following, following is None)


def names(group: Group, op: Op, namespace: bytes) -> tuple[int, bytes]:
    """PGNLS: {1,1: hobject next, vec<(str namespace, str name, str locator)>}."""
    listed = _listed(group, op, namespace)
    w = Writer()
    with w.versioned(1, 1):
        write_hobject(w, listed.cursor)
        w.u32(len(listed.heads))
        for what in listed.heads:
            w.bytes(what.namespace)
            w.bytes(what.name)
            w.bytes(what.key)
    return int(listed.ended), w.done()


def old_names(group: Group, op: Op, namespace: bytes) -> tuple[int, bytes]:
    """PGLS: u8 1, hobject next, vec<(str name, str locator)>; of one namespace."""
    listed = _listed(group, op, namespace)
    w = Writer()
    w.u8(1)
    write_hobject(w, listed.cursor)
    w.u32(len(listed.heads))
    for what in listed.heads:
        w.bytes(what.name)
        w.bytes(what.key)
    return int(listed.ended), w.done()


def answer(group: Group, op: Op, namespace: bytes) -> tuple[int, bytes]:
    """(result, output) of an operation on a group."""
    how = {Code.PGNLS: names, Code.PGLS: old_names}.get(Code(op.code))
    if how is None:
        return -errno.EOPNOTSUPP, b""
    try:
        return how(group, op, namespace)
    except OpError as error:
        return -error.number, b""
    except Malformed:
        return -errno.EINVAL, b""
