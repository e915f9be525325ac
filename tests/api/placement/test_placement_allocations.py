# SPDX-License-Identifier: Apache-2.0
"""Allocations, usages, candidates and the reshaper over HTTP, and races for the last places."""

import asyncio
from typing import Any

import pytest

from octostack.base import ids
from octostack.contracts.placement import (
    CandidateQuery,
    Claim,
    Inventory,
    Placement,
    ProviderSpec,
    RequestGroup,
)
from octostack.testing import identity
from octostack.testing.cloud import running

pytestmark = pytest.mark.anyio


async def used(admin: Any, uuid: str) -> Any:
    return (await admin.get(f"/resource_providers/{uuid}/usages"))["usages"]


async def test_a_consumer_takes_changes_and_gives_back(admin: Any) -> None:
    host = await admin.provider("host", VCPU=8, MEMORY_MB=100)
    consumer = ids.new()
    assert (await admin.claim(consumer, {host: {"VCPU": 2, "MEMORY_MB": 10}})).status_code == 204
    shown = await admin.get(f"/allocations/{consumer}")
    assert shown["consumer_generation"] == 1
    assert shown["consumer_type"] == "INSTANCE"
    assert shown["allocations"][host]["resources"] == {"VCPU": 2, "MEMORY_MB": 10}
    stale = await admin.claim(consumer, {host: {"VCPU": 3}})
    assert stale.json()["errors"][0]["code"] == "placement.concurrent_update"
    changed = await admin.claim(consumer, {host: {"VCPU": 8}}, consumer_generation=1)
    assert changed.status_code == 204
    assert await used(admin, host) == {"VCPU": 8, "MEMORY_MB": 0}
    full = await admin.claim(ids.new(), {host: {"VCPU": 1}})
    assert full.status_code == 409
    assert full.json()["errors"][0]["code"] == "placement.undefined_code"
    by_host = await admin.get(f"/resource_providers/{host}/allocations")
    assert by_host["allocations"][consumer]["consumer_generation"] == 2
    assert (await admin.ask("DELETE", f"/allocations/{consumer}")).status_code == 204
    assert (await admin.ask("DELETE", f"/allocations/{consumer}")).status_code == 404
    assert await admin.get(f"/allocations/{consumer}") == {"allocations": {}}


async def test_empty_allocations_give_back_safely(admin: Any) -> None:
    host = await admin.provider("host", VCPU=8)
    consumer = ids.new()
    await admin.claim(consumer, {host: {"VCPU": 2}})
    assert (await admin.claim(consumer, {})).status_code == 409
    assert (await admin.claim(consumer, {}, consumer_generation=1)).status_code == 204
    assert await used(admin, host) == {"VCPU": 0}
    assert (await admin.claim(ids.new(), {})).status_code == 204


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("1.0", {"allocations": "list"}),
        ("1.8", {"allocations": "list", "project_id": "p", "user_id": "u"}),
        ("1.12", {"allocations": "dict", "project_id": "p", "user_id": "u"}),
        (
            "1.28",
            {"allocations": "dict", "project_id": "p", "user_id": "u", "consumer_generation": None},
        ),
        (
            "1.34",
            {
                "allocations": "dict",
                "project_id": "p",
                "user_id": "u",
                "consumer_generation": None,
                "mappings": {"": [ids.new()]},
            },
        ),
        (
            "1.38",
            {
                "allocations": "dict",
                "project_id": "p",
                "user_id": "u",
                "consumer_generation": None,
                "consumer_type": "VOLUME",
            },
        ),
    ],
)
async def test_every_version_of_the_body(admin: Any, version: str, body: dict[str, Any]) -> None:
    host = await admin.provider("host", VCPU=8)
    forms = {
        "list": [{"resource_provider": {"uuid": host}, "resources": {"VCPU": 1}}],
        "dict": {host: {"resources": {"VCPU": 1}}},
    }
    path = f"/allocations/{ids.new()}"
    good = body | {"allocations": forms[body["allocations"]]}
    answer = await admin.ask("PUT", path, good, version=version)
    assert answer.status_code == 204, answer.text
    for name in good:
        if name != "mappings":
            less = {k: v for k, v in good.items() if k != name}
            missing = await admin.ask("PUT", path, less, version=version)
            assert missing.status_code == 400
            assert name in missing.json()["errors"][0]["detail"]
    more = await admin.ask("PUT", path, good | {"colour": "red"}, version=version)
    assert more.status_code == 400


