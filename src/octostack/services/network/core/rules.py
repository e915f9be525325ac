# SPDX-License-Identifier: Apache-2.0
"""Security group rules: which make sense, and which are the same."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from octostack.services.network.model.faults import fault
from octostack.services.network.model.nouns import DefaultRule, SecurityGroup, SecurityGroupRule

# IANA's numbers, by the names that Neutron takes.
PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
_NAMES = {str(number): name for name, number in PROTOCOLS.items() if name not in ("ip", "icmpv6")}
_WITH_PORTS = ("dccp", "sctp", "tcp", "udp", "udplite")
_ICMP = ("icmp", "ipv6-icmp", "icmpv6")
_ONLY_IPV6 = ("icmpv6", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts",
              "ipv6-route")  # fmt: skip
_ANY = (None, -1, "-1", "any", "")


def protocol(value: Any) -> str | None:
    """A protocol by name or number; None is any. Raises Invalid."""
    if isinstance(value, str | int | None) and value in _ANY:
        return None
    known = [name for name in PROTOCOLS if name != "ip"]
    if isinstance(value, str) and value.lower() in PROTOCOLS:
        return value.lower()
    if isinstance(value, str | int) and not isinstance(value, bool):
        digits = str(value)
        if digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= 255:
            return str(int(digits))
    raise fault("SecurityGroupRuleInvalidProtocol", protocol=str(value)[:64], values=[None, *known])


def protocol_number(name: str | None) -> int | None:
    """The number of a stored protocol; None is any."""
    if name is None:
        return None
    return int(name) if name.isdigit() else PROTOCOLS[name] or None


def check(values: dict[str, Any]) -> None:
    """Refuse a rule whose parts contradict one another. Raises Invalid."""
    name, ethertype = _named(values.get("protocol")), values["ethertype"]
    low, high = values.get("port_range_min"), values.get("port_range_max")
    if values.get("remote_ip_prefix") and values.get("remote_group_id"):
        raise fault("SecurityGroupMultipleRemoteEntites")
    if name in _ONLY_IPV6 and ethertype != "IPv6":
        raise fault(
            "SecurityGroupEthertypeConflictWithProtocol", ethertype=ethertype, protocol=name
        )
    _check_ports(name, low, high)
    prefix = values.get("remote_ip_prefix")
    if prefix and ipaddress.ip_interface(prefix).version != int(ethertype[-1]):
        raise fault("SecurityGroupRuleParameterConflict", ethertype=ethertype, cidr=prefix)


def _check_ports(name: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if name is None:
        raise fault("SecurityGroupProtocolRequiredWithPorts")
    if name in _ICMP:
        _check_icmp(low, high)
        return
    if name not in _WITH_PORTS:
        raise fault(
            "SecurityGroupInvalidProtocolForPort",
            protocol=name,
            valid_port_protocols=", ".join(_WITH_PORTS),
        )
    if low == 0 or high == 0:
        raise fault("SecurityGroupInvalidPortValue", port=0)
    if low is None or high is None or low > high:
        raise fault("SecurityGroupInvalidPortRange")


def _check_icmp(kind: int | None, code: int | None) -> None:
    for attr, field, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and value > 255:
            raise fault("SecurityGroupInvalidIcmpValue", field=field, attr=attr, value=value)
    if kind is None:
        raise fault("SecurityGroupMissingIcmpType", value=code)


def _named(name: str | None) -> str | None:
    return _NAMES.get(name, name) if name is not None else None


def identity(rule: SecurityGroupRule | DefaultRule) -> tuple[Any, ...]:
    """What makes two rules of a group the same."""
    name = _named(rule.protocol)
    prefix = network_of(rule.remote_ip_prefix)
    return (
        rule.direction,
        rule.ethertype,
        "ipv6-icmp" if rule.ethertype == "IPv6" and name in _ICMP else name,
        rule.port_range_min,
        rule.port_range_max,
        None if prefix in ("0.0.0.0/0", "::/0") else prefix,
        rule.remote_group_id,
    )


def network_of(prefix: str | None) -> str | None:
    """A prefix as Neutron's `normalized_cidr`: without the host bits it was given with."""
    return str(ipaddress.ip_network(prefix, strict=False)) if prefix else None


def find_same(
    rule: SecurityGroupRule | DefaultRule, others: Iterable[SecurityGroupRule | DefaultRule]
) -> str | None:
    """The id of a rule among `others` that says the same."""
    wanted = identity(rule)
    return next((other.id for other in others if identity(other) == wanted), None)


def inherited(templates: Iterable[DefaultRule], group: SecurityGroup) -> list[dict[str, Any]]:
    """The rules a new group starts with, without ids."""
    flag = "used_in_default_sg" if group.is_default else "used_in_non_default_sg"
    return [
        {
            "project_id": group.project_id,
            "security_group_id": group.id,
            "direction": t.direction,
            "ethertype": t.ethertype,
            "protocol": t.protocol,
            "port_range_min": t.port_range_min,
            "port_range_max": t.port_range_max,
            "remote_ip_prefix": t.remote_ip_prefix,
            "remote_group_id": group.id if t.remote_group_id == "PARENT" else t.remote_group_id,
        }
        for t in templates
        if getattr(t, flag)
    ]


def first_templates() -> list[dict[str, Any]]:
    """What a new cloud starts with: everything out; in, for the default group, from its members."""
    return [
        {
            "direction": direction,
            "ethertype": ethertype,
            "remote_group_id": "PARENT" if direction == "ingress" else None,
            "used_in_default_sg": True,
            "used_in_non_default_sg": direction == "egress",
        }
        for direction in ("egress", "ingress")
        for ethertype in ("IPv4", "IPv6")
    ]
