# SPDX-License-Identifier: Apache-2.0
"""Ports."""

import asyncio

import pytest

pytestmark = pytest.mark.anyio


async def test_a_port_gets_an_address_a_mac_and_the_default_group(member):
    network, subnet = await member.wired()
    port = await member.port(network["id"], name="p")
    [address] = port["fixed_ips"]
    assert address["subnet_id"] == subnet["id"] and address["ip_address"].startswith("10.0.0.")
    assert port["mac_address"].startswith("fa:16:3e:") and port["status"] == "DOWN"
    [group] = (await member("GET", "/security-groups"))["security_groups"]
    assert port["security_groups"] == [group["id"]] and group["name"] == "default"
    assert port["dns_assignment"][0]["ip_address"] == address["ip_address"]
    assert "binding:host_id" not in port  # operators only
    assert port["binding:vnic_type"] == "normal"


async def test_wanted_addresses(member):
    network, subnet = await member.wired()
    wanted = [{"subnet_id": subnet["id"], "ip_address": "10.0.0.50"}, {"subnet_id": subnet["id"]}]
    port = await member.port(network["id"], fixed_ips=wanted)
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.50" and len(port["fixed_ips"]) == 2
    by_address = f"/ports?fixed_ips=ip_address=10.0.0.50&fixed_ips=subnet_id={subnet['id']}"
    found = (await member("GET", by_address))["ports"]
    assert [item["id"] for item in found] == [port["id"]]
    found = (await member("GET", "/ports?fixed_ips=ip_address_substr=0.0.5"))["ports"]
    assert port["id"] in [item["id"] for item in found]
    none = (await member("GET", "/ports?fixed_ips=ip_address=10.0.0.51"))["ports"]
    assert none == []


@pytest.mark.parametrize(
    ("more", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.60"}]}, 409, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.9.0.5"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "x"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": "x"}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{"subnet_id": "00000000-0000-4000-8000-000000000000"}]}, 400,
         "InvalidInput"),
        ({"mac_address": "01:00:00:00:00:01"}, 400, "HTTPBadRequest"),
        ({"mac_address": "fa:16:3e:00:00:60"}, 409, "MacAddressInUse"),
        ({"network_id": "00000000-0000-4000-8000-000000000000"}, 404, "NetworkNotFound"),
        ({"security_groups": ["00000000-0000-4000-8000-000000000000"]}, 404,
         "SecurityGroupNotFound"),
        ({"security_groups": ["x"]}, 400, "HTTPBadRequest"),
        ({"binding:host_id": "h"}, 403, "PolicyNotAuthorized"),
        ({"binding:vnic_type": "direct"}, 400, "HTTPBadRequest"),
        ({"allowed_address_pairs": [{}]}, 400, "AllowedAddressPairsMissingIP"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}] * 2}, 400,
         "DuplicateAddressPairInRequest"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}], "port_security_enabled": False},
         409, "AddressPairAndPortSecurityRequired"),
        ({"extra_dhcp_opts": [{"value": "x"}]}, 400, "HTTPBadRequest"),
        ({"device_owner": "x" * 300}, 400, "HTTPBadRequest"),
    ],
)  # fmt: skip
async def test_a_port_that_makes_no_sense_is_refused(member, more, status, kind):
    network, _subnet = await member.wired()
    taken = [{"ip_address": "10.0.0.60"}]
    await member.port(network["id"], fixed_ips=taken, mac_address="fa:16:3e:00:00:60")
    body = {"port": {"network_id": network["id"]} | more}
    assert await member.fails("POST", "/ports", body) == (status, kind)


async def test_the_last_address_and_no_more(member):
    network = await member.network()
    await member.subnet(network["id"], "10.0.0.0/29", enable_dhcp=False)
    body = {"network_id": network["id"]}
    made = (await member("POST", "/ports", {"ports": [body] * 5}, status=201))["ports"]
    addresses = {port["fixed_ips"][0]["ip_address"] for port in made}
    assert addresses == {f"10.0.0.{n}" for n in range(2, 7)}
    wanted = (409, "IpAddressGenerationFailure")
    assert await member.fails("POST", "/ports", {"port": body}) == wanted
    await member("DELETE", f"/ports/{made[2]['id']}")
    again = await member.port(network["id"])
    assert again["fixed_ips"] == made[2]["fixed_ips"]


async def test_many_at_once_never_share_an_address(member):
    network = await member.network()
    await member.subnet(network["id"], "10.0.0.0/26")
    made = await asyncio.gather(*(member.port(network["id"]) for _ in range(40)))
    addresses = [port["fixed_ips"][0]["ip_address"] for port in made]
    assert len(set(addresses)) == 40
    assert len({port["mac_address"] for port in made}) == 40


