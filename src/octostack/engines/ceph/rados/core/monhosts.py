# SPDX-License-Identifier: Apache-2.0
"""Where monitors may be, as ``mon_host`` says it: addresses, names, ports, lists of v2 and v1.

We speak messenger v2 alone. A place that names only the old messenger's usual port is looked for
at the new one's on the same host; one that names another port of the old messenger is no use.
"""

import ipaddress
import re
from typing import Final

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.rados.core.config import Sections

PORT: Final = 3300
OLD_PORT: Final = 6789

_ENTRY = re.compile(r"\[(?:v[12]|any):[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*\]|[^\s,;]+")
_PLACE = re.compile(
    r"(?:(?P<kind>v1|v2|any):)?(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/]+)|(?P<bare>[0-9a-fA-F:]+))"
    r"(?::(?P<port>\d+))?(?:/\d+)?"
)


class Place(msgspec.Struct, frozen=True, order=True):
    """A host, by address or by name, and a port where messenger v2 is spoken."""

    host: str
    port: int = PORT

    @property
    def is_address(self) -> bool:
        """Whether nobody need be asked for the host's address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


def parse(text: str) -> tuple[Place, ...]:
    """All places in the order given. Raises Invalid."""
    found: dict[Place, None] = {}
    for entry in _ENTRY.findall(text):
        grouped = entry.startswith(("[v1:", "[v2:", "[any:"))
        parts = re.split(r"[\s,;]+", entry[1:-1].strip()) if grouped else [entry]
        places = [place for part in parts if part and (place := _place(part))]
        # beside a v2 address of the same monitor an old one says nothing new
        exact = [place for place, is_guess in places if not is_guess]
        found |= dict.fromkeys(exact or [place for place, _ in places])
    return tuple(found)


def of_sections(sections: Sections) -> tuple[Place, ...]:
    """The addresses in the sections of single monitors, as old files have them."""
    found: list[Place] = []
    for name, values in sections.items():
        where = values.get("mon_addr") or values.get("public_addr")
        if name.startswith("mon.") and where:
            found += parse(where)
    return tuple(dict.fromkeys(found))


def _place(text: str) -> tuple[Place, bool] | None:
    """A place, and whether its port was guessed; None for what we cannot speak to."""
    match = _PLACE.fullmatch(text)
    if not match:
        raise Invalid(f"Not a monitor's address: {text}", code="ceph.mon_host", field="mon_host")
    host = match["six"] or match["host"] or match["bare"]
    port = int(match["port"] or 0)
    if match["kind"] == "v1":
        return (Place(host), True) if port in (0, OLD_PORT) else None
    if port == OLD_PORT and match["kind"] is None:
        return Place(host), True
    return Place(host, port or PORT), False
