# SPDX-License-Identifier: Apache-2.0
"""Bits that flip on the disks of a simulated cluster, in the bytes of objects.

One copy of an object at a time: where all can be read, one is spoilt. As each change is on more
disks than one copy (or one shard) needs, a good one is always somewhere. It must be mended: when it
is read, or by a repair in the end; and what is wrong is never shown to anybody.
"""

import random

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.testing.cephsim.cluster import SimCluster, unclean
from octostack.testing.cephsim.machines import OSDMachine
from octostack.wire.ceph.objects import HObject, ShardPG

Copies = list[tuple[OSDMachine, ShardPG]]


class Rot:
    """See the module's essay."""

    def __init__(self, cluster: SimCluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng

    def strike(self) -> str:
        """What was spoilt; nothing when nothing could be."""
        groups = self._groups()
        if not groups:
            return ""
        copies = self._rng.choice(groups)
        store, where = _store(copies[0])
        names = [what for what in store.list_objects(where) if what.name]
        what = self._rng.choice(names) if names else HObject()
        if not names or not all(_is_readable(copy, what) for copy in copies):
            return ""
        machine, where = self._rng.choice(copies)
        places = _places((machine, where), what)
        if not places:
            return ""
        machine.device.flip(self._rng.choice(places) * BLOCK + self._rng.randrange(BLOCK))
        return f"{machine.name}: a bit of {what} in {where}"

    def repair(self) -> list[str]:
        """Order that all be looked at and mended, as long as anything is spoilt; what is."""
        spoilt = self.list_spoilt()
        for machine in self._cluster.osds if spoilt else ():
            if machine.osd is not None and not machine.osd._scrubs._orders:
                machine.osd._scrubs.order([*machine.osd.copies.held], deep=True, repair=True)
        return spoilt

    def list_spoilt(self) -> list[str]:
        """What cannot be read of any copy that counts."""
        return [
            f"{copy[0].name}: {what} in {copy[1]}"
            for copies in self._groups()
            for copy in copies
            for what in _store(copy)[0].list_objects(copy[1])
            if what.name and not _is_readable(copy, what)
        ]

    def _groups(self) -> list[Copies]:
        """The copies of each group that is whole."""
        machines = self._cluster.osds
        osds = [machine.osd for machine in machines]
        return [
            [(machines[osd_of(one)], ShardPG(pg, shard_of(one))) for one in view.acting]
            for pg, view in self._cluster.views().items()
            if all(osd_of(one) >= 0 and osds[osd_of(one)] for one in view.acting)
            and not unclean(osds, pg, view)
        ]


def _store(copy: tuple[OSDMachine, ShardPG]) -> tuple[BlockStore, ShardPG]:
    machine, where = copy
    assert machine.osd is not None
    store = machine.osd.store
    assert isinstance(store, BlockStore)
    return store, where


def _is_readable(copy: tuple[OSDMachine, ShardPG], what: HObject) -> bool:
    store, where = _store(copy)
    try:
        return not store.exists(where, what) or store.read(where, what) is not None
    except Corrupt:
        return False


def _places(copy: tuple[OSDMachine, ShardPG], what: HObject) -> list[int]:
    """The blocks of an object that lie on the disk, and nowhere else."""
    store, where = _store(copy)
    body = store.find(where, what)
    if body is None or not body.onode.size:
        return []
    places, _ = store.bytes._where(body, 0, -(-body.onode.size // BLOCK))
    device = copy[0].device
    sectors = BLOCK // 512
    return [
        place
        for place in places
        if place
        and store.state.blocks._find_held(place) is None
        and not any(place * sectors + n in device._before for n in range(sectors))
    ]
