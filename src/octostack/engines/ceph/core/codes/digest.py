# SPDX-License-Identifier: Apache-2.0
"""A digest that fits as pieces fit: that of a sum of multiples is the same sum of their digests.

So whether parity is that of the data is seen from digests alone, of pieces that never meet. A piece
is a row of numbers of 64 bytes each; the digest is their polynomial at 2, byte for byte, in the
field of the codes. One wrong byte always shows; of much that is wrong by chance all 64 bytes of
the digest would have to come out right.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from octostack.engines.ceph.core.codes.code import Data
from octostack.engines.ceph.core.codes.field import multiply, power

BYTES = 64
_ROW = 32 << 10  # that is worked on at a time


def digest(parts: Iterable[Data]) -> bytes:
    """Of a piece in parts, each a multiple of 32 KiB but for the last."""
    total = np.zeros(_ROW, np.uint8)
    for part in parts:
        block = np.frombuffer(part, np.uint8)
        for start in range(0, len(block), _ROW):
            row = block[start : start + _ROW]
            total = _times(_ROW)[total]
            total[: len(row)] ^= row
    while len(total) > BYTES:
        half = len(total) // 2
        total = _times(half)[total[:half]] ^ total[half:]
    return bytes(total.tobytes())


def _times(size: int) -> Any:
    """The products with what a number that stands so many bytes before another is multiplied by."""
    known = _TABLES.get(size)
    if known is None:
        factor = power(size // BYTES)
        known = np.array([multiply(factor, value) for value in range(256)], np.uint8)
        _TABLES[size] = known
    return known


_TABLES: dict[int, Any] = {}
