# SPDX-License-Identifier: Apache-2.0
"""Which addresses web-download may fetch from.

The schemes and ports are Glance's defaults (http and https, 80 and 443). Beyond Glance, addresses
of this host and of private networks are refused unless the operator allows them: an import runs
within the cloud's own network and would let a user read what only the cloud may reach.
"""

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from octostack.base.errors import Invalid

_SCHEMES = frozenset({"http", "https"})  # what we can fetch at all


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's filter, as Glance's: where a list is empty, all but the disallowed pass."""

    schemes: tuple[str, ...] = ("http", "https")
    ports: tuple[int, ...] = (80, 443)
    hosts: tuple[str, ...] = ()
    disallowed_schemes: tuple[str, ...] = ()
    disallowed_ports: tuple[int, ...] = ()
    disallowed_hosts: tuple[str, ...] = ()
    private_addresses: bool = False


def host_of(uri: object, rules: Rules) -> str:
    """The host of a URI that passes the rules. Raises Invalid."""
    refused = Invalid(
        f"URI for web-download does not pass filtering: {str(uri)[:500]}",
        code="image.uri",
        field="uri",
    )
    if not isinstance(uri, str) or any(c.isspace() or ord(c) < 32 for c in uri):
        raise refused
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise refused from None
    if parts.scheme not in _SCHEMES or not host or parts.username or parts.password:
        raise refused
    name = host.rstrip(".")  # the root's dot makes no other host
    passes = (
        _passes(parts.scheme, rules.schemes, rules.disallowed_schemes)
        and (port is None or _passes(port, rules.ports, rules.disallowed_ports))
        and _passes(name, rules.hosts, rules.disallowed_hosts)
    )
    if not passes or name in rules.disallowed_hosts:
        raise refused
    return host


def _passes(value: str | int, allowed: Collection[Any], disallowed: Collection[Any]) -> bool:
    return value in allowed if allowed else value not in disallowed


def check_addresses(addresses: Iterable[str], rules: Rules) -> None:
    """Raise Invalid if one of the host's addresses is not for the world. Names may lie."""
    if rules.private_addresses:
        return
    for text in addresses:
        address = ipaddress.ip_address(text)
        mapped = getattr(address, "ipv4_mapped", None)
        if not (mapped or address).is_global or address.is_multicast:
            raise Invalid(
                "URI for web-download does not pass filtering: its host has an address within "
                "the cloud",
                code="image.uri",
                field="uri",
            )
