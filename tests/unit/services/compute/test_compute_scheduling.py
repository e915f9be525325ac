# SPDX-License-Identifier: Apache-2.0
"""Where servers go."""

import msgspec
import pytest

from octostack.services.compute.core import defaults
from octostack.services.compute.core.scheduling import Request, World, choose, filters
from octostack.services.compute.core.scheduling.weighers import Weights
from octostack.services.compute.core.scheduling.world import slots_in
from octostack.services.compute.model import Aggregate, Host, Server, ServerGroup

FLAVOR = defaults.FLAVORS[2]


def host(n: int, **more: object) -> Host:
    values: dict[str, object] = {
        "id": n, "uuid": f"u{n}", "host": f"h{n}", "provider_id": f"p{n}",
        "hypervisor_hostname": f"h{n}.local", "hypervisor_type": "QEMU", "hypervisor_version": 1,
        "host_ip": "", "vcpus": 8, "memory_mb": 8192, "disk_gb": 100,
        "facts": {"architecture": "x86_64"},
    }  # fmt: skip
    return Host(**(values | more))  # type: ignore[arg-type]


def server(name: str, on: str | None) -> Server:
    return Server(id=name, project_id="p", user_id="u", name=name, flavor=FLAVOR, host=on)


@pytest.fixture
def world() -> World:
    made = World()
    for n in range(4):
        made.put_host(host(n), up=True)
    return made


def pick(world: World, **asked: object) -> list[str]:
    request = Request(**({"flavor": FLAVOR, "project_id": "p"} | asked))  # type: ignore[arg-type]
    found = choose(world, request, list(world.slots), Weights())
    return [world.hosts[slot].host for slot in found.slots]


def group(policy: str, *members: str, **rules: int) -> ServerGroup:
    return ServerGroup(id="g", project_id="p", user_id="u", name="g", policy=policy,
                       members=members, rules=rules)  # fmt: skip


def test_spreads(world: World) -> None:
    world.put_server(server("a", "h0"))
    assert pick(world)[-1] == "h0" and len(pick(world)) == 4
    world.put_server(msgspec.structs.replace(server("a", "h0"), deleted_at=1.0))
    assert world.memory_used[0] == 0


def test_down_and_disabled(world: World) -> None:
    world.put_host(host(0), up=False)
    world.put_host(host(1, disabled=True), up=True)
    assert set(pick(world)) == {"h2", "h3"}
    assert pick(world, host="h1") == ["h1"] and pick(world, host="h0") == []
    assert pick(world, node="h3.local") == ["h3"]
    assert set(pick(world, tried=("h2",))) == {"h3"}


def test_zones(world: World) -> None:
    east = Aggregate(id=1, uuid="a", name="a", hosts=("h1",), metadata={"availability_zone": "e"})
    world.put_aggregates([east])
    assert pick(world, zone="e") == ["h1"] and world.zone("h1") == "e"
    assert set(pick(world, zone="nova")) == {"h0", "h2", "h3"}
    assert pick(world, zone="w") == []
    world.put_host(host(9), up=True)
    assert "h9" in pick(world, zone="nova")


def test_groups(world: World) -> None:
    world.put_server(server("a", "h1"))
    world.put_server(server("b", "h2"))
    assert set(pick(world, group=group("anti-affinity", "a", "b"))) == {"h0", "h3"}
    assert set(pick(world, group=group("anti-affinity", "a", max_server_per_host=2))) == {
        "h0", "h1", "h2", "h3",
    }  # fmt: skip
    assert pick(world, group=group("affinity", "a")) == ["h1"]
    assert len(pick(world, group=group("affinity"))) == 4
    for _ in range(3):
        world.put_server(server("c", "h0"))
    near = pick(world, group=group("soft-affinity", "a"))
    assert near.index("h1") < near.index("h2")
    assert pick(world, group=group("soft-anti-affinity", "a", "b"))[-1] in ("h1", "h2")


def test_hints(world: World) -> None:
    world.put_server(server("a", "h1"))
    assert pick(world, hints={"same_host": "a"}) == ["h1"]
    assert "h1" not in pick(world, hints={"different_host": ["a"]})


def test_image_and_aggregate_properties(world: World) -> None:
    world.put_host(host(0, facts={"architecture": "aarch64"}), up=True)
    assert pick(world, image_properties={"hw_architecture": "aarch64"}) == ["h0"]
    assert pick(world, image_properties={"hw_vm_mode": "xen"}) == []
    assert len(pick(world, image_properties={"img_hv_type": "kvm"})) == 4
    ssd = Aggregate(id=1, uuid="a", name="a", hosts=("h2",), metadata={"ssd": "true"})
    only = Aggregate(id=2, uuid="b", name="b", hosts=("h3",), metadata={"filter_tenant_id": "q,r"})
    world.put_aggregates([ssd, only])
    fast = msgspec.structs.replace(
        FLAVOR, extra_specs={"aggregate_instance_extra_specs:ssd": "true"}
    )
    assert pick(world, flavor=fast) == ["h2"]
    assert "h3" not in pick(world) and "h3" in pick(world, project_id="r")


def test_says_which_filter_left_none(world: World) -> None:
    request = Request(flavor=FLAVOR, project_id="p", zone="none")
    assert choose(world, request, ["p1"], Weights()).refused_by == "AvailabilityZoneFilter"
    assert choose(world, Request(flavor=FLAVOR, project_id="p"), [], Weights()).refused_by


def test_a_host_that_went_leaves_its_slot_empty(world: World) -> None:
    world.drop_host("p1")
    assert set(pick(world)) == {"h0", "h2", "h3"}
    world.put_host(host(1), up=True)
    assert set(pick(world)) == {"h0", "h1", "h2", "h3"}


@pytest.mark.parametrize(
    ("wanted", "have", "so"),
    [
        ("1", "1", True), ("= 4", "5", True), ("== 4", "5", False), (">= 4", "4", True),
        ("s== a", "a", True), ("s!= a", "a", False), ("<in> bc", "abcd", True),
        ("<or> a <or> b", "b", True), ("<or> a", "b", False), ("> x", "1", False),
        ("1", None, False), ("!", None, True), ("", "", True),
    ],
)  # fmt: skip
def test_the_language_of_extra_specs(wanted: str, have: str | None, so: bool) -> None:
    assert filters.matches(wanted, have) is so


def test_sets_of_hosts_are_integers() -> None:
    slots = [0, 7, 8, 63, 64, 9999]
    assert list(slots_in(sum(1 << s for s in slots))) == slots and list(slots_in(0)) == []
