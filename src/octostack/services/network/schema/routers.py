# SPDX-License-Identifier: Apache-2.0
"""Routers and floating addresses: what goes in and out."""

from typing import Any

from octostack.services.network.model import nouns
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import REQUIRED, UNSET, Attr, Resource

CHANGE = ("create", "update")
GATEWAY_KEYS = {"network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"}


def gateway(value: Any) -> dict[str, Any] | None:
    """external_gateway_info; null or {} takes the gateway away."""
    if not value:
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"'{value}' is not a dictionary")
        return None
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    unknown = set(value) - GATEWAY_KEYS
    if unknown:
        raise ValueError(f"Unexpected keys supplied: {', '.join(sorted(map(str, unknown)))}")
    if "network_id" not in value:
        raise ValueError(
            "Validation of dictionary's keys failed. Expected keys: {'network_id'} Provided keys: "
            f"{sorted(value)}"
        )
    if value.get("qos_policy_id") is not None:
        raise ValueError("qos_policy_id is not offered here")
    found: dict[str, Any] = {"network_id": types.uuid(value["network_id"])}
    if "enable_snat" in value:
        found["enable_snat"] = types.boolean(value["enable_snat"])
    if "external_fixed_ips" in value:
        found["external_fixed_ips"] = types.fixed_ips(value["external_fixed_ips"])
    return found


ROUTERS = Resource(
    "router",
    "routers",
    nouns.Router,
    (
        Attr("admin_state_up", types.boolean, True, post=True, put=True),
        Attr("status", types.text),
        Attr(
            "external_gateway_info",
            gateway,
            UNSET,
            post=True,
            put=True,
            enforce=CHANGE,
            field=None,
            filter=False,
            sort=False,
        ),
        Attr("routes", types.routes, UNSET, put=True, filter=False, sort=False),
        *(
            Attr(
                kind,
                types.or_none(types.boolean),
                UNSET,
                post=True,
                put=True,
                enforce=("create", "update", "get"),
                field=None,
                filter=False,
                sort=False,
            )
            for kind in ("distributed", "ha")
        ),
        Attr(
            "availability_zone_hints",
            types.listing(types.text),
            [],
            post=True,
            filter=False,
            sort=False,
        ),
        Attr("availability_zones", field=None, filter=False, sort=False),
    ),
)

FLOATINGIPS = Resource(
    "floatingip",
    "floatingips",
    nouns.FloatingIp,
    (
        Attr(
            "floating_ip_address",
            types.or_none(types.ip),
            None,
            post=True,
            enforce=("create",),
        ),
        Attr(
            "subnet_id",
            types.or_none(types.uuid),
            None,
            post=True,
            visible=False,
            field=None,
            filter=False,
            sort=False,
        ),
        Attr("floating_network_id", types.uuid, REQUIRED, post=True),
        Attr("router_id", types.or_none(types.uuid)),
        Attr("port_id", types.or_none(types.uuid), None, post=True, put=True),
        Attr("fixed_ip_address", types.or_none(types.ip), None, post=True, put=True),
        Attr("status", types.text),
        Attr("dns_name", types.dns_name, "", post=True),
        Attr("dns_domain", types.dns_name, "", post=True),
        Attr("port_details", field=None, filter=False, sort=False),
    ),
)
