# SPDX-License-Identifier: Apache-2.0
"""All keys and values: changed ones in memory, newest layer first, then the tables."""

from collections.abc import Iterator

from octostack.engines.ceph.osd.objectstore.block.tables import PageCache, Pair, Table, merge
from octostack.engines.ceph.osd.objectstore.ordered import OrderedMap

Layer = OrderedMap[bytes, bytes | None]  # None: removed


class Metadata:
    """Reads go down the layers; writes go to the newest."""

    def __init__(self) -> None:
        self.cache = PageCache()
        self.current: Layer = OrderedMap()
        self.frozen: list[Layer] = []  # newest first; being written as tables
        self.tables: list[Table] = []  # newest first

    def set(self, key: bytes, value: bytes | None) -> None:
        """Put, or with None remove."""
        self.current.set(key, value)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        values = self.current.values
        if key in values:
            return values[key]
        for layer in self.frozen:
            if key in layer.values:
                return layer.values[key]
        for table in self.tables:
            known, value = table.find(key)
            if known:
                return value
        return None

    def pairs(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What has a key from `first` up to, but without, `last`; may not change meanwhile."""
        layers: list[Iterator[Pair]] = [
            layer.items_from(first) for layer in (self.current, *self.frozen) if len(layer)
        ]
        layers += [table.pairs_from(first) for table in self.tables]
        for key, value in merge(layers, keep_removed=False):
            if key >= last:
                return
            assert value is not None
            yield key, value

    def freeze(self) -> Layer:
        """Begin a new layer; the old one is to become a table."""
        old = self.current
        self.frozen.insert(0, old)
        self.current = OrderedMap()
        return old

    def replace(self, frozen: Layer, tables: list[Table]) -> list[Table]:
        """`frozen` is in `tables` now; the tables that are no longer used."""
        self.frozen.remove(frozen)
        gone = [table for table in self.tables if table not in tables]
        self.tables = tables
        for table in gone:
            self.cache.drop(table)
        return gone


def to_merge(sizes: list[int]) -> int:
    """How many of the newest tables are to be merged, by their sizes: those that are not much
    smaller than all newer ones together. So there are few tables, each twice its newer neighbour.
    """
    total, count = sizes[0], 1
    while count < len(sizes) and sizes[count] < 2 * total:
        total += sizes[count]
        count += 1
    return count
