# SPDX-License-Identifier: Apache-2.0
"""The process that runs a storage cluster's monitors and OSDs."""

import asyncio
import os
import signal
import sys
import uuid
from pathlib import Path

from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph.cluster import HOST, Cluster
from octostack.base import clock, log
from octostack.base.errors import OctoError, Timeout
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.access import SENSES
from octostack.engines.ceph.mon.core import auth, genesis
from octostack.engines.ceph.mon.core.auth import CEPHX, Auth
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.daemon import Monitor
from octostack.engines.ceph.mon.ledger import found_cluster
from octostack.engines.ceph.mon.store import MonStore, open_store
from octostack.engines.ceph.osd.daemon import OSD, Identity
from octostack.engines.ceph.osd.objectstore.api import ObjectStore
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.runtime.device import FileDevice
from octostack.runtime.disk import Disk
from octostack.runtime.msgr.carrier import SocketCarriers
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.cephx import keyring
from octostack.wire.ceph.cephx.boxes import Key, parse_key

_log = log.get("ceph")
START_TIMEOUT_S = 60.0


class Process:
    """All daemons of a cluster."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cluster = clusters.get(directory)
        self._monitors: list[Monitor] = []
        self._osds: list[OSD] = []

    async def start(self) -> None:
        """Start all; return when every OSD is up. Raises Timeout and what stopped it."""
        cluster = self._cluster
        carriers = SocketCarriers()
        addresses = {
            name: Address(AddressKind.MSGR2, HOST, port, 0)
            for name, port in cluster.monitors.items()
        }
        for name in cluster.monitors:
            store = await open_store(Disk(), self._directory / f"mon.{name}" / "log")
            if not store.values:
                await self._found(store, cluster, addresses)
            monitor = Monitor(name, store, carriers, cluster.auth)
            await monitor.start()
            self._monitors.append(monitor)
        for number, unique in enumerate(clusters.osd_ids(cluster)):
            identity = Identity(
                uuid.UUID(cluster.fsid),
                number,
                unique,
                tuple(addresses.values()),
                HOST,
                self._osd_key(number),
            )
            osd = OSD(identity, self._store(number), carriers)
            await osd.start()
            self._osds.append(osd)
        await self._settle()

    async def stop(self) -> None:
        """Stop all, OSDs first."""
        await asyncio.gather(*(osd.stop() for osd in self._osds))
        for monitor in self._monitors:
            await monitor.stop()

    async def _settle(self) -> None:
        """Until every OSD is up and sees itself so, and every group is clean."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not self._is_settled():  # noqa: ASYNC110 - two daemons, asked in turn
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise Timeout("The OSDs do not come up.", code="ceph.start") from error

    def _is_settled(self) -> bool:
        monitor = self._monitors[0]
        map_ = monitor.ledger.state.osdmap
        groups = monitor.statistics.list_groups(map_)
        return (
            all(osds.is_up(map_, number) for number in range(len(self._osds)))
            and all(osd.osdmap.epoch == map_.epoch for osd in self._osds)
            and all(group.state == "active+clean" for group in groups.values())
        )

    def _store(self, number: int) -> ObjectStore:
        if not self._cluster.osd_bytes:
            return MemoryStore()
        path = self._directory / f"osd.{number}" / "block"
        path.parent.mkdir(exist_ok=True)
        return BlockStore(FileDevice(path, self._cluster.osd_bytes))

    def _osd_key(self, number: int) -> Key | None:
        if self._cluster.auth != CEPHX:
            return None
        text = (self._directory / f"osd.{number}" / "keyring").read_text()
        return keyring.parse(text)[f"osd.{number}"].key

    async def _found(
        self, store: MonStore, cluster: Cluster, addresses: dict[str, Address]
    ) -> None:
        founding = genesis.Founding(
            uuid.UUID(cluster.fsid),
            {name: (address,) for name, address in addresses.items()},
            clusters.osd_ids(cluster),
            int(clock.now() * 1e9),
        )
        config = {"mon": {"mon_allow_pool_delete": "true"}}
        tables = Change(config=config, auth=self._make_keys(cluster))
        await found_cluster(store, genesis.encoded(founding), tables)

    def _make_keys(self, cluster: Cluster) -> Auth:
        """The administrator's and the OSDs' keys, each also in a file for its owner."""
        if cluster.auth != CEPHX:
            return Auth()
        entities = {"client.admin": auth.admin(SENSES.key())}
        files = {"client.admin": self._directory / "keyring"}
        for number in range(len(cluster.osds)):
            name = f"osd.{number}"
            entities[name] = auth.osd(SENSES.key())
            files[name] = self._directory / name / "keyring"
        for name, path in files.items():
            path.parent.mkdir(exist_ok=True)
            entry = keyring.Entry(parse_key(entities[name].key), entities[name].caps)
            path.touch(mode=0o600)
            path.write_text(keyring.format({name: entry}))
        return Auth(entities)


async def _run(directory: Path, pipe: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    process = Process(directory)
    try:
        await process.start()
    except OctoError as error:
        os.write(pipe, error.message.encode())
        raise
    os.write(pipe, b"ready")
    os.close(pipe)
    await stop.wait()
    await process.stop()


def main() -> None:
    """``python -m octostack.apps.ceph.process DIRECTORY PIPE``."""
    import uvloop  # noqa: PLC0415 - not for who only imports this module

    uvloop.run(_run(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
