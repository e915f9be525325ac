# SPDX-License-Identifier: Apache-2.0
"""Choose first n: a list without holes, where what follows a failed device moves up.

For replicated pools. (crush_choose_firstn in src/crush/mapper.c of Ceph 16.2.)
"""

import msgspec

from octostack.engines.ceph.core.crush.draw import Draw
from octostack.wire.ceph.maps.crush import Bucket


class Tries(msgspec.Struct, frozen=True):
    """How long to look for one item, and how the tries for its leaf are numbered."""

    total: int
    leaf_total: int
    local: int
    local_fallback: int
    vary_r: int
    stable: int


class Firstn:
    """Chooses items of one type, with a leaf under each where `leaf` is set."""

    __slots__ = ("draw", "inner", "leaf", "total", "tries", "type")

    def __init__(self, draw: Draw, tries: Tries, kind: int, leaf: bool) -> None:
        self.draw = draw
        self.tries = tries
        self.total = tries.total
        self.type = kind
        self.leaf = leaf
        self.inner: Firstn | None = None
        if leaf:
            self.inner = Firstn(draw, tries, 0, leaf=False)
            self.inner.total = tries.leaf_total

    def choose(self, bucket: Bucket, wanted: int, room: int) -> tuple[list[int], list[int]]:
        """At most `wanted` and `room` items from under `bucket`, and the leaf under each."""
        chosen: list[int] = []
        leaves: list[int] = []
        for number in range(wanted):
            if len(chosen) >= room:
                break
            item = self._one(bucket, number, chosen, leaves)
            if item is not None:
                chosen.append(item)
        return chosen, leaves

    def _one(
        self, bucket: Bucket, first_r: int, chosen: list[int], leaves: list[int]
    ) -> int | None:
        tries = self.tries
        node = bucket
        failed = failed_here = 0
        while True:
            r = first_r + failed
            collides = False
            if node.items:
                item = self._pick(node, r, failed_here, len(chosen))
                below = self.draw.bucket(item)
                if item >= self.draw.max_devices:
                    return None
                if (below.type if below else 0) != self.type:
                    if below is None:
                        return None
                    node = below
                    continue
                collides = item in chosen
                if not collides and self._accepts(item, below, r, chosen, leaves):
                    return item
            failed += 1
            failed_here += 1
            if collides and failed_here <= tries.local:
                continue
            if tries.local_fallback and failed_here <= len(node.items) + tries.local_fallback:
                continue
            if failed >= self.total:
                return None
            node = bucket
            failed_here = 0

    def _pick(self, node: Bucket, r: int, failed_here: int, position: int) -> int:
        fallback = self.tries.local_fallback
        if fallback and failed_here >= len(node.items) >> 1 and failed_here > fallback:
            return self.draw.pick_any(node, r)
        return self.draw.pick(node, r, position)

    def _accepts(
        self, item: int, below: Bucket | None, r: int, chosen: list[int], leaves: list[int]
    ) -> bool:
        if below is None:
            if self.draw.is_out(item):
                return False
            if self.leaf:
                leaves.append(item)
            return True
        return self.inner is None or self._leaf(self.inner, below, r, chosen, leaves)

    def _leaf(
        self, inner: "Firstn", below: Bucket, r: int, chosen: list[int], leaves: list[int]
    ) -> bool:
        """Whether a leaf was found that is not yet among `leaves`, which then has it."""
        vary_r = self.tries.vary_r
        first_r = r >> (vary_r - 1) if vary_r else 0
        if not self.tries.stable:
            first_r += len(chosen)
        leaf = inner._one(below, first_r, leaves, [])
        if leaf is None:
            return False
        leaves.append(leaf)
        return True
