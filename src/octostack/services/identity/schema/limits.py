# SPDX-License-Identifier: Apache-2.0
"""Registered limits and those of one project or domain."""

from octostack.runtime.http import Schema
from octostack.services.identity.model import JSON, Limit, RegisteredLimit
from octostack.services.identity.schema import base

_REGION_ID: JSON = base.nullable({"type": "string", "maxLength": 255})
_REGISTERED: JSON = {
    "service_id": base.ID,
    "region_id": _REGION_ID,
    "resource_name": base.NAME,
    "default_limit": base.INTEGER,
    "description": base.nullable(base.TEXT),
}
_LIMIT: JSON = {
    "project_id": base.nullable(base.ID),
    "domain_id": base.nullable(base.ID),
    "service_id": base.ID,
    "region_id": _REGION_ID,
    "resource_name": base.NAME,
    "resource_limit": base.INTEGER,
    "description": base.nullable(base.TEXT),
}


def _many(name: str, properties: JSON, required: list[str], **more: object) -> Schema:
    one: JSON = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }
    return Schema(
        {
            "type": "object",
            "properties": {name: {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}},
            "required": [name],
            "additionalProperties": False,
        }
    )


CREATE_REGISTERED = _many(
    "registered_limits", _REGISTERED, ["service_id", "resource_name", "default_limit"]
)
UPDATE_REGISTERED = base.body("registered_limit", _REGISTERED, extra=False)
CREATE = _many(
    "limits",
    _LIMIT,
    ["service_id", "resource_name", "resource_limit"],
    oneOf=[{"required": ["project_id"]}, {"required": ["domain_id"]}],
)
UPDATE = base.body(
    "limit",
    {"resource_limit": base.INTEGER, "description": base.nullable(base.TEXT)},
    extra=False,
)


def registered(one: RegisteredLimit, base_url: str) -> JSON:
    """A registered limit."""
    return {
        "id": one.id,
        "service_id": one.service_id,
        "region_id": one.region_id,
        "resource_name": one.resource_name,
        "default_limit": one.default_limit,
        "description": one.description,
        "links": base.links(base_url, "registered_limits", one.id),
    }


def limit(one: Limit, of: RegisteredLimit, base_url: str) -> JSON:
    """A limit, with what it is a limit of."""
    return {
        "id": one.id,
        "project_id": one.project_id,
        "domain_id": one.domain_id,
        "service_id": of.service_id,
        "region_id": of.region_id,
        "resource_name": of.resource_name,
        "resource_limit": one.resource_limit,
        "description": one.description,
        "links": base.links(base_url, "limits", one.id),
    }
