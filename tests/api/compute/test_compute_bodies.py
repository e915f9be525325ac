# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is Compute's own fault and never a 5xx of ours."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.runtime.http import Versions
from octostack.services.compute.api.actions import ACTIONS
from octostack.services.compute.routes import ROUTES
from octostack.services.compute.schema import actions, servers

pytestmark = pytest.mark.anyio

ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 1e308, "", " ", "x" * 300, "\x00", "\ud7ff\uffff", "../../etc",
    "';--", [], [[]], {}, {"": ""}, {"id": None}, ["a", None],
    "00000000-0000-4000-8000-000000000000",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def test_reading_a_checked_body_never_crashes() -> None:
    """A body that the schema lets pass is read, or refused as Invalid."""
    whole: dict[str, Any] = {
        "name": "s", "flavorRef": "1", "networks": "none",
        "imageRef": "00000000-0000-4000-8000-000000000000",
    }  # fmt: skip
    fields = sorted(servers.CREATE.pairs[0][1].definition["properties"]["server"]["properties"])  # type: ignore[union-attr]

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(fields), JSON | st.sampled_from(ODD))
    def check(field: str, value: Any) -> None:
        body = {"server": whole | {field: value}}
        for version in ((2, 1), (2, 37), (2, 96)):
            schema = servers.CREATE.at(version)
            assert schema is not None
            try:
                schema.check(body)
                servers.read(body, version)
            except Invalid as e:
                assert e.message
            except Exception as e:
                assert type(e).__name__ == "Unsupported", (field, value, e)

    check()


def _mutants(schema: dict[str, Any], rng: random.Random, depth: int = 0) -> Any:
    """A body that is nearly right: of the schema's shape, with odd values in it."""
    if depth > 4 or rng.random() < 0.2:
        return rng.choice(ODD)
    if "properties" in schema:
        return {
            name: _mutants(part, rng, depth + 1)
            for name, part in schema["properties"].items()
            if name in schema.get("required", ()) or rng.random() < 0.3
        }
    if schema.get("type") == "array":
        return [_mutants(schema.get("items", {}), rng, depth + 1) for _ in range(rng.randint(0, 2))]
    if "enum" in schema:
        return rng.choice([*schema["enum"], rng.choice(ODD)])
    if "oneOf" in schema:
        return _mutants(rng.choice(schema["oneOf"]), rng, depth + 1)
    return rng.choice([*ODD, 1, "1", "a", "10.0.0.1"])


async def test_bodies(admin: Any, image: str) -> None:
    rng = random.Random(7)
    server_id = await admin.boot(image)
    there = {"server_id": server_id, "flavor_id": "1", "aggregate_id": "1", "key": "k", "tag": "t",
             "service_id": server_id, "project_id": "p1", "name": "default",
             "host": "host1", "group_id": server_id, "image_id": image}  # fmt: skip
    for route in [r for r in ROUTES if r.body is not None]:
        versioned = isinstance(route.body, Versions)
        bodies = [s for _, s in route.body.pairs] if versioned else [route.body]
        schema = next(s for s in bodies if s is not None)
        for _ in range(15):
            body = _mutants(schema.definition, rng)
            path, version = route.path.format(**there), "2.30" if route.until < (2, 90) else None
            answer = await admin.raw(route.method, path, body, version=version)
            fine = answer.status_code < 500 or answer.status_code == 501
            assert fine, (route.path, body, answer.text)
            if answer.status_code >= 400:
                ((kind, fault),) = answer.json().items()
                assert fault["code"] == answer.status_code and fault["message"], kind
    for name, action in ACTIONS.items():
        body = action.body or actions.plain(name)
        schema = body.pairs[0][1] if isinstance(body, Versions) else body
        for _ in range(5):
            mutant = _mutants(schema.definition, rng)
            answer = await admin.raw("POST", f"/servers/{server_id}/action", mutant)
            fine = answer.status_code < 500 or answer.status_code == 501
            assert fine, (name, mutant, answer.text)


async def test_queries_and_paths(admin: Any) -> None:
    odd = ["", "%00", "%ff", "x" * 2000, "-1", "9" * 30, "..%2f..", "%F0%9F%92%A9", "1e9", "None"]
    names = ["limit", "marker", "sort_key", "sort_dir", "name", "status", "changes-since", "tags",
             "ip", "deleted", "all_tenants", "power_state", "metadata", "offset", "is_public",
             "minRam", "start", "detailed", "user_id", "hypervisor_hostname_pattern",
             "with_servers", "tenant_id"]  # fmt: skip
    for route in [r for r in ROUTES if r.method == "GET" and r.until > (2, 90)]:
        for value in odd:
            path = route.path
            for part in ("server_id", "flavor_id", "aggregate_id", "group_id", "hypervisor_id",
                         "name", "key", "alias", "project_id", "token", "tag", "network",
                         "port_id", "request_id", "service_id"):  # fmt: skip
                path = path.replace("{" + part + "}", value or "x")
            query = "&".join(f"{n}={value}" for n in names[: 1 + len(value) % len(names)])
            answer = await admin.raw("GET", f"{path}?{query}")
            assert answer.status_code < 500, (path, query, answer.text)
    lists = ["/servers", "/servers/detail", "/flavors", "/os-hypervisors", "/limits",
             "/os-server-groups", "/os-keypairs", "/os-simple-tenant-usage"]  # fmt: skip
    for name in names:
        for value in odd:
            for path in lists:
                answer = await admin.raw("GET", f"{path}?{name}={value}", version="2.72")
                assert answer.status_code < 500, (path, name, value, answer.text)


async def test_broken_requests(cloud: Any, admin: Any) -> None:
    for content in (b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"{" * 5000, b'{"server": 1}'):
        answer = await admin.client.post("/compute/v2.1/servers", content=content)
        assert answer.status_code == 400, content[:20]
        assert answer.json()["badRequest"]["message"]
    for version, status in (("compute x", 400), ("compute 2.999", 406), ("compute 3.0", 406)):
        headers = {"openstack-api-version": version}
        answer = await admin.client.get("/compute/v2.1/servers", headers=headers)
        assert answer.status_code == status, version