async def test_several_consumers_at_once_or_none(admin: Any) -> None:
    host = await admin.provider("host", VCPU=4)
    a, b = ids.new(), ids.new()

    def body(first: int, second: int, generation: int | None = None) -> dict[str, Any]:
        return {
            consumer: {
                "allocations": {host: {"resources": {"VCPU": n}}} if n else {},
                "project_id": "p1",
                "user_id": "u1",
                "consumer_generation": generation,
                "consumer_type": "INSTANCE",
            }
            for consumer, n in ((a, first), (b, second))
        }

    too_much = await admin.ask("POST", "/allocations", body(3, 2))
    assert too_much.status_code == 409
    assert await admin.get(f"/allocations/{a}") == {"allocations": {}}
    assert (await admin.ask("POST", "/allocations", body(3, 1))).status_code == 204
    moved = await admin.ask("POST", "/allocations", body(0, 4, 1))
    assert moved.status_code == 204
    assert await admin.get(f"/allocations/{a}") == {"allocations": {}}
    assert await used(admin, host) == {"VCPU": 4}


async def test_usages_of_projects(admin: Any) -> None:
    host = await admin.provider("host", VCPU=80)
    await admin.claim(ids.new(), {host: {"VCPU": 2}})
    await admin.claim(ids.new(), {host: {"VCPU": 3}}, consumer_type="MIGRATION")
    old = {
        "allocations": {host: {"resources": {"VCPU": 5}}},
        "project_id": "p1",
        "user_id": "u2",
    }
    await admin.put(f"/allocations/{ids.new()}", old, version="1.12")
    by_type = await admin.get("/usages?project_id=p1")
    assert by_type["usages"] == {
        "INSTANCE": {"VCPU": 2, "consumer_count": 1},
        "MIGRATION": {"VCPU": 3, "consumer_count": 1},
        "unknown": {"VCPU": 5, "consumer_count": 1},
    }
    everything = await admin.get("/usages?project_id=p1&consumer_type=all")
    assert everything["usages"] == {"all": {"VCPU": 10, "consumer_count": 3}}
    one = await admin.get("/usages?project_id=p1&user_id=u2&consumer_type=unknown")
    assert one["usages"] == {"unknown": {"VCPU": 5, "consumer_count": 1}}
    plain = await admin.get("/usages?project_id=p1", version="1.9")
    assert plain == {"usages": {"VCPU": 10}}
    assert (await admin.ask("GET", "/usages")).status_code == 400


@pytest.mark.parametrize(
    ("version", "has", "has_not"),
    [
        ("1.10", {"resources"}, {"traits", "root_provider_uuid"}),
        ("1.17", {"resources", "traits"}, {"root_provider_uuid"}),
        ("1.29", {"resources", "traits", "root_provider_uuid", "parent_provider_uuid"}, set()),
    ],
)
async def test_candidates_by_version(
    admin: Any, version: str, has: set[str], has_not: set[str]
) -> None:
    host = await admin.provider("host", VCPU=4, DISK_GB=10)
    found = await admin.get("/allocation_candidates?resources=VCPU:1", version=version)
    summary = found["provider_summaries"][host]
    assert has <= set(summary)
    assert not has_not & set(summary)
    assert ("DISK_GB" in summary["resources"]) is (version == "1.29")
    (request,) = found["allocation_requests"]
    assert isinstance(request["allocations"], list) is (version == "1.10")


