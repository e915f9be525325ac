# SPDX-License-Identifier: Apache-2.0
"""Subnets, the pools they are cut from, and address scopes: what goes in and out."""

from octostack.services.network.model import nouns
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import REQUIRED, UNSET, Attr, Resource

_IPV6_MODES = ("dhcpv6-stateful", "dhcpv6-stateless", "slaac")


def _pool_id(value: object) -> object:
    return value if value in (None, "prefix_delegation") else types.uuid(value)


SUBNETS = Resource(
    "subnet",
    "subnets",
    nouns.Subnet,
    (
        Attr("network_id", types.uuid, REQUIRED, post=True),
        Attr("ip_version", types.int_of(4, 6), REQUIRED, post=True),
        Attr("subnetpool_id", _pool_id, UNSET, post=True),
        Attr(
            "use_default_subnetpool",
            types.boolean,
            False,
            post=True,
            visible=False,
            field=None,
            filter=False,
            sort=False,
        ),
        Attr(
            "prefixlen",
            types.non_negative,
            UNSET,
            post=True,
            visible=False,
            field=None,
            filter=False,
            sort=False,
        ),
        Attr("cidr", types.or_none(types.cidr), UNSET, post=True),
        Attr("gateway_ip", types.or_none(types.ip), UNSET, post=True, put=True),
        Attr("allocation_pools", types.pools, UNSET, post=True, put=True, filter=False, sort=False),
        Attr(
            "dns_nameservers",
            types.nameservers,
            UNSET,
            post=True,
            put=True,
            filter=False,
            sort=False,
        ),
        Attr("host_routes", types.routes, UNSET, post=True, put=True, filter=False, sort=False),
        Attr("enable_dhcp", types.boolean, True, post=True, put=True),
        Attr("ipv6_ra_mode", types.one_of(*_IPV6_MODES), UNSET, post=True),
        Attr("ipv6_address_mode", types.one_of(*_IPV6_MODES), UNSET, post=True),
        Attr(
            "service_types",
            types.listing(types.text),
            [],
            post=True,
            put=True,
            filter=False,
            sort=False,
            enforce=("create", "update"),
        ),
        Attr("dns_publish_fixed_ip", types.boolean, False, post=True, put=True),
        Attr("shared", types.boolean, visible=False, field=None, sort=False),
        Attr("router:external", types.boolean, visible=False, field=None, sort=False),
    ),
)

SUBNETPOOLS = Resource(
    "subnetpool",
    "subnetpools",
    nouns.SubnetPool,
    (
        Attr("name", types.not_blank, REQUIRED, post=True, put=True),
        Attr("prefixes", types.listing(types.cidr), REQUIRED, post=True, put=True, filter=False),
        Attr("ip_version", types.integer),
        Attr("default_quota", types.or_none(types.non_negative), UNSET, post=True, put=True),
        Attr("default_prefixlen", types.non_negative, UNSET, post=True, put=True),
        Attr("min_prefixlen", types.non_negative, UNSET, post=True, put=True),
        Attr("max_prefixlen", types.non_negative, UNSET, post=True, put=True),
        Attr("is_default", types.boolean, False, post=True, put=True, enforce=("create", "update")),
        Attr(
            "shared", types.boolean, False, post=True, enforce=("create",), field=None, sort=False
        ),
        Attr("address_scope_id", types.or_none(types.uuid), UNSET, post=True, put=True),
    ),
)

ADDRESS_SCOPES = Resource(
    "address_scope",
    "address_scopes",
    nouns.AddressScope,
    (
        Attr("ip_version", types.int_of(4, 6), REQUIRED, post=True),
        Attr(
            "shared",
            types.boolean,
            False,
            post=True,
            put=True,
            enforce=("create", "update"),
            field=None,
            sort=False,
        ),
    ),
)
