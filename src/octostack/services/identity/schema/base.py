# SPDX-License-Identifier: Apache-2.0
"""Types that several schemas share, and what all views have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from octostack.base import clock
from octostack.runtime.http import Schema
from octostack.services.identity.model import JSON

ID = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+$"}
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"[\S]+"}
NAME_64 = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"[\S]+"}
TEXT = {"type": "string"}
BOOLEAN = {"type": "boolean"}
URL = {"type": "string", "minLength": 1, "maxLength": 225, "pattern": r"^[a-zA-Z0-9+.-]+:.+"}
TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/]*$"}
DATETIME = {"type": "string", "maxLength": 64}
# What a database keeps in a signed 32 bit column.
INTEGER = {"type": "integer", "minimum": -1, "maximum": 2147483647}


def nullable(kind: Mapping[str, Any]) -> JSON:
    """`kind` or null."""
    return {"anyOf": [dict(kind), {"type": "null"}]}


def body(
    name: str,
    properties: Mapping[str, Any],
    *,
    required: Sequence[str] = (),
    extra: bool = True,
) -> Schema:
    """The schema of ``{name: {...}}``; `extra`: attributes of the user's own may come along."""
    inner: JSON = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": extra,
    }
    return Schema({"type": "object", "properties": {name: inner}, "required": [name]})


def change(name: str, properties: Mapping[str, Any], *, extra: bool = True) -> Schema:
    """The schema of an update: at least one attribute."""
    inner: JSON = {
        "type": "object",
        "properties": dict(properties),
        "minProperties": 1,
        "additionalProperties": extra,
    }
    return Schema({"type": "object", "properties": {name: inner}, "required": [name]})


def when(t: float | None) -> str | None:
    """A time as Keystone writes it: with microseconds."""
    return None if t is None else clock.iso(t, micros=True)


def links(base_url: str, collection: str, id: str) -> JSON:
    """The links of one resource."""
    return {"self": f"{base_url}/{collection}/{id}"}


def split(given: Mapping[str, Any], known: Sequence[str]) -> tuple[JSON, JSON]:
    """The attributes we know, and those of the user's own."""
    extra = {name: value for name, value in given.items() if name not in known}
    return {name: given[name] for name in known if name in given}, extra


def own(extra: JSON) -> JSON:
    """The user's own attributes to be kept: `id` and `links` are ours alone."""
    return {name: value for name, value in extra.items() if name not in ("id", "links")}


def collection_links(url: str, *, following: str | None = None) -> JSON:
    """The links of a list."""
    return {"next": following, "self": url, "previous": None}
