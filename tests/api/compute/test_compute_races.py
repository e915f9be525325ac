# SPDX-License-Identifier: Apache-2.0
"""Many at once: the last places, one server from several sides."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from octostack.testing.compute import Neighbours

pytestmark = pytest.mark.anyio

PLACES, ASKED = 10, 100


@pytest.fixture
def neighbours() -> Neighbours:
    """Two hosts that have room for five m1.tiny each."""
    return Neighbours(memory_mb=512 + 512 * PLACES // 2)


async def test_the_last_places_are_given_once(
    admin: Any, neighbours: Neighbours, image: str
) -> None:
    more = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    await admin("PUT", "/os-quota-sets/ops", more, status=200)
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}
    asks = [admin("POST", "/servers", {"server": server}, status=202) for _ in range(ASKED)]
    made = [answer["server"]["id"] for answer in await asyncio.gather(*asks)]
    found: Counter[str] = Counter()
    while sum(found.values()) < ASKED:
        listed = (await admin("GET", "/servers/detail"))["servers"]
        found = Counter(s["status"] for s in listed if s["status"] != "BUILD")
    assert found == {"ACTIVE": PLACES, "ERROR": ASKED - PLACES}
    assert sorted(len(a.specs) for a in neighbours.agents.values()) == [5, 5]
    gone = [admin("DELETE", f"/servers/{i}", status=204) for i in made]
    await asyncio.gather(*gone)
    for server_id in made:
        await admin.until(server_id, "gone")
    assert not any(a.specs for a in neighbours.agents.values())


async def test_deleted_while_it_is_built(member: Any, neighbours: Neighbours, image: str) -> None:
    net = neighbours.network.add_network("net")
    neighbours.network.comes_up = False  # it would wait for its port
    ordered = asyncio.Event()

    async def hook(_call: str) -> None:
        ordered.set()

    for agent in neighbours.agents.values():
        agent.hook = hook
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": [{"uuid": net}]}
    server_id = (await member("POST", "/servers", {"server": server}))["server"]["id"]
    await ordered.wait()
    await member("DELETE", f"/servers/{server_id}", status=204)
    await member.until(server_id, "gone")
    assert not neighbours.network.ports
    assert not any(a.specs for a in neighbours.agents.values())


async def test_of_two_orders_at_once_one_is_refused(member: Any, image: str) -> None:
    server_id = await member.boot(image)
    path = f"/servers/{server_id}/action"
    both = [member.raw("POST", path, {name: None}) for name in ("pause", "suspend")]
    answers = await asyncio.gather(*both)
    assert sorted(a.status_code for a in answers) == [202, 409]
