# SPDX-License-Identifier: Apache-2.0
"""All daemons of a simulated cluster, and what must hold of them together."""

import asyncio
import contextlib
import io
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from octostack.base import clock, log
from octostack.engines.ceph.mon.access import SENSES
from octostack.engines.ceph.mon.core import auth, genesis
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.core.values import View
from octostack.engines.ceph.osd.daemon import OSD, Identity
from octostack.engines.ceph.rados import Cluster
from octostack.engines.ceph.rados.core.config import Settings
from octostack.testing.cephsim.machines import (
    CarelessDevice,
    Device,
    Machine,
    MonMachine,
    OSDMachine,
)
from octostack.testing.objectstore import content_of
from octostack.testing.simnet import SimNet
from octostack.wire.ceph.addresses import Address, Addresses, AddressKind
from octostack.wire.ceph.cephx.boxes import parse_key
from octostack.wire.ceph.objects import PG, SNAP_HEAD, ShardPG

POOL = "p"
FAST, SLOW = (0.0001, 0.004), (0.02, 0.6)
LOOK_S = 0.25
WIDE_FROM, CODED_FROM, CEPHX_FROM = 10_000, 20_000, 30_000
GROUPS = 4
_ADMIN = "client.admin"
_FSID = uuid.UUID(int=77)
_CONFIG = {
    "osd_pool_default_pg_num": str(GROUPS),
    "osd_heartbeat_interval": "1",
    "osd_heartbeat_grace": "4",
    "mon_osd_down_out_interval": "15",
    "mon_osd_reporter_subtree_level": "osd",
    "mon_osd_adjust_heartbeat_grace": "false",
    "mon_osd_min_in_ratio": "0",
    "mon_osd_min_up_ratio": "0",
    "osd_max_markdown_count": "1000",
}


class Plan(msgspec.Struct, frozen=True):
    """The size of things."""

    mons: int = 1
    osds: int = 3
    size: int = 3
    min_size: int = 2
    clients: int = 3
    trouble_s: float = 30.0
    peace_s: float = 150.0  # in which all must become whole
    answers_s: float = 60.0  # until clients have all their answers then
    splits: bool = False  # the pool gets more groups while all this happens
    k: int = 1  # shards of data, of `size`; 1: whole copies
    cephx: bool = False
    careless: bool = False  # disks lose what they said was durable
    snaps: bool = False  # clients make snapshots and remove them
    copies: bool = False  # OSDs copy objects
    rots: bool = False  # bits flip on disks; for which enough others must have each change


def draw(seed: int) -> Plan:
    """Some plan; every third has several monitors. Those from `WIDE_FROM` on have pools that grow,
    those from `CODED_FROM` on shards for copies, and every other of these a pool that grows, those
    from `CEPHX_FROM` on cephx."""
    rng = random.Random(seed)
    size = rng.choice((2, 3))
    mons = 3 if seed % 3 == 2 else 1
    plan = Plan(mons, rng.choice((3, 4, 5)), size, rng.randint(1, 2), rng.choice((2, 3)))
    if seed >= CEPHX_FROM:
        plan = msgspec.structs.replace(plan, cephx=True, splits=True)
    elif seed >= CODED_FROM:
        k, m = rng.choice(((2, 1), (2, 2), (3, 2)))
        osds = max(k + m, plan.osds)
        sizes = {"osds": osds, "size": k + m, "min_size": k + 1, "k": k, "splits": seed % 2 == 1}
        plan = msgspec.structs.replace(plan, **sizes)
    elif seed >= WIDE_FROM:
        plan = msgspec.structs.replace(plan, splits=True)
    snaps, copies, rots = (rng.random() < chance for chance in (0.4, 0.4, 0.5))
    rots = rots and plan.min_size > max(1, plan.k)
    return msgspec.structs.replace(plan, snaps=snaps, copies=copies, rots=rots)


