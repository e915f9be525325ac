# SPDX-License-Identifier: Apache-2.0
"""Making buckets: what each algorithm keeps beside its items follows from the weights."""

from collections.abc import Sequence

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.crush import (
    bucket_list,
    bucket_straw,
    bucket_tree,
    bucket_uniform,
)
from octostack.wire.ceph.maps.crush import (
    LIST,
    STRAW,
    STRAW2,
    TREE,
    UNIFORM,
    Bucket,
    CrushMap,
    Tunables,
)

WEIGHT_MAX = 0xFFFFFFFF
SLOTS = 8  # of the first bucket; doubled whenever one does not fit


def bucket(
    shape: Bucket, items: Sequence[int], weights: Sequence[int], tunables: Tunables
) -> Bucket:
    """A bucket of the id, type, algorithm and hash of `shape`. Raises Invalid on overflow."""
    weight = sum(weights)
    if weight > WEIGHT_MAX:
        raise Invalid("The weights of the bucket's items add up to too much", code="crush.weight")
    return msgspec.structs.replace(
        shape,
        weight=weight,
        items=tuple(items),
        weights=tuple(weights),
        extra=_extra(shape.alg, weights, tunables),
    )


def _extra(alg: int, weights: Sequence[int], tunables: Tunables) -> tuple[int, ...]:
    if alg == UNIFORM:
        return bucket_uniform.extra(weights)
    if alg == LIST:
        return bucket_list.extra(weights)
    if alg == TREE:
        return bucket_tree.extra(weights)
    if alg == STRAW:
        return bucket_straw.extra(weights, tunables.straw_calc_version)
    if alg == STRAW2:
        return ()
    raise Invalid(f"Unknown bucket algorithm {alg}", code="crush.algorithm")


def put(crush: CrushMap, made: Bucket) -> CrushMap:
    """The map with this bucket in its slot, in place of one that is there."""
    slots = list(crush.buckets)
    size = len(slots)
    while -made.id > size:
        size = size * 2 or SLOTS
    slots += [None] * (size - len(slots))
    slots[-1 - made.id] = made
    return msgspec.structs.replace(crush, buckets=tuple(slots))


def free_bucket_id(crush: CrushMap, taken: frozenset[int] = frozenset()) -> int:
    """The first id without a bucket."""
    number = -1
    while crush.find_bucket(number) or number in taken:
        number -= 1
    return number
