# SPDX-License-Identifier: Apache-2.0
"""The processes that run a storage cluster's monitors and OSDs.

What `start` launches loads all code once. It then runs every daemon itself, or forks a process for
each: these share the memory that the code takes, and start as fast as it can be read.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from octostack.apps.ceph import asking, founding, joining, units
from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph.cluster import HOST, ONE, Cluster
from octostack.apps.ceph.units import Unit
from octostack.base.errors import OctoError, Timeout
from octostack.engines.ceph.mgr.daemon import Manager
from octostack.engines.ceph.mon.daemon import Monitor
from octostack.engines.ceph.mon.store import open_store
from octostack.engines.ceph.osd.daemon import OSD, Identity
from octostack.engines.ceph.osd.objectstore.api import ObjectStore
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.runtime.device import FileDevice
from octostack.runtime.disk import Disk
from octostack.runtime.msgr.carrier import SocketCarriers
from octostack.runtime.tasks import Supervisor

START_TIMEOUT_S = 60.0
QUORUM_TIMEOUT_S = 5.0
_FAREWELL_S = 0.5  # for what a monitor that is removed still has to say
_READY = b"ready"
_GARBAGE_OBJECTS = 20_000  # an operation makes dozens of objects that reference counts take away

Settled = Callable[[], Awaitable[None]]


class Daemons:
    """Those of one process."""

    def __init__(self, directory: Path, cluster: Cluster, names: Sequence[str]) -> None:
        self._directory = directory
        self._cluster = cluster
        self._names = names
        self._monitors: list[Monitor] = []
        self._managers: list[Manager] = []
        self._osds: list[OSD] = []
        self._carriers = SocketCarriers()

    async def start(self) -> None:
        """Start all; return when they take connections. Raises what stopped it."""
        for name in self._names:
            kind, _, rest = name.partition(".")
            if kind == "mon":
                await self._start_monitor(rest)
            else:
                await self._quorum()
                await self._start_osd(int(rest))
        await self._quorum()

    async def _quorum(self) -> None:
        """Until the monitors serve; not for ever, as the others may not run."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUORUM_TIMEOUT_S):
                for monitor in self._monitors:
                    await monitor.served()

    async def are_up(self) -> None:
        """Until every OSD of these sees in the map that it is up. Raises Timeout."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not all(osd.is_up for osd in self._osds):  # noqa: ASYNC110 - asked in turn
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise Timeout("The OSDs do not come up.", code="ceph.start") from error

    async def ended(self, stop: asyncio.Event) -> None:
        """Set `stop` when all have ended themselves."""
        for osd in self._osds:
            await osd.ended.wait()
        for monitor in self._monitors:
            await monitor.ended.wait()
            joining.leave(self._directory, monitor.name)
            await asyncio.sleep(_FAREWELL_S)
        stop.set()

    async def stop(self) -> None:
        """Stop all, OSDs first."""
        await asyncio.gather(*(osd.stop() for osd in self._osds))
        for manager in self._managers:
            await manager.stop()
        for monitor in self._monitors:
            await monitor.stop()

    async def _start_monitor(self, name: str) -> None:
        store = await open_store(Disk(), founding.mon_store(self._directory, name))
        key = founding.find_key(self._directory, self._cluster, f"mon.{name}")
        monitor = Monitor(name, store, self._carriers, self._cluster.auth, key)
        manager = Manager(monitor, self._carriers)
        await manager.start(HOST)
        self._managers.append(manager)
        await monitor.start()
        self._monitors.append(monitor)

    async def _start_osd(self, number: int) -> None:
        cluster = self._cluster
        identity = Identity(
            uuid.UUID(cluster.fsid),
            number,
            clusters.osd_ids(cluster)[number],
            tuple(founding.addresses(cluster).values()),
            HOST,
            founding.find_key(self._directory, cluster, f"osd.{number}"),
        )
        osd = OSD(identity, self._store(number), self._carriers)
        await osd.start()
        self._osds.append(osd)

    def _store(self, number: int) -> ObjectStore:
        if not self._cluster.osd_bytes:
            return MemoryStore()
        path = self._directory / f"osd.{number}" / "block"
        path.parent.mkdir(exist_ok=True)
        return BlockStore(FileDevice(path, self._cluster.osd_bytes))


def foreground(directory: Path, names: Sequence[str]) -> None:
    """Run these daemons, or all of a cluster of one process, until told to stop.

    Raises NotFound, Conflict and what stopped the start.
    """
    directory = directory.absolute()
    cluster = clusters.get(directory)
    chosen = units.choose(directory, cluster, names)
    if not clusters.is_founded(directory):
        asyncio.run(founding.found(directory, cluster))
    daemons = [name for unit in chosen for name in unit.daemons]
    with contextlib.ExitStack() as held:
        for unit in chosen:
            held.enter_context(unit.held())
        _serve(Daemons(directory, cluster, daemons), -1)


def _serve(daemons: Daemons, pipe: int, settled: Settled | None = None) -> None:
    import uvloop  # noqa: PLC0415 - not for who only imports this module

    gc.set_threshold(_GARBAGE_OBJECTS)
    uvloop.run(_run(daemons, pipe, settled or daemons.are_up))


async def _run(daemons: Daemons, pipe: int, settled: Settled) -> None:
    """All the life of a process; `pipe` is told that it is ready, or why it is not."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await daemons.start()
    if pipe >= 0:
        await settled()
        os.write(pipe, _READY)
        os.close(pipe)
    tasks = Supervisor("process")
    tasks.spawn("ended", daemons.ended(stop))
    await stop.wait()
    await tasks.stop()
    await daemons.stop()


