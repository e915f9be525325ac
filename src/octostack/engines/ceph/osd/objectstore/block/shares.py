# SPDX-License-Identifier: Apache-2.0
"""Blocks that several objects have, as clones do: for each, how many there are beside the first.

The numbers stand in the metadata in pages of 256 blocks; what nobody shares has none. A shared
block is never written over: who changes it gets one of his own, and gives this one back.
"""

from array import array
from collections.abc import Callable, Iterator

from octostack.engines.ceph.osd.objectstore.block.allocator import Run
from octostack.engines.ceph.osd.objectstore.block.keys import Words, shares_key

PAGE_BLOCKS = 256
_PAGES_MAX = 1024  # kept in memory


class Shares:
    """Changes go to `put` at once, so that they are part of the batch."""

    def __init__(
        self,
        get: Callable[[bytes], bytes | None],
        put: Callable[[bytes, bytes | None], None],
    ) -> None:
        self.any = False  # whether there may be any at all: most stores need not look
        self._get = get
        self._put = put
        self._pages: dict[int, Words] = {}

    def share(self, start: int, count: int) -> None:
        """One object more has these."""
        self.any = True
        for number, low, high in _pieces(start, count):
            page = self._page(number)
            page[low:high] = array("I", [others + 1 for others in page[low:high]])
            self._keep(number, page)

    def drop(self, start: int, count: int) -> list[Run]:
        """One object fewer; those of them that nobody has any more."""
        if not self.any:
            return [(start, count)]
        free: list[Run] = []
        for number, low, high in _pieces(start, count):
            page = self._page(number)
            first = number * PAGE_BLOCKS
            if not any(page[low:high]):
                free.append((first + low, high - low))
                continue
            for slot in range(low, high):
                if page[slot]:
                    page[slot] -= 1
                else:
                    free.append((first + slot, 1))
            self._keep(number, page)
        return free

    def others(self, place: int) -> int:
        """How many objects beside one have this block."""
        return self._page(place // PAGE_BLOCKS)[place % PAGE_BLOCKS] if self.any else 0

    def set_page(self, number: int, page: Words) -> None:
        """Put right what is known of 256 blocks."""
        self.any = True
        self._pages[number] = page
        self._keep(number, page)

    def _page(self, number: int) -> Words:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _PAGES_MAX:
                self._pages.clear()
            page = decode_page(self._get(shares_key(number)))
            self._pages[number] = page
        return page

    def _keep(self, number: int, page: Words) -> None:
        count = PAGE_BLOCKS
        while count and not page[count - 1]:
            count -= 1
        self._put(shares_key(number), page[:count].tobytes() or None)


def decode_page(data: bytes | None) -> Words:
    """As it stands in the metadata, up to the last one that is shared."""
    return array("I", (data or b"").ljust(4 * PAGE_BLOCKS, b"\0"))


def _pieces(start: int, count: int) -> Iterator[tuple[int, int, int]]:
    """(page, first, last + 1) of a run."""
    end = start + count
    while start < end:
        number, low = divmod(start, PAGE_BLOCKS)
        high = min(PAGE_BLOCKS, low + end - start)
        yield number, low, high
        start += high - low
