# SPDX-License-Identifier: Apache-2.0
"""Logins and tokens over HTTP."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.base import clock
from octostack.services.identity.store.keys import KeyRing
from octostack.testing.cloud import TestCloud

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"
TOKENS = f"{V3}/auth/tokens"


class Later(clock.Source):
    """The real time, moved."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def show(client: httpx2.AsyncClient, token: str, query: str = "") -> httpx2.Response:
    return await client.get(TOKENS + query, headers={"x-subject-token": token})


async def login(client: httpx2.AsyncClient, identity: Any, scope: Any = None) -> httpx2.Response:
    auth = {"identity": identity} | ({"scope": scope} if scope else {})
    return await client.post(TOKENS, json={"auth": auth})


def by_password(cloud: TestCloud, user: str) -> Any:
    password = cloud.runtime.secrets.text(f"{user}-password")
    user_of = {"name": user, "domain": {"id": "default"}, "password": password}
    return {"methods": ["password"], "password": {"user": user_of}}


def by_token(token: str) -> Any:
    return {"methods": ["token"], "token": {"id": token}}


async def test_login_and_look(cloud: TestCloud) -> None:
    token = await cloud.login("demo", "demo")
    async with cloud.client(token) as client:
        answer = await show(client, token)
        head = await client.head(TOKENS, headers={"x-subject-token": token})
        bare = await show(client, token, "?nocatalog")
    assert answer.status_code == 200, answer.text
    shown = answer.json()["token"]
    assert shown["project"]["name"] == "demo"
    assert shown["methods"] == ["password"]
    assert {role["name"] for role in shown["roles"]} == {"member", "reader"}
    assert {service["type"] for service in shown["catalog"]} == {
        "identity", "image", "compute", "placement", "network",
    }  # fmt: skip
    assert answer.headers["vary"] == "X-Auth-Token"
    assert answer.headers["x-subject-token"] == token
    assert (head.status_code, head.content) == (200, b"")
    assert "catalog" not in bare.json()["token"]


async def test_every_scope(cloud: TestCloud) -> None:
    async with cloud.client() as client:
        identity = by_password(cloud, "admin")
        domain = await login(client, identity, {"domain": {"name": "Default"}})
        system = await login(client, identity, {"system": {"all": True}})
        unscoped = await login(client, identity, "unscoped")
        default = await login(client, identity)
    assert domain.json()["token"]["domain"] == {"id": "default", "name": "Default"}
    assert system.json()["token"]["system"] == {"all": True}
    assert not {"roles", "catalog", "project"} & set(unscoped.json()["token"])
    assert default.json()["token"]["project"]["name"] == "admin"


async def test_a_token_for_a_token_ends_with_it(cloud: TestCloud) -> None:
    first = await cloud.login("admin", "admin")
    async with cloud.client(first) as client:
        other = {"project": {"name": "demo", "domain": {"id": "default"}}}
        second = await login(client, by_token(first), other)
        parent = (await show(client, first)).json()["token"]
    assert second.status_code == 201
    child = second.json()["token"]
    assert child["methods"] == ["token", "password"]
    assert child["expires_at"] == parent["expires_at"]
    assert child["audit_ids"][1] == parent["audit_ids"][0]


async def test_versions(cloud: TestCloud) -> None:
    async with cloud.client() as client:
        many, one = await client.get("/identity"), await client.get("/identity/v3/")
    assert many.status_code == 300
    version = many.json()["versions"]["values"][0]
    assert version == one.json()["version"]
    assert version["links"][0]["href"] == "http://cloud.test/identity/v3/"


