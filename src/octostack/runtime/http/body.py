# SPDX-License-Identifier: Apache-2.0
"""Bodies and queries checked against JSON schemas, kept as data, per microversion."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from octostack.base import limits
from octostack.base.errors import Invalid
from octostack.runtime.http.versions import Version, parse

_VALUE_SHOWN_CHARS = 200
_MASK = "***"
# What stands under a name with one of these words in it is not said back.
_SECRET = ("pass", "secret", "blob", "user_data", "private", "token")


class Schema:
    """One JSON schema (draft 4 to 2020-12); compiled when first used."""

    def __init__(
        self, definition: Mapping[str, Any], formats: Mapping[str, Any] | None = None
    ) -> None:
        self.definition = definition
        self._formats = dict(formats or {})
        self._validator: Any = None

    def check(self, value: Any) -> None:
        """Raises Invalid with `field`, `path`, `value` and `reason` of the first mismatch.

        The message is the one Nova and Keystone give.
        """
        if self._validator is None:
            self._validator = self._compiled()
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return
        shown = masked(_at(value, error.instance_path))
        if shown is not _at(value, error.instance_path):  # the message would say the secret too
            error = next(iter(self._compiled(mask=_MASK).iter_errors(value)))
        raise _invalid(error, shown)

    def _compiled(self, mask: str | None = None) -> Any:
        return jsonschema_rs.validator_for(
            dict(self.definition), formats=self._formats, validate_formats=True, mask=mask
        )


class Versions:
    """Schemas by the microversion they begin at, newest first."""

    def __init__(self, *pairs: tuple[str, Schema | None]) -> None:
        self.pairs = [(parse(since), schema) for since, schema in pairs]
        if self.pairs != sorted(self.pairs, key=lambda p: p[0], reverse=True):
            raise ValueError("versions are listed newest first")

    def at(self, version: Version) -> Schema | None:
        """The schema in force at `version`, None where no body is checked."""
        for since, schema in self.pairs:
            if version >= since:
                return schema
        return None


def schema(definition: Mapping[str, Any], formats: Mapping[str, Any] | None = None) -> Schema:
    """A schema for a route's body or query."""
    return Schema(definition, formats)


def versions(*pairs: tuple[str, Schema | None]) -> Versions:
    """``versions(("2.94", NEW), ("2.1", OLD))``."""
    return Versions(*pairs)


def at(body: Schema | Versions | None, version: Version) -> Schema | None:
    """The schema of a route at one version."""
    return body.at(version) if isinstance(body, Versions) else body


def _invalid(error: Any, value: Any) -> Invalid:
    path = [str(p) for p in error.instance_path]
    rule = tuple(error.schema_path)  # where in the schema the keyword stands that was broken
    reason = str(error.message)[: limits.HEADER_BYTES_MAX]
    if not path:
        return Invalid(reason, code="schema", field="", path=(), reason=reason, rule=rule)
    field = _name(error.instance_path)
    shown = repr(value) if not isinstance(value, str) else value
    if len(shown) > _VALUE_SHOWN_CHARS:
        shown = shown[:_VALUE_SHOWN_CHARS] + "..."
    if any(_is_secret(name) for name in path):
        shown, reason = _MASK, "the value is not acceptable"
    return Invalid(
        f"Invalid input for field/attribute {field}. Value: {shown}. {reason}",
        code="schema",
        field=field,
        path=tuple(path),
        value=shown,
        reason=reason,
        rule=rule,
    )


def _name(path: list[str | int]) -> str:
    """The last name, with the places in a list that follow it: ``tags/0``."""
    first = max((i for i, part in enumerate(path) if isinstance(part, str)), default=0)
    return "/".join(str(part) for part in path[first:])


def _at(value: Any, path: list[str | int]) -> Any:
    for key in path:
        value = value[key]
    return value


def masked(value: Any) -> Any:
    """The value itself, or a copy without the secrets in it."""
    if isinstance(value, list):
        parts = [masked(part) for part in value]
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    copy = {k: _MASK if _is_secret(k) else masked(v) for k, v in value.items()}
    return copy if any(copy[k] is not v for k, v in value.items()) else value


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in _SECRET)
