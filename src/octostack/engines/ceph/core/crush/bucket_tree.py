# SPDX-License-Identifier: Apache-2.0
"""Tree buckets: items are odd nodes of a binary tree, even ones hold the sums of those below."""

from collections.abc import Sequence

from octostack.engines.ceph.core.crush import hashing
from octostack.wire.ceph.maps.crush import Bucket


def choose(bucket: Bucket, x: int, r: int) -> int:
    """The item at the end of a walk from the root, left or right by hash and weight."""
    weights = bucket.extra
    node = len(weights) >> 1
    while not node & 1:
        draw = hashing.hash4(x, node, r, bucket.id) * weights[node] >> 32
        half = (node & -node) >> 1
        node = node - half if draw < weights[node - half] else node + half
    # where all weighs nothing the walk leaves the tree, and Ceph reads whatever lies there
    return bucket.items[min(node >> 1, len(bucket.items) - 1)]


def extra(weights: Sequence[int]) -> tuple[int, ...]:
    """What the bucket keeps beside its items: the weight of every node."""
    if not weights:
        return ()
    depth = (len(weights) - 1).bit_length() + 1
    nodes = [0] * (1 << depth)
    for place, weight in enumerate(weights):
        node = 2 * place + 1
        nodes[node] = weight
        for _ in range(depth - 1):
            node = _parent(node)
            nodes[node] += weight
    return tuple(nodes)


def _parent(node: int) -> int:
    step = node & -node
    return node - step if node & (step << 1) else node + step
