# SPDX-License-Identifier: Apache-2.0
"""A vector of operations on one object: all of it happens, or none.

Each operation gives a result (0 or an errno, negated) and perhaps bytes. The first failure ends
the vector, unless the operation says that it may fail. What the vector changes stands in the
context: nothing has happened until the group makes a transaction of it.
"""

import errno
from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base.errors import Corrupt, NotFound
from octostack.engines.ceph.osd import cls
from octostack.engines.ceph.osd.objectstore.api import Data
from octostack.engines.ceph.osd.ops import attrs, copying, data, omap, snapshots, tiers, watches
from octostack.engines.ceph.osd.ops.context import OpContext, Place
from octostack.engines.ceph.osd.ops.failures import OpError
from octostack.engines.ceph.osd.requests import FLAG_FAIL_OK, RETURN_VECTOR, Op
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.opcodes import MODE_WRITE, Code

Outcome = None | int | Data | tuple[int, bytes]

OPERATIONS: dict[int, Callable[[OpContext, Op], Outcome]] = {
    Code.READ: data.read,
    Code.SYNC_READ: data.read,
    Code.STAT: data.stat,
    Code.MAPEXT: data.extent_map,
    Code.SPARSE_READ: data.sparse_read,
    Code.CHECKSUM: data.checksum,
    Code.CMPEXT: data.compare,
    Code.ASSERT_VER: data.assert_version,
    Code.IS_DIRTY: data.is_dirty,
    Code.WRITE: data.write,
    Code.WRITE_FULL: data.write_full,
    Code.APPEND: data.append,
    Code.WRITE_SAME: data.write_same,
    Code.ZERO: data.zero,
    Code.TRUNCATE: data.truncate,
    Code.TRIMTRUNC: data.trim_truncate,
    Code.CREATE: data.create,
    Code.DELETE: data.delete,
    Code.ALLOC_HINT: data.alloc_hint,
    Code.UNDIRTY: lambda ctx, op: None,
    Code.GETXATTR: attrs.get,
    Code.GETXATTRS: attrs.get_all,
    Code.CMPXATTR: attrs.compare,
    Code.SETXATTR: attrs.set_one,
    Code.RMXATTR: attrs.remove,
    Code.OMAP_KEYS: omap.keys,
    Code.OMAP_VALUES: omap.values,
    Code.OMAP_HEADER: omap.header,
    Code.OMAP_BY_KEYS: omap.by_keys,
    Code.OMAP_CMP: omap.compare,
    Code.OMAP_SET: omap.set_values,
    Code.OMAP_SET_HEADER: omap.set_header,
    Code.OMAP_CLEAR: omap.clear,
    Code.OMAP_REMOVE: omap.remove,
    Code.OMAP_REMOVE_RANGE: omap.remove_range,
    Code.LIST_SNAPS: snapshots.list_snaps,
    Code.ROLLBACK: snapshots.rollback,
    Code.WATCH: watches.watch,
    Code.NOTIFY: watches.notify,
    Code.NOTIFY_ACK: watches.notify_ack,
    Code.LIST_WATCHERS: watches.list_watchers,
    Code.COPY_FROM: copying.copy_from,
    Code.COPY_FROM2: copying.copy_from,
    Code.COPY_GET: copying.copy_get,
    Code.CACHE_FLUSH: tiers.flush_cache,
    Code.CACHE_TRY_FLUSH: tiers.flush_cache,
    Code.CACHE_EVICT: tiers.flush_cache,
    Code.TIER_PROMOTE: tiers.do_nothing,
    Code.TIER_FLUSH: tiers.do_nothing,
    Code.TIER_EVICT: tiers.evict,
    Code.CALL: cls.call,
}

_CALL = int(Code.CALL)
_FREEING = frozenset(
    {
        *(Code.DELETE, Code.TRUNCATE, Code.TRIMTRUNC, Code.ZERO, Code.RMXATTR),
        *(Code.OMAP_CLEAR, Code.OMAP_REMOVE, Code.OMAP_REMOVE_RANGE),
    }
)


class Result(msgspec.Struct):
    """What came of a vector: of the whole, and of each operation."""

    result: int
    outputs: list[Data]
    results: list[int]


def may_write(ops: list[Op]) -> bool:
    """Whether the vector may change something; then a missing object is no failure by itself."""
    for op in ops:  # noqa: SIM110 - for each request; a generator takes three times as long
        if op.code & MODE_WRITE or (op.code == _CALL and cls.writes(op)):
            return True
    return False


def failure(ops: list[Op], error: OpError) -> int:
    """Why a vector cannot even begin: a method that is not there counts before all else."""
    known = all(cls.is_known(op) for op in ops if op.code == Code.CALL)
    return error.number if known else errno.EOPNOTSUPP


def require_room(place: Place, ops: list[Op], writes: bool) -> None:
    """Raises OpError ENOSPC for a vector that writes and takes nothing away, on a full disk.

    Copies elsewhere may be fuller than this one: what the store keeps free here is for them, too.
    """
    if not writes:
        return
    size = sum(len(op.payload) for op in ops)
    if not place.store.has_room(size) and not any(op.code in _FREEING for op in ops):
        raise OpError(errno.ENOSPC)


def run(ctx: OpContext, ops: list[Op]) -> Result:
    """Do what `ops` say, in order; see the module's essay."""
    outcome = Result(0, [b""] * len(ops), [0] * len(ops))
    for number, op in enumerate(ops):
        result, outcome.outputs[number] = _run_one(ctx, op)
        outcome.results[number] = result
        if result < 0 and not op.flags & FLAG_FAIL_OK:
            outcome.result = result
            break
        if not op.flags & FLAG_FAIL_OK:
            outcome.result = result
    return outcome


def hide_outputs(outcome: Result, flags: int) -> None:
    """A write that succeeded says no more than that, unless the request asks for all."""
    if not flags & RETURN_VECTOR and outcome.result >= 0:
        outcome.result = 0
        outcome.outputs = [b""] * len(outcome.outputs)
        outcome.results = [0] * len(outcome.results)


def _run_one(ctx: OpContext, op: Op) -> tuple[int, Data]:
    known: Any = OPERATIONS.get(op.code)
    if known is None:
        return -errno.EOPNOTSUPP, b""
    try:
        outcome: Outcome = known(ctx, op)
    except OpError as error:
        return -error.number, b""
    except Malformed:
        return -errno.EINVAL, b""
    except NotFound:
        return -errno.ENOENT, b""
    except Corrupt:
        return -errno.EIO, b""
    if outcome is None:
        return 0, b""
    if isinstance(outcome, int):
        return outcome, b""
    return outcome if isinstance(outcome, tuple) else (0, outcome)
