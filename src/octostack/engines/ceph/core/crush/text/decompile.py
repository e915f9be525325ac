# SPDX-License-Identifier: Apache-2.0
"""From a map to text, letter by letter what `crushtool -d` of Ceph 16.2 writes."""

import struct
from collections.abc import Iterator

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.crush import names
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import Bucket, ChooseArg, CrushMap, Rule, Step, Tunables

_UNCHANGED = "\t\t# do not change unnecessarily"
_NOTES = {
    wire.LIST: "\t# add new items at the end; do not change order unnecessarily",
    wire.TREE: "\t# do not change pos for existing items unnecessarily",
}
TUNABLES = (
    "choose_local_tries",
    "choose_local_fallback_tries",
    "choose_total_tries",
    "chooseleaf_descend_once",
    "chooseleaf_vary_r",
    "chooseleaf_stable",
    "straw_calc_version",
    "allowed_bucket_algs",
)
SETTERS = {
    wire.SET_CHOOSE_TRIES: "set_choose_tries",
    wire.SET_CHOOSE_LOCAL_TRIES: "set_choose_local_tries",
    wire.SET_CHOOSE_LOCAL_FALLBACK_TRIES: "set_choose_local_fallback_tries",
    wire.SET_CHOOSELEAF_TRIES: "set_chooseleaf_tries",
    wire.SET_CHOOSELEAF_VARY_R: "set_chooseleaf_vary_r",
    wire.SET_CHOOSELEAF_STABLE: "set_chooseleaf_stable",
}
CHOOSERS = {
    wire.CHOOSE_FIRSTN: "choose firstn",
    wire.CHOOSE_INDEP: "choose indep",
    wire.CHOOSELEAF_FIRSTN: "chooseleaf firstn",
    wire.CHOOSELEAF_INDEP: "chooseleaf indep",
}
RULE_TYPES = {1: "replicated", 3: "erasure"}


def decompile(crush: CrushMap) -> str:
    """The text of a map. Raises Invalid when buckets contain each other."""
    lines = ["# begin crush map", *_tunables(crush.tunables)]
    lines += ["", "# devices", *_devices(crush)]
    lines += ["", "# types", *_types(crush)]
    lines += ["", "# buckets"]
    done: set[int] = set()
    for slot in range(len(crush.buckets)):
        lines += _tree(crush, -1 - slot, done, frozenset())
    lines += ["", "# rules"]
    for number, rule in enumerate(crush.rules):
        if rule:
            lines += _rule(crush, number, rule)
    if crush.choose_args:
        lines += ["", "# choose_args"]
        for number in sorted(crush.choose_args):
            lines += _choose_args(number, crush.choose_args[number])
    return "\n".join([*lines, "", "# end crush map", ""])


def fixed(weight: int) -> str:
    """A 16.16 number with three decimals, by way of a C float."""
    signed = weight - (1 << 32) if weight >= 1 << 31 else weight
    (single,) = struct.unpack("<f", struct.pack("<f", signed))
    return f"{single / 65536:.3f}"


def _tunables(tunables: Tunables) -> Iterator[str]:
    legacy = Tunables()
    for name in TUNABLES:
        value = getattr(tunables, name)
        if value != getattr(legacy, name):
            yield f"tunable {name} {value}"


def _devices(crush: CrushMap) -> Iterator[str]:
    for device in range(crush.max_devices):
        if device in crush.names:
            yield f"device {device} {crush.names[device]}{_class_of(crush, device)}"


def _class_of(crush: CrushMap, item: int) -> str:
    name = crush.class_names.get(crush.classes.get(item, -1))
    return f" class {name}" if name is not None else ""


def _types(crush: CrushMap) -> Iterator[str]:
    if crush.type_names and 0 not in crush.type_names:
        yield "type 0 osd"
    for number in sorted(crush.type_names):
        yield f"type {number} {crush.type_names[number]}"


