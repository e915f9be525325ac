# SPDX-License-Identifier: Apache-2.0
"""Routers and floating addresses."""

import asyncio

import pytest

pytestmark = pytest.mark.anyio
NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_an_interface_comes_and_goes(member):
    network, subnet = await member.wired()
    router = await member.router(name="r")
    assert router["external_gateway_info"] is None and router["routes"] == []
    path = f"/routers/{router['id']}"
    body = {"subnet_id": subnet["id"]}
    added = await member("PUT", f"{path}/add_router_interface", body)
    assert added["id"] == router["id"] and added["subnet_ids"] == [subnet["id"]]
    port = (await member("GET", f"/ports/{added['port_id']}"))["port"]
    assert port["device_owner"] == "network:router_interface" and port["status"] == "ACTIVE"
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    again = await member.fails("PUT", f"{path}/add_router_interface", body)
    assert again == (400, "BadRequest")
    assert await member.fails("DELETE", f"/ports/{port['id']}") == (409, "ServicePortInUse")
    assert await member.fails("DELETE", path) == (409, "RouterInUse")
    assert (await member.fails("DELETE", f"/networks/{network['id']}"))[0] == 409
    gone = await member("PUT", f"{path}/remove_router_interface", body)
    assert gone["port_id"] == port["id"]
    assert await member.fails("PUT", f"{path}/remove_router_interface", body) == (
        404,
        "RouterInterfaceNotFoundForSubnet",
    )
    await member("DELETE", path, status=204)


async def test_an_interface_by_a_port(member):
    network, subnet = await member.wired()
    router = await member.router()
    path = f"/routers/{router['id']}"
    port = await member.port(network["id"], fixed_ips=[{"ip_address": "10.0.0.20"}])
    body = {"port_id": port["id"]}
    await member("PUT", f"{path}/add_router_interface", body)
    shown = (await member("GET", f"/ports/{port['id']}"))["port"]
    assert shown["device_id"] == router["id"]
    other = await member.router()
    again = f"/routers/{other['id']}/add_router_interface"
    assert await member.fails("PUT", again, body) == (409, "PortInUse")
    wrong = {"port_id": port["id"], "subnet_id": NOBODY}
    mismatch = await member.fails("PUT", f"{path}/remove_router_interface", wrong)
    assert mismatch == (400, "SubnetMismatchForPort")
    body["subnet_id"] = subnet["id"]
    await member("PUT", f"{path}/remove_router_interface", body)
    assert await member.fails("GET", f"/ports/{port['id']}") == (404, "PortNotFound")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "BadRequest"),
        ({"subnet_id": "x"}, 400, "HTTPBadRequest"),
        ({"subnet_id": NOBODY}, 404, "SubnetNotFound"),
        ({"port_id": NOBODY}, 404, "PortNotFound"),
        ({"port_id": NOBODY, "subnet_id": NOBODY}, 400, "BadRequest"),
        ([], 400, "BadRequest"),
    ],
)
async def test_a_wrong_interface_is_refused(member, body, status, kind):
    router = await member.router()
    path = f"/routers/{router['id']}/add_router_interface"
    assert await member.fails("PUT", path, body) == (status, kind)


async def test_networks_that_overlap_do_not_meet_at_a_router(member):
    _network, _subnet, router = await member.connected("10.0.0.0/16")
    _other, overlapping = await member.wired("10.0.5.0/24")
    path = f"/routers/{router['id']}/add_router_interface"
    body = {"subnet_id": overlapping["id"]}
    assert await member.fails("PUT", path, body) == (400, "BadRequest")


