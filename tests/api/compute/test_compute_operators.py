# SPDX-License-Identifier: Apache-2.0
"""Hosts, zones, aggregates, quotas, usage, flavors, key pairs and groups."""

import base64
from typing import Any

import pytest

from octostack.testing.compute import Neighbours

pytestmark = pytest.mark.anyio

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGg0z6mK3YJ5bH6Xy7f5Vt5e3l9L7m3q3Q2m1b0r9sTt a@b"


async def test_discovery(cloud: Any, member: Any) -> None:
    async with cloud.client() as anyone:
        top = (await anyone.get("/compute")).json()["versions"][-1]
        one = (await anyone.get("/compute/v2.1/")).json()["version"]
    assert (top["id"], top["min_version"]) == ("v2.1", "2.1")
    assert one["version"] == "2.96" and one["links"][0]["href"].endswith("/compute/v2.1/")
    answer = await member.raw("GET", "/servers", version="2.97")
    assert answer.status_code == 406
    assert answer.json()["errors"][0]["max_version"] == "2.96"
    answer = await member.raw("GET", "/flavors", version="2.60")
    assert answer.headers["x-openstack-nova-api-version"] == "2.60"
    assert any(
        e["alias"] == "os-keypairs" for e in (await member("GET", "/extensions"))["extensions"]
    )


async def test_flavors(member: Any, admin: Any) -> None:
    assert len((await member("GET", "/flavors"))["flavors"]) == 7
    body = {"flavor": {"name": "mine", "ram": 64, "vcpus": 1, "disk": 1, "id": "auto",
                       "os-flavor-access:is_public": False}}  # fmt: skip
    made = (await admin("POST", "/flavors", body, status=200))["flavor"]
    path = f"/flavors/{made['id']}"
    await admin("POST", "/flavors", body, status=409)
    await member("GET", path, status=404)
    add = {"addTenantAccess": {"tenant": "p1"}}
    await admin("POST", path + "/action", add, status=200)
    await admin("POST", path + "/action", add, status=409)
    await member("POST", path + "/action", add, status=403)
    access = (await admin("GET", path + "/os-flavor-access"))["flavor_access"]
    assert access == [{"flavor_id": made["id"], "tenant_id": "p1"}]
    await member("GET", path, status=200)
    await admin("POST", path + "/os-extra_specs", {"extra_specs": {"a": "1"}}, status=200)
    assert (await member("GET", path))["flavor"]["extra_specs"] == {"a": "1"}
    await admin("PUT", path + "/os-extra_specs/a", {"a": "2"}, status=200)
    assert await member("GET", path + "/os-extra_specs/a") == {"a": "2"}
    await admin("DELETE", path + "/os-extra_specs/a", status=200)
    await admin("DELETE", path + "/os-extra_specs/a", status=404)
    changed = await admin("PUT", path, {"flavor": {"description": "x"}}, status=200)
    assert changed["flavor"]["description"] == "x"
    rem = {"removeTenantAccess": {"tenant": "p1"}}
    await admin("POST", path + "/action", rem, status=200)
    await admin("DELETE", path, status=202)
    page = await member("GET", "/flavors?limit=2&sort_key=memory_mb&sort_dir=desc")
    assert [f["name"] for f in page["flavors"]] == ["m1.xlarge", "m1.large"]
    assert "marker=4" in page["flavors_links"][0]["href"]
    assert len((await member("GET", "/flavors/detail?minRam=4096"))["flavors"]) == 3
    await member("GET", "/flavors?marker=none", status=400)
    await member("GET", "/flavors?minRam=x", status=400)


