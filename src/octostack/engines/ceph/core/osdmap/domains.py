# SPDX-License-Identifier: Apache-2.0
"""Failure domains: what a rule asks of the devices that hold one group."""

import msgspec

from octostack.engines.ceph.core.crush import rules
from octostack.wire.ceph.maps.crush import ITEM_NONE, TAKE, CrushMap


class Domains(msgspec.Struct, frozen=True):
    """A rule's tree: the weight of each device, and the bucket of each chosen type it is in.

    Devices of one group must be in different buckets of the last type that the rule chooses;
    with several types, one may be replaced only within its buckets of the earlier ones.
    """

    weights: dict[int, int]
    types: tuple[int, ...]
    buckets: dict[int, tuple[int, ...]]

    def allows(self, devices: list[int]) -> bool:
        """Whether these devices may hold one group together."""
        if any(device not in self.buckets for device in devices):
            return False
        last = [self.buckets[device][-1] for device in devices]
        return len(set(last)) == len(last)

    def may_replace(self, devices: list[int], old: int, new: int) -> bool:
        """Whether `new` may stand in for `old` among these."""
        if new not in self.buckets or old not in self.buckets:
            return False
        if self.buckets[new][:-1] != self.buckets[old][:-1]:
            return False
        others = [device for device in devices if device not in (old, ITEM_NONE)]
        return self.allows([*others, new])


def of_rule(crush: CrushMap, rule_id: int) -> Domains:
    """The domains of a rule; of several takes, each device is in the first that has it."""
    rule = crush.rules[rule_id] if 0 <= rule_id < len(crush.rules) else None
    weights: dict[int, int] = {}
    buckets: dict[int, tuple[int, ...]] = {}
    types: tuple[int, ...] = ()
    if rule:
        types = tuple(step.arg2 for step in rule.steps if step.op in rules.CHOOSE) or (0,)
        for step in rule.steps:
            if step.op == TAKE:
                _walk(crush, step.arg1, {}, (types, weights, buckets))
    return Domains(weights, types, buckets)


def _walk(
    crush: CrushMap,
    item: int,
    path: dict[int, int],
    found: tuple[tuple[int, ...], dict[int, int], dict[int, tuple[int, ...]]],
) -> None:
    bucket = crush.find_bucket(item)
    if bucket is None:
        return
    types, weights, buckets = found
    path = {**path, bucket.type: bucket.id}
    for inner, weight in zip(bucket.items, bucket.weights, strict=True):
        if inner < 0:
            _walk(crush, inner, path, found)
        elif inner not in weights:
            weights[inner] = weight
            buckets[inner] = tuple(inner if kind == 0 else path.get(kind, 0) for kind in types)
