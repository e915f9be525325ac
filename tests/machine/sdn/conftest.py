# SPDX-License-Identifier: Apache-2.0
"""A host on real Open vSwitch, with network namespaces for guests."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from octostack.agents.network import ledger
from octostack.agents.network.agent import Agent, info_of
from octostack.contracts import network as service
from octostack.contracts import network_agent as intents
from octostack.engines.sdn import ovs
from octostack.runtime.tasks import Supervisor
from octostack.testing.guests import Guest, own_namespace
from octostack.testing.intents import COMMON, P1, P2, P3, given_device, outside_renumbered

CODE = "%04x" % (os.getpid() & 0xFFFF)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    lacking = os.geteuid() != 0 or shutil.which("ovs-vswitchd", path="/usr/sbin:/usr/bin") is None
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.machine)
            if lacking:
                item.add_marker(pytest.mark.skip(reason="needs root and Open vSwitch"))


class Listener:
    """What the agent says."""

    def __init__(self) -> None:
        self.reports: list[service.HostReport] = []

    async def register_agent(self, agent: service.AgentInfo) -> None:
        """Not asked for here."""

    async def report(self, report: service.HostReport) -> None:
        self.reports.append(report)


class OneHost:
    """The small cloud of `testing.intents` on this machine, its outside at 10.123.X.0/24."""

    def __init__(self, state_dir: Path, third: int = 7) -> None:
        self.state_dir = state_dir
        self.third = third
        moved = outside_renumbered(third)
        replaced = {(type(item), item.id): item for item in moved.values()}
        self.common = [replaced.get((type(item), item.id), item) for item in COMMON]
        self.guests: dict[str, Guest] = {}
        self.ports: dict[str, intents.LocalPort] = {}
        self.generation = 0
        self.tasks = Supervisor("host")
        self.listener = Listener()
        self.start()

    @property
    def floating(self) -> str:
        return f"10.123.{self.third}.20"

    def start(self) -> None:
        """A new agent, as after a restart."""
        self.tasks = Supervisor("host")
        config = ovs.OvsConfig(
            host="h1", state_dir=self.state_dir, outside={"public": ovs.Outside()}
        )
        self.dataplane = ovs.OvsDataplane(config, self.tasks)
        info = info_of("h1", self.dataplane.place, {}, simulated=False)
        book = ledger.open_ledger(self.state_dir, "h1")
        self.agent = Agent(info, self.dataplane, book, self.listener)
        self.agent.fabric.start(self.tasks)

    async def vanish(self) -> None:
        """The agent is gone without a word."""
        await self.tasks.stop()
        await self.dataplane.close()

    async def guest(self, port: intents.LocalPort, address: str = "", gateway: str = "") -> Guest:
        made = Guest(f"{self.state_dir}{port.id}", f"g{CODE}{port.id}"[:15], port.mac)
        self.guests[port.id] = made
        self.ports[port.id] = given_device(port, made.interface)
        await made.create(address, gateway)
        return made

    async def apply(self, *more: intents.Item) -> None:
        self.generation += 1
        replaced = {(type(item), item.id): item for item in more}
        base = [replaced.pop((type(item), item.id), item) for item in self.common]
        items = (*base, *self.ports.values(), *replaced.values())
        whole = intents.HostIntent(host="h1", generation=self.generation, items=items)
        state = await self.agent.apply(whole)
        assert state.error == ""
        assert {port.id: port.error for port in state.ports if not port.up} == {}

    async def close(self) -> None:
        for guest in self.guests.values():
            await guest.remove()
        await self.vanish()
        await ovs.remove(self.state_dir, "h1")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[OneHost]:
    # of its own: a test may kill the switch, and here it would be every cloud's
    async with own_namespace(f"octotest-{CODE}"):
        made = OneHost(tmp_path)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture
async def three(host: OneHost) -> OneHost:
    """The host with p1, p2 and p3 up and configured."""
    await host.guest(P1, "10.0.0.11/24", "10.0.0.1")
    await host.guest(P2, "10.0.0.12/24", "10.0.0.1")
    await host.guest(P3, "10.0.1.13/24", "10.0.1.1")
    await host.apply()
    return host
