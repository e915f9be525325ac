# SPDX-License-Identifier: Apache-2.0
"""Domains and the trees of projects in them."""

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


async def tree(admin: httpx2.AsyncClient, *names: str) -> list[Any]:
    """A chain of projects, each below the one before."""
    made: list[Any] = []
    for name in names:
        parent = {"parent_id": made[-1]["id"]} if made else {}
        made.append(await make(admin, "project", name=name, **parent))
    return made


async def test_a_projects_life(admin: httpx2.AsyncClient) -> None:
    made = await make(admin, "project", name="garden", description="d", tags=["b", "a"], size=3)
    url = f"{V3}/projects/{made['id']}"
    assert made["parent_id"] == made["domain_id"] == "default"
    assert made["tags"] == ["a", "b"] and made["size"] == 3 and made["is_domain"] is False
    assert (await admin.get(url)).json()["project"] == made
    body = {"project": {"name": "yard", "description": None, "tags": ["c"]}}
    patched = (await admin.patch(url, json=body)).json()["project"]
    assert (patched["name"], patched["description"], patched["tags"]) == ("yard", "", ["c"])
    assert patched["size"] == 3
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(url)).status_code == 404


async def test_the_tree_around_a_project(admin: httpx2.AsyncClient) -> None:
    top, middle, leaf = await tree(admin, "top", "middle", "leaf")
    url = f"{V3}/projects/{middle['id']}"
    ids = (await admin.get(f"{url}?parents_as_ids&subtree_as_ids")).json()["project"]
    assert ids["parents"] == {top["id"]: {"default": None}}
    assert ids["subtree"] == {leaf["id"]: None}
    roles = {r["name"]: r["id"] for r in (await admin.get(f"{V3}/roles")).json()["roles"]}
    me = (await admin.get(f"{V3}/users?name=admin")).json()["users"][0]["id"]
    await admin.put(f"{V3}/projects/{leaf['id']}/users/{me}/roles/{roles['reader']}")
    lists = (await admin.get(f"{url}?parents_as_list&subtree_as_list")).json()["project"]
    # Only those on which the caller has a role.
    assert [one["project"]["id"] for one in lists["subtree"]] == [leaf["id"]]
    assert [one["project"]["id"] for one in lists["parents"]] == ["default"]
    both = await admin.get(f"{url}?parents_as_list&parents_as_ids")
    assert both.status_code == 400


async def test_what_the_tree_forbids(admin: httpx2.AsyncClient) -> None:
    top, leaf = await tree(admin, "top", "leaf")

    async def patch(project: Any, **body: Any) -> int:
        url = f"{V3}/projects/{project['id']}"
        return (await admin.patch(url, json={"project": body})).status_code

    assert (await admin.delete(f"{V3}/projects/{top['id']}")).status_code == 403
    assert await patch(top, enabled=False) == 403
    assert await patch(leaf, parent_id="default") == 403
    assert await patch(leaf, domain_id="other") == 400
    assert await patch(leaf, is_domain=True) == 400
    assert await patch(leaf, enabled=False) == 200
    assert await patch(top, enabled=False) == 200
    assert await patch(leaf, enabled=True) == 403
    below = {"project": {"name": "x", "parent_id": leaf["id"]}}
    assert (await admin.post(f"{V3}/projects", json=below)).status_code == 403
    other = await make(admin, "domain", name="other")
    across = {"project": {"name": "x", "parent_id": top["id"], "domain_id": other["id"]}}
    assert (await admin.post(f"{V3}/projects", json=across)).status_code == 400
    orphan = {"project": {"name": "x", "parent_id": "none"}}
    assert (await admin.post(f"{V3}/projects", json=orphan)).status_code == 404


async def test_the_tree_has_a_depth(admin: httpx2.AsyncClient) -> None:
    made = await tree(admin, *(f"level{i}" for i in range(5)))
    body = {"project": {"name": "deep", "parent_id": made[-1]["id"]}}
    answer = await admin.post(f"{V3}/projects", json=body)
    assert answer.status_code == 403 and "depth" in answer.json()["error"]["message"]


async def test_lists(admin: httpx2.AsyncClient) -> None:
    top, leaf = await tree(admin, "top", "leaf")
    await admin.put(f"{V3}/projects/{top['id']}/tags", json={"tags": ["red", "big"]})
    await admin.put(f"{V3}/projects/{leaf['id']}/tags/red")

    async def names(query: str) -> list[str]:
        answer = await admin.get(f"{V3}/projects?{query}")
        return sorted(project["name"] for project in answer.json()["projects"])

    assert await names(f"parent_id={top['id']}") == ["leaf"]
    assert await names("tags=red,big") == ["top"]
    assert await names("tags-any=red,big") == ["leaf", "top"]
    assert await names("not-tags=red,big&name__contains=e") == ["demo", "leaf", "service"]
    assert await names("not-tags-any=red") == ["admin", "demo", "service"]
    assert await names("tags=red&limit=1") in (["leaf"], ["top"])
    assert await names("is_domain=true") == ["Default"]
    assert await names("enabled=false") == []


