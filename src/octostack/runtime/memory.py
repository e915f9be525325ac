# SPDX-License-Identifier: Apache-2.0
"""Large buffers that begin at a page and are used again.

Fresh memory costs more than what is done with it: the kernel must find and clear each page. Here
a slab whose views are all gone is given out again, and up to `KEPT_BYTES` of them are kept. A disk
can write from and read into such memory without a copy (`runtime.device`).
"""

import mmap
import sys

PAGE_BYTES = mmap.PAGESIZE
KEPT_BYTES = 32 << 20
_SMALLEST = 256 << 10
_SLACK = 64 << 10  # so that what is a power of two, and a little before it, fits
_IDLE_REFERENCES = 3  # the list's, the loop's, and that of asking


class Pool:
    """Slabs by size. To be used by one thread; views may be dropped by any."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._slabs: dict[int, list[mmap.mmap]] = {}
        self._left = kept_bytes

    def take(self, size: int) -> memoryview:
        """`size` bytes of whatever contents; they are free again when no view of them is left."""
        room = _SMALLEST
        while room + _SLACK < size:
            room *= 2
        room += _SLACK
        slabs = self._slabs.setdefault(room, [])
        for slab in slabs:
            if sys.getrefcount(slab) == _IDLE_REFERENCES:
                return memoryview(slab)[:size]
        slab = mmap.mmap(-1, room)
        if room <= self._left:
            self._left -= room
            slabs.append(slab)
        return memoryview(slab)[:size]


POOL = Pool()


def take_aligned(size: int, offset: int) -> memoryview:
    """`size` bytes, of which the one at `offset` begins a page."""
    before = -offset % PAGE_BYTES
    return POOL.take(before + size)[before:]
