# SPDX-License-Identifier: Apache-2.0
"""Anything may come in: the answer is never a 5xx, and nothing secret goes into a log."""

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octostack.base import log
from octostack.runtime.http import Route
from octostack.services.identity.routes import ROUTES
from octostack.testing.cloud import TestCloud, running

pytestmark = pytest.mark.anyio

WITH_BODY = [route for route in ROUTES if route.body is not None]
LISTS = [route for route in ROUTES if route.method == "GET" and not route.path.endswith("}")]
TRIED = "d0" * 16  # a domain that may be disabled: the administrator's own must not be

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "\0", "é", "../../etc/passwd", "'; DROP TABLE users; --", "x" * 70000]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def _like(definition: Any) -> st.SearchStrategy[Any]:
    """Values near what a schema asks for, so that they get past its first lines."""
    if not isinstance(definition, dict):
        return values
    if "anyOf" in definition and "type" not in definition:
        return st.one_of(*map(_like, definition["anyOf"]), values)
    if "enum" in definition:
        return st.one_of(st.sampled_from(definition["enum"]), values)
    kind = definition.get("type")
    if kind == "object":
        properties = {k: _like(v) for k, v in definition.get("properties", {}).items()}
        required = {k: v for k, v in properties.items() if k in definition.get("required", ())}
        optional = {k: v for k, v in properties.items() if k not in required}
        whole = st.fixed_dictionaries(required, optional=optional)
        if definition.get("additionalProperties", True):
            extra = st.dictionaries(st.text(max_size=8), values, max_size=2)
            return st.builds(lambda a, b: b | a, whole, extra)
        return whole
    if kind == "array":
        return st.lists(_like(definition.get("items")), min_size=1, max_size=3)
    if kind == "integer":
        return st.one_of(st.integers(-1, 2**31 - 1), values)
    if kind == "boolean":
        return st.booleans()
    if kind == "string":
        ids = st.sampled_from(["default", "none", "RegionOne", "http://x/$(project_id)s", "/"])
        return st.one_of(ids, st.text(min_size=1, max_size=40), texts)
    return values


bodies = st.sampled_from(WITH_BODY).flatmap(
    lambda route: st.tuples(st.just(route), _like(route.body.definition))
)


@pytest.fixture(scope="module")
async def admin(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    path = tmp_path_factory.mktemp("cloud")
    async with running(path, ["identity"]) as cloud, cloud.client() as client:
        client.headers["x-auth-token"] = await cloud.login("admin", None, system={"all": True})
        domain = {"name": "tried", "explicit_domain_id": TRIED}
        answer = await client.post("/identity/v3/domains", json={"domain": domain})
        assert answer.status_code == 201, answer.text
        yield client


def _path(route: Route) -> str:
    names = {p[1:-1]: TRIED for p in route.path.split("/") if p.startswith("{")}
    return "/identity" + route.path.format(**names)


def _check(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.json()["error"]["code"] == answer.status_code


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(case=bodies)
async def test_bodies(admin: httpx2.AsyncClient, case: tuple[Route, Any]) -> None:
    route, body = case
    try:
        content = _json(body)
    except (ValueError, UnicodeEncodeError):
        return
    answer = await admin.request(route.method, _path(route), content=content)
    _check(answer)


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body, allow_nan=False).encode()


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"\xff", b'{"a":' * 2000, b'"x"', b"{}"]
)
async def test_what_is_no_body(admin: httpx2.AsyncClient, route: Route, content: bytes) -> None:
    answer = await admin.request(route.method, _path(route), content=content)
    assert answer.status_code == 400, answer.text
    _check(answer)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    route=st.sampled_from(LISTS),
    query=st.dictionaries(
        st.sampled_from(
            ["name", "name__contains", "name__nothing", "limit", "marker", "enabled", "domain_id",
             "tags", "parent_id", "user.id", "scope.project.id", "effective", "include_names",
             "include_subtree", "password_expires_at", "type", "region_id", "service_id"]
        ),
        st.one_of(texts.map(lambda text: text[:200]), st.integers().map(str)),
        max_size=4,
    ),
)  # fmt: skip
async def test_queries(admin: httpx2.AsyncClient, route: Route, query: dict[str, str]) -> None:
    try:
        answer = await admin.get(_path(route), params=query)
    except UnicodeEncodeError:
        return
    _check(answer)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    route=st.sampled_from([route for route in ROUTES if "{" in route.path]),
    id=st.sampled_from(["%00", "..%2f..", "%ff", "x" * 300, "%20", "'", "%25s", "é", "-"]),
)
async def test_ids(admin: httpx2.AsyncClient, route: Route, id: str) -> None:
    names = {p[1:-1]: id for p in route.path.split("/") if p.startswith("{")}
    answer = await admin.request(route.method, "/identity" + route.path.format(**names), json={})
    _check(answer)


@pytest.mark.parametrize("name", ["x-auth-token", "x-subject-token"])
@pytest.mark.parametrize("value", [b"", b"x", b"gAAAAA" + b"A" * 5000, b"\xc3\xa9", b"=" * 64])
async def test_tokens_that_are_none(admin: httpx2.AsyncClient, name: str, value: bytes) -> None:
    answer = await admin.get("/identity/v3/auth/tokens", headers=[(name.encode(), value)])
    assert answer.status_code in (400, 401, 404)
    _check(answer)


async def test_no_secret_in_a_log(cloud: TestCloud) -> None:
    """Whatever is secret in this conversation, at the most talkative level."""
    stream = io.StringIO()
    log.configure(stream=stream, level="debug")
    try:
        secrets = await _talk(cloud)
    finally:
        log.configure(level="warning")
    written = stream.getvalue()
    assert "/identity/v3/auth/tokens" in written  # the conversation was noticed
    for secret in secrets:
        assert secret not in written


async def _talk(cloud: TestCloud) -> list[str]:
    token = await cloud.login()
    secrets = [token, cloud.runtime.secrets.text("admin-password"), "canary-word", "canary-blob"]
    async with cloud.client(token) as admin:
        subject = {"x-subject-token": token}
        shown = await admin.get("/identity/v3/auth/tokens", headers=subject)
        user = shown.json()["token"]["user"]["id"]
        for path, body in (
            ("users", {"user": {"name": "eve", "password": "canary-word"}}),
            ("users", {"user": {"name": 5, "password": "canary-word"}}),
            ("users", {"user": {"name": "eve", "password": ["canary-word"]}}),
            ("credentials", {"credential": {"user_id": user, "type": "x", "blob": "canary-blob"}}),
            ("credentials", {"credential": {"user_id": user, "type": "x", "blob": 5}}),
        ):
            answer = await admin.post(f"/identity/v3/{path}", json=body)
            if answer.status_code == 400:
                assert "canary" not in answer.text
        url = f"/identity/v3/users/{user}/application_credentials"
        made = await admin.post(url, json={"application_credential": {"name": "robot"}})
        secrets.append(made.json()["application_credential"]["secret"])
        wrong = {"user": {"original_password": "canary-word", "password": "canary-word2"}}
        await admin.post(f"/identity/v3/users/{user}/password", json=wrong)
        await admin.delete("/identity/v3/auth/tokens", headers=subject)
    return secrets
