# SPDX-License-Identifier: Apache-2.0
"""Lists of servers say what Network says now, and of each server all that showing it says."""

from typing import Any

import pytest

from octostack.testing.compute_client import ComputeClient as Api

pytestmark = pytest.mark.anyio


async def _net(api: Api, path: str, body: Any = None, method: str = "POST") -> dict[str, Any]:
    answer = await api.client.request(method, f"/networking/v2.0{path}", json=body)
    assert answer.status_code < 300, answer.text
    made: dict[str, Any] = answer.json() if answer.content else {}
    return next(iter(made.values())) if len(made) == 1 else made


async def _image(api: Api, **more: str) -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"} | more
    image: str = (await api.client.post("/image/v2/images", json=body)).json()["id"]
    kind = {"content-type": "application/octet-stream"}
    await api.client.put(f"/image/v2/images/{image}/file", content=b"\0" * 512, headers=kind)
    return image


async def _shown(api: Api, server_id: str, version: str = "2.96") -> dict[str, Any]:
    """The server as a list has it, which must be as it is when shown alone."""
    listed = (await api("GET", "/servers/detail", status=200, version=version))["servers"]
    alone = (await api("GET", f"/servers/{server_id}", status=200, version=version))["server"]
    [mine] = [s for s in listed if s["id"] == server_id]
    alone.pop("server_groups", None)
    assert mine == alone
    return mine


def _addresses(server: dict[str, Any]) -> dict[str, list[str]]:
    return {n: [e["addr"] for e in entries] for n, entries in server["addresses"].items()}


async def test_what_is_changed_through_network_alone_is_shown(operator: Api) -> None:
    public = (await _net(operator, "/networks?router:external=true", method="GET"))[0]["id"]
    network = (await _net(operator, "/networks", {"network": {"name": "n"}}))["id"]
    made = {"network_id": network, "ip_version": 4, "cidr": "10.9.0.0/24"}
    subnet = (await _net(operator, "/subnets", {"subnet": made}))["id"]
    gateway = {"external_gateway_info": {"network_id": public}}
    router = (await _net(operator, "/routers", {"router": gateway}))["id"]
    plug = f"/routers/{router}/add_router_interface"
    await _net(operator, plug, {"subnet_id": subnet}, "PUT")
    server = await operator.boot(await _image(operator), networks=[{"uuid": network}])
    [port] = await _net(operator, f"/ports?device_id={server}", method="GET")
    url = f"/ports/{port['id']}"

    where = [{"subnet_id": subnet, "ip_address": "10.9.0.77"}]
    await _net(operator, url, {"port": {"fixed_ips": where}}, "PUT")
    assert _addresses(await _shown(operator, server)) == {"n": ["10.9.0.77"]}
    floating = {"floating_network_id": public, "port_id": port["id"]}
    ip = (await _net(operator, "/floatingips", {"floatingip": floating}))["floating_ip_address"]
    assert _addresses(await _shown(operator, server)) == {"n": ["10.9.0.77", ip]}
    await _net(operator, f"/networks/{network}", {"network": {"name": "m"}}, "PUT")
    group = await _net(operator, "/security-groups", {"security_group": {"name": "web"}})
    await _net(operator, url, {"port": {"security_groups": [group["id"]]}}, "PUT")
    changed = await _shown(operator, server)
    assert _addresses(changed) == {"m": ["10.9.0.77", ip]}
    assert changed["security_groups"] == [{"name": "web"}]
    await _net(
        operator, f"/security-groups/{group['id']}", {"security_group": {"name": "w"}}, "PUT"
    )
    assert (await _shown(operator, server))["security_groups"] == [{"name": "w"}]
    await _net(operator, url, method="DELETE")
    gone = await _shown(operator, server)
    assert gone["addresses"] == {} and "security_groups" not in gone


async def test_a_list_says_what_showing_says(operator: Api) -> None:
    operator.version = "2.96"
    kernel = await _image(operator)
    image = await _image(operator, kernel_id=kernel)
    more = {"metadata": {"a": "b"}, "tags": ["t"], "user_data": "Zm9v", "description": "d"}
    first = await operator.boot(image, **more)
    second = await operator.boot(image)
    state = {"os-resetState": {"state": "error"}}
    await operator("POST", f"/servers/{second}/action", state, status=202)
    for version in ("2.1", "2.9", "2.47", "2.96"):
        shown = await _shown(operator, first, version)
        assert shown["image"]["id"] == image and shown["metadata"] == {"a": "b"}
        await _shown(operator, second, version)
    assert shown["OS-EXT-SRV-ATTR:kernel_id"] == kernel and shown["tags"] == ["t"]
