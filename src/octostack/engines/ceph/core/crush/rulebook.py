# SPDX-License-Identifier: Apache-2.0
"""Rules, classes of devices and profiles of tunables, as `ceph osd crush` has them."""

import msgspec

from octostack.base.errors import Busy, Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import classes, names
from octostack.engines.ceph.core.crush.draft import Draft
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import CrushMap, Rule, Step, Tunables

REPLICATED, ERASURE = 1, 3
_JEWEL = Tunables(0, 0, 50, 1, 1, 1, 54, 1)
PROFILES = {
    "legacy": Tunables(2, 5, 19, 0, 0, 0, 22, 0),
    "argonaut": Tunables(2, 5, 19, 0, 0, 0, 22, 0),
    "bobtail": Tunables(0, 0, 50, 1, 0, 0, 22, 0),
    "firefly": Tunables(0, 0, 50, 1, 1, 0, 22, 0),
    "hammer": Tunables(0, 0, 50, 1, 1, 1, 54, 0),
    "jewel": _JEWEL,
    "optimal": _JEWEL,
    "default": _JEWEL,
}


class NewRule(msgspec.Struct, frozen=True):
    """What a simple rule is made of. No `failure_domain`: devices themselves."""

    name: str
    root: str = "default"
    failure_domain: str = "host"
    device_class: str = ""
    mode: str = "firstn"
    type: int = REPLICATED
    max_size: int = 0  # 0: as the mode has it; the number of shards, for an erasure code


def add_rule(crush: CrushMap, new: NewRule) -> tuple[CrushMap, int]:
    """`osd crush rule create-...`: the map with the rule, and its number."""
    if names.find_rule(crush, new.name) is not None:
        raise Conflict(f"rule {new.name} exists", code="crush.rule")
    root = names.find_item(crush, new.root)
    if root is None:
        raise NotFound(f"root item {new.root} does not exist", code="crush.item")
    kind = names.find_type(crush, new.failure_domain) if new.failure_domain else 0
    if kind is None:
        raise Invalid(f"unknown type {new.failure_domain}", code="crush.type")
    if new.device_class:
        root = _shadow(crush, root, new)
    number = next((n for n, rule in enumerate(crush.rules) if rule is None), len(crush.rules))
    rule = Rule(number, new.type, *_sizes(new), _steps(new, root, kind))
    rules = [*crush.rules, *[None] * (number + 1 - len(crush.rules))]
    rules[number] = rule
    rule_names = {**crush.rule_names, number: new.name}
    return msgspec.structs.replace(crush, rules=tuple(rules), rule_names=rule_names), number


def _shadow(crush: CrushMap, root: int, new: NewRule) -> int:
    number = names.find_class(crush, new.device_class)
    if number is None:
        raise Invalid(f"device class {new.device_class} does not exist", code="crush.class")
    shadow = crush.class_buckets.get(root, {}).get(number)
    if shadow is None:
        message = f"root {new.root} has no devices with class {new.device_class}"
        raise Invalid(message, code="crush.class")
    return shadow


def _sizes(new: NewRule) -> tuple[int, int]:
    least, most = (1, 10) if new.mode == "firstn" else (3, 20)
    return least, new.max_size or most


def _steps(new: NewRule, root: int, kind: int) -> tuple[Step, ...]:
    if new.mode == "firstn":
        choose = wire.CHOOSELEAF_FIRSTN if kind else wire.CHOOSE_FIRSTN
        return (Step(wire.TAKE, root), Step(choose, 0, kind), Step(wire.EMIT))
    if new.mode != "indep":
        raise Invalid(f"unknown mode {new.mode}", code="crush.mode")
    choose = wire.CHOOSELEAF_INDEP if kind else wire.CHOOSE_INDEP
    return (
        Step(wire.SET_CHOOSELEAF_TRIES, 5),
        Step(wire.SET_CHOOSE_TRIES, 100),
        Step(wire.TAKE, root),
        Step(choose, 0, kind),
        Step(wire.EMIT),
    )


def remove_rule(crush: CrushMap, name: str) -> CrushMap:
    """`osd crush rule rm`. Whether a pool uses it is the caller's to see."""
    number = names.find_rule(crush, name)
    if number is None:
        raise NotFound(f"rule {name} does not exist", code="crush.rule")
    draft = Draft(crush)
    draft.rules[number] = None
    del draft.rule_names[number]
    classes.rebuild(draft)
    return draft.done()


def rename_rule(crush: CrushMap, old: str, new: str) -> CrushMap:
    """`osd crush rule rename`."""
    number = names.find_rule(crush, old)
    if number is None:
        raise NotFound(f"source rule name '{old}' does not exist", code="crush.rule")
    if names.find_rule(crush, new) is not None:
        raise Conflict(f"destination rule name '{new}' already exists", code="crush.rule")
    return msgspec.structs.replace(crush, rule_names={**crush.rule_names, number: new})


def set_class(crush: CrushMap, device: int, name: str) -> CrushMap:
    """`osd crush set-device-class`. Raises Busy when the device has another class."""
    if device not in crush.names:
        raise NotFound(f"osd.{device} does not exist", code="crush.item")
    now = crush.class_names.get(crush.classes.get(device, -1))
    if now == name:
        return crush
    if now is not None:
        message = f"osd.{device} has already bound to class '{now}'"
        raise Busy(message, code="crush.class", device_class=now)
    draft = Draft(crush)
    draft.classes[device] = classes.class_id(draft, names.check(name))
    classes.rebuild(draft)
    return draft.done()


def remove_class(crush: CrushMap, device: int) -> CrushMap:
    """`osd crush rm-device-class`."""
    if device not in crush.classes:
        return crush
    draft = Draft(crush)
    del draft.classes[device]
    classes.rebuild(draft)
    return draft.done()


def create_class(crush: CrushMap, name: str) -> CrushMap:
    """`osd crush class create`: a class that no device has yet."""
    draft = Draft(crush)
    classes.class_id(draft, names.check(name))
    return draft.done()


def drop_class(crush: CrushMap, name: str) -> CrushMap:
    """`osd crush class rm`, of a class that no device has."""
    draft = Draft(crush)
    number = names.find_class(crush, name)
    if number is not None:
        del draft.class_names[number]
    return draft.done()


def rename_class(crush: CrushMap, old: str, new: str) -> CrushMap:
    """`osd crush class rename`: shadow buckets get their new names too."""
    number = names.find_class(crush, old)
    if number is None:
        raise NotFound(f"class '{old}' does not exist", code="crush.class")
    if names.find_class(crush, new) is not None:
        raise Conflict(f"class '{new}' already exists", code="crush.class")
    draft = Draft(crush)
    draft.class_names[number] = names.check(new)
    for item, of in crush.classes.items():
        if item < 0 and of == number:
            draft.names[item] = f"{crush.names[item].partition('~')[0]}~{new}"
    return draft.done()


def set_profile(crush: CrushMap, name: str) -> CrushMap:
    """`osd crush tunables`: straws keep their lengths until their buckets change."""
    if name not in PROFILES:
        raise Invalid(f"unknown profile '{name}'", code="crush.profile")
    return msgspec.structs.replace(crush, tunables=PROFILES[name], sections=8)


def profile_of(crush: CrushMap) -> str:
    """The name of the profile that a map's tunables are."""
    for name in ("jewel", "hammer", "firefly", "bobtail", "argonaut"):
        if crush.tunables == PROFILES[name]:
            return name
    return "unknown"
