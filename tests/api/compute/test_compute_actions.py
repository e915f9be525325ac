# SPDX-License-Identifier: Apache-2.0
"""Every action of a server, and what hangs on one."""

from typing import Any

import pytest

from octostack.base.errors import Invalid
from octostack.testing.compute import Failing, Neighbours

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server_id(member: Any, neighbours: Neighbours, image: str) -> str:
    net = neighbours.network.add_network("net")
    return await member.boot(image, networks=[{"uuid": net}], metadata={"a": "b"})


async def act(api: Any, server_id: str, name: str, value: Any = None, status: int = 202) -> Any:
    return await api("POST", f"/servers/{server_id}/action", {name: value}, status=status)


@pytest.mark.parametrize(
    ("there", "rests", "back"),
    [
        ("os-stop", "SHUTOFF", "os-start"),
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("rescue", "RESCUE", "unrescue"),
    ],
)
async def test_there_and_back(
    member: Any, server_id: str, there: str, rests: str, back: str
) -> None:
    await act(member, server_id, there, status=200 if there == "rescue" else 202)
    await member.until(server_id, rests)
    wrong = await act(member, server_id, there, status=409)
    assert "while it is in vm_state" in wrong["conflictingRequest"]["message"]
    await act(member, server_id, back)
    await member.until(server_id, "ACTIVE")


async def test_reboots(member: Any, server_id: str, neighbours: Neighbours) -> None:
    for kind, hard in (("SOFT", False), ("HARD", True)):
        await act(member, server_id, "reboot", {"type": kind})
        await member.until(server_id, "ACTIVE")
        assert any(r[1] is hard for a in neighbours.agents.values() for r in a.rebooted)


