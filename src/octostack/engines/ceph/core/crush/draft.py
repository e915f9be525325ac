# SPDX-License-Identifier: Apache-2.0
"""A map while it is edited: buckets, the weights above them, and weight sets kept in step.

`edit`, `classes` and `text.compile` work on a draft and give back a whole new map.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import build
from octostack.wire.ceph.maps.crush import UNIFORM, Bucket, ChooseArg, CrushMap, Rule

replace = msgspec.structs.replace


class Draft:
    """Mutable parts of a map. Weights are 16.16 fixed point."""

    def __init__(self, crush: CrushMap) -> None:
        self.crush = crush
        self.tunables = crush.tunables
        self.buckets: list[Bucket | None] = list(crush.buckets)
        self.rules: list[Rule | None] = list(crush.rules)
        self.max_devices = crush.max_devices
        self.type_names = dict(crush.type_names)
        self.names = dict(crush.names)
        self.rule_names = dict(crush.rule_names)
        self.classes = dict(crush.classes)
        self.class_names = dict(crush.class_names)
        self.class_buckets = {item: dict(of) for item, of in crush.class_buckets.items()}
        self.choose_args = {number: dict(args) for number, args in crush.choose_args.items()}

    def done(self) -> CrushMap:
        """The edited map."""
        return replace(
            self.crush,
            buckets=tuple(self.buckets),
            rules=tuple(self.rules),
            max_devices=self.max_devices,
            type_names=self.type_names,
            names=self.names,
            rule_names=self.rule_names,
            tunables=self.tunables,
            classes=self.classes,
            class_names=self.class_names,
            class_buckets=self.class_buckets,
            choose_args=self.choose_args,
            sections=8,
        )

    # --- looking

    def find(self, item: int) -> Bucket | None:
        """The bucket of this id."""
        return self.buckets[-1 - item] if -1 - len(self.buckets) < item < 0 else None

    def get(self, item: int) -> Bucket:
        """The bucket of this id. Raises NotFound."""
        bucket = self.find(item)
        if bucket is None:
            raise NotFound(f"Bucket {item} does not exist", code="crush.bucket")
        return bucket

    def all(self) -> Iterator[Bucket]:
        """The buckets, by slot; those that come while this runs included."""
        for slot in range(len(self.buckets)):
            bucket = self.buckets[slot]
            if bucket:
                yield bucket

    def parents(self, item: int) -> list[Bucket]:
        """All buckets, shadows too, that have this item in them."""
        return [bucket for bucket in self.all() if item in bucket.items]

    def is_shadow(self, item: int) -> bool:
        """Whether it holds the devices of one class only."""
        return "~" in self.names.get(item, "")

    def contains(self, root: int, item: int) -> bool:
        """Whether `item` is `root` or anywhere below it."""
        bucket = self.find(root)
        return root == item or (
            bucket is not None and any(self.contains(inner, item) for inner in bucket.items)
        )

    def roots(self, wanted: Callable[[int], bool]) -> list[int]:
        """Buckets that are in no other, the lowest id first."""
        inner = {item for bucket in self.all() for item in bucket.items}
        return sorted(b.id for b in self.all() if b.id not in inner and wanted(b.id))

    # --- buckets

    def add_bucket(self, shape: Bucket, items: Sequence[int], weights: Sequence[int]) -> int:
        """Put a bucket in its slot, or the first free one if its id is 0. Raises Conflict."""
        number = shape.id or self.free_id()
        if self.find(number):
            raise Conflict(f"Bucket {number} already exists", code="crush.bucket")
        size = len(self.buckets)
        while -number > size:
            size = size * 2 or build.SLOTS
        self.buckets += [None] * (size - len(self.buckets))
        made = build.bucket(replace(shape, id=number), items, weights, self.tunables)
        self.buckets[-1 - number] = made
        return number

    def free_id(self, taken: frozenset[int] = frozenset()) -> int:
        """The first id without a bucket, and not among `taken`."""
        number = -1
        while self.find(number) or number in taken:
            number -= 1
        return number

    def set_items(self, bucket: Bucket, items: Sequence[int], weights: Sequence[int]) -> None:
        """The bucket with other items or weights."""
        self.buckets[-1 - bucket.id] = build.bucket(bucket, items, weights, self.tunables)

    def add_item(self, parent: int, item: int, weight: int) -> None:
        """Put an item at the end of a bucket, its weight also in the bucket's weight sets."""
        bucket = self.get(parent)
        if bucket.alg == UNIFORM and bucket.items and bucket.extra[0] != weight:
            raise Invalid("All items of a uniform bucket weigh the same", code="crush.uniform")
        self.set_items(bucket, (*bucket.items, item), (*bucket.weights, weight))
        for args in self.choose_args.values():
            arg = args.get(parent, ChooseArg())
            args[parent] = ChooseArg(
                tuple((*weights, weight) for weights in arg.weight_set),
                (*arg.ids, item) if arg.ids else (),
            )

    def remove_item(self, parent: int, item: int) -> None:
        """Take an item out of a bucket, without a look at what is above."""
        bucket = self.get(parent)
        at = bucket.items.index(item)
        self.set_items(bucket, _without(bucket.items, at), _without(bucket.weights, at))
        for args in self.choose_args.values():
            arg = args.get(parent, ChooseArg())
            sets = tuple(_without(weights, at) for weights in arg.weight_set)
            args[parent] = ChooseArg(sets, _without(arg.ids, at))

    def drop_bucket(self, item: int) -> None:
        """Forget a bucket and all that is noted of it."""
        self.buckets[-1 - item] = None
        self.class_buckets.pop(item, None)
        self.classes.pop(item, None)
        for args in self.choose_args.values():
            args.pop(item, None)

    # --- weights

    def adjust_everywhere(self, item: int, weight: int, *, sets: bool) -> int:
        """Give the item this weight in every bucket that has it; the number of such buckets.

        Weight sets of all buckets come to sum up again, as they do in Ceph.
        """
        return sum(self.adjust(bucket.id, item, weight, sets=sets) for bucket in self.all())

    def adjust(self, parent: int, item: int, weight: int, *, sets: bool) -> bool:
        """Give the item this weight in one bucket, and all above their new sums."""
        bucket = self.get(parent)
        places = [at for at, inner in enumerate(bucket.items) if inner == item]
        for at in places:
            if sets:
                self._set_in_sets(parent, at, weight)
            self._set_weight(parent, at, weight)
            self.adjust_everywhere(parent, self.get(parent).weight, sets=False)
        for args in self.choose_args.values():
            arg = args.get(parent)
            if arg and arg.weight_set:
                self.adjust_sets(args, parent, [sum(weights) for weights in arg.weight_set])
        return bool(places)

    def _set_weight(self, parent: int, at: int, weight: int) -> None:
        bucket = self.get(parent)
        if bucket.alg == UNIFORM:
            weights: tuple[int, ...] = (weight,) * len(bucket.items)
        else:
            weights = (*bucket.weights[:at], weight, *bucket.weights[at + 1 :])
        self.set_items(bucket, bucket.items, weights)

    def _set_in_sets(self, parent: int, at: int, weight: int) -> None:
        for args in self.choose_args.values():
            arg = args.get(parent)
            if arg:
                sets = tuple((*ws[:at], weight, *ws[at + 1 :]) for ws in arg.weight_set)
                args[parent] = replace(arg, weight_set=sets)

    def adjust_sets(self, args: dict[int, ChooseArg], item: int, weights: Sequence[int]) -> None:
        """Give the item these weights, one per position, in a weight set, and all above sums."""
        for bucket in self.parents(item):
            arg = args.get(bucket.id, ChooseArg())
            if not arg.weight_set:
                arg = replace(arg, weight_set=(bucket.weights,) * positions(args))
            if len(arg.weight_set) != len(weights):
                continue
            sets = tuple(
                tuple(
                    weights[position] if inner == item else old
                    for inner, old in zip(bucket.items, row, strict=True)
                )
                for position, row in enumerate(arg.weight_set)
            )
            args[bucket.id] = replace(arg, weight_set=sets)
            self.adjust_sets(args, bucket.id, [sum(row) for row in sets])

    def fill_sets(self, item: int) -> None:
        """Give a new bucket rows of its own weights in the weight sets that have any."""
        for args in self.choose_args.values():
            if any(arg.weight_set for arg in args.values()):
                args[item] = ChooseArg((self.get(item).weights,) * positions(args))


def positions(args: dict[int, ChooseArg]) -> int:
    """How many positions a weight set tells apart."""
    return max((len(arg.weight_set) for arg in args.values()), default=0) or 1


def _without(values: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*values[:at], *values[at + 1 :])
