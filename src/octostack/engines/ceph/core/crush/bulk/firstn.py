# SPDX-License-Identifier: Apache-2.0
"""`crush.firstn` for many inputs at once."""

import numpy as np
from numpy.typing import NDArray

from octostack.engines.ceph.core.crush.bulk.draws import BAD, EMPTY, I32, Draws
from octostack.engines.ceph.core.crush.firstn import Tries

NOTHING = np.int32(0x7FFFFFFE)
Index = NDArray[np.intp]


class Firstn:
    """Chooses items of one type for the inputs `inputs`, each from its bucket."""

    def __init__(self, draws: Draws, tries: Tries, kind: int, leaf: bool) -> None:
        self.draws = draws
        self.tries = tries
        self.kind = kind
        self.leaf = leaf

    def choose(self, inputs: Index, slots: I32, wanted: int, room: int) -> tuple[I32, I32]:
        """Lists of at most `wanted` and `room` devices or items, and their lengths."""
        count = np.zeros(len(inputs), np.int32)
        chosen = np.full((len(inputs), wanted), NOTHING, np.int32)
        leaves = np.full((len(inputs), wanted), NOTHING, np.int32)
        for number in range(wanted):
            rows = np.nonzero(count < room)[0]
            if not len(rows):
                break
            first_r = np.full(len(rows), number, np.int32)
            before, leaves_before = chosen[rows, :number], leaves[rows, :number]
            items, under = self._one(inputs[rows], slots[rows], first_r, before, leaves_before)
            hit = items != NOTHING
            rows, at = rows[hit], count[rows[hit]]
            chosen[rows, at] = items[hit]
            leaves[rows, at] = under[hit]
            count[rows] += 1
        return (leaves if self.leaf else chosen), count

    def _one(
        self, inputs: Index, slots: I32, first_r: I32, chosen: I32, leaves: I32
    ) -> tuple[I32, I32]:
        items = np.full(len(inputs), NOTHING, np.int32)
        under = np.full(len(inputs), NOTHING, np.int32)
        position = np.asarray((chosen != NOTHING).sum(axis=1, dtype=np.int32))
        left = np.arange(len(inputs))
        for failed in range(self.tries.total):
            if not len(left):
                break
            r = first_r[left] + np.int32(failed)
            found = self.draws.descend(inputs[left], slots[left], r, position[left], self.kind)
            good = (found != BAD) & (found != EMPTY)
            for column in range(chosen.shape[1]):
                good &= chosen[left, column] != found
            if self.kind == 0:
                good[good] = ~self.draws.is_out(inputs[left[good]], found[good])
            if self.leaf:
                hit = np.nonzero(good)[0]
                at = left[hit]
                leaf = self._leaves(inputs[at], found[hit], r[hit], position[at], leaves[at])
                under[at] = leaf
                good[hit[leaf == NOTHING]] = False
            items[left[good]] = found[good]
            left = left[~good & (found != BAD)]  # BAD gives up, the rest try again
        return items, under

    def _leaves(self, inputs: Index, items: I32, r: I32, position: I32, leaves: I32) -> I32:
        """A device under each item; a device is its own."""
        if self.kind == 0:
            return items
        vary_r = self.tries.vary_r
        first_r = r >> (vary_r - 1) if vary_r else np.zeros_like(r)
        if not self.tries.stable:
            first_r = first_r + position
        inner = Firstn(self.draws, _inner(self.tries), 0, leaf=False)
        found, _ = inner._one(inputs, -1 - items, first_r, leaves, leaves)
        return found


def _inner(tries: Tries) -> Tries:
    return Tries(tries.leaf_total, 0, 0, 0, tries.vary_r, tries.stable)
