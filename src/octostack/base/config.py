# SPDX-License-Identifier: Apache-2.0
"""Typed configuration: a TOML file becomes a frozen struct; an unknown key is an error."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from octostack.base.errors import Invalid

T = TypeVar("T")


def load(path: Path, kind: type[T]) -> T:
    """The file at `path` as a `kind`; a missing file gives the defaults. Raises Invalid."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = ""
    try:
        return parse(tomllib.loads(text), kind)
    except tomllib.TOMLDecodeError as e:
        raise Invalid(f"{path}: {e}", code="config.syntax") from e
    except Invalid as e:
        raise Invalid(f"{path}: {e.message}", code=e.code) from e


def parse(values: dict[str, Any], kind: type[T]) -> T:
    """`values` checked against `kind`. Raises Invalid naming the key."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as e:
        raise Invalid(str(e), code="config.value") from e
