# SPDX-License-Identifier: Apache-2.0
"""Which blocks are free: runs of them, sorted; taken from where the last ones were taken."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Run = tuple[int, int]  # first block, count

_TRIES = 64


class Allocator:
    """Free runs; neighbours are one."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._starts: list[int] = []
        self._counts: dict[int, int] = {}
        self._next = 0
        self.free_blocks = 0
        for start, count in runs:
            self.free(start, count)

    def runs(self) -> Iterator[Run]:
        """All free runs, in order."""
        return ((start, self._counts[start]) for start in self._starts)

    def take(self, count: int) -> list[Run]:
        """That many blocks, in as few runs as a short search finds; they must be there."""
        assert count <= self.free_blocks
        self.free_blocks -= count
        taken: list[Run] = []
        at = bisect_left(self._starts, self._next)
        at = self._fitting(at, count)
        while count:
            if at >= len(self._starts):
                at = 0
            start = self._starts[at]
            have = self._counts.pop(start)
            used = min(have, count)
            taken.append((start, used))
            count -= used
            if used < have:
                self._starts[at] = start + used
                self._counts[start + used] = have - used
            else:
                del self._starts[at]
            self._next = start + used
        return taken

    def free(self, start: int, count: int) -> None:
        """Give back a run, none of which is free."""
        self.free_blocks += count
        at = bisect_left(self._starts, start)
        if at < len(self._starts):
            assert start + count <= self._starts[at], "freed twice"
            if self._starts[at] == start + count:
                count += self._counts.pop(self._starts.pop(at))
        if at:
            before = self._starts[at - 1]
            end = before + self._counts[before]
            assert end <= start, "freed twice"
            if end == start:
                self._counts[before] += count
                return
        self._starts.insert(at, start)
        self._counts[start] = count

    def reserve(self, start: int, count: int) -> None:
        """Take these blocks out, those of them that are free."""
        end = start + count
        at = max(0, bisect_right(self._starts, start) - 1)
        while at < len(self._starts) and self._starts[at] < end:
            first = self._starts[at]
            last = first + self._counts[first]
            if last <= start:
                at += 1
                continue
            del self._starts[at], self._counts[first]
            self.free_blocks -= last - first
            if first < start:
                self.free(first, start - first)
                at += 1
            if last > end:
                self.free(end, last - end)

    def _fitting(self, at: int, count: int) -> int:
        for tried in range(min(_TRIES, len(self._starts))):
            candidate = (at + tried) % len(self._starts)
            if self._counts[self._starts[candidate]] >= count:
                return candidate
        return at
