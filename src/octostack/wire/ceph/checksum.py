# SPDX-License-Identifier: Apache-2.0
"""CRC-32C as Ceph uses it: any seed, and no inversion at the end.

Who has taken the sum of a large buffer, which is then passed on as it is, may `note` it: bytes that
are received, kept and sent to copies, or read and sent, are then looked through but once.
"""

import ctypes
import weakref
from collections.abc import Iterable
from typing import Any

import google_crc32c

Buffer = bytes | bytearray | memoryview

SEED = 0xFFFFFFFF
_COPY_MAX = 16 << 10  # below this a copy is cheaper than a foreign array over the buffer
_noted: dict[int, tuple[weakref.ref[memoryview], int]] = {}
_extend, _value = google_crc32c.extend, google_crc32c.value


def crc32c(data: Buffer, seed: int = SEED) -> int:
    """The sum of `data` continued from `seed`; an earlier sum goes on as the seed of the next."""
    if type(data) is not bytes:
        noted = _noted.get(id(data)) if seed == SEED else None
        if noted is not None and noted[0]() is data:
            return noted[1]
        data = _readable(data)
    found: int = _extend(seed ^ SEED, data) ^ SEED
    return found


def note(view: memoryview, found: int) -> None:
    """`found` is the sum of this view, whose bytes change no more; forgotten with it."""
    key = id(view)
    _noted[key] = weakref.ref(view, lambda _: _noted.pop(key, None)), found


def agree(parts: Iterable[bytes], sums: Iterable[int]) -> bool:
    """Whether each part has the sum that stands in its place; the shorter of the two counts."""
    for part, expected in zip(parts, sums, strict=False):  # noqa: SIM110 - for each frame
        if _value(part) ^ SEED != expected:
            return False
    return True


def _readable(data: Buffer) -> Any:
    """What the library takes: bytes, or an array over memory that is not copied."""
    view = memoryview(data)
    size = view.nbytes
    if size <= _COPY_MAX:
        return bytes(view)
    if not view.readonly:
        return (ctypes.c_char * size).from_buffer(view)
    whole = view.obj
    return whole if type(whole) is bytes and len(whole) == size else bytes(view)
