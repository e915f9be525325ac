# SPDX-License-Identifier: Apache-2.0
"""Credentials, EC2 keys, application credentials and their access rules."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.base import clock
from octostack.testing.cloud import TestCloud

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"


async def me(client: httpx2.AsyncClient) -> Any:
    token = client.headers["x-auth-token"]
    answer = await client.get(f"{V3}/auth/tokens", headers={"x-subject-token": token})
    return answer.json()["token"]


async def applications(client: httpx2.AsyncClient) -> str:
    return f"{V3}/users/{(await me(client))['user']['id']}/application_credentials"


async def by_application(cloud: TestCloud, id: str, secret: str, **auth: Any) -> httpx2.Response:
    credential = {"id": id, "secret": secret}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    async with cloud.client() as client:
        return await client.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity} | auth})


async def create(client: httpx2.AsyncClient, **body: Any) -> Any:
    url = await applications(client)
    answer = await client.post(url, json={"application_credential": {"name": "robot"} | body})
    assert answer.status_code == 201, answer.text
    return answer.json()["application_credential"]


async def test_blobs_lie_sealed(cloud: TestCloud, demo: httpx2.AsyncClient, tmp_path: Path) -> None:
    user = (await me(demo))["user"]["id"]
    body = {"user_id": user, "type": "cert", "blob": "canary-of-the-mine", "colour": "red"}
    made = (await demo.post(f"{V3}/credentials", json={"credential": body})).json()["credential"]
    assert body.items() <= made.items()
    url = f"{V3}/credentials/{made['id']}"
    patched = await demo.patch(url, json={"credential": {"blob": "canary-of-the-wood"}})
    assert patched.json()["credential"]["blob"] == "canary-of-the-wood"
    assert (await demo.get(url)).json()["credential"]["colour"] == "red"
    for path in (tmp_path / "db").rglob("*"):
        assert b"canary-of" not in path.read_bytes()
    listed = (await demo.get(f"{V3}/credentials?type=cert")).json()["credentials"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert (await demo.delete(url)).status_code == 204
    assert (await demo.get(url)).status_code == 403


async def test_ones_credentials_are_ones_own(
    admin: httpx2.AsyncClient, demo: httpx2.AsyncClient
) -> None:
    operator = (await me(admin))["user"]["id"]
    body = {"credential": {"user_id": operator, "type": "cert", "blob": "x"}}
    made = (await admin.post(f"{V3}/credentials", json=body)).json()["credential"]
    assert (await demo.get(f"{V3}/credentials/{made['id']}")).status_code == 403
    assert (await demo.get(f"{V3}/credentials")).json()["credentials"] == []
    assert (await demo.post(f"{V3}/credentials", json=body)).status_code == 403
    mine = {"credential": body["credential"] | {"user_id": (await me(demo))["user"]["id"]}}
    own = (await demo.post(f"{V3}/credentials", json=mine)).json()["credential"]
    stolen = await demo.patch(f"{V3}/credentials/{own['id']}", json=body)
    assert stolen.status_code == 403


async def test_ec2_keys(admin: httpx2.AsyncClient, demo: httpx2.AsyncClient) -> None:
    token = await me(demo)
    url = f"{V3}/users/{token['user']['id']}/credentials/OS-EC2"
    made = await demo.post(url, json={"tenant_id": token["project"]["id"]})
    assert made.status_code == 201
    key = made.json()["credential"]
    one = f"{url}/{key['access']}"
    assert (await demo.get(one)).json()["credential"] == key
    assert (await demo.get(url)).json()["credentials"] == [key]
    stored = (await demo.get(f"{V3}/credentials?type=ec2")).json()["credentials"]
    assert json.loads(stored[0]["blob"])["secret"] == key["secret"]
    other = f"{V3}/users/{(await me(admin))['user']['id']}/credentials/OS-EC2/{key['access']}"
    assert (await demo.get(other)).status_code == 403
    assert (await admin.get(other)).status_code == 404
    assert (await demo.delete(one)).status_code == 204
    assert (await demo.get(one)).status_code == 404


@pytest.mark.parametrize("blob", ["", "x", "[]", "{}", '{"access": 1}'])
async def test_an_ec2_blob_must_have_a_key(admin: httpx2.AsyncClient, blob: str) -> None:
    user = (await me(admin))["user"]["id"]
    body = {"user_id": user, "type": "ec2", "blob": blob, "project_id": "p"}
    answer = await admin.post(f"{V3}/credentials", json={"credential": body})
    assert answer.status_code == 400


async def test_an_application_credentials_life(cloud: TestCloud, demo: httpx2.AsyncClient) -> None:
    made = await create(demo, description="d", roles=[{"name": "reader"}])
    secret = made.pop("secret")
    assert [role["name"] for role in made["roles"]] == ["reader"]
    url = f"{await applications(demo)}/{made['id']}"
    assert (await demo.get(url)).json()["application_credential"] == made
    answer = await by_application(cloud, made["id"], secret)
    token = answer.json()["token"]
    assert token["methods"] == ["application_credential"]
    assert token["project"]["name"] == "demo"
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"] == {
        "id": made["id"],
        "name": "robot",
        "restricted": True,
    }
    assert (await by_application(cloud, made["id"], secret + "x")).status_code == 401
    assert (await by_application(cloud, "none", secret)).status_code == 401
    elsewhere = {"scope": {"project": {"id": "other"}}}
    assert (await by_application(cloud, made["id"], secret, **elsewhere)).status_code == 401
    async with cloud.client(answer.headers["x-subject-token"]) as robot:
        assert (await robot.get(f"{V3}/auth/projects")).status_code == 200
        assert (await demo.delete(url)).status_code == 204
        assert (await robot.get(f"{V3}/auth/projects")).status_code == 401
    assert (await by_application(cloud, made["id"], secret)).status_code == 401


async def test_by_the_users_name(cloud: TestCloud, demo: httpx2.AsyncClient) -> None:
    await create(demo, secret="given words")
    user = {"name": "demo", "domain": {"id": "default"}}
    credential = {"name": "robot", "user": user, "secret": "given words"}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    async with cloud.client() as client:
        answer = await client.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
    assert answer.status_code == 201
    again = await demo.post(
        await applications(demo), json={"application_credential": {"name": "robot"}}
    )
    assert again.status_code == 409


async def test_it_gives_no_more_than_its_owner_has(
    cloud: TestCloud, admin: httpx2.AsyncClient, demo: httpx2.AsyncClient
) -> None:
    url = await applications(demo)
    body = {"application_credential": {"name": "x", "roles": [{"name": "admin"}]}}
    assert (await demo.post(url, json=body)).status_code == 400
    made = await create(demo)
    token = await by_application(cloud, made["id"], made["secret"])
    ids = {r["name"]: r["id"] for r in (await admin.get(f"{V3}/roles")).json()["roles"]}
    mine = await me(demo)
    grants = f"{V3}/projects/{mine['project']['id']}/users/{mine['user']['id']}/roles"
    await admin.put(f"{grants}/{ids['reader']}")
    await admin.delete(f"{grants}/{ids['member']}")
    async with cloud.client(token.headers["x-subject-token"]) as robot:
        assert [role["name"] for role in (await me(robot))["roles"]] == ["reader"]


async def test_a_robot_makes_no_robots_unless_it_may(
    cloud: TestCloud, demo: httpx2.AsyncClient
) -> None:
    url = await applications(demo)
    for unrestricted, status in ((False, 403), (True, 201)):
        made = await create(demo, name=f"robot{unrestricted}", unrestricted=unrestricted)
        token = await by_application(cloud, made["id"], made["secret"])
        async with cloud.client(token.headers["x-subject-token"]) as robot:
            child = {"application_credential": {"name": f"child{unrestricted}"}}
            assert (await robot.post(url, json=child)).status_code == status
            rescoped = {"methods": ["token"], "token": {"id": robot.headers["x-auth-token"]}}
            answer = await robot.post(f"{V3}/auth/tokens", json={"auth": {"identity": rescoped}})
            assert answer.status_code == 403


async def test_it_expires(cloud: TestCloud, demo: httpx2.AsyncClient) -> None:
    url = await applications(demo)
    for text in ("yesterday", "2001-01-01T00:00:00", "9" * 60):
        body = {"application_credential": {"name": "x", "expires_at": text}}
        assert (await demo.post(url, json=body)).status_code == 400
    soon = clock.iso(clock.now() + 600, micros=True, suffix="")
    made = await create(demo, expires_at=soon)
    assert made["expires_at"] == soon
    answer = await by_application(cloud, made["id"], made["secret"])
    assert answer.json()["token"]["expires_at"] <= soon


async def test_access_rules_bind_the_token(cloud: TestCloud, demo: httpx2.AsyncClient) -> None:
    rules = [
        {"service": "identity", "method": "GET", "path": "/v3/auth/projects"},
        {"service": "identity", "method": "GET", "path": "/v3/users/*/groups"},
        {"service": "compute", "method": "GET", "path": "/v3/**"},
    ]
    made = await create(demo, access_rules=rules)
    assert [{k: r[k] for k in rules[0]} for r in made["access_rules"]] == rules
    answer = await by_application(cloud, made["id"], made["secret"])
    token = answer.headers["x-subject-token"]
    assert len(answer.json()["token"]["application_credential"]["access_rules"]) == 3
    user = (await me(demo))["user"]["id"]
    async with cloud.client(token) as robot:
        for method, path, status in (
            ("GET", "/v3/auth/projects", 200),
            ("POST", "/v3/auth/projects", 401),
            ("GET", "/v3/auth/domains", 401),
            ("GET", f"/v3/users/{user}/groups", 200),
            ("GET", f"/v3/users/{user}", 401),
            ("GET", f"/v3/users/{user}/x/groups", 401),
        ):
            answer = await robot.request(method, f"/identity{path}")
            assert answer.status_code == status, path
    subject = {"x-subject-token": token}
    # A service that does not know of access rules would let it do everything.
    assert (await demo.get(f"{V3}/auth/tokens", headers=subject)).status_code == 404
    subject["openstack-identity-access-rules"] = "1.0"
    assert (await demo.get(f"{V3}/auth/tokens", headers=subject)).status_code == 200


async def test_access_rules_are_shared_and_stay_while_used(demo: httpx2.AsyncClient) -> None:
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
    one = await create(demo, name="one", access_rules=[rule])
    two = await create(demo, name="two", access_rules=[rule, {"id": one["access_rules"][0]["id"]}])
    assert two["access_rules"][0] == one["access_rules"][0]
    url = (await applications(demo)).replace("application_credentials", "access_rules")
    listed = (await demo.get(url)).json()["access_rules"]
    assert len(listed) == 1
    rule_url = f"{url}/{listed[0]['id']}"
    assert (await demo.get(rule_url)).status_code == 200
    assert (await demo.delete(rule_url)).status_code == 403
    for made in (one, two):
        await demo.delete(f"{await applications(demo)}/{made['id']}")
    assert (await demo.delete(rule_url)).status_code == 204
    assert (await demo.get(rule_url)).status_code == 404
