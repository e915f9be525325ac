# SPDX-License-Identifier: Apache-2.0
"""Straw buckets: each item draws a straw, the longest wins; a length depends on all weights."""

from collections.abc import Sequence

from octostack.engines.ceph.core.crush import hashing
from octostack.wire.ceph.maps.crush import Bucket


def choose(bucket: Bucket, x: int, r: int) -> int:
    """The item with the longest straw, the first among equals."""
    best = bucket.items[0]
    longest = -1
    for item, straw in zip(bucket.items, bucket.extra, strict=True):
        draw = (hashing.hash3(x, item, r) & 0xFFFF) * straw
        if draw > longest:
            best, longest = item, draw
    return best


def extra(weights: Sequence[int], straw_calc_version: int = 1) -> tuple[int, ...]:
    """What the bucket keeps beside its items: the straws' lengths, 16.16 fixed point.

    Version 0 counts items of equal weight wrongly; old maps depend on it (crush_calc_straw).
    """
    order = sorted(range(len(weights)), key=lambda place: weights[place])
    straws = [0] * len(weights)
    straw, below, last = 1.0, 0.0, 0.0
    left = len(weights)
    for at, place in enumerate(order):
        weight = weights[place]
        following = weights[order[at + 1]] if at + 1 < len(order) else None
        if weight:
            straws[place] = int(straw * 0x10000)
        elif straw_calc_version:
            left -= 1
        if not weight or following is None or (not straw_calc_version and following == weight):
            continue
        below += (weight - last) * left
        left -= 1 if straw_calc_version else weights.count(following)
        above = float((left * (following - weight)) & 0xFFFFFFFF)
        if left:  # without any left, `above` is 0 and the power that of 1
            straw *= (1.0 / (below / (below + above))) ** (1.0 / left)
        last = float(weight)
    return tuple(straws)
