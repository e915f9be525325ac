# SPDX-License-Identifier: Apache-2.0
"""The store on a disk at work: transactions in, batches to the disk.

`queue` does all deciding at once, in memory, and leaves what is to be written in the open batch.
One task (`writer.Writer`) closes the batch, writes it and syncs, while the next one gathers: so
however many wait, there is one sync for all of them, and none of it holds up the event loop.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from octostack.base.errors import Corrupt, NotFound, OctoError, Unavailable
from octostack.engines.ceph.osd.objectstore import api, checks
from octostack.engines.ceph.osd.objectstore.block import changes, fsck, keys, recovery
from octostack.engines.ceph.osd.objectstore.block.bodies import Body, Bytes, Cached
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Onode
from octostack.engines.ceph.osd.objectstore.block.writer import Writer
from octostack.runtime import tasks
from octostack.runtime.device import Data, Device
from octostack.wire.ceph.objects import HOBJECT_MAX, HOBJECT_MIN, SNAP_HEAD, HObject, ShardPG

CACHE_BYTES = 16 << 20  # of metadata: half for objects, half for pages of the tables
_BODY_BYTES = (
    1200  # about what an object takes in memory, and each of its chunks that was looked at
)
_CHUNK_BYTES = 800  # each of its chunks that was looked at,
_PAGE_BYTES = 48 << 10  # and a page
_EVERYTHING = 1 << 62
LONG_BYTES = 128 << 10  # what takes so long to read that others go on meanwhile
_ASIDE_MAX = 4  # reads at a time
_UNKNOWN: Any = object()  # None: known not to be there
_Name = tuple[ShardPG, HObject]


class BlockStore(api.ObjectStore):
    """Objects on `device`; a disk that never held a store is made one by `open`.

    `cache_bytes` bounds the metadata kept in memory, but for what is not yet in the tables.
    `long_bytes`: see `api.ObjectStore.is_long`.
    """

    def __init__(
        self, device: Device, cache_bytes: int = CACHE_BYTES, long_bytes: int = LONG_BYTES
    ) -> None:
        self.device = device
        self._cache_bytes = cache_bytes
        self._cached = Cached()
        self._usage: dict[ShardPG, api.Usage] = {}
        self._usage_changed: set[ShardPG] = set()
        self.collection_bits: dict[ShardPG, int] = {}
        self._bodies: OrderedDict[_Name, Body | None] = OrderedDict()
        self._changed: dict[_Name, Body] = {}
        self.state: recovery.State
        self.bytes: Bytes
        self._writer: Writer
        self._long_bytes = long_bytes
        self._reading = 0
        self._to_read: deque[Callable[[], None]] = deque()
        self._aside = tasks.Supervisor("objectstore aside")

    async def open(self) -> None:
        """Raises Corrupt, Unsupported (a newer format), Invalid (too small)."""
        self.state = await recovery.open_state(self.device)
        self.bytes = Bytes(self.state.blocks, self.state.metadata.get)
        self.state.metadata.cache.resize(self._cache_bytes // 2 // _PAGE_BYTES)
        first, last = keys.COLLECTIONS, bytes([keys.COLLECTIONS[0] + 1])
        for key, value in list(self.state.metadata.pairs(first, last)):
            where = keys.collection_of(key[1:])
            self.collection_bits[where], usage = keys.decode_facts(value)
            self._usage[where] = usage or fsck.count_usage(self.state.metadata, where)
        self._writer = Writer(self.state)
        self._writer.start()

    async def close(self) -> None:
        await self._aside.stop()
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
                changes.APPLY[type(change)](self, change)
        self.keep()
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

    def is_long(self, length: int) -> bool:
        return length >= self._long_bytes

    def read_aside(
        self, collection: ShardPG, what: HObject, span: tuple[int, int], then: api.Found
    ) -> None:
        self._get(collection, what)

        def start() -> None:
            self._reading += 1
            self._aside.start("read", lambda: self._read_aside((collection, what), span, then))

        if self._reading < _ASIDE_MAX:
            start()
        else:
            self._to_read.append(start)

    async def _read_aside(self, name: _Name, span: tuple[int, int], then: api.Found) -> None:
        found: Data | OctoError
        try:
            work = self.bytes.plan_read(self._get(*name), *span)
            found = await self.device.offload(work, aside=True)
        except (Corrupt, NotFound):  # or it was changed meanwhile
            found = self._look_again(name, span)
        self._reading -= 1
        if self._to_read:
            self._to_read.popleft()()
        then(found)

    def _look_again(self, name: _Name, span: tuple[int, int]) -> Data | OctoError:
        try:
            return self.view(*name, *span)
        except (Corrupt, NotFound) as error:
            return error

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

    def usage(self, collection: ShardPG) -> api.Usage:
        found = self._usage.get(collection)
        if found is None:
            raise NotFound(f"There is no collection {collection}.", code="objectstore.no_pg")
        return found

    def space(self) -> api.Space:
        state = self.state
        metadata = sum(table.size for table in state.metadata.tables) + state.journal.size
        free = state.blocks.allocator.free_blocks * BLOCK
        waiting = state.freed_blocks * BLOCK
        total = self.device.size
        return api.Space(total, free + waiting, state.data_blocks * BLOCK, metadata)

    def has_room(self, size: int) -> bool:
        free = self.state.blocks.allocator.free_blocks - self.state.reserve()
        return free * BLOCK > size + self.device.size // 32

    def fsck(self, repair: bool = False) -> list[api.Flaw]:
        return fsck.check(self, repair=repair)

    def find(self, collection: ShardPG, what: HObject) -> Body | None:
        """The object in memory, or None."""
        name = (collection, what)
        bodies = self._bodies
        known: Body | None = bodies.get(name, _UNKNOWN)
        if known is not _UNKNOWN:
            bodies.move_to_end(name)
            return known
        data = self.state.metadata.get(keys.object_key(collection, what))
        body = Body(keys.decode_onode(data), self._cached) if data is not None else None
        self._remember(name, body)
        return body

    # -- changing

    def _get(self, collection: ShardPG, what: HObject) -> Body:
        body = self.find(collection, what)
        if body is None:
            raise NotFound("There is no such object.", code="objectstore.no_object")
        return body

    def touch(self, collection: ShardPG, what: HObject) -> Body:
        """The object, made if it is not there, as something to be kept."""
        body = self.find(collection, what)
        if body is None:
            body = Body(Onode(self.state.new_number()), self._cached, new=True)
            self._remember((collection, what), body)
        self._changed[collection, what] = body
        return body

    def _remember(self, name: _Name, body: Body | None) -> None:
        bodies, limit = self._bodies, self._cache_bytes // 2
        bodies[name] = body
        while len(bodies) * _BODY_BYTES + self._cached.chunks * _CHUNK_BYTES > limit:
            oldest = next(iter(bodies))
            if oldest in self._changed or oldest == name:
                return
            gone = bodies.pop(oldest)
            if gone is not None:
                gone.forgotten()

    def keep(self) -> None:
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
                if body.counted != body.onode.size:
                    self._count(collection, what, body)
        self._changed.clear()
        for collection in self._usage_changed:
            self.put_facts(collection)
        self._usage_changed.clear()

    def put_facts(self, collection: ShardPG) -> None:
        """Keep what is known of a collection as a whole."""
        usage = self._usage.setdefault(collection, api.Usage())
        value = keys.encode_facts(self.collection_bits[collection], usage)
        self.state.set(keys.collection_key(collection), value)

    def set_usage(self, collection: ShardPG, usage: api.Usage) -> None:
        """Put right what is counted."""
        self._usage[collection] = usage
        self.put_facts(collection)

    def forget_collection(self, collection: ShardPG) -> None:
        """It is no more; nothing is in it."""
        del self.collection_bits[collection]
        self._usage.pop(collection, None)
        self._usage_changed.discard(collection)
        self.state.set(keys.collection_key(collection), None)

    def _count(self, collection: ShardPG, what: HObject, body: Body) -> None:
        """The object is one of its collection, with the size it has now."""
        if what.name:
            usage = self._usage[collection]
            if body.counted < 0:
                usage.objects += 1
                usage.clones += what.snap != SNAP_HEAD
            usage.size += body.onode.size - max(0, body.counted)
            self._usage_changed.add(collection)
        body.counted = body.onode.size

    def _uncount(self, collection: ShardPG, what: HObject, body: Body) -> None:
        if what.name and body.counted >= 0:
            usage = self._usage[collection]
            usage.objects -= 1
            usage.clones -= what.snap != SNAP_HEAD
            usage.size -= body.counted
            self._usage_changed.add(collection)
        body.counted = -1

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
        reserve = self.state.reserve()
        if wanted + reserve > free and checks.is_freeing(todo):
            reserve = reserve // 2 if wanted else 0
        if wanted + reserve > free:
            raise api.Full

    def drop(self, collection: ShardPG, what: HObject) -> None:
        """Remove an object with all that belongs to it."""
        body = self.find(collection, what)
        if body is None:
            return
        self._uncount(collection, what, body)
        chunks = body.chunk_count
        self.bytes.truncate(body, 0)
        for number in {*range(chunks), *body.changed}:
            self.state.set(keys.chunk_key(body.onode.number, number), None)
        self.clear_omap(body)
        self.state.set(keys.object_key(collection, what), None)
        body.forgotten()
        self._changed.pop((collection, what), None)
        self._bodies[collection, what] = None

    def clear_omap(self, body: Body) -> None:
        """Remove all keys and the header."""
        if body.onode.has_omap:
            for key, _ in list(self._omap(body.onode.number)):
                self.state.set(key, None)
        body.onode.has_omap, body.onode.header = False, b""
        body.onode_changed = True

    def clone(self, collection: ShardPG, source: HObject, target: HObject) -> None:
        """Make `target` a copy of `source`, which shares its blocks."""
        body = self.find(collection, source)
        if body is None or source == target:
            return
        self.drop(collection, target)
        twin = self.touch(collection, target)
        twin.onode.attrs = dict(body.onode.attrs)
        twin.onode.header, twin.onode.has_omap = body.onode.header, body.onode.has_omap
        twin.onode_changed = True
        self.bytes.share(body, twin)
        for key, value in list(self._omap(body.onode.number)) if body.onode.has_omap else []:
            name = key[keys.OMAP_KEY_AT :]
            self.state.set(keys.omap_key(twin.onode.number, name), value)

    def move(self, source: _Name, target: _Name) -> None:
        """Give an object another name, in the place of what has it."""
        body = self.find(*source)
        if body is None or source == target:
            return
        self.drop(*target)
        self._uncount(*source, body)
        self.state.set(keys.object_key(*source), None)
        self._changed.pop(source, None)
        self._bodies[source] = None
        body.onode_changed = True
        self._bodies[target] = body
        self._changed[target] = body
