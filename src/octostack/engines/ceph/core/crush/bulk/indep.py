# SPDX-License-Identifier: Apache-2.0
"""`crush.indep` for many inputs at once."""

import numpy as np
from numpy.typing import NDArray

from octostack.engines.ceph.core.crush.bulk.draws import BAD, EMPTY, I32, Draws
from octostack.engines.ceph.core.crush.indep import UNDEFINED
from octostack.wire.ceph.maps.crush import ITEM_NONE

Index = NDArray[np.intp]
_NONE = np.int32(ITEM_NONE)
_OPEN = np.int32(UNDEFINED)


class Indep:
    """Chooses items of one type, with a hole wherever there is none."""

    def __init__(
        self, draws: Draws, kind: int, stride: int, tries: int, leaf_tries: int | None
    ) -> None:
        self.draws = draws
        self.kind = kind
        self.stride = stride
        self.tries = tries
        self.leaf_tries = leaf_tries

    def choose(self, inputs: Index, slots: I32, places: int) -> I32:
        """A row of `places` items or devices for each input."""
        out = np.full((len(inputs), places), _OPEN, np.int32)
        leaves = np.full((len(inputs), places), _OPEN, np.int32)
        for failed in range(self.tries):
            if not (out == _OPEN).any():
                break
            for place in range(places):
                rows = np.nonzero(out[:, place] == _OPEN)[0]
                if len(rows):
                    self._try(inputs, slots, (rows, place, failed), out, leaves)
        result = out if self.leaf_tries is None else leaves
        result[result == _OPEN] = _NONE
        return result

    def _try(
        self, inputs: Index, slots: I32, at: tuple[Index, int, int], out: I32, leaves: I32
    ) -> None:
        rows, place, failed = at
        r = np.full(len(rows), place + self.stride * failed, np.int32)
        position = np.zeros(len(rows), np.int32)
        found = self.draws.descend(inputs[rows], slots[rows], r, position, self.kind)
        bad = rows[found == BAD]
        out[bad, place] = leaves[bad, place] = _NONE
        good = (found != BAD) & (found != EMPTY)
        good &= ~(out[rows] == found[:, None]).any(axis=1)
        rows, found, r = rows[good], found[good], r[good]
        if self.leaf_tries is not None:
            under = self._leaves(inputs[rows], found, place, r)
            leaves[rows, place] = under
            rows, found = rows[under != _NONE], found[under != _NONE]
        if self.kind == 0:
            stays = ~self.draws.is_out(inputs[rows], found)
            rows, found = rows[stays], found[stays]
        out[rows, place] = found

    def _leaves(self, inputs: Index, items: I32, place: int, parent_r: I32) -> I32:
        """A device under each item, or none; a device is its own."""
        if self.kind == 0:
            return items
        found = np.full(len(inputs), _NONE, np.int32)
        left = np.arange(len(inputs))
        position = np.full(len(inputs), place, np.int32)
        for failed in range(self.leaf_tries or 0):
            if not len(left):
                break
            r = parent_r[left] + np.int32(place + self.stride * failed)
            leaf = self.draws.descend(inputs[left], -1 - items[left], r, position[left], 0)
            good = (leaf != BAD) & (leaf != EMPTY)
            good[good] = ~self.draws.is_out(inputs[left[good]], leaf[good])
            found[left[good]] = leaf[good]
            left = left[~good & (leaf != BAD)]
        return found
