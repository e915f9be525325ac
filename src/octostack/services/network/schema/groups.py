# SPDX-License-Identifier: Apache-2.0
"""Security groups and their rules: what goes in and out."""

import ipaddress
from typing import Any

from octostack.services.network.core import rules
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import REQUIRED, Attr, Resource

ETHERTYPES = ("IPv4", "IPv6")


def group_name(value: Any) -> str:
    """Any name but that of the group which every project has."""
    name: str = types.text(value)
    if name.lower() == "default":
        raise fault("SecurityGroupDefaultAlreadyExists")
    return name


def ethertype(value: Any) -> str:
    """IPv4 or IPv6, however it is spelt."""
    for known in ETHERTYPES:
        if isinstance(value, str) and value.lower() == known.lower():
            return known
    raise fault(
        "SecurityGroupRuleInvalidEtherType", ethertype=str(value)[:64], values=list(ETHERTYPES)
    )


def port_number(value: Any) -> int | None:
    """A port, or a type or code of ICMP; null is any."""
    if value is None:
        return None
    try:
        number = types.integer(value)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise fault("SecurityGroupInvalidPortValue", port=str(value)[:64])
    return number


def remote_prefix(value: Any) -> str | None:
    """A subnet, host bits as given; a lone address is a subnet of one."""
    if not value:
        return None
    text = value if not isinstance(value, str) or "/" in value else _host(value)
    try:
        types.cidr(text)
        return str(ipaddress.ip_interface(text.strip()))
    except ValueError as e:
        raise fault("InvalidCIDR", input=str(value)[:64]) from e


def _host(value: str) -> str:
    return f"{value}/{128 if ':' in value else 32}"


_RULE = (
    Attr("direction", types.one_of("ingress", "egress"), REQUIRED, post=True),
    Attr("ethertype", ethertype, "IPv4", post=True),
    Attr("protocol", rules.protocol, None, post=True),
    Attr("port_range_min", port_number, None, post=True),
    Attr("port_range_max", port_number, None, post=True),
    Attr("remote_ip_prefix", remote_prefix, None, post=True),
    Attr("remote_group_id", types.or_none(types.text), None, post=True),
    Attr(
        "remote_address_group_id",
        types.one_of(None),
        None,
        post=True,
        field=None,
        filter=False,
        sort=False,
    ),
)

SECURITY_GROUPS = Resource(
    "security_group",
    "security_groups",
    nouns.SecurityGroup,
    (
        Attr("name", group_name, "", post=True, put=True),
        Attr("stateful", types.boolean, True, post=True, put=True),
        Attr("security_group_rules", field=None, filter=False, sort=False),
        Attr("shared", types.boolean, field=None, sort=False),
    ),
)

SECURITY_GROUP_RULES = Resource(
    "security_group_rule",
    "security_group_rules",
    nouns.SecurityGroupRule,
    (
        Attr("security_group_id", types.uuid, REQUIRED, post=True),
        *_RULE,
        Attr("normalized_cidr", field=None, filter=False, sort=False),
        Attr("belongs_to_default_sg", types.boolean, field=None, sort=False),
        Attr("description", types.text, "", post=True),
    ),
)

DEFAULT_RULES = Resource(
    "default_security_group_rule",
    "default_security_group_rules",
    nouns.DefaultRule,
    (
        *_RULE,
        Attr("used_in_default_sg", types.boolean, False, post=True),
        Attr("used_in_non_default_sg", types.boolean, True, post=True),
        Attr("description", types.text, "", post=True),
    ),
)
