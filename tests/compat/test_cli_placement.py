# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command with the osc-placement commands."""

import uuid

import pytest

pytestmark = pytest.mark.compat
NEWEST = "--os-placement-api-version 1.39"


@pytest.fixture
def provider(openstack):
    made = openstack(f"{NEWEST} resource provider create shelf-{uuid.uuid4().hex[:8]}")
    yield made["uuid"]
    openstack.text(f"{NEWEST} resource provider delete {made['uuid']}")


def test_hosts_are_providers_with_inventory(openstack):
    rows = openstack(f"{NEWEST} resource provider list")
    assert len(rows) >= 3
    inventory = openstack(f"{NEWEST} resource provider inventory list {rows[0]['uuid']}")
    assert {"VCPU", "MEMORY_MB", "DISK_GB"} <= {row["resource_class"] for row in inventory}


def test_inventories_and_usages(openstack, provider):
    openstack.text(
        f"{NEWEST} resource provider inventory set {provider}"
        " --resource VCPU=8 --resource VCPU:allocation_ratio=2.0 --resource MEMORY_MB=1024"
    )
    rows = openstack(f"{NEWEST} resource provider inventory list {provider}")
    assert {row["resource_class"]: row["total"] for row in rows} == {"VCPU": 8, "MEMORY_MB": 1024}
    openstack.text(f"{NEWEST} resource provider inventory class set {provider} VCPU --total 4")
    shown = openstack(f"{NEWEST} resource provider inventory show {provider} VCPU")
    assert shown["total"] == 4
    rows = openstack(f"{NEWEST} resource provider usage show {provider}")
    assert {row["usage"] for row in rows} == {0}
    openstack.text(f"{NEWEST} resource provider inventory delete {provider}")


def test_traits(openstack, provider):
    openstack.text(f"{NEWEST} trait create CUSTOM_SHINY")
    openstack.text(
        f"{NEWEST} resource provider trait set {provider} --trait CUSTOM_SHINY"
        " --trait HW_CPU_X86_AVX2"
    )
    rows = openstack(f"{NEWEST} resource provider trait list {provider}")
    assert {row["name"] for row in rows} == {"CUSTOM_SHINY", "HW_CPU_X86_AVX2"}
    assert "409" in openstack.fails(f"{NEWEST} trait delete CUSTOM_SHINY")
    openstack.text(f"{NEWEST} resource provider trait delete {provider}")
    openstack.text(f"{NEWEST} trait delete CUSTOM_SHINY")
    assert "404" in openstack.fails(f"{NEWEST} trait show CUSTOM_SHINY")


def test_resource_classes(openstack):
    openstack.text(f"{NEWEST} resource class create CUSTOM_SHOVEL")
    names = {row["name"] for row in openstack(f"{NEWEST} resource class list")}
    assert {"CUSTOM_SHOVEL", "VCPU", "PCI_DEVICE"} <= names
    openstack.text(f"{NEWEST} resource class delete CUSTOM_SHOVEL")


def test_aggregates(openstack, provider):
    aggregate = str(uuid.uuid4())
    openstack.text(
        f"{NEWEST} resource provider aggregate set {provider} --aggregate {aggregate}"
        " --generation 0"
    )
    rows = openstack(f"{NEWEST} resource provider aggregate list {provider}")
    assert [row["uuid"] for row in rows] == [aggregate]
    rows = openstack(f"{NEWEST} resource provider list --member-of {aggregate}")
    assert [row["uuid"] for row in rows] == [provider]


def test_allocations_are_claims_and_candidates_respect_them(openstack, provider):
    consumer, project, user = (str(uuid.uuid4()) for _ in range(3))
    openstack.text(f"{NEWEST} resource class create CUSTOM_POT")
    openstack.text(f"{NEWEST} resource provider inventory set {provider} --resource CUSTOM_POT=2")
    rows = openstack(f"{NEWEST} allocation candidate list --resource CUSTOM_POT=2")
    assert {row["resource provider"] for row in rows} == {provider}
    claim = (
        f"resource provider allocation set {{}} --allocation rp={provider},CUSTOM_POT=2"
        f" --project-id {project} --user-id {user} --consumer-type INSTANCE"
    )
    openstack.text(f"{NEWEST} {claim.format(consumer)}")
    shown = openstack(f"{NEWEST} resource provider allocation show {consumer}")
    assert shown[0]["resources"] == {"CUSTOM_POT": 2}
    assert openstack(f"{NEWEST} allocation candidate list --resource CUSTOM_POT=1") == []
    assert "409" in openstack.fails(f"{NEWEST} {claim.format(uuid.uuid4())}")
    usage = openstack(f"--os-placement-api-version 1.37 resource usage show {project}")
    assert {row["resource_class"]: row["usage"] for row in usage} == {"CUSTOM_POT": 2}
    openstack.text(f"{NEWEST} resource provider allocation delete {consumer}")
    openstack.text(f"{NEWEST} resource provider inventory delete {provider}")
    openstack.text(f"{NEWEST} resource class delete CUSTOM_POT")


def test_nested_providers(openstack, provider):
    child = openstack(
        f"{NEWEST} resource provider create --parent-provider {provider} drawer-{provider[:8]}"
    )
    assert child["root_provider_uuid"] == provider
    rows = openstack(f"{NEWEST} resource provider list --in-tree {provider}")
    assert {row["uuid"] for row in rows} == {provider, child["uuid"]}
    assert "409" in openstack.fails(f"{NEWEST} resource provider delete {provider}")
    openstack.text(f"{NEWEST} resource provider delete {child['uuid']}")


def test_a_member_may_not_see_providers(demo):
    assert "403" in demo.fails(f"{NEWEST} resource provider list")
