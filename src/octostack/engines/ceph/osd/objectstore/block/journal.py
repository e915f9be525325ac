# SPDX-License-Identifier: Apache-2.0
"""The write-ahead log: frames one after the other in a ring of blocks.

A frame holds what one batch of transactions changes. It begins at a block, so that writing one
never touches another, and carries a number; reading stops where the next number is not found, in
its place or at the start of the ring. Batches are made durable one at a time, so only the last
frame found can be one that was never acknowledged: it counts only if the blocks that its batch
wrote straight to their places are what it says.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c
import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.block.allocator import Run
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.runtime.device import Data, Device

_HEAD = struct.Struct("<4sIQQI")  # magic, length of the body, number, store, crc of those and body
_SUMMED = struct.Struct("<IQQ")
_MAGIC = b"ojnl"
_SCAN = 1 << 20
_PREPARED_AT_ONCE = 4 << 20


class Frame(msgspec.Struct, array_like=True):
    """A batch, as it is done again after a crash."""

    changes: dict[bytes, bytes | None]  # of the metadata
    over: dict[int, bytes]  # small writes: what is to be put in the place of blocks
    straight: dict[int, int]  # checksums of the blocks written to their places
    taken: list[Run]
    freed: list[Run]
    next_number: int  # that the next new object gets


class Position(NamedTuple):
    """Where the next frame goes: bytes from the start of the ring, and its number."""

    offset: int
    number: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


class Journal:
    """The ring at `start`, of `size` bytes; `store` tells frames of an older store apart."""

    def __init__(self, device: Device, start: int, size: int, store: int) -> None:
        self._device = device
        self._start = start
        self.size = size
        self._store = store
        self.at = Position(0, 1)
        self._prepared = 0

    def place(self, frame: Frame) -> tuple[int, Data]:
        """The frame as bytes, and where on the device they go; the next one goes behind it."""
        number = self.at.number
        body = _encoder.encode(frame)
        length = len(body)
        crc = google_crc32c.value(_SUMMED.pack(length, number, self._store))
        crc = google_crc32c.extend(crc, body)
        head = _HEAD.pack(_MAGIC, length, number, self._store, crc)
        data = b"".join((head, body, bytes(-(len(head) + length) % BLOCK)))
        assert len(data) <= self.size // 2, "a batch larger than the journal"
        offset = self.at.offset
        if offset + len(data) > self.size:
            offset = 0
        self._prepare(offset + len(data))
        self.at = Position(offset + len(data), number + 1)
        return self._start + offset, data

    def _prepare(self, end: int) -> None:
        """A ring that is written for the first time is filled ahead of its frames."""
        while self._prepared < min(end, self.size):
            length = min(_PREPARED_AT_ONCE, self.size - self._prepared)
            self._device.prepare(self._start + self._prepared, length)
            self._prepared += length

    def used(self, begin: int) -> int:
        """Bytes from the offset `begin` to where the next frame goes."""
        return (self.at.offset - begin) % self.size

    def replay(self, begin: Position) -> Iterator[Frame]:
        """The frames from `begin` on; `at` is then behind the last one. Raises Corrupt."""
        self.at = begin
        held: tuple[Frame, Position] | None = None
        while True:
            found = self._find_next()
            if held is not None:
                if found is None and not self._whole(held[0]):
                    self._blot(held[1])
                    return
                yield held[0]
            if found is None:
                self._require_none_behind()
                return
            frame, here, behind = found
            held = (frame, Position(here, self.at.number))
            self.at = Position(behind, self.at.number + 1)

    def _find_next(self) -> tuple[Frame, int, int] | None:
        """The next frame, where it begins and where it ends."""
        for offset in sorted({self.at.offset, 0}, reverse=True):
            found = self._find(offset)
            if found is not None:
                return found[0], offset, found[1]
        return None

    def _find(self, offset: int) -> tuple[Frame, int] | None:
        """The frame with the wanted number at `offset`, and where it ends."""
        if offset + BLOCK > self.size:
            return None
        first = self._device.read(self._start + offset, BLOCK)
        magic, length, number, store, crc = _HEAD.unpack_from(first)
        if (magic, number, store) != (_MAGIC, self.at.number, self._store):
            return None
        total = _HEAD.size + length
        if offset + total > self.size:
            return None
        data = first if total <= BLOCK else self._device.read(self._start + offset, total)
        body = data[_HEAD.size : total]
        if crc != google_crc32c.value(_SUMMED.pack(length, number, store) + body):
            return None
        return _decoder.decode(body), offset + total + -total % BLOCK

    def _blot(self, torn: Position) -> None:
        """Take out the last frame, so that it is never found beside the next one of its number."""
        self._device.write(self._start + torn.offset, [bytes(BLOCK)])
        self._device.sync()
        self.at = torn

    def _require_none_behind(self) -> None:
        """A frame that is missing between others is no torn write but a damaged disk."""
        for offset in range(0, self.size, _SCAN):
            data = self._device.read(self._start + offset, min(_SCAN, self.size - offset))
            for at in range(0, len(data), BLOCK):
                magic, _, number, store, _ = _HEAD.unpack_from(data, at)
                if (magic, store) == (_MAGIC, self._store) and number > self.at.number:
                    what = f"Frame {self.at.number} of the journal is damaged."
                    raise Corrupt(what, code="objectstore.journal")

    def _whole(self, frame: Frame) -> bool:
        """Whether the blocks written straight have what was written."""
        return all(
            google_crc32c.value(self._device.read(block * BLOCK, BLOCK)) == crc
            for block, crc in frame.straight.items()
        )