async def test_keypairs(member: Any, as_user: Any) -> None:
    body = {"keypair": {"name": "k", "public_key": KEY}}
    made = (await member("POST", "/os-keypairs", body, status=201))["keypair"]
    assert made["fingerprint"].count(":") == 15
    await member("POST", "/os-keypairs", body, status=409)
    await member("POST", "/os-keypairs", {"keypair": {"name": "g"}}, status=400)
    grown = await member("POST", "/os-keypairs", {"keypair": {"name": "g"}}, version="2.1")
    assert grown["keypair"]["private_key"].startswith("-----BEGIN")
    bad = {"keypair": {"name": "z", "public_key": "ssh-rsa nonsense"}}
    answer = await member("POST", "/os-keypairs", bad, status=400)
    assert "Keypair data is invalid" in answer["badRequest"]["message"]
    assert len((await member("GET", "/os-keypairs"))["keypairs"]) == 2
    page = await member("GET", "/os-keypairs?limit=1")
    assert page["keypairs"][0]["keypair"]["name"] == "g" and page["keypairs_links"]
    assert (await member("GET", "/os-keypairs/k"))["keypair"]["id"]
    other = await as_user("member", "p1", "u2")
    await other("GET", "/os-keypairs/k", status=404)
    await other("GET", "/os-keypairs/k?user_id=u1", status=403)
    await member("DELETE", "/os-keypairs/k", status=204)


async def test_groups_are_obeyed(member: Any, image: str) -> None:
    body = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    group = (await member("POST", "/os-server-groups", body, status=200))["server_group"]
    hints = {"os:scheduler_hints": {"group": group["id"]}}
    made = []
    for _ in range(3):
        server = {"name": "s", "flavorRef": "42", "imageRef": image, "networks": "none"}
        answer = await member("POST", "/servers", {"server": server} | hints, status=202)
        made.append(answer["server"]["id"])
    first, second = [await member.until(i, "ACTIVE") for i in made[:2]]
    assert first["hostId"] != second["hostId"]
    third = await member.until(made[2], "ERROR")
    assert third["fault"]["message"].startswith("No valid host was found")
    shown = (await member("GET", f"/os-server-groups/{group['id']}"))["server_group"]
    assert set(shown["members"]) == set(made) and first["server_groups"] == [group["id"]]
    old = {"server_group": {"name": "o", "policies": ["affinity"]}}
    made_old = await member("POST", "/os-server-groups", old, version="2.1", status=200)
    assert made_old["server_group"]["policies"] == ["affinity"]
    await member("POST", "/os-server-groups", old, status=400)
    assert len((await member("GET", "/os-server-groups"))["server_groups"]) == 2
    await member("DELETE", f"/os-server-groups/{group['id']}", status=204)


async def test_aggregates_make_zones(admin: Any, member: Any, image: str) -> None:
    body = {"aggregate": {"name": "rack", "availability_zone": "east"}}
    rack = (await admin("POST", "/os-aggregates", body, status=200))["aggregate"]
    await admin("POST", "/os-aggregates", body, status=409)
    path = f"/os-aggregates/{rack['id']}"
    await admin("POST", path + "/action", {"add_host": {"host": "host2"}}, status=200)
    await admin("POST", path + "/action", {"add_host": {"host": "host2"}}, status=409)
    await admin("POST", path + "/action", {"add_host": {"host": "no"}}, status=404)
    zones = (await member("GET", "/os-availability-zone"))["availabilityZoneInfo"]
    assert [z["zoneName"] for z in zones] == ["east", "nova"]
    server_id = await member.boot(image, availability_zone="east")
    server = (await admin("GET", f"/servers/{server_id}"))["server"]
    assert server["OS-EXT-SRV-ATTR:host"] == "host2"
    assert server["OS-EXT-AZ:availability_zone"] == server["pinned_availability_zone"] == "east"
    bad = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}
    none = await member("POST", "/servers", {"server": bad | {"availability_zone": "west"}})
    assert none["badRequest"]["message"] == "The requested availability zone is not available"
    await admin("POST", path + "/action", {"remove_host": {"host": "host2"}}, status=409)
    await member("DELETE", f"/servers/{server_id}", status=204)
    await member.until(server_id, "gone")
    meta = {"set_metadata": {"metadata": {"ssd": "yes", "availability_zone": None}}}
    shown = (await admin("POST", path + "/action", meta, status=200))["aggregate"]
    assert shown["metadata"] == {"ssd": "yes"}
    await admin("DELETE", path, status=400)
    await admin("POST", path + "/action", {"remove_host": {"host": "host2"}}, status=200)
    await admin("DELETE", path, status=200)
    await admin("GET", path, status=404)
    detail = await admin("GET", "/os-availability-zone/detail", status=200)
    assert set(detail["availabilityZoneInfo"][1]["hosts"]) == {"host1", "host2"}


