# SPDX-License-Identifier: Apache-2.0
"""One input on its way through one map: draws from buckets, and devices that are out."""

from collections.abc import Callable, Mapping, Sequence

from octostack.engines.ceph.core.crush import (
    bucket_list,
    bucket_straw,
    bucket_straw2,
    bucket_tree,
    bucket_uniform,
    hashing,
)
from octostack.wire.ceph.maps.crush import (
    LIST,
    ONE,
    STRAW,
    STRAW2,
    TREE,
    UNIFORM,
    Bucket,
    ChooseArg,
    CrushMap,
)

_CHOOSE: dict[int, Callable[[Bucket, int, int], int]] = {
    UNIFORM: bucket_uniform.choose,
    LIST: bucket_list.choose,
    TREE: bucket_tree.choose,
    STRAW: bucket_straw.choose,
}


class Draw:
    """The input `x`, the map, and the weights by which devices are in (0 out, 0x10000 fully in)."""

    __slots__ = ("args", "crush", "max_devices", "reweights", "x")

    def __init__(
        self,
        crush: CrushMap,
        x: int,
        reweights: Sequence[int],
        args: Mapping[int, ChooseArg] | None = None,
    ) -> None:
        self.crush = crush
        self.x = x
        self.reweights = reweights
        self.args = args or {}
        self.max_devices = crush.max_devices

    def pick(self, bucket: Bucket, r: int, position: int) -> int:
        """The item that the bucket's algorithm draws in try `r` for a place in the result."""
        if bucket.alg == STRAW2:
            arg = self.args.get(bucket.id)
            return bucket_straw2.choose(bucket, self.x, r, arg, position)
        return _CHOOSE[bucket.alg](bucket, self.x, r)

    def pick_any(self, bucket: Bucket, r: int) -> int:
        """The item in place `r` of a permutation, whatever the weights."""
        return bucket_uniform.choose(bucket, self.x, r)

    def bucket(self, item: int) -> Bucket | None:
        """The bucket of this id; None for a device and for an id beyond the map."""
        return self.crush.find_bucket(item)

    def is_out(self, device: int) -> bool:
        """Whether the device is out, or partly out and this input is among those it gave away."""
        if not 0 <= device < len(self.reweights):
            return True
        weight = self.reweights[device]
        if weight >= ONE:
            return False
        return weight == 0 or hashing.hash2(self.x, device) & 0xFFFF >= weight
