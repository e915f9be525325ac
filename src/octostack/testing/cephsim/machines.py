# SPDX-License-Identifier: Apache-2.0
"""A daemon of a simulated cluster: its node, its disk, and its lives."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from octostack.engines.ceph.mon.core.auth import CEPHX
from octostack.engines.ceph.mon.daemon import Monitor
from octostack.engines.ceph.mon.ledger import found_cluster
from octostack.engines.ceph.mon.store import open_store
from octostack.engines.ceph.osd.daemon import OSD, Identity
from octostack.engines.ceph.osd.epochs import Draws
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime.disk import Disk
from octostack.runtime.msgr.carrier import Carriers
from octostack.testing.lives import Life
from octostack.testing.simdevice import SimDevice
from octostack.testing.simdisk import Crash, SimFiles
from octostack.testing.simnet import SimNet
from octostack.wire.ceph.cephx.boxes import Key

T = TypeVar("T")

DISK_BYTES = 8 << 20
LONG_BYTES = 5000  # reads of so much take their time
COMMIT_S = (0.0002, 0.01)
CACHED_CALLS = 200
_LOG = Path("/mon/log")


class Machine:
    """One process after the other in one place; what differs is in those below."""

    def __init__(self, name: str, net: SimNet, rng: random.Random) -> None:
        self.name = name
        self.net = net
        self.rng = rng
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.failures: list[BaseException] = []  # of starts
        self.epoch_seen = 0

    @property
    def is_alive(self) -> bool:
        """Whether a process runs."""
        return self.life is not None

    def start(self) -> "asyncio.Task[None]":
        """A new process on what the disk has."""
        assert self.life is None
        self.net.revive(self.name)
        self.net.break_streams(self.name)  # of one that fell silent
        self.life = Life(self.name)
        self.lives.append(self.life)
        return self.life.spawn(self._begin(self.net.at(self.name)))

    async def _begin(self, carriers: Carriers) -> None:
        try:
            await self.boot(carriers)
        except Exception as error:  # a daemon that does not start is what is looked for
            self.failures.append(error)

    def kill(self, *, power: bool = False, silent: bool = False) -> None:
        """No more of it runs; with its `power` goes what was not synced. A `silent` one leaves
        its streams open: others wait for answers."""
        if self.life is None:
            return
        self.net.switch_off(self.name)
        self.life.end()
        if not silent:
            self.net.break_streams(self.name)
        self.life = None
        self.lost()
        if power:
            self.lose_power()

    async def boot(self, carriers: Carriers) -> None:
        """Make the process and start it."""
        raise NotImplementedError

    def lost(self) -> None:
        """The process is gone."""

    def lose_power(self) -> None:
        """What was not synced is lost."""

    def crash_soon(self) -> None:
        """Lose power in the middle of one of the next things the disk is asked for."""

    def calm(self) -> None:
        """Or not."""

    def look(self) -> None:
        """Raise AssertionError for what must never be."""
        if self.failures:
            raise AssertionError(f"{self.name} did not start") from self.failures[0]


class _Slow(Protocol):
    machine: Machine


async def _offload(disk: _Slow, work: Callable[[], T]) -> T:
    """After as long as a disk takes; where it crashes in between, the machine is off."""
    await asyncio.sleep(disk.machine.rng.uniform(*COMMIT_S))
    try:
        return work()
    except Crash:
        disk.machine.kill(power=True)
        await asyncio.get_running_loop().create_future()  # for ever
        raise


class Device(SimDevice):
    """The disk of an OSD; it takes its time."""

    machine: Machine

    async def offload(self, work: Callable[[], T], *, aside: bool = False) -> T:
        return await _offload(self, work)


class CarelessDevice(Device):
    """Says that all is durable, and keeps it in a cache that a power failure empties: the disk is
    then as it was some time ago."""

    _kept = b""

    def crash(self) -> None:
        super().crash()
        if self._kept:
            self._data[:] = self._kept

    def _call(self) -> bool:
        if self.calls % CACHED_CALLS == 0:
            self._kept = bytes(self._data)
        return super()._call()


class Files(SimFiles):
    """The disk of a monitor."""

    machine: Machine

    async def offload(self, work: Callable[[], T]) -> T:
        return await _offload(self, work)


class MonMachine(Machine):
    """A monitor."""

    def __init__(self, name: str, net: SimNet, rng: random.Random, key: Key | None) -> None:
        super().__init__(name, net, rng)
        self.key = key  # of all monitors, with cephx
        self.files = Files(rng)
        self.files.machine = self
        self.monitor: Monitor | None = None

    async def found(self, blobs: tuple[bytes, bytes], tables: Any) -> None:
        """Put the first maps on its disk."""
        await found_cluster(await open_store(Disk(self.files), _LOG), blobs, tables)

    async def boot(self, carriers: Carriers) -> None:
        store = await open_store(Disk(self.files), _LOG)
        method = CEPHX if self.key is not None else "none"
        name = self.name.removeprefix("mon.")
        monitor = Monitor(name, store, carriers, method, self.key)
        await monitor.start()
        self.monitor = monitor

    def lost(self) -> None:
        self.monitor = None

    def lose_power(self) -> None:
        self.files.crash()

    def look(self) -> None:
        super().look()
        # One that lost its power may know less, until the others have told it; then never.
        if self.monitor is not None and self.monitor._seat.consensus.is_readable:
            epoch = self.monitor.ledger.state.osdmap.epoch
            assert epoch >= self.epoch_seen, f"{self.name} went back to {epoch}"
            self.epoch_seen = epoch  # over all its lives


class OSDMachine(Machine):
    """An OSD."""

    def __init__(
        self, identity: Identity, net: SimNet, rng: random.Random, make: type[Device] = Device
    ) -> None:
        super().__init__(f"osd.{identity.number}", net, rng)
        self.identity = identity
        self.draws = Draws()  # the same for all: what CRUSH gives is known
        self.device = make(DISK_BYTES, rng)
        self.device.machine = self
        self.osd: OSD | None = None

    async def boot(self, carriers: Carriers) -> None:
        osd = OSD(self.identity, BlockStore(self.device, long_bytes=LONG_BYTES), carriers)
        osd._epochs.draws = self.draws
        await osd.start()
        self.osd = osd

    def lost(self) -> None:
        self.osd = None
        self.epoch_seen = 0
        self.device.crash_at = None

    def lose_power(self) -> None:
        self.device.crash()

    def crash_soon(self) -> None:
        self.device.crash_at = self.device.calls + self.rng.randrange(1, 20)

    def calm(self) -> None:
        self.device.crash_at = None

    def look(self) -> None:
        super().look()
        if self.osd is not None:
            epoch = self.osd.osdmap.epoch
            assert epoch >= self.epoch_seen, f"{self.name} went back to {epoch}"
            self.epoch_seen = epoch
