# SPDX-License-Identifier: Apache-2.0
"""OSDs that never come back: a group that one of them may know newer writes of waits for it, until
an operator gives up what it has, or takes it out of the map."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from octostack.base.errors import Forbidden, Invalid, NotFound
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.rados import Cluster
from octostack.engines.ceph.rados.commands import Answer
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import GROUPS, LOOK_S, POOL, Plan, SimCluster, listening
from octostack.testing.cephsim.work import make_pool
from octostack.testing.lives import Life
from octostack.wire.ceph.objects import PG

SEEDS = int(os.environ.get("SIM_SEEDS", "2"))
LONG_S = 40.0
PATIENCE_S = 60.0
NAMES = [f"o{number}" for number in range(8)]
COPIES = Plan(osds=2, size=2, min_size=1)
SHARDS = Plan(osds=3, size=3, min_size=2, k=2)


class Story:
    """One cluster with a pool, and an operator."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.cluster = SimCluster(seed, plan)
        self.client: Cluster

    async def order(self, **command: object) -> bytes:
        """A command to the monitors."""
        return (await self.client.mon_command(command)).output

    async def write(self, word: bytes) -> None:
        """To every object."""
        pool = await self.client.open_pool(POOL)
        for name in NAMES:
            await pool.write_full(name, word)

    async def read(self) -> set[bytes]:
        """What objects have."""
        pool = await self.client.open_pool(POOL)
        return {await pool.read(name) for name in NAMES}

    def primaries(self) -> list[Replica]:
        """Of all groups, as far as there are any."""
        return [
            replica
            for machine in self.cluster.osds
            if machine.osd is not None
            for replica in machine.osd.copies.held.values()
            if replica.peering.is_primary
        ]

    async def until(self, test: Callable[[Replica], bool]) -> None:
        """It holds for the primaries of all groups."""
        await _until(lambda: [test(one) for one in self.primaries()] == [True] * GROUPS)

    async def lose(self, number: int) -> None:
        """Give up what an OSD has; where no other is left that could miss it, the operator does."""
        await self.order(prefix="osd down", ids=[str(number)])
        await self.order(prefix="osd lost", id=str(number), yes_i_really_mean_it=True)

    async def bring(self, number: int) -> None:
        """Start an OSD; until the map has it up."""
        machine = self.cluster.osds[number]
        await machine.start()
        await _until(lambda: machine.osd is not None and machine.osd.is_up)


async def _until(test: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / LOOK_S)):
        if test():
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("it does not come to that")


Tell = Callable[[Story], Awaitable[None]]


def play(seed: int, plan: Plan, tell: Tell) -> None:
    """A cluster whose pool is whole, and what is told of it."""
    story, life = Story(seed, plan), Life("operator")

    async def through() -> None:
        await story.cluster.start()
        story.client = story.cluster.client("operator")
        async with story.client:
            await make_pool(story.client, plan)
            await story.cluster.whole()
            await story.write(b"first")
            await tell(story)

    async def live() -> None:
        try:
            await life.spawn(through())
        finally:
            life.end()
            life.bury()
            story.cluster.bury()
            await asyncio.sleep(0)

    with listening():
        simloop.run(live, seed=seed, limit_s=3_600)


def _is_down(replica: Replica) -> bool:
    return replica.peering.phase == Phase.DOWN


def _is_active(replica: Replica) -> bool:
    return replica.peering.is_active


