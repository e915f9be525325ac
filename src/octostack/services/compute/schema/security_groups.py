# SPDX-License-Identifier: Apache-2.0
"""Security groups as Compute showed them up to 2.35: rules of ingress only, in older words."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from octostack.base.errors import Invalid
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

_TEXT: Json = {"type": "string", "minLength": 0, "maxLength": 255}
_GROUP: Json = {
    "type": "object",
    "properties": {"name": _TEXT, "description": _TEXT},
    "required": ["name", "description"],
}
_RULE: Json = {
    "type": "object",
    "properties": {"parent_group_id": terms.UUID, "group_id": terms.UUID_OR_NULL},
    "required": ["parent_group_id"],
}
GROUP = terms.compiled(
    {"type": "object", "properties": {"security_group": _GROUP}, "required": ["security_group"]}
)
RULE = terms.compiled(
    {
        "type": "object",
        "properties": {"security_group_rule": _RULE},
        "required": ["security_group_rule"],
    }
)
ANYWHERE = "0.0.0.0/0"
_PORTS = ("TCP", "UDP")
Names = Mapping[str, dict[str, Any]]  # group id -> what a rule says of the group it lets in


def names_of(groups: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What rules say of these groups."""
    return {g["id"]: {"name": g["name"], "tenant_id": g["project_id"]} for g in groups}


def group(found: dict[str, Any], names: Names) -> dict[str, Any]:
    """One of Network's groups; a rule whose group is not to be seen is left out."""
    rules = [r for r in found.get("security_group_rules", ()) if r["direction"] == "ingress"]
    return {
        "id": found["id"],
        "name": found["name"],
        "description": found["description"],
        "tenant_id": found["project_id"],
        "rules": [
            rule(r, names)
            for r in rules
            if not r["remote_group_id"] or r["remote_group_id"] in names
        ],
    }


def rule(found: dict[str, Any], names: Names) -> dict[str, Any]:
    """One of Network's rules."""
    first, last = _range(found)
    remote = found["remote_group_id"]
    return {
        "id": found["id"],
        "parent_group_id": found["security_group_id"],
        "ip_protocol": found["protocol"],
        "from_port": first,
        "to_port": last,
        "group": names[remote] if remote else {},
        "ip_range": {} if remote else {"cidr": found["remote_ip_prefix"] or ANYWHERE},
    }


def _range(found: dict[str, Any]) -> tuple[int | None, int | None]:
    first, last = found["port_range_min"], found["port_range_max"]
    if not found["protocol"] or (first, last) != (None, None):
        return first, last
    return (1, 65535) if found["protocol"].upper() in _PORTS else (-1, -1)


def new_rule(asked: dict[str, Any]) -> dict[str, Any]:
    """What Network is to make of a rule's body. Raises Invalid."""
    remote, protocol = asked.get("group_id"), asked.get("ip_protocol")
    prefix = None if remote else _prefix(asked.get("cidr"))
    first, last = _asked_range(asked, protocol)
    if protocol and first is not None and last is not None:
        _check(str(protocol).upper(), first, last)
    elif remote:
        protocol = first = last = None
    else:
        raise Invalid("Not enough parameters to build a valid rule.", field="ip_protocol")
    ipv6 = prefix is not None and ":" in prefix
    return {
        "direction": "ingress",
        "ethertype": "IPv6" if ipv6 else "IPv4",
        "security_group_id": asked["parent_group_id"],
        "protocol": protocol,
        "port_range_min": None if first == -1 else first,
        "port_range_max": None if last == -1 else last,
        "remote_ip_prefix": prefix,
        "remote_group_id": remote,
    }


def _asked_range(asked: dict[str, Any], protocol: Any) -> tuple[int | None, int | None]:
    """The ports as numbers; of a group that is let in without any, all there are."""
    first, last = asked.get("from_port"), asked.get("to_port")
    if first is None and last is None and asked.get("group_id") and protocol:
        return (-1, -1) if str(protocol).upper() == "ICMP" else (1, 65535)
    if first is None or last is None:
        return None, None
    try:
        return int(first), int(last)
    except (TypeError, ValueError) as e:
        raise Invalid("To and From ports must be integers", field="from_port") from e


def _prefix(text: Any) -> str:
    if not text:
        return ANYWHERE
    try:
        net = ipaddress.ip_network(str(text), strict=False)
    except ValueError as e:
        raise Invalid(f"Invalid cidr {str(text)[:100]}.", field="cidr") from e
    if net.prefixlen == 0 and str(text).split("/", maxsplit=1)[0] not in ("0.0.0.0", "::"):
        raise Invalid(f"Bad prefix for network in cidr {text}", field="cidr")
    return str(text)


def _check(protocol: str, first: int, last: int) -> None:
    if protocol not in (*_PORTS, "ICMP"):
        raise Invalid(f"Invalid IP protocol {protocol[:50]}.", field="ip_protocol")
    if protocol == "ICMP":
        if not (-1 <= first <= 255 and -1 <= last <= 255):
            raise _bad(first, last, "For ICMP, the type:code must be valid")
    elif first > last:
        raise _bad(first, last, "Former value cannot be greater than the later")
    elif first < 1 or last > 65535:
        raise _bad(first, last, f"Valid {protocol} ports should be between 1-65535")


def _bad(first: int, last: int, why: str) -> Invalid:
    return Invalid(f"Invalid port range {first}:{last}. {why}", field="from_port")