async def test_lock(member: Any, admin: Any, server_id: str) -> None:
    await act(member, server_id, "lock", {"locked_reason": "mine"})
    shown = (await member("GET", f"/servers/{server_id}"))["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    refused = await act(member, server_id, "os-stop", status=409)
    assert refused["conflictingRequest"]["message"] == f"Instance {server_id} is locked"
    await act(admin, server_id, "os-stop")
    await member.until(server_id, "SHUTOFF")
    await act(member, server_id, "unlock")
    await act(admin, server_id, "lock")
    await act(member, server_id, "unlock", status=403)
    await act(admin, server_id, "unlock")


async def test_rebuild(member: Any, server_id: str, neighbours: Neighbours) -> None:
    other = neighbours.images.add("other")
    body = {"imageRef": other, "name": "new", "user_data": "aGk="}
    answer = await act(member, server_id, "rebuild", body)
    assert answer["server"]["adminPass"] and answer["server"]["image"]["id"] == other
    assert (await member.until(server_id, "ACTIVE"))["name"] == "new"
    (agent,) = [a for a in neighbours.agents.values() if a.specs]
    assert (agent.specs[server_id].build, agent.specs[server_id].image.id) == (2, other)


async def test_create_image(member: Any, server_id: str, neighbours: Neighbours) -> None:
    answer = await act(member, server_id, "createImage", {"name": "snap"})
    await member.until(server_id, "ACTIVE")
    image = neighbours.images.images[answer["image_id"]]
    assert (image.status, image.properties["instance_uuid"]) == ("active", server_id)
    old = await member.raw(
        "POST", f"/servers/{server_id}/action", {"createImage": {"name": "s2"}}, version="2.44"
    )
    assert old.headers["location"].rsplit("/", 1)[1] in neighbours.images.images


async def test_change_password_needs_the_guest(member: Any, server_id: str) -> None:
    await act(member, server_id, "changePassword", {"adminPass": "x"})
    await member.until(server_id, "ACTIVE")
    actions = (await member("GET", f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("changePassword", "Error")


async def test_a_failed_action_is_told(
    member: Any, admin: Any, server_id: str, neighbours: Neighbours
) -> None:
    for agent in neighbours.agents.values():
        agent.hook = Failing(Invalid("no such thing"), ensure_machine=1)
    await act(member, server_id, "pause")
    server = await member.until(server_id, "ERROR")
    assert server["fault"]["message"] == "no such thing"
    await act(admin, server_id, "os-resetState", {"state": "active"})
    await member.until(server_id, "ACTIVE")


async def test_consoles(member: Any, admin: Any, server_id: str) -> None:
    text = (await act(member, server_id, "os-getConsoleOutput", {"length": 1}, 200))["output"]
    assert text == "login:"
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    path = f"/servers/{server_id}/remote-consoles"
    console = (await member("POST", path, body, status=200))["remote_console"]
    token = console["url"].rsplit("%3D", 1)[1]
    seen = await admin("GET", f"/os-console-auth-tokens/{token}", status=200)
    assert seen["console"]["instance_uuid"] == server_id
    await admin("GET", "/os-console-auth-tokens/nothing", status=404)
    body = {"remote_console": {"protocol": "spice", "type": "spice-html5"}}
    await member("POST", path, body, status=400)
    body = {"remote_console": {"protocol": "serial", "type": "serial"}}
    assert (await member("POST", path, body))["remote_console"]["url"].startswith("ws://")


async def test_metadata_and_tags(member: Any, server_id: str) -> None:
    path = f"/servers/{server_id}/metadata"
    added = await member("POST", path, {"metadata": {"c": "d"}}, status=200)
    assert added == {"metadata": {"a": "b", "c": "d"}}
    await member("PUT", path + "/c", {"meta": {"c": "e"}}, status=200)
    await member("PUT", path + "/x", {"meta": {"c": "e"}}, status=400)
    assert await member("GET", path + "/c") == {"meta": {"c": "e"}}
    await member("DELETE", path + "/c", status=204)
    await member("DELETE", path + "/c", status=404)
    assert await member("PUT", path, {"metadata": {}}, status=200) == {"metadata": {}}
    path = f"/servers/{server_id}/tags"
    await member("PUT", path + "/one", status=201)
    await member("PUT", path + "/one", status=204)
    await member("PUT", path, {"tags": ["one", "two"]}, status=200)
    for query, found in (("tags=one,two", 1), ("tags=one,no", 0), ("tags-any=no,two", 1),
                         ("not-tags=one,two", 0), ("not-tags-any=no", 1)):  # fmt: skip
        assert len((await member("GET", f"/servers?{query}"))["servers"]) == found, query
    await member("GET", path + "/two", status=204)
    await member("DELETE", path + "/two", status=204)
    await member("GET", path + "/two", status=404)
    await member("DELETE", path, status=204)


async def test_interfaces(member: Any, server_id: str, neighbours: Neighbours) -> None:
    path = f"/servers/{server_id}/os-interface"
    other = neighbours.network.add_network("other")
    port = neighbours.network.add_port(other)
    body = {"interfaceAttachment": {"port_id": port, "tag": "second"}}
    made = (await member("POST", path, body, status=200))["interfaceAttachment"]
    assert (made["net_id"], made["port_state"], made["tag"]) == (other, "ACTIVE", "second")
    (agent,) = [a for a in neighbours.agents.values() if a.specs]
    assert len(agent.specs[server_id].nics) == 2
    assert len((await member("GET", path))["interfaceAttachments"]) == 2
    shown = (await member("GET", f"/servers/{server_id}"))["server"]
    assert set(shown["addresses"]) == {"net", "other"}
    await member("DELETE", f"{path}/{port}", status=202)
    assert len(agent.specs[server_id].nics) == 1
    assert neighbours.network.ports[port].device_id == ""
    await member("GET", f"{path}/{port}", status=404)


async def test_actions_and_events(member: Any, admin: Any, server_id: str) -> None:
    path = f"/servers/{server_id}/os-instance-actions"
    await act(member, server_id, "os-stop")
    await member.until(server_id, "SHUTOFF")
    found = (await member("GET", path, status=200))["instanceActions"]
    assert [a["action"] for a in found] == ["stop", "create"]
    one = (await admin("GET", f"{path}/{found[1]['request_id']}"))["instanceAction"]
    assert one["events"][0]["result"] == "Success" and one["events"][0]["host"]
    page = await member("GET", path + "?limit=1")
    assert len(page["instanceActions"]) == 1 and page["links"][0]["rel"] == "next"
    await member("GET", path + "/req-nothing", status=404)


async def test_the_rest_of_a_server(
    member: Any, admin: Any, server_id: str, neighbours: Neighbours
) -> None:
    server = f"/servers/{server_id}"
    assert "net" in (await member("GET", server + "/ips"))["addresses"]
    assert "net" in await member("GET", server + "/ips/net")
    await member("GET", server + "/ips/nowhere", status=404)
    assert (await admin("GET", server + "/diagnostics"))["num_cpus"] == 2
    assert "cpu0_time" in await admin("GET", server + "/diagnostics", version="2.1")
    await act(member, server_id, "addSecurityGroup", {"name": "web"})
    await act(member, server_id, "addSecurityGroup", {"name": "no"}, status=404)
    shown = (await member("GET", server))["server"]["security_groups"]
    assert [g["name"] for g in shown] == ["default", "web"]
    await member("PUT", server, {"server": {"name": "x", "description": "d"}}, status=200)
    assert (await member("GET", server))["server"]["description"] == "d"
    assert await member("GET", server + "/os-server-password") == {"password": ""}
    assert await member("GET", server + "/topology") == {"nodes": [], "pagesize_kb": None}
    for later in ("resize", "shelve"):
        await act(member, server_id, later, {}, status=501)
    await act(member, server_id, "no-such", status=400)


async def test_a_guest_that_powers_off_is_stopped(
    member: Any, server_id: str, neighbours: Neighbours
) -> None:
    (agent,) = [a for a in neighbours.agents.values() if a.specs]
    agent.power[server_id] = "shutdown"
    await agent.report(server_id)
    await member.until(server_id, "SHUTOFF")
    agent.power[server_id] = "running"
    await agent.beat()
    await member.until(server_id, "ACTIVE")
