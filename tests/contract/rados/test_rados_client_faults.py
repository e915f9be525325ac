# SPDX-License-Identifier: Apache-2.0
"""Our client while daemons are killed under it, and while the map changes."""

import asyncio
from typing import Any

import pytest

from octostack.engines.ceph.rados import Cluster, Pool
from octostack.engines.ceph.rados.watches import Notification

pytestmark = [pytest.mark.anyio, pytest.mark.compat]
WRITERS = 8
GOES_ON = 5  # writes of each writer after which it has gone on


class Writers:
    """Tasks that each write one object again and again, and note what was acknowledged."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self.pool = pool
        self.prefix = prefix
        self.acknowledged = [0] * WRITERS
        self._stop = False
        self._moved = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._write(n)) for n in range(WRITERS)]

    async def _write(self, number: int) -> None:
        name = f"{self.prefix}{number}"
        while not self._stop:
            following = self.acknowledged[number] + 1
            await self.pool.write_full(name, b"%08d" % following)
            self.acknowledged[number] = following
            self._moved.set()
            assert int(await self.pool.read(name)) == following

    async def go_on(self) -> None:
        """Until each has done some more."""
        goal = [n + GOES_ON for n in self.acknowledged]
        async with asyncio.timeout(100):
            while any(n < m for n, m in zip(self.acknowledged, goal, strict=True)):
                assert not any(task.done() for task in self._tasks)
                self._moved.clear()
                await self._moved.wait()

    async def stop(self) -> None:
        """End them; what they wrote last is what is there."""
        self._stop = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), 100)
        for number, last in enumerate(self.acknowledged):
            assert int(await self.pool.read(f"{self.prefix}{number}")) == last
            await self.pool.remove(f"{self.prefix}{number}")


async def test_an_osd_is_killed_and_comes_back(pool: Pool, home: Any) -> None:
    heard: list[bytes] = []

    async def hear(told: Notification) -> bytes:
        heard.append(told.payload)
        return b""

    names = [f"watched{n}" for n in range(4)]
    watches = []
    for name in names:
        await pool.create(name)
        watches.append(await pool.watch(name, hear))
    writers = Writers(pool, "killed")
    for daemon in ("osd.0", "osd.1"):
        await writers.go_on()
        await asyncio.to_thread(home.kill, daemon)
        await asyncio.to_thread(home.start, daemon)
        await writers.go_on()
    await writers.stop()
    for name in names:
        told = await pool.notify(name, name.encode())
        assert (len(told.answers), told.missed) == (1, [])
    assert sorted(heard) == sorted(name.encode() for name in names)
    for watch in watches:
        assert watch.error is None
        await watch.close()
        await pool.remove(watch.name)


async def test_a_monitor_is_killed(pool: Pool, cluster: Cluster, home: Any) -> None:
    ours = next(
        name
        for name, info in cluster.monitors.monmap.monitors.items()
        if cluster.monitors.target in info.addresses
    )
    writers = Writers(pool, "monitored")
    await writers.go_on()
    await asyncio.to_thread(home.kill, f"mon.{ours}")
    asked = asyncio.ensure_future(cluster.mon_command({"prefix": "osd stat"}))
    await writers.go_on()
    await asyncio.to_thread(home.start, f"mon.{ours}")
    assert (await asyncio.wait_for(asked, 60)).json()["num_osds"] == 2
    await cluster.wait_for_latest_osdmap()
    await writers.stop()


async def test_an_osd_is_taken_out_and_in(pool: Pool, cluster: Cluster) -> None:
    writers = Writers(pool, "moved")
    await writers.go_on()
    for action in ("out", "in"):
        await cluster.mon_command({"prefix": f"osd {action}", "ids": ["0"]})
        await cluster.wait_for_latest_osdmap()
        await writers.go_on()
    await writers.stop()


async def test_groups_split_under_writes(cluster: Cluster) -> None:
    pool = await cluster.create_pool("growing")
    before = pool.info.pg_num
    writers = Writers(pool, "split")
    names = {f"o{n}" for n in range(200)}
    await asyncio.gather(*(pool.create(name) for name in names))
    word = {"pool": "growing", "var": "pg_num", "val": str(before * 2)}
    await cluster.mon_command({"prefix": "osd pool set", **word})
    async with asyncio.timeout(100):
        while pool.info.pg_num < before * 2:
            found = [o.name async for o in pool.list_objects()]
            assert names <= set(found)
            assert len(found) == len(set(found))
            await cluster.wait_for_latest_osdmap()
    await writers.go_on()
    await writers.stop()
    assert {o.name async for o in pool.list_objects()} == names
    await cluster.delete_pool("growing")
