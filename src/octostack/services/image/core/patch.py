# SPDX-License-Identifier: Apache-2.0
"""JSON patches: the operations of a body, and the image they lead to.

Two media types: v2.1 patches follow RFC 6902 in form; v2.0 ones name the operation by a key
(``{"replace": "/name", "value": ...}``), and their `add` refuses what is there already.
Only whole attributes can be changed (``/name``, ``/tags``, ``/hw_disk_bus``).
"""

import re
from typing import Any

import msgspec

from octostack.base.errors import Conflict, Forbidden, Invalid, OctoError
from octostack.services.image.model import QUEUED, STORE, Image

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"
_OPERATIONS = ("add", "remove", "replace")

READ_ONLY = frozenset(
    (
        *("created_at", "updated_at", "status", "checksum", "size", "virtual_size", "stores"),
        *("direct_url", "self", "file", "schema", "id", "os_hash_algo", "os_hash_value"),
    )
)
RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance"
# The attribute of the API → the field of the model.
FIELDS = {
    "name": "name",
    "visibility": "visibility",
    "protected": "protected",
    "os_hidden": "hidden",
    "owner": "owner",
    "disk_format": "disk_format",
    "container_format": "container_format",
    "min_disk": "min_disk",
    "min_ram": "min_ram",
    "tags": "tags",
}


class Change(msgspec.Struct, frozen=True):
    """One operation on one attribute; `strict`: adding what is there is refused."""

    op: str
    name: str
    value: Any = None
    strict: bool = False


def read(body: Any, media_type: str) -> list[Change]:
    """The operations of a patch. Raises Invalid, Forbidden."""
    if not isinstance(body, list):
        raise Invalid("Request body must be a JSON array of operation objects.", field="body")
    return [_change(one, media_type) for one in body]


def check_writable(name: str) -> None:
    """Raise Forbidden for an attribute that is not the user's to set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.", field=name)
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.", field=name)


def applied(image: Image, change: Change, now: float) -> Image:
    """The image after one operation. Raises Conflict, Forbidden."""
    if change.name in FIELDS:
        return _field(image, change, now)
    if change.name == "stores":
        # openstacksdk 4 removes it with every change of another attribute, and means nothing by it.
        if change.op != "remove" and change.value != STORE:
            check_writable(change.name)
        return image
    there = change.name in image.properties
    if change.op == "add" and there and change.strict:
        raise Conflict(f"Property {change.name} already present.", field=change.name)
    if change.op != "add" and not there:
        raise Conflict(f"Property {change.name} does not exist.", field=change.name)
    properties = {k: v for k, v in image.properties.items() if k != change.name}
    if change.op != "remove":
        properties[change.name] = change.value
    return msgspec.structs.replace(image, properties=properties, updated_at=now)


def _field(image: Image, change: Change, now: float) -> Image:
    if change.op == "remove":
        raise Forbidden(f"Property {change.name} may not be removed.", field=change.name)
    if change.op == "add" and change.strict:
        raise Conflict(f"Property {change.name} already present.", field=change.name)
    if change.name in ("disk_format", "container_format") and image.status != QUEUED:
        raise Forbidden(
            f"Attribute {change.name} can be only replaced for a queued image.",
            field=change.name,
        )
    value = tuple(dict.fromkeys(change.value)) if change.name == "tags" else change.value
    values = {FIELDS[change.name]: value, "updated_at": now}
    return msgspec.structs.replace(image, **values)


def _change(raw: Any, media_type: str) -> Change:
    if not isinstance(raw, dict):
        raise Invalid("Operations must be JSON objects.", field="body")
    op, pointer = _v20(raw) if media_type == V20 else _v21(raw)
    parts = _pointer(pointer)
    if len(parts) != 1 or not parts[0]:
        shown = "/".join(parts)
        raise Invalid(f"Invalid JSON pointer for this resource: '/{shown}'", field="path")
    name = parts[0]
    if op != "remove" and "value" not in raw:
        raise Invalid(f'Operation "{op}" requires a member named "value".', field=name)
    if name == "locations":
        verb = {"add": "add", "remove": "remove", "replace": "update"}[op]
        raise Forbidden(
            f"It's not allowed to {verb} locations if locations are invisible.", field=name
        )
    if name != "stores":
        check_writable(name)
    return Change(op, name, raw.get("value"), media_type == V20)


def _v21(raw: dict[str, Any]) -> tuple[str, Any]:
    op = raw.get("op")
    available = ", ".join(_OPERATIONS)
    if op is None:
        raise Invalid(
            "Unable to find `op` in JSON Schema change. It must be one of the following: "
            f"{available}.",
            field="op",
        )
    if op not in _OPERATIONS:
        raise Invalid(
            f"Invalid operation: `{str(op)[:50]}`. It must be one of the following: {available}.",
            field="op",
        )
    if "path" not in raw:
        raise Invalid("Unable to find 'path' in JSON Schema change", field="path")
    return op, raw["path"]


def _v20(raw: dict[str, Any]) -> tuple[str, Any]:
    named = [op for op in _OPERATIONS if op in raw]
    if len(named) != 1:
        only = "exactly one" if not named else "only one"
        raise Invalid(
            f'Operation objects must contain {only} member named "add", "remove", or "replace".',
            field="op",
        )
    return named[0], raw[named[0]]


def _pointer(pointer: Any) -> list[str]:
    """The parts of a JSON pointer (RFC 6901)."""
    reason = _pointer_flaw(pointer)
    if reason is not None:
        raise _bad_pointer(pointer, reason)
    parts = pointer.lstrip("/").split("/")
    return [part.replace("~1", "/").replace("~0", "~").strip() for part in parts]


def _pointer_flaw(pointer: Any) -> str | None:
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        return 'does not start with "/".'
    if re.search(r"/\s*?/", pointer[1:]):
        return 'contains adjacent "/".'
    if len(pointer) > 1 and pointer.endswith("/"):
        return 'end with "/".'
    if re.search("~[^01]", pointer) or pointer.endswith("~"):
        return 'contains "~" not part of a recognized escape sequence.'
    return None


def _bad_pointer(pointer: Any, reason: str) -> OctoError:
    return Invalid(f"Pointer `{str(pointer)[:200]}` {reason}", field="path")
