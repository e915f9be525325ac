# SPDX-License-Identifier: Apache-2.0
"""What an OSD asks of its disk.

A store holds collections (one for each placement group) of objects. An object has bytes, with
holes; attributes; and an omap, which is an ordered map with a header. Changes come as
transactions: lists of the operations below, each applied whole or not at all.

* `ObjectStore.queue` takes transactions and returns at once. Every later read sees them. `done` is
  called, in the order of queueing, once they are durable: after a crash at any moment all that was
  `done` is there, and what else is there is a beginning of what was queued.
* Operations are total: what they write to comes to be, and what they take from may be missing. So
  a replica or a replay can always apply what another one did. Only two things refuse a
  transaction, before any of it is applied: a collection that is not there, and `Full`. Bytes that
  the disk damaged stay so, wherever they are cloned, until they are written or cut off.
* Reads return at once, from memory, the page cache, or the disk; what is large can be read aside,
  while others go on. Raises NotFound for an object that is not there, Corrupt when the bytes on
  the disk are not those that were written.

Object names sort by `HObject.sort_key`: by the bits of the hash in reverse, so that the objects of
a placement group that splits are neighbours, and a listing goes on where it was after the split.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from octostack.base.errors import Corrupt, OctoError, Unavailable
from octostack.wire.ceph.objects import HOBJECT_MAX, HOBJECT_MIN, PG, HObject, ShardPG

Data: TypeAlias = bytes | bytearray | memoryview
Found: TypeAlias = Callable[[Data | OctoError], None]

META = ShardPG(PG(-1, 0))  # the collection of what belongs to the OSD as a whole


class Full(Unavailable):
    """The transaction does not fit; reads and deletions go on."""

    def __init__(self, message: str = "The disk is full.") -> None:
        super().__init__(message, code="objectstore.full")


class Operation(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """One change of one collection; all but those of collections name an object in it."""

    collection: ShardPG


class Touch(Operation, frozen=True, tag=1):
    object: HObject


class Write(Operation, frozen=True, tag=2):
    """Put `data` at `offset`; the object grows to hold it, and what lies between is a hole.

    The data must not change any more: it is not copied.
    """

    object: HObject
    offset: int
    data: Data


class Zero(Operation, frozen=True, tag=3):
    """Make a range read as zeros, and give its space back; grows the object as a write does."""

    object: HObject
    offset: int
    length: int


class Truncate(Operation, frozen=True, tag=4):
    object: HObject
    size: int


class Remove(Operation, frozen=True, tag=5):
    object: HObject


class SetAttrs(Operation, frozen=True, tag=6):
    object: HObject
    attrs: dict[bytes, bytes]


class RemoveAttr(Operation, frozen=True, tag=7):
    object: HObject
    name: bytes


class RemoveAttrs(Operation, frozen=True, tag=8):
    object: HObject


class Clone(Operation, frozen=True, tag=9):
    """Make `target` equal `object` in bytes, attributes and omap, whatever it was before."""

    object: HObject
    target: HObject


class CloneRange(Operation, frozen=True, tag=10):
    """Write bytes of `object` (those it has, of `length` at `offset`) to `target`."""

    object: HObject
    target: HObject
    offset: int
    length: int
    target_offset: int


class Move(Operation, frozen=True, tag=11):
    """Give the object another name in its collection, in the place of what has it now."""

    object: HObject
    target: HObject


class OmapSet(Operation, frozen=True, tag=12):
    object: HObject
    entries: dict[bytes, bytes]


class OmapRemove(Operation, frozen=True, tag=13):
    object: HObject
    keys: Sequence[bytes]


class OmapRemoveRange(Operation, frozen=True, tag=14):
    """Remove the keys from `first` up to, but without, `last`."""

    object: HObject
    first: bytes
    last: bytes


class OmapClear(Operation, frozen=True, tag=15):
    """Remove all keys and the header."""

    object: HObject


class OmapHeader(Operation, frozen=True, tag=16):
    object: HObject
    header: bytes


class CreateCollection(Operation, frozen=True, tag=17):
    """Make the collection; `bits` of the hash are the same in all its objects."""

    bits: int = 0


class RemoveCollection(Operation, frozen=True, tag=18):
    """Remove the collection and all that is in it."""


class SplitCollection(Operation, frozen=True, tag=19):
    """Give to `target`, which exists, the objects whose hash has its seed in the last `bits`."""

    target: ShardPG
    bits: int


Change: TypeAlias = (
    Touch
    | Write
    | Zero
    | Truncate
    | Remove
    | SetAttrs
    | RemoveAttr
    | RemoveAttrs
    | Clone
    | CloneRange
    | Move
    | OmapSet
    | OmapRemove
    | OmapRemoveRange
    | OmapClear
    | OmapHeader
    | CreateCollection
    | RemoveCollection
    | SplitCollection
)
Transaction: TypeAlias = Sequence[Change]


class Space(msgspec.Struct, frozen=True):
    """Bytes of a store: what it has, what is free, and what objects and their metadata take."""

    total: int
    free: int
    data: int
    metadata: int


class Usage(msgspec.Struct):
    """What a collection holds; the group's own objects, which have no name, do not count."""

    objects: int = 0
    size: int = 0  # bytes, holes as well
    clones: int = 0  # of the objects


