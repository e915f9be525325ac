# SPDX-License-Identifier: Apache-2.0
"""Choose independently: every place keeps its device, and a place without one stays a hole.

For erasure-coded pools, where the place says which shard. (crush_choose_indep of Ceph 16.2.)
"""

from octostack.engines.ceph.core.crush.draw import Draw
from octostack.wire.ceph.maps.crush import ITEM_NONE, UNIFORM, Bucket

UNDEFINED = 0x7FFFFFFE


class Indep:
    """Chooses items of one type, `stride` being the number of them that the rule asked for."""

    __slots__ = ("draw", "leaf_tries", "stride", "tries", "type")

    def __init__(
        self, draw: Draw, kind: int, stride: int, tries: int, leaf_tries: int | None
    ) -> None:
        self.draw = draw
        self.type = kind
        self.stride = stride
        self.tries = tries
        self.leaf_tries = leaf_tries  # None: the items themselves are wanted, not leaves

    def choose(self, bucket: Bucket, places: int) -> tuple[list[int], list[int]]:
        """An item for each place, and the leaf under it; ITEM_NONE where there is none."""
        out = [UNDEFINED] * places
        leaves = [UNDEFINED] * places
        for failed in range(self.tries):
            if UNDEFINED not in out:
                break
            for place in range(places):
                if out[place] == UNDEFINED:
                    self._try(bucket, place, failed, out, leaves)
        return _holes(out), _holes(leaves)

    def _try(
        self, bucket: Bucket, place: int, failed: int, out: list[int], leaves: list[int]
    ) -> None:
        item, r = self._descend(bucket, place, failed, 0)
        if item == ITEM_NONE:
            out[place] = leaves[place] = ITEM_NONE
        if item in (ITEM_NONE, UNDEFINED) or item in out:
            return
        if self.leaf_tries is not None:
            below = self.draw.bucket(item)
            leaves[place] = self._leaf(below, place, r) if below else item
            if leaves[place] == ITEM_NONE:
                return
        if item < 0 or not self.draw.is_out(item):
            out[place] = item

    def _leaf(self, bucket: Bucket, place: int, parent_r: int) -> int:
        inner = Indep(self.draw, 0, self.stride, self.leaf_tries or 0, None)
        for failed in range(inner.tries):
            item, _ = inner._descend(bucket, place, failed, parent_r, place)
            if item == ITEM_NONE:
                return ITEM_NONE
            if item != UNDEFINED and not self.draw.is_out(item):
                return item
        return ITEM_NONE

    def _descend(
        self, bucket: Bucket, place: int, failed: int, parent_r: int, position: int = 0
    ) -> tuple[int, int]:
        """The first item of the type on the way down, and the try number it was drawn with.

        UNDEFINED: an empty bucket, to be tried again; ITEM_NONE: the map is wrong here.
        """
        node = bucket
        while True:
            r = place + parent_r
            stride = self.stride
            if node.alg == UNIFORM and len(node.items) % stride == 0:
                stride += 1  # else the same items would come again
            r += stride * failed
            if not node.items:
                return UNDEFINED, r
            item = self.draw.pick(node, r, position)
            below = self.draw.bucket(item)
            if item >= self.draw.max_devices:
                return ITEM_NONE, r
            if (below.type if below else 0) == self.type:
                return item, r
            if below is None:
                return ITEM_NONE, r
            node = below


def _holes(out: list[int]) -> list[int]:
    return [ITEM_NONE if item == UNDEFINED else item for item in out]
