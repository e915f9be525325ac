# SPDX-License-Identifier: Apache-2.0
"""Allocations in every version's shape; all of them become `model.Wanted`."""

from collections.abc import Iterable, Mapping
from typing import Any

from octostack.runtime.http import versions
from octostack.services.placement.model import (
    UNKNOWN_CONSUMER_TYPE,
    Allocation,
    Consumer,
    Wanted,
)
from octostack.services.placement.schema import inventories
from octostack.services.placement.schema.parts import (
    CLASS_NAME,
    GENERATION,
    SUFFIX,
    UUID,
    UUID_KEY,
    body,
    closed,
    query,
)

# Who owns the allocations of callers older than 1.8, which do not say.
INCOMPLETE_OWNER = "00000000-0000-0000-0000-000000000000"

_ID = {"type": "string", "minLength": 1, "maxLength": 255}
_AMOUNT = {"type": "integer", "minimum": 1, "maximum": (1 << 53) - 1}
_RESOURCES = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {CLASS_NAME: _AMOUNT},
    "additionalProperties": False,
}
_LIST = {
    "type": "array",
    "minItems": 1,
    "items": closed(
        {"resource_provider": closed({"uuid": UUID}, ("uuid",)), "resources": _RESOURCES},
        ("resource_provider", "resources"),
    ),
}
_OWNER = {"project_id": _ID, "user_id": _ID}


def _by_provider(least: int) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": least,
        "patternProperties": {
            UUID_KEY: closed({"generation": GENERATION, "resources": _RESOURCES}, ("resources",))
        },
        "additionalProperties": False,
    }


_MAPPINGS = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {SUFFIX: {"type": "array", "minItems": 1, "items": UUID}},
}
_CONSUMER_GENERATION = {"anyOf": [GENERATION, {"type": "null"}]}
_TYPE = {"type": "string", "pattern": CLASS_NAME, "minLength": 1, "maxLength": 255}

_1_0 = closed({"allocations": _LIST}, ("allocations",))
_1_8 = closed({"allocations": _LIST, **_OWNER}, ("allocations", *_OWNER))
_1_12 = closed({"allocations": _by_provider(1), **_OWNER}, ("allocations", *_OWNER))
_1_13 = closed({"allocations": _by_provider(0), **_OWNER}, ("allocations", *_OWNER))
_1_28 = closed(
    _1_13["properties"] | {"consumer_generation": _CONSUMER_GENERATION},
    (*_1_13["required"], "consumer_generation"),
)
_1_34 = closed(_1_28["properties"] | {"mappings": _MAPPINGS}, tuple(_1_28["required"]))
_1_38 = closed(
    _1_34["properties"] | {"consumer_type": _TYPE}, (*_1_34["required"], "consumer_type")
)


def _by_consumer(one: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": least,
        "patternProperties": {UUID_KEY: one},
        "additionalProperties": False,
    }


def _reshape(one: dict[str, Any]) -> dict[str, Any]:
    stocks = {
        "type": "object",
        "patternProperties": {UUID_KEY: inventories.SET},
        "minProperties": 1,
        "additionalProperties": False,
    }
    return closed(
        {"inventories": stocks, "allocations": _by_consumer(one, 0)},
        ("inventories", "allocations"),
    )


PUT = versions(
    ("1.38", body(_1_38)),
    ("1.34", body(_1_34)),
    ("1.28", body(_1_28)),
    ("1.12", body(_1_12)),
    ("1.8", body(_1_8)),
    ("1.0", body(_1_0)),
)
POST = versions(
    ("1.38", body(_by_consumer(_1_38))),
    ("1.34", body(_by_consumer(_1_34))),
    ("1.28", body(_by_consumer(_1_28))),
    ("1.13", body(_by_consumer(_1_13))),
)
RESHAPE = versions(
    ("1.38", body(_reshape(_1_38))),
    ("1.34", body(_reshape(_1_34))),
    ("1.30", body(_reshape(_1_28))),
)

_USER = {"type": "string", "minLength": 1, "maxLength": 255}
USAGES = versions(
    (
        "1.38",
        query(
            {
                "project_id": _USER,
                "user_id": _USER,
                "consumer_type": {
                    "type": "string",
                    "pattern": f"{CLASS_NAME}|^all$|^unknown$",
                    "maxLength": 255,
                },
            },
            required=("project_id",),
        ),
    ),
    ("1.9", query({"project_id": _USER, "user_id": _USER}, required=("project_id",))),
)


def read(consumer_id: str, data: Mapping[str, Any], version: tuple[int, int]) -> Wanted:
    """What one consumer's body asks for."""
    given = data["allocations"]
    if isinstance(given, list):
        wanted = {one["resource_provider"]["uuid"]: one["resources"] for one in given}
    else:
        wanted = {provider_id: one["resources"] for provider_id, one in given.items()}
    return Wanted(
        consumer_id=consumer_id,
        allocations=wanted,
        project_id=data.get("project_id", INCOMPLETE_OWNER),
        user_id=data.get("user_id", INCOMPLETE_OWNER),
        consumer_type=data.get("consumer_type"),
        consumer_generation=data.get("consumer_generation"),
        checks_generation=version >= (1, 28),
    )


def view_consumer(
    held: Iterable[Allocation],
    consumer: Consumer | None,
    generations: Mapping[str, int],
    version: tuple[int, int],
) -> dict[str, Any]:
    """What a consumer holds, by provider."""
    by_provider: dict[str, dict[str, Any]] = {}
    for one in held:
        part = by_provider.setdefault(
            one.provider_id, {"resources": {}, "generation": generations[one.provider_id]}
        )
        part["resources"][one.resource_class] = one.used
    shown: dict[str, Any] = {"allocations": by_provider}
    if consumer is not None and by_provider and version >= (1, 12):
        shown["project_id"] = consumer.project_id
        shown["user_id"] = consumer.user_id
        if version >= (1, 28):
            shown["consumer_generation"] = consumer.generation
        if version >= (1, 38):
            shown["consumer_type"] = consumer.consumer_type or UNKNOWN_CONSUMER_TYPE
    return shown


def view_provider(
    held: Iterable[Allocation],
    consumers: Mapping[str, Consumer],
    generation: int,
    version: tuple[int, int],
) -> dict[str, Any]:
    """Who holds something from a provider."""
    by_consumer: dict[str, dict[str, Any]] = {}
    for one in held:
        part = by_consumer.setdefault(one.consumer_id, {"resources": {}})
        part["resources"][one.resource_class] = one.used
        if version >= (1, 28):
            part["consumer_generation"] = consumers[one.consumer_id].generation
    return {"allocations": by_consumer, "resource_provider_generation": generation}
