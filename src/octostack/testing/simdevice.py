# SPDX-License-Identifier: Apache-2.0
"""A disk that keeps its promises and no more: the twin of `runtime.device.FileDevice`.

Until a sync, a crash leaves any part of what was written: each sector of 512 bytes is there as it
was before, or as it was to be, or (one in a few) as garbage. `crash_at` kills in the middle of
the n-th call; `flip` turns a bit that had been safe.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from octostack.testing.simdisk import Crash

T = TypeVar("T")
Data = bytes | bytearray | memoryview

SECTOR = 512


class SimDevice:
    """A disk in memory, as `runtime.device.Device`."""

    def __init__(self, size: int, rng: random.Random, crash_at: int | None = None) -> None:
        self.size = size
        self.calls = 0
        self.crash_at = crash_at
        self._rng = rng
        self._data = bytearray(size)
        self._before: dict[int, bytes] = {}  # sectors as they were when last synced

    async def offload(self, work: Callable[[], T], *, aside: bool = False) -> T:
        return work()

    def read(self, offset: int, length: int) -> bytes:
        assert offset + length <= self.size
        return bytes(self._data[offset : offset + length])

    def read_into(self, offset: int, room: memoryview) -> None:
        room[:] = self.read(offset, len(room))

    def write(self, offset: int, parts: Sequence[Data]) -> None:
        data = b"".join(parts)
        assert offset + len(data) <= self.size
        dying = self._call()
        if dying:
            data = data[: self._rng.randint(0, len(data))]
        for sector in range(offset // SECTOR, -(-(offset + len(data)) // SECTOR)):
            start = sector * SECTOR
            if sector not in self._before:
                self._before[sector] = bytes(self._data[start : start + SECTOR])
        self._data[offset : offset + len(data)] = data
        if dying:
            raise Crash

    def write_durably(self, offset: int, data: Data) -> None:
        self.write(offset, [data])
        for sector in range(offset // SECTOR, -(-(offset + len(data)) // SECTOR)):
            del self._before[sector]

    def prepare(self, offset: int, length: int) -> None:
        """All of it is there."""

    def sync(self) -> None:
        if self._call():
            raise Crash
        self._before.clear()

    def close(self) -> None:
        """It stays as it is."""

    def crash(self) -> None:
        """Lose what was not synced; the disk is then as found after the next start."""
        mood = self._rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for sector, before in sorted(self._before.items()):
            start = sector * SECTOR
            if self._rng.random() >= mood:
                self._data[start : start + SECTOR] = before
            elif self._rng.random() < 0.02:
                self._data[start : start + SECTOR] = self._rng.randbytes(SECTOR)
        self._before.clear()
        self.crash_at = None

    def flip(self, offset: int) -> None:
        """Turn one bit of the byte at `offset`."""
        self._data[offset] ^= 1 << self._rng.randrange(8)

    @property
    def dead(self) -> bool:
        """Whether the moment of the crash has passed."""
        return self.crash_at is not None and self.calls > self.crash_at

    def _call(self) -> bool:
        self.calls += 1
        return self.dead