async def test_a_gateway_is_set_changed_and_taken(member, admin):
    outside = await member.external()
    router = await member.router(external_gateway_info={"network_id": outside})
    gateway = router["external_gateway_info"]
    assert gateway["network_id"] == outside and gateway["enable_snat"] is True
    assert gateway["external_fixed_ips"][0]["ip_address"].startswith("172.24.4.")
    path = f"/routers/{router['id']}"
    body = {"router": {"external_gateway_info": {"network_id": outside, "enable_snat": False}}}
    assert (await member.fails("PUT", path, body))[0] == 403
    changed = (await admin("PUT", path, body))["router"]
    assert changed["external_gateway_info"]["enable_snat"] is False
    assert changed["external_gateway_info"]["external_fixed_ips"] == gateway["external_fixed_ips"]
    wanted = [{"ip_address": "172.24.4.200"}]
    info = {"network_id": outside, "external_fixed_ips": wanted}
    changed = (await admin("PUT", path, {"router": {"external_gateway_info": info}}))["router"]
    [address] = changed["external_gateway_info"]["external_fixed_ips"]
    assert address["ip_address"] == "172.24.4.200"
    cleared = (await member("PUT", path, {"router": {"external_gateway_info": {}}}))["router"]
    assert cleared["external_gateway_info"] is None
    network = await member.network()
    inside = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
    assert await member.fails("PUT", path, inside) == (400, "BadRequest")
    missing = {"router": {"external_gateway_info": {"network_id": NOBODY}}}
    assert await member.fails("PUT", path, missing) == (404, "NetworkNotFound")


async def test_what_kind_of_router_it_is_is_said_honestly(admin, member):
    router = await admin.router()
    assert router["distributed"] is True and router["ha"] is False
    for wrong in ({"ha": True}, {"distributed": False}):
        assert await admin.fails("POST", "/routers", {"router": wrong}) == (400, "InvalidInput")
    assert (await member.fails("POST", "/routers", {"router": {"ha": True}}))[0] == 403


async def test_routes(member):
    _network, subnet, router = await member.connected()
    path = f"/routers/{router['id']}"

    def route(last, hop="10.0.0.9"):
        return {"destination": f"10.9.{last}.0/24", "nexthop": hop}

    shown = (await member("PUT", path, {"router": {"routes": [route(1)]}}))["router"]
    assert shown["routes"] == [route(1)]
    more = {"router": {"routes": [route(1), route(2)]}}
    shown = (await member("PUT", f"{path}/add_extraroutes", more))["router"]
    assert shown["routes"] == [route(1), route(2)]
    wrong = {"router": {"routes": [route(3, "10.7.0.1")]}}
    assert await member.fails("PUT", path, wrong) == (400, "InvalidRoutes")
    own = {"router": {"routes": [route(3, "10.0.0.1")]}}
    assert await member.fails("PUT", path, own) == (400, "InvalidRoutes")
    body = {"subnet_id": subnet["id"]}
    used = await member.fails("PUT", f"{path}/remove_router_interface", body)
    assert used == (409, "RouterInterfaceInUseByRoute")
    shown = (await member("PUT", f"{path}/remove_extraroutes", more))["router"]
    assert shown["routes"] == []


async def test_a_floating_address_leads_to_a_port(member):
    network, subnet, router = await member.connected()
    port = await member.port(network["id"])
    outside = await member.external()
    body = {"floating_network_id": outside, "port_id": port["id"]}
    made = (await member("POST", "/floatingips", {"floatingip": body}))["floatingip"]
    assert made["router_id"] == router["id"] and made["status"] == "ACTIVE"
    assert made["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"]
    assert made["port_details"]["mac_address"] == port["mac_address"]
    again = await member.fails("POST", "/floatingips", {"floatingip": body})
    assert again == (409, "FloatingIPPortAlreadyAssociated")
    gateway = {"router": {"external_gateway_info": {}}}
    used = await member.fails("PUT", f"/routers/{router['id']}", gateway)
    assert used == (409, "RouterExternalGatewayInUseByFloatingIp")
    interface = f"/routers/{router['id']}/remove_router_interface"
    used = await member.fails("PUT", interface, {"subnet_id": subnet["id"]})
    assert used == (409, "RouterInterfaceInUseByFloatingIP")
    path = f"/floatingips/{made['id']}"
    freed = (await member("PUT", path, {"floatingip": {"port_id": None}}))["floatingip"]
    assert freed["status"] == "DOWN" and freed["router_id"] is None
    assert freed["fixed_ip_address"] is None and freed["port_details"] is None
    await member("PUT", path, {"floatingip": {"port_id": port["id"]}})
    await member("DELETE", f"/ports/{port['id']}")
    assert (await member("GET", path))["floatingip"]["port_id"] is None
    await member("DELETE", path, status=204)
    assert await member.fails("GET", path) == (404, "FloatingIPNotFound")


