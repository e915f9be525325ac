# SPDX-License-Identifier: Apache-2.0
"""Hashes of object names (src/common/ceph_hash.cc of Ceph 16.2)."""

from octostack.engines.ceph.core.crush.hashing import mix

_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def rjenkins(text: bytes) -> int:
    """Robert Jenkins' hash of bytes: what pools use."""
    a = b = _GOLDEN
    c = 0
    whole = len(text) - len(text) % 12
    for at in range(0, whole, 12):
        a = a + int.from_bytes(text[at : at + 4], "little") & _MASK
        b = b + int.from_bytes(text[at + 4 : at + 8], "little") & _MASK
        c = c + int.from_bytes(text[at + 8 : at + 12], "little") & _MASK
        a, b, c = mix(a, b, c)
    tail = text[whole:]
    a = a + int.from_bytes(tail[:4], "little") & _MASK
    b = b + int.from_bytes(tail[4:8], "little") & _MASK
    # the lowest byte of c is the length
    c = c + len(text) + (int.from_bytes(tail[8:], "little") << 8) & _MASK
    return mix(a, b, c)[2]


def linux(text: bytes) -> int:
    """The hash of names in old Linux kernels: of pools with object_hash 1."""
    value = 0
    for byte in text:
        value = (value + (byte << 4) + (byte >> 4)) * 11 & _MASK
    return value
