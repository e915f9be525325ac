# SPDX-License-Identifier: Apache-2.0
"""OSDs and clients look for a monitor when theirs is gone, or says nothing any more."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from octostack.engines.ceph.core.hunting import INTERVAL_S, PING_INTERVAL_S, PING_TIMEOUT_S
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import Plan, SimCluster, listening
from octostack.testing.cephsim.machines import OSDMachine
from octostack.testing.lives import Life

LONG_S = 120.0


class World:
    """A cluster that has begun, and a client that asks the monitors on and on."""

    def __init__(self, mons: int) -> None:
        self.cluster = SimCluster(1, Plan(mons=mons))
        self.answers = 0
        self._client = Life("client")

    async def begin(self) -> None:
        await self.cluster.start()
        await until(self.all_served)
        self._client.spawn(self._ask())
        await self.answered()

    def all_served(self) -> bool:
        """Whether each OSD has a monitor, and is up."""
        return all(is_served(machine) for machine in self.cluster.osds)

    async def answered(self) -> None:
        """The client has one more answer, to a question of now."""
        enough = self.answers + 2
        await until(lambda: self.answers >= enough)

    def end(self) -> None:
        self.cluster.bury()
        self._client.end()
        self._client.bury()

    async def _ask(self) -> None:
        async with self.cluster.client("client") as client:
            while True:
                await client.wait_for_latest_osdmap()
                self.answers += 1
                await asyncio.sleep(0.5)


def live(mons: int, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World(mons)
        await world.begin()
        await story(world)
        world.end()

    with listening():
        simloop.run(main, seed=1, limit_s=5 * LONG_S)


async def until(holds: Callable[[], bool]) -> None:
    while True:
        await asyncio.sleep(0.1)
        if holds():
            return


def is_served(machine: OSDMachine, but_by: str = "none") -> bool:
    osd = machine.osd
    conn = osd._monitors.conn if osd is not None else None
    if osd is None or conn is None or conn.target is None:
        return False
    return conn.is_open and osd.is_up and conn.target.host != but_by


def test_nobody_listens() -> None:
    """All try again every few seconds, not on and on, and soon find one that is back."""

    async def story(world: World) -> None:
        net, mon = world.cluster.net, world.cluster.mons[0]
        mon.kill()
        before = net.dials
        await asyncio.sleep(LONG_S)
        for_each = (net.dials - before) / (len(world.cluster.osds) + 1)
        assert 0.5 < for_each / (LONG_S / INTERVAL_S) < 1.5
        began_s = asyncio.get_running_loop().time()
        mon.start()
        await until(world.all_served)
        await world.answered()
        assert asyncio.get_running_loop().time() < began_s + 3 * INTERVAL_S

    live(1, story)


@pytest.mark.parametrize("how", ["dead", "cut", "deaf", "deaf to all"])
def test_a_silent_monitor_is_left_for_another(how: str) -> None:
    """Its streams stay open, and nothing comes by them (or nothing gets there)."""

    async def story(world: World) -> None:
        cluster, mon = world.cluster, world.cluster.mons[0]
        place = cluster.places[mon.name].host
        if how == "dead":
            mon.kill(silent=True)
        others = [*(machine.name for machine in cluster.osds), "client"]
        if how == "deaf to all":
            others += [machine.name for machine in cluster.mons if machine is not mon]
        for other in others:
            if how == "cut":
                cluster.net.cut(mon.name, other, both=False)
            if how.startswith("deaf"):
                cluster.net.cut(other, mon.name, both=False)
        began_s = asyncio.get_running_loop().time()
        await until(lambda: all(is_served(machine, but_by=place) for machine in cluster.osds))
        await world.answered()
        seconds = asyncio.get_running_loop().time() - began_s
        assert seconds < PING_TIMEOUT_S + PING_INTERVAL_S + 5 * INTERVAL_S

    live(3, story)