async def test_one_address_wanted_by_many_goes_to_one(member):
    network, _subnet = await member.wired()
    body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.77"}]}}
    answers = await asyncio.gather(*(member.raw("POST", "/ports", body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_a_port_changes(member, admin):
    network, subnet = await member.wired()
    port = await member.port(network["id"])
    path = f"/ports/{port['id']}"

    async def put(caller=member, **values):
        return (await caller("PUT", path, {"port": values}))["port"]

    changed = await put(name="n", admin_state_up=False, device_id="d", device_owner="compute:x")
    assert changed["name"] == "n" and changed["revision_number"] == port["revision_number"] + 1
    moved = await put(fixed_ips=[{"ip_address": "10.0.0.99"}])
    assert moved["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.99"}]
    kept = await put(fixed_ips=[{"subnet_id": subnet["id"]}])
    assert kept["fixed_ips"] == moved["fixed_ips"]
    options = [{"opt_name": "mtu", "opt_value": "1400"}, {"opt_name": "x", "opt_value": "y"}]
    assert len((await put(extra_dhcp_opts=options))["extra_dhcp_opts"]) == 2
    left = await put(extra_dhcp_opts=[{"opt_name": "x", "opt_value": None}])
    assert [o["opt_name"] for o in left["extra_dhcp_opts"]] == ["mtu"]
    pairs = [{"ip_address": "10.0.0.200"}, {"ip_address": "10.5.0.0/24",
                                            "mac_address": "fa:16:3e:11:11:11"}]  # fmt: skip
    changed = await put(allowed_address_pairs=pairs)
    assert changed["allowed_address_pairs"][1]["mac_address"] == "fa:16:3e:11:11:11"
    assert await member.fails("PUT", path, {"port": {"mac_address": "fa:16:3e:00:00:09"}}) == (
        403,
        "PolicyNotAuthorized",
    )
    assert (await put(admin, mac_address="fa:16:3e:00:00:09"))["mac_address"].endswith("00:09")
    bound = await put(admin, **{"binding:host_id": "h1"})
    assert bound["binding:vif_type"] == "binding_failed"  # no agent is known there
    wanted = (409, "PortBound")
    body = {"port": {"mac_address": "fa:16:3e:00:00:0a"}}
    assert await admin.fails("PUT", path, body) == wanted
    assert await member.fails("PUT", path, {"port": {"network_id": network["id"]}}) == (
        400,
        "HTTPBadRequest",
    )


async def test_port_security(member):
    network, _subnet = await member.wired()
    port = await member.port(network["id"])
    path = f"/ports/{port['id']}"
    off = {"port": {"port_security_enabled": False}}
    assert await member.fails("PUT", path, off) == (409, "PortSecurityPortHasSecurityGroup")
    off["port"]["security_groups"] = []
    changed = (await member("PUT", path, off))["port"]
    assert changed["security_groups"] == [] and changed["port_security_enabled"] is False
    open_ = await member.network(port_security_enabled=False)
    bare = await member.port(open_["id"])
    assert bare["port_security_enabled"] is False and bare["security_groups"] == []


async def test_ports_on_a_shared_network(admin, member, stranger):
    network = await admin.network(shared=True)
    await admin.subnet(network["id"])
    mine = await member.port(network["id"])
    assert (await stranger.fails("GET", f"/ports/{mine['id']}")) == (404, "PortNotFound")
    assert (await stranger("GET", "/ports"))["ports"] == []
    body = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.9"}]}
    assert (await member.fails("POST", "/ports", {"port": body}))[0] == 403
    body = {"network_id": network["id"], "device_owner": "network:dhcp"}
    assert (await member.fails("POST", "/ports", {"port": body}))[0] == 403


async def test_tenants_may_use_the_same_addresses(member, stranger):
    (mine, _a), (theirs, _b) = await member.wired(), await stranger.wired()
    wanted = [{"ip_address": "10.0.0.5"}]
    await member.port(mine["id"], fixed_ips=wanted)
    await stranger.port(theirs["id"], fixed_ips=wanted)
    assert (await stranger.fails("POST", "/ports", {"port": {"network_id": mine["id"]}}))[0] == 404
    seen = (await member("GET", "/ports?fixed_ips=ip_address=10.0.0.5"))["ports"]
    assert [port["network_id"] for port in seen] == [mine["id"]]


async def test_a_new_mac_on_demand(callers):
    manager = callers("manager")
    network, _subnet = await manager.wired()
    port = await manager.port(network["id"])
    body = {"port": {"mac_address": None}}
    changed = (await manager("PUT", f"/ports/{port['id']}", body))["port"]
    assert changed["mac_address"] != port["mac_address"]
    assert changed["mac_address"].startswith("fa:16:3e:")


async def test_a_port_is_born_with_tags(member):
    network, _subnet = await member.wired()
    port = await member.port(network["id"], tags=["a", "b"])
    found = (await member("GET", "/ports?tags=a,b"))["ports"]
    assert [item["id"] for item in found] == [port["id"]] and port["tags"] == ["a", "b"]
