# SPDX-License-Identifier: Apache-2.0
"""Walking a rule for many inputs at once."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from octostack.engines.ceph.core.crush import rules as one
from octostack.engines.ceph.core.crush.bulk.draws import I32, Draws
from octostack.engines.ceph.core.crush.bulk.firstn import Firstn
from octostack.engines.ceph.core.crush.bulk.hashing import U32
from octostack.engines.ceph.core.crush.bulk.indep import Indep
from octostack.engines.ceph.core.crush.firstn import Tries
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import ITEM_NONE, ChooseArg, CrushMap, Rule, Step

_SIMPLE = frozenset({wire.STRAW, wire.STRAW2})
PART = 1 << 17  # inputs at a time, so that their arrays stay small


class Mapped(msgspec.Struct, frozen=True):
    """A row of devices for each input, of which the first `lengths` count."""

    devices: I32
    lengths: I32

    def lists(self) -> list[list[int]]:
        """The rows as `crush.rules.map_input` gives them."""
        lengths = self.lengths.tolist()
        rows = zip(self.devices.tolist(), lengths, strict=True)
        return [row[:length] for row, length in rows]


def map_inputs(
    crush: CrushMap,
    rule_id: int,
    xs: U32,
    size: int,
    reweights: Sequence[int],
    args: Mapping[int, ChooseArg] | None = None,
) -> Mapped:
    """At most `size` devices for each of `xs`: what `map_input` finds one by one."""
    rule = crush.rules[rule_id] if 0 <= rule_id < len(crush.rules) else None
    if rule is None or not is_simple(crush, rule) or not len(reweights):
        return _one_by_one(crush, rule_id, xs, size, reweights, args)
    devices = np.full((len(xs), size), ITEM_NONE, np.int32)
    lengths = np.zeros(len(xs), np.int32)
    draws = Draws(crush, xs, reweights, args)
    with np.errstate(divide="ignore"):
        for at in range(0, len(xs), PART):
            draws.xs = xs[at : at + PART]
            walk = _Walk(crush, draws, size)
            walk.steps(rule)
            devices[at : at + PART] = walk.result
            lengths[at : at + PART] = walk.lengths
    return Mapped(devices, lengths)


def is_simple(crush: CrushMap, rule: Rule) -> bool:
    """Whether arrays can do it: straw2 and straw buckets alone, and no local retries."""
    settings = one.Settings.of(crush)
    for step in rule.steps:
        settings.change(step)
        if step.op in one.FIRSTN and (settings.local or settings.local_fallback):
            return False
    if all(bucket is None or bucket.alg in _SIMPLE for bucket in crush.buckets):
        return True
    wanted = [step.arg1 for step in rule.steps if step.op == wire.TAKE]
    seen: set[int] = set()
    while wanted:
        item = wanted.pop()
        bucket = crush.find_bucket(item)
        if bucket is None or item in seen:
            continue
        seen.add(item)
        if bucket.alg not in _SIMPLE:
            return False
        wanted += bucket.items
    return True


def _one_by_one(
    crush: CrushMap,
    rule_id: int,
    xs: U32,
    size: int,
    reweights: Sequence[int],
    args: Mapping[int, ChooseArg] | None,
) -> Mapped:
    devices = np.full((len(xs), size), ITEM_NONE, np.int32)
    lengths = np.zeros(len(xs), np.int32)
    for row, x in enumerate(xs.tolist()):
        found = one.map_input(crush, rule_id, x, size, reweights, args)
        devices[row, : len(found)] = found
        lengths[row] = len(found)
    return Mapped(devices, lengths)


class _Walk:
    """The state of a walk: for each input the items at work, and those emitted."""

    def __init__(self, crush: CrushMap, draws: Draws, size: int) -> None:
        many = len(draws.xs)
        self.crush = crush
        self.draws = draws
        self.size = size
        self.work = np.zeros((many, 0), np.int32)
        self.work_lengths = np.zeros(many, np.int32)
        self.result = np.full((many, size), ITEM_NONE, np.int32)
        self.lengths = np.zeros(many, np.int32)

    def steps(self, rule: Rule) -> None:
        """Take all steps of the rule."""
        settings = one.Settings.of(self.crush)
        for step in rule.steps:
            if step.op == wire.TAKE:
                if one.can_take(self.crush, step.arg1):
                    self.work = np.full((len(self.work), 1), step.arg1, np.int32)
                    self.work_lengths = np.ones(len(self.work), np.int32)
            elif step.op == wire.EMIT:
                _append(self.result, self.lengths, self.work, self.work_lengths)
                self.work_lengths = np.zeros(len(self.work), np.int32)
            elif step.op in one.CHOOSE:
                self._choose(step, settings)
            else:
                settings.change(step)

    def _choose(self, step: Step, s: one.Settings) -> None:
        wanted = step.arg1 if step.arg1 > 0 else step.arg1 + self.size
        out = np.full((len(self.work), self.size), ITEM_NONE, np.int32)
        lengths = np.zeros(len(self.work), np.int32)
        slots = -1 - self.work  # the buckets at work, where there are any
        there = (slots >= 0) & (slots < len(self.draws.types))
        there &= self.draws.types[np.where(there, slots, 0)] >= 0
        for column in range(self.work.shape[1] if wanted > 0 else 0):
            active = (column < self.work_lengths) & there[:, column]
            # rows with the same room go together: an indep choice sees only places that fit
            before = lengths.copy()
            for length in np.unique(before[active]):
                rows = np.nonzero(active & (before == length))[0]
                counts = (wanted, self.size - int(length))
                found, many = self._found(step, s, counts, rows, column)
                part, part_lengths = out[rows], lengths[rows]
                _append(part, part_lengths, found, many)
                out[rows], lengths[rows] = part, part_lengths
        self.work, self.work_lengths = out, lengths

    def _found(
        self,
        step: Step,
        s: one.Settings,
        counts: tuple[int, int],
        rows: NDArray[np.intp],
        column: int,
    ) -> tuple[I32, I32]:
        wanted, room = counts
        slots = -1 - self.work[rows, column]
        leaf = step.op in one.LEAF
        if step.op in one.FIRSTN:
            once = 1 if self.crush.tunables.chooseleaf_descend_once else s.total
            tries = Tries(s.total, s.leaf or once, 0, 0, s.vary_r, s.stable)
            return Firstn(self.draws, tries, step.arg2, leaf).choose(rows, slots, wanted, room)
        leaf_tries = (s.leaf or 1) if leaf else None
        indep = Indep(self.draws, step.arg2, wanted, s.total, leaf_tries)
        places = min(wanted, room)
        return indep.choose(rows, slots, places), np.full(len(rows), places, np.int32)


def _append(out: I32, lengths: I32, found: I32, many: I32) -> None:
    """Put the first `many` of each row of `found` after the `lengths` of `out`, while they fit."""
    for column in range(found.shape[1]):
        rows = np.nonzero((column < many) & (lengths < out.shape[1]))[0]
        out[rows, lengths[rows]] = found[rows, column]
        lengths[rows] += 1
