# SPDX-License-Identifier: Apache-2.0
"""The hashes of `crush.hashing` over arrays of uint32, in place."""

import numpy as np
from numpy.typing import NDArray

from octostack.engines.ceph.core.crush.hashing import SEED

U32 = NDArray[np.uint32]
_X = np.uint32(231232)
_Y = np.uint32(1232)
_SEED = np.uint32(SEED)
_BITS = tuple(np.uint32(bits) for bits in range(17))
_minus, _xor, _left, _right = np.subtract, np.bitwise_xor, np.left_shift, np.right_shift


def hash2(a: U32, b: U32) -> U32:
    """The hash of each pair."""
    a, b = a.copy(), b.copy()
    h = a ^ b ^ _SEED
    spare = np.empty_like(h)
    x, y = np.full_like(h, _X), np.full_like(h, _Y)
    _mix(a, b, h, spare)
    _mix(x, a, h, spare)
    _mix(b, y, h, spare)
    return h


def hash3(a: U32, b: U32, c: U32) -> U32:
    """The hash of each triple; the arguments are used up."""
    h = a ^ b
    h ^= c
    h ^= _SEED
    spare = np.empty_like(h)
    x, y = np.full_like(h, _X), np.full_like(h, _Y)
    _mix(a, b, h, spare)
    _mix(c, x, h, spare)
    _mix(y, a, h, spare)
    _mix(b, x, h, spare)
    _mix(y, c, h, spare)
    return h


def _mix(a: U32, b: U32, c: U32, spare: U32) -> None:
    for first, second, third, shift, bits in (
        (a, b, c, _right, 13),
        (b, c, a, _left, 8),
        (c, a, b, _right, 13),
        (a, b, c, _right, 12),
        (b, c, a, _left, 16),
        (c, a, b, _right, 5),
        (a, b, c, _right, 3),
        (b, c, a, _left, 10),
        (c, a, b, _right, 15),
    ):
        _minus(first, second, first)
        _minus(first, third, first)
        shift(third, _BITS[bits], spare)
        _xor(first, spare, first)
