# SPDX-License-Identifier: Apache-2.0
"""Roles: what they imply, who gets them where, and how that is listed."""

from typing import Any

import httpx2
import pytest

from octostack.testing.cloud import TestCloud

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"


async def make(admin: httpx2.AsyncClient, kind: str, **body: Any) -> Any:
    answer = await admin.post(f"{V3}/{kind}s", json={kind: body})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


async def role_ids(admin: httpx2.AsyncClient) -> dict[str, str]:
    return {r["name"]: r["id"] for r in (await admin.get(f"{V3}/roles")).json()["roles"]}


async def names_at(cloud: TestCloud, user: str, scope: Any) -> list[str]:
    """The roles in a token of `user` (password "one"); none if there is no such token."""
    by = {"user": {"id": user, "password": "one"}}
    auth = {"identity": {"methods": ["password"], "password": by}, "scope": scope}
    async with cloud.client() as client:
        answer = await client.post(f"{V3}/auth/tokens", json={"auth": auth})
    if answer.status_code == 401:
        return []
    return [role["name"] for role in answer.json()["token"]["roles"]]


async def test_a_life(admin: httpx2.AsyncClient) -> None:
    made = await make(admin, "role", name="gardener", description="d")
    url = f"{V3}/roles/{made['id']}"
    assert made["domain_id"] is None and made["options"] == {}
    assert (await admin.get(url)).json()["role"] == made
    answer = await admin.patch(url, json={"role": {"name": "florist"}})
    assert answer.json()["role"]["name"] == "florist"
    assert (await admin.patch(url, json={"role": {"domain_id": "x"}})).status_code == 400
    ids = await role_ids(admin)
    assert (await admin.delete(f"{V3}/roles/{ids['admin']}")).status_code == 403
    taken = await admin.post(f"{V3}/roles", json={"role": {"name": "admin"}})
    assert taken.status_code == 409
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(url)).status_code == 404


