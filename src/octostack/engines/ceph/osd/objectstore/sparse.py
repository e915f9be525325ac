# SPDX-License-Identifier: Apache-2.0
"""Bytes with holes, in memory."""

from octostack.engines.ceph.osd.objectstore.api import Data

CHUNK_BITS = 16
CHUNK = 1 << CHUNK_BITS
BLOCK_BITS = 12
BLOCK = 1 << BLOCK_BITS  # what counts as one hole or none
_BLOCKS = CHUNK // BLOCK


class SparseBytes:
    """Chunks of 64 KiB, each as long as what was written in it; what was not reads as zeros."""

    __slots__ = ("_chunks", "_masks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._chunks: dict[int, bytearray] = {}
        self._masks: dict[int, int] = {}  # a bit for each block that is no hole

    @property
    def used(self) -> int:
        """Bytes of the blocks that are no holes."""
        return BLOCK * sum(mask.bit_count() for mask in self._masks.values())

    def copy(self) -> "SparseBytes":
        """Its own copy."""
        twin = SparseBytes()
        twin.size = self.size
        twin._chunks = {at: bytearray(chunk) for at, chunk in self._chunks.items()}
        twin._masks = dict(self._masks)
        return twin

    def write(self, offset: int, data: Data) -> None:
        """Put `data` there; grows."""
        end = offset + len(data)
        view = memoryview(data)
        at = offset
        while at < end:
            number, start = at >> CHUNK_BITS, at & (CHUNK - 1)
            stop = min(CHUNK, start + end - at)
            chunk = self._chunks.setdefault(number, bytearray())
            if len(chunk) < start:
                chunk.extend(bytes(start - len(chunk)))
            chunk[start:stop] = view[at - offset : at - offset + stop - start]
            self._masks[number] = self._masks.get(number, 0) | _mask(start, stop)
            at += stop - start
        self.size = max(self.size, end)

    def zero(self, offset: int, length: int) -> None:
        """Make a hole of the whole blocks in the range, zeros of the rest; grows."""
        end = offset + length
        self._clear(offset, min(end, self.size))
        self.size = max(self.size, end)

    def truncate(self, size: int) -> None:
        """Cut, or grow by a hole."""
        if size < self.size:
            self._clear(size, (self.size + CHUNK) & -CHUNK)
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """What there is of the range."""
        end = min(self.size, offset + length)
        parts: list[Data] = []
        at = offset
        while at < end:
            number, start = at >> CHUNK_BITS, at & (CHUNK - 1)
            stop = min(CHUNK, start + end - at)
            chunk = self._chunks.get(number, b"")
            part = memoryview(chunk)[start:stop]
            parts.append(part)
            if len(part) < stop - start:
                parts.append(bytes(stop - start - len(part)))
            at += stop - start
        return b"".join(parts)

    def extents(self, offset: int, length: int) -> list[tuple[int, int]]:
        """What is no hole, within the range and the size."""
        end = min(self.size, offset + length)
        found: list[tuple[int, int]] = []
        for number in sorted(self._masks):
            mask = self._masks[number]
            for bit in range(_BLOCKS):
                start = max((number << CHUNK_BITS) + bit * BLOCK, offset)
                stop = min((number << CHUNK_BITS) + (bit + 1) * BLOCK, end)
                if not mask >> bit & 1 or start >= stop:
                    continue
                if found and sum(found[-1]) == start:
                    found[-1] = (found[-1][0], stop - found[-1][0])
                else:
                    found.append((start, stop - start))
        return found

    def _clear(self, offset: int, end: int) -> None:
        for number in range(offset >> CHUNK_BITS, (end + CHUNK - 1) >> CHUNK_BITS):
            chunk = self._chunks.get(number)
            if chunk is None:
                continue
            start = max(0, offset - (number << CHUNK_BITS))
            stop = min(CHUNK, end - (number << CHUNK_BITS))
            if stop >= len(chunk):
                del chunk[start:]
            else:
                chunk[start:stop] = bytes(stop - start)
            whole = _whole(start, stop if stop < len(chunk) else CHUNK)
            self._masks[number] &= ~whole
            if not self._masks[number]:
                del self._chunks[number], self._masks[number]


def _mask(start: int, stop: int) -> int:
    """Bits of the blocks that the range touches."""
    first, last = start >> BLOCK_BITS, (stop - 1) >> BLOCK_BITS
    return (2 << last) - (1 << first)


def _whole(start: int, stop: int) -> int:
    """Bits of the blocks that lie wholly in the range."""
    first, last = (start + BLOCK - 1) >> BLOCK_BITS, stop >> BLOCK_BITS
    return (1 << last) - (1 << first) if last > first else 0
