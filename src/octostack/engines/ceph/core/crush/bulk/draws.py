# SPDX-License-Identifier: Apache-2.0
"""A map as arrays, and draws from many buckets at once."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from octostack.engines.ceph.core.crush import logarithm
from octostack.engines.ceph.core.crush.bulk.hashing import U32, hash2, hash3
from octostack.wire.ceph.maps.crush import ONE, STRAW, STRAW2, Bucket, ChooseArg, CrushMap

I32 = NDArray[np.int32]
Index = NDArray[np.intp]
Bools = NDArray[np.bool_]
BAD = np.int32(0x7FFFFFFD)  # the map is wrong here: give up
EMPTY = np.int32(0x7FFFFFFC)  # a bucket without items: try again
BLOCK = 1 << 15  # draws at a time: their arrays fit the second-level cache


@cache
def _depths() -> NDArray[np.float64]:
    """`depth_below_one` of each 16-bit number: whole and below 2^49, so floats hold them."""
    x = np.arange(1, 0x10001, dtype=np.int64)
    shift = np.maximum(0, 16 - np.ceil(np.log2(x + 1)).astype(np.int64))
    x <<= shift
    at = (x >> 8) - 128
    reciprocal = np.array(logarithm.RECIPROCAL, np.int64)[at]
    low = (x * reciprocal >> 48) & 0xFF
    sums = np.array(logarithm.HIGH, np.int64)[at] + np.array(logarithm.LOW, np.int64)[low]
    depths = logarithm.TOP - ((15 - shift << 44) + (sums >> 4))
    return np.asarray(depths, np.float64)


class _Table:
    """All buckets of one size and algorithm: a row each."""

    def __init__(self, buckets: Sequence[Bucket], args: Mapping[int, ChooseArg]) -> None:
        self.items = np.array([b.items for b in buckets], np.int32)
        self.is_straw2 = buckets[0].alg == STRAW2
        sets = [args.get(b.id, ChooseArg()) for b in buckets]
        ids = [arg.ids or b.items for b, arg in zip(buckets, sets, strict=True)]
        self.ids = np.array(ids, np.int32).view(np.uint32)
        positions = max((len(arg.weight_set) for arg in sets), default=0) or 1
        self.scales = [
            np.array([_scale(b, arg, p) for b, arg in zip(buckets, sets, strict=True)], np.float64)
            for p in range(positions)
        ]

    def best(self, hashes: U32, rows: Index, position: int) -> Index:
        """The place of the item that wins, from the hashes of each row's items."""
        hashes &= np.uint32(0xFFFF)
        scale = self.scales[min(position, len(self.scales) - 1)][rows]
        if not self.is_straw2:
            return np.asarray(np.argmax(hashes * scale, axis=1))
        draws = _depths()[hashes]
        # the quotient of such numbers is never rounded up to a whole one, so this is C's division
        np.divide(draws, scale, out=draws)
        np.floor(draws, out=draws)
        return np.asarray(np.argmin(draws, axis=1))


def _scale(bucket: Bucket, arg: ChooseArg, position: int) -> tuple[int, ...]:
    if bucket.alg == STRAW:
        return bucket.extra
    if arg.weight_set:
        return arg.weight_set[min(position, len(arg.weight_set) - 1)]
    return bucket.weights


