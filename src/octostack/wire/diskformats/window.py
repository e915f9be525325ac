# SPDX-License-Identifier: Apache-2.0
"""A view of an image of which only some parts are, or will be, at hand."""

import struct
from collections.abc import Callable
from typing import Any


class Flaw(Exception):
    """The image contradicts itself; the text says how."""


class Need(Exception):
    """Bytes that are still to come in the stream."""

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(offset, length)
        self.offset = offset
        self.length = length


class Window:
    """Reads at an offset: out of kept parts of a stream, or out of a file by `read`."""

    def __init__(
        self, read: Callable[[int, int], bytes] | None = None, size_bytes: int | None = None
    ) -> None:
        self._read = read
        self._kept: dict[int, bytearray] = {}  # start -> bytes so far
        self._wanted: dict[int, int] = {}  # start -> length
        self._last: tuple[int, bytes] = (0, b"")
        self.position = 0
        self.size_bytes = size_bytes  # None while the stream runs

    @property
    def kept_bytes(self) -> int:
        """What is held or promised to be held."""
        return sum(self._wanted.values())

    @property
    def satisfied(self) -> bool:
        """Nothing that was asked for is missing."""
        return all(len(self._kept[start]) >= n for start, n in self._wanted.items())

    def want(self, offset: int, length: int) -> None:
        """Keep these bytes when they come by."""
        self._wanted[offset] = max(length, self._wanted.get(offset, 0))
        begin, last = self._last
        seed = last[offset - begin :] if begin <= offset else b""
        self._kept.setdefault(offset, bytearray(seed))

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the stream; the latest ones stay at hand until the next call."""
        self._last = (self.position, chunk)
        begin, self.position = self.position, self.position + len(chunk)
        for start, length in self._wanted.items():
            kept = self._kept[start]
            missing_from = start + len(kept)
            if len(kept) < length and begin <= missing_from < self.position:
                kept += chunk[missing_from - begin : start + length - begin]

    def end(self) -> None:
        """The stream is over."""
        self.size_bytes = self.position

    def get(self, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises Need, or Flaw when the image has no such place."""
        found = self._find(offset, length)
        if found is not None:
            return found
        if self.size_bytes is not None:
            raise Flaw("image is cut short or points beyond its end")
        if offset < self._last[0]:
            raise Flaw("header parts lie in an order we do not read")
        raise Need(offset, length)

    def peek(self, offset: int, length: int) -> bytes | None:
        """These bytes if they are at hand."""
        return self._find(offset, length)

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """A struct's fields at `offset`."""
        return struct.unpack(layout, self.get(offset, struct.calcsize(layout)))

    def fits(self, offset: int, length: int) -> bool:
        """Whether the image can have these bytes, as far as is known."""
        return self.size_bytes is None or offset + length <= self.size_bytes

    def _find(self, offset: int, length: int) -> bytes | None:
        if self._read is not None:
            data = self._read(offset, length)
            return data if len(data) == length else None
        for start, kept in (*self._kept.items(), self._last):
            if start <= offset and offset + length <= start + len(kept):
                return bytes(kept[offset - start : offset - start + length])
        return None
