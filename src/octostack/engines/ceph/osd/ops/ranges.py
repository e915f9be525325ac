# SPDX-License-Identifier: Apache-2.0
"""Sets of byte ranges as sorted lists of (offset, length)."""

from collections.abc import Iterable

Ranges = list[tuple[int, int]]


def subtract(ranges: Ranges, gone: Iterable[tuple[int, int]]) -> Ranges:
    """`ranges` without `gone`."""
    for start, length in gone:
        end = start + length
        left: Ranges = []
        for at, size in ranges:
            if at + size <= start or at >= end:
                left.append((at, size))
                continue
            if at < start:
                left.append((at, start - at))
            if at + size > end:
                left.append((end, at + size - end))
        ranges = left
    return ranges


def intersect(one: Ranges, other: Ranges) -> Ranges:
    """What is in both."""
    found = []
    for at, size in one:
        for start, length in other:
            low, high = max(at, start), min(at + size, start + length)
            if low < high:
                found.append((low, high - low))
    return sorted(found)
