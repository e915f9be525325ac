# SPDX-License-Identifier: Apache-2.0
"""Providers, inventories, traits, classes and aggregates over HTTP, by microversion."""

from typing import Any

import pytest

from octostack.base import ids

pytestmark = pytest.mark.anyio


async def code_of(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["status"] == status
    assert error["request_id"].startswith("req-")
    code: str = error["code"]
    return code


async def test_a_provider_lives_and_goes(admin: Any) -> None:
    made = await admin.ask("POST", "/resource_providers", {"name": "host1"})
    uuid = made.json()["uuid"]
    assert made.headers["location"].endswith(f"/placement/resource_providers/{uuid}")
    assert made.headers["cache-control"] == "no-cache"
    renamed = await admin.put(f"/resource_providers/{uuid}", {"name": "host2"})
    assert (renamed["name"], renamed["generation"]) == ("host2", 0)
    assert (await admin.ask("DELETE", f"/resource_providers/{uuid}")).status_code == 204
    gone = await admin.ask("GET", f"/resource_providers/{uuid}")
    assert await code_of(gone, 404) == "placement.undefined_code"


@pytest.mark.parametrize(
    ("version", "status", "links", "nested", "dated"),
    [
        ("1.0", 201, 3, False, False),
        ("1.6", 201, 5, False, False),
        ("1.14", 201, 6, True, False),
        ("1.15", 201, 6, True, True),
        ("1.20", 200, 6, True, True),
    ],
)
async def test_what_each_version_shows(
    admin: Any, version: str, status: int, links: int, nested: bool, dated: bool
) -> None:
    uuid = ids.new()
    body = {"name": "x", "uuid": uuid}
    made = await admin.ask("POST", "/resource_providers", body, version=version)
    assert made.status_code == status
    assert bool(made.content) is (status == 200)
    shown = await admin.ask("GET", f"/resource_providers/{uuid}", version=version)
    assert len(shown.json()["links"]) == links
    assert ("root_provider_uuid" in shown.json()) is nested
    assert ("last-modified" in shown.headers) is dated
    assert shown.headers["openstack-api-version"] == f"placement {version}"


async def test_names_and_ids_are_taken_once(admin: Any) -> None:
    uuid = await admin.provider("one")
    same_name = await admin.ask("POST", "/resource_providers", {"name": "one"})
    assert await code_of(same_name, 409) == "placement.duplicate_name"
    same_id = await admin.ask("POST", "/resource_providers", {"name": "two", "uuid": uuid})
    assert await code_of(same_id, 409) == "placement.duplicate_name"
    other = await admin.provider("two")
    taken = await admin.ask("PUT", f"/resource_providers/{other}", {"name": "one"})
    assert await code_of(taken, 409) == "placement.duplicate_name"


async def test_trees(admin: Any) -> None:
    root = await admin.provider("root")
    child = await admin.provider("child", root)
    leaf = await admin.provider("leaf", child)
    shown = await admin.get(f"/resource_providers?in_tree={child}")
    assert {p["uuid"] for p in shown["resource_providers"]} == {root, child, leaf}
    parent = await admin.ask("DELETE", f"/resource_providers/{child}")
    assert await code_of(parent, 409) == "placement.resource_provider.cannot_delete_parent"
    to_leaf = {"name": "root", "parent_provider_uuid": leaf}
    loop = await admin.ask("PUT", f"/resource_providers/{root}", to_leaf)
    assert await code_of(loop, 400)
    alone = {"name": "child", "parent_provider_uuid": None}
    old = await admin.ask("PUT", f"/resource_providers/{child}", alone, version="1.36")
    assert await code_of(old, 400)
    await admin.put(f"/resource_providers/{child}", alone)
    moved = await admin.get(f"/resource_providers/{leaf}")
    assert moved["root_provider_uuid"] == child


async def test_filters(admin: Any) -> None:
    a = await admin.provider("a", VCPU=8)
    b = await admin.provider("b", VCPU=2)
    agg = ids.new()
    await admin.put("/traits/CUSTOM_FAST")
    await admin.put(
        f"/resource_providers/{a}/traits",
        {"traits": ["CUSTOM_FAST"], "resource_provider_generation": 1},
    )
    await admin.put(
        f"/resource_providers/{b}/aggregates",
        {"aggregates": [agg], "resource_provider_generation": 1},
    )
    for query, expected in (
        ("name=a", {a}),
        (f"uuid={b}", {b}),
        ("resources=VCPU:4", {a}),
        ("required=CUSTOM_FAST", {a}),
        ("required=!CUSTOM_FAST", {b}),
        (f"member_of={agg}", {b}),
        (f"member_of=!{agg}", {a}),
        (f"in_tree={ids.new()}", set()),
        ("", {a, b}),
    ):
        shown = await admin.get(f"/resource_providers?{query}")
        assert {p["uuid"] for p in shown["resource_providers"]} == expected, query
    for query in ("required=CUSTOM_NO", "resources=CUSTOM_NO:1", "uuid=x", "colour=red"):
        await code_of(await admin.ask("GET", f"/resource_providers?{query}"), 400)
    await code_of(await admin.ask("GET", "/resource_providers?required=A", version="1.17"), 400)


async def test_inventories(admin: Any) -> None:
    uuid = await admin.provider("host", VCPU=8)
    base = f"/resource_providers/{uuid}/inventories"
    made = await admin.ask("POST", base, {"resource_class": "DISK_GB", "total": 100})
    assert made.status_code == 201
    assert made.headers["location"].endswith(f"{base}/DISK_GB")
    assert made.json()["resource_provider_generation"] == 2
    again = await admin.ask("POST", base, {"resource_class": "DISK_GB", "total": 100})
    assert await code_of(again, 409) == "placement.concurrent_update"
    one = {"total": 50, "resource_provider_generation": 2}
    changed = await admin.put(f"{base}/DISK_GB", one)
    assert changed["total"] == 50
    stale = await admin.ask("PUT", f"{base}/DISK_GB", one)
    assert await code_of(stale, 409) == "placement.concurrent_update"
    none = await admin.ask("PUT", f"{base}/VGPU", one | {"resource_provider_generation": 3})
    assert await code_of(none, 400)
    assert set((await admin.get(base))["inventories"]) == {"VCPU", "DISK_GB"}
    assert (await admin.ask("DELETE", f"{base}/DISK_GB")).status_code == 204
    assert (await admin.ask("DELETE", f"{base}/DISK_GB")).status_code == 404
    assert (await admin.ask("DELETE", base, version="1.4")).status_code == 405
    assert (await admin.ask("DELETE", base)).status_code == 204


@pytest.mark.parametrize(
    ("version", "reserved", "status"),
    [("1.25", 10, 400), ("1.26", 10, 200), ("1.39", 11, 400), ("1.39", 9, 200)],
)
async def test_all_of_it_may_be_reserved_since_1_26(
    admin: Any, version: str, reserved: int, status: int
) -> None:
    uuid = await admin.provider("host")
    body = {
        "resource_provider_generation": 1,
        "inventories": {"VCPU": {"total": 10, "reserved": reserved}},
    }
    path = f"/resource_providers/{uuid}/inventories"
    assert (await admin.ask("PUT", path, body, version=version)).status_code == status


async def test_what_is_used_stays(admin: Any) -> None:
    uuid = await admin.provider("host", VCPU=8, DISK_GB=10)
    assert (await admin.claim(ids.new(), {uuid: {"VCPU": 1}})).status_code == 204
    base = f"/resource_providers/{uuid}"
    everything = await admin.ask("DELETE", f"{base}/inventories")
    assert await code_of(everything, 409) == "placement.inventory.inuse"
    one = await admin.ask("DELETE", f"{base}/inventories/VCPU")
    assert await code_of(one, 409) == "placement.concurrent_update"
    assert await code_of(await admin.ask("DELETE", base), 409) == (
        "placement.resource_provider.inuse"
    )
    assert (await admin.ask("DELETE", f"{base}/inventories/DISK_GB")).status_code == 204


async def test_traits(admin: Any) -> None:
    uuid = await admin.provider("host")
    assert (await admin.ask("PUT", "/traits/CUSTOM_A")).status_code == 201
    assert (await admin.ask("PUT", "/traits/CUSTOM_A")).status_code == 204
    assert (await admin.ask("PUT", "/traits/A")).status_code == 400
    assert (await admin.ask("GET", "/traits/HW_CPU_X86_VMX")).status_code == 204
    assert (await admin.ask("GET", "/traits/CUSTOM_B")).status_code == 404
    assert (await admin.ask("DELETE", "/traits/HW_CPU_X86_VMX")).status_code == 400
    body = {"traits": ["CUSTOM_A", "HW_CPU_X86_VMX"], "resource_provider_generation": 1}
    shown = await admin.put(f"/resource_providers/{uuid}/traits", body)
    assert shown["resource_provider_generation"] == 2
    stale = await admin.ask("PUT", f"/resource_providers/{uuid}/traits", body)
    assert await code_of(stale, 409) == "placement.concurrent_update"
    assert (await admin.ask("DELETE", "/traits/CUSTOM_A")).status_code == 409
    names = await admin.get("/traits?name=startswith:CUSTOM_&associated=true")
    assert names == {"traits": ["CUSTOM_A"]}
    assert (await admin.get("/traits?name=in:CUSTOM_A,CUSTOM_B")) == {"traits": ["CUSTOM_A"]}
    assert len((await admin.get("/traits"))["traits"]) == 378
    assert (await admin.ask("DELETE", f"/resource_providers/{uuid}/traits")).status_code == 204
    assert (await admin.ask("DELETE", "/traits/CUSTOM_A")).status_code == 204


async def test_resource_classes(admin: Any) -> None:
    assert (await admin.ask("PUT", "/resource_classes/CUSTOM_X")).status_code == 201
    assert (await admin.ask("PUT", "/resource_classes/CUSTOM_X")).status_code == 204
    taken = await admin.ask("POST", "/resource_classes", {"name": "CUSTOM_X"})
    assert taken.status_code == 409
    assert (await admin.ask("POST", "/resource_classes", {"name": "X"})).status_code == 400
    shown = await admin.get("/resource_classes")
    assert [c["name"] for c in shown["resource_classes"]][0::21] == ["VCPU", "CUSTOM_X"]
    assert (await admin.ask("DELETE", "/resource_classes/VCPU")).status_code == 400
    await admin.provider("host", CUSTOM_X=1)
    assert (await admin.ask("DELETE", "/resource_classes/CUSTOM_X")).status_code == 409
    assert (await admin.ask("GET", "/resource_classes", version="1.1")).status_code == 404


async def test_a_class_is_renamed_with_all_that_is_of_it(admin: Any) -> None:
    await admin.put("/resource_classes/CUSTOM_OLD")
    uuid = await admin.provider("host", CUSTOM_OLD=5)
    assert (await admin.claim(ids.new(), {uuid: {"CUSTOM_OLD": 2}})).status_code == 204
    body = {"name": "CUSTOM_NEW"}
    await admin.put("/resource_classes/CUSTOM_OLD", body, version="1.6")
    usages = await admin.get(f"/resource_providers/{uuid}/usages")
    assert usages["usages"] == {"CUSTOM_NEW": 2}
    assert (await admin.ask("GET", "/resource_classes/CUSTOM_OLD")).status_code == 404
    assert (await admin.claim(ids.new(), {uuid: {"CUSTOM_NEW": 4}})).status_code == 409
    assert (await admin.claim(ids.new(), {uuid: {"CUSTOM_NEW": 3}})).status_code == 204


async def test_aggregates(admin: Any) -> None:
    uuid = await admin.provider("host")
    path, agg = f"/resource_providers/{uuid}/aggregates", ids.new()
    old = await admin.put(path, [agg], version="1.1")
    assert old == {"aggregates": [agg]}
    assert await admin.get(path) == {"aggregates": [agg], "resource_provider_generation": 1}
    body = {"aggregates": [], "resource_provider_generation": 1}
    assert (await admin.put(path, body))["resource_provider_generation"] == 2
    stale = await admin.ask("PUT", path, body)
    assert await code_of(stale, 409) == "placement.concurrent_update"
    twice = {"aggregates": [agg, agg], "resource_provider_generation": 2}
    assert (await admin.ask("PUT", path, twice)).status_code == 400


async def test_the_version_document_needs_no_token(cloud: Any) -> None:
    async with cloud.client() as http:
        for path in ("/placement", "/placement/"):
            (version,) = (await http.get(path)).json()["versions"]
            assert (version["min_version"], version["max_version"]) == ("1.0", "1.39")
        refused = await http.get("/placement", headers={"openstack-api-version": "placement 9.9"})
    assert refused.status_code == 406
    assert refused.json()["errors"][0]["max_version"] == "1.39"
