# SPDX-License-Identifier: Apache-2.0
"""Networks: made, seen, changed, removed; what is the same for all resources is shown on them."""

import pytest

pytestmark = pytest.mark.anyio


async def test_a_member_sees_a_network_without_provider_attributes(member, admin):
    network = await member.network(name="n", description="d")
    assert network["status"] == "ACTIVE" and network["mtu"] == 1450
    assert network["project_id"] == network["tenant_id"] == "p1"
    assert not any(key.startswith("provider:") for key in network)
    shown = (await admin("GET", f"/networks/{network['id']}"))["network"]
    assert shown["provider:network_type"] == "vxlan"
    assert 1 <= shown["provider:segmentation_id"] <= 65535


async def test_a_new_cloud_has_an_external_network_and_a_pool(member):
    [network] = (await member("GET", "/networks"))["networks"]
    assert network["name"] == "public" and network["router:external"] is True
    [pool] = (await member("GET", "/subnetpools"))["subnetpools"]
    assert pool["is_default"] and pool["shared"]


async def test_what_another_project_has_is_not_there(member, stranger):
    network = await member.network(name="mine")
    path = f"/networks/{network['id']}"
    assert await stranger.fails("GET", path) == (404, "NetworkNotFound")
    assert await stranger.fails("DELETE", path) == (404, "NetworkNotFound")
    assert await stranger.fails("PUT", path, {"network": {"name": "x"}}) == (404, "NetworkNotFound")
    names = [n["name"] for n in (await stranger("GET", "/networks"))["networks"]]
    assert names == ["public"]


async def test_a_shared_network_is_seen_and_may_not_be_changed(admin, member):
    network = await admin.network(name="all", shared=True)
    assert (await member("GET", f"/networks/{network['id']}"))["network"]["shared"] is True
    path = f"/networks/{network['id']}"
    assert await member.fails("PUT", path, {"network": {"name": "x"}}) == (
        403,
        "PolicyNotAuthorized",
    )
    assert (await member.fails("POST", "/networks", {"network": {"shared": True}}))[0] == 403
    await admin("PUT", path, {"network": {"shared": False}})
    assert (await member.fails("GET", path))[0] == 404


async def test_a_network_others_use_cannot_be_unshared(admin, member):
    network = await admin.network(shared=True)
    await admin.subnet(network["id"])
    await member.port(network["id"])
    path = f"/networks/{network['id']}"
    wanted = (409, "InvalidSharedSetting")
    assert await admin.fails("PUT", path, {"network": {"shared": False}}) == wanted


async def test_a_network_in_use_stays(member):
    network, _subnet = await member.wired()
    port = await member.port(network["id"])
    path = f"/networks/{network['id']}"
    assert await member.fails("DELETE", path) == (409, "NetworkInUse")
    await member("DELETE", f"/ports/{port['id']}", status=204)
    await member("DELETE", path, status=204)
    assert (await member("GET", "/subnets?project_id=p1"))["subnets"] == []


async def test_segments_are_given_once(admin):
    first = await admin.network(**{"provider:network_type": "vxlan"})
    wanted = first["provider:segmentation_id"]
    body = {"provider:network_type": "vxlan", "provider:segmentation_id": wanted}
    assert await admin.fails("POST", "/networks", {"network": body}) == (409, "TunnelIdInUse")
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    assert await admin.fails("POST", "/networks", {"network": flat}) == (409, "FlatNetworkInUse")
    vlan = flat | {"provider:network_type": "vlan", "provider:segmentation_id": 7}
    assert (await admin.network(**vlan))["provider:segmentation_id"] == 7
    assert await admin.fails("POST", "/networks", {"network": vlan}) == (409, "VlanIdInUse")


