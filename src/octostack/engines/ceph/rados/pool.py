# SPDX-License-Identifier: Apache-2.0
"""A pool's objects: what librados calls an I/O context.

A `Pool` is a view that never changes: `within(namespace)`, `located_by(key)`, `at(snapshot)` and
`with_snaps(...)` give other views of the same pool, so that tasks may share one without harm.
Names are texts or bytes. A write returns the version that the object then has.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octostack.base import clock
from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.rados import listing
from octostack.engines.ceph.rados.core import ops, values
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.core.ops import FLAG_READ, FLAG_WRITE, ReadOp, Vector, WriteOp
from octostack.engines.ceph.rados.core.tracker import Op
from octostack.engines.ceph.rados.core.values import Name, to_bytes, to_text
from octostack.engines.ceph.rados.watches import TIMEOUT_S, NotifyAnswers, OnNotify, Watch
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.maps.pool import Pool as PoolInfo
from octostack.wire.ceph.maps.pool import PoolFlag
from octostack.wire.ceph.messages.osdop import OSDOpReply, RawOp, prepare
from octostack.wire.ceph.objects import (
    ALL_NAMESPACES,
    SNAP_DIR,
    SNAP_HEAD,
    HObject,
    Locator,
    write_locator,
)
from octostack.wire.ceph.opcodes import Code

if TYPE_CHECKING:
    from octostack.engines.ceph.rados.cluster import Cluster

EVERY_NAMESPACE: Final = to_text(ALL_NAMESPACES)
_READ_COST = 4096  # of a read to the end, whose length is not known


@lru_cache(maxsize=16384)
def _hash(hash_kind: int, name: bytes, key: bytes, namespace: bytes) -> int:
    return pools.object_hash(PoolInfo(object_hash=hash_kind), name, key, namespace)


class Pool:
    """See the module's essay."""

    def __init__(self, cluster: "Cluster", number: int, name: str) -> None:
        self.cluster = cluster
        self.id = number
        self.name = name
        self.snap = SNAP_HEAD  # what reads look at
        self.snaps: tuple[int, tuple[int, ...]] = (0, ())  # what writes keep: newest, newest first
        self.flags = 0  # of every vector
        self.locator = Locator(number)
        self._objecter = cluster.objecter
        self._encoded = _encoded(self.locator)

    # Views

    def within(self, namespace: Name) -> "Pool":
        """The pool's objects of one namespace; `EVERY_NAMESPACE` is for listings."""
        at = self.locator
        return self._view(locator=Locator(at.pool, at.key, to_bytes(namespace)))

    def located_by(self, key: Name) -> "Pool":
        """Objects that are placed by `key` and not by their names."""
        at = self.locator
        return self._view(locator=Locator(at.pool, to_bytes(key), at.namespace))

    def at(self, snap: int) -> "Pool":
        """The pool as of a snapshot, for reading."""
        return self._view(snap=snap)

    def with_snaps(self, seq: int, snaps: Iterable[int]) -> "Pool":
        """Writes keep what was there before these self-managed snapshots, newest first."""
        found = tuple(snaps)
        if list(found) != sorted(set(found), reverse=True) or (found and seq < found[0]):
            raise error_of(-22, f"snap context {seq}={list(found)}")
        return self._view(snaps=(seq, found))

    def with_flags(self, flags: int) -> "Pool":
        """Every vector with these flags (`core.ops.FLAG_*`) beside its own."""
        return self._view(flags=self.flags | flags)

    def _view(self, **changes: Any) -> "Pool":
        view = Pool(self.cluster, self.id, self.name)
        view.__dict__.update(self.__dict__, **changes)
        view._encoded = _encoded(view.locator)
        return view

    @property
    def info(self) -> PoolInfo:
        """The pool as the map has it. Raises NotFound when it is gone."""
        info = self._objecter.osdmap.pools.get(self.id)
        if info is None:
            raise error_of(-2, f"pool {self.name}")
        return info

    @property
    def namespace(self) -> str:
        """The namespace that this view is of."""
        return to_text(self.locator.namespace)

    @property
    def listed_namespace(self) -> bytes:
        """The namespace as listings ask for it."""
        return self.locator.namespace

    # Vectors

    async def operate(self, name: Name, vector: Vector) -> int:
        """Do a vector; its results then have values. The object's version.

        Raises the error of the operation that failed, or what else stopped it.
        """
        key = to_bytes(name)
        reply = await self.do(key, vector.raw, vector.flags)
        vector.settle(reply.results, reply.ops)
        if reply.result < 0:
            raise error_of(reply.result, to_text(key))
        return reply.user_version

    async def do(self, name: bytes, raw: list[RawOp], flags: int) -> OSDOpReply:
        """Send operations and wait for the answer, whatever it is."""
        return await self._objecter.do(self.op_for(name, raw, flags))

    async def submit(self, op: Op) -> OSDOpReply:
        """The same for one that `op_for` or `op_at` made."""
        return await self._objecter.do(op)

    def op_for(self, name: bytes, raw: list[RawOp], flags: int) -> Op:
        """Operations on an object, ready to be sent."""
        return self._op(self.locator, self._encoded, name, raw, self.hash_of(name), flags)

    def op_at(self, locator: Locator, name: bytes, raw: list[RawOp], flags: int) -> Op:
        """Operations on what a locator names: with a hash, on a group."""
        return self._op(locator, _encoded(locator), name, raw, locator.hash, flags)

    def hash_of(self, name: bytes) -> int:
        """What places an object."""
        at = self.locator
        info = self._objecter.osdmap.pools.get(self.id)
        return _hash(info.object_hash if info else 2, name, at.key, at.namespace)

    def _op(
        self,
        locator: Locator,
        encoded: bytes,
        name: bytes,
        raw: list[RawOp],
        full_hash: int,
        flags: int,
    ) -> Op:
        if flags & FLAG_WRITE:
            body, data = prepare(encoded, name, raw, (SNAP_HEAD, *self.snaps))
            mtime, cost = int(clock.now() * 1e9), len(data)
        else:
            body, data = prepare(encoded, name, raw, (self.snap, 0, ()))
            mtime, cost = 0, _READ_COST
            if raw and raw[0].code in (Code.READ, Code.SPARSE_READ):
                cost = int.from_bytes(raw[0].parameters[8:16], "little") or _READ_COST
        return Op(
            pool=self.id,
            hash=full_hash,
            flags=flags | self.flags | _ALWAYS,
            name=name,
            locator=locator,
            snap=self.snap,
            body=body,
            data=data,
            mtime=mtime,
            cost=cost,
        )

    async def _write(self, name: Name, op: RawOp) -> int:
        key = to_bytes(name)
        reply = await self._objecter.do(self.op_for(key, [op], FLAG_WRITE))
        if reply.result < 0:
            raise error_of(reply.result, to_text(key))
        return reply.user_version

    async def _read(self, name: Name, op: RawOp) -> Buffer:
        key = to_bytes(name)
        reply = await self._objecter.do(self.op_for(key, [op], FLAG_READ))
        if reply.result < 0:
            raise error_of(reply.result, to_text(key))
        return reply.ops[0].payload

    async def _change(self, name: Name, fill: Callable[[WriteOp], None]) -> int:
        op = WriteOp()
        fill(op)
        return await self.operate(name, op)

    # Bytes

    async def read(self, name: Name, length: int = 0, offset: int = 0) -> bytes:
        """Bytes of a range; a length of 0 means all there is. Raises NotFound."""
        op = RawOp(Code.READ, 0, ops.extent(offset, length))
        return bytes(await self._read(name, op))

    async def read_view(self, name: Name, length: int = 0, offset: int = 0) -> Buffer:
        """The same without a copy; large ones keep the message they came in alive."""
        return await self._read(name, RawOp(Code.READ, 0, ops.extent(offset, length)))

    async def sparse_read(self, name: Name, length: int = 0, offset: int = 0) -> values.Extents:
        """What of a range is no hole."""
        op = RawOp(Code.SPARSE_READ, 0, ops.extent(offset, length))
        return values.read_extents(await self._read(name, op))

    async def stat(self, name: Name) -> values.Stat:
        """Size and time. Raises NotFound."""
        return values.read_stat(await self._read(name, RawOp(Code.STAT)))

    async def write(self, name: Name, data: Buffer, offset: int = 0) -> int:
        """Put bytes at an offset. They must not change before this returns."""
        return await self._write(name, RawOp(Code.WRITE, 0, ops.extent(offset, len(data)), data))

    async def write_full(self, name: Name, data: Buffer) -> int:
        """Make these bytes the whole object."""
        return await self._write(name, RawOp(Code.WRITE_FULL, 0, ops.extent(0, len(data)), data))

    async def write_same(self, name: Name, unit: Buffer, length: int, offset: int = 0) -> int:
        """Fill a range with copies of `unit`."""
        return await self._change(name, lambda op: op.write_same(offset, length, unit))

    async def append(self, name: Name, data: Buffer) -> int:
        """Put bytes at the end."""
        return await self._write(name, RawOp(Code.APPEND, 0, ops.extent(0, len(data)), data))

    async def truncate(self, name: Name, size: int) -> int:
        """Cut, or grow with zeros."""
        return await self._change(name, lambda op: op.truncate(size))

    async def zero(self, name: Name, offset: int, length: int) -> int:
        """Make zeros of a range."""
        return await self._change(name, lambda op: op.zero(offset, length))

    async def compare(self, name: Name, wanted: Buffer, offset: int = 0) -> None:
        """Raises Conflict, which tells the first byte that differs."""
        op = ReadOp()
        op.compare(offset, wanted)
        await self.operate(name, op)

    async def create(self, name: Name, *, exclusive: bool = True) -> int:
        """Let an object be. Raises Conflict when it must be new and is not."""
        return await self._change(name, lambda op: op.create(exclusive=exclusive))

    async def remove(self, name: Name) -> int:
        """Take an object away. Raises NotFound."""
        return await self._write(name, RawOp(Code.DELETE))

    async def copy(
        self, name: Name, source: Name, *, of: "Pool | None" = None, version: int = 0
    ) -> int:
        """Make an object a copy of another, of another view too, by the OSDs themselves."""
        view = of or self
        return await self._change(
            name,
            lambda op: op.copy_from(source, view.locator, version=version, snap=view.snap),
        )

    # Attributes and omaps

    async def get_xattr(self, name: Name, key: Name) -> bytes:
        """An attribute. Raises NotFound (ENODATA)."""
        op = ReadOp()
        found = op.get_xattr(key)
        await self.operate(name, op)
        return found.value

    async def list_xattrs(self, name: Name) -> dict[str, bytes]:
        """All attributes."""
        return values.read_strings(await self._read(name, RawOp(Code.GETXATTRS)))

    async def set_xattr(self, name: Name, key: Name, value: bytes) -> int:
        """Put an attribute."""
        return await self._change(name, lambda op: op.set_xattr(key, value))

    async def remove_xattr(self, name: Name, key: Name) -> int:
        """Take an attribute away."""
        return await self._change(name, lambda op: op.remove_xattr(key))

    async def get_omap(self, name: Name, keys: Iterable[Name]) -> dict[str, bytes]:
        """The values of those of these keys that are there."""
        op = ReadOp()
        found = op.get_omap(keys)
        await self.operate(name, op)
        return found.value

    async def list_omap(
        self, name: Name, after: Name = "", limit: int = 1024, prefix: Name = ""
    ) -> values.OmapPage:
        """A page of the omap, in the order of the keys."""
        op = ReadOp()
        found = op.list_omap(after, limit, prefix)
        await self.operate(name, op)
        return found.value

    async def walk_omap(self, name: Name, prefix: Name = "") -> AsyncIterator[tuple[str, bytes]]:
        """The whole omap, page by page."""
        after: Name = ""
        while True:
            page = await self.list_omap(name, after, prefix=prefix)
            for key, value in page.values.items():
                yield key, value
            if not page.more or not page.values:
                return
            after = next(reversed(page.values))

    async def set_omap(self, name: Name, items: Mapping[str, bytes] | Mapping[bytes, bytes]) -> int:
        """Put keys and values."""
        return await self._change(name, lambda op: op.set_omap(items))

    async def remove_omap(self, name: Name, keys: Iterable[Name]) -> int:
        """Take keys away."""
        return await self._change(name, lambda op: op.remove_omap(keys))

    async def clear_omap(self, name: Name) -> int:
        """Take away all keys, and the header."""
        return await self._change(name, lambda op: op.clear_omap())

    async def get_omap_header(self, name: Name) -> bytes:
        """The omap's header."""
        return bytes(await self._read(name, RawOp(Code.OMAP_HEADER)))

    async def set_omap_header(self, name: Name, data: bytes) -> int:
        """Put the omap's header."""
        return await self._change(name, lambda op: op.set_omap_header(data))

    # Classes, watches

    async def exec(self, name: Name, class_name: str, method: str, data: bytes = b"") -> bytes:
        """Call a method of an object class; what it puts out."""
        op = ReadOp()
        found = op.exec(class_name, method, data)
        await self.operate(name, op)
        return found.value

    async def watch(self, name: Name, hear: OnNotify, *, timeout_s: int = TIMEOUT_S) -> Watch:
        """Hear of notifies of an object: ``async with await pool.watch(...) as watch``.

        What `hear` returns is the answer. Raises NotFound.
        """
        watch = Watch(self.cluster.watches, self, to_bytes(name), hear)
        watch.timeout_s = timeout_s
        await watch.begin()
        return watch

    async def notify(
        self, name: Name, payload: bytes = b"", *, timeout_s: int = TIMEOUT_S
    ) -> NotifyAnswers:
        """Tell all who watch an object; returns when each has answered, or the time is up."""
        return await self.cluster.watches.notify(self, to_bytes(name), payload, timeout_s)

    async def list_watchers(self, name: Name) -> list[values.Watcher]:
        """Who watches an object."""
        return values.read_watchers(await self._read(name, RawOp(Code.LIST_WATCHERS)))

    # Listing

    def list_objects(
        self, begin: HObject = listing.BEGIN, end: HObject = listing.END
    ) -> AsyncIterator[values.Listed]:
        """The objects of this view's namespace between two cursors."""
        return listing.list_objects(self, begin, end)

    def slices(self, count: int) -> list[tuple[HObject, HObject]]:
        """Pairs of cursors that can be listed side by side, and together are the whole pool."""
        return listing.slices(self, count)

    # Snapshots

    async def list_states(self, name: Name) -> values.SnapSet:
        """All states of an object that snapshots keep."""
        return values.read_snaps(await self.at(SNAP_DIR)._read(name, RawOp(Code.LIST_SNAPS)))

    async def rollback(self, name: Name, snap: int) -> int:
        """Make an object what it was as of a snapshot."""
        return await self._change(name, lambda op: op.rollback(snap))

    @property
    def has_own_snaps(self) -> bool:
        """Whether the pool as a whole has snapshots; it then has no self-managed ones."""
        return bool(self.info.flags & PoolFlag.POOL_SNAPS)


_ALWAYS = 0x1 | 0x4 | 0x400000  # answer, when durable; we know of redirects


def _encoded(locator: Locator) -> bytes:
    w = Writer()
    write_locator(w, locator)
    return w.done()