class Flaw(msgspec.Struct, frozen=True):
    """Something fsck found: where, what, and whether it was mended."""

    where: str
    what: str
    mended: bool = False


class ObjectStore(ABC):
    """The interface; see the module's essay."""

    @abstractmethod
    async def open(self) -> None:
        """Recover what was durable; then the rest may be called. Raises Corrupt."""

    @abstractmethod
    async def close(self) -> None:
        """Make all that was queued durable, and let go of the disk."""

    @abstractmethod
    def queue(
        self, transactions: Iterable[Transaction], done: Callable[[], None] | None = None
    ) -> None:
        """Apply all; call `done` when they are durable. Raises Full, NotFound (a collection)."""

    @abstractmethod
    def read(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> bytes:
        """Bytes of the range that the object has; None reads to its end."""

    def view(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> Data:
        """As `read`; large ranges without a copy, in memory that nobody changes any more."""
        return self.read(collection, what, offset, length)

    def is_long(self, length: int) -> bool:
        """Whether to read so much at once would hold up others."""
        return False

    def read_aside(
        self, collection: ShardPG, what: HObject, span: tuple[int, int], then: Found
    ) -> None:
        """As `view` of (offset, length), but others go on meanwhile; `then` gets the bytes, or the
        failure. A change that comes before may be in them, or not. Raises NotFound."""
        try:
            found: Data | OctoError = self.view(collection, what, *span)
        except Corrupt as error:
            found = error
        then(found)

    @abstractmethod
    def extents(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> list[tuple[int, int]]:
        """The (offset, length) of what is not a hole within the range and the size, in order."""

    @abstractmethod
    def size(self, collection: ShardPG, what: HObject) -> int:
        """The object's length in bytes."""

    @abstractmethod
    def exists(self, collection: ShardPG, what: HObject) -> bool:
        """Whether the object is there; False also when its collection is not."""

    @abstractmethod
    def attrs(self, collection: ShardPG, what: HObject) -> Mapping[bytes, bytes]:
        """All attributes; not to be changed by the caller."""

    @abstractmethod
    def omap_header(self, collection: ShardPG, what: HObject) -> bytes:
        """The header; empty when none was set."""

    @abstractmethod
    def omap_get(
        self, collection: ShardPG, what: HObject, keys: Iterable[bytes]
    ) -> dict[bytes, bytes]:
        """Those of `keys` that are there."""

    @abstractmethod
    def omap_list(
        self, collection: ShardPG, what: HObject, first: bytes = b"", limit: int = 1000
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` entries from key `first` on, in order."""

    @abstractmethod
    def list_objects(
        self,
        collection: ShardPG,
        first: HObject = HOBJECT_MIN,
        last: HObject = HOBJECT_MAX,
        limit: int = 1000,
    ) -> list[HObject]:
        """Up to `limit` objects from `first` up to, but without, `last`, in order."""

    @abstractmethod
    def collections(self) -> dict[ShardPG, int]:
        """Each collection with its bits."""

    @abstractmethod
    def usage(self, collection: ShardPG) -> Usage:
        """How much is in a collection; not to be changed by the caller. Raises NotFound."""

    @abstractmethod
    def space(self) -> Space:
        """How full the store is."""

    @abstractmethod
    def has_room(self, size: int) -> bool:
        """Whether so many bytes may come, and a thirty-second of the store stays free beside."""

    @abstractmethod
    def fsck(self, repair: bool = False) -> list[Flaw]:
        """Read and check everything; with `repair`, mend what can be without another copy."""


def find_attr(store: ObjectStore, collection: ShardPG, what: HObject, name: bytes) -> bytes | None:
    """One attribute, or None when it or the object is not there."""
    if not store.exists(collection, what):
        return None
    return store.attrs(collection, what).get(name)
