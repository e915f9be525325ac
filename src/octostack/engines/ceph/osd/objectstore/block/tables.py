# SPDX-License-Identifier: Apache-2.0
"""Sorted tables of metadata on the disk: written once, read by key or in order, merged, dropped.

A table is a row of pages of about 16 KiB, each with its checksum. Its index (the first key of each
page) and a filter of the keys it has are kept in memory. A key that was removed stands in a table
with no value, until that table is merged with the oldest one.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import google_crc32c
import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.block.allocator import Run
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.runtime.device import Device

PAGE_BYTES = 16 << 10
CACHED_PAGES = 256
_FILTER_BITS = 10  # for each key: about one look-up of a hundred is in vain
_PROBES = 4

Pair = tuple[bytes, bytes | None]
Page = tuple[list[bytes], list[bytes | None]]

_encoder = msgspec.msgpack.Encoder()
_page_decoder = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes | None]])


class Index(msgspec.Struct, array_like=True):
    """Of a table's pages: first key, offset in the table, length, checksum; and the filter."""

    firsts: list[bytes]
    offsets: list[int]
    lengths: list[int]
    sums: list[int]
    last: bytes
    keys: int
    filter: bytes


_index_decoder = msgspec.msgpack.Decoder(Index)


class TableFacts(msgspec.Struct, array_like=True, frozen=True):
    """What the manifest says of a table."""

    runs: list[Run]
    index_offset: int
    length: int
    index_sum: int


class Built(msgspec.Struct):
    """A table that is not on the disk yet."""

    data: bytes
    index: Index
    index_offset: int
    index_sum: int


def build(pairs: Iterable[Pair]) -> Built | None:
    """The table of `pairs`, which are sorted; None when there are none."""
    pages: list[bytes] = []
    index = Index([], [], [], [], b"", 0, b"")
    hashes: list[int] = []
    offset, weight = 0, 0
    keys: list[bytes] = []
    values: list[bytes | None] = []

    def close_page() -> None:
        nonlocal offset, weight, keys, values
        page = _encoder.encode((keys, values))
        pages.append(page)
        index.firsts.append(keys[0])
        index.offsets.append(offset)
        index.lengths.append(len(page))
        index.sums.append(google_crc32c.value(page))
        offset += len(page)
        weight, keys, values = 0, [], []

    for key, value in pairs:
        keys.append(key)
        values.append(value)
        hashes.append(google_crc32c.value(key))
        weight += len(key) + len(value or b"") + 6
        index.last = key
        if weight >= PAGE_BYTES:
            close_page()
    if keys:
        close_page()
    if not pages:
        return None
    index.keys, index.filter = len(hashes), _make_filter(hashes)
    encoded = _encoder.encode(index)
    return Built(b"".join(pages) + encoded, index, offset, google_crc32c.value(encoded))


