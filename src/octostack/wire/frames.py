# SPDX-License-Identifier: Apache-2.0
"""How a call or an answer of any size crosses a broker that carries messages of a bounded size.

One byte says what a message is. What fits goes WHOLE. A large answer comes as PARTs in order. A
large call is announced (LARGE); the one server that takes it answers PULL with a subject of its
own, and gets the PARTs there, since parts sent to the shared subject would go to several servers.
While a server works it says ALIVE now and then, so a caller notices that one has died.
"""

import struct
from enum import IntEnum

from octostack.base.errors import Corrupt, TooLarge

TOTAL_BYTES_MAX = 64 << 20

_PART = struct.Struct(">BII")  # kind, index, count
_LARGE = struct.Struct(">BI")  # kind, count


class Kind(IntEnum):
    """The first byte of a message."""

    WHOLE = 0
    PART = 1
    LARGE = 2
    PULL = 3
    ALIVE = 4
    REFUSED = 5


ALIVE = bytes((Kind.ALIVE,))


def whole(data: bytes) -> bytes:
    """The message of something that fits."""
    return b"\x00" + data


def parts(data: bytes, message_max: int) -> list[bytes]:
    """The messages of something large. Raises TooLarge over TOTAL_BYTES_MAX."""
    if len(data) > TOTAL_BYTES_MAX:
        what = f"{len(data)} bytes are more than the bus carries ({TOTAL_BYTES_MAX})."
        raise TooLarge(what, code="bus.too_large")
    size = message_max - _PART.size
    count = max(1, -(-len(data) // size))
    view = memoryview(data)
    return [
        _PART.pack(Kind.PART, index, count) + view[index * size : (index + 1) * size]
        for index in range(count)
    ]


def large(count: int) -> bytes:
    """Announces a call in `count` parts."""
    return _LARGE.pack(Kind.LARGE, count)


def count_of(message: bytes) -> int:
    """How many parts a LARGE announces. Raises Corrupt."""
    if len(message) != _LARGE.size:
        raise Corrupt("An announcement of a large call cannot be read.", code="bus.frame")
    count: int = _LARGE.unpack(message)[1]
    return count


def pull(subject: str) -> bytes:
    """Asks for the parts, at `subject`."""
    return bytes((Kind.PULL,)) + subject.encode()


def refused(why: str) -> bytes:
    """Says that the answer is too large to be sent."""
    return bytes((Kind.REFUSED,)) + why.encode()


class Collector:
    """Puts parts together, which come in order from one sender."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, message: bytes) -> bytes | None:
        """The whole once the last part is here. Raises Corrupt, TooLarge."""
        if len(message) < _PART.size:
            raise Corrupt("A part cannot be read.", code="bus.frame")
        _, index, count = _PART.unpack_from(message)
        if index != len(self._parts):
            raise Corrupt(f"Part {index} came, not {len(self._parts)}.", code="bus.frame")
        self._size += len(message) - _PART.size
        if self._size > TOTAL_BYTES_MAX:
            raise TooLarge("The parts are too many.", code="bus.too_large")
        self._parts.append(message[_PART.size :])
        return b"".join(self._parts) if index + 1 == count else None
