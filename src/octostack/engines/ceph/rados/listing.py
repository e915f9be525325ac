# SPDX-License-Identifier: Apache-2.0
"""Listing a pool: by cursors in the order of the reversed hash, group by group.

A cursor stays good while groups split and merge, as it names a place in that order and no group.
`slices` cuts the order into parts that can be listed at the same time.
"""

import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.core.ops import FLAG_IGNORE_OVERLAY, FLAG_READ
from octostack.engines.ceph.rados.core.values import Listed, ListPage, read_list, to_text
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.messages.osdop import RawOp
from octostack.wire.ceph.objects import (
    HOBJECT_MAX,
    HOBJECT_MIN,
    SNAP_HEAD,
    HObject,
    Locator,
    reverse_bits,
    write_hobject,
)
from octostack.wire.ceph.opcodes import Code

if TYPE_CHECKING:
    from octostack.engines.ceph.rados.pool import Pool

_PAGE = struct.Struct("<QI16x")
PAGE: Final = 1024
BEGIN, END = HOBJECT_MIN, HOBJECT_MAX


def slices(pool: "Pool", count: int) -> list[tuple[HObject, HObject]]:
    """`count` pairs of cursors, which together are the whole pool."""
    marks = [_mark(pool.id, number * (1 << 32) // count) for number in range(1, count)]
    return list(zip([BEGIN, *marks], [*marks, END], strict=True))


def _mark(pool: int, place: int) -> HObject:
    return HObject(snap=0, hash=reverse_bits(place), pool=pool)


async def list_page(
    pool: "Pool", cursor: HObject, end: HObject = END, limit: int = PAGE
) -> tuple[list[Listed], HObject]:
    """Up to `limit` objects from a cursor on, before `end`; and the cursor behind them.

    The cursor that is `END` says that there are no more.
    """
    page, cursor = await _ask(pool, cursor, limit)
    stop = end.sort_key()
    found: list[Listed] = []
    for namespace, name, locator in page.objects:
        if not end.is_max and _place(pool, namespace, name, locator).sort_key() >= stop:
            return found, END
        found.append(Listed(to_text(name), to_text(namespace), to_text(locator)))
    return found, END if cursor.is_max or cursor.sort_key() >= stop else cursor


async def list_objects(
    pool: "Pool", begin: HObject = BEGIN, end: HObject = END
) -> AsyncIterator[Listed]:
    """All objects between two cursors, in no order that a name tells."""
    cursor = begin
    while not cursor.is_max:
        found, cursor = await list_page(pool, cursor, end)
        for one in found:
            yield one


async def _ask(pool: "Pool", cursor: HObject, limit: int) -> tuple[ListPage, HObject]:
    w = Writer()
    write_hobject(w, cursor)
    of_pool = pool.info
    group = pools.group_of(of_pool, pool.id, cursor.hash)
    parameters = _PAGE.pack(limit, pool.cluster.epoch)
    locator = Locator(pool.id, b"", pool.listed_namespace, group.seed)
    op = pool.op_at(
        locator, b"", [RawOp(Code.PGNLS, 0, parameters, w.done())], FLAG_READ | FLAG_IGNORE_OVERLAY
    )
    op.listing = True
    reply = await pool.submit(op)
    if reply.result < 0:
        raise error_of(reply.result, f"listing of pool {pool.name}")
    page = read_list(reply.ops[0].payload)
    return page, page.cursor


def _place(pool: "Pool", namespace: bytes, name: bytes, locator: bytes) -> HObject:
    full = pools.object_hash(pool.info, name, locator, namespace)
    return HObject(name, locator, SNAP_HEAD, full, False, namespace, pool.id)
