# SPDX-License-Identifier: Apache-2.0
"""Security groups, rules and images in the words of old versions of Compute."""

from typing import Any

import pytest

from octostack.base.errors import Invalid
from octostack.services.compute.schema import images
from octostack.services.compute.schema import security_groups as groups

PARENT, PEER = "parent-id", "peer-id"


def asked(**more: Any) -> dict[str, Any]:
    return {"parent_group_id": PARENT, **more}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"ip_protocol": "tcp", "from_port": 22, "to_port": 22},
            ("tcp", 22, 22, "0.0.0.0/0", None, "IPv4"),
        ),
        (
            {"ip_protocol": "icmp", "from_port": -1, "to_port": -1, "cidr": "10.0.0.0/8"},
            ("icmp", None, None, "10.0.0.0/8", None, "IPv4"),
        ),
        (
            {"ip_protocol": "udp", "from_port": "1", "to_port": "9", "cidr": "2001:db8::/32"},
            ("udp", 1, 9, "2001:db8::/32", None, "IPv6"),
        ),
        ({"group_id": PEER}, (None, None, None, None, PEER, "IPv4")),
        ({"group_id": PEER, "ip_protocol": "TCP"}, ("TCP", 1, 65535, None, PEER, "IPv4")),
        ({"group_id": PEER, "ip_protocol": "icmp"}, ("icmp", None, None, None, PEER, "IPv4")),
        ({"group_id": PEER, "from_port": 3}, (None, None, None, None, PEER, "IPv4")),
    ],
)
def test_new_rules(given: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    made = groups.new_rule(asked(**given))
    keys = ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
            "remote_group_id", "ethertype")  # fmt: skip
    assert tuple(made[k] for k in keys) == wanted
    assert (made["direction"], made["security_group_id"]) == ("ingress", PARENT)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "ip_protocol"),
        ({"ip_protocol": "tcp"}, "ip_protocol"),
        ({"ip_protocol": "tcp", "from_port": 2}, "ip_protocol"),
        ({"ip_protocol": "gre", "from_port": 1, "to_port": 1}, "ip_protocol"),
        ({"ip_protocol": "tcp", "from_port": [], "to_port": 1}, "from_port"),
        ({"ip_protocol": "tcp", "from_port": 0, "to_port": 1}, "from_port"),
        ({"ip_protocol": "tcp", "from_port": 2, "to_port": 1}, "from_port"),
        ({"ip_protocol": "icmp", "from_port": -2, "to_port": 1}, "from_port"),
        ({"ip_protocol": "tcp", "from_port": 1, "to_port": 1, "cidr": {}}, ""),
        ({"ip_protocol": "tcp", "from_port": 1, "to_port": 1, "cidr": {"a": 1}}, "cidr"),
        ({"ip_protocol": "tcp", "from_port": 1, "to_port": 1, "cidr": "10.1.1.1/0"}, "cidr"),
    ],
)
def test_what_is_no_rule(given: dict[str, Any], field: str) -> None:
    if not field:  # nothing that could be a prefix is everywhere
        assert groups.new_rule(asked(**given))["remote_ip_prefix"] == "0.0.0.0/0"
        return
    with pytest.raises(Invalid) as refused:
        groups.new_rule(asked(**given))
    assert refused.value.details["field"] == field


@pytest.mark.parametrize(
    ("protocol", "ports", "shown"),
    [
        ("tcp", (None, None), (1, 65535)),
        ("icmp", (None, None), (-1, -1)),
        (None, (None, None), (None, None)),
        ("icmp", (8, None), (8, None)),
        ("udp", (5, 6), (5, 6)),
    ],
)
def test_ports_are_shown_as_ever(protocol: Any, ports: tuple[Any, Any], shown: Any) -> None:
    found = {"id": "r", "security_group_id": PARENT, "protocol": protocol,
             "port_range_min": ports[0], "port_range_max": ports[1], "remote_group_id": None,
             "remote_ip_prefix": None, "direction": "ingress"}  # fmt: skip
    view = groups.rule(found, {})
    assert (view["from_port"], view["to_port"]) == shown
    assert view["ip_range"] == {"cidr": "0.0.0.0/0"} and view["group"] == {}
    whole = {"id": PARENT, "name": "n", "description": "", "project_id": "p"}
    others = [found, found | {"direction": "egress"}, found | {"remote_group_id": "not seen"}]
    assert groups.group(whole | {"security_group_rules": others}, {})["rules"] == [view]


def test_filters_of_images() -> None:
    query = {"name": "n", "status": "ACTIVE", "server": "http://x/servers/abc", "type": "snapshot",
             "minRam": "5", "property-os_distro": "d", "changes-since": "2026-01-01T00:00:00Z",
             "limit": "3", "unknown": "x"}  # fmt: skip
    assert images.filters(query) == {
        "name": "n", "status": "active", "instance_uuid": "abc", "image_type": "snapshot",
        "min_ram": "5", "os_distro": "d", "updated_at": "gte:2026-01-01T00:00:00Z",
    }  # fmt: skip
