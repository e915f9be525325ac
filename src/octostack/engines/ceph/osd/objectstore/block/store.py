# SPDX-License-Identifier: Apache-2.0
"""The store on a disk at work: transactions in, batches to the disk.

`queue` does all deciding at once, in memory, and leaves what is to be written in the open batch.
One task (`writer.Writer`) closes the batch, writes it and syncs, while the next one gathers: so
however many wait, there is one sync for all of them, and none of it holds up the event loop.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from octostack.base.errors import NotFound, Unavailable
from octostack.engines.ceph.osd.objectstore import api, checks
from octostack.engines.ceph.osd.objectstore.block import fsck, keys, recovery
from octostack.engines.ceph.osd.objectstore.block.bodies import Body, Bytes
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Onode
from octostack.engines.ceph.osd.objectstore.block.writer import Writer
from octostack.runtime.device import Data, Device
from octostack.wire.ceph.objects import HOBJECT_MAX, HOBJECT_MIN, HObject, ShardPG

BODIES_MAX = 4096  # objects whose metadata are kept in memory
_EVERYTHING = 1 << 62
_Name = tuple[ShardPG, HObject]


class BlockStore(api.ObjectStore):
    """Objects on `device`; a disk that never held a store is made one by `open`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.collection_bits: dict[ShardPG, int] = {}
        self._bodies: OrderedDict[_Name, Body | None] = OrderedDict()
        self._changed: dict[_Name, Body] = {}
        self.state: recovery.State
        self.bytes: Bytes
        self._writer: Writer

    async def open(self) -> None:
        """Raises Corrupt, Unsupported (a newer format), Invalid (too small)."""
        self.state = await recovery.open_state(self.device)
        self.bytes = Bytes(self.state.blocks, self.state.metadata.get)
        first, last = keys.COLLECTIONS, bytes([keys.COLLECTIONS[0] + 1])
        for key, value in self.state.metadata.pairs(first, last):
            self.collection_bits[keys.collection_of(key[1:])] = value[0]
        self._writer = Writer(self.state)
        self._writer.start()

    async def close(self) -> None:
        await self._writer.stop()
        self.device.close()

    def queue(
        self, transactions: Iterable[api.Transaction], done: Callable[[], None] | None = None
    ) -> None:
        todo = list(transactions)
        if self._writer.failure is not None:
            raise Unavailable("The disk has failed.", code="objectstore.failed")
        checks.require_collections(todo, self.collection_bits)
        self._require_space(todo)
        for transaction in todo:
            for change in transaction:
                _APPLY[type(change)](self, change)
        self._keep()
        self._writer.queued(done)

    # -- reading

    def read(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> bytes:
        return bytes(self.view(collection, what, offset, length))

    def view(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> Data:
        body = self._get(collection, what)
        return self.bytes.read(body, offset, _EVERYTHING if length is None else length)

    def extents(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> list[tuple[int, int]]:
        body = self._get(collection, what)
        return self.bytes.extents(body, offset, _EVERYTHING if length is None else length)

    def size(self, collection: ShardPG, what: HObject) -> int:
        return self._get(collection, what).onode.size

    def exists(self, collection: ShardPG, what: HObject) -> bool:
        return self.find(collection, what) is not None

    def attrs(self, collection: ShardPG, what: HObject) -> Mapping[bytes, bytes]:
        return self._get(collection, what).onode.attrs

    def omap_header(self, collection: ShardPG, what: HObject) -> bytes:
        return self._get(collection, what).onode.header

    def omap_get(
        self, collection: ShardPG, what: HObject, names: Iterable[bytes]
    ) -> dict[bytes, bytes]:
        onode = self._get(collection, what).onode
        if not onode.has_omap:
            return {}
        get = self.state.metadata.get
        found = ((name, get(keys.omap_key(onode.number, name))) for name in names)
        return {name: value for name, value in found if value is not None}

    def omap_list(
        self, collection: ShardPG, what: HObject, first: bytes = b"", limit: int = 1000
    ) -> list[tuple[bytes, bytes]]:
        onode = self._get(collection, what).onode
        if not onode.has_omap:
            return []
        pairs = self._omap(onode.number, first)
        return [
            (key[keys.OMAP_KEY_AT :], value)
            for (key, value), _ in zip(pairs, range(limit), strict=False)
        ]

    def list_objects(
        self,
        collection: ShardPG,
        first: HObject = HOBJECT_MIN,
        last: HObject = HOBJECT_MAX,
        limit: int = 1000,
    ) -> list[HObject]:
        if collection not in self.collection_bits:
            raise NotFound(f"There is no collection {collection}.", code="objectstore.no_pg")
        low = keys.object_key(collection, first)
        high = keys.object_key(collection, last)
        at = 1 + len(keys.collection_part(collection))
        pairs = self.state.metadata.pairs(low, high)
        return [keys.object_of(key[at:]) for (key, _), _ in zip(pairs, range(limit), strict=False)]

    def collections(self) -> dict[ShardPG, int]:
        return dict(self.collection_bits)

    def space(self) -> api.Space:
        state = self.state
        metadata = sum(table.size for table in state.metadata.tables) + state.journal.size
        free = state.blocks.allocator.free_blocks * BLOCK
        waiting = state.freed_blocks * BLOCK
        total = self.device.size
        return api.Space(total, free + waiting, state.data_blocks * BLOCK, metadata)

    def fsck(self, repair: bool = False) -> list[api.Flaw]:
        return fsck.check(self, repair=repair)

    def find(self, collection: ShardPG, what: HObject) -> Body | None:
        """The object in memory, or None."""
        name = (collection, what)
        bodies = self._bodies
        if name in bodies:
            bodies.move_to_end(name)
            return bodies[name]
        data = self.state.metadata.get(keys.object_key(collection, what))
        body = Body(keys.decode_onode(data)) if data is not None else None
        self._remember(name, body)
        return body

    # -- changing

    def _get(self, collection: ShardPG, what: HObject) -> Body:
        body = self.find(collection, what)
        if body is None:
            raise NotFound("There is no such object.", code="objectstore.no_object")
        return body

    def _touch(self, collection: ShardPG, what: HObject) -> Body:
        """The object, made if it is not there, as something to be kept."""
        body = self.find(collection, what)
        if body is None:
            body = Body(Onode(self.state.new_number()), changed=True)
            self._remember((collection, what), body)
        self._changed[collection, what] = body
        return body

    def _remember(self, name: _Name, body: Body | None) -> None:
        self._bodies[name] = body
        if len(self._bodies) > BODIES_MAX:
            oldest = next(iter(self._bodies))
            if oldest not in self._changed:
                del self._bodies[oldest]

    def _keep(self) -> None:
        """Put the metadata of what has changed into the batch."""
        for (collection, what), body in self._changed.items():
            number = body.onode.number
            for chunk in body.changed:
                data = body.chunks[chunk].encode()
                self.state.set(keys.chunk_key(number, chunk), data or None)
            body.changed.clear()
            if body.onode_changed:
                key = keys.object_key(collection, what)
                self.state.set(key, keys.encode_onode(body.onode))
                body.onode_changed = False
        self._changed.clear()

    def _omap(self, number: int, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        last = keys.omap_key(number + 1, b"")
        return self.state.metadata.pairs(keys.omap_key(number, first), last)

    def _require_space(self, todo: list[api.Transaction]) -> None:
        free = self.state.blocks.allocator.free_blocks
        wanted = 0
        for transaction in todo:
            for change in transaction:
                if isinstance(change, api.Write):
                    wanted += len(change.data) // BLOCK + 2
                elif isinstance(change, api.CloneRange):
                    wanted += change.length // BLOCK + 2
                elif isinstance(change, api.Clone):
                    body = self.find(change.collection, change.object)
                    wanted += self.bytes.block_count(body) if body else 0
        reserve = self.state.reserve()
        if checks.is_freeing(todo):
            reserve = reserve // 2 if wanted else 0
        if wanted + reserve > free:
            raise api.Full

    def drop(self, collection: ShardPG, what: HObject) -> None:
        """Remove an object with all that belongs to it."""
        body = self.find(collection, what)
        if body is None:
            return
        chunks = body.chunk_count
        self.bytes.truncate(body, 0)
        for number in {*range(chunks), *body.changed}:
            self.state.set(keys.chunk_key(body.onode.number, number), None)
        self._clear_omap(body)
        self.state.set(keys.object_key(collection, what), None)
        self._changed.pop((collection, what), None)
        self._bodies[collection, what] = None

    def _clear_omap(self, body: Body) -> None:
        if body.onode.has_omap:
            for key, _ in list(self._omap(body.onode.number)):
                self.state.set(key, None)
        body.onode.has_omap, body.onode.header = False, b""
        body.onode_changed = True

    def clone(self, collection: ShardPG, source: HObject, target: HObject) -> None:
        """Make `target` a copy of `source`."""
        body = self.find(collection, source)
        if body is None or source == target:
            return
        self.drop(collection, target)
        twin = self._touch(collection, target)
        twin.onode.attrs = dict(body.onode.attrs)
        twin.onode.header, twin.onode.has_omap = body.onode.header, body.onode.has_omap
        twin.onode_changed = True
        for start, length in self.bytes.extents(body, 0, _EVERYTHING):
            self.bytes.write(twin, start, self.bytes.read(body, start, length))
        self.bytes.truncate(twin, body.onode.size)
        for key, value in list(self._omap(body.onode.number)) if body.onode.has_omap else []:
            name = key[keys.OMAP_KEY_AT :]
            self.state.set(keys.omap_key(twin.onode.number, name), value)

    def move(self, source: _Name, target: _Name) -> None:
        """Give an object another name, in the place of what has it."""
        body = self.find(*source)
        if body is None or source == target:
            return
        self.drop(*target)
        self.state.set(keys.object_key(*source), None)
        self._changed.pop(source, None)
        self._bodies[source] = None
        body.onode_changed = True
        self._bodies[target] = body
        self._changed[target] = body


def _objects(store: BlockStore, collection: ShardPG) -> Iterator[HObject]:
    cursor = HOBJECT_MIN
    while found := store.list_objects(collection, cursor):
        yield from found
        last = found[-1]
        cursor = HObject(
            last.name, last.key, last.snap + 1, last.hash, False, last.namespace, last.pool
        )


def _touch(store: BlockStore, op: api.Touch) -> None:
    store._touch(op.collection, op.object)


def _write(store: BlockStore, op: api.Write) -> None:
    store.bytes.write(store._touch(op.collection, op.object), op.offset, op.data)


def _zero(store: BlockStore, op: api.Zero) -> None:
    store.bytes.zero(store._touch(op.collection, op.object), op.offset, op.length)


def _truncate(store: BlockStore, op: api.Truncate) -> None:
    store.bytes.truncate(store._touch(op.collection, op.object), op.size)


def _remove(store: BlockStore, op: api.Remove) -> None:
    store.drop(op.collection, op.object)


def _set_attrs(store: BlockStore, op: api.SetAttrs) -> None:
    body = store._touch(op.collection, op.object)
    body.onode.attrs = {**body.onode.attrs, **op.attrs}
    body.onode_changed = True


def _remove_attr(store: BlockStore, op: api.RemoveAttr) -> None:
    if store.exists(op.collection, op.object):
        body = store._touch(op.collection, op.object)
        body.onode.attrs = {k: v for k, v in body.onode.attrs.items() if k != op.name}
        body.onode_changed = True


def _remove_attrs(store: BlockStore, op: api.RemoveAttrs) -> None:
    if store.exists(op.collection, op.object):
        body = store._touch(op.collection, op.object)
        body.onode.attrs, body.onode_changed = {}, True


def _clone(store: BlockStore, op: api.Clone) -> None:
    store._keep()
    store.clone(op.collection, op.object, op.target)


def _clone_range(store: BlockStore, op: api.CloneRange) -> None:
    source = store.find(op.collection, op.object)
    if source is None:
        return
    target = store._touch(op.collection, op.target)
    length = max(0, min(op.length, source.onode.size - op.offset))
    parts = [
        (start - op.offset, store.bytes.read(source, start, some))
        for start, some in store.bytes.extents(source, op.offset, length)
    ]
    store.bytes.zero(target, op.target_offset, length)
    for start, data in parts:
        store.bytes.write(target, op.target_offset + start, data)


def _move(store: BlockStore, op: api.Move) -> None:
    store._keep()
    store.move((op.collection, op.object), (op.collection, op.target))


def _omap_set(store: BlockStore, op: api.OmapSet) -> None:
    body = store._touch(op.collection, op.object)
    number, put = body.onode.number, store.state.set
    for key, value in op.entries.items():
        put(keys.omap_key(number, key), value)
    if not body.onode.has_omap:
        body.onode.has_omap = body.onode_changed = True


def _omap_remove(store: BlockStore, op: api.OmapRemove) -> None:
    body = store.find(op.collection, op.object)
    if body is not None:
        for key in op.keys:
            store.state.set(keys.omap_key(body.onode.number, key), None)


def _omap_remove_range(store: BlockStore, op: api.OmapRemoveRange) -> None:
    body = store.find(op.collection, op.object)
    if body is not None and op.first < op.last:
        number = body.onode.number
        first, last = keys.omap_key(number, op.first), keys.omap_key(number, op.last)
        for key, _ in list(store.state.metadata.pairs(first, last)):
            store.state.set(key, None)


def _omap_clear(store: BlockStore, op: api.OmapClear) -> None:
    if store.exists(op.collection, op.object):
        store._clear_omap(store._touch(op.collection, op.object))


def _omap_header(store: BlockStore, op: api.OmapHeader) -> None:
    body = store._touch(op.collection, op.object)
    body.onode.header, body.onode_changed = op.header, True


def _create_collection(store: BlockStore, op: api.CreateCollection) -> None:
    store.collection_bits[op.collection] = op.bits
    key = keys.COLLECTIONS + keys.collection_part(op.collection)
    store.state.set(key, bytes([op.bits]))


def _remove_collection(store: BlockStore, op: api.RemoveCollection) -> None:
    store._keep()
    for what in list(_objects(store, op.collection)):
        store.drop(op.collection, what)
    del store.collection_bits[op.collection]
    store.state.set(keys.COLLECTIONS + keys.collection_part(op.collection), None)


def _split(store: BlockStore, op: api.SplitCollection) -> None:
    store._keep()
    mask = (1 << op.bits) - 1
    for where in (op.collection, op.target):
        _create_collection(store, api.CreateCollection(where, op.bits))
    for what in list(_objects(store, op.collection)):
        if what.hash & mask == op.target.pg.seed & mask:
            store.move((op.collection, what), (op.target, what))


_APPLY: dict[type[api.Operation], Callable[[BlockStore, Any], None]] = {
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