async def test_revoked_at_once_everywhere(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    token = await cloud.login("demo", "demo")
    async with cloud.client(token) as client:
        subject = {"x-subject-token": token}
        assert (await client.get(f"{V3}/auth/projects")).status_code == 200
        assert (await client.delete(TOKENS, headers=subject)).status_code == 204
        again = await client.get(f"{V3}/auth/projects")
        fresh = await client.post(TOKENS, json={"auth": {"identity": by_password(cloud, "demo")}})
        cloud_of = cloud.client(fresh.headers["x-subject-token"])
    assert again.status_code == 401
    assert again.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'
    gone = await show(admin, token)
    assert gone.status_code == 404
    assert (await cloud_of.get(f"{V3}/auth/projects")).status_code == 200


async def test_events_for_who_keeps_tokens(cloud: TestCloud, admin: httpx2.AsyncClient) -> None:
    url = f"{V3}/OS-REVOKE/events"
    assert (await admin.get(url)).json()["events"] == []
    token = await cloud.login("demo", "demo")
    audit = (await show(admin, token)).json()["token"]["audit_ids"][0]
    await admin.delete(TOKENS, headers={"x-subject-token": token})
    (event,) = (await admin.get(url)).json()["events"]
    assert event["audit_id"] == audit
    assert (await admin.get(f"{url}?since=2999-01-01T00:00:00Z")).json()["events"] == []
    assert (await admin.get(f"{url}?since=x")).status_code == 400


async def test_a_token_expires(cloud: TestCloud) -> None:
    time = Later()
    token = await cloud.login("demo", "demo")
    with clock.installed(time):
        time.ahead_s = 3600
        fresh = await cloud.login("admin", "admin")
        async with cloud.client(token) as old, cloud.client(fresh) as admin:
            assert (await old.get(f"{V3}/auth/projects")).status_code == 401
            assert (await show(admin, token)).status_code == 404
            assert (await show(admin, token, "?allow_expired=1")).status_code == 200
        time.ahead_s += 200_000
        fresh = await cloud.login("admin", "admin")
        async with cloud.client(fresh) as admin:
            assert (await show(admin, token, "?allow_expired=1")).status_code == 404


async def test_rotated_keys_keep_tokens_good(cloud: TestCloud, tmp_path: Path) -> None:
    token = await cloud.login("demo", "demo")
    KeyRing(tmp_path / "identity" / "fernet-keys").rotate()
    cloud.runtime.on_tokens_changed[0]()
    async with cloud.client(token) as client:
        assert (await client.get(f"{V3}/auth/projects")).status_code == 200
        assert (await show(client, await cloud.login("demo", "demo"))).status_code == 200


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        ({}, 400),
        ({"identity": {}}, 400),
        ({"identity": {"methods": []}}, 400),
        ({"identity": {"methods": ["password"]}}, 400),
        ({"identity": {"methods": ["saml2"], "saml2": {}}}, 401),
        ({"identity": {"methods": ["token"], "token": {"id": "x"}}}, 404),
        ({"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}, 400),
        (
            {"identity": {"methods": ["password"],
                          "password": {"user": {"name": "demo", "password": "x"}}}},
            400,
        ),
        (
            {"identity": {"methods": ["password"],
                          "password": {"user": {"id": "nobody", "password": "x"}}}},
            401,
        ),
    ],
)  # fmt: skip
async def test_what_is_no_login(cloud: TestCloud, auth: Any, status: int) -> None:
    async with cloud.client() as client:
        answer = await client.post(TOKENS, json={"auth": auth})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert set(error) == {"code", "message", "title"}


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"project": {"id": "nothing"}}, 401),
        ({"project": {"name": "admin", "domain": {"id": "default"}}}, 401),
        ({"project": {"name": "admin"}}, 400),
        ({"domain": {"id": "default"}}, 401),
        ({"domain": {}}, 400),
        ({"system": {"all": True}}, 401),
        ({"system": {}}, 400),
        ({"OS-TRUST:trust": {"id": "x"}}, 401),
        ({"project": {"id": "a"}, "domain": {"id": "b"}}, 400),
        ("everything", 400),
    ],
)
async def test_no_scope_without_a_role(cloud: TestCloud, scope: Any, status: int) -> None:
    async with cloud.client() as client:
        answer = await login(client, by_password(cloud, "demo"), scope)
    assert answer.status_code == status, answer.text


async def test_who_asks_about_no_token(admin: httpx2.AsyncClient) -> None:
    assert (await admin.get(TOKENS)).status_code == 400
    assert (await show(admin, "gAAAAA")).status_code == 404


async def test_service_tokens_and_lookups_over_the_contract(cloud: TestCloud) -> None:
    from octostack.base.errors import NotFound
    from octostack.contracts.identity import Identity

    identity = cloud.runtime.bus.stub(Identity)
    caller = await identity.authenticate(await identity.service_token("nova"))
    assert (caller.user_name, caller.project_name) == ("nova", "service")
    assert {"admin", "service"} <= set(caller.roles)
    assert caller.project_id is not None
    assert (await identity.get_project(caller.project_id)).domain_id == "default"
    assert (await identity.get_user(caller.user_id)).name == "nova"
    assert (await identity.get_domain("default")).enabled
    assert caller.project_id in await identity.list_project_ids()
    for ask in (identity.get_project, identity.get_user, identity.get_domain):
        with pytest.raises(NotFound):
            await ask("none")
    with pytest.raises(NotFound):
        await identity.service_token("demo2")
