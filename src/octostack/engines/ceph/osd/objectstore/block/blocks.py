# SPDX-License-Identifier: Apache-2.0
"""Blocks of data: taken, written, read with their checksums, and given back.

What is on its way to the disk is read from memory. A block that was given back is free again once
the batch that gave it back is durable, and no sooner: until then a crash may still need it.

Who writes over a part of a block that the disk has damaged saves the rest as it is found, and lets
it be known for damaged by a checksum that is wrong (`spoil`): until the whole of it is written.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence

import google_crc32c
import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.block.allocator import Allocator, Run
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Words
from octostack.engines.ceph.osd.objectstore.block.metadata import Layer
from octostack.engines.ceph.osd.objectstore.block.shares import Shares
from octostack.engines.ceph.osd.objectstore.block.sums import joined, sums_of
from octostack.runtime.device import Data, Device
from octostack.wire.ceph import checksum

ZEROS = bytes(BLOCK)
_WRONG = 0xFFFFFFFF  # a checksum with these bits turned is that of nothing


class Batch(msgspec.Struct):
    """What becomes durable together."""

    changes: dict[bytes, bytes | None] = {}
    over: dict[int, bytes] = {}  # blocks that lie in the frame, and are put in their place later
    straight: list[tuple[int, Data]] = []  # first block and contents of what skips the journal
    sums: dict[int, int] = {}  # checksums of the blocks written straight
    taken: list[Run] = []
    freed: list[Run] = []
    freed_blocks: int = 0
    done: list[Callable[[], None]] = []
    weight: int = 0  # bytes in the journal, about
    frozen: Layer | None = None  # a checkpoint follows, of this layer
    next_number: int = 1


class Blocks:
    """See the module's essay."""

    def __init__(self, device: Device, shares: Shares) -> None:
        self.device = device
        self.shares = shares
        self.allocator = Allocator()
        self.batch = Batch()
        # what may not be on the disk yet: single blocks, and under them what is written straight
        self._moving: dict[int, bytes] = {}
        self._flying: list[tuple[int, Data]] = []
        self._spoilt: set[int] = set()  # of these, what is known for damaged

    def put_new(self, data: Data, sums: Sequence[int]) -> Words:
        """Write to free blocks; which they are."""
        places = self._take(len(sums))
        batch, contents = self.batch, memoryview(data)
        for number, place in enumerate(places):
            start = number * BLOCK
            content = bytes(contents[start : start + BLOCK])
            batch.over[place] = self._moving[place] = content
        batch.weight += (BLOCK + 8) * len(places)
        return places

    def put_straight(self, data: Data, sums: Sequence[int]) -> Words:
        """The same past the journal, for what is large."""
        places = self._take(len(sums))
        batch, at, contents = self.batch, 0, memoryview(data)
        batch.sums.update(zip(places, sums, strict=True))
        batch.weight += 12 * len(places)
        for start, count in runs_in(places):
            run = (start, contents[at : at + count * BLOCK])
            batch.straight.append(run)
            self._flying.append(run)
            at += count * BLOCK
        return places

    def put_over(self, place: int, content: bytes) -> None:
        """Write in the place of what is there."""
        batch = self.batch
        batch.sums.pop(place, None)  # it will not be there as it was written straight
        self._spoilt.discard(place)
        if place not in batch.over:
            batch.weight += BLOCK
        batch.over[place] = self._moving[place] = content

    def give_back(self, start: int, count: int = 1) -> None:
        """An object has no use for the blocks any more; perhaps others have."""
        batch = self.batch
        for run in self.shares.drop(start, count):
            batch.freed.append(run)
            batch.freed_blocks += run[1]
            batch.weight += 8

    def read(self, place: int, crc: int) -> Data:
        """The contents of one block; 0 is a hole. Raises Corrupt."""
        content, is_right = self.find(place, crc)
        if not is_right:
            raise _damaged(place)
        return content

    def find(self, place: int, crc: int) -> tuple[Data, bool]:
        """What is there of a block, and whether it is what was written."""
        if not place:
            return ZEROS, True
        held = self._find_held(place) if self._moving or self._flying else None
        if held is not None:
            return held, place not in self._spoilt
        content = self.device.read(place * BLOCK, BLOCK)
        return content, google_crc32c.value(content) == crc

    def spoil(self, place: int, crc: int) -> int:
        """A block was put there of which a part is damaged: the checksum to keep."""
        self._spoilt.add(place)
        return crc ^ _WRONG

    def plan_read(self, places: Words, sums: Words, room: memoryview) -> Callable[[], int | None]:
        """What is to be done to get the contents of each into `room`, one after the other; by any
        thread. It raises Corrupt, and may give the checksum of all, as messages have it. What is
        not on the disk yet is there already."""
        runs: list[tuple[int, Words, memoryview]] = []
        at = 0
        for start, count in runs_in(places):
            part = room[at * BLOCK : (at + count) * BLOCK]
            if not start:
                part[:] = bytes(len(part))
            elif self._is_held(start, count):
                for number in range(count):
                    block = self.read(start + number, sums[at + number])
                    part[number * BLOCK : (number + 1) * BLOCK] = block
            else:
                runs.append((start, sums[at : at + count], part))
            at += count

        def work() -> int | None:
            found = [self._read_run(*run) for run in runs]
            return found[0] if len(found) == 1 and len(runs[0][2]) == len(room) else None

        return work

    def landed(self, batch: Batch) -> None:
        """What the batch wrote is on the disk: forget it, unless a later one wrote it anew."""
        moving = self._moving
        for place, content in batch.over.items():
            if moving.get(place) is content:
                del moving[place]
        if batch.straight:
            mine = {id(data) for _, data in batch.straight}
            self._flying = [run for run in self._flying if id(run[1]) not in mine]

    def release(self, runs: Sequence[Run]) -> None:
        """These are free now."""
        for start, count in merged(runs):
            self.allocator.free(start, count)

    def _take(self, count: int) -> Words:
        places = array("I")
        for run in self.allocator.take(count):
            self.batch.taken.append(run)
            places.extend(range(run[0], run[0] + run[1]))
        if self._spoilt:
            self._spoilt.difference_update(places)
        return places

    def _find_held(self, place: int) -> Data | None:
        held = self._moving.get(place)
        if held is not None:
            return held
        for start, data in reversed(self._flying):
            at = (place - start) * BLOCK
            if 0 <= at < len(data):
                return data[at : at + BLOCK]
        return None

    def _is_held(self, start: int, count: int) -> bool:
        """Whether any of these blocks may be on its way."""
        end = start + count
        if any(first < end and start < first + len(data) // BLOCK for first, data in self._flying):
            return True
        moving = self._moving
        if len(moving) < count:
            return any(start <= place < end for place in moving)
        return any(place in moving for place in range(start, end))

    def _read_run(self, start: int, sums: Words, room: memoryview) -> int:
        self.device.read_into(start * BLOCK, room)
        found = checksum.crc32c(room)
        if found ^ checksum.SEED != joined(sums):
            pairs = zip(sums_of(room), sums, strict=True)
            raise _damaged(start + next(n for n, (now, then) in enumerate(pairs) if now != then))
        return found


def _damaged(place: int) -> Corrupt:
    what = f"Block {place} is not what was written to it."
    return Corrupt(what, code="objectstore.block", block=place)


def runs_in(places: Words) -> list[Run]:
    """Neighbours as runs, in the order in which they stand; holes are runs that begin at 0."""
    found: list[Run] = []
    first, count = places[0], len(places)
    if (
        first
        and places[-1] - first == count - 1
        and places == array("I", range(first, first + count))
    ):
        return [(first, count)]
    at = 0
    while at < count:
        start, end = places[at], at + 1
        step = 1 if start else 0
        while end < count and places[end] == start + (end - at) * step:
            end += 1
        found.append((start, end - at))
        at = end
    return found


def merged(runs: Iterable[Run]) -> list[Run]:
    """The same, sorted, and neighbours as one."""
    found: list[Run] = []
    for start, count in sorted(runs):
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + count)
        else:
            found.append((start, count))
    return found


def runs_of(places: Iterable[int]) -> list[Run]:
    """Blocks as runs, sorted."""
    return merged((place, 1) for place in places)