async def test_services_and_hypervisors(admin: Any, member: Any, image: str) -> None:
    services = (await admin("GET", "/os-services?binary=nova-compute"))["services"]
    assert [s["state"] for s in services] == ["up", "up"]
    path = f"/os-services/{services[0]['id']}"
    off = {"status": "disabled", "disabled_reason": "broken"}
    shown = (await admin("PUT", path, off, status=200))["service"]
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "broken")
    server_id = await member.boot(image)
    server = (await admin("GET", f"/servers/{server_id}"))["server"]
    assert server["OS-EXT-SRV-ATTR:host"] == "host2" and server["host_status"] == "UP"
    enable = {"host": "host1", "binary": "nova-compute"}
    await admin("PUT", "/os-services/enable", enable, version="2.1", status=200)
    await admin("PUT", "/os-services/nonsense", enable, version="2.1", status=404)
    down = {"forced_down": True}
    assert (await admin("PUT", path, down))["service"]["state"] == "down"
    await admin("PUT", path, {"forced_down": False}, status=200)
    hypervisors = (await admin("GET", "/os-hypervisors?with_servers=true"))["hypervisors"]
    assert [len(h["servers"]) for h in hypervisors] == [0, 1]
    await admin("DELETE", f"/os-services/{services[1]['id']}", status=409)
    one = (await admin("GET", f"/os-hypervisors/{hypervisors[1]['id']}"))["hypervisor"]
    assert one["hypervisor_type"] == "simulated" and "vcpus" not in one
    old = await admin("GET", "/os-hypervisors/detail", version="2.1")
    assert [h["vcpus_used"] for h in old["hypervisors"]] == [0, 1]
    total = await admin("GET", "/os-hypervisors/statistics", version="2.87")
    assert total["hypervisor_statistics"]["running_vms"] == 1
    await admin("GET", "/os-hypervisors/host1/search", version="2.50", status=200)
    await admin("GET", "/os-hypervisors/zzz/servers", version="2.50", status=404)
    await admin("GET", "/os-hypervisors/not-a-uuid", status=400)
    page = await admin("GET", "/os-hypervisors?limit=1")
    assert len(page["hypervisors"]) == 1 and page["hypervisors_links"]
    await admin("DELETE", path, status=204)
    assert len((await admin("GET", "/os-hypervisors"))["hypervisors"]) == 1


