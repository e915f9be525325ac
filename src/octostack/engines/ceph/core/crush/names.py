# SPDX-License-Identifier: Apache-2.0
"""Names in a map: what is allowed, and what a name or a shadow bucket stands for."""

import re

from octostack.base.errors import Invalid, NotFound
from octostack.wire.ceph.maps.crush import CrushMap

_VALID = re.compile(r"[A-Za-z0-9_.-]+")


def is_valid(name: str) -> bool:
    """Whether people may give this name; those of shadow buckets (``default~ssd``) are not."""
    return bool(_VALID.fullmatch(name))


def check(name: str) -> str:
    """The name, if it is allowed. Raises Invalid."""
    if not is_valid(name):
        raise Invalid(f"Name '{name}' does not match [-_.0-9a-zA-Z]+", code="crush.name")
    return name


def find_item(crush: CrushMap, name: str) -> int | None:
    """The device or bucket of this name."""
    return next((item for item, other in crush.names.items() if other == name), None)


def get_item(crush: CrushMap, name: str) -> int:
    """The device or bucket of this name. Raises NotFound."""
    item = find_item(crush, name)
    if item is None:
        raise NotFound(f"item {name} does not exist", code="crush.item")
    return item


def find_type(crush: CrushMap, name: str) -> int | None:
    """The number of a type."""
    return next((number for number, other in crush.type_names.items() if other == name), None)


def find_class(crush: CrushMap, name: str) -> int | None:
    """The number of a device class."""
    return next((number for number, other in crush.class_names.items() if other == name), None)


def find_rule(crush: CrushMap, name: str) -> int | None:
    """The number of a rule."""
    return next((number for number, other in crush.rule_names.items() if other == name), None)


def is_shadow(crush: CrushMap, item: int) -> bool:
    """Whether this bucket holds the devices of one class only."""
    return "~" in crush.names.get(item, "")


def split_class(crush: CrushMap, item: int) -> tuple[int, int | None]:
    """The bucket that a shadow bucket shadows and its class; others stand for themselves."""
    name, mark, class_name = crush.names.get(item, "").partition("~")
    if not mark:
        return item, None
    original, number = find_item(crush, name), find_class(crush, class_name)
    if original is None or number is None:
        return item, None
    return original, number
