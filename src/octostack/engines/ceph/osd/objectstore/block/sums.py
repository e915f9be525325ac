# SPDX-License-Identifier: Apache-2.0
"""The CRC-32C of each block, and what those of many say of all their bytes at once.

The sum of bytes one after the other follows from their sums: so a long read is checked by one pass
over all of it, which is also what a message needs, and not block by block.
"""

from array import array
from functools import cache
from struct import Struct

import google_crc32c

from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Words
from octostack.runtime.device import Data

_BLOCKS = Struct(f"{BLOCK}s")
_BYTES = range(4)  # of a sum


def sums_of(whole: Data) -> Words:
    """Of each block. A copy of a block, which stays in the cache, is cheaper than a foreign array
    over it."""
    value = google_crc32c.value
    return array("I", [value(block) for (block,) in _BLOCKS.iter_unpack(whole)])


def joined(sums: Words) -> int:
    """The sum of all blocks, from the sum of each: of neighbours two by two, until one is left.

    Each of the four bytes of the sums is a string of its own, so that a round is a few steps.
    """
    count = 1 << (len(sums) - 1).bit_length()
    data = bytes(4 * (count - len(sums))) + sums.tobytes()  # nothing, before the first
    planes = [data[number::4] for number in _BYTES]
    doubled = 0
    while count > 1:
        count //= 2
        before = [plane[::2] for plane in planes]
        planes = [
            _xor(count, planes[to][1::2], [before[at].translate(table[at][to]) for at in _BYTES])
            for table in [_tables(doubled)]
            for to in _BYTES
        ]
        doubled += 1
    return int.from_bytes(b"".join(planes), "little")


def _xor(size: int, first: bytes, others: list[bytes]) -> bytes:
    found = int.from_bytes(first, "little")
    for other in others:
        found ^= int.from_bytes(other, "little")
    return found.to_bytes(size, "little")


@cache
def _tables(doubled: int) -> list[list[bytes]]:
    """What becomes of a sum when zeros follow, of one block doubled so often: what each value of
    each of its bytes adds to each byte."""
    zeros = bytes(BLOCK << doubled)
    nothing = google_crc32c.value(zeros)
    tables = []
    for at in _BYTES:
        images = [0]
        for bit in range(8):
            image = google_crc32c.extend(1 << 8 * at + bit, zeros) ^ nothing
            images += [known ^ image for known in images]
        tables.append([bytes(image >> 8 * to & 0xFF for image in images) for to in _BYTES])
    return tables
