# SPDX-License-Identifier: Apache-2.0
"""Images in and out."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid
from octostack.runtime.http import Schema, schema
from octostack.services.image.core.states import STATUSES
from octostack.services.image.model import HASH_ALGORITHM, STORE, VISIBILITIES, Image

DISK_FORMATS = (
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
)  # fmt: skip
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")

_ID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_INT32_MAX = 2147483647


def _text(description: str, length_max: int | None = None, **more: Any) -> dict[str, Any]:
    limits = {"maxLength": length_max} if length_max else {}
    return {"type": "string", "description": description, **limits, **more}


def _maybe(description: str, length_max: int | None = None, **more: Any) -> dict[str, Any]:
    return _text(description, length_max, **more) | {"type": ["null", "string"]}


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"readOnly": True}


def _count(description: str) -> dict[str, Any]:
    return {
        "type": "integer",
        "description": description,
        "minimum": 0,
        "maximum": _INT32_MAX,
    }


def _size(description: str) -> dict[str, Any]:
    return {"type": ["null", "integer"], "readOnly": True, "description": description}


PROPERTIES: dict[str, dict[str, Any]] = {
    "id": _text("An identifier for the image", pattern=_ID),
    "name": _maybe("Descriptive name for the image", 255),
    "status": _shown(_text("Status of the image", enum=list(STATUSES))),
    "visibility": _text("Scope of image accessibility", enum=list(VISIBILITIES)),
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {
        "type": "boolean",
        "description": "If true, image will not appear in default image list response.",
    },
    "checksum": _shown(_maybe("md5 hash of image contents.", 32)),
    "os_hash_algo": _shown(_maybe("Algorithm to calculate the os_hash_value", 64)),
    "os_hash_value": _shown(
        _maybe("Hexdigest of the contents by the algorithm of os_hash_algo", 128)
    ),
    "owner": _maybe("Owner of the image", 255),
    "size": _size("Size of image file in bytes"),
    "virtual_size": _size("Virtual size of image in bytes"),
    "container_format": _maybe("Format of the container", enum=[None, *CONTAINER_FORMATS]),
    "disk_format": _maybe("Format of the disk", enum=[None, *DISK_FORMATS]),
    "created_at": _shown(_text("Date and time of image registration")),
    "updated_at": _shown(_text("Date and time of the last image modification")),
    "tags": {
        "type": "array",
        "description": "List of strings related to the image",
        "items": {"type": "string", "maxLength": 255},
    },
    "direct_url": _shown(_text("URL to access the image file kept in external store")),
    "min_ram": _count("Amount of ram (in MB) required to boot image."),
    "min_disk": _count("Amount of disk space (in GB) required to boot image."),
    "self": _shown(_text("An image self url")),
    "file": _shown(_text("An image file url")),
    "stores": _shown(_text("Store in which image data resides.")),
    "schema": _shown(_text("An image schema url")),
}
LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]
IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": LINKS,
}

_VALUE_BYTES_MAX = 65535
_FREE = {"type": "string", "maxLength": _VALUE_BYTES_MAX}
_BODY = {"type": "object", "properties": PROPERTIES, "additionalProperties": _FREE}
_VALUES = schema(_BODY)


def check(value: Any) -> None:
    """Raise Invalid unless `value` is an image, or a part of one, with the right types."""
    try:
        _VALUES.check(value)
    except Invalid as e:
        where = e.details.get("field") or "body"
        reason = e.details.get("reason", e.message)
        raise Invalid(
            f"Provided object does not match schema 'image': {reason}: '{where}'",
            **e.details,
        ) from e
    for name, one in value.items():
        if not name or len(name) > 255:
            raise Invalid(
                "Custom property should not be greater than 255 characters.", field="property"
            )
        if isinstance(one, str) and "\0" in one + name:
            raise Invalid(f"Property {name!r} contains a NUL character.", field="property")


def view(image: Image) -> dict[str, Any]:
    """An image as the API shows it."""
    url = f"/v2/images/{image.id}"
    shown: dict[str, Any] = {
        **image.properties,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "status": image.status,
        "checksum": image.checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": image.hidden,
        "os_hash_algo": HASH_ALGORITHM if image.hash_value else None,
        "os_hash_value": image.hash_value,
        "id": image.id,
        "created_at": clock.iso(image.created_at),
        "updated_at": clock.iso(image.updated_at),
        "tags": image.tags,
        "self": url,
        "file": f"{url}/file",
        "schema": "/v2/schemas/image",
    }
    if image.data_key:
        shown["stores"] = STORE
    return shown


def collection(name: str, item: dict[str, Any], *, paged: bool = True) -> dict[str, Any]:
    """The schema of a list of `item`s."""
    properties: dict[str, Any] = {
        name: {"type": "array", "items": item},
        "schema": {"type": "string"},
    }
    links = [{"rel": "describedby", "href": "{schema}"}]
    if paged:
        properties |= {"first": {"type": "string"}, "next": {"type": "string"}}
        links = [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            *links,
        ]
    return {"name": name, "properties": properties, "links": links}


_ADDRESS = {"type": "string", "maxLength": 2048}
IMPORT: Schema = schema(
    {
        "type": "object",
        "properties": {
            "method": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 64}, "uri": _ADDRESS},
                "required": ["name"],
            },
            "stores": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
            "all_stores": {"type": "boolean"},
            "all_stores_must_succeed": {"type": "boolean"},
        },
        "required": ["method"],
    }
)
