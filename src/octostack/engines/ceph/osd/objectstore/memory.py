# SPDX-License-Identifier: Apache-2.0
"""A store in memory: for simulations, and for clusters that need not survive.

"Durable" is here what `commit` has been called for; `MemoryStore()` does so by itself at once, as
a simulation of a perfect disk. `crash` forgets what was queued and not yet committed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from octostack.base.errors import NotFound
from octostack.engines.ceph.osd.objectstore import api, checks
from octostack.engines.ceph.osd.objectstore.ordered import OrderedMap
from octostack.engines.ceph.osd.objectstore.sparse import SparseBytes
from octostack.wire.ceph.objects import HOBJECT_MAX, HOBJECT_MIN, SNAP_HEAD, HObject, ShardPG

_EVERYTHING = 1 << 62
_RESERVE = 1 << 20  # for what frees space on a full disk


class _Object:
    __slots__ = ("attrs", "bytes", "header", "omap")

    def __init__(self) -> None:
        self.bytes = SparseBytes()
        self.attrs: dict[bytes, bytes] = {}
        self.omap: OrderedMap[bytes, bytes] | None = None
        self.header = b""

    def copy(self) -> "_Object":
        twin = _Object()
        twin.bytes = self.bytes.copy()
        twin.attrs = dict(self.attrs)
        twin.omap = self.omap and self.omap.copy()
        twin.header = self.header
        return twin


class _Collection:
    __slots__ = ("bits", "objects", "order")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.objects: dict[HObject, _Object] = {}
        self.order: OrderedMap[Any, HObject] = OrderedMap()  # by sort_key

    def get(self, what: HObject) -> _Object:
        found = self.objects.get(what)
        if found is None:
            found = self.objects[what] = _Object()
            self.order.set(what.sort_key(), what)
        return found

    def put(self, what: HObject, body: _Object) -> None:
        self.get(what)
        self.objects[what] = body

    def pop(self, what: HObject) -> _Object | None:
        found = self.objects.pop(what, None)
        if found is not None:
            self.order.pop(what.sort_key())
        return found

    def copy(self) -> "_Collection":
        twin = _Collection(self.bits)
        twin.objects = {name: body.copy() for name, body in self.objects.items()}
        twin.order = self.order.copy()
        return twin


_Content = dict[ShardPG, _Collection]


class MemoryStore(api.ObjectStore):
    """Objects in dictionaries; `by_hand` leaves it to the caller to `commit`."""

    def __init__(self, capacity: int = 1 << 40, *, by_hand: bool = False) -> None:
        self.capacity = capacity
        self._by_hand = by_hand
        self._content: _Content = {}
        self._durable: _Content = {}
        self._waiting: deque[tuple[list[api.Transaction], Callable[[], None] | None]] = deque()

    async def open(self) -> None:
        """Nothing is to be recovered."""

    async def close(self) -> None:
        self.commit()

    def queue(
        self, transactions: Iterable[api.Transaction], done: Callable[[], None] | None = None
    ) -> None:
        todo = list(transactions)
        checks.require_collections(todo, self._content)
        self._require_space(todo)
        _apply(self._content, todo)
        if self._by_hand:
            self._waiting.append((todo, done))
        elif done:
            done()

    def commit(self, count: int | None = None) -> int:
        """Make the oldest `count` queued calls durable (None: all); how many there were."""
        for made in range(len(self._waiting) if count is None else count):
            if not self._waiting:
                return made
            transactions, done = self._waiting.popleft()
            _apply(self._durable, transactions)
            if done:
                done()
        return count or 0

    @property
    def waiting(self) -> int:
        """How many queued calls are not durable yet."""
        return len(self._waiting)

    def crash(self) -> None:
        """Forget what is not durable; nobody is told."""
        self._waiting.clear()
        self._content = {name: found.copy() for name, found in self._durable.items()}

    def read(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> bytes:
        body = self._get(collection, what).bytes
        return body.read(offset, _EVERYTHING if length is None else length)

    def extents(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> list[tuple[int, int]]:
        body = self._get(collection, what).bytes
        return body.extents(offset, _EVERYTHING if length is None else length)

    def size(self, collection: ShardPG, what: HObject) -> int:
        return self._get(collection, what).bytes.size

    def exists(self, collection: ShardPG, what: HObject) -> bool:
        found = self._content.get(collection)
        return found is not None and what in found.objects

    def attrs(self, collection: ShardPG, what: HObject) -> Mapping[bytes, bytes]:
        return self._get(collection, what).attrs

    def omap_header(self, collection: ShardPG, what: HObject) -> bytes:
        return self._get(collection, what).header

    def omap_get(
        self, collection: ShardPG, what: HObject, keys: Iterable[bytes]
    ) -> dict[bytes, bytes]:
        omap = self._get(collection, what).omap
        return {} if omap is None else {key: omap.values[key] for key in keys if key in omap}

    def omap_list(
        self, collection: ShardPG, what: HObject, first: bytes = b"", limit: int = 1000
    ) -> list[tuple[bytes, bytes]]:
        omap = self._get(collection, what).omap
        if omap is None:
            return []
        return [pair for pair, _ in zip(omap.items_from(first), range(limit), strict=False)]

    def list_objects(
        self,
        collection: ShardPG,
        first: HObject = HOBJECT_MIN,
        last: HObject = HOBJECT_MAX,
        limit: int = 1000,
    ) -> list[HObject]:
        found: list[HObject] = []
        end = last.sort_key()
        for key, what in self._collection(collection).order.items_from(first.sort_key()):
            if key >= end or len(found) == limit:
                break
            found.append(what)
        return found

    def collections(self) -> dict[ShardPG, int]:
        return {name: found.bits for name, found in self._content.items()}

    def usage(self, collection: ShardPG) -> api.Usage:
        usage = api.Usage()
        for what, body in self._collection(collection).objects.items():
            if what.name:
                usage.objects += 1
                usage.size += body.bytes.size
                usage.clones += what.snap != SNAP_HEAD
        return usage

    def space(self) -> api.Space:
        bodies = [body for found in self._content.values() for body in found.objects.values()]
        data = sum(body.bytes.used for body in bodies)
        metadata = sum(len(v) for body in bodies for v in body.attrs.values())
        return api.Space(self.capacity, max(0, self.capacity - data - metadata), data, metadata)

    def has_room(self, size: int) -> bool:
        return self._is_boundless or self.space().free > size + self.capacity // 32

    def fsck(self, repair: bool = False) -> list[api.Flaw]:
        return []

    def _collection(self, collection: ShardPG) -> _Collection:
        found = self._content.get(collection)
        if found is None:
            raise NotFound(f"There is no collection {collection}.", code="objectstore.no_pg")
        return found

    def _get(self, collection: ShardPG, what: HObject) -> _Object:
        body = self._collection(collection).objects.get(what)
        if body is None:
            raise NotFound("There is no such object.", code="objectstore.no_object")
        return body

    @property
    def _is_boundless(self) -> bool:
        return self.capacity >= 1 << 40  # more than there is memory: do not count

    def _require_space(self, transactions: list[api.Transaction]) -> None:
        if self._is_boundless:
            return
        free = self.space().free - checks.growth(transactions)
        if free < (0 if checks.is_freeing(transactions) else min(_RESERVE, self.capacity // 8)):
            raise api.Full


def _apply(content: _Content, transactions: Iterable[api.Transaction]) -> None:
    for transaction in transactions:
        for change in transaction:
            _APPLY[type(change)](content, change)


def _write(content: _Content, op: api.Write) -> None:
    content[op.collection].get(op.object).bytes.write(op.offset, op.data)


def _zero(content: _Content, op: api.Zero) -> None:
    content[op.collection].get(op.object).bytes.zero(op.offset, op.length)


def _truncate(content: _Content, op: api.Truncate) -> None:
    content[op.collection].get(op.object).bytes.truncate(op.size)


def _touch(content: _Content, op: api.Touch) -> None:
    content[op.collection].get(op.object)


def _remove(content: _Content, op: api.Remove) -> None:
    content[op.collection].pop(op.object)


def _set_attrs(content: _Content, op: api.SetAttrs) -> None:
    content[op.collection].get(op.object).attrs.update(op.attrs)


def _remove_attr(content: _Content, op: api.RemoveAttr) -> None:
    if body := content[op.collection].objects.get(op.object):
        body.attrs.pop(op.name, None)


def _remove_attrs(content: _Content, op: api.RemoveAttrs) -> None:
    if body := content[op.collection].objects.get(op.object):
        body.attrs.clear()


def _clone(content: _Content, op: api.Clone) -> None:
    if body := content[op.collection].objects.get(op.object):
        content[op.collection].put(op.target, body.copy())


def _clone_range(content: _Content, op: api.CloneRange) -> None:
    if source := content[op.collection].objects.get(op.object):
        target = content[op.collection].get(op.target)
        data = source.bytes.read(op.offset, op.length)
        target.bytes.zero(op.target_offset, len(data))
        for start, length in source.bytes.extents(op.offset, op.length):
            at = start - op.offset
            target.bytes.write(op.target_offset + at, data[at : at + length])


def _move(content: _Content, op: api.Move) -> None:
    found = content[op.collection]
    if body := found.pop(op.object):
        found.put(op.target, body)


def _omap_set(content: _Content, op: api.OmapSet) -> None:
    body = content[op.collection].get(op.object)
    if body.omap is None:
        body.omap = OrderedMap()
    for key, value in op.entries.items():
        body.omap.set(key, value)


def _omap_remove(content: _Content, op: api.OmapRemove) -> None:
    body = content[op.collection].objects.get(op.object)
    if body and body.omap is not None:
        for key in op.keys:
            body.omap.pop(key)


def _omap_remove_range(content: _Content, op: api.OmapRemoveRange) -> None:
    body = content[op.collection].objects.get(op.object)
    if body and body.omap is not None:
        gone = []
        for key in body.omap.keys_from(op.first):
            if key >= op.last:
                break
            gone.append(key)
        for key in gone:
            body.omap.pop(key)


def _omap_clear(content: _Content, op: api.OmapClear) -> None:
    if body := content[op.collection].objects.get(op.object):
        body.omap, body.header = None, b""


def _omap_header(content: _Content, op: api.OmapHeader) -> None:
    content[op.collection].get(op.object).header = op.header


def _create_collection(content: _Content, op: api.CreateCollection) -> None:
    content.setdefault(op.collection, _Collection(op.bits)).bits = op.bits


def _remove_collection(content: _Content, op: api.RemoveCollection) -> None:
    content.pop(op.collection, None)


def _split(content: _Content, op: api.SplitCollection) -> None:
    source, target = content[op.collection], content[op.target]
    mask = (1 << op.bits) - 1
    source.bits = target.bits = op.bits
    for what in [name for name in source.objects if name.hash & mask == op.target.pg.seed & mask]:
        body = source.pop(what)
        assert body is not None
        target.put(what, body)


_APPLY: dict[type[api.Operation], Callable[[_Content, Any], None]] = {
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
