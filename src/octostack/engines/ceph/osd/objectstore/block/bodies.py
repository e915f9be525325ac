# SPDX-License-Identifier: Apache-2.0
"""An object's bytes over blocks: ranges in, blocks out."""

from array import array
from collections.abc import Callable, Iterable

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.api import Data
from octostack.engines.ceph.osd.objectstore.block.blocks import ZEROS, Blocks, runs_in
from octostack.engines.ceph.osd.objectstore.block.keys import (
    BLOCK,
    CHUNK_BLOCKS,
    Chunk,
    Onode,
    Words,
    chunk_key,
    decode_chunk,
)
from octostack.engines.ceph.osd.objectstore.block.sums import sums_of
from octostack.runtime import memory
from octostack.wire.ceph import checksum

LARGE = 64 << 10  # a write of so many bytes goes to new blocks, whatever is there
STRAIGHT = 32 << 10  # a write of so many bytes to where nothing is goes past the journal

_CHUNK_BITS = CHUNK_BLOCKS.bit_length() - 1
_SLOT = CHUNK_BLOCKS - 1


class Cached:
    """What the bodies in memory hold, so that it can be bounded."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks = 0


class Body:
    """An object in memory: its onode, and the chunks that were looked at."""

    __slots__ = ("_cached", "_is_new", "changed", "chunks", "counted", "onode", "onode_changed")

    def __init__(self, onode: Onode, cached: Cached, *, new: bool = False) -> None:
        self._is_new = new  # then all its chunks are here: the metadata need not be asked
        self.onode = onode
        self.onode_changed = new
        self.counted = -1 if new else onode.size  # as part of its collection's usage; -1: not yet
        self.chunks: dict[int, Chunk] = {}
        self.changed: set[int] = set()  # chunks that are to be written
        self._cached = cached

    def chunk(self, number: int, get: Callable[[bytes], bytes | None]) -> Chunk:
        """The chunk with that number, an empty one when there is none."""
        found = self.chunks.get(number)
        if found is None:
            data = None if self._is_new else get(chunk_key(self.onode.number, number))
            found = self.chunks[number] = decode_chunk(data) if data else Chunk()
            self._cached.chunks += 1
        return found

    def put_chunk(self, number: int, chunk: Chunk) -> None:
        """Have another one."""
        self._cached.chunks += number not in self.chunks
        self.chunks[number] = chunk
        self.changed.add(number)

    def forgotten(self) -> None:
        """It is no longer kept in memory."""
        self._cached.chunks -= len(self.chunks)

    @property
    def chunk_count(self) -> int:
        """Chunks that may be there."""
        return -(-self.onode.size // (BLOCK * CHUNK_BLOCKS))


class Bytes:
    """Reads and writes ranges of bodies. `get` finds metadata."""

    def __init__(self, blocks: Blocks, get: Callable[[bytes], bytes | None]) -> None:
        self._blocks = blocks
        self._get = get

    def read(self, body: Body, offset: int, length: int) -> Data:
        """What there is of the range; a large one in memory of its own. Raises Corrupt."""
        end = min(body.onode.size, offset + length)
        if offset >= end:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        if first == last:
            skipped = offset - first * BLOCK
            return self._block(body, first)[skipped : skipped + end - offset]
        return self.plan_read(body, offset, length)()

    def plan_read(self, body: Body, offset: int, length: int) -> Callable[[], Data]:
        """The same, to be done by any thread."""
        end = min(body.onode.size, offset + length)
        if offset >= end:
            return bytes
        first = offset // BLOCK
        skipped = offset - first * BLOCK
        places, sums = self._where(body, first, (end - 1) // BLOCK + 1)
        room = memory.POOL.take(len(places) * BLOCK)
        work = self._blocks.plan_read(places, sums, room)

        def read() -> Data:
            crc = work()
            found = room[skipped : skipped + end - offset]
            if crc is not None and len(found) == len(room):
                checksum.note(found, crc)
            return found

        return read

    def write(self, body: Body, offset: int, data: Data, *, is_right: bool = True) -> None:
        """Put `data` there; grows. What is not right is kept as damaged, in whole blocks."""
        if len(data):
            end = offset + len(data)
            first, last = offset // BLOCK, (end - 1) // BLOCK
            whole, spoilt = self._whole(body, offset, data)
            assert len(whole) == (last + 1 - first) * BLOCK
            self._put(body, first, whole, len(data))
            self._spoil(body, spoilt if is_right else range(first, last + 1))
            if end > body.onode.size:
                self._grow(body, end)
        elif offset > body.onode.size:
            self._grow(body, offset)

    def find(self, body: Body, offset: int, length: int) -> tuple[Data, bool]:
        """What there is of the range, and whether that is what was written."""
        try:
            return self.read(body, offset, length), True
        except Corrupt:
            first, last = offset // BLOCK, (offset + length - 1) // BLOCK
            found = b"".join(self._found(body, number)[0] for number in range(first, last + 1))
            return found[offset % BLOCK :][:length], False

    def zero(self, body: Body, offset: int, length: int) -> None:
        """Make a hole of whole blocks, zeros of the rest; grows."""
        end = min(offset + length, body.onode.size)
        if offset < end:
            self._clear(body, offset, end)
        if offset + length > body.onode.size:
            self._grow(body, offset + length)

    def truncate(self, body: Body, size: int) -> None:
        """Cut, or grow by a hole."""
        if size < body.onode.size:
            self._clear(body, size, -(-body.onode.size // BLOCK) * BLOCK)
        if size != body.onode.size:
            self._grow(body, size)

    def extents(self, body: Body, offset: int, length: int) -> list[tuple[int, int]]:
        """What is no hole, within the range and the size."""
        end = min(body.onode.size, offset + length)
        found: list[tuple[int, int]] = []
        if offset >= end:
            return found
        first = offset // BLOCK
        places, _ = self._where(body, first, (end - 1) // BLOCK + 1)
        number = first
        for place, count in runs_in(places):
            start, stop = max(number * BLOCK, offset), min((number + count) * BLOCK, end)
            number += count
            if not place:
                continue
            if found and sum(found[-1]) == start:
                found[-1] = (found[-1][0], stop - found[-1][0])
            else:
                found.append((start, stop - start))
        return found

    def share(self, body: Body, twin: Body) -> None:
        """Let `twin`, which has no bytes yet, have those of `body`: the same blocks."""
        for number in range(body.chunk_count):
            chunk = body.chunk(number, self._get)
            runs = [run for run in runs_in(chunk.places) if run[0]]
            for start, count in runs:
                self._blocks.shares.share(start, count)
            if runs:
                twin.put_chunk(number, Chunk(chunk.places[:], chunk.sums[:]))
        self._grow(twin, body.onode.size)

    def share_range(self, body: Body, twin: Body, first: int, to: int, count: int) -> None:
        """Let `count` blocks of `twin` from `to` on be those of `body` from `first` on."""
        places, sums = self._where(body, first, first + count)
        for start, some in runs_in(places):
            if start:
                self._blocks.shares.share(start, some)
        self._give_back(self._where(twin, to, to + count)[0])
        self._set(twin, to, places, sums)
        self._grow(twin, max(twin.onode.size, (to + count) * BLOCK))

    def _give_back(self, places: Words) -> None:
        for start, count in runs_in(places):
            if start:
                self._blocks.give_back(start, count)

    def _grow(self, body: Body, size: int) -> None:
        body.onode.size = size
        body.onode_changed = True

    def _where(self, body: Body, first: int, end: int) -> tuple[Words, Words]:
        number, slot = first >> _CHUNK_BITS, first & _SLOT
        chunk = body.chunk(number, self._get)
        stop = slot + end - first
        if stop <= CHUNK_BLOCKS:
            return chunk.places[slot:stop], chunk.sums[slot:stop]
        places, sums = chunk.places[slot:], chunk.sums[slot:]
        for later in range(number + 1, ((end - 1) >> _CHUNK_BITS) + 1):
            chunk = body.chunk(later, self._get)
            stop = min(CHUNK_BLOCKS, end - (later << _CHUNK_BITS))
            places += chunk.places[:stop]
            sums += chunk.sums[:stop]
        return places, sums

    def _whole(self, body: Body, offset: int, data: Data) -> tuple[Data, list[int]]:
        """Whole blocks: `data`, and around it what is there; and which are damaged there."""
        end = offset + len(data)
        head = offset % BLOCK
        tail = -end % BLOCK
        if not head and not tail:
            return data, []
        parts, spoilt = [data], []
        if head:
            found, is_right = self._found(body, offset // BLOCK)
            parts.insert(0, found[:head])
            spoilt += [] if is_right else [offset // BLOCK]
        if tail and end // BLOCK * BLOCK < body.onode.size:
            found, is_right = self._found(body, end // BLOCK)
            parts.append(found[-tail:])
            spoilt += [] if is_right else [end // BLOCK]
        elif tail:
            parts.append(bytes(tail))
        return b"".join(parts), spoilt

    def _found(self, body: Body, number: int) -> tuple[Data, bool]:
        chunk, slot = body.chunk(number >> _CHUNK_BITS, self._get), number & _SLOT
        return self._blocks.find(chunk.places[slot], chunk.sums[slot])

    def _spoil(self, body: Body, numbers: Iterable[int]) -> None:
        """What was written to these blocks has parts that were damaged before."""
        for number in set(numbers):
            chunk, slot = body.chunk(number >> _CHUNK_BITS, self._get), number & _SLOT
            chunk.sums[slot] = self._blocks.spoil(chunk.places[slot], chunk.sums[slot])

    def _block(self, body: Body, number: int) -> Data:
        chunk, slot = body.chunk(number >> _CHUNK_BITS, self._get), number & _SLOT
        return self._blocks.read(chunk.places[slot], chunk.sums[slot])

    def _put(self, body: Body, first: int, whole: Data, written: int) -> None:
        """Keep whole blocks, of which `written` bytes are new."""
        sums = sums_of(whole)
        places = self._where(body, first, first + len(sums))[0]
        blocks, new = self._blocks, not any(places)
        if new or written >= LARGE:
            if not new:
                self._give_back(places)
            put = blocks.put_straight if written >= STRAIGHT else blocks.put_new
            self._set(body, first, put(whole, sums), sums)
            return
        for number, place in enumerate(places):
            content = bytes(whole[number * BLOCK : (number + 1) * BLOCK])
            places[number] = self._replace(place, content, sums[number])
        self._set(body, first, places, sums)

    def _set(self, body: Body, first: int, places: Words, sums: Words) -> None:
        at, count = 0, len(places)
        while at < count:
            number, slot = (first + at) >> _CHUNK_BITS, (first + at) & _SLOT
            some = min(CHUNK_BLOCKS - slot, count - at)
            chunk = body.chunk(number, self._get)
            chunk.places[slot : slot + some] = places[at : at + some]
            chunk.sums[slot : slot + some] = sums[at : at + some]
            body.changed.add(number)
            at += some

    def _clear(self, body: Body, offset: int, end: int) -> None:
        """Zeros within the size; whole blocks become holes. The block of the end counts as whole
        when the object ends in it."""
        if end >= body.onode.size:
            end = max(end, -(-body.onode.size // BLOCK) * BLOCK)
        first, stop = -(-offset // BLOCK), end // BLOCK
        if first > stop:  # within one block
            self._blank(body, stop, offset % BLOCK, end % BLOCK)
            return
        if offset % BLOCK:
            self._blank(body, offset // BLOCK, offset % BLOCK, BLOCK)
        if end % BLOCK:
            self._blank(body, stop, 0, end % BLOCK)
        for number in range(first >> _CHUNK_BITS, ((stop - 1) >> _CHUNK_BITS) + 1):
            chunk = body.chunk(number, self._get)
            low = max(first - (number << _CHUNK_BITS), 0)
            high = min(stop - (number << _CHUNK_BITS), CHUNK_BLOCKS)
            for start, count in runs_in(chunk.places[low:high]) if low < high else ():
                if start:
                    self._blocks.give_back(start, count)
                    body.changed.add(number)
            hole = array("I", bytes(4 * max(0, high - low)))
            chunk.places[low:high] = chunk.sums[low:high] = hole

    def _blank(self, body: Body, number: int, start: int, stop: int) -> None:
        """Zeros within one block, if it is no hole."""
        place = self._where(body, number, number + 1)[0][0]
        if not place:
            return
        old, is_right = self._found(body, number)
        new = b"".join((old[:start], ZEROS[start:stop], old[stop:]))
        sums = sums_of(new)
        place = self._replace(place, new, sums[0])
        self._set(body, number, array("I", [place]), sums)
        if not is_right:
            self._spoil(body, [number])

    def _replace(self, place: int, content: bytes, crc: int) -> int:
        """Put a block in the place of one (0: a hole); where it is."""
        blocks = self._blocks
        if place and not blocks.shares.others(place):
            blocks.put_over(place, content)
            return place
        if place:
            blocks.give_back(place)
        return blocks.put_new(content, (crc,))[0]
