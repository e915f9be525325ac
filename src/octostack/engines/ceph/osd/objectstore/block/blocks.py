# SPDX-License-Identifier: Apache-2.0
"""Blocks of data: taken, written, read with their checksums, and given back.

What is on its way to the disk is read from memory. A block that was given back is free again once
the batch that gave it back is durable, and no sooner: until then a crash may still need it.
"""

from collections.abc import Callable, Sequence

import google_crc32c
import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.block.allocator import Allocator, Run
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Words
from octostack.engines.ceph.osd.objectstore.block.metadata import Layer
from octostack.runtime.device import Device

ZEROS = bytes(BLOCK)


class Batch(msgspec.Struct):
    """What becomes durable together."""

    changes: dict[bytes, bytes | None] = {}
    over: dict[int, bytes] = {}
    straight: dict[int, tuple[bytes, int]] = {}  # contents and checksum
    taken: list[Run] = []
    freed: list[int] = []
    done: list[Callable[[], None]] = []
    weight: int = 0  # bytes in the journal, about
    frozen: Layer | None = None  # a checkpoint follows, of this layer
    free: list[Run] = []  # for the checkpoint: what is free once this batch is durable
    next_number: int = 1


class Blocks:
    """See the module's essay."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.allocator = Allocator()
        self.batch = Batch()
        self._moving: dict[int, bytes] = {}  # blocks that may not be on the disk yet

    def put_new(self, contents: Sequence[bytes], sums: Sequence[int]) -> list[int]:
        """Write to free blocks; which they are."""
        batch = self.batch
        places: list[int] = []
        for start, count in self.allocator.take(len(contents)):
            batch.taken.append((start, count))
            places.extend(range(start, start + count))
        batch.straight.update(zip(places, zip(contents, sums, strict=True), strict=True))
        self._moving.update(zip(places, contents, strict=True))
        batch.weight += 12 * len(places)
        return places

    def put_over(self, place: int, content: bytes, crc: int) -> None:
        """Write in the place of what is there."""
        batch = self.batch
        if place in batch.straight:
            batch.straight[place] = (content, crc)
        else:
            batch.over[place] = content
            batch.weight += BLOCK
        self._moving[place] = content

    def give_back(self, place: int) -> None:
        """The block is used no more."""
        self.batch.freed.append(place)
        self.batch.weight += 8

    def read(self, places: Words, sums: Words) -> list[bytes]:
        """The contents of each; 0 is a hole. Raises Corrupt."""
        moving, found = self._moving, []
        at, count = 0, len(places)
        while at < count:
            place = places[at]
            held = ZEROS if not place else moving.get(place)
            if held is not None:
                found.append(held)
                at += 1
                continue
            end = at + 1
            while end < count and places[end] == place + end - at and places[end] not in moving:
                end += 1
            found += self._read_run(place, sums[at:end])
            at = end
        return found

    def landed(self, batch: Batch) -> None:
        """What the batch wrote is on the disk: forget it, unless a later one wrote it anew."""
        moving = self._moving
        for place, (content, _) in batch.straight.items():
            if moving.get(place) is content:
                del moving[place]
        for place, content in batch.over.items():
            if moving.get(place) is content:
                del moving[place]

    def release(self, places: Sequence[int]) -> None:
        """These are free now."""
        for start, count in runs_of(places):
            self.allocator.free(start, count)

    def _read_run(self, place: int, sums: Words) -> list[bytes]:
        data = self.device.read(place * BLOCK, len(sums) * BLOCK)
        found = (
            [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
            if len(sums) > 1
            else [data]
        )
        for number, content in enumerate(found):
            if google_crc32c.value(content) != sums[number]:
                what = f"Block {place + number} is not what was written to it."
                raise Corrupt(what, code="objectstore.block", block=place + number)
        return found


def runs_of(places: Sequence[int]) -> list[Run]:
    """Neighbours as runs."""
    found: list[Run] = []
    for place in sorted(places):
        if found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((place, 1))
    return found
