# SPDX-License-Identifier: Apache-2.0
"""The first start of a cluster: keys for all, and the first maps in each monitor's store."""

import uuid
from pathlib import Path

from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph.cluster import HOST, Cluster
from octostack.base import clock
from octostack.engines.ceph.mon.access import SENSES
from octostack.engines.ceph.mon.core import auth, genesis
from octostack.engines.ceph.mon.core.auth import CEPHX, Auth
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.ledger import found_cluster
from octostack.engines.ceph.mon.store import open_store
from octostack.runtime.disk import Disk
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.cephx import keyring
from octostack.wire.ceph.cephx.boxes import Key, parse_key

COPIES = 3  # that a pool has by default


async def found(directory: Path, cluster: Cluster) -> None:
    """Write it all; begun anew when an earlier attempt was cut short."""
    founding = genesis.Founding(
        uuid.UUID(cluster.fsid),
        {name: (address,) for name, address in addresses(cluster).items()},
        clusters.osd_ids(cluster),
        int(clock.now() * 1e9),
    )
    tables = Change(config=_config(len(cluster.osds)), auth=_make_keys(directory, cluster))
    for name in cluster.monitors:
        store = await open_store(Disk(), mon_store(directory, name))
        await found_cluster(store, genesis.encoded(founding), tables)
    clusters.set_founded(directory)


def _config(osds: int) -> dict[str, dict[str, str]]:
    """What users of a small cluster want otherwise than Ceph has it: pools that its OSDs can hold,
    and that can be removed again."""
    level = {"mon_osd_reporter_subtree_level": "osd"}  # all are on one host
    config = {"mon": {"mon_allow_pool_delete": "true"} | level}
    if osds < COPIES:
        config["global"] = {"osd_pool_default_size": str(osds)}
    return config


def addresses(cluster: Cluster) -> dict[str, Address]:
    """Where the monitors are."""
    return {
        name: Address(AddressKind.MSGR2, HOST, port, 0) for name, port in cluster.monitors.items()
    }


def mon_store(directory: Path, name: str) -> Path:
    """Where a monitor keeps what it knows."""
    return directory / f"mon.{name}" / "store"


def find_key(directory: Path, cluster: Cluster, entity: str) -> Key | None:
    """The key in the entity's file; None where none is needed."""
    if cluster.auth != CEPHX:
        return None
    (entry,) = keyring.parse(_keyring(directory, entity).read_text()).values()
    return entry.key


def _keyring(directory: Path, entity: str) -> Path:
    place = directory if entity == "client.admin" else directory / entity
    return place / "keyring"


def _make_keys(directory: Path, cluster: Cluster) -> Auth:
    """The administrator's and the OSDs' keys, each also in a file for its owner."""
    if cluster.auth != CEPHX:
        return Auth()
    entities = {"client.admin": auth.admin(SENSES.key())}
    for number in range(len(cluster.osds)):
        entities[f"osd.{number}"] = auth.osd(SENSES.key())
    monitors = auth.Entity(str(SENSES.key()), {"mon": "allow *"})
    files = {name: (name, entity) for name, entity in entities.items()}
    files |= {f"mon.{name}": (auth.MONITORS, monitors) for name in cluster.monitors}
    for place, (name, entity) in files.items():
        path = _keyring(directory, place)
        path.parent.mkdir(exist_ok=True)
        entry = keyring.Entry(parse_key(entity.key), entity.caps)
        path.touch(mode=0o600)
        path.write_text(keyring.format({name: entry}))
    made = Auth(entities)
    return auth.rotated(made, SENSES) or made