async def test_quotas_limits_usage(admin: Any, member: Any, image: str) -> None:
    shown = (await member("GET", "/os-quota-sets/p1"))["quota_set"]
    assert shown["instances"] == 10 and "fixed_ips" not in shown and "injected_files" not in shown
    assert "fixed_ips" in (await member("GET", "/os-quota-sets/p1", version="2.1"))["quota_set"]
    await admin("PUT", "/os-quota-sets/p1", {"quota_set": {"instances": 1}}, status=200)
    await member("PUT", "/os-quota-sets/p1", {"quota_set": {"instances": 9}}, status=403)
    await member("GET", "/os-quota-sets/p2", status=403)
    await member.boot(image)
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}
    over = await member("POST", "/servers", {"server": server}, status=403)
    assert over["forbidden"]["message"] == (
        "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    )
    await admin("PUT", "/os-quota-sets/p1", {"quota_set": {"instances": 0}}, status=400)
    force = {"quota_set": {"instances": 0, "force": True}}
    await admin("PUT", "/os-quota-sets/p1", force, status=200)
    detail = (await member("GET", "/os-quota-sets/p1/detail"))["quota_set"]
    assert detail["cores"] == {"limit": 20, "in_use": 1, "reserved": 0}
    await admin("DELETE", "/os-quota-sets/p1", status=202)
    assert (await member("GET", "/limits"))["limits"]["absolute"]["maxTotalInstances"] == 10
    await member("GET", "/limits?tenant_id=p2", status=403)
    assert (await admin("GET", "/limits?tenant_id=p1"))["limits"]["absolute"]["totalCoresUsed"] == 1
    body = {"quota_class_set": {"cores": 99}}
    await admin("PUT", "/os-quota-class-sets/default", body, status=200)
    assert (await member("GET", "/os-quota-sets/p3/defaults"))["quota_set"]["cores"] == 99
    usage = (await member("GET", "/os-simple-tenant-usage/p1"))["tenant_usage"]
    assert usage["server_usages"][0]["flavor"] == "m1.tiny" and usage["total_hours"] > 0
    all_usage = await admin("GET", "/os-simple-tenant-usage?detailed=1")
    assert len(all_usage["tenant_usages"]) == 1
    await member("GET", "/os-simple-tenant-usage/p1?start=x", status=400)


async def test_events(admin: Any, member: Any, image: str) -> None:
    server_id = await member.boot(image)
    good = {"server_uuid": server_id, "name": "network-changed"}
    bad = {"server_uuid": "00000000-0000-4000-8000-000000000000", "name": "network-changed"}
    answer = await admin("POST", "/os-server-external-events", {"events": [good]}, status=200)
    assert answer["events"][0]["code"] == 200
    await admin("POST", "/os-server-external-events", {"events": [good, bad]}, status=207)
    await admin("POST", "/os-server-external-events", {"events": [bad]}, status=404)


async def test_create_refuses(member: Any, image: str, neighbours: Neighbours) -> None:
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}
    big = neighbours.images.add("big", min_ram=4096)
    for wrong in (
        {"flavorRef": "nope"}, {"imageRef": "00000000-0000-4000-8000-000000000000"},
        {"imageRef": big}, {"key_name": "nope"}, {"networks": [{"uuid": image}]},
        {"networks": [{"uuid": "x"}]}, {"name": ""}, {"name": "x" * 256}, {"user_data": "???"},
        {"min_count": 2, "max_count": 1}, {"security_groups": [{"name": "nope"}]},
        {"block_device_mapping_v2": [{"source_type": "volume", "uuid": image,
                                      "boot_index": 0, "destination_type": "volume"}]},
        {"personality": []}, {"metadata": {"a": 1}}, {"trusted_image_certificates": ["x"]},
    ):  # fmt: skip
        answer = await member("POST", "/servers", {"server": server | wrong})
        assert answer["badRequest"]["message"], wrong
    for wrong in ({"host": "host1"}, {"availability_zone": "nova:host1"}):
        answer = await member("POST", "/servers", {"server": server | wrong}, status=403)
    del server["networks"]
    await member("POST", "/servers", {"server": server}, status=400)
    await member("POST", "/servers", {"server": server}, version="2.1", status=202)


async def test_many_at_once(member: Any, image: str) -> None:
    server = {"name": "s", "flavorRef": "42", "imageRef": image, "networks": "none",
              "min_count": 2, "max_count": 3, "return_reservation_id": True}  # fmt: skip
    made = await member("POST", "/servers", {"server": server}, status=202)
    found = await member("GET", f"/servers?reservation_id={made['reservation_id']}&sort_key=name"
                                "&sort_dir=asc")  # fmt: skip
    assert [s["name"] for s in found["servers"]] == ["s-1", "s-2", "s-3"]
    for s in found["servers"]:
        await member.until(s["id"], "ACTIVE")
    page = await member("GET", "/servers/detail?limit=2")
    assert len(page["servers"]) == 2 and page["servers_links"][0]["rel"] == "next"
    marker = page["servers"][1]["id"]
    assert len((await member("GET", f"/servers?marker={marker}"))["servers"]) == 1
    await member("GET", "/servers?marker=nope", status=400)
    for query, count in (
        ("name=s-[12]", 2), ("name=s-(", 0), ("status=ACTIVE", 3), ("status=SHUTOFF", 0),
        ("status=RESIZE", 0), ("flavor=42", 3), ("flavor=1", 0), (f"image={image}", 3),
        ("limit=0", 0), ("changes-since=2000-01-01T00:00:00Z", 3), ("locked=false", 3),
    ):  # fmt: skip
        assert len((await member("GET", f"/servers?{query}", status=200))["servers"]) == count, (
            query
        )
    for query in ("limit=-1", "limit=x", "status=nope", "changes-since=x", "sort_key=nope",
                  "sort_dir=up", "unknown=1"):  # fmt: skip
        await member("GET", f"/servers?{query}", status=400)
    await member("GET", "/servers?all_tenants=1", status=403)


