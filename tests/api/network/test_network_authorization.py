# SPDX-License-Identifier: Apache-2.0
"""What lists show to whom, and who may set an attribute that is more than a route's own rule.

Things belong to project p1; the operator and the service are of other projects.
"""

import pytest

pytestmark = pytest.mark.anyio

PERSONAS = {
    "admin": ("admin", "ops"),
    "service": ("service", "svc"),
    "manager": ("manager", "p1"),
    "member": ("member", "p1"),
    "reader": ("reader", "p1"),
    "nobody": ("nothing", "p1"),
    "stranger": ("manager", "p2"),
    "stranger reader": ("reader", "p2"),
}
READERS = {"admin", "manager", "member", "reader"}
MEMBERS = {"admin", "manager", "member"}
ADMIN = {"admin"}
OPERATORS = {"admin", "service"}


class World:
    """One of everything, in project p1; some are for operators."""

    def __init__(self, callers) -> None:
        self.member = callers()
        self.admin = callers("admin", "ops")

    async def made(self, plural: str, singular: str, **values) -> str:
        caller = self.admin if plural == "default-security-group-rules" else self.member
        body = {singular: values}
        return (await caller("POST", f"/{plural}", body))[singular]["id"]

    async def ids(self) -> dict[str, str]:
        member = self.member
        network, subnet = await member.wired("10.50.0.0/24")
        outside = await member.external()
        group = await self.made("security-groups", "security_group", name="g")
        return {
            "networks": network["id"],
            "subnets": subnet["id"],
            "ports": (await member.port(network["id"]))["id"],
            "routers": (await member.router())["id"],
            "floatingips": await self.made(
                "floatingips", "floatingip", floating_network_id=outside
            ),
            "security-groups": group,
            "security-group-rules": await self.made(
                "security-group-rules",
                "security_group_rule",
                security_group_id=group,
                direction="ingress",
            ),
            "default-security-group-rules": await self.made(
                "default-security-group-rules",
                "default_security_group_rule",
                direction="ingress",
                protocol="udp",
            ),
            "subnetpools": await self.made(
                "subnetpools", "subnetpool", name="p", prefixes=["10.60.0.0/16"]
            ),
            "address-scopes": await self.made(
                "address-scopes", "address_scope", name="s", ip_version=4
            ),
            "rbac-policies": await self.made(
                "rbac-policies",
                "rbac_policy",
                object_type="network",
                object_id=network["id"],
                target_tenant="p9",
                action="access_as_shared",
            ),
            "outside": outside,
        }


OWNED = (
    "networks",
    "subnets",
    "subnetpools",
    "ports",
    "routers",
    "floatingips",
    "security-groups",
    "address-scopes",
    "rbac-policies",
)
SEES_ALL = {"networks", "subnets", "ports"}  # where a service may look as an operator does


async def test_a_list_shows_only_what_one_may_see(callers):
    ids = await World(callers).ids()
    for plural in (*OWNED, "security-group-rules"):
        key = plural.replace("-", "_")
        for persona, (role, project) in PERSONAS.items():
            found = (await callers(role, project)("GET", f"/{plural}"))[key]
            seen = ids[plural] in {item["id"] for item in found}
            may = READERS | ({"service"} if plural in SEES_ALL else set())
            assert seen == (persona in may), (plural, persona)


@pytest.mark.parametrize(
    ("plural", "singular", "attribute", "value", "personas"),
    [
        ("networks", "network", "shared", True, ADMIN),
        ("networks", "network", "router:external", True, ADMIN),
        ("networks", "network", "is_default", True, ADMIN),
        ("networks", "network", "port_security_enabled", False, MEMBERS),
        ("ports", "port", "mac_address", "fa:16:3e:00:00:77", {"admin", "manager", "service"}),
        ("ports", "port", "binding:host_id", "h", OPERATORS),
        ("ports", "port", "binding:profile", {"a": "b"}, {"service"}),
        ("ports", "port", "device_owner", "network:x", {"admin", "manager", "member", "service"}),
        ("routers", "router", "distributed", True, ADMIN),
        ("subnets", "subnet", "service_types", ["compute:x"], ADMIN),
        ("subnetpools", "subnetpool", "is_default", False, ADMIN),
    ],
)
async def test_who_may_set_an_attribute(callers, plural, singular, attribute, value, personas):
    ids = await World(callers).ids()
    path = f"/{plural}/{ids[plural]}"
    for persona in ("manager", "member", "service", "admin"):
        body = {singular: {attribute: value}}
        answer = await callers(*PERSONAS[persona]).raw("PUT", path, body)
        if persona in personas:
            assert answer.status_code == 200, (persona, answer.text)
        else:
            assert answer.status_code in (403, 404), (persona, answer.text)
