# SPDX-License-Identifier: Apache-2.0
"""Straw2 buckets: each item draws ln(hash) / weight, the greatest wins; weights act alone."""

from collections.abc import Sequence

from octostack.engines.ceph.core.crush import hashing
from octostack.engines.ceph.core.crush.logarithm import depth_below_one
from octostack.wire.ceph.maps.crush import Bucket, ChooseArg

_NEVER = 1 << 63


def choose(bucket: Bucket, x: int, r: int, arg: ChooseArg | None, position: int) -> int:
    """The item with the greatest draw, the first among equals.

    `arg` replaces weights (those of `position`, or the last given) and the ids that are hashed.
    """
    ids: Sequence[int] = bucket.items
    weights = bucket.weights
    if arg:
        ids = arg.ids or ids
        if arg.weight_set:
            weights = arg.weight_set[min(position, len(arg.weight_set) - 1)]
    best = 0
    least = _NEVER + 1
    for place, weight in enumerate(weights):
        depth = _NEVER
        if weight:
            depth = depth_below_one(hashing.hash3(x, ids[place], r) & 0xFFFF) // weight
        if depth < least:
            best, least = place, depth
    return bucket.items[best]
