# SPDX-License-Identifier: Apache-2.0
"""Which addresses web-download may fetch from.

The schemes and ports are Glance's defaults (http and https, 80 and 443). Beyond Glance, addresses
of this host and of private networks are refused unless the operator allows them: an import runs
within the cloud's own network and would let a user read what only the cloud may reach.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from octostack.base.errors import Invalid


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's filter; an empty list of hosts means any."""

    schemes: tuple[str, ...] = ("http", "https")
    ports: tuple[int, ...] = (80, 443)
    hosts: tuple[str, ...] = ()
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
    if parts.scheme not in rules.schemes or not host or parts.username or parts.password:
        raise refused
    if port is not None and port not in rules.ports:
        raise refused
    if (rules.hosts and host not in rules.hosts) or host in rules.disallowed_hosts:
        raise refused
    return host


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