def _tree(crush: CrushMap, item: int, done: set[int], above: frozenset[int]) -> Iterator[str]:
    """A bucket after all that is in it."""
    bucket = crush.find_bucket(item)
    if bucket is None or item in done:
        return
    if item in above:
        raise Invalid(f"Bucket {item} contains itself", code="crush.cycle")
    for inner in bucket.items:
        yield from _tree(crush, inner, done, above | {item})
    done.add(item)
    if names.is_valid(crush.names.get(item, "x")):  # shadow trees follow from classes
        yield from _bucket(crush, bucket)


def _bucket(crush: CrushMap, bucket: Bucket) -> Iterator[str]:
    yield f"{_type(crush, bucket.type)} {_item(crush, bucket.id)} {{"
    yield f"\tid {bucket.id}{_UNCHANGED}"
    for number, shadow in sorted(crush.class_buckets.get(bucket.id, {}).items()):
        yield f"\tid {shadow} class {crush.class_names[number]}{_UNCHANGED}"
    yield f"\t# weight {fixed(bucket.weight)}"
    note = _NOTES.get(bucket.alg, "")
    if bucket.alg == wire.UNIFORM:
        note = f"\t# do not change bucket size ({len(bucket.items)}) unnecessarily"
    yield f"\talg {wire.ALGORITHM_NAMES[bucket.alg]}{note}"
    yield f"\thash {bucket.hash}\t# {'rjenkins1' if bucket.hash == 0 else 'unknown'}"
    positions = bucket.alg in (wire.UNIFORM, wire.TREE)
    for place, (item, weight) in enumerate(zip(bucket.items, bucket.weights, strict=True)):
        at = f" pos {place}" if positions else ""
        yield f"\titem {_item(crush, item)} weight {fixed(weight)}{at}"
    yield "}"


def _type(crush: CrushMap, number: int) -> str:
    return crush.type_names.get(number, f"type{number}" if number else "device")


def _item(crush: CrushMap, item: int) -> str:
    return crush.names.get(item, f"device{item}" if item >= 0 else f"bucket{-1 - item}")


def _rule(crush: CrushMap, number: int, rule: Rule) -> Iterator[str]:
    yield f"rule {crush.rule_names.get(number, '')} {{"
    yield f"\tid {number}"
    if rule.ruleset != number:
        yield (
            f"\t# WARNING: ruleset {rule.ruleset} != id {number};"
            " this will not recompile to the same map"
        )
    yield f"\ttype {RULE_TYPES.get(rule.type, rule.type)}"
    yield f"\tmin_size {rule.min_size}"
    yield f"\tmax_size {rule.max_size}"
    for step in rule.steps:
        yield f"\tstep {_step(crush, step)}"
    yield "}"


def _step(crush: CrushMap, step: Step) -> str:
    if step.op == wire.TAKE:
        original, number = names.split_class(crush, step.arg1)
        text = f"take {_item(crush, original)}"
        return text if number is None else f"{text} class {crush.class_names[number]}"
    if step.op == wire.EMIT:
        return "emit"
    if step.op in SETTERS:
        return f"{SETTERS[step.op]} {step.arg1}"
    if step.op in CHOOSERS:
        return f"{CHOOSERS[step.op]} {step.arg1} type {_type(crush, step.arg2)}"
    return "noop"


def _choose_args(number: int, args: dict[int, ChooseArg]) -> Iterator[str]:
    yield f"choose_args {number % (1 << 64)} {{"
    for item in sorted(args, reverse=True):
        arg = args[item]
        if not arg.weight_set and not arg.ids:
            continue
        yield "  {"
        yield f"    bucket_id {item}"
        if arg.weight_set:
            yield "    weight_set ["
            for weights in arg.weight_set:
                yield "      [ " + "".join(f"{fixed(weight)} " for weight in weights) + "]"
            yield "    ]"
        if arg.ids:
            yield "    ids [ " + "".join(f"{item} " for item in arg.ids) + "]"
        yield "  }"
    yield "}"