@pytest.mark.parametrize(
    ("body", "kind", "word"),
    [
        ({"network": {"nam": "x"}}, "HTTPBadRequest", "Unrecognized attribute(s) 'nam'"),
        ({"network": {"id": "x"}}, "HTTPBadRequest", "Attribute 'id' not allowed in POST"),
        ({"network": {"name": 5}}, "HTTPBadRequest", "Invalid input for name"),
        ({"network": {"name": "x" * 256}}, "HTTPBadRequest", "exceeds maximum length of 255"),
        ({"network": {"mtu": "many"}}, "HTTPBadRequest", "'many' is not an integer"),
        ({"network": {"mtu": 9000}}, "InvalidInput", "maximum is 1450"),
        ({"network": {"admin_state_up": "maybe"}}, "HTTPBadRequest", "converted to boolean"),
        ({"network": {"project_id": "p2"}}, "HTTPBadRequest", "requires admin privileges"),
        ({"net": {}}, "HTTPBadRequest", "Unable to find 'network' in request body"),
        ({}, "HTTPBadRequest", "Resource body required"),
        ([], "HTTPBadRequest", "Resource body required"),
        ({"networks": []}, "HTTPBadRequest", "Resource body required"),
        ({"networks": [5]}, "HTTPBadRequest", "not a dictionary"),
    ],
)
async def test_a_wrong_body_is_told_what_is_wrong(member, body, kind, word):
    answer = await member.raw("POST", "/networks", body)
    assert answer.status_code == 400
    error = answer.json()["NeutronError"]
    assert error["type"] == kind and word in error["message"] and error["detail"] == ""


async def test_many_are_made_at_once_or_none(member):
    body = {"networks": [{"name": "a"}, {"name": "b"}]}
    made = (await member("POST", "/networks", body, status=201))["networks"]
    assert [network["name"] for network in made] == ["a", "b"]
    body = {"networks": [{"name": "c"}, {"name": "d", "shared": True}]}
    await member("POST", "/networks", body, status=403)
    found = (await member("GET", "/networks?name=c&name=d"))["networks"]
    assert found == []


async def test_a_list_is_filtered_sorted_cut_and_paged(member):
    for name in ("b", "a", "c", "d"):
        await member.network(name=name, admin_state_up=name != "d")
    path = "/networks?project_id=p1&sort_key=name&sort_dir=desc&fields=name"
    found = (await member("GET", path))["networks"]
    assert found == [{"name": name} for name in "dcba"]
    found = (await member("GET", "/networks?admin_state_up=false"))["networks"]
    assert [network["name"] for network in found] == ["d"]
    seen, path = [], "/networks?project_id=p1&sort_key=name&sort_dir=asc&limit=3"
    while path:
        page = await member("GET", path)
        seen += [network["name"] for network in page["networks"]]
        links = {link["rel"]: link["href"] for link in page.get("networks_links", [])}
        path = links.get("next", "").partition("/v2.0")[2]
    assert seen == ["a", "b", "c", "d"]


async def test_pages_backwards(member):
    for name in "abcd":
        await member.network(name=name)
    path = "/networks?project_id=p1&sort_key=name&sort_dir=asc&limit=2"
    first = await member("GET", path)
    marker = first["networks"][-1]["id"]
    second = await member("GET", f"{path}&marker={marker}")
    back = f"{path}&marker={second['networks'][0]['id']}&page_reverse=True"
    again = await member("GET", back)
    assert [n["name"] for n in again["networks"]] == ["a", "b"]


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "sort_key=name",
        "sort_key=colour&sort_dir=asc",
        "sort_key=name&sort_dir=up",
        "limit=-1",
        "limit=x",
        "admin_state_up=maybe",
        "mtu=high",
        "name=%00",
    ],
)
async def test_a_wrong_query_is_refused(member, query):
    assert (await member.fails("GET", f"/networks?{query}"))[0] == 400


