# SPDX-License-Identifier: Apache-2.0
"""Every route against every persona: who gets through, who gets 403. A new route needs a line."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.runtime.http import PUBLIC
from octostack.services.identity.policy import RULES
from octostack.services.identity.routes import ROUTES
from octostack.testing.cloud import TestCloud, running

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"

# a  the operator, on a project            s  a reader of the system
# M  a manager of the domain               R  a reader of the domain
# o  a member of the project, who owns what the paths name
# n  a manager of the project              r  a reader of the project
# x  a member of a project of another domain
ALL = "asMRonrx"
PERSONAS: dict[str, tuple[str, str, str]] = {  # role, kind of target, name of it
    "s": ("reader", "system", ""),
    "M": ("manager", "domain", "home"),
    "R": ("reader", "domain", "home"),
    "o": ("member", "project", "garden"),
    "n": ("manager", "project", "garden"),
    "r": ("reader", "project", "garden"),
    "x": ("member", "project", "elsewhere"),
}


def _crud(name: str, read: str, write: str, *, listed: str | None = None) -> dict[str, str]:
    many, one = f"/v3/{name}s", f"/v3/{name}s/{{{name}_id}}"
    return {
        f"GET {many}": read if listed is None else listed,
        f"POST {many}": write,
        f"GET {one}": read,
        f"PATCH {one}": write,
        f"DELETE {one}": write,
    }


def _grants(where: str, actor: str, read: str, write: str, tail: str = "") -> dict[str, str]:
    many = f"/v3{where}/{actor}s/{{{actor}_id}}/roles"
    one = f"{many}/{{role_id}}{tail}"
    return {f"GET {many}{tail}": read, f"GET {one}": read, f"PUT {one}": write,
            f"DELETE {one}": write}  # fmt: skip


EP = "/v3/OS-EP-FILTER"
EP_GROUP = f"{EP}/endpoint_groups/{{endpoint_group_id}}"
EP_ENDPOINT = f"{EP}/projects/{{project_id}}/endpoints/{{endpoint_id}}"

MAY = {
    "GET /v3/auth/tokens": "aso",
    "DELETE /v3/auth/tokens": "ao",
    "GET /v3/auth/catalog": "aonrx",
    "GET /v3/auth/projects": ALL,
    "GET /v3/auth/domains": ALL,
    "GET /v3/auth/system": ALL,
    "GET /v3/OS-REVOKE/events": "a",
    **_crud("user", "asMRo", "aM", listed="asMR"),
    "GET /v3/users/{user_id}/groups": "asMRo",
    "GET /v3/users/{user_id}/projects": "asMRo",
    **_crud("group", "asMR", "aM"),
    "GET /v3/groups/{group_id}/users": "asMR",
    "GET /v3/groups/{group_id}/users/{user_id}": "asMR",
    "PUT /v3/groups/{group_id}/users/{user_id}": "aM",
    "DELETE /v3/groups/{group_id}/users/{user_id}": "aM",
    **_crud("domain", "asMRonr", "a", listed="asMR"),
    **_crud("project", "asMRonr", "aM", listed="asMR"),
    "GET /v3/projects/{project_id}/tags": "asMRonr",
    "PUT /v3/projects/{project_id}/tags": "aM",
    "DELETE /v3/projects/{project_id}/tags": "aM",
    "GET /v3/projects/{project_id}/tags/{value}": "asMRonr",
    "PUT /v3/projects/{project_id}/tags/{value}": "aM",
    "DELETE /v3/projects/{project_id}/tags/{value}": "aM",
    **_crud("role", "asMn", "a", listed="asM"),
    "GET /v3/roles/{prior_role_id}/implies": "as",
    "GET /v3/roles/{prior_role_id}/implies/{implied_role_id}": "as",
    "HEAD /v3/roles/{prior_role_id}/implies/{implied_role_id}": "as",
    "PUT /v3/roles/{prior_role_id}/implies/{implied_role_id}": "a",
    "DELETE /v3/roles/{prior_role_id}/implies/{implied_role_id}": "a",
    "GET /v3/role_inferences": "as",
    "GET /v3/role_assignments": "asMR",
    **_grants("/projects/{project_id}", "user", "asMR", "aM"),
    **_grants("/projects/{project_id}", "group", "asMR", "aM"),
    **_grants("/domains/{domain_id}", "user", "asMR", "aM"),
    **_grants("/domains/{domain_id}", "group", "asMR", "aM"),
    **_grants("/system", "user", "as", "a"),
    **_grants("/system", "group", "as", "a"),
    **_grants("/OS-INHERIT/projects/{project_id}", "user", "asMR", "aM", "/inherited_to_projects"),
    **_grants("/OS-INHERIT/projects/{project_id}", "group", "asMR", "aM", "/inherited_to_projects"),
    **_grants("/OS-INHERIT/domains/{domain_id}", "user", "asMR", "aM", "/inherited_to_projects"),
    **_grants("/OS-INHERIT/domains/{domain_id}", "group", "asMR", "aM", "/inherited_to_projects"),
    **_crud("service", "as", "a"),
    **_crud("endpoint", "as", "a"),
    **_crud("region", ALL, "a"),
    "PUT /v3/regions/{region_id}": "a",
    **_crud("credential", "aso", "ao", listed=ALL),
    "GET /v3/users/{user_id}/credentials/OS-EC2": "aso",
    "POST /v3/users/{user_id}/credentials/OS-EC2": "ao",
    "GET /v3/users/{user_id}/credentials/OS-EC2/{credential_id}": "aso",
    "DELETE /v3/users/{user_id}/credentials/OS-EC2/{credential_id}": "ao",
    "GET /v3/users/{user_id}/application_credentials": "aso",
    "POST /v3/users/{user_id}/application_credentials": "o",
    "GET /v3/users/{user_id}/application_credentials/{application_credential_id}": "aso",
    "DELETE /v3/users/{user_id}/application_credentials/{application_credential_id}": "ao",
    "GET /v3/users/{user_id}/access_rules": "so",
    "GET /v3/users/{user_id}/access_rules/{access_rule_id}": "so",
    "DELETE /v3/users/{user_id}/access_rules/{access_rule_id}": "o",
    "GET /v3/registered_limits": ALL,
    "POST /v3/registered_limits": "a",
    "GET /v3/registered_limits/{registered_limit_id}": ALL,
    "PATCH /v3/registered_limits/{registered_limit_id}": "a",
    "DELETE /v3/registered_limits/{registered_limit_id}": "a",
    "GET /v3/limits/model": ALL,
    **_crud("limit", "asMRonr", "a", listed=ALL),
    f"GET {EP}/endpoint_groups": "as",
    f"POST {EP}/endpoint_groups": "a",
    f"GET {EP_GROUP}": "as",
    f"PATCH {EP_GROUP}": "a",
    f"DELETE {EP_GROUP}": "a",
    f"GET {EP_GROUP}/endpoints": "as",
    f"GET {EP_GROUP}/projects": "as",
    f"GET {EP_GROUP}/projects/{{project_id}}": "as",
    f"PUT {EP_GROUP}/projects/{{project_id}}": "a",
    f"DELETE {EP_GROUP}/projects/{{project_id}}": "a",
    f"GET {EP}/projects/{{project_id}}/endpoint_groups": "as",
    f"GET {EP}/projects/{{project_id}}/endpoints": "as",
    f"GET {EP}/endpoints/{{endpoint_id}}/projects": "as",
    f"GET {EP_ENDPOINT}": "as",
    f"PUT {EP_ENDPOINT}": "a",
    f"DELETE {EP_ENDPOINT}": "a",
}


class World:
    """One domain with all kinds of things in it, and a client for each persona."""

    def __init__(self, cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
        self.cloud = cloud
        self.admin = admin
        self.clients: dict[str, httpx2.AsyncClient] = {"a": admin}
        self.ids: dict[str, str] = {}
        self.owner_token = ""
        self._count = 0

    async def prepare(self) -> None:
        ids = self.ids
        ids["domain_id"] = await self.make("domain", name="home")
        ids["foreign"] = await self.make("domain", name="foreign")
        projects = {
            "garden": await self.make("project", name="garden", domain_id=ids["domain_id"]),
            "elsewhere": await self.make("project", name="elsewhere", domain_id=ids["foreign"]),
        }
        ids["project_id"] = projects["garden"]
        ids["group_id"] = await self.make("group", name="all", domain_id=ids["domain_id"])
        roles = (await self.admin.get(f"{V3}/roles")).json()["roles"]
        self.roles = {role["name"]: role["id"] for role in roles}
        for persona, (role, kind, name) in PERSONAS.items():
            await self._add(persona, role, kind, projects.get(name, ids["domain_id"]))
        await self._things()

    async def make(self, kind: str, **body: Any) -> str:
        name = kind.rpartition("/")[2]
        answer = await self.admin.post(f"{V3}/{kind}s", json={name: body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()[name]["id"])

    def name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    async def _add(self, persona: str, role: str, kind: str, target: str) -> None:
        domain = self.ids["foreign" if persona == "x" else "domain_id"]
        user_id = await self.make("user", name=persona, domain_id=domain, password="secret words")
        where = "system" if kind == "system" else f"{kind}s/{target}"
        url = f"{V3}/{where}/users/{user_id}/roles/{self.roles[role]}"
        assert (await self.admin.put(url)).status_code == 204
        scope: Any = {"all": True} if kind == "system" else {"id": target}
        token = await self._login(user_id, {kind: scope})
        self.clients[persona] = self.cloud.client(token)
        if persona == "o":
            self.ids["user_id"], self.owner_token = user_id, token

    async def _login(self, user_id: str, scope: Any) -> str:
        user = {"id": user_id, "password": "secret words"}
        identity = {"methods": ["password"], "password": {"user": user}}
        auth = {"identity": identity, "scope": scope}
        answer = await self.admin.post(f"{V3}/auth/tokens", json={"auth": auth})
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    async def owner_login(self) -> str:
        return await self._login(self.ids["user_id"], {"project": {"id": self.ids["project_id"]}})

    async def _things(self) -> None:
        ids = self.ids
        ids["role_id"] = ids["implied_role_id"] = self.roles["member"]
        ids["prior_role_id"] = await self.make("role", name="prior")
        ids["value"] = "red"
        ids["grantee"] = await self.make("user", name="grantee", domain_id=ids["domain_id"])
        ids["service_id"] = await self.make("service", type="thing")
        ids["endpoint_id"] = await self.make("endpoint", **self.endpoint())
        group = {"name": "all", "filters": {"interface": "public"}}
        ids["endpoint_group_id"] = await self.make("OS-EP-FILTER/endpoint_group", **group)
        ids["region_id"] = await self.make("region", id="here")
        ids["credential_id"] = await self.make("credential", **self.credential())
        ids["registered_limit_id"] = await self.registered_limit()
        ids["limit_id"] = await self.limit()

    def endpoint(self) -> Any:
        return {"interface": "public", "service_id": self.ids["service_id"], "url": "http://x/y"}

    def credential(self) -> Any:
        return {"user_id": self.ids["user_id"], "type": "cert", "blob": "secret"}

    def registered(self) -> Any:
        return {"service_id": self.ids["service_id"], "resource_name": self.name(),
                "default_limit": 5}  # fmt: skip

    async def registered_limit(self) -> str:
        body = {"registered_limits": [self.registered()]}
        answer = await self.admin.post(f"{V3}/registered_limits", json=body)
        return str(answer.json()["registered_limits"][0]["id"])

    async def limit_body(self) -> Any:
        registered = self.registered()
        await self.admin.post(f"{V3}/registered_limits", json={"registered_limits": [registered]})
        same = {k: registered[k] for k in ("service_id", "resource_name")}
        return {"limits": [same | {"project_id": self.ids["project_id"], "resource_limit": 2}]}

    async def limit(self) -> str:
        answer = await self.admin.post(f"{V3}/limits", json=await self.limit_body())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["limits"][0]["id"])

    async def ec2(self) -> str:
        url = f"{V3}/users/{self.ids['user_id']}/credentials/OS-EC2"
        answer = await self.admin.post(url, json={"tenant_id": self.ids["project_id"]})
        return str(answer.json()["credential"]["access"])

    async def application(self, **more: Any) -> Any:
        url = f"{V3}/users/{self.ids['user_id']}/application_credentials"
        body = {"application_credential": {"name": self.name(), **more}}
        answer = await self.clients["o"].post(url, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["application_credential"]

    async def access_rule(self) -> str:
        rule = {"service": "compute", "method": "GET", "path": f"/{self.name()}"}
        made = await self.application(access_rules=[rule])
        url = f"{V3}/users/{self.ids['user_id']}/application_credentials/{made['id']}"
        await self.clients["o"].delete(url)
        return str(made["access_rules"][0]["id"])


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    path: Path = tmp_path_factory.mktemp("cloud")
    async with running(path, ["identity"]) as cloud, cloud.client(await cloud.login()) as admin:
        world = World(cloud, admin)
        await world.prepare()
        yield world
        for client in world.clients.values():
            await client.aclose()


Make = Callable[[World], Awaitable[Any]]


def _named(kind: str, **body: Any) -> Make:
    """Make another one of `kind` in the domain, to be changed or deleted."""

    async def make(world: World) -> str:
        own = {} if kind in ("domain", "service", "role") else {
            "domain_id": world.ids["domain_id"]
        }  # fmt: skip
        return await world.make(kind, name=world.name(), **own, **body)

    return make


async def _region(world: World) -> str:
    return await world.make("region", id=world.name())


# What a request changes or deletes is made for it.
FRESH: dict[str, Make] = {
    "user_id": _named("user"),
    "group_id": _named("group"),
    "project_id": _named("project"),
    "domain_id": _named("domain", enabled=False),
    "role_id": _named("role"),
    "service_id": _named("service", type="t"),
    "endpoint_id": lambda w: w.make("endpoint", **w.endpoint()),
    "region_id": _region,
    "credential_id": lambda w: w.make("credential", **w.credential()),
    "registered_limit_id": lambda w: w.registered_limit(),
    "limit_id": lambda w: w.limit(),
}


async def _ids(world: World, method: str, path: str) -> dict[str, str]:
    ids = dict(world.ids)
    if "/roles" in path and "user_id" in path:
        ids["user_id"] = ids["grantee"]
    if "OS-EC2/{" in path:
        ids["credential_id"] = await world.ec2()
    if "application_credential_id" in path:
        ids["application_credential_id"] = (await world.application())["id"]
    if "access_rule_id" in path:
        ids["access_rule_id"] = await world.access_rule()
    last = path.rsplit("{", 1)[-1].rstrip("}")
    simple = path.count("/") == 3
    if method in ("PATCH", "DELETE") and simple and last in FRESH:
        ids[last] = await FRESH[last](world)
    if method == "PUT" and last == "region_id":
        ids[last] = world.name()
    return ids


async def _body(world: World, method: str, path: str) -> Any:
    ids, name = world.ids, world.name()
    bodies: dict[str, Any] = {
        "POST /v3/users": {"user": {"name": name, "domain_id": ids["domain_id"]}},
        "POST /v3/groups": {"group": {"name": name, "domain_id": ids["domain_id"]}},
        "POST /v3/projects": {"project": {"name": name, "domain_id": ids["domain_id"]}},
        "POST /v3/domains": {"domain": {"name": name}},
        "POST /v3/roles": {"role": {"name": name}},
        "POST /v3/services": {"service": {"type": name}},
        "POST /v3/endpoints": {"endpoint": world.endpoint()},
        "POST /v3/regions": {"region": {"id": name}},
        "PUT /v3/regions/{region_id}": {"region": {}},
        "POST /v3/credentials": {"credential": world.credential()},
        "PUT /v3/projects/{project_id}/tags": {"tags": ["red"]},
        "POST /v3/registered_limits": {"registered_limits": [world.registered()]},
        "PATCH /v3/registered_limits/{registered_limit_id}": {
            "registered_limit": {"default_limit": 3}
        },
        "PATCH /v3/limits/{limit_id}": {"limit": {"resource_limit": 3}},
        "POST /v3/users/{user_id}/credentials/OS-EC2": {"tenant_id": ids["project_id"]},
        f"POST {EP}/endpoint_groups": {
            "endpoint_group": {"name": name, "filters": {"interface": "admin"}}
        },
        f"PATCH {EP_GROUP}": {"endpoint_group": {"description": name}},
        "POST /v3/users/{user_id}/application_credentials": {
            "application_credential": {"name": name}
        },
    }
    key = f"{method} {path}"
    if key == "POST /v3/limits":
        return await world.limit_body()
    if key in bodies:
        return bodies[key]
    kind = path.split("/")[2].removesuffix("s")
    return {kind: {"description": name}} if method == "PATCH" else None


def test_every_route_has_a_case_and_every_case_a_route() -> None:
    routes = {f"{route.method} {route.path}" for route in ROUTES if route.rule != PUBLIC}
    assert routes == set(MAY)


def test_rules_and_routes_tell_the_same_story() -> None:
    rules = {rule.name: set(rule.operations) for rule in RULES}
    for route in ROUTES:
        if route.rule != PUBLIC:
            assert (route.method, route.path) in rules[route.rule]
    # A GET answers HEAD too, under the same path; some have a rule of their own for it.
    served = {(route.method, route.path) for route in ROUTES}
    served |= {("HEAD", path) for method, path in served if method == "GET"}
    assert {pair for pairs in rules.values() for pair in pairs} <= served


@pytest.mark.parametrize("case", MAY)
async def test_who_may(world: World, case: str) -> None:
    method, path = case.split(" ", 1)
    seen = {}
    for persona, client in world.clients.items():
        if "DELETE" in case and "/tags/" in path:
            await world.admin.put(f"{V3}/projects/{world.ids['project_id']}/tags/red")
        url = "/identity" + path.format(**await _ids(world, method, path))
        subject = await world.owner_login() if case.startswith("DELETE /v3/auth") else ""
        answer = await client.request(
            method,
            url,
            json=await _body(world, method, path),
            headers={"x-subject-token": subject or world.owner_token},
        )
        assert answer.status_code < 500 and answer.status_code not in (400, 401), answer.text
        seen[persona] = answer.status_code != 403
    # A thing made for one request is not the owner's own: then only the table's others count.
    assert "".join(p for p in ALL if seen[p]) == MAY[case]


@pytest.mark.parametrize("case", MAY)
async def test_nobody_without_a_token(world: World, case: str) -> None:
    method, path = case.split(" ", 1)
    ids = dict.fromkeys(("application_credential_id", "access_rule_id"), "0" * 32) | world.ids
    async with world.cloud.client() as client:
        answer = await client.request(method, "/identity" + path.format(**ids))
    assert answer.status_code == 401
