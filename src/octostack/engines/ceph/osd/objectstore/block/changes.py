# SPDX-License-Identifier: Apache-2.0
"""What each operation of a transaction does to a store on a disk."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block import keys
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.wire.ceph.objects import HOBJECT_MIN, HObject, ShardPG

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.objectstore.block.store import BlockStore


def _touch(store: "BlockStore", op: api.Touch) -> None:
    store.touch(op.collection, op.object)


def _write(store: "BlockStore", op: api.Write) -> None:
    store.bytes.write(store.touch(op.collection, op.object), op.offset, op.data)


def _zero(store: "BlockStore", op: api.Zero) -> None:
    store.bytes.zero(store.touch(op.collection, op.object), op.offset, op.length)


def _truncate(store: "BlockStore", op: api.Truncate) -> None:
    store.bytes.truncate(store.touch(op.collection, op.object), op.size)


def _remove(store: "BlockStore", op: api.Remove) -> None:
    store.drop(op.collection, op.object)


def _set_attrs(store: "BlockStore", op: api.SetAttrs) -> None:
    body = store.touch(op.collection, op.object)
    body.onode.attrs = {**body.onode.attrs, **op.attrs}
    body.onode_changed = True


def _remove_attr(store: "BlockStore", op: api.RemoveAttr) -> None:
    if store.exists(op.collection, op.object):
        body = store.touch(op.collection, op.object)
        body.onode.attrs = {k: v for k, v in body.onode.attrs.items() if k != op.name}
        body.onode_changed = True


def _remove_attrs(store: "BlockStore", op: api.RemoveAttrs) -> None:
    if store.exists(op.collection, op.object):
        body = store.touch(op.collection, op.object)
        body.onode.attrs, body.onode_changed = {}, True


def _clone(store: "BlockStore", op: api.Clone) -> None:
    store.keep()
    store.clone(op.collection, op.object, op.target)


def _clone_range(store: "BlockStore", op: api.CloneRange) -> None:
    source = store.find(op.collection, op.object)
    if source is None:
        return
    target = store.touch(op.collection, op.target)
    length = max(0, min(op.length, source.onode.size - op.offset))
    shared = 0
    if op.offset % BLOCK == op.target_offset % BLOCK == 0:
        shared = length // BLOCK
    at, end = op.offset + shared * BLOCK, op.offset + length
    moved = op.target_offset - op.offset
    parts = [
        (start + moved, *store.bytes.find(source, start, some))
        for start, some in store.bytes.extents(source, at, end - at)
    ]
    if shared:
        first, to = op.offset // BLOCK, op.target_offset // BLOCK
        store.bytes.share_range(source, target, first, to, shared)
    store.bytes.zero(target, at + moved, end - at)
    for start, data, is_right in parts:
        store.bytes.write(target, start, bytes(data), is_right=is_right)


def _move(store: "BlockStore", op: api.Move) -> None:
    store.keep()
    store.move((op.collection, op.object), (op.collection, op.target))


def _omap_set(store: "BlockStore", op: api.OmapSet) -> None:
    body = store.touch(op.collection, op.object)
    number, put = body.onode.number, store.state.set
    for key, value in op.entries.items():
        put(keys.omap_key(number, key), value)
    if not body.onode.has_omap:
        body.onode.has_omap = body.onode_changed = True


def _omap_remove(store: "BlockStore", op: api.OmapRemove) -> None:
    body = store.find(op.collection, op.object)
    if body is not None:
        for key in op.keys:
            store.state.set(keys.omap_key(body.onode.number, key), None)


def _omap_remove_range(store: "BlockStore", op: api.OmapRemoveRange) -> None:
    body = store.find(op.collection, op.object)
    if body is not None and op.first < op.last:
        number = body.onode.number
        first, last = keys.omap_key(number, op.first), keys.omap_key(number, op.last)
        for key, _ in list(store.state.metadata.pairs(first, last)):
            store.state.set(key, None)


def _omap_clear(store: "BlockStore", op: api.OmapClear) -> None:
    if store.exists(op.collection, op.object):
        store.clear_omap(store.touch(op.collection, op.object))


def _omap_header(store: "BlockStore", op: api.OmapHeader) -> None:
    body = store.touch(op.collection, op.object)
    body.onode.header, body.onode_changed = op.header, True


def _create_collection(store: "BlockStore", op: api.CreateCollection) -> None:
    store.collection_bits[op.collection] = op.bits
    store.put_facts(op.collection)


def _remove_collection(store: "BlockStore", op: api.RemoveCollection) -> None:
    store.keep()
    for what in list(_objects(store, op.collection)):
        store.drop(op.collection, what)
    store.forget_collection(op.collection)


def _split(store: "BlockStore", op: api.SplitCollection) -> None:
    store.keep()
    mask = (1 << op.bits) - 1
    for where in (op.collection, op.target):
        _create_collection(store, api.CreateCollection(where, op.bits))
    for what in list(_objects(store, op.collection)):
        if what.hash & mask == op.target.pg.seed & mask:
            store.move((op.collection, what), (op.target, what))


def _objects(store: "BlockStore", collection: ShardPG) -> Iterator[HObject]:
    cursor = HOBJECT_MIN
    while found := store.list_objects(collection, cursor):
        yield from found
        last = found[-1]
        cursor = HObject(
            last.name, last.key, last.snap + 1, last.hash, False, last.namespace, last.pool
        )


APPLY: dict[type[api.Operation], Callable[["BlockStore", Any], None]] = {
    api.Touch: _touch,
    api.Write: _write,
    api.Zero: _zero,
    api.Truncate: _truncate,
    api.Remove: _remove,
    api.SetAttrs: _set_attrs,
    api.RemoveAttr: _remove_attr,
    api.RemoveAttrs: _remove_attrs,
    api.Clone: _clone,
    api.CloneRange: _clone_range,
    api.Move: _move,
    api.OmapSet: _omap_set,
    api.OmapRemove: _omap_remove,
    api.OmapRemoveRange: _omap_remove_range,
    api.OmapClear: _omap_clear,
    api.OmapHeader: _omap_header,
    api.CreateCollection: _create_collection,
    api.RemoveCollection: _remove_collection,
    api.SplitCollection: _split,
}
