# SPDX-License-Identifier: Apache-2.0
"""Every route for every default role and for another project. A route with no case fails.

A case says which personas may; everybody else is refused: 404 where the thing may not be seen,
403 where it may. Things belong to project p1; the operator and the service are of other projects.
"""

import pytest

from octostack.services.network import routes

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
EVERYBODY = set(PERSONAS)
READERS = {"admin", "manager", "member", "reader"}
MEMBERS = {"admin", "manager", "member"}
MANAGERS = {"admin", "manager"}
ADMIN = {"admin"}
OPERATORS = {"admin", "service"}
ANY_READER = EVERYBODY - {"nobody", "service"}
# Creates are for one's own project, so a stranger that is a manager makes its own things.
MAKERS = MEMBERS | {"stranger"}


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


def body_of(route, ids):
    """A body that is right for the route, for a caller who may."""
    creates = {
        "/networks": {"network": {}},
        "/subnets": {"subnet": {"network_id": ids["networks"], "ip_version": 4,
                                "cidr": "10.70.0.0/24"}},
        "/ports": {"port": {"network_id": ids["networks"]}},
        "/routers": {"router": {}},
        "/floatingips": {"floatingip": {"floating_network_id": ids["outside"]}},
        "/security-groups": {"security_group": {"name": "n"}},
        "/security-group-rules": {"security_group_rule": {
            "security_group_id": ids["security-groups"], "direction": "egress",
            "protocol": "tcp"}},
        "/default-security-group-rules": {"default_security_group_rule": {
            "direction": "egress", "protocol": "gre"}},
        "/subnetpools": {"subnetpool": {"name": "n", "prefixes": ["10.61.0.0/16"]}},
        "/address-scopes": {"address_scope": {"name": "n", "ip_version": 4}},
        "/rbac-policies": {"rbac_policy": {"object_type": "network", "target_tenant": "p8",
                                           "object_id": ids["networks"],
                                           "action": "access_as_shared"}},
    }  # fmt: skip
    actions = {
        "/routers/{id}/add_router_interface": {"subnet_id": ids["subnets"]},
        "/routers/{id}/remove_router_interface": {"subnet_id": ids["subnets"]},
        "/routers/{id}/add_extraroutes": {"router": {"routes": []}},
        "/routers/{id}/remove_extraroutes": {"router": {"routes": []}},
        "/subnetpools/{id}/add_prefixes": {"prefixes": ["10.62.0.0/16"]},
        "/subnetpools/{id}/remove_prefixes": {"prefixes": ["10.99.0.0/16"]},
        "/quotas/{id}": {"quota": {"network": 5}},
    }
    if route.path in actions:
        return actions[route.path]
    if route.path.endswith("/tags"):
        return {"tags": ["a"]}
    if route.method == "PUT" and "/tags/" not in route.path:
        plural = route.path.split("/")[1]
        singular = {"rbac-policies": "rbac_policy"}.get(plural, plural[:-1].replace("-", "_"))
        return {singular: {} if plural in ("rbac-policies", "agents") else {"description": "d"}}
    return creates.get(route.path) if route.method == "POST" else None


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


def who_may(method: str, path: str) -> set[str]:
    """The personas that a route is for. Raises KeyError for a route that has no case."""
    special = {
        "/": EVERYBODY,
        "/extensions": EVERYBODY,
        "/extensions/{alias}": EVERYBODY,
        "/quotas": ADMIN,
        "/quotas/tenant": EVERYBODY,
        "/quotas/project": EVERYBODY,
        "/quotas/{id}": MANAGERS if method == "GET" else ADMIN,
        "/quotas/{id}/default": MANAGERS,
        "/quotas/{id}/details": MANAGERS,
        "/quotas/{id}/details.json": MANAGERS,
        "/availability_zones": ANY_READER,
        "/service-providers": ANY_READER,
        "/network-ip-availabilities": OPERATORS,
        "/network-ip-availabilities/{id}": OPERATORS,
        "/auto-allocated-topology/{id}": READERS if method == "GET" else MEMBERS,
        "/routers/{id}/add_router_interface": MEMBERS,
        "/routers/{id}/remove_router_interface": MEMBERS,
        "/routers/{id}/add_extraroutes": MEMBERS,
        "/routers/{id}/remove_extraroutes": MEMBERS,
        "/subnetpools/{id}/add_prefixes": MEMBERS,
        "/subnetpools/{id}/remove_prefixes": MEMBERS,
        "/agents": ADMIN,
        "/agents/{id}": ADMIN,
        "/security-group-rules": MEMBERS,
        "/security-group-rules/{id}": READERS if method == "GET" else MEMBERS,
        "/default-security-group-rules": ADMIN,
        "/default-security-group-rules/{id}": ANY_READER if method == "GET" else ADMIN,
        "/subnets": MEMBERS,
        "/ports": MEMBERS | {"service"},
        "/rbac-policies": MEMBERS,
    }
    if method == "GET" and path.count("/") == 1 and path not in special:
        return EVERYBODY  # a list shows what one may see
    if (method, path) in {("GET", f"/{p}") for p in _LISTED}:
        return EVERYBODY
    if path in special:
        return special[path]
    plural = path.split("/")[1]
    if plural not in OWNED:
        raise KeyError(path)
    if method == "GET":
        wider = {"service"} if plural in SEES_ALL and "tags" not in path else set()
        return READERS | wider
    if method == "POST" and path == f"/{plural}":
        return MAKERS
    wider = {"service"} if plural == "ports" and "tags" not in path else set()
    return MEMBERS | wider


