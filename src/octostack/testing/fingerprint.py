# SPDX-License-Identifier: Apache-2.0
"""A contract's shape as text that can be kept in a file, compared, and judged.

Two peers of different versions meet in every upgrade. So a shape that changes needs a new
`VERSION`, and under the same major version it may only grow in ways that an older peer survives.
"""

import importlib
import inspect
import pkgutil
from typing import Any

import msgspec
from msgspec import inspect as mi

import octostack.contracts
from octostack.runtime.bus.shape import Shape, shape_of

Described = dict[str, Any]  # {"version": [1, 0], "methods": {...}, "types": {...}}


def contracts() -> list[type]:
    """Every contract in `octostack.contracts`, by name."""
    found: dict[str, type] = {}
    for module_info in pkgutil.walk_packages(octostack.contracts.__path__, "octostack.contracts."):
        module = importlib.import_module(module_info.name)
        for kind in vars(module).values():
            if (
                inspect.isclass(kind)
                and kind.__module__ == module.__name__
                and inspect.isabstract(kind)
                and "VERSION" in vars(kind)
            ):
                assert kind.__name__ not in found, f"two contracts are called {kind.__name__}"
                found[kind.__name__] = kind
    return [found[name] for name in sorted(found)]


def describe(contract: type) -> Described:
    """The version of `contract`, what its methods take and return, and every type in these."""
    shape: Shape = shape_of(contract)
    types: dict[str, Any] = {}
    methods = {}
    for name, method in sorted(shape.methods.items()):
        methods[name] = {
            "since": list(method.since),
            "takes": _fields(mi.type_info(method.new_args), types),
            "returns": _name(mi.type_info(method.result), types),
        }
    described = dict(sorted(types.items()))
    return {"version": list(shape.version), "methods": methods, "types": described}


def judge(before: Described, after: Described) -> list[str]:
    """What is wrong with going from one shape to the other; empty when nothing is."""
    if before == after:
        return []
    if after["version"] <= before["version"]:
        return ["the shape changed and VERSION did not grow"]
    if after["version"][0] > before["version"][0]:
        return []
    flaws = []
    for name, method in before["methods"].items():
        now = after["methods"].get(name)
        if now is None:
            flaws.append(f"{name} is gone: that needs a new major version")
            continue
        flaws += _judge_fields(f"{name}()", method["takes"], now["takes"])
        if now["returns"] != method["returns"]:
            flaws.append(f"{name}() returns {now['returns']}, not {method['returns']}")
    for name in after["methods"].keys() - before["methods"].keys():
        if after["methods"][name]["since"] <= before["version"]:
            flaws.append(f"{name} is new: mark it @since{tuple(after['version'])}")
    for name, kind in before["types"].items():
        now = after["types"].get(name)
        if now is not None and isinstance(kind, dict) and isinstance(now, dict):
            flaws += _judge_fields(name, kind, now)
    return flaws


def _judge_fields(where: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    flaws = []
    for name, kind in after.items():
        if name not in before and not kind.endswith("?"):
            flaws.append(f"{where}: {name} is new and has no default")
        elif name in before and kind.rstrip("?") != before[name].rstrip("?"):
            flaws.append(f"{where}: {name} was {before[name]} and is {kind}")
    for name, kind in before.items():
        if name not in after and not kind.endswith("?"):
            flaws.append(f"{where}: {name} is gone, and older peers must have it")
    return flaws


def _fields(kind: mi.Type, types: dict[str, Any]) -> dict[str, str]:
    """Names to types; a question mark says that there is a default."""
    assert isinstance(kind, mi.StructType | mi.DataclassType | mi.TypedDictType)
    return {
        field.encode_name: _name(field.type, types) + ("" if field.required else "?")
        for field in kind.fields
    }


def _name(kind: mi.Type, types: dict[str, Any]) -> str:
    if isinstance(kind, mi.StructType | mi.DataclassType | mi.TypedDictType):
        return _named_struct(kind, types)
    if isinstance(kind, mi.EnumType):
        types[kind.cls.__name__] = sorted(str(member.value) for member in kind.cls)
        return kind.cls.__name__
    if isinstance(kind, mi.UnionType):
        return "|".join(sorted(_name(member, types) for member in kind.types))
    if isinstance(kind, mi.LiteralType):
        return "(" + "|".join(sorted(map(repr, kind.values))) + ")"
    if isinstance(kind, mi.DictType):
        return f"{{{_name(kind.key_type, types)}: {_name(kind.value_type, types)}}}"
    if isinstance(kind, mi.TupleType):
        return "(" + ", ".join(_name(item, types) for item in kind.item_types) + ")"
    if isinstance(kind, mi.CollectionType):
        return f"[{_name(kind.item_type, types)}]"
    if isinstance(kind, mi.Metadata):
        return _name(kind.type, types)
    return type(kind).__name__.removesuffix("Type").lower()


def _named_struct(
    kind: mi.StructType | mi.DataclassType | mi.TypedDictType, types: dict[str, Any]
) -> str:
    name = kind.cls.__name__
    if name not in types:
        types[name] = {}  # a type may hold itself
        types[name] = _fields(kind, types)
        tag = getattr(kind, "tag", None)
        if tag is not None:
            types[name]["(tag)"] = str(tag)
        if isinstance(kind, mi.StructType) and kind.array_like:
            types[name]["(array)"] = "in this order?"
    return name


def render(all_described: dict[str, Described]) -> str:
    """The file of all shapes: stable, one thing a line, so that a review sees what changed."""
    return msgspec.json.format(msgspec.json.encode(all_described), indent=1).decode() + "\n"