class Draws:
    """What `crush.draw.Draw` is for one input, for an array of them."""

    def __init__(
        self,
        crush: CrushMap,
        xs: U32,
        reweights: Sequence[int],
        args: Mapping[int, ChooseArg] | None = None,
    ) -> None:
        self.xs = xs
        self.max_devices = crush.max_devices
        self.reweights = np.array(reweights, np.int64)
        self._all_in = bool((self.reweights >= ONE).all())
        self._has_positions = any(len(arg.weight_set) > 1 for arg in (args or {}).values())
        self.types = np.array([b.type if b else -1 for b in crush.buckets], np.int32)
        self._table_of = np.full(len(crush.buckets), -1, np.int64)
        self._row_of = np.zeros(len(crush.buckets), np.intp)
        groups: dict[tuple[int, int], list[Bucket]] = {}
        for bucket in crush.buckets:
            if bucket and bucket.items:
                groups.setdefault((len(bucket.items), bucket.alg), []).append(bucket)
        self._tables = []
        for number, buckets in enumerate(groups.values()):
            slots = [-1 - b.id for b in buckets]
            self._table_of[slots] = number
            self._row_of[slots] = np.arange(len(slots))
            self._tables.append(_Table(buckets, args or {}))

    def descend(self, inputs: Index, slots: I32, r: I32, position: I32, kind: int) -> I32:
        """For each of `inputs` the first item of type `kind` below its bucket; or BAD, or EMPTY."""
        items = self._pick(inputs, slots, r, position)
        found, on = self._judge(items, kind)
        left = np.nonzero(on)[0]
        while len(left):
            below = -1 - items[on]
            items = self._pick(inputs[left], below, r[left], position[left])
            found[left], on = self._judge(items, kind)
            left = left[on]
        return found

    def _judge(self, items: I32, kind: int) -> tuple[I32, Bools]:
        """What of `items` is found (or BAD, or EMPTY), and below which the way goes on."""
        below = -1 - items
        inner = (items < 0) & (below < len(self.types))
        types = np.where(inner, self.types[np.where(inner, below, 0)], 0)
        found = np.where((types == kind) & (items < self.max_devices), items, BAD)
        found[items == EMPTY] = EMPTY
        return found, inner & (types != kind)

    def _pick(self, inputs: Index, slots: I32, r: I32, position: I32) -> I32:
        tables = self._table_of[slots]
        key = tables * 64 + np.minimum(position, 63) if self._has_positions else tables * 64
        kinds = _distinct(key)
        if len(kinds) == 1:
            return self._pick_alike(kinds[0], inputs, slots, r)
        out = np.full(len(inputs), EMPTY, np.int32)
        for each in kinds:
            rows = np.nonzero(key == each)[0]
            out[rows] = self._pick_alike(each, inputs[rows], slots[rows], r[rows])
        return out

    def _pick_alike(self, kind: int, inputs: Index, slots: I32, r: I32) -> I32:
        """Draws from buckets of one table, block by block."""
        if kind < 0:
            return np.full(len(inputs), EMPTY, np.int32)
        table = self._tables[kind // 64]
        size = table.items.shape[1]
        if size == 1:
            return np.asarray(table.items[self._row_of[slots], 0])
        out = np.empty(len(inputs), np.int32)
        step = max(1, BLOCK // size)
        for at in range(0, len(inputs), step):
            part = slice(at, at + step)
            rows = self._row_of[slots[part]]
            hashes = self._hashes(table, rows, self.xs[inputs[part]], r[part])
            best = table.best(hashes, rows, kind % 64)
            out[part] = table.items[rows, best]
        return out

    @staticmethod
    def _hashes(table: _Table, rows: Index, xs: U32, r: I32) -> U32:
        ids = table.ids[rows]
        a = np.empty_like(ids)
        a[:] = xs[:, None]
        c = np.empty_like(ids)
        c[:] = r.view(np.uint32)[:, None]
        return hash3(a, ids, c)

    def is_out(self, inputs: Index, devices: I32) -> Bools:
        """Whether each device is out for its input."""
        known = (devices >= 0) & (devices < len(self.reweights))
        if self._all_in:
            return np.asarray(~known)
        weights = np.where(known, self.reweights[np.where(known, devices, 0)], 0)
        out: Bools = weights == 0
        partly = np.nonzero((weights > 0) & (weights < ONE))[0]
        if len(partly):
            hashes = hash2(self.xs[inputs[partly]], devices[partly].view(np.uint32)) & 0xFFFF
            out[partly] = hashes >= weights[partly]
        return out


def _distinct(keys: NDArray[np.int64]) -> list[int]:
    if (keys == keys[0]).all():
        return [int(keys[0])]
    found: list[int] = np.unique(keys).tolist()
    return found
