# SPDX-License-Identifier: Apache-2.0
"""A running OSD that the map takes for dead comes back at once, and is not taken for dead again."""

import asyncio

import pytest

from octostack.engines.ceph.core.osdmap import osds
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import Plan, SimCluster, listening
from octostack.testing.lives import Life
from octostack.wire.ceph.maps.osdmap import OSDMap

TARGET = 1
LONG_S = 60.0


async def story(seed: int) -> tuple[OSDMap, OSDMap, int]:
    """The map just before the order and long after it, and how often the OSD was surprised."""
    cluster = SimCluster(seed, Plan())
    await cluster.start()
    operator = Life("operator")

    def newest() -> OSDMap:
        monitor = cluster.mons[0].monitor
        assert monitor is not None
        return monitor.ledger.state.osdmap

    async def order() -> OSDMap:
        async with cluster.client("operator") as client:
            pool = {"prefix": "osd pool create", "pool": "p", "pg_num": 8}
            await client.mon_command(pool)
            await cluster.whole()
            before = newest()
            down = {"prefix": "osd down", "ids": [str(TARGET)]}
            await client.mon_command(down)
            return before

    before = await operator.spawn(order())
    await asyncio.sleep(LONG_S)
    await cluster.whole()
    osd = cluster.osds[TARGET].osd
    assert osd is not None
    after, surprises = newest(), len(osd._markdowns._at)
    cluster.bury()
    operator.end()
    operator.bury()
    return before, after, surprises


@pytest.mark.parametrize("seed", range(3))
def test_ordered_down_once_is_down_once(seed: int) -> None:
    with listening():
        before, after, surprises = simloop.run(lambda: story(seed), seed=seed, limit_s=300)
    mine = after.osd_info[TARGET]
    assert osds.is_up(after, TARGET)
    assert mine.down_at == before.epoch + 1, "marked down by the order, and not again"
    assert mine.up_from == before.epoch + 2
    assert after.cluster_addresses[TARGET] != before.cluster_addresses[TARGET]
    assert surprises == 1


async def lonely(seconds: float) -> int:
    """How often others dial while an OSD is dead, and no monitor there to say so."""
    cluster = SimCluster(1, Plan())
    await cluster.start()
    await asyncio.sleep(10.0)
    for machine in (cluster.mons[0], cluster.osds[TARGET]):
        machine.kill()
    before = cluster.net.dials
    await asyncio.sleep(seconds)
    cluster.bury()
    return cluster.net.dials - before


def test_a_dead_osd_is_dialled_when_it_is_time_to_ask_it_and_no_more_often() -> None:
    with listening():
        dials = simloop.run(lambda: lonely(LONG_S), seed=1)
    heartbeats = 2 * 2 * LONG_S  # of two OSDs, front and back, each second
    assert heartbeats * 0.9 < dials < heartbeats * 1.5
