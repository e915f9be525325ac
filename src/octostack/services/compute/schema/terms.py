# SPDX-License-Identifier: Apache-2.0
"""Words that many schemas share, and how bodies become values."""

import base64
import binascii
import ipaddress
import re
from typing import Any

from octostack.base.errors import Invalid
from octostack.runtime.http import Schema, schema

Json = dict[str, Any]

INT32_MAX = 2147483647
BOOLEANS = (
    True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
    False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no",
)  # fmt: skip
_TRUE = ("true", "1", "on", "yes")

BOOLEAN: Json = {"type": ["boolean", "string"], "enum": list(BOOLEANS)}
# What prints, with no blank at either end.
NAME: Json = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
UUID: Json = {"type": "string", "format": "uuid"}
UUID_OR_NULL: Json = {"oneOf": [UUID, {"type": "null"}]}
DESCRIPTION: Json = {
    "type": ["string", "null"],
    "minLength": 0,
    "maxLength": 255,
    "format": "printable",
}
HOSTNAME: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[a-zA-Z0-9-._]*$",
}
TAG: Json = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
METADATA_KEY = re.compile(r"^[a-zA-Z0-9-_:. ]{1,255}$")
METADATA: Json = {
    "type": "object",
    "patternProperties": {METADATA_KEY.pattern: {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
METADATA_OR_NULL: Json = {
    "type": "object",
    "patternProperties": {METADATA_KEY.pattern: {"type": ["string", "null"], "maxLength": 255}},
    "additionalProperties": False,
}
COUNT: Json = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 1, "minLength": 1}
DISK_CONFIG: Json = {"type": "string", "enum": ["AUTO", "MANUAL"]}
PASSWORD: Json = {"type": "string"}
PERSONALITY: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "contents": {"type": "string", "format": "base64"},
        },
        "additionalProperties": False,
    },
}
USER_DATA: Json = {"type": "string", "format": "base64", "maxLength": 65535}
IPV4: Json = {"type": "string", "format": "ipv4"}
IPV6: Json = {"type": "string", "format": "ipv6"}


def body(key: str, content: Json, **more: Json) -> Schema:
    """A body ``{key: content}``; `more` may stand beside it."""
    return compiled(whole({key: content, **more}, [key]))


def whole(properties: Json, required: list[str] | None = None, *, extra: bool = False) -> Json:
    """An object with these properties and, unless `extra`, no others."""
    made: Json = {
        "type": "object",
        "properties": properties,
        "additionalProperties": extra,
    }
    if required:
        made["required"] = required
    return made


def compiled(definition: Json) -> Schema:
    """The schema, with our formats."""
    return schema(definition, formats=FORMATS)


def address(text: str | None) -> str | None:
    """An address in its canonical form."""
    return str(ipaddress.ip_address(text)) if text else text


def truth(value: Any) -> bool:
    """A boolean in any of the forms clients send."""
    return value if isinstance(value, bool) else str(value).strip().lower() in _TRUE


def parse_truth(text: str, field: str) -> bool:
    """A boolean of a query. Raises Invalid."""
    word = text.strip().lower()
    if word in (*_TRUE, "t", "y"):
        return True
    if word in ("false", "0", "off", "no", "f", "n"):
        return False
    raise Invalid(f"Invalid value '{text[:100]}' for {field}: not a boolean", field=field)


def printable(text: str) -> bool:
    """No control characters, no lone surrogates."""
    return all(c.isprintable() or (c.isspace() and c == " ") for c in text)


def _name(text: str) -> bool:
    return bool(text.strip()) and text == text.strip() and printable(text)


def _old_name(text: str) -> bool:
    return bool(text.strip()) and printable(text)


def _base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _ip(kind: type) -> Any:
    def is_ip(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return True

    return is_ip


def is_uuid(text: str) -> bool:
    """Any of the ways in which a UUID may be written."""
    plain = text.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    return len(plain) == 32 and all(c in "0123456789abcdefABCDEF" for c in plain)


def _flavor_id(text: str) -> bool:
    return text == text.strip()


def _at_least(number: int) -> Any:
    return lambda text: not text.isdigit() or number <= int(text) <= INT32_MAX


def _multiline(text: str) -> bool:
    return all(c.isprintable() or c in "\n\r\t" for c in text)


FORMATS = {
    "flavor_id": _flavor_id,
    "limit": lambda text: -1 <= int(text) <= INT32_MAX if text.lstrip("-").isdigit() else True,
    "at_least_0": _at_least(0),
    "at_least_1": _at_least(1),
    "multiline": _multiline,
    "name": _name,
    "old_name": _old_name,
    "printable": printable,
    "base64": _base64,
    "uuid": is_uuid,
    "ipv4": _ip(ipaddress.IPv4Address),
    "ipv6": _ip(ipaddress.IPv6Address),
}
