# SPDX-License-Identifier: Apache-2.0
"""Ports: what goes in and out."""

from typing import Any

from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import REQUIRED, UNSET, Attr, Resource, invalid

ALL = ("create", "update", "get")
CHANGE = ("create", "update")
PAIRS_MAX = 10
PROFILE_BYTES_MAX = 4095
VNIC_TYPES = ("normal",)  # what our hosts can plug


def address_pairs(value: Any) -> list[dict[str, str]]:
    """Allowed address pairs; one without a MAC stands for the port's own."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"'{value}' is not a list")
    if len(value) > PAIRS_MAX:
        raise fault("AllowedAddressPairExhausted", quota=PAIRS_MAX)
    found: list[dict[str, str]] = []
    for item in value:
        if not isinstance(item, dict) or not set(item) <= {"mac_address", "ip_address"}:
            raise ValueError(f"'{item}' is not a valid address pair")
        if "ip_address" not in item:
            raise fault("AllowedAddressPairsMissingIP")
        pair = {"ip_address": types.prefix(item["ip_address"])}
        if item.get("mac_address") is not None:
            pair["mac_address"] = types.mac(item["mac_address"])
        if pair in found:
            raise fault(
                "DuplicateAddressPairInRequest",
                mac_address=pair.get("mac_address"),
                ip_address=pair["ip_address"],
            )
        found.append(pair)
    return found


def dhcp_options(value: Any) -> list[dict[str, Any]]:
    """Extra DHCP options; a null value takes an option away."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"'{value}' is not a list")
    found: list[dict[str, Any]] = []
    for item in value:
        if not isinstance(item, dict) or not {"opt_name"} <= set(item) <= {
            "opt_name",
            "opt_value",
            "ip_version",
        }:
            raise ValueError(f"No valid key specs matched for: {item}")
        given = item.get("opt_value")
        found.append(
            {
                "opt_name": types.not_blank(item["opt_name"]),
                "opt_value": None if given is None else types.text(given),
                "ip_version": types.int_of(4, 6)(item.get("ip_version", 4)),
            }
        )
    return found


def profile(value: Any) -> dict[str, Any]:
    """Whatever the binder wants to pass to the host, within a size."""
    given = types.dictionary(value)
    if len(str(given)) > PROFILE_BYTES_MAX:
        raise invalid("binding:profile value too large")
    return given


PORTS = Resource(
    "port",
    "ports",
    nouns.Port,
    (
        Attr("network_id", types.uuid, REQUIRED, post=True),
        Attr("admin_state_up", types.boolean, True, post=True, put=True),
        Attr("mac_address", types.or_none(types.mac), UNSET, post=True, put=True, enforce=CHANGE),
        Attr("fixed_ips", types.fixed_ips, UNSET, post=True, put=True, sort=False, enforce=CHANGE),
        Attr("device_id", types.text, "", post=True, put=True, enforce=CHANGE),
        Attr("device_owner", types.text, "", post=True, put=True, enforce=CHANGE),
        Attr("status", types.text),
        Attr(
            "security_groups",
            types.listing(types.uuid),
            UNSET,
            post=True,
            put=True,
            sort=False,
        ),
        Attr(
            "port_security_enabled",
            types.boolean,
            UNSET,
            post=True,
            put=True,
            sort=False,
            enforce=CHANGE,
        ),
        Attr(
            "allowed_address_pairs",
            address_pairs,
            UNSET,
            post=True,
            put=True,
            filter=False,
            sort=False,
            enforce=CHANGE,
        ),
        Attr("extra_dhcp_opts", dhcp_options, [], post=True, put=True, filter=False, sort=False),
        Attr("dns_name", types.dns_name, "", post=True, put=True),
        Attr("dns_domain", types.dns_name, "", post=True, put=True),
        Attr("dns_assignment", field=None, filter=False, sort=False),
        Attr(
            "binding:host_id",
            types.or_none(types.text),
            UNSET,
            post=True,
            put=True,
            enforce=ALL,
            field="host",
        ),
        Attr(
            "binding:vnic_type",
            types.one_of(*VNIC_TYPES),
            "normal",
            post=True,
            put=True,
            enforce=CHANGE,
            field="vnic_type",
            filter=False,
        ),
        Attr(
            "binding:profile",
            profile,
            UNSET,
            post=True,
            put=True,
            enforce=ALL,
            field="profile",
            filter=False,
            sort=False,
        ),
        Attr("binding:vif_type", enforce=("get",), field=None, filter=False, sort=False),
        Attr("binding:vif_details", enforce=("get",), field=None, filter=False, sort=False),
        Attr("propagate_uplink_status", types.boolean, True, post=True, put=True, filter=False),
        Attr("tags", types.tags, [], post=True, sort=False),
    ),
)
