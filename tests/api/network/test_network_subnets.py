# SPDX-License-Identifier: Apache-2.0
"""Subnets, pools and address scopes."""

import pytest

pytestmark = pytest.mark.anyio


async def test_a_subnet_has_defaults_and_a_dhcp_server(member):
    network, subnet = await member.wired("10.1.0.0/24")
    assert subnet["gateway_ip"] == "10.1.0.1" and subnet["enable_dhcp"] is True
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    path = f"/ports?network_id={network['id']}"
    [server] = (await member("GET", path))["ports"]
    assert server["device_owner"] == "network:dhcp"
    assert server["fixed_ips"][0]["subnet_id"] == subnet["id"]
    await member("DELETE", f"/ports/{server['id']}", status=204)
    [another] = (await member("GET", path))["ports"]  # guests never go without
    assert another["id"] != server["id"] and another["device_owner"] == "network:dhcp"
    body = {"subnet": {"enable_dhcp": False}}
    await member("PUT", f"/subnets/{subnet['id']}", body)
    assert (await member("GET", path))["ports"] == []
    await member("PUT", f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True}})
    assert len((await member("GET", path))["ports"]) == 1


async def test_a_dhcp_server_has_an_address_in_each_subnet(member):
    network, first = await member.wired("10.1.0.0/24")
    second = await member.subnet(network["id"], "10.2.0.0/24")
    path = f"/ports?network_id={network['id']}"
    [server] = (await member("GET", path))["ports"]
    assert {ip["subnet_id"] for ip in server["fixed_ips"]} == {first["id"], second["id"]}
    await member("DELETE", f"/subnets/{first['id']}", status=204)
    [server] = (await member("GET", path))["ports"]
    assert [ip["subnet_id"] for ip in server["fixed_ips"]] == [second["id"]]


