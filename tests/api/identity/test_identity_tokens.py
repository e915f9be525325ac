# SPDX-License-Identifier: Apache-2.0
"""Logins and tokens over HTTP."""

import httpx2
import pytest

from octostack.testing.cloud import TestCloud

pytestmark = pytest.mark.anyio


async def test_login_and_look(cloud: TestCloud) -> None:
    token = await cloud.login("demo", "demo")
    async with cloud.client(token) as client:
        answer = await client.get("/identity/v3/auth/tokens", headers={"x-subject-token": token})
    assert answer.status_code == 200, answer.text
    shown = answer.json()["token"]
    assert shown["project"]["name"] == "demo"
    assert {role["name"] for role in shown["roles"]} == {"member", "reader"}
    assert {service["type"] for service in shown["catalog"]} == {
        "identity", "image", "compute", "placement", "network",
    }  # fmt: skip
    assert answer.headers["vary"] == "X-Auth-Token"


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
        assert (await client.get("/identity/v3/auth/projects")).status_code == 200
        assert (await client.delete("/identity/v3/auth/tokens", headers=subject)).status_code == 204
        again = await client.get("/identity/v3/auth/projects")
    assert again.status_code == 401
    assert again.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'
    gone = await admin.get("/identity/v3/auth/tokens", headers=subject)
    assert gone.status_code == 404
