# SPDX-License-Identifier: Apache-2.0
"""Networks: what goes in and out."""

from octostack.services.network.model import nouns
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import UNSET, Attr, Resource

ALL = ("create", "update", "get")
CHANGE = ("create", "update")


def _or_null(value: object) -> object:
    return value or None


NETWORKS = Resource(
    "network",
    "networks",
    nouns.Network,
    (
        Attr("admin_state_up", types.boolean, True, post=True, put=True),
        Attr("status", types.text),
        Attr("subnets", field=None, filter=False, sort=False),
        Attr(
            "shared",
            types.boolean,
            False,
            post=True,
            put=True,
            enforce=CHANGE,
            field=None,
            sort=False,
        ),
        Attr(
            "router:external",
            types.boolean,
            False,
            post=True,
            put=True,
            enforce=CHANGE,
            field="external",
        ),
        Attr("is_default", types.boolean, False, post=True, put=True, enforce=CHANGE),
        Attr("mtu", types.non_negative, 0, post=True, put=True),
        Attr("port_security_enabled", types.boolean, True, post=True, put=True, enforce=CHANGE),
        Attr(
            "provider:network_type",
            types.string(32),
            UNSET,
            post=True,
            put=True,
            enforce=ALL,
            field="network_type",
        ),
        Attr(
            "provider:physical_network",
            types.or_none(types.string(64)),
            UNSET,
            post=True,
            put=True,
            enforce=ALL,
            field="physical_network",
            show=_or_null,
        ),
        Attr(
            "provider:segmentation_id",
            types.or_none(types.integer),
            UNSET,
            post=True,
            put=True,
            enforce=ALL,
            field="segmentation_id",
            show=_or_null,
        ),
        Attr("dns_domain", types.dns_name, "", post=True, put=True),
        Attr(
            "availability_zone_hints",
            types.listing(types.text),
            [],
            post=True,
            filter=False,
            sort=False,
        ),
        Attr("availability_zones", field=None, filter=False, sort=False),
        Attr("ipv4_address_scope", field=None, filter=False, sort=False),
        Attr("ipv6_address_scope", field=None, filter=False, sort=False),
    ),
)
