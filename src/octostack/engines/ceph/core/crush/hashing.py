# SPDX-License-Identifier: Apache-2.0
"""Robert Jenkins' 32-bit mix as CRUSH uses it (hash 0, "rjenkins1"; src/crush/hash.c)."""

SEED = 1315423911
_X = 231232
_Y = 1232
_MASK = 0xFFFFFFFF


def hash2(a: int, b: int) -> int:
    """The 32-bit hash of two 32-bit integers; negative ones count as their two's complement."""
    a &= _MASK
    b &= _MASK
    a, b, h = mix(a, b, SEED ^ a ^ b)
    _, a, h = mix(_X, a, h)
    return mix(b, _Y, h)[2]


def hash3(a: int, b: int, c: int) -> int:
    """The 32-bit hash of three integers."""
    a &= _MASK
    b &= _MASK
    c &= _MASK
    a, b, h = mix(a, b, SEED ^ a ^ b ^ c)
    c, x, h = mix(c, _X, h)
    y, a, h = mix(_Y, a, h)
    b, x, h = mix(b, x, h)
    return mix(y, c, h)[2]


def hash4(a: int, b: int, c: int, d: int) -> int:
    """The 32-bit hash of four integers."""
    a &= _MASK
    b &= _MASK
    c &= _MASK
    d &= _MASK
    a, b, h = mix(a, b, SEED ^ a ^ b ^ c ^ d)
    c, d, h = mix(c, d, h)
    a, x, h = mix(a, _X, h)
    y, b, h = mix(_Y, b, h)
    c, x, h = mix(c, x, h)
    return mix(y, d, h)[2]


def mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    """Three 32-bit numbers mixed, reversibly."""
    a = (a - b - c & _MASK) ^ c >> 13
    b = (b - c - a ^ a << 8) & _MASK
    c = (c - a - b & _MASK) ^ b >> 13
    a = (a - b - c & _MASK) ^ c >> 12
    b = (b - c - a ^ a << 16) & _MASK
    c = (c - a - b & _MASK) ^ b >> 5
    a = (a - b - c & _MASK) ^ c >> 3
    b = (b - c - a ^ a << 10) & _MASK
    return a, b, (c - a - b & _MASK) ^ b >> 15
