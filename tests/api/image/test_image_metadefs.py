# SPDX-License-Identifier: Apache-2.0
"""Metadata definitions: namespaces and what stands in them."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

BASE = "/metadefs/namespaces"
ITEMS = {
    "objects": {"name": "one", "description": "d", "required": ["a"]},
    "properties": {"name": "one", "title": "One", "type": "string"},
}


async def test_a_namespace_with_all_that_may_stand_in_it(user: Any) -> None:
    admin = user("admin")
    made = await admin.ask(
        "POST",
        BASE,
        {
            "namespace": "CPU",
            "display_name": "Processors",
            "visibility": "public",
            "properties": {"cores": {"title": "Cores", "type": "integer", "minimum": 1}},
            "objects": [{"name": "limits"}],
            "tags": [{"name": "fast"}],
            "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
        },
    )
    assert made.status_code == 201, made.text
    assert made.headers["location"].endswith("/image/v2/metadefs/namespaces/CPU")
    shown = (await user("reader", "p2").ask("GET", f"{BASE}/CPU")).json()
    assert shown["properties"]["cores"]["type"] == "integer"
    assert [o["name"] for o in shown["objects"]] == ["limits"]
    assert shown["resource_type_associations"][0]["prefix"] == "hw_"
    assert (await admin.ask("POST", BASE, {"namespace": "CPU"})).status_code == 409
    renamed = await admin.ask("PUT", f"{BASE}/CPU", {"namespace": "CPU2", "protected": True})
    assert renamed.json()["protected"] is True
    assert len((await admin.ask("GET", f"{BASE}/CPU2/tags")).json()["tags"]) == 1
    assert (await admin.ask("DELETE", f"{BASE}/CPU2")).status_code == 403
    await admin.ask("PUT", f"{BASE}/CPU2", {"namespace": "CPU2", "protected": False})
    assert (await admin.ask("DELETE", f"{BASE}/CPU2")).status_code == 204
    assert (await admin.ask("GET", f"{BASE}/CPU2")).status_code == 404


async def test_private_ones_are_their_owners(user: Any) -> None:
    await user("admin", "p1").ask("POST", BASE, {"namespace": "ours"})
    for project, status in (("p1", 200), ("p2", 404)):
        assert (await user("reader", project).ask("GET", f"{BASE}/ours")).status_code == status
    listed = (await user("reader", "p2").ask("GET", BASE)).json()
    assert listed["namespaces"] == []
    for n in range(3):
        await user("admin").ask("POST", BASE, {"namespace": f"n{n}", "visibility": "public"})
    page = (await user("reader", "p2").ask("GET", f"{BASE}?limit=2")).json()
    assert len(page["namespaces"]) == 2
    rest = (await user("reader", "p2").ask("GET", page["next"].removeprefix("/v2"))).json()
    assert len(rest["namespaces"]) == 1


@pytest.mark.parametrize("kind", ITEMS)
async def test_definitions(user: Any, kind: str) -> None:
    admin, body = user("admin"), ITEMS[kind]
    await admin.ask("POST", BASE, {"namespace": "ns"})
    path = f"{BASE}/ns/{kind}"
    assert (await admin.ask("POST", path, body)).status_code == 201
    assert (await admin.ask("POST", path, body)).status_code == 409
    assert (await admin.ask("POST", path, {"name": "x", "colour": "red"})).status_code == 400
    shown = (await admin.ask("GET", f"{path}/one")).json()
    assert {k: shown[k] for k in body} == body
    changed = await admin.ask("PUT", f"{path}/one", body | {"name": "two"})
    assert changed.json()["name"] == "two"
    assert (await admin.ask("GET", f"{path}/one")).status_code == 404
    listed = (await admin.ask("GET", path)).json()[kind]
    assert len(listed) == 1
    assert (await admin.ask("DELETE", f"{path}/two")).status_code == 204
    assert (await admin.ask("DELETE", path)).status_code == 204


async def test_tags_and_resource_types(user: Any) -> None:
    admin = user("admin")
    await admin.ask("POST", BASE, {"namespace": "ns"})
    tags = f"{BASE}/ns/tags"
    made = await admin.ask("POST", tags, {"tags": [{"name": "a"}, {"name": "b"}]})
    assert made.status_code == 201
    await admin.ask("POST", tags, {"tags": [{"name": "c"}]}, headers={"x-openstack-append": "true"})
    assert len((await admin.ask("GET", tags)).json()["tags"]) == 3
    await admin.ask("POST", tags, {"tags": [{"name": "d"}]})
    assert (await admin.ask("POST", f"{tags}/e")).status_code == 201
    assert [t["name"] for t in (await admin.ask("GET", tags)).json()["tags"]] == ["d", "e"]
    assert (await admin.ask("DELETE", tags)).status_code == 204
    types = (await user("reader").ask("GET", "/metadefs/resource_types")).json()["resource_types"]
    path = f"{BASE}/ns/resource_types"
    assert (await admin.ask("POST", path, {"name": types[0]["name"]})).status_code == 201
    assert len((await admin.ask("GET", path)).json()["resource_type_associations"]) == 1
    assert (await admin.ask("DELETE", f"{path}/{types[0]['name']}")).status_code == 204
