# SPDX-License-Identifier: Apache-2.0
"""A contract's shape, read from its type hints: what each method takes and returns, and since when.

The arguments of a call travel as one struct made per method, its fields named as the parameters
are: a newer caller's parameter is ignored, an older caller's missing one gets its default.
"""

import inspect
import typing
from typing import Any

import msgspec

from octostack.base.contract import Version


class Method:
    """One method of a contract, with the codecs for its arguments and its result."""

    __slots__ = ("decode_args", "decode_result", "name", "new_args", "params", "result", "since")

    def __init__(self, contract: type, name: str, function: Any, baseline: Version) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        where = f"{contract.__name__}.{name}"
        if "return" not in hints:
            raise TypeError(f"{where}: no return type")
        self.result: Any = hints.pop("return")
        self.name = name
        self.since: Version = getattr(function, "__since__", baseline)
        self.new_args = _args_struct(where, function, hints)
        self.params = self.new_args.__struct_fields__
        self.decode_args = msgspec.msgpack.Decoder(self.new_args).decode
        self.decode_result = msgspec.msgpack.Decoder(self.result).decode


class Shape:
    """A contract as the bus sees it."""

    __slots__ = ("contract", "methods", "name", "stub", "version")

    def __init__(self, contract: type) -> None:
        self.contract = contract
        self.stub: Any = None  # the class of its stubs, once one was made
        self.name = contract.__name__
        self.version: Version = getattr(contract, "VERSION", (1, 0))
        baseline = (self.version[0], 0)
        self.methods = {
            name: Method(contract, name, function, baseline)
            for name, function in inspect.getmembers(contract, inspect.iscoroutinefunction)
            if not name.startswith("_")
        }
        if not self.methods:
            raise TypeError(f"{self.name} has no public async method: not a contract")


_shapes: dict[type, Shape] = {}


def shape_of(contract: type) -> Shape:
    """The shape of `contract`. Raises TypeError for what cannot be carried."""
    shape = _shapes.get(contract)
    if shape is None:
        shape = _shapes[contract] = Shape(contract)
    return shape


def _args_struct(where: str, function: Any, hints: dict[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{where}: *args and **kwargs cannot be carried")
        if parameter.name not in hints:
            raise TypeError(f"{where}: parameter {parameter.name} has no type")
        kind = hints[parameter.name]
        if parameter.default is parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind, parameter.default))
    return msgspec.defstruct(where, fields, frozen=True, gc=False)
