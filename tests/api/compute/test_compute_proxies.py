# SPDX-License-Identifier: Apache-2.0
"""What old versions of Compute offer of other services, on a whole cloud with simulated hosts."""

import asyncio
from typing import Any

import pytest

from octostack.testing.cloud import TestCloud
from octostack.testing.compute_client import ComputeClient as Api

pytestmark = pytest.mark.anyio
NOWHERE = "00000000-0000-4000-8000-000000000000"


async def _group(api: Api, name: str) -> dict[str, Any]:
    body = {"security_group": {"name": name, "description": "d"}}
    made: dict[str, Any] = await api("POST", "/os-security-groups", body, status=200)
    return dict(made["security_group"])


async def test_security_groups(demo: Api, operator: Api) -> None:
    group = await _group(demo, "web")
    assert group["rules"] == [] and group["description"] == "d"
    one = f"/os-security-groups/{group['id']}"
    listed = (await demo("GET", "/os-security-groups", status=200))["security_groups"]
    assert [g["name"] for g in listed] == ["default", "web"]
    assert "web" not in str(await operator("GET", "/os-security-groups", status=200))
    assert "web" in str(await operator("GET", "/os-security-groups?all_tenants=1", status=200))
    page = await demo("GET", "/os-security-groups?limit=1&offset=1", status=200)
    assert len(page["security_groups"]) == 1
    body = {"security_group": {"name": "www", "description": ""}}
    assert (await demo("PUT", one, body, status=200))["security_group"]["name"] == "www"
    await demo("DELETE", one, status=202)
    await demo("GET", one, status=404)
    await demo("GET", "/os-security-groups/x", status=400)
    [default] = (await demo("GET", "/os-security-groups", status=200))["security_groups"]
    refused = await demo("DELETE", f"/os-security-groups/{default['id']}", status=400)
    assert "default" in refused["badRequest"]["message"]


async def test_rules(demo: Api) -> None:
    parent, peer = await _group(demo, "parent"), await _group(demo, "peer")

    async def add(status: int = 200, **asked: Any) -> Any:
        body = {"security_group_rule": {"parent_group_id": parent["id"], **asked}}
        return await demo("POST", "/os-security-group-rules", body, status=status)

    ssh = {"ip_protocol": "tcp", "from_port": 22, "to_port": "22"}
    rule = (await add(**ssh))["security_group_rule"]
    assert rule["ip_range"] == {"cidr": "0.0.0.0/0"} and rule["from_port"] == 22
    twice = await add(400, **ssh)
    assert twice["badRequest"]["message"] == f"This rule already exists in group {parent['id']}"
    others = (await add(ip_protocol="icmp", group_id=peer["id"]))["security_group_rule"]
    assert others["group"] == {"name": "peer", "tenant_id": peer["tenant_id"]}
    assert (others["from_port"], others["to_port"], others["ip_range"]) == (-1, -1, {})
    await add(group_id=peer["id"])
    await add(ip_protocol="udp", from_port=1, to_port=9, cidr="2001:db8::/32")
    shown = await demo("GET", f"/os-security-groups/{parent['id']}", status=200)
    assert len(shown["security_group"]["rules"]) == 4
    for wrong in (
        {}, {"ip_protocol": "tcp", "from_port": 3, "to_port": 2}, ssh | {"ip_protocol": "x"},
        ssh | {"to_port": 65536}, ssh | {"from_port": "a"}, ssh | {"cidr": "1.2.3.4/99"},
        ssh | {"cidr": "1.2.3.4/0"}, {"ip_protocol": "icmp", "from_port": 256, "to_port": 0},
    ):  # fmt: skip
        await add(400, **wrong)
    await add(404, group_id=NOWHERE, **ssh)
    await demo("DELETE", f"/os-security-group-rules/{rule['id']}", status=202)
    await demo("DELETE", f"/os-security-group-rules/{rule['id']}", status=404)
    await demo("DELETE", f"/os-security-groups/{peer['id']}", status=202)
    shown = await demo("GET", f"/os-security-groups/{parent['id']}", status=200)
    assert [r["ip_protocol"] for r in shown["security_group"]["rules"]] == ["udp"]


