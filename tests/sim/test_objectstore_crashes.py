# SPDX-License-Identifier: Apache-2.0
"""The store on a disk that crashes at any call, and loses, tears and turns what was not synced."""

import asyncio
import os
import random
from typing import Any

import pytest

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block import layout
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.testing import simloop
from octostack.testing.objectstore import Model, draw, dump
from octostack.testing.simdevice import SimDevice
from octostack.testing.simdisk import Crash
from octostack.wire.ceph.objects import PG, HObject, ShardPG

C = ShardPG(PG(1, 0))
SEEDS = int(os.environ.get("SIM_SEEDS", "100"))
HOW = "crash_often({seed}) in tests/sim/test_objectstore_crashes.py"


class Run:
    """One store through several lives."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.device = SimDevice(8 << 20, self.rng)
        self.model = Model()
        self.made = False
        self.states: list[Any] = []  # after each change queued in this life; first as found
        self.acknowledged = 0

    async def live(self) -> None:
        """Open, look, change, until the disk dies (or for a while, when it does not)."""
        store = BlockStore(self.device)
        try:
            await store.open()
            self.look(store)
            for _ in range(self.rng.randrange(1, 60)):
                self.change(store)
                for _ in range(self.rng.randrange(3)):
                    await asyncio.sleep(0)
                if self.device.dead:
                    return
            await store.close()
        except (Crash, api.Full):
            return

    def look(self, store: BlockStore) -> None:
        """What is there is a beginning of what was queued, with all that was acknowledged."""
        assert store.fsck() == []
        if C not in store.collections():
            assert not self.acknowledged
            self.states = [{}]
            self.acknowledged = 0
            store.queue([[api.CreateCollection(C, 0)]])
            self.model = Model()
            return
        found = dump(store, C)
        if self.states:
            same = [number for number, state in enumerate(self.states) if state == found]
            assert max(same, default=-1) >= self.acknowledged, same
        self.model = Model()
        for name, (data, omap) in found.items():
            self.model.write(name, 0, data)
            self.model.omap[name].update(omap)
        self.states = [found]
        self.acknowledged = 0

    def change(self, store: BlockStore) -> None:
        changes = [
            op for _ in range(self.rng.randrange(1, 5)) for op in draw(self.rng, self.model, C)
        ]
        number = len(self.states)

        def done() -> None:
            assert number == self.acknowledged + 1
            self.acknowledged = number

        store.queue([changes], done)
        self.states.append(self.model.state())


def crash_often(seed: int) -> None:
    """Several lives, each ended by a crash at a random call, the last one whole."""
    run = Run(seed)
    for _ in range(5):
        run.device.crash_at = run.device.calls + run.rng.randrange(1, 80)
        simloop.run(run.live, seed=seed)
        run.device.crash()
    simloop.run(run.live, seed=seed)


def test_a_crash_at_any_moment_loses_nothing_and_leaves_nothing_half_done() -> None:
    simloop.replay(crash_often, range(SEEDS), HOW)


def test_a_burst_larger_than_the_journal_is_all_there_afterwards() -> None:
    async def main() -> None:
        device = SimDevice(16 << 20, random.Random(1))
        store = BlockStore(device)
        await store.open()
        store.queue([[api.CreateCollection(C, 0)]])
        names = [HObject(b"n%d" % n, hash=n, snap=1, pool=1) for n in range(1500)]
        assert len(names) * BLOCK > 4 * layout.journal_size(device.size)
        last = asyncio.get_running_loop().create_future()
        for name in names:  # all at once: the writing has no turn in between
            store.queue([[api.Write(C, name, 0, name.name * 700)]])
        store.queue([[]], lambda: last.set_result(None))
        await last
        device.crash()
        store = BlockStore(device)
        await store.open()
        assert [store.read(C, name) for name in names] == [name.name * 700 for name in names]
        assert store.fsck() == []
        await store.close()

    simloop.run(main, seed=1)


def test_the_test_finds_a_store_that_does_not_sync() -> None:
    class Careless(SimDevice):
        def sync(self) -> None:
            if self.calls % 3:
                super().sync()

        def write_durably(self, offset: int, data: bytes | bytearray | memoryview) -> None:
            if self.calls % 3:
                super().write_durably(offset, data)
            else:
                self.write(offset, [data])

    def careless(seed: int) -> None:
        run = Run(seed)
        run.device = Careless(8 << 20, run.rng)
        for _ in range(5):
            run.device.crash_at = run.device.calls + run.rng.randrange(1, 80)
            simloop.run(run.live, seed=seed)
            run.device.crash()

    with pytest.raises((AssertionError, Corrupt)):
        for seed in range(50):
            careless(seed)


def test_a_turned_bit_is_told_and_never_read() -> None:
    async def main(seed: int) -> tuple[bool, bool]:
        rng = random.Random(seed)
        device, model = SimDevice(8 << 20, rng), Model()
        store = BlockStore(device)
        await store.open()
        store.queue([[api.CreateCollection(C, 0)]])
        for _ in range(30):
            store.queue([draw(rng, model, C)])
        await store.close()
        ring_end = layout.SUPERBLOCKS + layout.journal_size(8 << 20) // BLOCK
        for _ in range(3):
            device.flip(rng.randrange(ring_end * BLOCK, 4 << 20))
        store = BlockStore(device)
        try:
            await store.open()
            flaws = store.fsck()
            wrong = False
            for name, (data, omap) in model.state().items():
                try:
                    wrong |= store.read(C, name) != data or dict(store.omap_list(C, name)) != omap
                except Corrupt:
                    assert flaws
            return bool(flaws), wrong
        except Corrupt:
            return True, False

    outcomes = {simloop.run(lambda: main(seed), seed=seed) for seed in range(40)}  # noqa: B023
    assert outcomes == {(True, False), (False, False)}


def test_a_disk_of_another_time_is_left_alone() -> None:
    async def main() -> None:
        device = SimDevice(8 << 20, random.Random(1))
        store = BlockStore(device)
        await store.open()
        store.queue([[api.CreateCollection(C, 0), api.Touch(C, HObject(b"a", hash=1, pool=1))]])
        await store.close()
        for copy in range(layout.SUPERBLOCKS):
            device.write(copy * BLOCK, [b"\xff" * BLOCK])
        with pytest.raises(Corrupt):
            await BlockStore(device).open()

    simloop.run(main, seed=1)
