# SPDX-License-Identifier: Apache-2.0
"""Services, endpoints, regions."""

from octostack.services.identity.model import JSON, Endpoint, EndpointGroup, Region, Service
from octostack.services.identity.schema import base

_SERVICE: JSON = {
    "type": base.NAME,
    "name": base.nullable({"type": "string", "maxLength": 255}),
    "description": base.nullable(base.TEXT),
    "enabled": base.BOOLEAN,
}
_REGION_ID: JSON = {"type": "string", "maxLength": 255}
_ENDPOINT: JSON = {
    "interface": {"type": "string", "enum": ["admin", "internal", "public"]},
    "service_id": base.ID,
    "url": base.URL,
    "region": base.nullable(_REGION_ID),
    "region_id": base.nullable(_REGION_ID),
    "enabled": base.BOOLEAN,
    "name": base.nullable(base.TEXT),
    "description": base.nullable(base.TEXT),
}
_REGION: JSON = {
    "id": base.nullable(_REGION_ID),
    "description": base.nullable(base.TEXT),
    "parent_region_id": base.nullable(_REGION_ID),
}

_GROUP: JSON = {
    "name": base.NAME,
    "description": base.nullable(base.TEXT),
    "filters": {
        "type": "object",
        "properties": {
            "service_id": base.TEXT,
            "region_id": base.TEXT,
            "interface": _ENDPOINT["interface"],
        },
        "minProperties": 1,
        "additionalProperties": False,
    },
}

CREATE_SERVICE = base.body("service", _SERVICE, required=("type",))
UPDATE_SERVICE = base.change("service", _SERVICE)
CREATE_ENDPOINT = base.body("endpoint", _ENDPOINT, required=("interface", "service_id", "url"))
UPDATE_ENDPOINT = base.change("endpoint", _ENDPOINT)
CREATE_REGION = base.body("region", _REGION)
UPDATE_REGION = base.change("region", _REGION)

CREATE_GROUP = base.body("endpoint_group", _GROUP, required=("name", "filters"), extra=False)
UPDATE_GROUP = base.change("endpoint_group", _GROUP, extra=False)

KNOWN_SERVICE = tuple(_SERVICE)
KNOWN_ENDPOINT = ("interface", "service_id", "url", "region_id", "enabled")
KNOWN_REGION = tuple(_REGION)


def service(one: Service, base_url: str) -> JSON:
    """A service."""
    shown = one.extra | {
        "id": one.id,
        "type": one.type,
        "enabled": one.enabled,
        "links": base.links(base_url, "services", one.id),
    }
    if one.name is not None:
        shown["name"] = one.name
    if one.description is not None:
        shown["description"] = one.description
    return shown


def endpoint(one: Endpoint, base_url: str) -> JSON:
    """An endpoint."""
    return one.extra | {
        "id": one.id,
        "interface": one.interface,
        "region_id": one.region_id,
        "region": one.region_id,
        "service_id": one.service_id,
        "url": one.url,
        "enabled": one.enabled,
        "links": base.links(base_url, "endpoints", one.id),
    }


def endpoint_group(one: EndpointGroup, base_url: str) -> JSON:
    """A group of endpoints."""
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "filters": one.filters,
        "links": base.links(base_url, "OS-EP-FILTER/endpoint_groups", one.id),
    }


def region(one: Region, base_url: str) -> JSON:
    """A region."""
    return one.extra | {
        "id": one.id,
        "description": one.description,
        "parent_region_id": one.parent_region_id,
        "links": base.links(base_url, "regions", one.id),
    }
