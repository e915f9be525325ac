# SPDX-License-Identifier: Apache-2.0
"""Metadata definitions in and out."""

from typing import Any

from octostack.base import clock
from octostack.runtime.http import Schema, schema
from octostack.services.image.model import Definition, Namespace
from octostack.services.image.schema.images import collection

# What definitions may be attached to; the first of what glance-manage loads.
RESOURCE_TYPES = (
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
    "OS::Trove::Instance",
)

_TEXT: dict[str, Any] = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 80}
_LONG_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_DESCRIPTION = {"type": "string", "maxLength": 500}
_SHOWN = {"type": "string", "readOnly": True}
_NATURAL = {"type": "integer", "minimum": 0}
_TIMES = {"created_at": _SHOWN, "updated_at": _SHOWN, "schema": _SHOWN, "self": _SHOWN}

_PROPERTY = {
    "name": _LONG_NAME,
    "title": _TEXT,
    "description": _TEXT,
    "operators": {"type": "array", "items": _TEXT},
    "type": {
        "type": "string",
        "enum": ["array", "boolean", "integer", "number", "object", "string", None],
    },
    "required": {"type": "array", "items": _TEXT},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _NATURAL,
    "minLength": _NATURAL,
    "pattern": _TEXT,
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object"},
    "maxItems": _NATURAL,
    "minItems": _NATURAL,
    "uniqueItems": {"type": "boolean"},
    "additionalItems": {"type": "boolean"},
}
_PROPERTIES = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": _PROPERTY,
        "required": ["title", "type"],
        "additionalProperties": False,
    },
}
_OBJECT = {
    "name": _LONG_NAME,
    "description": _TEXT,
    "required": {"type": "array", "items": _TEXT},
    "properties": _PROPERTIES,
    **_TIMES,
}
_TAG = {"name": _LONG_NAME, **_TIMES}
_ASSOCIATION = {
    "name": _NAME,
    "prefix": {"type": "string", "maxLength": 80},
    "properties_target": {"type": "string", "maxLength": 80},
    **_TIMES,
}


def _item(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_NAMESPACE = {
    "namespace": _NAME,
    "display_name": {"type": "string", "maxLength": 80},
    "description": _DESCRIPTION,
    "visibility": {"type": "string", "enum": ["public", "private"]},
    "protected": {"type": "boolean"},
    "owner": {"type": "string", "maxLength": 255},
    **_TIMES,
    "resource_type_associations": {"type": "array", "items": _item(_ASSOCIATION, "name")},
    "properties": _PROPERTIES,
    "objects": {"type": "array", "items": _item(_OBJECT, "name")},
    "tags": {"type": "array", "items": _item(_TAG, "name")},
}

NAMESPACE = schema(_item(_NAMESPACE, "namespace"))
ITEMS: dict[str, Schema] = {
    "objects": schema(_item(_OBJECT, "name")),
    "properties": schema(_item(_PROPERTY, "name", "title", "type")),
    "tags": schema(_item(_TAG, "name")),
    "resource_types": schema(_item(_ASSOCIATION, "name")),
}
TAGS = schema(
    {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": _item({"name": _LONG_NAME}, "name")}},
        "required": ["tags"],
    }
)


def _published(name: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "properties": properties, "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})


_DOCUMENTS = {
    "namespace": _published("namespace", _NAMESPACE, "namespace"),
    "resource_type": _published("resource_type_association", _ASSOCIATION, "name"),
    "property": _published("property", _PROPERTY, "name", "title", "type"),
    "object": _published("object", _OBJECT, "name"),
    "tag": _published("tag", _TAG, "name"),
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    **_DOCUMENTS,
    "namespaces": collection("namespaces", _DOCUMENTS["namespace"]),
    "resource_types": collection("resource_type_associations", _DOCUMENTS["resource_type"]),
    "properties": {
        "name": "properties",
        "properties": {
            "properties": {"type": "object", "additionalProperties": _DOCUMENTS["property"]}
        },
    },
    "objects": collection("objects", _DOCUMENTS["object"]),
    "tags": collection("tags", _DOCUMENTS["tag"]),
}


def view(namespace: Namespace, definitions: list[Definition]) -> dict[str, Any]:
    """A namespace with what stands in it."""
    optional = {"display_name": namespace.display_name, "description": namespace.description}
    shown: dict[str, Any] = {
        "namespace": namespace.namespace,
        **{name: value for name, value in optional.items() if value is not None},
        "visibility": namespace.visibility,
        "protected": namespace.protected,
        "owner": namespace.owner,
        "created_at": clock.iso(namespace.created_at),
        "updated_at": clock.iso(namespace.updated_at),
        "self": f"/v2/metadefs/namespaces/{namespace.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    for kind, key in (
        ("resource_types", "resource_type_associations"),
        ("objects", "objects"),
        ("tags", "tags"),
    ):
        if found := [view_item(one) for one in definitions if one.kind == kind]:
            shown[key] = found
    if found_properties := {d.name: d.body for d in definitions if d.kind == "properties"}:
        shown["properties"] = found_properties
    return shown


def view_item(one: Definition) -> dict[str, Any]:
    """One definition."""
    if one.kind == "properties":
        return {**one.body, "name": one.name}
    shown = {
        **one.body,
        "name": one.name,
        "created_at": clock.iso(one.created_at),
        "updated_at": clock.iso(one.updated_at),
    }
    if one.kind == "objects":
        base = f"/v2/metadefs/namespaces/{one.namespace}/objects"
        shown |= {"self": f"{base}/{one.name}", "schema": "/v2/schemas/metadefs/object"}
    return shown


def view_items(kind: str, items: list[Definition]) -> dict[str, Any]:
    """All definitions of one kind in a namespace."""
    if kind == "properties":
        return {"properties": {one.name: view_item(one) for one in items}}
    if kind == "resource_types":
        return {"resource_type_associations": [view_item(one) for one in items]}
    return {kind: [view_item(one) for one in items], "schema": f"/v2/schemas/metadefs/{kind}"}
