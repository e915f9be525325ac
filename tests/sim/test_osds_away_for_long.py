# SPDX-License-Identifier: Apache-2.0
"""An OSD that was away for longer than the monitors keep changes of the map: it gets the whole map
of now, and cannot know what its groups went through. The others tell it, and all is made whole."""

import asyncio
import os

import pytest

from octostack.engines.ceph.rados.core.ops import WriteOp
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import POOL, Plan, SimCluster, listening
from octostack.testing.lives import Life

SEEDS = int(os.environ.get("SIM_SEEDS", "2"))
KEPT = 51  # changes: as few as there may be
AWAY = 70
OBJECTS = 12


class _Story:
    """One cluster, and the client that does what an operator does."""

    def __init__(self, seed: int, size: int) -> None:
        self.cluster = SimCluster(seed, Plan(osds=4, size=size, min_size=1))
        self.content: dict[str, bytes] = {}

    async def write(self, word: bytes) -> None:
        """To every object, so that who is away knows only old ones; every third is removed."""
        pool = await self.client.open_pool(POOL)
        for number in range(OBJECTS):
            name = f"o{number}"
            if word == b"last" and number % 3 == 0:
                await pool.remove(name)
                del self.content[name]
                continue
            self.content[name] = word * (number + 1)
            op = WriteOp()
            op.write_full(self.content[name])
            op.set_omap({"word": word})
            await pool.operate(name, op)

    async def pass_epochs(self) -> None:
        """So many that the first of them are forgotten."""
        for number in range(AWAY):
            word = "set" if number % 2 == 0 else "unset"
            command = {"prefix": f"osd {word}", "key": "noscrub"}
            await self.client.mon_command(command)

    async def check(self) -> None:
        """All is whole, and what was written last."""
        await self.cluster.whole()
        pool = await self.client.open_pool(POOL)
        for name, data in self.content.items():
            assert await pool.read(name) == data
        self.cluster.check_copies()

    async def run(self, away: str, victims: int) -> None:
        cluster = self.cluster
        await cluster.start()
        self.client = cluster.client("operator")
        async with self.client:
            config = {"prefix": "config set", "who": "mon", "name": "mon_min_osdmap_epochs"}
            await self.client.mon_command(config | {"value": str(KEPT)})
            await self.client.create_pool(POOL)
            await cluster.whole()
            await self.write(b"first")
            gone = cluster.osds[:victims]
            epochs = [machine.osd.osdmap.epoch for machine in gone if machine.osd]
            for machine in gone:
                self._leave(machine.name, away)
            if cluster.plan.size > 1:
                await self.write(b"while away")
            await self.pass_epochs()
            if cluster.plan.size > 1:
                await self.write(b"last")
            cluster.heal()
            await self.check()
            for machine, epoch in zip(gone, epochs, strict=True):
                assert machine.osd is not None
                assert machine.osd.maps.gap > epoch, "it has not seen all"

    def _leave(self, name: str, away: str) -> None:
        machine = next(one for one in self.cluster.osds if one.name == name)
        if away == "cut":
            for other in self.cluster.machines:
                if other is not machine:
                    self.cluster.net.cut(name, other.name, both=True)
            self.cluster.net.break_streams(name)
        else:
            machine.kill(power=away == "power")


@pytest.mark.parametrize("away", ["killed", "power", "cut"])
@pytest.mark.parametrize(("size", "victims"), [(3, 1), (3, 2), (1, 1)])
def test_who_was_away_for_long_is_made_whole(away: str, size: int, victims: int) -> None:
    for seed in range(SEEDS):
        story = _Story(seed, size)
        life = Life("operator")

        async def live(story: _Story = story, life: Life = life) -> None:
            try:
                await life.spawn(story.run(away, victims))
            finally:
                life.end()
                life.bury()
                story.cluster.bury()
                await asyncio.sleep(0)

        with listening():
            simloop.run(live, seed=seed, limit_s=3_600)