class SimCluster:
    """See the module's essay."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(f"cluster {seed}")
        self.net = SimNet(clock.rng(), delay_s=FAST)
        addresses = [Address(AddressKind.MSGR2, f"10.0.0.{n + 1}", 3300) for n in range(plan.mons)]
        self.places = {f"mon.{'abcde'[n]}": where for n, where in enumerate(addresses)}
        self.auth = _auth(plan) if plan.cephx else auth.Auth()
        keys = {who: parse_key(entity.key) for who, entity in self.auth.entities.items()}
        shared = keys.get(auth.MONITORS)
        self.mons = [MonMachine(name, self.net, self.rng, shared) for name in self.places]
        self._served: dict[tuple[PG, int], str] = {}  # in each interval of a group: by whom
        self.unique = tuple(uuid.UUID(int=100 + n) for n in range(plan.osds))
        self.osds = [
            OSDMachine(
                Identity(
                    _FSID, n, self.unique[n], tuple(addresses), f"10.0.1.{n}", keys.get(f"osd.{n}")
                ),
                self.net,
                self.rng,
                CarelessDevice if plan.careless else Device,
            )
            for n in range(plan.osds)
        ]
        for machine in self.osds:
            machine.draws = self.osds[0].draws

    @property
    def machines(self) -> list[Machine]:
        """All, monitors first."""
        return [*self.mons, *self.osds]

    async def start(self) -> None:
        """Found the cluster and start all daemons."""
        monitors: dict[str, Addresses] = {
            name.removeprefix("mon."): (at,) for name, at in self.places.items()
        }
        now_ns = int(clock.now() * 1e9)
        blobs = genesis.encoded(genesis.Founding(_FSID, monitors, self.unique, now_ns))
        size, min_size = str(self.plan.size), str(self.plan.min_size)
        sizes = {"osd_pool_default_size": size, "osd_pool_default_min_size": min_size}
        for mon in self.mons:
            tables = Change(config={"global": _CONFIG | sizes}, auth=self.auth)
            await mon.found(blobs, tables)
        for machine in self.machines:
            await machine.start()

    def client(self, node: str) -> Cluster:
        """A client on its node; it is to be begun in a life of its own."""
        hosts = ",".join(f"v2:{at.host}:{at.port}" for at in self.places.values())
        told = {"mon_host": hosts, "client_mount_timeout": "0"}
        if self.plan.cephx:
            told["key"] = self.auth.entities[_ADMIN].key
        return Cluster(Settings(told=told), self.net.at(node))

    async def watch(self) -> None:
        """Look at every daemon, for ever. Raises AssertionError."""
        while True:
            await asyncio.sleep(LOOK_S)
            for machine in self.machines:
                machine.look()
            self._look_at_primaries()

    def _look_at_primaries(self) -> None:
        """Nobody but one primary serves in an interval."""
        for machine in self.osds:
            held = machine.osd.copies.held if machine.osd is not None else {}
            for where, replica in held.items():
                if replica.peering.is_primary and replica.peering.is_active:
                    interval = (where.pg, replica.record.info.interval)
                    other = self._served.setdefault(interval, machine.name)
                    assert other == machine.name, f"{interval}: {other}, {machine.name} serve it"

    def heal(self) -> None:
        """Nothing is cut or dead any more."""
        self.net.heal()
        self.net.delay_s = FAST
        for machine in self.machines:
            machine.calm()
            if not machine.is_alive:
                machine.start()

    async def whole(self) -> None:
        """Until all groups are active and clean, everywhere. Raises AssertionError in the end."""
        await self.until(self._flaw, "not whole")

    async def until(self, flaw: Callable[[], Any], what: str) -> None:
        """Until nothing is wrong any more. Raises AssertionError in the end."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self.plan.peace_s
        while why := flaw():
            assert loop.time() < deadline_s, f"{what} in {self.plan.peace_s:g} s: {why}"
            await asyncio.sleep(LOOK_S)

    def bury(self) -> None:
        """The end of the simulation."""
        for machine in self.machines:
            machine.kill()
            for life in machine.lives:
                life.bury()

    def list_clones(self) -> list[str]:
        """What snapshots keep, on any disk."""
        return [
            f"{machine.name} {where} {what}"
            for machine in self.osds
            if machine.osd is not None
            for where in machine.osd.copies.held
            for what in machine.osd.store.list_objects(where)
            if what.name and what.snap != SNAP_HEAD
        ]

    # What must hold

    def _flaw(self) -> str:
        """What is not as it should be; empty when all is."""
        states = [mon.monitor.ledger.state for mon in self.mons if mon.monitor]
        if len(states) < len(self.mons):
            return "a monitor does not run"
        newest = max((state.osdmap for state in states), key=lambda osdmap: osdmap.epoch)
        osds = [machine.osd for machine in self.osds]
        for osd in osds:
            if osd is None or osd.osdmap.epoch != newest.epoch or not osd.is_up:
                return f"an OSD is not there: {osd and osd.identity.number}"
        flaws = (unclean(osds, pg, view) for pg, view in self.views().items())
        return next(filter(None, flaws), "")

    def views(self) -> dict[PG, View]:
        """Where each group is, as some OSD has it."""
        osd = next((machine.osd for machine in self.osds if machine.osd is not None), None)
        return dict(sorted(osd.copies._now.views.items())) if osd is not None else {}

    def check_copies(self) -> None:
        """All copies of a group are equal; shards are not, and are compared by being read. Raises
        AssertionError."""
        if self.plan.k > 1:
            return
        osds = {machine.identity.number: machine.osd for machine in self.osds if machine.osd}
        for pg, view in self.views().items():
            where = ShardPG(pg)
            copies = {n: content_of(osds[n].store, where) for n in view.acting}
            first = copies[view.acting[0]]
            for number, copy in copies.items():
                names = [str(n) for n in first.keys() | copy.keys() if first.get(n) != copy.get(n)]
                assert not names, f"{where}: osd.{number} differs in {names}"


def _auth(plan: Plan) -> auth.Auth:
    """The keys of the monitors, of an administrator and of each OSD."""
    keys = {auth.MONITORS: auth.Entity(str(SENSES.key())), _ADMIN: auth.admin(SENSES.key())}
    keys |= {f"osd.{n}": auth.osd(SENSES.key()) for n in range(plan.osds)}
    made = auth.Auth(keys)
    return auth.rotated(made, SENSES) or made


def unclean(osds: list[OSD | None], pg: PG, view: View) -> str:
    """What is not as it should be with a group; empty when all is."""
    primary = osds[osd_of(view.primary)] if view.primary >= 0 else None
    where = ShardPG(pg, shard_of(view.primary))
    replica = primary.copies.held.get(where) if primary is not None else None
    if replica is None:
        return f"{where} has no primary: {view.up} {view.acting}"
    info = replica.record.info
    if replica.peering.phase != Phase.ACTIVE or not replica.recovery.is_done:
        return f"{where} is {replica.peering.phase}: {view.up} {view.acting}"
    if view.acting != view.up or info.history.clean < info.interval:
        return f"{where} is not clean: {view.up} {view.acting}"
    return ""


@contextlib.contextmanager
def listening() -> Iterator[io.StringIO]:
    """What daemons log; a task that crashed in one of them is a mistake. Raises AssertionError."""
    said, before = io.StringIO(), log._Out.stream
    log._Out.stream = said
    try:
        yield said
        crashed = [line for line in said.getvalue().splitlines() if "task crashed" in line]
        assert not crashed, crashed[0].replace("\\n", "\n")
    finally:
        log._Out.stream = before