async def test_revisions_count_and_can_be_asked_for(member):
    network = await member.network(name="a")
    path, first = f"/networks/{network['id']}", network["revision_number"]
    changed = (await member("PUT", path, {"network": {"name": "b"}}))["network"]
    assert changed["revision_number"] == first + 1
    stale = {"if-match": f"revision_number={first}"}
    body = {"network": {"name": "c"}}
    answer = await member.raw("PUT", path, body, headers=stale)
    assert answer.status_code == 412
    assert answer.json()["NeutronError"]["type"] == "RevisionNumberConstraintFailed"
    fresh = {"if-match": f"revision_number={first + 1}"}
    assert (await member.raw("PUT", path, body, headers=fresh)).status_code == 200
    assert (await member.raw("DELETE", path, headers={"if-match": "x"})).status_code == 400


async def test_times_can_be_asked_for(member):
    network = await member.network()
    for query in (f"created_at={network['created_at']}", "changed_since=2000-01-01T00:00:00"):
        found = (await member("GET", f"/networks?project_id=p1&{query}"))["networks"]
        assert [item["id"] for item in found] == [network["id"]]
    assert (await member("GET", "/networks?changed_since=2999-01-01"))["networks"] == []
    assert (await member.fails("GET", "/networks?changed_since=x"))[0] == 400


async def test_tags(member, stranger):
    network = await member.network(name="t")
    other = await member.network(name="u")
    path = f"/networks/{network['id']}/tags"
    assert await member("PUT", path, {"tags": ["red", "blue"]}) == {"tags": ["blue", "red"]}
    await member("PUT", f"{path}/green", status=201)
    await member("PUT", f"/networks/{other['id']}/tags/red", status=201)
    await member("GET", f"{path}/green", status=204)
    assert await member.fails("GET", f"{path}/black") == (404, "TagNotFound")

    async def named(query):
        found = (await member("GET", f"/networks?project_id=p1&{query}"))["networks"]
        return sorted(item["name"] for item in found)

    assert await named("tags=red,green") == ["t"]
    assert await named("tags=red") == ["t", "u"]
    assert await named("tags-any=green,black") == ["t"]
    assert await named("not-tags=green") == ["u"]
    assert await named("not-tags-any=red,green") == []
    await member("POST", path, {"tags": ["white"]}, status=201)
    await member("DELETE", f"{path}/red", status=204)
    assert (await member("GET", path))["tags"] == ["blue", "green", "white"]
    assert await member.fails("DELETE", f"{path}/red") == (404, "TagNotFound")
    await member("DELETE", path, status=204)
    assert (await member("GET", f"/networks/{network['id']}"))["network"]["tags"] == []
    assert await stranger.fails("PUT", path, {"tags": []}) == (404, "TagResourceNotFound")
    wrong = {"tags": ["x" * 256]}
    assert (await member.fails("PUT", path, wrong))[0] == 400


async def test_discovery(cloud, member):
    async with cloud.client() as client:
        versions = (await client.get("/networking")).json()["versions"]
        assert versions[0]["id"] == "v2.0"
        assert versions[0]["links"][0]["href"].endswith("/networking/v2.0/")
        assert (await client.get("/networking/v2.0")).status_code == 401
    assert {"name", "collection", "links"} <= set((await member("GET", "/"))["resources"][0])
    aliases = {item["alias"] for item in (await member("GET", "/extensions"))["extensions"]}
    assert {"router", "security-group", "provider"} <= aliases
    found = await member("GET", "/extensions/router")
    assert found["extension"]["alias"] == "router"
    assert await member.fails("GET", "/extensions/none") == (404, "ExtensionNotFound")
    assert await member.fails("GET", "/nothing") == (404, "HTTPNotFound")


async def test_how_many_addresses_are_left(admin, member):
    network, subnet = await member.wired()
    await member.port(network["id"])
    path = f"/network-ip-availabilities/{network['id']}"
    shown = (await admin("GET", path))["network_ip_availability"]
    assert shown["total_ips"] == 253 and shown["used_ips"] == 2  # the port and the DHCP server
    assert shown["subnet_ip_availability"][0]["subnet_id"] == subnet["id"]
    listed = await admin("GET", f"/network-ip-availabilities?network_id={network['id']}")
    assert len(listed["network_ip_availabilities"]) == 1
    assert (await member.fails("GET", path))[0] == 403