async def test_what_a_candidate_says_can_be_claimed(admin: Any) -> None:
    root = await admin.provider("root")
    for n in range(2):
        await admin.provider(f"numa{n}", root, VCPU=4)
    query = "resources1=VCPU:3&resources2=VCPU:2&group_policy=isolate"
    found = await admin.get(f"/allocation_candidates?{query}&limit=1")
    (request,) = found["allocation_requests"]
    assert len(found["provider_summaries"]) == 3
    body = request | {
        "project_id": "p1",
        "user_id": "u1",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
    assert (await admin.ask("PUT", f"/allocations/{ids.new()}", body)).status_code == 204
    assert (await admin.get(f"/allocation_candidates?{query}"))["allocation_requests"] == []


async def test_the_reshaper_moves_inventory_with_its_users(cloud: Any, admin: Any) -> None:
    root = await admin.provider("root", VCPU=4, DISK_GB=10)
    child = await admin.provider("child", root)
    consumer = ids.new()
    await admin.claim(consumer, {root: {"VCPU": 2, "DISK_GB": 1}})
    body = {
        "inventories": {
            root: {"resource_provider_generation": 2, "inventories": {"DISK_GB": {"total": 10}}},
            child: {"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 4}}},
        },
        "allocations": {
            consumer: {
                "allocations": {
                    root: {"resources": {"DISK_GB": 1}},
                    child: {"resources": {"VCPU": 2}},
                },
                "project_id": "p1",
                "user_id": "u1",
                "consumer_generation": 1,
                "consumer_type": "INSTANCE",
            }
        },
    }
    async with cloud.client(identity.token("service")) as http:
        headers = {"openstack-api-version": "placement 1.39"}
        forgetful = body | {"allocations": {}}
        refused = await http.post("/placement/reshaper", json=forgetful, headers=headers)
        assert refused.json()["errors"][0]["code"] == "placement.inventory.inuse"
        done = await http.post("/placement/reshaper", json=body, headers=headers)
    assert done.status_code == 204, done.text
    assert await used(admin, root) == {"DISK_GB": 1}
    assert await used(admin, child) == {"VCPU": 2}


async def test_a_hundred_claims_for_the_last_ten_places(cloud: Any, admin: Any) -> None:
    host = await admin.provider("host", VCPU=10)
    answers = await asyncio.gather(
        *(admin.claim(ids.new(), {host: {"VCPU": 1}}) for _ in range(100))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [204] * 10 + [409] * 90
    assert await used(admin, host) == {"VCPU": 10}


async def test_another_process_sees_every_change(tmp_path: Any) -> None:
    """Two services on one database: what one writes the other answers from at once."""
    extra = [("identity", identity.build)]
    spec = ProviderSpec(
        id=ids.new(),
        name="host",
        inventories={"VCPU": Inventory(total=10)},
        traits=("CUSTOM_OURS",),
    )
    asked = CandidateQuery(
        groups=(RequestGroup(resources={"VCPU": 1}, required=(("CUSTOM_OURS",),)),)
    )
    url = f"sqlite:{tmp_path}/db"
    async with (
        running(tmp_path / "a", ["placement"], extra=extra, database_url=url) as one,
        running(tmp_path / "b", ["placement"], extra=extra, database_url=url) as two,
    ):
        here, there = (c.runtime.bus.stub(Placement) for c in (one, two))
        await here.ensure_provider(spec)
        assert len((await there.candidates(asked)).candidates) == 1

        async def take(side: Placement) -> bool:
            claim = Claim(
                consumer_id=ids.new(),
                allocations={spec.id: {"VCPU": 1}},
                project_id="p1",
                user_id="u1",
            )
            try:
                await side.claim(claim)
            except Exception as e:
                assert getattr(e, "code", "") == "placement.capacity"
                return False
            return True

        taken = [await take((here, there)[n % 2]) for n in range(14)]
        assert sum(taken) == 10
        assert (await here.candidates(asked)).candidates == ()
        for consumer in await there.allocations_of_provider(spec.id):
            await there.release(consumer)
        await here.remove_provider(spec.id)
        assert await there.find_provider("host") is None


async def test_the_contract_makes_a_provider_so(cloud: Any) -> None:
    calls = cloud.runtime.bus.stub(Placement)
    spec = ProviderSpec(
        id=ids.new(),
        name="host",
        inventories={
            "VCPU": Inventory(total=8, allocation_ratio=4.0),
            "CUSTOM_IRON": Inventory(total=1),
        },
        traits=("HW_CPU_X86_VMX",),
        aggregates=(ids.new(),),
    )
    first = await calls.ensure_provider(spec)
    again = await calls.ensure_provider(spec)
    assert first == again
    claim = Claim(
        consumer_id=ids.new(),
        allocations={spec.id: {"VCPU": 32}},
        project_id="p1",
        user_id="u1",
    )
    held = await calls.claim(claim)
    assert await calls.claim(claim) == held  # as a saga that repeats its step
    assert await calls.find_allocations(claim.consumer_id) == held
    assert await calls.usages("p1") == {"VCPU": 32}
    await calls.release(claim.consumer_id)
    await calls.release(claim.consumer_id)
    assert await calls.find_allocations(claim.consumer_id) is None
    assert (await calls.list_providers(spec.id))[0].name == "host"
