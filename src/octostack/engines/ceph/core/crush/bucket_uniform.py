# SPDX-License-Identifier: Apache-2.0
"""Uniform buckets: all items weigh the same, and a draw is a place in a permutation by hash."""

from collections.abc import Sequence

from octostack.engines.ceph.core.crush import hashing
from octostack.wire.ceph.maps.crush import Bucket


def choose(bucket: Bucket, x: int, r: int) -> int:
    """The item in place `r` (modulo the size) of the permutation that `x` makes."""
    items = bucket.items
    size = len(items)
    place = r % size
    order = list(range(size))
    for at in range(min(place + 1, size - 1)):
        swap = hashing.hash3(x, bucket.id, at) % (size - at)
        if swap:
            order[at], order[at + swap] = order[at + swap], order[at]
    return items[order[place]]


def extra(weights: Sequence[int]) -> tuple[int, ...]:
    """What the bucket keeps beside its items: the one weight of each of them."""
    return (weights[0] if weights else 0,)