async def test_gateway_pools_servers_and_routes_are_kept(member):
    network = await member.network()
    subnet = await member.subnet(
        network["id"],
        "10.1.0.0/24",
        gateway_ip="10.1.0.254",
        allocation_pools=[{"start": "10.1.0.10", "end": "10.1.0.20"}],
        dns_nameservers=["8.8.8.8", "1.1.1.1"],
        host_routes=[{"destination": "10.9.0.0/24", "nexthop": "10.1.0.5"}],
    )
    assert subnet["dns_nameservers"] == ["8.8.8.8", "1.1.1.1"]
    assert subnet["host_routes"] == [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.5"}]
    path = f"/subnets/{subnet['id']}"
    pools = [{"start": "10.1.0.30", "end": "10.1.0.40"}]
    body = {"subnet": {"allocation_pools": pools, "gateway_ip": None, "dns_nameservers": []}}
    changed = (await member("PUT", path, body))["subnet"]
    assert changed["gateway_ip"] is None and changed["dns_nameservers"] == []
    port = await member.port(network["id"])
    last = int(port["fixed_ips"][0]["ip_address"].rsplit(".", 1)[1])
    assert 30 <= last <= 40


@pytest.mark.parametrize(
    ("more", "status", "kind"),
    [
        ({"cidr": "10.0.0.0"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0/33"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0/31"}, 400, "InvalidInput"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "127.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"ip_version": 5}, 400, "HTTPBadRequest"),
        ({"gateway_ip": "10.0.0.0"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.0.0.255"}, 400, "InvalidInput"),
        ({"gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"gateway_ip": "x"}, 400, "HTTPBadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, 400,
         "InvalidAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.5"}]}, 400,
         "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"},
                               {"start": "10.0.0.9", "end": "10.0.0.12"}]}, 409,
         "OverlappingAllocationPools"),
        ({"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}, 409,
         "GatewayConflictWithAllocationPools"),
        ({"dns_nameservers": ["x"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": [f"8.8.8.{n}" for n in range(6)]}, 400, "DNSNameServersExhausted"),
        ({"host_routes": [{"destination": "x", "nexthop": "y"}]}, 400, "HTTPBadRequest"),
        ({"ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"network_id": "00000000-0000-4000-8000-000000000000"}, 404, "NetworkNotFound"),
        ({"service_types": ["x"]}, 403, "PolicyNotAuthorized"),
    ],
)  # fmt: skip
async def test_a_subnet_that_makes_no_sense_is_refused(member, more, status, kind):
    network = await member.network()
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"} | more
    assert await member.fails("POST", "/subnets", {"subnet": body}) == (status, kind)


async def test_subnets_of_one_network_do_not_overlap(member):
    network, _subnet = await member.wired("10.0.0.0/16")
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.5.0/24"}
    assert await member.fails("POST", "/subnets", {"subnet": body}) == (400, "InvalidInput")
    await member.wired("10.0.0.0/16")  # on another network it may


async def test_a_subnet_in_use_stays(member):
    network, subnet = await member.wired()
    port = await member.port(network["id"])
    assert await member.fails("DELETE", f"/subnets/{subnet['id']}") == (409, "SubnetInUse")
    await member("DELETE", f"/ports/{port['id']}")
    await member("DELETE", f"/subnets/{subnet['id']}", status=204)


async def test_only_the_owner_of_a_network_makes_subnets(admin, member):
    network = await admin.network(shared=True)
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
    assert (await member.fails("POST", "/subnets", {"subnet": body}))[0] == 403


async def test_a_gateway_that_a_router_has_stays(member):
    _network, subnet, _router = await member.connected()
    body = {"subnet": {"gateway_ip": "10.0.0.9"}}
    wanted = (409, "GatewayIpInUse")
    assert await member.fails("PUT", f"/subnets/{subnet['id']}", body) == wanted


async def test_an_ipv6_subnet_by_slaac(member):
    network = await member.network()
    subnet = await member.subnet(
        network["id"], "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac"
    )
    assert subnet["gateway_ip"] == "fd00:1::1"
    port = await member.port(network["id"], mac_address="fa:16:3e:00:00:01")
    assert port["fixed_ips"][0]["ip_address"] == "fd00:1::f816:3eff:fe00:1"


async def test_subnets_are_cut_from_a_pool(member):
    body = {"name": "p", "prefixes": ["10.8.0.0/15", "10.10.0.0/16"], "default_prefixlen": 24}
    pool = (await member("POST", "/subnetpools", {"subnetpool": body}))["subnetpool"]
    assert pool["prefixes"] == ["10.8.0.0/15", "10.10.0.0/16"]
    assert pool["default_prefixlen"] == "24" and pool["ip_version"] == 4
    network = await member.network()
    base = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"]}
    first = (await member("POST", "/subnets", {"subnet": base}))["subnet"]
    second = (await member("POST", "/subnets", {"subnet": base | {"prefixlen": 26}}))["subnet"]
    third = (await member("POST", "/subnets", {"subnet": base}))["subnet"]
    assert [first["cidr"], second["cidr"], third["cidr"]] == [
        "10.8.0.0/24",
        "10.8.1.0/26",
        "10.8.2.0/24",
    ]
    taken = base | {"cidr": "10.8.0.0/25"}
    assert (await member.fails("POST", "/subnets", {"subnet": taken}))[1] == "SubnetAllocationError"
    path = f"/subnetpools/{pool['id']}"
    assert await member.fails("DELETE", path) == (400, "SubnetPoolDeleteError")
    added = await member("PUT", f"{path}/add_prefixes", {"prefixes": ["10.11.0.0/16"]})
    assert added["prefixes"] == ["10.8.0.0/14"]
    wrong = (400, "IllegalSubnetPoolPrefixUpdate")
    gone = {"prefixes": ["10.8.0.0/24"]}
    assert await member.fails("PUT", f"{path}/remove_prefixes", gone) == wrong
    await member("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.11.0.0/16"]})
    await member("DELETE", f"/networks/{network['id']}")
    await member("DELETE", path, status=204)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"min_prefixlen": 4}, "UnsupportedMinSubnetPoolPrefix"),
        ({"min_prefixlen": 26, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 64}, "IllegalSubnetPoolPrefixBounds"),
        ({"name": ""}, "HTTPBadRequest"),
        ({"prefixes": ["x"]}, "HTTPBadRequest"),
        ({"address_scope_id": "00000000-0000-4000-8000-000000000000"}, "AddressScopeNotFound"),
    ],
)
async def test_a_pool_that_makes_no_sense_is_refused(member, more, kind):
    body = {"name": "p", "prefixes": ["10.8.0.0/16"]} | more
    status = 404 if kind.endswith("NotFound") else 400
    assert await member.fails("POST", "/subnetpools", {"subnetpool": body}) == (status, kind)


async def test_the_default_pool(member, admin):
    network = await member.network()
    body = {"network_id": network["id"], "ip_version": 4, "use_default_subnetpool": True}
    subnet = (await member("POST", "/subnets", {"subnet": body}))["subnet"]
    assert subnet["cidr"].startswith("10.192.") and subnet["cidr"].endswith("/26")
    body = {"name": "other", "prefixes": ["10.0.0.0/16"], "is_default": True}
    assert (await member.fails("POST", "/subnetpools", {"subnetpool": body}))[0] == 403
    wanted = (400, "InvalidInput")
    assert await admin.fails("POST", "/subnetpools", {"subnetpool": body}) == wanted


async def test_pools_of_a_scope_do_not_overlap(member):
    body = {"address_scope": {"name": "s", "ip_version": 4}}
    scope = (await member("POST", "/address-scopes", body))["address_scope"]
    pool = {"name": "p", "prefixes": ["10.8.0.0/16"], "address_scope_id": scope["id"]}
    made = (await member("POST", "/subnetpools", {"subnetpool": pool}))["subnetpool"]
    wanted = (409, "AddressScopePrefixConflict")
    assert await member.fails("POST", "/subnetpools", {"subnetpool": pool}) == wanted
    path = f"/address-scopes/{scope['id']}"
    assert await member.fails("DELETE", path) == (409, "AddressScopeInUse")
    network = await member.network()
    base = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": made["id"]}
    await member("POST", "/subnets", {"subnet": base | {"prefixlen": 24}})
    shown = (await member("GET", f"/networks/{network['id']}"))["network"]
    assert shown["ipv4_address_scope"] == scope["id"]