async def _wait_for_nothing(story: Story, blocked_by: int) -> None:
    """Nothing goes on by itself, however long."""
    await story.until(_is_down)
    reading = asyncio.ensure_future(story.read())
    for _ in range(int(LONG_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        assert all(_is_down(one) for one in story.primaries())
        assert all(one.peering.blocked_by == [blocked_by] for one in story.primaries())
    assert not reading.done()
    reading.cancel()


async def _check_query(story: Story) -> None:
    """A group that waits for the second OSD tells of its past, as the map has it."""
    pool, (mon,) = await story.client.open_pool(POOL), story.cluster.mons
    assert mon.monitor is not None
    first, second = mon.monitor.ledger.state.osdmap.osd_info
    command = {"prefix": "pg", "cmd": "query"}
    answer = await story.client.pg_command(PG(pool.id, 0), command)
    found = msgspec.json.decode(answer.output)
    history = found["info"]["history"]
    assert history["same_interval_since"] >= first.up_from
    assert first.down_at > history["last_epoch_started"], "it knows of nothing later"
    assert first.down_at > found["info"]["last_epoch_started"] > 0
    assert history["last_epoch_started"] >= history["last_interval_clean"]
    assert history["last_interval_clean"] >= history["epoch_created"] > 0
    (past,) = found["recovery_state"][1]["past_intervals"]
    assert past["all_participants"] == [{"osd": 0}, {"osd": 1}]
    alone = past["intervals"][-1]
    until = min(first.up_from, second.down_at)
    assert (alone["acting"], int(alone["last"])) == ("1", until - 1)


@pytest.mark.parametrize("how", ["lost", "rm"])
def test_who_is_given_up_is_not_waited_for(how: str) -> None:
    async def tell(story: Story) -> None:
        first, second = story.cluster.osds
        first.kill()
        await story.write(b"newer")
        second.kill(power=True)
        await story.bring(0)
        await _wait_for_nothing(story, 1)
        await _check_query(story)
        if how == "rm":
            await story.order(prefix="osd rm", ids=["1"])
        else:
            with pytest.raises(Forbidden, match="real, permanent data loss"):
                await story.order(prefix="osd lost", id="1")
            assert all(_is_down(one) for one in story.primaries())
            await story.lose(1)
        await story.until(_is_active)
        assert await story.read() == {b"first"}
        await story.write(b"after all")
        if how == "lost":  # it comes back after all, and has to forget
            await story.bring(1)
            await story.cluster.whole()
            story.cluster.check_copies()
        assert await story.read() == {b"after all"}

    for seed in range(SEEDS):
        play(seed, COPIES, tell)


def test_who_comes_back_is_heard_although_it_was_given_up() -> None:
    """What it has is not lost, if it is there before the group goes on without it."""

    async def tell(story: Story) -> None:
        first, second = story.cluster.osds
        first.kill()
        await story.write(b"newer")
        second.kill(power=True)
        await story.lose(1)
        await story.bring(1)
        await story.bring(0)
        await story.cluster.whole()
        assert await story.read() == {b"newer"}

    for seed in range(SEEDS):
        play(seed, COPIES, tell)


def test_of_shards_too() -> None:
    async def tell(story: Story) -> None:
        first, second, third = story.cluster.osds
        first.kill()
        await story.write(b"newer")
        for machine in (second, third):
            machine.kill()
        for number in (0, 1):
            await story.bring(number)
        await _wait_for_nothing(story, 2)
        await story.lose(2)
        await story.until(lambda one: one.peering.phase == Phase.ACTIVE)
        await story.bring(2)
        await story.cluster.whole()
        assert await story.read() == {b"newer"}

    for seed in range(SEEDS):
        play(seed, SHARDS, tell)


class _Unfound:
    """What the groups of a pool say of objects that nobody has."""

    def __init__(self, story: Story) -> None:
        self.client = story.client
        self.count = 0
        self.names: list[str] = []

    async def _ask(self, **command: object) -> list[Answer]:
        pool = await self.client.open_pool(POOL)
        groups = [PG(pool.id, seed) for seed in range(GROUPS)]
        return [await self.client.pg_command(pg, command) for pg in groups]

    async def look(self) -> None:
        """Who there are."""
        answers = await self._ask(prefix="pg", cmd="list_unfound")
        found = [msgspec.json.decode(answer.output) for answer in answers]
        self.count = sum(one["num_unfound"] for one in found)
        self.names = sorted(what["oid"]["oid"] for one in found for what in one["objects"])

    async def mark(self, mode: str) -> set[str]:
        """Give them up; what was said."""
        answers = await self._ask(prefix="pg", cmd="mark_unfound_lost", mulcmd=mode)
        return {re.sub(r"^pg has \d* ?", "", answer.status) for answer in answers}


async def _lose_newer(story: Story) -> None:
    """Only the log of the first OSD tells of what the two others had."""
    first, *others = story.cluster.osds
    await story.order(prefix="osd set", key="norecover")
    first.kill()
    await story.write(b"newer")
    await (await story.client.open_pool(POOL)).write_full("new", b"newer")
    await story.bring(0)
    await story.until(lambda one: _is_active(one) and len(one.peering.view.acting) == 3)
    for machine in others:
        machine.kill(power=True)
    await story.until(lambda one: one.me == 0 and _is_active(one))


@pytest.mark.parametrize("mode", ["revert", "delete"])
def test_what_nobody_has_is_given_up(mode: str) -> None:
    async def tell(story: Story) -> None:
        await _lose_newer(story)
        unfound, pool = _Unfound(story), await story.client.open_pool(POOL)
        await unfound.look()
        assert (unfound.count, unfound.names) == (len(NAMES) + 1, ["new", *NAMES])
        reading = asyncio.ensure_future(pool.read(NAMES[0]))
        for osd in (1, 2):
            with pytest.raises(Invalid, match="haven't probed all sources"):
                await unfound.mark(mode)
            await story.lose(osd)
        assert not reading.done()
        said = await unfound.mark(mode)
        assert said - {"no unfound objects"} == {"objects unfound and apparently lost marking"}
        await unfound.look()
        assert unfound.count == 0
        assert await unfound.mark(mode) == {"no unfound objects"}
        if mode == "revert":
            assert await reading == b"first"
            assert await story.read() == {b"first"}
        else:
            for name in NAMES:
                with pytest.raises(NotFound):
                    await pool.read(name)
            await asyncio.gather(reading, return_exceptions=True)
        with pytest.raises(NotFound):
            await pool.read("new")
        await story.order(prefix="osd unset", key="norecover")
        await pool.write_full(NAMES[0], b"after all")
        for number in (1, 2):
            await story.bring(number)
        await story.cluster.whole()
        story.cluster.check_copies()
        assert await pool.read(NAMES[0]) == b"after all"
        with pytest.raises(NotFound):
            await pool.read("new")

    for seed in range(SEEDS):
        play(seed, Plan(osds=3, size=3, min_size=1), tell)


def test_shards_too_few_to_make_an_object_can_only_be_deleted() -> None:
    async def tell(story: Story) -> None:
        first, second, third = story.cluster.osds
        first.kill()
        await story.write(b"newer")
        for machine in (second, third):
            machine.kill()
        await story.lose(2)
        for number in (0, 1):
            await story.bring(number)
        await story.until(_is_active)
        unfound, pool = _Unfound(story), await story.client.open_pool(POOL)
        await unfound.look()
        assert unfound.names == NAMES
        with pytest.raises(Invalid, match="mode must be 'delete' for ec pool"):
            await unfound.mark("revert")
        await unfound.mark("delete")
        for name in NAMES[1:]:
            with pytest.raises(NotFound):
                await pool.read(name)
        await pool.write_full(NAMES[0], b"after all")
        await story.bring(2)
        await story.cluster.whole()
        assert await pool.read(NAMES[0]) == b"after all"
        with pytest.raises(NotFound):
            await pool.read(NAMES[1])

    for seed in range(SEEDS):
        play(seed, SHARDS, tell)