async def test_floating_ips(demo: Api) -> None:
    pools = await demo("GET", "/os-floating-ip-pools", status=200)
    assert pools == {"floating_ip_pools": [{"name": "public"}]}
    made = (await demo("POST", "/os-floating-ips", status=200))["floating_ip"]
    assert (made["pool"], made["instance_id"], made["fixed_ip"]) == ("public", None, None)
    one = f"/os-floating-ips/{made['id']}"
    assert (await demo("GET", one, status=200))["floating_ip"] == made
    assert (await demo("GET", "/os-floating-ips", status=200))["floating_ips"] == [made]
    await demo("POST", "/os-floating-ips", {"pool": "none such"}, status=404)
    await demo("POST", "/os-floating-ips", {"pool": [1]}, status=400)
    await demo("DELETE", one, status=202)
    gone = await demo("GET", one, status=404)
    assert gone["itemNotFound"]["message"] == f"Floating IP not found for ID {made['id']}"
    await demo("DELETE", one, status=404)


async def _wired_server(whole: TestCloud, demo: Api) -> tuple[str, str]:
    """A server behind a router; its id and fixed address."""

    async def net(path: str, body: Any, method: str = "POST") -> dict[str, Any]:
        answer = await demo.client.request(method, f"/networking/v2.0{path}", json=body)
        assert answer.status_code < 300, answer.text
        made: dict[str, Any] = answer.json()
        return made

    public = await demo.client.get("/networking/v2.0/networks?router:external=true")
    network = (await net("/networks", {"network": {"name": "n"}}))["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.9.0.0/24"}
    subnet_id = (await net("/subnets", {"subnet": subnet}))["subnet"]["id"]
    gateway = {"external_gateway_info": {"network_id": public.json()["networks"][0]["id"]}}
    router = (await net("/routers", {"router": gateway}))["router"]["id"]
    await net(f"/routers/{router}/add_router_interface", {"subnet_id": subnet_id}, "PUT")
    image = (await _image(demo))["id"]
    server_id = await Api(demo.client).boot(image, networks=[{"uuid": network}])
    server = (await demo("GET", f"/servers/{server_id}"))["server"]
    return server_id, server["addresses"]["n"][0]["addr"]


async def test_a_server_gets_a_floating_ip_and_a_group(whole: TestCloud, demo: Api) -> None:
    server_id, fixed = await _wired_server(whole, demo)
    act = f"/servers/{server_id}/action"
    floating = (await demo("POST", "/os-floating-ips", {"pool": "public"}))["floating_ip"]
    address = {"address": floating["ip"]}
    await demo("POST", act, {"removeFloatingIp": address}, status=409)
    other = {"addFloatingIp": address | {"fixed_address": "10.9.0.250"}}
    await demo("POST", act, other, status=400)
    await demo("POST", act, {"addFloatingIp": {"address": "192.0.2.1"}}, status=404)
    await demo("POST", act, {"addFloatingIp": address}, status=202)
    shown = (await demo("GET", f"/os-floating-ips/{floating['id']}"))["floating_ip"]
    assert (shown["instance_id"], shown["fixed_ip"]) == (server_id, fixed)
    assert floating["ip"] in str((await demo("GET", f"/servers/{server_id}"))["server"])
    await demo("POST", act, {"removeFloatingIp": address}, status=202, version="2.43")
    await demo("POST", act, {"addFloatingIp": address}, status=404, version="2.44")

    group = await _group(demo, "web")
    await demo("POST", act, {"addSecurityGroup": {"name": "web"}}, status=202)
    on_it = (await demo("GET", f"/servers/{server_id}/os-security-groups"))["security_groups"]
    assert [g["name"] for g in on_it] == ["default", "web"] and on_it[0]["rules"] != []
    in_use = await demo("DELETE", f"/os-security-groups/{group['id']}", status=400)
    assert "in use" in in_use["badRequest"]["message"]


async def _image(api: Api, **more: Any) -> dict[str, Any]:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"} | more
    made = await api.client.post("/image/v2/images", json=body)
    assert made.status_code == 201, made.text
    image: dict[str, Any] = made.json()
    data = {"content-type": "application/octet-stream"}
    url = f"/image/v2/images/{image['id']}/file"
    await api.client.put(url, content=b"\0" * 512, headers=data)
    return image


async def test_images(demo: Api, operator: Api) -> None:
    ids = {(await _image(demo, name=f"i{n}", os_distro="a"))["id"] for n in range(3)}
    assert {i["id"] for i in (await demo("GET", "/images", status=200))["images"]} == ids
    [first] = (await demo("GET", "/images/detail?name=i0", status=200))["images"]
    assert (first["status"], first["progress"], first["minRam"]) == ("ACTIVE", 100, 0)
    assert first["OS-EXT-IMG-SIZE:size"] == 512 and first["metadata"] == {"os_distro": "a"}
    page = await demo("GET", "/images?limit=2", status=200)
    rest = await demo("GET", "/images?" + page["images_links"][0]["href"].partition("?")[2])
    assert {i["id"] for i in (*page["images"], *rest["images"])} == ids
    assert (await demo("GET", "/images?server=x&status=SAVING", status=200))["images"] == []
    for wrong in ("limit=x", "changes-since=x"):
        await demo("GET", f"/images?{wrong}", status=400)
    await operator("GET", f"/images/{first['id']}", status=200)
    await demo("DELETE", f"/images/{first['id']}", status=204)
    gone = await demo("GET", f"/images/{first['id']}", status=404)
    assert gone["itemNotFound"]["message"] == "Image not found."


