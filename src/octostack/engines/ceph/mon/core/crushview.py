# SPDX-License-Identifier: Apache-2.0
"""The CRUSH map as commands print it, in the shapes of Ceph 16.2."""

from typing import Any

from octostack.engines.ceph.core.crush import names, rulebook
from octostack.engines.ceph.core.crush.text.decompile import CHOOSERS, SETTERS, TUNABLES
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import ONE, CrushMap, Rule, Step, Tunables

_V2_STEPS = frozenset(
    {wire.CHOOSE_INDEP, wire.CHOOSELEAF_INDEP, wire.SET_CHOOSE_TRIES, wire.SET_CHOOSELEAF_TRIES}
)


def dump(crush: CrushMap) -> dict[str, Any]:
    """`osd crush dump`."""
    return {
        "devices": [_device(crush, device) for device in range(crush.max_devices)],
        "types": [
            {"type_id": number, "name": name} for number, name in sorted(crush.type_names.items())
        ],
        "buckets": [_bucket(crush, bucket) for bucket in crush.buckets if bucket],
        "rules": rules(crush),
        "tunables": tunables(crush),
        "choose_args": weight_sets(crush),
    }


def _device(crush: CrushMap, device: int) -> dict[str, Any]:
    view: dict[str, Any] = {"id": device, "name": crush.names.get(device, f"device{device}")}
    kind = crush.class_names.get(crush.classes.get(device, -1))
    return view if kind is None else view | {"class": kind}


def _bucket(crush: CrushMap, bucket: wire.Bucket) -> dict[str, Any]:
    items = zip(bucket.items, bucket.weights, strict=True)
    return {
        "id": bucket.id,
        "name": crush.names.get(bucket.id, ""),
        "type_id": bucket.type,
        "type_name": crush.type_names.get(bucket.type, ""),
        "weight": bucket.weight,
        "alg": wire.ALGORITHM_NAMES[bucket.alg],
        "hash": "rjenkins1" if bucket.hash == 0 else "unknown",
        "items": [
            {"id": item, "weight": weight, "pos": place}
            for place, (item, weight) in enumerate(items)
        ],
    }


def rules(crush: CrushMap) -> list[dict[str, Any]]:
    """`osd crush rule dump`."""
    return [rule(crush, number, r) for number, r in enumerate(crush.rules) if r]


def rule(crush: CrushMap, number: int, found: Rule) -> dict[str, Any]:
    """One rule."""
    return {
        "rule_id": number,
        "rule_name": crush.rule_names.get(number, ""),
        "ruleset": found.ruleset,
        "type": found.type,
        "min_size": found.min_size,
        "max_size": found.max_size,
        "steps": [_step(crush, step) for step in found.steps],
    }


def _step(crush: CrushMap, step: Step) -> dict[str, Any]:
    if step.op == wire.TAKE:
        name = crush.names.get(step.arg1, "")
        return {"op": "take", "item": step.arg1, "item_name": name}
    if step.op == wire.EMIT:
        return {"op": "emit"}
    if step.op in SETTERS:
        return {"op": SETTERS[step.op], "num": step.arg1}
    if step.op in CHOOSERS:
        kind = crush.type_names.get(step.arg2, "")
        return {"op": CHOOSERS[step.op].replace(" ", "_"), "num": step.arg1, "type": kind}
    return {"op": "noop"}


def tunables(crush: CrushMap) -> dict[str, Any]:
    """`osd crush show-tunables`: the values, and what clients must know to use the map."""
    t, legacy = crush.tunables, Tunables()
    ops = {step.op for found in crush.rules if found for step in found.steps}
    straw2 = any(bucket and bucket.alg == wire.STRAW2 for bucket in crush.buckets)
    tries = ("choose_local_tries", "choose_local_fallback_tries", "choose_total_tries")
    needs = {
        "argonaut": True,
        "bobtail": any(getattr(t, name) != getattr(legacy, name) for name in tries)
        or bool(t.chooseleaf_descend_once),
        "firefly": bool(t.chooseleaf_vary_r) or bool(ops & _V2_STEPS),
        "hammer": straw2,
        "jewel": bool(t.chooseleaf_stable),
    }
    least = [name for name, needed in needs.items() if needed][-1]
    return {
        **{name: getattr(t, name) for name in TUNABLES},
        "profile": rulebook.profile_of(crush),
        "optimal_tunables": int(t == rulebook.PROFILES["optimal"]),
        "legacy_tunables": int(t == rulebook.PROFILES["legacy"]),
        "minimum_required_version": least,
        "require_feature_tunables": int(
            any(getattr(t, name) != getattr(legacy, name) for name in tries)
        ),
        "require_feature_tunables2": int(t.chooseleaf_descend_once != 0),
        "has_v2_rules": int(bool(ops & _V2_STEPS)),
        "require_feature_tunables3": int(t.chooseleaf_vary_r != 0),
        "has_v3_rules": int(wire.SET_CHOOSELEAF_VARY_R in ops),
        "has_v4_buckets": int(straw2),
        "require_feature_tunables5": int(t.chooseleaf_stable != 0),
        "has_v5_rules": int(wire.SET_CHOOSELEAF_STABLE in ops),
    }


def weight_sets(crush: CrushMap) -> dict[str, Any]:
    """`osd crush weight-set dump`."""
    found = {}
    for number, args in sorted(crush.choose_args.items()):
        views = []
        for item in sorted(args, reverse=True):
            view: dict[str, Any] = {"bucket_id": item}
            if args[item].weight_set:
                rows = args[item].weight_set
                view["weight_set"] = [[weight / ONE for weight in row] for row in rows]
            if args[item].ids:
                view["ids"] = list(args[item].ids)
            if len(view) > 1:
                views.append(view)
        found[str(number)] = views
    return found


def children(crush: CrushMap, name: str) -> list[str]:
    """`osd crush ls`: the names of what is in a bucket, or of the device itself. NotFound."""
    item = names.get_item(crush, name)
    bucket = crush.find_bucket(item)
    if bucket is None:
        return [name]
    return [crush.names.get(inner, f"osd.{inner}") for inner in bucket.items]
