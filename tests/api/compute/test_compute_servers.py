# SPDX-License-Identifier: Apache-2.0
"""Servers: boot, look, delete."""

import pytest

from octostack.testing.compute import Neighbours

pytestmark = pytest.mark.anyio


async def test_boot_and_delete(member, neighbours: Neighbours, image: str) -> None:
    net = neighbours.network.add_network("net")
    server_id = await member.boot(image, name="web", networks=[{"uuid": net}])
    server = (await member("GET", f"/servers/{server_id}", status=200))["server"]
    assert server["addresses"]["net"][0]["addr"].startswith("10.0.")
    assert server["OS-EXT-STS:power_state"] == 1
    assert server["flavor"]["original_name"] == "m1.tiny"
    (agent,) = [a for a in neighbours.agents.values() if a.specs]
    assert agent.specs[server_id].nics[0].network_id == net
    assert (await member("DELETE", f"/servers/{server_id}", status=204)) is None
    await member.until(server_id, "gone")
    assert not agent.specs and not neighbours.network.ports
