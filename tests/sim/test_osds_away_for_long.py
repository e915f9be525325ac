# SPDX-License-Identifier: Apache-2.0
"""OSDs that were away for longer than the monitors keep changes of the map. Where the others were
made whole without one, it gets the whole map of now, and they tell it what its groups went through.
Where not, as when all copies were away, nobody could tell: the changes since are all kept."""

import asyncio
import os
from collections.abc import Callable

import pytest

from octostack.engines.ceph.mon.ledger import Ledger
from octostack.engines.ceph.rados.core.ops import WriteOp
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import POOL, Plan, SimCluster, listening
from octostack.testing.cephsim.machines import OSDMachine
from octostack.testing.lives import Life

SEEDS = int(os.environ.get("SIM_SEEDS", "1"))
KEPT = 51  # changes: as few as there may be
AWAY = 70
OBJECTS = 12
PASSED_MAX = 200
PASSES_S = 0.5


class _Story:
    """One cluster, and the client that does what an operator does."""

    def __init__(self, seed: int, size: int) -> None:
        self.cluster = SimCluster(seed, Plan(osds=4, size=size, min_size=1))
        self.content: dict[str, bytes] = {}
        self.flips = 0

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

    @property
    def ledger(self) -> Ledger:
        """The monitor's."""
        monitor = self.cluster.mons[0].monitor
        assert monitor is not None
        return monitor.ledger

    async def pass_epochs(self, count: int = AWAY) -> None:
        """So many that the first of them would be forgotten."""
        for _ in range(count):
            self.flips += 1
            word = "set" if self.flips % 2 else "unset"
            await self.client.mon_command({"prefix": f"osd {word}", "key": "noscrub"})

    async def forget(self, epoch: int) -> None:
        """Pass epochs until the change to that one is forgotten."""
        for _ in range(PASSED_MAX):
            if self.ledger.oldest > epoch:
                return
            await self.pass_epochs(1)
            await asyncio.sleep(PASSES_S)
        raise AssertionError(f"the change to {epoch} is kept for ever: {self.ledger.oldest}")

    async def check(self) -> None:
        """All is whole, and what was written last."""
        await self.cluster.whole()
        pool = await self.client.open_pool(POOL)
        for name, data in self.content.items():
            assert await pool.read(name) == data
        self.cluster.check_copies()

    async def run(self, tell: "Callable[[_Story], object]") -> None:
        """A pool with objects; what `tell` does to it; and all is whole again."""
        await self.cluster.start()
        self.client = self.cluster.client("operator")
        async with self.client:
            config = {"prefix": "config set", "who": "mon", "name": "mon_min_osdmap_epochs"}
            await self.client.mon_command(config | {"value": str(KEPT)})
            await self.client.create_pool(POOL)
            await self.cluster.whole()
            await self.write(b"first")
            await tell(self)  # type: ignore[misc]
            await self.check()
            await self.forget(self.ledger.state.osdmap.epoch)

    def leave(self, machine: OSDMachine, away: str) -> int:
        """One is gone; the epoch it knew."""
        assert machine.osd is not None
        epoch = machine.osd.osdmap.epoch
        if away == "cut":
            for other in self.cluster.machines:
                if other is not machine:
                    self.cluster.net.cut(machine.name, other.name, both=True)
            self.cluster.net.break_streams(machine.name)
        else:
            machine.kill(power=away == "power")
        return epoch


def play(seed: int, size: int, tell: "Callable[[_Story], object]") -> None:
    """Run a story."""
    story, life = _Story(seed, size), Life("operator")

    async def live() -> None:
        try:
            await life.spawn(story.run(tell))
        finally:
            life.end()
            life.bury()
            story.cluster.bury()
            await asyncio.sleep(0)

    with listening():
        simloop.run(live, seed=seed, limit_s=3_600)


@pytest.mark.parametrize("away", ["killed", "power", "cut"])
def test_one_without_whom_all_was_made_whole_is_told_by_the_others(away: str) -> None:
    async def tell(story: _Story) -> None:
        gone = story.cluster.osds[0]
        epoch = story.leave(gone, away)
        await story.write(b"while away")
        await story.forget(epoch + 1)
        await story.write(b"last")
        story.cluster.heal()
        await story.cluster.whole()
        assert gone.osd is not None
        assert gone.osd.maps.gap > epoch, "it has seen all"

    for seed in range(SEEDS):
        play(seed, 3, tell)


@pytest.mark.parametrize(("size", "away"), [(3, "killed"), (3, "cut"), (1, "power")])
def test_the_past_is_kept_while_copies_are_missing(size: int, away: str) -> None:
    async def tell(story: _Story) -> None:
        gone = story.cluster.osds[: 2 if size > 1 else 1]
        epoch = min(story.leave(machine, away) for machine in gone)
        if size > 1:
            await story.write(b"while away")
        await story.pass_epochs()
        assert story.ledger.oldest <= epoch
        if size > 1:
            await story.write(b"last")
        story.cluster.heal()

    for seed in range(SEEDS):
        play(seed, size, tell)


@pytest.mark.parametrize(("size", "away"), [(3, "power"), (2, "killed")])
def test_when_all_were_away_nothing_is_lost(size: int, away: str) -> None:
    """Also not when the monitors forget what OSDs have told them."""

    async def tell(story: _Story) -> None:
        first, *others = story.cluster.osds
        story.leave(first, away)
        await story.write(b"without the first")
        await story.pass_epochs(20)
        await story.write(b"last")
        epoch = min(story.leave(machine, away) for machine in others)
        await story.pass_epochs()
        (mon,) = story.cluster.mons
        mon.kill(power=True)
        await mon.start()
        await story.pass_epochs()
        assert story.ledger.oldest <= epoch
        story.cluster.heal()
        await story.cluster.whole()
        for machine in others:
            assert machine.osd is not None
            assert not machine.osd.maps.gap

    for seed in range(SEEDS):
        play(seed, size, tell)
