# SPDX-License-Identifier: Apache-2.0
"""From a wish to rows: quotas, images, names, bodies."""

from typing import Any

import msgspec
import pytest

from octostack.base.errors import Invalid, OverQuota, Unsupported
from octostack.services.compute.core import boot, defaults, metadata, quota
from octostack.services.compute.model import Image, NewServer, Server, Usage
from octostack.services.compute.schema import servers as schema

FLAVOR = defaults.FLAVORS[2]
FACTS = boot.Facts(flavor=FLAVOR, image=Image(id="i"), key=None, group_id=None, used=Usage(),
                   limits=quota.DEFAULTS, project_id="p", user_id="u", now=5.0)  # fmt: skip
IDS = [f"id{i}" for i in range(10)]
UUID = "00000000-0000-4000-8000-000000000000"


def plan(facts: boot.Facts = FACTS, **asked: Any) -> list[Server]:
    return boot.plan(NewServer(**({"name": "n", "flavor_id": "1"} | asked)), facts, IDS, "r-1")


def test_names_and_hostnames() -> None:
    (one,) = plan(name="My Server_1!")
    assert (one.name, one.hostname, one.generation) == ("My Server_1!", "my-server-1", 1)
    assert [s.hostname for s in plan(name="a", max_count=2)] == ["a-1", "a-2"]
    assert boot.hostname_of("名前", "abc") == "server-abc"
    assert len(boot.hostname_of("x" * 255, "abc")) == 63


def test_quota() -> None:
    near = msgspec.structs.replace(FACTS, used=Usage(instances=8, cores=8, ram=0))
    assert len(plan(near, max_count=5)) == 2
    with pytest.raises(OverQuota, match="Requested 3, but already used 8 of 10 instances"):
        plan(near, min_count=3, max_count=5)
    free = msgspec.structs.replace(near, limits=quota.DEFAULTS | {"instances": -1})
    assert len(plan(free, max_count=5)) == 5
    with pytest.raises(OverQuota, match="metadata items exceeds 128"):
        plan(metadata={str(i): "" for i in range(129)})


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image(id="i", status="queued"), "is not active"),
        (Image(id="i", min_ram_mb=4096), "memory is too small"),
        (Image(id="i", size_bytes=2 << 30), "disk is too small for requested image"),
        (Image(id="i", min_disk_gb=5), "smaller than the minimum size"),
    ],
)
def test_an_image_that_does_not_fit(image: Image, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        boot.check_image(FLAVOR, image)


def test_quotas_by_version() -> None:
    assert "fixed_ips" in quota.names((2, 35)) and "fixed_ips" not in quota.names((2, 36))
    assert "injected_files" in quota.names((2, 56)) and "injected_files" not in quota.names((2, 57))


def body(**more: Any) -> dict[str, Any]:
    return {"server": {"name": "n", "flavorRef": "1", "imageRef": UUID, "networks": "none"} | more}


@pytest.mark.parametrize(
    ("version", "more", "ok"),
    [
        ((2, 96), {}, True), ((2, 36), {}, False), ((2, 96), {"networks": None}, False),
        ((2, 96), {"personality": []}, False), ((2, 96), {"hostname": "a.b.c"}, True),
        ((2, 93), {"hostname": "a.b.c"}, False), ((2, 89), {"hostname": "ab"}, False),
        ((2, 96), {"tags": ["a"]}, True), ((2, 96), {"tags": ["a,b"]}, False),
        ((2, 96), {"name": " "}, False), ((2, 96), {"name": " a"}, False),
        ((2, 96), {"user_data": "aGk="}, True), ((2, 96), {"user_data": "!"}, False),
        ((2, 96), {"networks": [{"uuid": UUID, "tag": "x"}]}, True),
        ((2, 41), {"networks": [{"uuid": UUID, "tag": "x"}]}, False),
    ],
)  # fmt: skip
def test_bodies_by_version(version: tuple[int, int], more: dict[str, Any], ok: bool) -> None:
    checked = schema.CREATE.at(version)
    assert checked is not None
    if ok:
        checked.check(body(**more))
        return
    with pytest.raises(Invalid):
        checked.check(body(**more))


def test_reading_a_body() -> None:
    nics = [{"uuid": UUID, "fixed_ip": "10.0.0.9"}, {"port": UUID}]
    disks = [{"source_type": "image", "uuid": UUID, "boot_index": 0, "destination_type": "local"},
             {"source_type": "blank", "destination_type": "local", "volume_size": 2}]  # fmt: skip
    new = schema.read(body(networks=nics, block_device_mapping_v2=disks, imageRef=""), (2, 96))
    assert new.image_id == UUID and new.block_devices[1].size_gb == 2
    assert (new.networks[0].fixed_ip, new.networks[1].port_id) == ("10.0.0.9", UUID)  # type: ignore[union-attr]
    volume = [{"source_type": "image", "uuid": UUID, "boot_index": 0, "destination_type": "volume"}]
    with pytest.raises(Unsupported, match="Block Storage"):
        schema.read(body(block_device_mapping_v2=volume), (2, 96))
    with pytest.raises(Invalid, match="cannot be used with port"):
        schema.read(body(networks=[{"port": UUID, "fixed_ip": "10.0.0.9"}]), (2, 96))
    with pytest.raises(Invalid, match="min_count must be"):
        schema.read(body(min_count=3, max_count=2), (2, 96))


def test_metadata_tells_the_same_twice_and_nothing_of_others() -> None:
    (server,) = plan()
    guest = metadata.Guest(server=server, secret=b"s")
    once = metadata.find(guest, "/openstack/latest/meta_data.json")
    assert once == metadata.find(guest, "/openstack/latest/meta_data.json")
    other = metadata.find(
        metadata.Guest(server=server, secret=b"t"), "/openstack/latest/meta_data.json"
    )
    assert once != other
    assert metadata.find(guest, "/openstack/2012-08-10/network_data.json") is None
    assert metadata.find(guest, "/latest/user-data") is None
    for path in ("/latest/meta-data/../..", "/openstack/content/9", "/2009-04-04/meta-data/x"):
        assert metadata.find(guest, path) is None
