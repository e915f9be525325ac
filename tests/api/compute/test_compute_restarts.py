# SPDX-License-Identifier: Apache-2.0
"""The control plane goes away in the middle of something, and comes back."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from octostack.base.errors import Unavailable
from octostack.testing import identity
from octostack.testing.cloud import TestCloud, running
from octostack.testing.compute import Failing, Neighbours

pytestmark = pytest.mark.anyio

URL = "/compute/v2.1/servers"


def start(tmp_path: Path, neighbours: Neighbours) -> AbstractAsyncContextManager[TestCloud]:
    extra = [("identity", identity.build), ("image", neighbours.build_images),
             ("network", neighbours.build_network), ("hosts", neighbours.build_hosts)]  # fmt: skip
    return running(tmp_path, ["placement", "compute"], extra=extra)


async def until(cloud: TestCloud, server_id: str, wanted: str) -> dict[str, Any]:
    async with cloud.client(identity.token("member")) as client, asyncio.timeout(20):
        while True:
            server: dict[str, Any] = (await client.get(f"{URL}/{server_id}")).json()["server"]
            if server["status"] == wanted and server["OS-EXT-STS:task_state"] is None:
                return server
            await asyncio.sleep(0)


async def test_a_boot_goes_on(tmp_path: Path) -> None:
    neighbours = Neighbours()
    image, net = neighbours.images.add(), neighbours.network.add_network("net")
    neighbours.network.comes_up = False
    ordered = asyncio.Event()

    async def hook(_name: str) -> None:
        ordered.set()

    body = {"server": {"name": "s", "flavorRef": "1", "imageRef": image,
                       "networks": [{"uuid": net}]}}  # fmt: skip
    async with start(tmp_path, neighbours) as cloud:
        for agent in neighbours.agents.values():
            agent.hook = hook
        async with cloud.client(identity.token("member")) as client:
            server_id = (await client.post(URL, json=body)).json()["server"]["id"]
        await ordered.wait()
    (port,) = neighbours.network.ports.values()
    neighbours.network.comes_up = True
    neighbours.network.put(port, port.device_id, port.host, port.device_owner)
    async with start(tmp_path, neighbours) as cloud:
        await until(cloud, server_id, "ACTIVE")
    assert len(neighbours.network.ports) == 1
    assert sum(server_id in a.specs for a in neighbours.agents.values()) == 1


async def test_an_order_is_carried_out(tmp_path: Path) -> None:
    neighbours = Neighbours()
    image = neighbours.images.add()
    body = {"server": {"name": "s", "flavorRef": "1", "imageRef": image}}
    async with (
        start(tmp_path, neighbours) as cloud,
        cloud.client(identity.token("member")) as client,
    ):
        server_id = (await client.post(URL, json=body)).json()["server"]["id"]
        await until(cloud, server_id, "ACTIVE")
        for agent in neighbours.agents.values():
            agent.hook = Failing(Unavailable("the host is away"), ensure_machine=1000)
        stop = await client.post(f"{URL}/{server_id}/action", json={"os-stop": None})
        assert stop.status_code == 202
    for agent in neighbours.agents.values():
        agent.hook = None
    async with start(tmp_path, neighbours) as cloud:
        await until(cloud, server_id, "SHUTOFF")