class Launch:
    """Starts units that do not run yet; see the module's essay."""

    def __init__(self, directory: Path, cluster: Cluster, pipe: int) -> None:
        self._directory = directory
        self._cluster = cluster
        self._pipe = pipe

    def run(self, chosen: Sequence[Unit], *, whole: bool) -> None:
        """Start them. Raises what stopped that. With one process for all, this is the one."""
        if not clusters.is_founded(self._directory):
            asyncio.run(founding.found(self._directory, self._cluster))
        if self._cluster.processes == ONE:
            self._serve(chosen[0], self._pipe, self._settled)
            return
        gc.freeze()  # what is shared with the processes to come is not touched again
        down = [unit for unit in chosen if unit.pid() is None]
        monitors = [unit for unit in down if unit.name.startswith("mon.")]
        self._fork_all(monitors)
        self._fork_all([unit for unit in down if unit not in monitors])
        if whole:
            asyncio.run(self._settled())
        os.write(self._pipe, _READY)

    async def _settled(self) -> None:
        await asking.settled(self._directory, self._cluster, START_TIMEOUT_S)

    def _serve(self, unit: Unit, pipe: int, settled: Settled | None = None) -> None:
        with unit.held():
            _serve(Daemons(self._directory, self._cluster, unit.daemons), pipe, settled)

    def _fork_all(self, down: Sequence[Unit]) -> None:
        pipes = [self._fork(unit) for unit in down]
        for unit, pipe in zip(down, pipes, strict=True):
            with os.fdopen(pipe, "rb") as file:
                said = file.read()
            if said != _READY:
                why = said.decode() or f"see {unit.log_file}"
                raise OctoError(f"{unit.name} did not start: {why}", code="ceph.start")

    def _fork(self, unit: Unit) -> int:
        reading, writing = os.pipe()
        if os.fork():
            os.close(writing)
            return reading
        os.close(self._pipe)
        os.close(reading)
        os.setsid()
        Path("/proc/self/comm").write_text(unit.name)
        unit.place.mkdir(exist_ok=True)
        with unit.log_file.open("ab") as log_file:
            os.dup2(log_file.fileno(), 1)
            os.dup2(log_file.fileno(), 2)
        _tell(writing, lambda: self._serve(unit, writing))
        sys.exit()


def _tell(pipe: int, work: Callable[[], None]) -> None:
    try:
        work()
    except OctoError as error:
        os.write(pipe, error.message.encode())
        raise


def main() -> None:
    """``python -m octostack.apps.ceph.process DIRECTORY PIPE [DAEMON...]``."""
    directory, pipe, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    cluster = clusters.get(directory)
    chosen = units.choose(directory, cluster, names)
    launch = Launch(directory, cluster, pipe)
    _tell(pipe, lambda: launch.run(chosen, whole=not names))


if __name__ == "__main__":
    main()