async def test_implications(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    ids = await role_ids(admin)
    made = await make(admin, "role", name="gardener")
    url = f"{V3}/roles/{made['id']}/implies"
    assert (await admin.head(f"{url}/{ids['member']}")).status_code == 404
    put = await admin.put(f"{url}/{ids['member']}")
    assert put.status_code == 201
    assert put.json()["role_inference"]["implies"]["name"] == "member"
    assert (await admin.head(f"{url}/{ids['member']}")).status_code == 204
    assert (await admin.get(f"{url}/{ids['member']}")).status_code == 200
    listed = (await admin.get(url)).json()["role_inference"]
    assert [one["name"] for one in listed["implies"]] == ["member"]
    assert (await admin.put(f"{url}/{ids['admin']}")).status_code == 403
    pairs = {
        (one["prior_role"]["name"], implied["name"])
        for one in (await admin.get(f"{V3}/role_inferences")).json()["role_inferences"]
        for implied in one["implies"]
    }
    assert pairs == {("admin", "manager"), ("manager", "member"), ("member", "reader"),
                     ("gardener", "member")}  # fmt: skip
    assert (await admin.delete(f"{url}/{ids['member']}")).status_code == 204
    assert (await admin.delete(f"{url}/{ids['member']}")).status_code == 404


async def test_a_domains_own_role(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    domain, other = await make(admin, "domain", name="a"), await make(admin, "domain", name="b")
    own = await make(admin, "role", name="gardener", domain_id=domain["id"])
    await make(admin, "role", name="gardener", domain_id=other["id"])
    ids = await role_ids(admin)
    assert "gardener" not in ids
    listed = (await admin.get(f"{V3}/roles?domain_id={domain['id']}")).json()["roles"]
    assert [one["id"] for one in listed] == [own["id"]]
    await admin.put(f"{V3}/roles/{own['id']}/implies/{ids['reader']}")
    user = await make(admin, "user", name="eve", domain_id=domain["id"], password="one")
    inside = await make(admin, "project", name="p", domain_id=domain["id"])
    outside = await make(admin, "project", name="p")
    path = f"users/{user['id']}/roles/{own['id']}"
    assert (await admin.put(f"{V3}/projects/{outside['id']}/{path}")).status_code == 403
    assert (await admin.put(f"{V3}/projects/{inside['id']}/{path}")).status_code == 204
    assert await names_at(cloud, user["id"], {"project": {"id": inside["id"]}}) == ["reader"]
    assert (await admin.put(f"{V3}/roles/{ids['reader']}/implies/{own['id']}")).status_code == 403


@pytest.mark.parametrize("where", ["projects/{p}", "domains/{d}", "system"])
@pytest.mark.parametrize("actor", ["user", "group"])
async def test_given_checked_listed_taken(
    cloud: TestCloud, admin: httpx2.AsyncClient, where: str, actor: str
) -> None:
    ids = await role_ids(admin)
    project = await make(admin, "project", name="garden")
    who = await make(admin, actor, name="eve")
    url = f"{V3}/{where.format(p=project['id'], d='default')}/{actor}s/{who['id']}/roles"
    one = f"{url}/{ids['member']}"
    assert (await admin.head(one)).status_code == 404
    for _ in range(2):
        assert (await admin.put(one)).status_code == 204
    assert (await admin.head(one)).status_code == (await admin.get(one)).status_code == 204
    assert [role["name"] for role in (await admin.get(url)).json()["roles"]] == ["member"]
    assert (await admin.delete(one)).status_code == 204
    assert (await admin.delete(one)).status_code == 404
    assert (await admin.put(f"{url}/none")).status_code == 404


async def test_inherited_below_and_not_at_the_target(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    ids = await role_ids(admin)
    user = await make(admin, "user", name="eve", password="one")
    top = await make(admin, "project", name="top")
    leaf = await make(admin, "project", name="leaf", parent_id=top["id"])
    tail = f"users/{user['id']}/roles/{ids['member']}/inherited_to_projects"
    at_top, at_leaf = {"project": {"id": top["id"]}}, {"project": {"id": leaf["id"]}}
    at_domain = {"domain": {"id": "default"}}

    url = f"{V3}/OS-INHERIT/projects/{top['id']}/{tail}"
    assert (await admin.put(url)).status_code == 204
    assert (await admin.head(url)).status_code == 204
    assert await names_at(cloud, user["id"], at_top) == []
    assert await names_at(cloud, user["id"], at_leaf) == ["member", "reader"]
    mine = (await admin.get(f"{V3}/users/{user['id']}/projects")).json()["projects"]
    assert [one["name"] for one in mine] == ["leaf"]
    assert (await admin.delete(url)).status_code == 204
    assert await names_at(cloud, user["id"], at_leaf) == []

    url = f"{V3}/OS-INHERIT/domains/default/{tail}"
    assert (await admin.put(url)).status_code == 204
    assert await names_at(cloud, user["id"], at_leaf) == ["member", "reader"]
    assert await names_at(cloud, user["id"], at_domain) == []
    listed = f"{V3}/OS-INHERIT/domains/default/users/{user['id']}/roles/inherited_to_projects"
    assert [one["name"] for one in (await admin.get(listed)).json()["roles"]] == ["member"]


async def test_a_role_taken_ends_tokens_that_lived_by_it(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    ids = await role_ids(admin)
    demo = (await admin.get(f"{V3}/users?name=demo")).json()["users"][0]["id"]
    project = (await admin.get(f"{V3}/projects?name=demo")).json()["projects"][0]["id"]
    token = await cloud.login("demo", "demo")
    async with cloud.client(token) as client:
        assert (await client.get(f"{V3}/auth/projects")).status_code == 200
        url = f"{V3}/projects/{project}/users/{demo}/roles/{ids['member']}"
        assert (await admin.delete(url)).status_code == 204
        assert (await client.get(f"{V3}/auth/projects")).status_code == 401


async def test_the_list_of_assignments(admin: httpx2.AsyncClient) -> None:
    ids = await role_ids(admin)
    user = await make(admin, "user", name="eve")
    group = await make(admin, "group", name="staff")
    top = await make(admin, "project", name="top")
    leaf = await make(admin, "project", name="leaf", parent_id=top["id"])
    await admin.put(f"{V3}/groups/{group['id']}/users/{user['id']}")
    await admin.put(f"{V3}/projects/{top['id']}/groups/{group['id']}/roles/{ids['member']}")
    inherit = f"projects/{top['id']}/users/{user['id']}/roles/{ids['reader']}"
    await admin.put(f"{V3}/OS-INHERIT/{inherit}/inherited_to_projects")
    await admin.put(f"{V3}/system/users/{user['id']}/roles/{ids['reader']}")

    async def listed(query: str) -> list[Any]:
        answer = await admin.get(f"{V3}/role_assignments?{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()["role_assignments"]

    made = await listed(f"user.id={user['id']}")
    assert {tuple(sorted(one["scope"])) for one in made} == {
        ("OS-INHERIT:inherited_to", "project"),
        ("system",),
    }
    effective = await listed(f"user.id={user['id']}&effective")
    seen = {
        (one["scope"].get("project", {}).get("id", "system"), one["role"]["id"])
        for one in effective
    }
    assert seen == {
        (top["id"], ids["member"]),
        (top["id"], ids["reader"]),
        (leaf["id"], ids["reader"]),
        ("system", ids["reader"]),
    }
    through = next(one for one in effective if one["role"]["id"] == ids["member"])
    assert through["links"]["membership"].endswith(f"/groups/{group['id']}/users/{user['id']}")
    named = await listed(f"group.id={group['id']}&include_names=true")
    assert named[0]["group"] == {
        "id": group["id"],
        "name": "staff",
        "domain": {"id": "default", "name": "Default"},
    }
    assert named[0]["scope"]["project"]["name"] == "top"
    assert named[0]["role"]["name"] == "member"
    below = await listed(f"scope.project.id={top['id']}&include_subtree=true&effective=true")
    assert {one["scope"]["project"]["id"] for one in below} == {top["id"], leaf["id"]}
    assert len(await listed(f"scope.system=all&user.id={user['id']}")) == 1
    inherited = await listed("scope.OS-INHERIT:inherited_to=projects")
    assert [one["user"]["id"] for one in inherited] == [user["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "user.id=a&group.id=b",
        "scope.project.id=a&scope.domain.id=b",
        "scope.system=all&scope.domain.id=b",
        "effective&group.id=a",
        "include_subtree",
    ],
)
async def test_filters_that_make_no_sense(admin: httpx2.AsyncClient, query: str) -> None:
    assert (await admin.get(f"{V3}/role_assignments?{query}")).status_code == 400
