# SPDX-License-Identifier: Apache-2.0
"""List buckets: from the newest item back, each is taken by its share of what is left."""

from collections.abc import Sequence
from itertools import accumulate

from octostack.engines.ceph.core.crush import hashing
from octostack.wire.ceph.maps.crush import Bucket


def choose(bucket: Bucket, x: int, r: int) -> int:
    """The first item, from the end, whose draw falls under its weight."""
    items, sums, weights = bucket.items, bucket.extra, bucket.weights
    for at in range(len(items) - 1, -1, -1):
        draw = hashing.hash4(x, items[at], r, bucket.id) & 0xFFFF
        if draw * sums[at] >> 16 < weights[at]:
            return items[at]
    return items[0]


def extra(weights: Sequence[int]) -> tuple[int, ...]:
    """What the bucket keeps beside its items: the sum of the weights up to each."""
    return tuple(accumulate(weights))