class Table:
    """One table on the disk."""

    def __init__(self, device: Device, facts: TableFacts, index: Index, cache: "PageCache") -> None:
        self.facts = facts
        self.index = index
        self._device = device
        self._cache = cache
        self._filter_bits = len(index.filter) * 8

    @classmethod
    def open(cls, device: Device, facts: TableFacts, cache: "PageCache") -> "Table":
        """Read the index. Raises Corrupt."""
        length = facts.length - facts.index_offset
        data = read_runs(device, facts.runs, facts.index_offset, length)
        if google_crc32c.value(data) != facts.index_sum:
            raise Corrupt("An index of metadata is damaged.", code="objectstore.index")
        return cls(device, facts, _index_decoder.decode(data), cache)

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return BLOCK * sum(count for _, count in self.facts.runs)

    def find(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether the table says something of `key`, and its value (None: removed)."""
        number = google_crc32c.value(key)
        filter_, bits = self.index.filter, self._filter_bits
        step = (number >> 17 | number << 15) & 0xFFFFFFFF
        for _ in range(_PROBES):
            bit = number % bits
            if not filter_[bit >> 3] >> (bit & 7) & 1:
                return False, None
            number += step
        at = bisect_right(self.index.firsts, key) - 1
        if at < 0:
            return False, None
        keys, values = self.page(at)
        slot = bisect_left(keys, key)
        if slot < len(keys) and keys[slot] == key:
            return True, values[slot]
        return False, None

    def pairs_from(self, first: bytes) -> Iterator[Pair]:
        """Pairs whose key is not below `first`."""
        if first > self.index.last:
            return
        at = max(0, bisect_right(self.index.firsts, first) - 1)
        for number in range(at, len(self.index.firsts)):
            keys, values = self.page(number)
            start = bisect_left(keys, first) if number == at else 0
            yield from zip(keys[start:], values[start:], strict=True)

    def all_pairs(self) -> Iterator[Pair]:
        """All, past the cache: safe in another thread."""
        for number in range(len(self.index.firsts)):
            yield from zip(*self._read(number), strict=True)

    def page(self, number: int) -> Page:
        """Keys and values of a page. Raises Corrupt."""
        page = self._cache.get(self, number)
        if page is None:
            page = self._read(number)
            self._cache.put(self, number, page)
        return page

    def _read(self, number: int) -> Page:
        index = self.index
        data = read_runs(
            self._device, self.facts.runs, index.offsets[number], index.lengths[number]
        )
        if google_crc32c.value(data) != index.sums[number]:
            raise Corrupt("A page of metadata is damaged.", code="objectstore.page")
        return _page_decoder.decode(data)


class PageCache:
    """The pages read last, of all tables."""

    def __init__(self, size: int = CACHED_PAGES) -> None:
        self._size = size
        self._pages: OrderedDict[tuple[int, int], Page] = OrderedDict()

    def resize(self, size: int) -> None:
        """Keep so many from now on."""
        self._size = max(8, size)

    def get(self, table: Table, number: int) -> Page | None:
        """A page that was put, if it is still here."""
        key = (id(table), number)
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
        return page

    def put(self, table: Table, number: int, page: Page) -> None:
        """Keep a page."""
        self._pages[id(table), number] = page
        while len(self._pages) > self._size:
            self._pages.popitem(last=False)

    def drop(self, table: Table) -> None:
        """Forget a table's pages: another one may get its identity."""
        for key in [key for key in self._pages if key[0] == id(table)]:
            del self._pages[key]


def merge(newest_first: Sequence[Iterable[Pair]], *, keep_removed: bool) -> Iterator[Pair]:
    """The pairs of all, in order; of one key the newest counts."""
    ranked = [_ranked(pairs, rank) for rank, pairs in enumerate(newest_first)]
    last: bytes | None = None
    for key, _, value in heapq.merge(*ranked):
        if key == last:
            continue
        last = key
        if value is not None or keep_removed:
            yield key, value


def _ranked(pairs: Iterable[Pair], rank: int) -> Iterator[tuple[bytes, int, bytes | None]]:
    return ((key, rank, value) for key, value in pairs)


def read_runs(device: Device, runs: Sequence[Run], offset: int, length: int) -> bytes:
    """`length` bytes from `offset` of what lies in `runs`."""
    parts = []
    for start, count in runs:
        size = count * BLOCK
        if offset < size and length:
            some = min(length, size - offset)
            parts.append(device.read(start * BLOCK + offset, some))
            length -= some
            offset = 0
        else:
            offset -= size if length else 0
    assert not length, "read behind the end"
    return b"".join(parts)


def _make_filter(hashes: list[int]) -> bytes:
    bits = max(64, len(hashes) * _FILTER_BITS + 7 & ~7)
    made = bytearray(bits // 8)
    for start in hashes:
        number = start
        step = (number >> 17 | number << 15) & 0xFFFFFFFF
        for _ in range(_PROBES):
            bit = number % bits
            made[bit >> 3] |= 1 << (bit & 7)
            number += step
    return bytes(made)