async def test_image_metadata(demo: Api, operator: Api) -> None:
    image_id = (await _image(demo, color="red"))["id"]
    meta = f"/images/{image_id}/metadata"
    await demo("POST", meta, {"metadata": {"size": "big"}}, status=403)  # not a free one
    await demo("POST", meta, {"metadata": {"a": "b"}}, status=200)
    assert (await demo("GET", meta))["metadata"] == {"color": "red", "a": "b"}
    await demo("PUT", meta, {"metadata": {"a": "c", "d": "e"}}, status=200)
    await demo("PUT", meta + "/d", {"meta": {"d": "f"}}, status=200)
    await demo("PUT", meta + "/d", {"meta": {"x": "f"}}, status=400)
    assert (await demo("GET", meta + "/d", status=200))["meta"] == {"d": "f"}
    await demo("DELETE", meta + "/a", status=204)
    await demo("DELETE", meta + "/a", status=404)
    assert (await demo("GET", meta, version="2.38"))["metadata"] == {"d": "f"}
    await demo("GET", meta, status=404, version="2.39")
    public = (await _image(operator, visibility="public"))["id"]
    refused = await demo("POST", f"/images/{public}/metadata", {"metadata": {"a": "b"}})
    assert refused["forbidden"]["message"] == "You are not allowed to change the image."
    await demo("DELETE", f"/images/{public}", status=403)


async def test_networks(demo: Api, operator: Api) -> None:
    [public] = (await demo("GET", "/os-networks", status=200))["networks"]
    assert public["label"] == "public" and "vlan" not in public
    assert "vlan" in (await operator("GET", f"/os-networks/{public['id']}"))["network"]
    shown = await demo("GET", f"/os-tenant-networks/{public['id']}", status=200)
    assert shown["network"] == {"id": public["id"], "label": "public", "cidr": "None"}
    await demo("GET", f"/os-networks/{NOWHERE}", status=404)
    for path in ("/os-networks", "/os-agents", "/os-fping"):
        answer = await demo("POST" if path == "/os-networks" else "GET", path, {}, status=410)
        assert answer["computeFault"]["code"] == 410


async def test_they_end_with_their_versions(demo: Api) -> None:
    for path in ("/os-security-groups", "/os-floating-ips", "/os-floating-ip-pools", "/images",
                 "/os-networks", "/os-tenant-networks", "/images/detail"):  # fmt: skip
        await demo("GET", path, status=200, version="2.35")
        await demo("GET", path, status=404, version="2.36")


async def test_versions(whole: TestCloud, demo: Api) -> None:
    async with whole.client() as client:
        listed = (await client.get("/compute/")).json()["versions"]
        assert [v["id"] for v in listed] == ["v2.0", "v2.1"]
        for version in listed:
            link = version["links"][0]["href"]
            assert (await client.get(link)).json()["version"]["id"] == version["id"]
    answer = await demo.client.get("/compute/v2/servers", headers={"openstack-api-version": "x"})
    assert answer.status_code == 200 and "openstack-api-version" not in answer.headers
    assert (await demo.client.get("/compute/v2.1/os-simple-tenant-usage/")).status_code == 404


async def test_audit(operator: Api) -> None:
    found = await operator("GET", "/os-instance_usage_audit_log/2026-01-15 10:00:00", status=200)
    log = found["instance_usage_audit_log"]
    assert log["period_beginning"] == "2025-12-01 00:00:00"
    assert log["period_ending"] == "2026-01-01 00:00:00"
    assert log["overall_status"] == "0 of 1 hosts done. 0 errors." and log["num_hosts_not_run"] == 1
    await operator("GET", "/os-instance_usage_audit_log/15 january", status=400)


async def test_a_crowd_of_requests_is_answered(demo: Api) -> None:
    """The calls behind one request do not wait for one another's transactions."""
    groups = await asyncio.gather(*(_group(demo, f"g{n}") for n in range(8)))
    assert len({g["id"] for g in groups}) == 8
