# SPDX-License-Identifier: Apache-2.0
"""Files of keys: ``[client.admin]``, ``key = ...``, ``caps mon = "allow *"``."""

import re

import msgspec

from octostack.base.errors import Invalid
from octostack.wire.ceph.cephx.boxes import Key, parse_key

_SECTION = re.compile(r"\[\s*([^\]]+?)\s*\]\s*")
_CAPS = re.compile(r"caps\s+(\w+)")


class Entry(msgspec.Struct, frozen=True):
    """An entity's key, and what it may do by service."""

    key: Key
    caps: dict[str, str] = {}


def parse(text: str) -> dict[str, Entry]:
    """All entries by entity. Raises Invalid with the line's number."""
    entity: str | None = None
    keys: dict[str, Key] = {}
    caps: dict[str, dict[str, str]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        section = _SECTION.fullmatch(line)
        if section:
            entity = section[1]
            caps.setdefault(entity, {})
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if entity is None or not equals:
            raise Invalid(f"Line {number} of a keyring: {line}", code="ceph.keyring")
        value = _unquoted(value)
        words = _CAPS.fullmatch(name.replace("_", " "))
        if words:
            caps[entity][words[1]] = value
        elif name == "key":
            keys[entity] = parse_key(value)
        elif name != "auid" and not name.startswith("auid"):
            raise Invalid(f"Line {number} of a keyring: {line}", code="ceph.keyring")
    return {name: Entry(key, caps[name]) for name, key in keys.items()}


def format(entries: dict[str, Entry]) -> str:
    """As ``ceph-authtool`` writes it."""
    lines = []
    for entity, entry in sorted(entries.items()):
        lines += [f"[{entity}]", f"\tkey = {entry.key}"]
        for service, text in sorted(entry.caps.items()):
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'\tcaps {service} = "{quoted}"')
    return "\n".join(lines) + "\n"


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