async def test_one_of_several_addresses_of_a_port(member):
    network, _subnet, _router = await member.connected()
    wanted = [{"ip_address": "10.0.0.30"}, {"ip_address": "10.0.0.31"}]
    port = await member.port(network["id"], fixed_ips=wanted)
    body = {"floating_network_id": await member.external(), "port_id": port["id"]}
    assert await member.fails("POST", "/floatingips", {"floatingip": body}) == (400, "BadRequest")
    body["fixed_ip_address"] = "10.0.0.31"
    made = (await member("POST", "/floatingips", {"floatingip": body}))["floatingip"]
    assert made["fixed_ip_address"] == "10.0.0.31"
    body["fixed_ip_address"] = "10.0.0.32"
    assert await member.fails("POST", "/floatingips", {"floatingip": body}) == (400, "BadRequest")


async def test_floating_addresses_that_make_no_sense(member, stranger, callers):
    network, _subnet = await member.wired()
    port = await member.port(network["id"])
    outside = await member.external()

    async def fails(caller, **values):
        return await caller.fails("POST", "/floatingips", {"floatingip": values})

    assert await fails(member) == (400, "HTTPBadRequest")
    assert await fails(member, floating_network_id=network["id"]) == (400, "BadRequest")
    assert await fails(member, floating_network_id=NOBODY) == (404, "NetworkNotFound")
    unreachable = await fails(member, floating_network_id=outside, port_id=port["id"])
    assert unreachable == (404, "ExternalGatewayForFloatingIPNotFound")
    alone = await fails(member, floating_network_id=outside, fixed_ip_address="10.0.0.5")
    assert alone == (400, "BadRequest")
    theirs = await fails(stranger, floating_network_id=outside, port_id=port["id"])
    assert theirs == (404, "PortNotFound")
    wanted = {"floating_network_id": outside, "floating_ip_address": "172.24.4.99"}
    assert (await fails(member, **wanted))[0] == 403
    manager = callers("manager")
    made = (await manager("POST", "/floatingips", {"floatingip": wanted}))["floatingip"]
    assert made["floating_ip_address"] == "172.24.4.99"
    assert await fails(manager, **wanted) == (409, "IpAddressAlreadyAllocated")


async def test_floating_addresses_taken_at_once_differ(member):
    body = {"floatingip": {"floating_network_id": await member.external()}}
    made = await asyncio.gather(*(member("POST", "/floatingips", body) for _ in range(20)))
    assert len({item["floatingip"]["floating_ip_address"] for item in made}) == 20


async def test_an_external_network_with_a_gateway_stays_external(admin, member):
    outside = await member.external()
    await member.router(external_gateway_info={"network_id": outside})
    body = {"network": {"router:external": False}}
    wanted = (409, "ExternalNetworkInUse")
    assert await admin.fails("PUT", f"/networks/{outside}", body) == wanted


async def test_a_topology_made_by_itself(member):
    path = "/auto-allocated-topology/p1"
    checked = (await member("GET", f"{path}?fields=dry-run"))["auto_allocated_topology"]
    assert checked["id"] == "dry-run=pass"
    made = (await member("GET", path))["auto_allocated_topology"]
    assert (await member("GET", path))["auto_allocated_topology"] == made
    network = (await member("GET", f"/networks/{made['id']}"))["network"]
    assert len(network["subnets"]) == 1
    [router] = (await member("GET", "/routers"))["routers"]
    assert router["external_gateway_info"]
    await member("DELETE", path, status=204)
    assert (await member("GET", "/routers"))["routers"] == []
    assert (await member("GET", "/networks?project_id=p1"))["networks"] == []


async def test_an_external_network_takes_its_idle_floating_addresses_along(admin):
    network = await admin.network(**{"router:external": True})
    await admin.subnet(network["id"], "192.0.2.0/24", enable_dhcp=False)
    body = {"floatingip": {"floating_network_id": network["id"]}}
    await admin("POST", "/floatingips", body)
    await admin("DELETE", f"/networks/{network['id']}", status=204)
    assert (await admin("GET", "/floatingips"))["floatingips"] == []
