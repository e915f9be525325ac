# SPDX-License-Identifier: Apache-2.0
"""A store in memory whose objects can be damaged behind its back, as a disk's are."""

from collections.abc import Callable, Iterable
from random import Random

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops.state import INFO_ATTR
from octostack.wire.ceph.objects import HObject, ShardPG

LOUD = ("unreadable",)  # the disk itself tells
SILENT = ("bytes", "cut", "grown", "attribute", "info", "omap", "header", "lost")


class DamagedStore(MemoryStore):
    """Objects in `unreadable` raise Corrupt when their bytes are read, until they are written."""

    def __init__(self) -> None:
        super().__init__(by_hand=True)
        self.unreadable: set[tuple[ShardPG, HObject]] = set()

    def queue(
        self, transactions: Iterable[api.Transaction], done: Callable[[], None] | None = None
    ) -> None:
        todo = list(transactions)
        for change in (change for transaction in todo for change in transaction):
            if isinstance(change, api.Remove):
                self.unreadable.discard((change.collection, change.object))
        super().queue(todo, done)

    def read(
        self, collection: ShardPG, what: HObject, offset: int = 0, length: int | None = None
    ) -> bytes:
        if (collection, what) in self.unreadable:
            raise Corrupt("These are not the bytes that were written.", code="testing.damaged")
        return super().read(collection, what, offset, length)

    def damage(self, where: ShardPG, what: HObject, how: str, rng: Random) -> bool:
        """Damage the object on the disk in one of the ways `LOUD` or `SILENT`; False when it has
        nothing that could be damaged so."""
        if how == "unreadable":
            if not self.exists(where, what):
                return False
            self.unreadable.add((where, what))
            return True
        mark = rng.randrange(1 << 30)
        changes = self._changes(where, what, how, mark) if self.exists(where, what) else []
        if changes and not self.waiting:
            self.queue([changes])
            self.commit()
            return True
        return False

    def _changes(self, where: ShardPG, what: HObject, how: str, mark: int) -> list[api.Change]:
        size = self.size(where, what)
        word = b"damage %d" % mark
        match how:
            case "bytes" if size:
                at = mark % size
                new = bytes([self.read(where, what, at, 1)[0] ^ 0x40])
                return [api.Write(where, what, at, new)]
            case "cut" if size:
                return [api.Truncate(where, what, size - 1)]
            case "grown":
                return [api.Write(where, what, size, word)]
            case "attribute":
                return [api.SetAttrs(where, what, {b"_damage": word})]
            case "info":
                return [api.SetAttrs(where, what, {INFO_ATTR: word})]
            case "omap":
                return [api.OmapSet(where, what, {word: word})]
            case "header":
                return [api.OmapHeader(where, what, word)]
            case "lost":
                return [api.Remove(where, what)]
        return []
