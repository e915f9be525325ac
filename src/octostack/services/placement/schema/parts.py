# SPDX-License-Identifier: Apache-2.0
"""Pieces that several schemas share, and the headers of an answer."""

from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid
from octostack.runtime.http import Request, Response, Schema
from octostack.services.placement.core.query import is_uuid

UUID_KEY = "^[0-9a-fA-F-]{36}$"
CLASS_NAME = "^[A-Z0-9_]+$"
CUSTOM_NAME = "^CUSTOM_[A-Z0-9_]+$"
NUMBERED = "[1-9][0-9]*"
SUFFIX = "[a-zA-Z0-9_-]{1,64}"
INT_MAX = 2147483647

UUID = {"type": "string", "format": "uuid"}
GENERATION = {"type": "integer", "minimum": -(1 << 62), "maximum": 1 << 62}
_FORMATS = {"uuid": is_uuid}


class _Worded(Schema):
    """A schema whose refusals begin as Placement's do."""

    def __init__(self, definition: dict[str, Any], prefix: str) -> None:
        super().__init__(definition, _FORMATS)
        self._prefix = prefix

    def check(self, value: Any) -> None:
        try:
            super().check(value)
        except Invalid as e:
            rule = e.details["rule"]
            reason = _reason(self._at(rule[:-1]), rule[-1], e.details["reason"])
            text = (
                f"{self._prefix}: {reason}\n\nFailed validating {rule[-1]!r} in "
                f"schema{_places(rule[:-1])}\n\nOn instance{_places(e.details['path'])}"
            )
            raise Invalid(text, code=e.code, **e.details) from e

    def _at(self, rule: tuple[str | int, ...]) -> Any:
        """The part of the schema that holds a keyword."""
        part: Any = self.definition
        for step in rule:
            part = part[step]
        return part


def _places(path: Iterable[str | int]) -> str:
    return "".join(f"[{step!r}]" for step in path)


def _reason(part: Any, keyword: str | int, reason: str) -> str:
    """What is wrong in the words of Placement's own validator, where its tests look for them."""
    value = reason.partition(" is not one of ")[0].replace('"', "'")
    if keyword == "enum":
        return f"{value} is not one of {part['enum']!r}"
    if keyword == "minProperties":
        return "{} does not have enough properties"
    if keyword == "additionalProperties" and part.get("patternProperties"):
        names = reason.partition("(")[2].rpartition(" w")[0]
        regexes = ", ".join(repr(regex) for regex in sorted(part["patternProperties"]))
        return f"{names} does not match any of the regexes: {regexes}"
    return reason.replace('"', "'")


def body(definition: dict[str, Any]) -> Schema:
    """A schema whose uuid format is OpenStack's: dashes are optional."""
    return _Worded(definition, "JSON does not validate")


def closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def query(
    properties: dict[str, Any],
    *,
    required: tuple[str, ...] = (),
    patterns: dict[str, Any] | None = None,
) -> Schema:
    """A query string: every name is a list of values."""
    definition = closed({k: _values(v) for k, v in properties.items()}, required)
    definition["patternProperties"] = {k: _values(v) for k, v in (patterns or {}).items()}
    return _Worded(definition, "Invalid query string parameters")


def _values(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": one}


def path_prefix(req: Request) -> str:
    """The path under which the API is mounted."""
    return req.base_url.removeprefix(req.host_url)


def location(req: Request, path: str) -> dict[str, str]:
    """A Location header for a path of this API."""
    return {"Location": req.base_url + path}


def dated(
    req: Request,
    value: Any,
    modified_at: float | None = None,
    *,
    status: int | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An answer with Last-Modified and Cache-Control where the version has them (1.15)."""
    all_headers = dict(headers or {})
    if req.version >= (1, 15):
        when = modified_at if modified_at is not None else clock.now()
        all_headers["Last-Modified"] = formatdate(when, usegmt=True)
        all_headers["Cache-Control"] = "no-cache"
    return Response(value, status=status, headers=all_headers)
