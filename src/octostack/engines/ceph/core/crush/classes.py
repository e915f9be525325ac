# SPDX-License-Identifier: Apache-2.0
"""Device classes: for every class each tree has a shadow with the devices of that class alone.

A rule that takes ``default class ssd`` takes the shadow ``default~ssd``. Shadows are made anew
after every change, with the ids they had (CrushWrapper::rebuild_roots_with_classes).
"""

from collections.abc import Mapping

from octostack.engines.ceph.core.crush.draft import Draft
from octostack.wire.ceph.maps.crush import TAKE, Bucket, ChooseArg

ClassBuckets = Mapping[int, Mapping[int, int]]


def class_id(draft: Draft, name: str) -> int:
    """The number of a class, which is given one if it is new."""
    for number, other in draft.class_names.items():
        if other == name:
            return number
    number = max(draft.class_names, default=-1) + 1
    draft.class_names[number] = name
    return number


def rebuild(draft: Draft) -> None:
    """Make all shadow trees anew, and forget classes that nothing has and no rule takes."""
    old = {item: dict(of) for item, of in draft.class_buckets.items()}
    for number in [n for n in draft.class_names if _is_dead(draft, n)]:
        del draft.class_names[number]
    for root in draft.roots(draft.is_shadow):
        _remove_tree(draft, root)
    draft.class_buckets = {}
    populate(draft, old)


def populate(draft: Draft, old: ClassBuckets) -> None:
    """Make a shadow of each tree for each class, with the ids of `old` where it has them."""
    taken = frozenset(number for of in old.values() for number in of.values())
    clones = _Clones(draft, old, taken)
    for root in draft.roots(lambda item: not draft.is_shadow(item)):
        for number in sorted(draft.class_names):
            clones.clone(root, number)


def _is_dead(draft: Draft, number: int) -> bool:
    if any(item >= 0 and of == number for item, of in draft.classes.items()):
        return False
    shadows = {of[number] for of in draft.class_buckets.values() if number in of}
    steps = (step for rule in draft.rules if rule for step in rule.steps)
    return not any(step.op == TAKE and step.arg1 in shadows for step in steps)


def _remove_tree(draft: Draft, item: int) -> None:
    bucket = draft.find(item)
    if bucket is None:
        return  # two shadow trees may share what is below
    for inner in bucket.items:
        _remove_tree(draft, inner)
    draft.drop_bucket(item)
    draft.names.pop(item, None)


class _Clones:
    """Shadows as they are made, children first."""

    def __init__(self, draft: Draft, old: ClassBuckets, taken: frozenset[int]) -> None:
        self.draft = draft
        self.old = old
        self.taken = taken
        self.sums: dict[tuple[int, int], list[int]] = {}  # (weight set, shadow): its weights
        self.made = {name: item for item, name in draft.names.items() if "~" in name}

    def clone(self, item: int, number: int) -> int:
        """The shadow of a bucket for a class."""
        draft = self.draft
        name = f"{draft.names.get(item, '')}~{draft.class_names[number]}"
        if name in self.made:
            return self.made[name]
        original = draft.get(item)
        items, weights, places = self._members(original, number)
        shadow = self.old.get(item, {}).get(number) or draft.free_id(self.taken)
        shape = Bucket(shadow, original.type, original.alg, original.hash)
        draft.add_bucket(shape, items, weights)
        draft.classes[shadow] = number
        draft.names[shadow] = name
        self.made[name] = shadow
        draft.class_buckets.setdefault(item, {})[number] = shadow
        for index, args in draft.choose_args.items():
            self._weigh(index, args.get(item, ChooseArg()), shadow, (items, places))
        return shadow

    def _members(self, original: Bucket, number: int) -> tuple[list[int], list[int], list[int]]:
        """Items of the class, or shadows of items; their weights; their places before."""
        items, weights, places = [], [], []
        for place, item in enumerate(original.items):
            weight = original.weights[place]
            inner = item
            if item < 0:
                inner = self.clone(item, number)
                weight = self.draft.get(inner).weight
            elif self.draft.classes.get(item) != number:
                continue
            items.append(inner)
            weights.append(weight)
            places.append(place)
        return items, weights, places

    def _weigh(
        self, index: int, arg: ChooseArg, shadow: int, members: tuple[list[int], list[int]]
    ) -> None:
        items, places = members
        sets = []
        for position, row in enumerate(arg.weight_set):
            weights = []
            for item, place in zip(items, places, strict=True):
                inner = self.sums.get((index, item))
                weights.append(row[place] if item >= 0 else inner[position] if inner else 0)
            sets.append(tuple(weights))
        if sets:
            # Ceph starts its sums anew for each position, so only the last one keeps any
            self.sums[index, shadow] = [0] * (len(sets) - 1) + [sum(sets[-1])]
        self.draft.choose_args[index][shadow] = ChooseArg(tuple(sets))