async def test_config_drive_and_metadata(
    cloud: Any, member: Any, neighbours: Neighbours, image: str
) -> None:
    from octostack.contracts.compute import Compute, MetadataRequest

    net = neighbours.network.add_network("net")
    await member("POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    server_id = await member.boot(image, name="Web One", networks=[{"uuid": net}], key_name="k",
                                  user_data=data, config_drive=True)  # fmt: skip
    (agent,) = [a for a in neighbours.agents.values() if a.specs]
    files = {f.path: f.content for f in agent.specs[server_id].config_drive}
    assert files["openstack/latest/user_data"] == b"#!/bin/sh\n"
    assert b'"admin_pass"' in files["openstack/latest/meta_data.json"]
    port = next(iter(neighbours.network.ports.values()))
    compute = cloud.runtime.bus.stub(Compute)

    async def get(path: str, **more: Any) -> Any:
        return await compute.metadata(MetadataRequest(port_id=port.id, path=path, **more))

    import json

    meta = json.loads((await get("/openstack/latest/meta_data.json")).body)
    assert (meta["uuid"], meta["hostname"]) == (server_id, "web-one.novalocal")
    assert meta["public_keys"] == {"k": KEY} and "admin_pass" not in meta
    network = json.loads((await get("/openstack/2018-08-27/network_data.json")).body)
    assert network["links"][0]["ethernet_mac_address"] == port.mac_address
    assert (await get("/latest/meta-data/public-keys/")).body == b"0=k"
    assert (await get("/latest/meta-data/public-keys/0/openssh-key")).body == KEY.encode()
    assert (await get("/latest/meta-data/local-ipv4")).body.startswith(b"10.0.")
    assert (await get("/latest/user-data")).body == b"#!/bin/sh\n"
    assert b"meta-data/" in (await get("/latest")).body
    for path in ("/nothing", "/openstack/nothing", "/latest/meta-data/x/y", "/../etc/passwd"):
        assert (await get(path)).status == 404
    password = await get("/openstack/latest/password", method="POST", body=b"c2VjcmV0")
    assert password.status == 200
    shown = await member("GET", f"/servers/{server_id}/os-server-password")
    assert shown == {"password": "c2VjcmV0"}
    by_ip = await compute.metadata(
        MetadataRequest(
            network_id=net, fixed_ip=port.fixed_ips[0].address, path="/latest/meta-data/hostname"
        )
    )
    assert by_ip.body == b"web-one.novalocal"
    await member("DELETE", f"/servers/{server_id}/os-server-password", status=204)


async def test_all_versions_show_a_server(admin: Any, image: str) -> None:
    server_id = await admin.boot(image)
    sizes = []
    for minor in range(1, 97):
        answer = await admin.raw("GET", f"/servers/{server_id}", version=f"2.{minor}")
        assert answer.status_code == 200
        sizes.append(len(answer.json()["server"]))
    assert sizes == sorted(sizes)
    one = (await admin("GET", f"/servers/{server_id}", version="2.46"))["server"]
    assert one["flavor"]["id"] == "1" and "tags" in one and "server_groups" not in one


async def test_what_another_project_owns_is_not_there(
    member: Any, as_user: Any, image: str
) -> None:
    server_id = await member.boot(image)
    stranger = await as_user("member", "p2", "u9")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/metadata"), ("GET", "/ips")):
        await stranger(method, f"/servers/{server_id}{path}", status=404)
    await stranger("POST", f"/servers/{server_id}/action", {"os-stop": None}, status=404)
    reader = await as_user("reader")
    await reader("GET", f"/servers/{server_id}", status=200)
    await reader("DELETE", f"/servers/{server_id}", status=403)
    assert (await stranger("GET", "/servers"))["servers"] == []
