# SPDX-License-Identifier: Apache-2.0
"""What `ceph osd crush ...` does to a tree, as functions from map to map.

A location is type name to bucket name: ``{"host": "a", "root": "default"}``. Weights are 16.16
fixed point. (CrushWrapper of Ceph 16.2; the weights above an item and in weight sets follow.)
"""

from collections.abc import Mapping

import msgspec

from octostack.base.errors import Busy, Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import build, classes, names
from octostack.engines.ceph.core.crush.draft import Draft
from octostack.wire.ceph.maps.crush import (
    LIST,
    STRAW,
    STRAW2,
    TAKE,
    TREE,
    UNIFORM,
    Bucket,
    ChooseArg,
    CrushMap,
)

Location = Mapping[str, str]
WEIGHT_MAX = 0x7FFFFFFF


def insert_item(crush: CrushMap, item: int, weight: int, name: str, location: Location) -> CrushMap:
    """Put an item into the tree; buckets on its way that do not exist are made.

    Raises Invalid, Conflict (the name is another's, or it is there already).
    """
    draft = Draft(crush)
    _insert(draft, item, weight, name, location, sets=item >= 0)
    return draft.done()


def update_item(crush: CrushMap, item: int, weight: int, name: str, location: Location) -> CrushMap:
    """`osd crush set`: the item with this weight and name at this place, wherever it was."""
    names.check(name)
    draft = Draft(crush)
    parent = _parent_at(draft, item, location)
    if parent is None:
        if item in draft.names:
            _remove(draft, item, unlink=True)
        _insert(draft, item, weight, name, location, sets=item >= 0)
        return draft.done()
    if parent.weights[parent.items.index(item)] != weight:
        _adjust_in(draft, item, weight, location, sets=True)
        classes.rebuild(draft)
    draft.names[item] = name
    return draft.done()


def create_or_move(
    crush: CrushMap, item: int, weight: int, name: str, location: Location
) -> CrushMap:
    """`osd crush create-or-move`: a new item with this weight, an old one with the one it has."""
    names.check(name)
    draft = Draft(crush)
    if _parent_at(draft, item, location) is not None:
        return crush
    if draft.parents(item):
        weight = _weight_of(draft, item)
        _remove(draft, item, unlink=True)
    _insert(draft, item, weight, name, location, sets=item >= 0)
    return draft.done()


def move(crush: CrushMap, name: str, location: Location) -> CrushMap:
    """`osd crush move`: take a bucket or a device with its weight to another place."""
    item = names.get_item(crush, name)
    if item >= 0:
        return create_or_move(crush, item, 0, name, location)
    draft = Draft(crush)
    if _parent_at(draft, item, location) is not None:
        return crush
    weight = draft.get(item).weight
    parent = next((p for p in draft.parents(item) if not draft.is_shadow(p.id)), None)
    if parent is not None:
        draft.adjust(parent.id, item, 0, sets=True)
        draft.remove_item(parent.id, item)
    _insert(draft, item, weight, name, location, sets=False)
    return draft.done()


def link(crush: CrushMap, name: str, location: Location) -> CrushMap:
    """`osd crush link`: a bucket in one more place."""
    item = names.get_item(crush, name)
    if item >= 0:
        raise Invalid(f"{name} is not a bucket", code="crush.bucket")
    draft = Draft(crush)
    _insert(draft, item, draft.get(item).weight, name, location, sets=True)
    return draft.done()


def add_bucket(crush: CrushMap, name: str, kind: str, location: Location | None = None) -> CrushMap:
    """`osd crush add-bucket`: an empty bucket, at a place if one is given."""
    names.check(name)
    if names.find_item(crush, name) is not None:
        raise Conflict(f"bucket '{name}' already exists", code="crush.name")
    number = names.find_type(crush, kind)
    if number is None:
        raise Invalid(f"type '{kind}' does not exist", code="crush.type")
    if number == 0:
        raise Invalid(f"type '{kind}' is for devices, not buckets", code="crush.type")
    draft = Draft(crush)
    item = draft.add_bucket(Bucket(0, number, _default_algorithm(draft)), (), ())
    draft.names[item] = name
    done = draft.done()
    return move(done, name, location) if location else done


def rename_bucket(crush: CrushMap, old: str, new: str) -> CrushMap:
    """`osd crush rename-bucket`."""
    item = names.get_item(crush, old)
    if names.find_item(crush, new) is not None:
        raise Conflict(f"dstname = '{new}' already exists", code="crush.name")
    if item >= 0:
        raise Invalid(f"srcname = '{old}' is not a bucket", code="crush.bucket")
    draft = Draft(crush)
    draft.names[item] = names.check(new)
    return draft.done()


def remove_item(crush: CrushMap, name: str, *, unlink: bool = False) -> CrushMap:
    """`osd crush rm` and `unlink`: everywhere. Raises Busy where it is needed, or not empty."""
    draft = Draft(crush)
    if not _remove(draft, names.get_item(crush, name), unlink=unlink):
        raise NotFound(f"item {name} does not exist", code="crush.item")
    return draft.done()