async def test_tags(admin: httpx2.AsyncClient) -> None:
    (project,) = await tree(admin, "garden")
    url = f"{V3}/projects/{project['id']}/tags"
    assert (await admin.put(f"{url}/red")).status_code == 201
    assert (await admin.get(f"{url}/red")).status_code == 204
    assert (await admin.get(url)).json()["tags"] == ["red"]
    assert (await admin.get(f"{url}/blue")).status_code == 404
    assert (await admin.put(f"{url}/a,b")).status_code == 400
    assert (await admin.put(url, json={"tags": ["a", "a"]})).status_code == 400
    assert (await admin.put(url, json={"tags": ["x"] * 81})).status_code == 400
    assert (await admin.delete(f"{url}/blue")).status_code == 404
    assert (await admin.delete(f"{url}/red")).status_code == 204
    assert (await admin.delete(url)).status_code == 204


async def test_disabled_projects_give_no_tokens(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    token = await cloud.login("demo", "demo")
    demo = (await admin.get(f"{V3}/projects?name=demo")).json()["projects"][0]
    async with cloud.client(token) as client:
        for enabled, status in ((False, 401), (True, 401)):
            body = {"project": {"enabled": enabled}}
            await admin.patch(f"{V3}/projects/{demo['id']}", json=body)
            assert (await client.get(f"{V3}/auth/projects")).status_code == status
    async with cloud.client(await cloud.login("demo", "demo")) as client:
        assert (await client.get(f"{V3}/auth/projects")).status_code == 200


async def test_what_is_immutable_stays(admin: httpx2.AsyncClient) -> None:
    made = await make(admin, "project", name="rock", options={"immutable": True})
    url = f"{V3}/projects/{made['id']}"
    assert (await admin.patch(url, json={"project": {"name": "sand"}})).status_code == 403
    assert (await admin.delete(url)).status_code == 403
    soft = {"project": {"options": {"immutable": False}}}
    assert (await admin.patch(url, json=soft)).status_code == 200
    assert (await admin.delete(url)).status_code == 204


async def test_a_domain_goes_with_all_in_it(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    domain = await make(admin, "domain", name="roses", description="d")
    project = await make(admin, "project", name="bed", domain_id=domain["id"])
    user = await make(admin, "user", name="eve", domain_id=domain["id"], password="one")
    role = await make(admin, "role", name="gardener", domain_id=domain["id"])
    url = f"{V3}/domains/{domain['id']}"
    assert (await admin.delete(url)).status_code == 403
    off = await admin.patch(url, json={"domain": {"enabled": False}})
    assert off.json()["domain"]["enabled"] is False
    assert (await admin.delete(url)).status_code == 204
    for kind, one in (("project", project), ("user", user), ("role", role), ("domain", domain)):
        assert (await admin.get(f"{V3}/{kind}s/{one['id']}")).status_code == 404
    listed = (await admin.get(f"{V3}/role_assignments?include_names")).json()
    assert all(one["role"].get("name") for one in listed["role_assignments"])


async def test_a_domain_is_a_project_too(admin: httpx2.AsyncClient) -> None:
    made = await make(admin, "project", name="acting", is_domain=True)
    assert made["domain_id"] is None and made["parent_id"] is None
    assert (await admin.get(f"{V3}/domains/{made['id']}")).json()["domain"]["name"] == "acting"
    await make(admin, "project", name="inside", parent_id=made["id"])
    taken = await admin.post(f"{V3}/domains", json={"domain": {"name": "acting"}})
    assert taken.status_code == 409
    url = f"{V3}/projects/{made['id']}"
    assert (await admin.delete(url)).status_code == 403
    await admin.patch(url, json={"project": {"enabled": False}})
    assert (await admin.delete(url)).status_code == 204
    nested = {"project": {"name": "x", "is_domain": True, "parent_id": "default"}}
    assert (await admin.post(f"{V3}/projects", json=nested)).status_code == 400


async def test_the_default_domain_stays(admin: httpx2.AsyncClient) -> None:
    project = (await admin.get(f"{V3}/projects?name=demo")).json()["projects"][0]
    assert (await admin.get(f"{V3}/domains/{project['id']}")).status_code == 404
    url = f"{V3}/domains/default"
    off = await admin.patch(url, json={"domain": {"enabled": False}})
    assert off.status_code == 200
    # From now on nobody of it is anybody, not even the operator.
    assert (await admin.delete(url)).status_code == 401
