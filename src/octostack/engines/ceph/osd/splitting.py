# SPDX-License-Identifier: Apache-2.0
"""A copy of a group gives objects to groups that are new, as its pool has more of them.

The new groups begin as copies that have been where the old one was: with its past, and with those
entries of its log that are about their objects. Each copy does this by itself in the same epoch,
and all come to the same, so that nothing need be said of it.
"""

from collections.abc import Callable, Iterable

import msgspec

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.osd import backend, records, undos
from octostack.engines.ceph.osd.core.log import Entry, Log
from octostack.engines.ceph.osd.core.outside import Record
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.objects import PG, HObject, ShardPG, read_hobject

_SNAP_BYTES = 8  # in front of the names in the index of snapshots


def list_children(where: ShardPG, old: int, new: int) -> list[ShardPG]:
    """The groups that get objects of this one when its pool grows."""
    return [ShardPG(pg, where.shard) for pg in pools.split_children(where.pg, old, new)]


def plan_split(store: api.ObjectStore, where: ShardPG, old: int, new: int) -> api.Transaction:
    """What splits the copy, as one transaction; nothing when it was split before."""
    children = list_children(where, old, new)
    if not children or children[0] in store.collections():
        return []
    record = records.load_record(store, where)
    changes: list[api.Change] = []
    for child in children:
        bits = pools.hash_bits(new, child.pg)
        changes += [api.CreateCollection(child, bits), api.SplitCollection(where, child, bits)]
    by_group = {child.pg: child for child in children}

    def child_of(what: HObject) -> ShardPG | None:
        seed = pools.stable_mod(what.hash, new, pools.mask(new))
        return by_group.get(PG(where.pg.pool, seed))

    for child in children:
        part = _part(record, [e for e in record.log.entries if child_of(e.object) == child])
        part.lacks = {what: n for what, n in record.lacks.items() if child_of(what) == child}
        changes.append(api.OmapSet(child, backend.meta_object(child), records.encode_record(part)))
    gone = [backend.entry_key(e.version) for e in record.log.entries if child_of(e.object)]
    gone += [records.lacks_key(what) for what in record.lacks if child_of(what)]
    meta = backend.meta_object(where)
    changes.append(api.OmapRemove(where, meta, gone))
    changes.append(api.OmapSet(where, meta, records.encode_state(_part(record, []))))
    changes += undos.plan_split(store, where, child_of)
    return changes + _split_index(store, where, child_of)


def _split_index(
    store: api.ObjectStore, where: ShardPG, child_of: Callable[[HObject], ShardPG | None]
) -> list[api.Change]:
    """The index of snapshots goes with the clones that it names."""
    index = backend.snaps_object(where)
    if not store.exists(where, index):
        return []
    moved: dict[ShardPG, dict[bytes, bytes]] = {}
    for key, value in store.omap_list(where, index, b"", 1 << 30):
        child = child_of(read_hobject(Reader(key[_SNAP_BYTES:])))
        if child is not None:
            moved.setdefault(child, {})[key] = value
    changes: list[api.Change] = []
    for child, entries in moved.items():
        changes.append(api.OmapSet(child, backend.snaps_object(child), entries))
        changes.append(api.OmapRemove(where, index, list(entries)))
    return changes


def _part(record: Record, entries: Iterable[Entry]) -> Record:
    log = Log(entries, record.log.tail, record.log.head)  # all copies are as far as they were
    info = msgspec.structs.replace(record.info, last_update=log.head)
    return Record(log, info, {}, list(record.past))
