# SPDX-License-Identifier: Apache-2.0
"""Settings as Ceph's programs read them: ``ceph.conf``, the environment, what monitors say.

A setting has one name, however it is written: ``mon host``, ``mon-host``, ``mon_host``. Of several
places the first that has it wins: what the program was told, the environment, the file (the
sections of the entity, of its type, and ``global``, in this order), the monitors, our default.
``$cluster``, ``$type``, ``$id``, ``$name`` and the names of other settings are replaced in values.
(doc/rados/configuration/ceph-conf.rst; ConfUtils and md_config_t of 16.2.)
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from octostack.base.errors import Invalid

DEFAULTS: Final[Mapping[str, str]] = {
    "auth_client_required": "cephx, none",
    "client_mount_timeout": "300",
    "keyring": "/etc/ceph/$cluster.$name.keyring,/etc/ceph/$cluster.keyring,"
    "/etc/ceph/keyring,/etc/ceph/keyring.bin",
    "mon_client_hunt_interval": "3",
    "mon_client_ping_interval": "10",
    "mon_client_ping_timeout": "30",
    "ms_client_mode": "crc secure",
    "ms_mon_client_mode": "secure crc",
    "objecter_inflight_op_bytes": "100M",
    "objecter_inflight_ops": "1024",
    "objecter_tick_interval": "5",
    "objecter_timeout": "10",
    "rados_mon_op_timeout": "0",
    "rados_osd_op_timeout": "0",
}
Sections = dict[str, dict[str, str]]

_SECTION = re.compile(r"\[\s*([^\]]*?)\s*\]\s*(?:[#;].*)?")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_EXPANSIONS_MAX = 10
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_TRUE = frozenset({"true", "yes", "on", "1"})


def normal(name: str) -> str:
    """The one name of a setting."""
    return re.sub(r"[\s_-]+", "_", name.strip())


def parse(text: str) -> Sections:
    """The settings of a file by section. Raises Invalid with the line's number."""
    sections: Sections = {}
    current = sections.setdefault("global", {})
    for number, line in _joined(text):
        header = _SECTION.fullmatch(line)
        if header:
            current = sections.setdefault(header[1], {})
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise Invalid(f"Line {number} of a configuration: {line}", code="ceph.conf")
        current[normal(name)] = _value(value.strip())
    return sections


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: continued ones as one, without those that say nothing."""
    held, first = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        first = first or number
        if raw.endswith("\\"):
            held += raw[:-1]
            continue
        line = (held + raw).strip()
        if line and line[0] not in "#;":
            yield first, line
        held, first = "", 0


def _value(text: str) -> str:
    """Without a comment behind it, quotes around it and escapes in it."""
    if text and text[0] in "\"'":
        end = _quote_end(text)
        if end:
            return re.sub(r"\\(.)", r"\1", text[1:end])
    bare = re.split(r"(?<!\\)[#;]", text, maxsplit=1)[0].rstrip()
    return re.sub(r"\\([#;\\\"'])", r"\1", bare)


def _quote_end(text: str) -> int:
    at = 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == text[0]:
            return at
        at += 1
    return 0


class Settings:
    """See the module's essay. `entity` is ``client.admin``."""

    def __init__(
        self,
        entity: str = "client.admin",
        cluster: str = "ceph",
        file: Sections | None = None,
        told: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.entity = entity
        self.cluster = cluster
        self.file = file or {}
        self.told = {normal(name): value for name, value in (told or {}).items()}
        self.environment = dict(environment or {})
        self.central: dict[str, str] = {}  # what the monitors say

    def find(self, name: str) -> str | None:
        """The value with all variables replaced."""
        value = self._raw(normal(name))
        return None if value is None else self._expanded(value)

    def text(self, name: str) -> str:
        """The value, or an empty text."""
        return self.find(name) or ""

    def words(self, name: str) -> list[str]:
        """The value as a list, however it is separated."""
        return [word for word in re.split(r"[\s,;]+", self.text(name)) if word]

    def size(self, name: str) -> int:
        """Bytes, or a count: ``100M``. Raises Invalid."""
        match = re.fullmatch(r"(\d+)\s*_?([KMGT]?)(?:i?B)?", self.text(name) or "0", re.I)
        if not match:
            raise Invalid(f"{name} is no size: {self.text(name)}", code="ceph.conf", field=name)
        return int(match[1]) * _SIZES[match[2].upper()]

    def seconds(self, name: str) -> float:
        """A time in seconds. Raises Invalid."""
        match = re.fullmatch(r"(\d*\.?\d+)\s*(\w*)", self.text(name) or "0")
        if not match or match[2] not in _TIMES:
            raise Invalid(f"{name} is no time: {self.text(name)}", code="ceph.conf", field=name)
        return float(match[1]) * _TIMES[match[2]]

    def boolean(self, name: str) -> bool:
        """Whether it is on."""
        return self.text(name).lower() in _TRUE

    def _raw(self, name: str) -> str | None:
        kind = self.entity.partition(".")[0]
        places: list[Mapping[str, str]] = [self.told, self.environment]
        places += [self.file.get(section, {}) for section in (self.entity, kind, "global")]
        places += [self.central, DEFAULTS]
        return next((place[name] for place in places if name in place), None)

    def _expanded(self, value: str) -> str:
        kind, _, number = self.entity.partition(".")
        known = {"cluster": self.cluster, "type": kind, "id": number, "name": self.entity}
        known |= {"num": number}

        def replaced(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name in known:
                return known[name]
            found = self._raw(name)
            return match[0] if found is None else found

        for _ in range(_EXPANSIONS_MAX):
            after = _VARIABLE.sub(replaced, value)
            if after == value:
                break
            value = after
        return value
