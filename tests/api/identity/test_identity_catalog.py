# SPDX-License-Identifier: Apache-2.0
"""Services, endpoints, regions, and the catalog out of them."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.testing.cloud import running

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"


async def make(admin: httpx2.AsyncClient, kind: str, **body: Any) -> Any:
    answer = await admin.post(f"{V3}/{kind}s", json={kind: body})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


async def test_a_service_and_its_endpoints(admin: httpx2.AsyncClient) -> None:
    service = await make(admin, "service", type="volume", name="v", description="d")
    url = f"{V3}/services/{service['id']}"
    one = await make(
        admin,
        "endpoint",
        interface="public",
        service_id=service["id"],
        url="http://v/$(project_id)s",
        region="north",
    )
    assert one["region"] == one["region_id"] == "north"
    listed = (await admin.get(f"{V3}/endpoints?service_id={service['id']}")).json()["endpoints"]
    assert [found["id"] for found in listed] == [one["id"]]
    for query, count in (("interface=admin", 0), ("region_id=north", 1), ("region=south", 0)):
        both = f"{V3}/endpoints?service_id={service['id']}&{query}"
        assert len((await admin.get(both)).json()["endpoints"]) == count
    catalog = (await admin.get(f"{V3}/auth/catalog")).json()["catalog"]
    volume = next(found for found in catalog if found["type"] == "volume")
    assert "$" not in volume["endpoints"][0]["url"]
    patched = await admin.patch(
        f"{V3}/endpoints/{one['id']}", json={"endpoint": {"enabled": False}}
    )
    assert patched.json()["endpoint"]["enabled"] is False
    catalog = (await admin.get(f"{V3}/auth/catalog")).json()["catalog"]
    assert next(found for found in catalog if found["type"] == "volume")["endpoints"] == []
    await admin.patch(url, json={"service": {"enabled": False, "name": "w"}})
    catalog = (await admin.get(f"{V3}/auth/catalog")).json()["catalog"]
    assert all(found["type"] != "volume" for found in catalog)
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(f"{V3}/endpoints/{one['id']}")).status_code == 404


async def test_endpoints_of_nothing(admin: httpx2.AsyncClient) -> None:
    body = {"interface": "public", "service_id": "none", "url": "http://x"}
    assert (await admin.post(f"{V3}/endpoints", json={"endpoint": body})).status_code == 400
    service = await make(admin, "service", type="t")
    body |= {"service_id": service["id"], "region_id": "nowhere"}
    assert (await admin.post(f"{V3}/endpoints", json={"endpoint": body})).status_code == 400
    wrong = {"interface": "secret", "service_id": service["id"], "url": "http://x"}
    assert (await admin.post(f"{V3}/endpoints", json={"endpoint": wrong})).status_code == 400


async def test_regions(admin: httpx2.AsyncClient) -> None:
    north = await make(admin, "region", id="north", description="d")
    south = await make(admin, "region", parent_region_id="north")
    assert north["parent_region_id"] is None and len(south["id"]) == 32
    put = await admin.put(f"{V3}/regions/east", json={"region": {"parent_region_id": "north"}})
    assert put.status_code == 201 and put.json()["region"]["id"] == "east"
    clash = await admin.put(f"{V3}/regions/west", json={"region": {"id": "other"}})
    assert clash.status_code == 409
    below = (await admin.get(f"{V3}/regions?parent_region_id=north")).json()["regions"]
    assert {one["id"] for one in below} == {south["id"], "east"}
    loop = {"region": {"parent_region_id": "east"}}
    assert (await admin.patch(f"{V3}/regions/north", json=loop)).status_code == 400
    orphan = {"region": {"parent_region_id": "none"}}
    assert (await admin.post(f"{V3}/regions", json=orphan)).status_code == 404
    again = {"region": {"id": "north"}}
    assert (await admin.post(f"{V3}/regions", json=again)).status_code == 409
    assert (await admin.delete(f"{V3}/regions/RegionOne")).status_code == 403
    assert (await admin.delete(f"{V3}/regions/north")).status_code == 204
    assert (await admin.get(f"{V3}/regions/east")).status_code == 404


async def test_endpoints_chosen_for_a_project(
    admin: httpx2.AsyncClient, demo: httpx2.AsyncClient
) -> None:
    filters = f"{V3}/OS-EP-FILTER"
    project = await _id(admin, "projects", "demo")
    found = (await admin.get(f"{V3}/endpoints?interface=internal")).json()["endpoints"]
    one = found[0]["id"]

    async def seen() -> set[str]:
        catalog = (await demo.get(f"{V3}/auth/catalog")).json()["catalog"]
        return {endpoint["id"] for service in catalog for endpoint in service["endpoints"]}

    assert len(await seen()) == 15
    url = f"{filters}/projects/{project}/endpoints/{one}"
    assert (await admin.head(url)).status_code == 404
    assert (await admin.put(url)).status_code == 204
    assert (await admin.put(url)).status_code == 409
    assert (await admin.head(url)).status_code == 204
    assert await seen() == {one}
    group = await make_group(admin, name="public", filters={"interface": "public"})
    chosen = f"{filters}/endpoint_groups/{group}"
    assert (await admin.put(f"{chosen}/projects/{project}")).status_code == 204
    assert (await admin.get(f"{chosen}/projects/{project}")).status_code == 200
    assert len(await seen()) == 6
    listed = (await admin.get(f"{filters}/projects/{project}/endpoints")).json()["endpoints"]
    assert {endpoint["id"] for endpoint in listed} == await seen()
    for path in (f"{chosen}/projects", f"{filters}/endpoints/{one}/projects"):
        assert [p["id"] for p in (await admin.get(path)).json()["projects"]] == [project]
    groups = (await admin.get(f"{filters}/projects/{project}/endpoint_groups")).json()
    assert [found["id"] for found in groups["endpoint_groups"]] == [group]
    assert len((await admin.get(f"{chosen}/endpoints")).json()["endpoints"]) == 5
    await admin.patch(chosen, json={"endpoint_group": {"filters": {"interface": "admin"}}})
    assert len((await admin.get(f"{chosen}/endpoints")).json()["endpoints"]) == 5
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.delete(chosen)).status_code == 204
    assert len(await seen()) == 15
    wrong = {"endpoint_group": {"name": "x", "filters": {"colour": "red"}}}
    assert (await admin.post(f"{filters}/endpoint_groups", json=wrong)).status_code == 400


async def make_group(admin: httpx2.AsyncClient, **body: Any) -> str:
    url = f"{V3}/OS-EP-FILTER/endpoint_groups"
    answer = await admin.post(url, json={"endpoint_group": body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["endpoint_group"]["id"])


async def test_a_second_start_finds_everything_and_moves_the_urls(tmp_path: Path) -> None:
    async with running(tmp_path, ["identity"]) as cloud, cloud.client() as admin:
        admin.headers["x-auth-token"] = await cloud.login()
        before = (await admin.get(f"{V3}/endpoints")).json()["endpoints"]
        url = f"{V3}/endpoints/{before[0]['id']}"
        await admin.patch(url, json={"endpoint": {"url": "http://mine"}})
        await admin.delete(f"{V3}/users/{await _id(admin, 'users', 'demo')}")
    async with running(tmp_path, ["identity"]) as cloud, cloud.client() as admin:
        admin.headers["x-auth-token"] = await cloud.login()
        after = (await admin.get(f"{V3}/endpoints")).json()["endpoints"]
        assert await _id(admin, "users", "demo") == ""  # what was deleted stays so
    assert after[0]["url"] == "http://mine"
    assert after[1:] == before[1:]


async def _id(admin: httpx2.AsyncClient, kind: str, name: str) -> str:
    found = (await admin.get(f"{V3}/{kind}?name={name}")).json()[kind]
    return str(found[0]["id"]) if found else ""


async def test_limits(admin: httpx2.AsyncClient, demo: httpx2.AsyncClient) -> None:
    service = await make(admin, "service", type="t")
    project = await _id(admin, "projects", "demo")
    registered = {"service_id": service["id"], "resource_name": "cars", "default_limit": 5}
    many = {"registered_limits": [registered, registered | {"resource_name": "bikes"}]}
    made = await admin.post(f"{V3}/registered_limits", json=many)
    assert made.status_code == 201
    cars, bikes = made.json()["registered_limits"]
    assert (await admin.post(f"{V3}/registered_limits", json=many)).status_code == 409
    one = {"service_id": service["id"], "resource_name": "cars", "resource_limit": 7}
    limits = [one | {"project_id": project}, one | {"domain_id": "default"}]
    made = await admin.post(f"{V3}/limits", json={"limits": limits})
    assert made.status_code == 201, made.text
    mine, domains = made.json()["limits"]
    assert (mine["project_id"], mine["domain_id"]) == (project, None)
    assert (domains["project_id"], domains["domain_id"]) == (None, "default")
    again = await admin.post(f"{V3}/limits", json={"limits": limits[:1]})
    assert again.status_code == 409
    unknown = {"limits": [one | {"resource_name": "x", "project_id": project}]}
    assert (await admin.post(f"{V3}/limits", json=unknown)).status_code == 403
    nobody = {"limits": [one | {"project_id": "none"}]}
    assert (await admin.post(f"{V3}/limits", json=nobody)).status_code == 400
    seen = (await demo.get(f"{V3}/limits")).json()["limits"]
    assert [limit["id"] for limit in seen] == [mine["id"]]
    assert len((await admin.get(f"{V3}/limits?resource_name=cars")).json()["limits"]) == 2
    assert (await admin.get(f"{V3}/limits?resource_name=bikes")).json()["limits"] == []
    url = f"{V3}/limits/{mine['id']}"
    patched = await admin.patch(url, json={"limit": {"resource_limit": 9}})
    assert patched.json()["limit"]["resource_limit"] == 9
    assert (await admin.delete(f"{V3}/registered_limits/{cars['id']}")).status_code == 403
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.delete(f"{V3}/registered_limits/{bikes['id']}")).status_code == 204
    assert (await demo.get(f"{V3}/limits/model")).json()["model"]["name"] == "flat"


async def test_policy_documents(admin: httpx2.AsyncClient) -> None:
    body = {"policy": {"blob": "rules", "type": "text/plain", "for": "nova"}}
    made = await admin.post(f"{V3}/policies", json=body)
    assert made.status_code == 201
    policy = made.json()["policy"]
    assert policy["for"] == "nova" and policy["links"]["self"].endswith(f"policies/{policy['id']}")
    url = f"{V3}/policies/{policy['id']}"
    changed = await admin.patch(url, json={"policy": {"type": "text/csv"}})
    assert changed.json()["policy"] == policy | {"type": "text/csv"}
    for query, count in (("", 1), ("?type=text/csv", 1), ("?type=text/plain", 0)):
        assert len((await admin.get(f"{V3}/policies{query}")).json()["policies"]) == count
    for wrong in ({}, {"blob": "b"}, {"blob": 1, "type": "t"}, {"blob": "b", "type": "t" * 256}):
        assert (await admin.post(f"{V3}/policies", json={"policy": wrong})).status_code == 400
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(url)).status_code == 404
