# SPDX-License-Identifier: Apache-2.0
"""One more monitor for a cluster that runs, and one less.

The new one begins with the map of monitors as it is, and itself in it; the others tell it the rest.
"""

import asyncio
import shutil
from pathlib import Path

import msgspec

from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph import founding
from octostack.apps.ceph.asking import Asker
from octostack.apps.ceph.cluster import HOST, Cluster
from octostack.engines.ceph.mon.access import SENSES
from octostack.engines.ceph.mon.core import auth, genesis
from octostack.engines.ceph.mon.core.auth import Auth
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.ledger import found_member
from octostack.engines.ceph.mon.store import open_store
from octostack.runtime.disk import Disk
from octostack.wire.ceph.addresses import Address, AddressKind, msgr2
from octostack.wire.ceph.maps import monmap, osdmap
from octostack.wire.ceph.maps.monmap import MonInfo, MonMap


def join(directory: Path, cluster: Cluster, name: str) -> Cluster:
    """Make what a monitor of this name needs to start, and have it in the map, unless it is there
    (`ceph mon add`). Raises Invalid, Unavailable."""
    return asyncio.run(_join(directory, cluster, name))


async def _join(directory: Path, cluster: Cluster, name: str) -> Cluster:
    clusters.check_monitor(cluster, name)
    asker = Asker(directory, cluster)
    try:
        known = monmap.decode(await asker.ask_bytes("mon getmap"))
        there = known.monitors.get(name)
        where = msgr2(there.addresses) if there is not None else None
        if where is None:
            where = Address(AddressKind.MSGR2, HOST, clusters.free_port(), 0)
            known = _with(known, name, where)
        await _prepare(directory, cluster, name, known)
        await asker.ask_bytes("mon add", name=name, addr=f"v2:{where.host}:{where.port}")
    finally:
        await asker.close()
    made = msgspec.structs.replace(cluster, monitors=cluster.monitors | {name: where.port})
    clusters.write(directory, made)
    return made


def _with(known: MonMap, name: str, where: Address) -> MonMap:
    """The map as it will be, but of the same epoch: so that others tell the one that is."""
    monitors = known.monitors | {name: MonInfo(name, (where,))}
    return msgspec.structs.replace(known, monitors=monitors, ranks=(*known.ranks, name))


async def _prepare(directory: Path, cluster: Cluster, name: str, known: MonMap) -> None:
    place = founding.mon_store(directory, name)
    shutil.rmtree(place.parent, ignore_errors=True)  # of one of this name that was removed
    place.parent.mkdir()
    other = next(iter(cluster.monitors))
    keyring = directory / f"mon.{other}" / "keyring"
    if keyring.exists():
        shutil.copy(keyring, place.parent / "keyring")
    found = genesis.Founding(known.fsid, {}, clusters.osd_ids(cluster), known.created)
    blobs = (monmap.encode(known), osdmap.encode(genesis.first_osdmap(found)))
    keys = auth.rotated(Auth(), SENSES)  # for the others to be let in; theirs come with the rest
    await found_member(await open_store(Disk(), place), blobs, Change(auth=keys))


def leave(directory: Path, name: str) -> None:
    """The cluster has no monitor of this name any more."""
    cluster = clusters.get(directory)
    monitors = {other: port for other, port in cluster.monitors.items() if other != name}
    if monitors and monitors != cluster.monitors:
        clusters.write(directory, msgspec.structs.replace(cluster, monitors=monitors))