_LISTED = (*OWNED, "security-group-rules", "default-security-group-rules", "agents")
CASES = sorted({(r.method, r.path) for r in routes.ROUTES})


def test_every_route_has_a_case():
    assert {path for method, path in CASES if who_may(method, path)} == {
        route.path for route in routes.ROUTES
    }


@pytest.mark.parametrize(("method", "path"), CASES, ids=[f"{m} {p}" for m, p in CASES])
async def test_who_may(callers, method, path):
    route = next(r for r in routes.ROUTES if (r.method, r.path) == (method, path))
    world = World(callers)
    ids = await world.ids()
    plural = path.split("/")[1]
    if "remove_router_interface" in path:
        body = {"subnet_id": ids["subnets"]}
        await world.member("PUT", f"/routers/{ids['routers']}/add_router_interface", body)
    if path == "/quotas/{id}" and method == "DELETE":
        await world.admin("PUT", "/quotas/p1", {"quota": {"network": 5}})
    known = {
        "quotas": "p1",
        "auto-allocated-topology": "p1",
        "network-ip-availabilities": ids["networks"],
        "agents": "00000000-0000-4000-8000-000000000000",
    }
    id_ = known.get(plural, ids.get(plural, ""))
    url = path.format(id=id_, tag="a", alias="router")
    if "/tags/{tag}" in path:
        await world.member("PUT", f"/{plural}/{id_}/tags/a", status=201)
    if method == "DELETE" and path in ("/networks/{id}", "/subnets/{id}"):
        await world.member("DELETE", f"/ports/{ids['ports']}")
    allowed = who_may(method, path)
    # Those who are refused come first: what is done by those who may cannot be done twice.
    for persona in sorted(EVERYBODY - allowed) + sorted(allowed)[:1]:
        answer = await callers(*PERSONAS[persona]).raw(method, url, body_of(route, ids))
        told = (persona, method, url, answer.status_code, answer.text[:300])
        if persona not in allowed:
            assert answer.status_code in (403, 404), told
            if persona.startswith("stranger") and "{id}" in path and plural in OWNED:
                assert answer.status_code == 404, told
        elif plural != "agents" or "{id}" not in path:
            assert answer.status_code < 300, told
    if method == "GET":
        for persona in sorted(allowed)[1:]:
            answer = await callers(*PERSONAS[persona]).raw(method, url)
            missing = plural == "agents" and "{id}" in path
            assert answer.status_code < 300 or missing, (persona, url, answer.text[:300])


async def test_a_list_shows_only_what_one_may_see(callers):
    ids = await World(callers).ids()
    for plural in (*OWNED, "security-group-rules"):
        key = plural.replace("-", "_")
        for persona, (role, project) in PERSONAS.items():
            found = (await callers(role, project)("GET", f"/{plural}"))[key]
            seen = ids[plural] in {item["id"] for item in found}
            may = persona in who_may("GET", f"/{plural}/{{id}}")
            assert seen == may, (plural, persona)


@pytest.mark.parametrize("path", ["/networks", "/ports", "/", "/extensions"])
async def test_no_token_is_unauthorized(cloud, path):
    async with cloud.client() as client:
        answer = await client.get(f"/networking/v2.0{path}")
    assert answer.status_code == 401


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