def remove_item_under(
    crush: CrushMap, name: str, ancestor: str, *, unlink: bool = False
) -> CrushMap:
    """The same, but only below `ancestor`."""
    draft = Draft(crush)
    item, above = names.get_item(crush, name), names.get_item(crush, ancestor)
    if not unlink:
        _refuse_use(draft, item)
    parents = [b.id for b in draft.parents(item) if draft.contains(above, b.id)]
    if not parents:
        raise NotFound(f"item {name} is not below {ancestor}", code="crush.item")
    for parent in parents:
        draft.adjust(parent, item, 0, sets=True)
        draft.remove_item(parent, item)
    _forget_last(draft, item, unlink=unlink)
    return draft.done()


def reweight(crush: CrushMap, name: str, weight: int) -> CrushMap:
    """`osd crush reweight`: another weight for a device, wherever it is."""
    draft = Draft(crush)
    item = names.get_item(crush, name)
    if not draft.adjust_everywhere(item, _checked(weight), sets=True):
        raise NotFound(f"item {name} is in no bucket", code="crush.item")
    return draft.done()


def reweight_subtree(crush: CrushMap, name: str, weight: int) -> CrushMap:
    """`osd crush reweight-subtree`: another weight for all devices below a bucket."""
    draft = Draft(crush)
    queue = [names.get_item(crush, name)]
    while queue:
        bucket = draft.get(queue.pop(0))
        for item in bucket.items:
            if item >= 0:
                draft.adjust(bucket.id, item, _checked(weight), sets=True)
            else:
                queue.append(item)
    classes.rebuild(draft)
    return draft.done()


def reweight_all(crush: CrushMap) -> CrushMap:
    """`osd crush reweight-all`: every bucket weighs what is in it."""
    draft = Draft(crush)
    for root in draft.roots(lambda item: not draft.is_shadow(item)):
        _resum(draft, root)
        for args in draft.choose_args.values():
            _resum_sets(draft, args, root)
    classes.rebuild(draft)
    return draft.done()


# --- steps that several of them take


def swap_buckets(crush: CrushMap, one: str, other: str) -> CrushMap:
    """Exchange what is in two buckets. Raises NotFound, Invalid when one holds the other."""
    first, second = names.get_item(crush, one), names.get_item(crush, other)
    if first >= 0 or second >= 0:
        raise Invalid("only buckets can be swapped", code="crush.swap")
    draft = Draft(crush)
    if _holds(draft, first, second) or _holds(draft, second, first):
        raise Invalid(f"'{one}' and '{other}' hold one another", code="crush.swap")
    a, b = draft.get(first), draft.get(second)
    for bucket, items, weights in ((a, b.items, b.weights), (b, a.items, a.weights)):
        made = build.bucket(bucket, list(items), list(weights), draft.tunables)
        draft.buckets[-1 - bucket.id] = made
    for item in (first, second):
        for parent in [found for found in draft.buckets if found and item in found.items]:
            _resum(draft, parent.id)
    classes.rebuild(draft)
    return draft.done()


def _holds(draft: Draft, outer: int, inner: int) -> bool:
    bucket = draft.find(outer)
    items = bucket.items if bucket else ()
    return inner in items or any(_holds(draft, item, inner) for item in items)


def to_straw2(crush: CrushMap) -> CrushMap:
    """Buckets of the kind straw become straw2, with the same items and weights."""
    draft = Draft(crush)
    for place, bucket in enumerate(draft.buckets):
        if bucket is not None and bucket.alg == STRAW:
            bare = msgspec.structs.replace(bucket, alg=STRAW2)
            items, weights = list(bucket.items), list(bucket.weights)
            draft.buckets[place] = build.bucket(bare, items, weights, draft.tunables)
    return draft.done()


def _insert(
    draft: Draft, item: int, weight: int, name: str, location: Location, *, sets: bool
) -> None:
    names.check(name)
    for kind, bucket_name in location.items():
        names.check(bucket_name)
        if kind not in draft.type_names.values():
            raise Invalid(f"type '{kind}' does not exist", code="crush.type")
    _checked(weight)
    known = _named(draft, name)
    if known is None:
        draft.names[item] = name
    elif known != item:
        raise Conflict(f"name '{name}' already belongs to {known}", code="crush.name")
    _hang(draft, item, location)
    if not _adjust_in(draft, item, weight, location, sets=sets):
        raise Invalid(f"no place for '{name}' in {dict(location)}", code="crush.location")
    draft.max_devices = max(draft.max_devices, item + 1)
    classes.rebuild(draft)


def _hang(draft: Draft, item: int, location: Location) -> None:
    """Hang the item, weightless, into the lowest bucket of the location that exists."""
    current = item
    for kind in sorted(draft.type_names):
        name = location.get(draft.type_names[kind])
        if kind == 0 or name is None:
            continue
        parent = _named(draft, name)
        if parent is None:
            shape = Bucket(0, kind, _default_algorithm(draft))
            current = draft.add_bucket(shape, (current,), (0,))
            draft.fill_sets(current)
            draft.names[current] = name
            continue
        bucket = draft.get(parent)
        if draft.contains(parent, current):
            raise Conflict(f"item {current} already exists beneath {parent}", code="crush.exists")
        if bucket.type != kind:
            raise Invalid(f"'{name}' is not a {draft.type_names[kind]}", code="crush.type")
        if draft.contains(current, parent):
            raise Invalid(f"{current} contains '{name}'", code="crush.cycle")
        draft.add_item(parent, current, 0)
        return


