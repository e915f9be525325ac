# SPDX-License-Identifier: Apache-2.0
"""Our client, a monitor and two OSDs on virtual time, with cephx: hours of broken streams.

Tickets of OSDs are good for an hour, keys rotate, streams break at any moment: what was written is
there, each append once, and a watch goes on hearing. A seed replays with ``pytest -k "seed3"``.
"""

import asyncio
import os
import random
import uuid

import pytest

from octostack.base import clock
from octostack.engines.ceph.mon.access import SENSES
from octostack.engines.ceph.mon.core import auth, genesis
from octostack.engines.ceph.mon.core.auth import CEPHX, Auth
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.daemon import Monitor
from octostack.engines.ceph.mon.ledger import found_cluster
from octostack.engines.ceph.mon.store import MemoryStore as MonMemory
from octostack.engines.ceph.osd.daemon import OSD, Identity
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.rados import Cluster, Pool
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.watches import Notification
from octostack.testing import simloop
from octostack.testing.simnet import SimNet
from octostack.wire.ceph.addresses import Address, AddressKind, EntityType
from octostack.wire.ceph.cephx.boxes import parse_key

LONG = int(os.environ.get("SIM_SEEDS", "0"))
SEEDS, HOURS = (max(1, LONG // 10), 6) if LONG else (1, 1)
OSDS = 2
FSID = uuid.UUID(int=77)
MON = Address(AddressKind.MSGR2, "10.0.0.1", 3300)


class World:
    """The daemons, and a net between them and the client."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.net = SimNet(clock.rng(), delay_s=(0.0001, 0.005))
        self.keys = {"client.admin": auth.admin(SENSES.key())}
        self.keys |= {f"osd.{n}": auth.osd(SENSES.key()) for n in range(OSDS)}
        self.daemons: list[Monitor | OSD] = []

    async def start(self) -> None:
        unique = tuple(uuid.UUID(int=100 + n) for n in range(OSDS))
        founding = genesis.Founding(FSID, {"a": (MON,)}, unique, int(clock.now() * 1e9))
        store = MonMemory()
        config = {"global": {"osd_pool_default_size": "2"}}
        tables = Change(config=config, auth=Auth(self.keys))
        await found_cluster(store, genesis.encoded(founding), tables)
        self.daemons.append(Monitor("a", store, self.net.at("mon"), CEPHX))
        for n in range(OSDS):
            key = parse_key(self.keys[f"osd.{n}"].key)
            identity = Identity(FSID, n, unique[n], (MON,), f"10.0.1.{n}", key)
            self.daemons.append(OSD(identity, MemoryStore(), self.net.at(f"osd{n}")))
        for daemon in self.daemons:
            await daemon.start()

    def client(self) -> Cluster:
        told = {"mon_host": "v2:10.0.0.1:3300", "key": str(self.keys["client.admin"].key)}
        return Cluster(Settings(told=told), self.net.at("client"))

    async def stop(self) -> None:
        for daemon in reversed(self.daemons):
            await daemon.stop()

    async def disturb(self) -> None:
        """Break a stream of the client's now and then."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / 120))
            self.net.break_one(self.rng, "client")


async def hours(seed: int) -> None:
    world = World(seed)
    await world.start()
    heard: list[bytes] = []

    async def hear(told: Notification) -> bytes:
        heard.append(told.payload)
        return b"heard"

    async with world.client() as cluster:
        pool = await cluster.create_pool("p")
        await pool.create("watched")
        watch = await pool.watch("watched", hear)
        number = cluster.global_id
        tickets = set()
        trouble = asyncio.get_running_loop().create_task(world.disturb())
        for minute in range(HOURS * 60):
            await asyncio.sleep(world.rng.uniform(0, 120))
            await append(pool, minute)
            wallet = cluster._credentials._wallet
            assert wallet is not None
            tickets.add(wallet.tickets[EntityType.OSD].session_key)
            assert watch.error is None
        trouble.cancel()
        told = await pool.notify("watched", b"at last")
        assert (len(told.answers), told.missed) == (1, [])
        assert heard[-1] == b"at last"
        wanted = b"".join(b"%05d" % minute for minute in range(HOURS * 60))
        assert await pool.read("log") == wanted
        assert cluster.global_id == number
        assert len(tickets) > HOURS
        await watch.close()
    await world.stop()


async def append(pool: Pool, minute: int) -> None:
    async with asyncio.timeout(60):
        await pool.append("log", b"%05d" % minute)


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed{seed}")
def test_a_client_lives_through_hours(seed: int) -> None:
    simloop.run(lambda: hours(seed), seed=seed, limit_s=HOURS * 3600 * 3)
