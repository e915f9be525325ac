# SPDX-License-Identifier: Apache-2.0
"""Users, their passwords, their groups."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.testing.cloud import TestCloud, running

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"


async def make(admin: httpx2.AsyncClient, kind: str, **body: Any) -> Any:
    answer = await admin.post(f"{V3}/{kind}s", json={kind: body})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


async def login(cloud: TestCloud, user_id: str, password: str) -> httpx2.Response:
    user = {"id": user_id, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    async with cloud.client() as client:
        return await client.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})


async def change(cloud: TestCloud, user_id: str, old: str, new: str) -> httpx2.Response:
    body = {"user": {"original_password": old, "password": new}}
    async with cloud.client() as client:
        return await client.post(f"{V3}/users/{user_id}/password", json=body)


async def test_a_life(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    made = await make(admin, "user", name="eve", password="one", email="e@x", description="d")
    url = f"{V3}/users/{made['id']}"
    assert made["email"] == "e@x" and made["domain_id"] == "default" and made["enabled"]
    assert made["links"]["self"] == f"http://cloud.test{url}"
    assert not {"password", "hash", "extra", "failed_count"} & set(made)
    assert (await admin.get(url)).json()["user"] == made
    patched = await admin.patch(url, json={"user": {"name": "eva", "phone": "7"}})
    assert {"name": "eva", "phone": "7", "email": "e@x"}.items() <= patched.json()["user"].items()
    assert (await login(cloud, made["id"], "one")).status_code == 201
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(url)).status_code == 404
    assert (await login(cloud, made["id"], "one")).status_code == 401


async def test_names_are_unique_in_a_domain(admin: httpx2.AsyncClient) -> None:
    domain = await make(admin, "domain", name="other")
    await make(admin, "user", name="eve")
    await make(admin, "user", name="eve", domain_id=domain["id"])
    answer = await admin.post(f"{V3}/users", json={"user": {"name": "eve"}})
    assert answer.status_code == 409
    assert "Duplicate entry found with name eve" in answer.json()["error"]["message"]


async def test_lists_with_filters_and_pages(admin: httpx2.AsyncClient) -> None:
    made = [await make(admin, "user", name=f"Ann {i}", enabled=bool(i % 2)) for i in range(5)]

    async def names(query: str) -> list[str]:
        answer = await admin.get(f"{V3}/users?{query}")
        assert answer.status_code == 200, answer.text
        return sorted(user["name"] for user in answer.json()["users"])

    assert await names("name=Ann 3") == ["Ann 3"]
    assert await names("name__startswith=Ann&enabled=false") == ["Ann 0", "Ann 2", "Ann 4"]
    assert await names("name__icontains=ANN") == [user["name"] for user in made]
    assert await names("name__contains=ANN") == []
    assert await names("name__endswith=4&domain_id=default") == ["Ann 4"]
    seen: list[str] = []
    url = f"{V3}/users?name__startswith=Ann&limit=2"
    while url:
        page = (await admin.get(url)).json()
        assert len(page["users"]) <= 2
        seen += [user["id"] for user in page["users"]]
        url = page["links"]["next"]
    assert sorted(seen) == sorted(user["id"] for user in made)
    assert (await admin.get(f"{V3}/users?limit=x")).status_code == 400
    assert (await admin.get(f"{V3}/users?password_expires_at=lt:x")).status_code == 400


async def test_disabled_or_with_a_new_password_all_tokens_end(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    user = await make(admin, "user", name="eve", password="one")
    url = f"{V3}/users/{user['id']}"
    for body in ({"enabled": False}, {"password": "two"}):
        await admin.patch(url, json={"user": {"enabled": True, "password": "one"}})
        token = (await login(cloud, user["id"], "one")).headers["x-subject-token"]
        async with cloud.client(token) as client:
            assert (await client.get(url)).status_code == 200
            await admin.patch(url, json={"user": body})
            assert (await client.get(url)).status_code == 401
        await admin.patch(url, json={"user": {"enabled": True}})
        async with cloud.client(token) as client:
            assert (await client.get(url)).status_code == 401


async def test_one_changes_ones_own_password(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    user = await make(admin, "user", name="eve", password="one")
    token = (await login(cloud, user["id"], "one")).headers["x-subject-token"]
    assert (await change(cloud, user["id"], "wrong", "two")).status_code == 401
    assert (await change(cloud, "nobody", "one", "two")).status_code == 401
    assert (await change(cloud, user["id"], "one", "two")).status_code == 204
    assert (await login(cloud, user["id"], "one")).status_code == 401
    fresh = await login(cloud, user["id"], "two")
    assert fresh.status_code == 201
    for one, status in ((token, 401), (fresh.headers["x-subject-token"], 200)):
        async with cloud.client(one) as client:
            assert (await client.get(f"{V3}/auth/projects")).status_code == status
    locked = {"user": {"options": {"lock_password": True}}}
    await admin.patch(f"{V3}/users/{user['id']}", json=locked)
    assert (await change(cloud, user["id"], "two", "three")).status_code == 400


async def test_a_user_without_a_password_cannot_log_in(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    user = await make(admin, "user", name="eve")
    assert (await login(cloud, user["id"], "")).status_code == 401


async def test_options_are_merged_and_null_takes_them_away(admin: httpx2.AsyncClient) -> None:
    user = await make(admin, "user", name="eve", options={"lock_password": True})
    url = f"{V3}/users/{user['id']}"
    options = {"lock_password": None, "ignore_password_expiry": True}
    answer = await admin.patch(url, json={"user": {"options": options}})
    assert answer.json()["user"]["options"] == {"ignore_password_expiry": True}
    answer = await admin.patch(url, json={"user": {"options": {"nonsense": True}}})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "enabled": "yes"}, "enabled"),
        ({"name": "x", "domain_id": "../.."}, "domain_id"),
        ({"name": "x", "default_project_id": "default"}, "default project"),
        ({"domain_id": "default"}, "name"),
    ],
)
async def test_what_is_wrong_is_named(admin: httpx2.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.post(f"{V3}/users", json={"user": body})
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


async def test_a_domain_that_is_not_there(admin: httpx2.AsyncClient) -> None:
    answer = await admin.post(f"{V3}/users", json={"user": {"name": "x", "domain_id": "none"}})
    assert answer.status_code == 404


async def test_the_domain_stays(admin: httpx2.AsyncClient) -> None:
    user = await make(admin, "user", name="eve")
    body = {"user": {"domain_id": "other"}}
    assert (await admin.patch(f"{V3}/users/{user['id']}", json=body)).status_code == 400


async def test_groups(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    user = await make(admin, "user", name="eve", password="one")
    group = await make(admin, "group", name="staff", description="d", colour="red")
    assert group["colour"] == "red"
    url = f"{V3}/groups/{group['id']}"
    member = f"{url}/users/{user['id']}"
    assert (await admin.head(member)).status_code == 404
    for _ in range(2):
        assert (await admin.put(member)).status_code == 204
    assert (await admin.get(member)).status_code == 204
    users = (await admin.get(f"{url}/users")).json()["users"]
    assert [one["id"] for one in users] == [user["id"]]
    groups = (await admin.get(f"{V3}/users/{user['id']}/groups")).json()["groups"]
    assert [one["id"] for one in groups] == [group["id"]]
    patched = await admin.patch(url, json={"group": {"name": "crew", "description": None}})
    assert patched.json()["group"]["description"] == ""
    assert (await admin.delete(member)).status_code == 204
    assert (await admin.delete(member)).status_code == 404
    assert (await admin.delete(url)).status_code == 204


async def test_a_role_by_a_group_goes_with_the_group(
    cloud: TestCloud, admin: httpx2.AsyncClient
) -> None:
    user = await make(admin, "user", name="eve", password="one")
    group = await make(admin, "group", name="staff")
    project = await make(admin, "project", name="garden")
    roles = {r["name"]: r["id"] for r in (await admin.get(f"{V3}/roles")).json()["roles"]}
    await admin.put(f"{V3}/groups/{group['id']}/users/{user['id']}")
    grant = f"{V3}/projects/{project['id']}/groups/{group['id']}/roles/{roles['reader']}"
    assert (await admin.put(grant)).status_code == 204
    default = {"user": {"default_project_id": project["id"]}}
    await admin.patch(f"{V3}/users/{user['id']}", json=default)
    token = (await login(cloud, user["id"], "one")).headers["x-subject-token"]
    async with cloud.client(token) as client:
        mine = (await client.get(f"{V3}/auth/projects")).json()["projects"]
        assert [one["name"] for one in mine] == ["garden"]
        await admin.delete(f"{V3}/groups/{group['id']}")
        assert (await client.get(f"{V3}/auth/projects")).status_code == 401


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[TestCloud]:
    rules = {
        "lockout_attempts": 2,
        "lockout_s": 1000,
        "unique_last_count": 2,
        "regex": r"^\D*\d\D*$",
        "regex_description": "one digit",
        "expires_days": 10,
    }
    configs = {"identity": {"passwords": rules}}
    async with running(tmp_path, ["identity"], configs=configs) as cloud:
        yield cloud


async def test_password_rules(strict: TestCloud) -> None:
    async with strict.client(await strict.login()) as admin:
        weak = await admin.post(f"{V3}/users", json={"user": {"name": "eve", "password": "word"}})
        assert weak.status_code == 400 and "one digit" in weak.json()["error"]["message"]
        user = await make(admin, "user", name="eve", password="word1")
        assert user["password_expires_at"] is not None
        assert (await change(strict, user["id"], "word1", "word2")).status_code == 204
        assert (await change(strict, user["id"], "word2", "word1")).status_code == 400
        assert (await change(strict, user["id"], "word2", "word3")).status_code == 204
        for _ in range(2):
            assert (await login(strict, user["id"], "wrong")).status_code == 401
        assert (await login(strict, user["id"], "word3")).status_code == 401
        await admin.patch(f"{V3}/users/{user['id']}", json={"user": {"enabled": True}})
        assert (await login(strict, user["id"], "word3")).status_code == 201
