# SPDX-License-Identifier: Apache-2.0
"""Rows and reality: what the doctor finds, and what is repaired."""

from typing import Any

import msgspec
import pytest

from octostack.base import clock, ids
from octostack.contracts.compute import Compute, Finding
from octostack.contracts.placement import Claim, Placement
from octostack.runtime.db import open_database
from octostack.services.compute.store.api_db import mappings, tables
from octostack.testing.cloud import TestCloud
from octostack.testing.compute import MemoryAgent, Neighbours

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server_id(member: Any, neighbours: Neighbours, image: str) -> str:
    net = neighbours.network.add_network("net")
    made: str = await member.boot(image, networks=[{"uuid": net}])
    return made


@pytest.fixture
def agent(server_id: str, neighbours: Neighbours) -> MemoryAgent:
    (found,) = [a for a in neighbours.agents.values() if server_id in a.specs]
    return found


async def examine(cloud: TestCloud, *, repair: bool) -> list[Finding]:
    return await cloud.runtime.bus.stub(Compute).doctor(repair)


async def test_a_healthy_cloud(cloud: TestCloud, server_id: str) -> None:
    assert await examine(cloud, repair=True) == []


async def test_a_machine_that_nobody_has(cloud: TestCloud, agent: MemoryAgent) -> None:
    stray = msgspec.structs.replace(next(iter(agent.specs.values())), id=ids.new())
    await agent.ensure_machine(stray)
    (found,) = await examine(cloud, repair=False)
    assert (found.kind, found.subject, found.repaired) == ("orphan_machine", stray.id, False)
    assert stray.id in agent.specs
    (found,) = await examine(cloud, repair=True)
    assert found.repaired and stray.id not in agent.specs
    assert await examine(cloud, repair=False) == []


async def test_a_machine_that_is_gone(cloud: TestCloud, agent: MemoryAgent, server_id: str) -> None:
    await agent.remove_machine(server_id)
    (found,) = await examine(cloud, repair=True)
    assert (found.kind, found.subject, found.repaired) == ("missing_machine", server_id, True)
    assert server_id in agent.specs


async def test_a_place_that_nobody_uses(cloud: TestCloud, neighbours: Neighbours) -> None:
    placement = cloud.runtime.bus.stub(Placement)
    nobody = ids.new()
    claim = Claim(consumer_id=nobody, project_id="p", user_id="u",
                  allocations={neighbours.facts[0].provider_id: {"VCPU": 1}})  # fmt: skip
    await placement.claim(claim)
    (found,) = await examine(cloud, repair=True)
    assert (found.kind, found.subject) == ("orphan_allocation", nobody)
    assert await placement.find_allocations(nobody) is None


async def test_a_port_that_is_gone(
    cloud: TestCloud, neighbours: Neighbours, server_id: str
) -> None:
    (port_id,) = neighbours.network.ports
    await neighbours.network.delete_port(port_id)
    (found,) = await examine(cloud, repair=True)
    assert (found.kind, found.subject, found.repaired) == ("missing_port", port_id, False)


async def test_an_order_that_was_lost_is_given_again(
    member: Any, admin: Any, agent: MemoryAgent, server_id: str
) -> None:
    """The host holds an older generation than the row: its next heartbeat mends that."""
    await admin("POST", f"/servers/{server_id}/action", {"os-resetState": {"state": "active"}})
    before = agent.specs[server_id].generation
    await agent.beat()
    assert agent.specs[server_id].generation == before + 1


async def test_a_server_deleted_while_its_host_was_away(
    member: Any, cloud: TestCloud, agent: MemoryAgent, server_id: str
) -> None:
    spec = agent.specs[server_id]
    await member("DELETE", f"/servers/{server_id}", status=204)
    await member.until(server_id, "gone")
    await agent.ensure_machine(spec)
    await agent.beat()
    assert agent.specs == {}


class Later(clock.Source):
    """An hour from now."""

    def now(self) -> float:
        return super().now() + 3600


async def test_a_server_that_was_never_made(cloud: TestCloud, server_id: str) -> None:
    """A create writes two databases: cut off between them, it leaves a mapping in the first."""
    lost = ids.new()
    db = await open_database(cloud.runtime.database_url, "compute_api", tables.metadata)
    async with db.write() as tx:
        await mappings.insert(tx, [lost], "p", "cell1")
    await db.close()
    assert await examine(cloud, repair=True) == []  # its row may be on its way
    with clock.installed(Later()):
        found = await examine(cloud, repair=True)
        assert [(f.kind, f.subject, f.repaired) for f in found if f.kind == "lost_mapping"] == [
            ("lost_mapping", lost, True)
        ]
        assert "lost_mapping" not in {f.kind for f in await examine(cloud, repair=False)}