def _adjust_in(draft: Draft, item: int, weight: int, location: Location, *, sets: bool) -> bool:
    """Give the item its weight in those buckets of the location that have it."""
    changed = False
    for kind in sorted(location):
        parent = _named(draft, location[kind])
        if parent is not None and draft.find(parent):
            changed |= draft.adjust(parent, item, weight, sets=sets)
    return changed


def _parent_at(draft: Draft, item: int, location: Location) -> Bucket | None:
    """The lowest bucket of the location, if the item is in it."""
    for kind in sorted(draft.type_names):
        name = location.get(draft.type_names[kind])
        if kind == 0 or name is None:
            continue
        parent = _named(draft, name)
        bucket = draft.find(parent) if parent is not None else None
        return bucket if bucket and item in bucket.items else None
    return None


def _remove(draft: Draft, item: int, *, unlink: bool) -> bool:
    if item < 0 and not unlink:
        if draft.get(item).items:
            raise Busy(f"bucket '{draft.names.get(item)}' is not empty", code="crush.not_empty")
        _refuse_use(draft, item)
    parents = [bucket.id for bucket in draft.parents(item)]
    for parent in parents:
        draft.adjust(parent, item, 0, sets=True)
        draft.remove_item(parent, item)
    return _forget_last(draft, item, unlink=unlink) or bool(parents)


def _forget_last(draft: Draft, item: int, *, unlink: bool) -> bool:
    """Forget an item that is nowhere any more; only linked ones keep their buckets and names."""
    if draft.parents(item) or (item < 0 and _is_used(draft, item)):
        return False
    if item < 0 and not unlink:
        draft.drop_bucket(item)
    if item >= 0 or not unlink:
        draft.names.pop(item, None)
        if item >= 0 and not unlink:
            draft.classes.pop(item, None)
    classes.rebuild(draft)
    return True


def _refuse_use(draft: Draft, item: int) -> None:
    if item < 0 and _is_used(draft, item):
        raise Busy(f"bucket '{draft.names.get(item)}' is taken by a rule", code="crush.in_use")


def _is_used(draft: Draft, item: int) -> bool:
    """Whether a rule starts there, or at a shadow of it, or it is a shadow."""
    if any(item in of.values() for of in draft.class_buckets.values()):
        return True
    crush = draft.done()
    taken = [s.arg1 for rule in draft.rules if rule for s in rule.steps if s.op == TAKE]
    return any(item in (each, names.split_class(crush, each)[0]) for each in taken)


def _named(draft: Draft, name: str) -> int | None:
    return next((item for item, other in draft.names.items() if other == name), None)


def _weight_of(draft: Draft, item: int) -> int:
    for bucket in draft.all():
        if bucket.id == item:
            return bucket.weight
        if item in bucket.items:
            return bucket.weights[bucket.items.index(item)]
    return 0


def _checked(weight: int) -> int:
    if not 0 <= weight <= WEIGHT_MAX:
        raise Invalid("A weight cannot be negative or that great", code="crush.weight")
    return weight


def _default_algorithm(draft: Draft) -> int:
    allowed = draft.tunables.allowed_bucket_algs
    for algorithm in (STRAW2, STRAW, TREE, LIST, UNIFORM):
        if allowed & 1 << algorithm:
            return algorithm
    raise Invalid("The tunables allow no bucket algorithm", code="crush.algorithm")


def _resum(draft: Draft, item: int) -> int:
    """Set the weights of buckets in a bucket, from below; its own weight."""
    bucket = draft.get(item)
    weights = list(bucket.weights)
    for place, inner in enumerate(bucket.items):
        if inner < 0:
            weights[place] = _resum(draft, inner)
    if bucket.alg == UNIFORM:
        inner_weights = [w for w, i in zip(weights, bucket.items, strict=True) if i < 0]
        each = bucket.extra[0]
        if 2 * len(inner_weights) > len(weights):
            each = sum(inner_weights) // len(inner_weights)
        weights = [each] * len(weights)
    draft.set_items(bucket, bucket.items, weights)
    return draft.get(item).weight


def _resum_sets(draft: Draft, args: dict[int, ChooseArg], item: int) -> list[int]:
    """The same in a weight set, whose first row alone Ceph keeps in step."""
    bucket = draft.get(item)
    arg = args.get(item)
    if arg is None or not arg.weight_set:
        for inner in bucket.items:
            if inner < 0:
                _resum_sets(draft, args, inner)
        return []
    first = list(arg.weight_set[0])
    for place, inner in enumerate(bucket.items):
        if inner < 0:
            sums = _resum_sets(draft, args, inner)
            first[place] = sums[0] if sums else 0
    sets = (tuple(first), *arg.weight_set[1:])
    args[item] = ChooseArg(sets, arg.ids)
    return [sum(first)] * len(sets)
