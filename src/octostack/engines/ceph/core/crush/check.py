# SPDX-License-Identifier: Apache-2.0
"""Whether a map that somebody sends is safe to walk: monitors ask before they take it."""

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.crush import rules
from octostack.wire.ceph.maps.crush import (
    ALGORITHM_NAMES,
    STRAW2,
    TAKE,
    TREE,
    Bucket,
    ChooseArg,
    CrushMap,
)


def check(crush: CrushMap, pool_rules: frozenset[int] = frozenset()) -> None:
    """Raise Invalid with what is wrong. `pool_rules` are the rules that pools use."""
    for slot, bucket in enumerate(crush.buckets):
        if bucket:
            _check_bucket(crush, -1 - slot, bucket)
    _check_cycles(crush)
    for number, rule in enumerate(crush.rules):
        for step in rule.steps if rule else ():
            if step.op == TAKE and not rules.can_take(crush, step.arg1):
                raise _wrong(f"rule {number} takes {step.arg1}, which is not there")
            if step.op in rules.CHOOSE and step.arg2 and step.arg2 not in crush.type_names:
                raise _wrong(f"rule {number} chooses type {step.arg2}, which is not there")
    for number in pool_rules:
        if number >= len(crush.rules) or crush.rules[number] is None:
            raise _wrong(f"a pool uses rule {number}, which is not there")
    for args in crush.choose_args.values():
        _check_args(crush, args)


def _check_bucket(crush: CrushMap, slot_id: int, bucket: Bucket) -> None:
    if bucket.id != slot_id:
        raise _wrong(f"bucket {bucket.id} lies in the place of {slot_id}")
    if bucket.alg not in ALGORITHM_NAMES:
        raise _wrong(f"bucket {bucket.id} has the unknown algorithm {bucket.alg}")
    if bucket.type == 0 or bucket.type not in crush.type_names:
        raise _wrong(f"bucket {bucket.id} is of the unknown type {bucket.type}")
    if len(bucket.weights) != len(bucket.items):
        raise _wrong(f"bucket {bucket.id} has not a weight for each item")
    if bucket.alg == TREE and bucket.items:
        nodes = len(bucket.extra)
        if nodes & (nodes - 1) or nodes < 2 * len(bucket.items):
            raise _wrong(f"bucket {bucket.id} has a tree of {nodes} nodes")
    for item in bucket.items:
        if item >= crush.max_devices or (item < 0 and crush.find_bucket(item) is None):
            raise _wrong(f"bucket {bucket.id} has item {item}, which is not there")


def _check_cycles(crush: CrushMap) -> None:
    """Follow every way down; a bucket that is met on the way to itself is an error."""
    done: set[int] = set()
    for root in [bucket.id for bucket in crush.buckets if bucket]:
        path: list[tuple[int, list[int]]] = [(root, _below(crush, root))]
        on_path = {root}
        while path and root not in done:
            item, rest = path[-1]
            if not rest:
                path.pop()
                on_path.discard(item)
                done.add(item)
                continue
            inner = rest.pop()
            if inner in on_path:
                raise _wrong(f"bucket {inner} contains itself")
            if inner not in done:
                path.append((inner, _below(crush, inner)))
                on_path.add(inner)


def _below(crush: CrushMap, item: int) -> list[int]:
    bucket = crush.find_bucket(item)
    return [inner for inner in bucket.items if inner < 0] if bucket else []


def _check_args(crush: CrushMap, args: dict[int, ChooseArg]) -> None:
    for item, arg in args.items():
        bucket = crush.find_bucket(item)
        if not arg.weight_set and not arg.ids:
            continue
        if bucket is None or bucket.alg != STRAW2:
            raise _wrong(f"choose_args are given for {item}, which is no straw2 bucket")
        if any(len(row) != len(bucket.items) for row in arg.weight_set):
            raise _wrong(f"choose_args of {item} have not a weight for each item")
        if arg.ids and len(arg.ids) != len(bucket.items):
            raise _wrong(f"choose_args of {item} have not an id for each item")


def _wrong(message: str) -> Invalid:
    return Invalid(f"CRUSH map: {message}", code="crush.map")
