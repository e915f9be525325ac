# SPDX-License-Identifier: Apache-2.0
"""An OSD over its connections: follows the map, serves the groups it is the primary of.

A monitor is told where we are and sends the map and each change of it. A client's operation is
checked against the map, handed to its group as an `OpRequest`, and answered when the group says so.
A client with an older map is sent the changes first: it finds out by itself where to go.
"""

import asyncio
import errno
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base import log
from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.core.osdmap import osds, placement, pools
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.backend import LocalBackend
from octostack.engines.ceph.osd.clients import ClientSession, answer_of, refusal_of, request_of
from octostack.engines.ceph.osd.group import Group, PoolFacts
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.reports import Reports
from octostack.engines.ceph.osd.requests import OpReply
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Address, EntityName, EntityType
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.handshake import FEATURES
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import Pool, PoolFlag
from octostack.wire.ceph.messages import client, cluster, monitor, osdop
from octostack.wire.ceph.messages.layout import Message
from octostack.wire.ceph.objects import PG, ShardPG

_log = log.get("ceph.osd")
TICK_S = 1.0
CHANGES_KEPT = 200
CHANGES_SHARED_MAX = 40
WAITING_MAX = 4096


class Identity(msgspec.Struct, frozen=True):
    """Who an OSD is, and where its monitors are."""

    fsid: uuid.UUID
    number: int
    unique: uuid.UUID
    monitors: tuple[Address, ...]
    host: str = "127.0.0.1"
    key: Key | None = None  # with cephx


class OSD:
    """See the module's essay."""

    def __init__(self, identity: Identity, store: api.ObjectStore, carriers: Carriers) -> None:
        self.identity = identity
        self.store = store
        self.osdmap = OSDMap()
        self.groups: dict[PG, Group] = {}
        self._changes: OrderedDict[int, bytes] = OrderedDict()
        self._waiting: list[tuple[Connection, osdop.OSDOp]] = []
        self._tasks = Supervisor(f"osd.{identity.number}")
        self._mon: Connection | None = None
        self.access = Access(identity.number, identity.key)
        self._next_mon = identity.number
        self._booted_at = 0
        self._reports = Reports(identity.number, store)
        self._messenger = Messenger(
            Settings(
                EntityName(EntityType.OSD, identity.number),
                self.access.server,
                self.access.client,
            ),
            carriers,
            self,
        )
        self._handlers: dict[type[Message], Callable[[Connection, Any], None]] = {
            client.OSDMapMessage: self._on_osdmap,
            monitor.AuthReply: lambda _, message: self._on_auth(message),
            client.Ping: lambda conn, message: conn.send(messages.encode(message)),
            monitor.MonMapMessage: _ignore,
            monitor.ConfigMessage: _ignore,
            monitor.MgrMapMessage: _ignore,
        }

    async def start(self) -> None:
        """Open the store, listen, and tell a monitor. Raises Corrupt, Unavailable."""
        await self.store.open()
        await self._messenger.bind(self.identity.host)
        self._find_monitor()
        self._tasks.start("tick", self._tick, ALWAYS)

    async def stop(self) -> None:
        """Say goodbye, make all durable, serve no more."""
        mon = self._mon
        if mon is not None and mon.is_open and osds.is_up(self.osdmap, self.identity.number):
            number = self.identity.number
            where = self.osdmap.client_addresses[number]
            bye = cluster.OSDMarkMeDown(
                self.identity.fsid, number, where, self.osdmap.epoch, wants_ack=False
            )
            mon.send(messages.encode(bye))
            await asyncio.sleep(0)
        await self._tasks.stop()
        await self._messenger.close()
        await self.store.close()

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message from a client, an OSD or a monitor."""
        if envelope.type == osdop.OSD_OP:
            self._on_op(conn, osdop.decode_op(envelope), len(envelope.data))
            return
        message = messages.decode(envelope)
        self._messenger.done(len(envelope.data))
        handler = self._handlers.get(type(message))
        if handler is None:
            _log.warning("message not handled", type=envelope.type, peer=str(conn.peer))
            return
        handler(conn, message)

    def opened(self, conn: Connection) -> None:
        """A session begins."""
        if conn is self._mon:
            self.access.renew(conn)
            start = self.osdmap.epoch + 1 if self.osdmap.epoch else 0
            self._reports.forget()
            wanted = monitor.MonSubscribe({"osdmap": monitor.Subscription(start)})
            conn.send(messages.encode(wanted))
            if self.osdmap.epoch:
                self._boot()
        else:
            conn.state = ClientSession(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended: the clients' watches wait, and a monitor is looked for."""
        if conn is self._mon:
            self._find_monitor()
        elif isinstance(conn.state, ClientSession):
            for group in self.groups.values():
                group.disconnected(conn.state)

    # Operations

    def _on_op(self, conn: Connection, op: osdop.OSDOp, size: int) -> None:
        if op.epoch > self.osdmap.epoch and len(self._waiting) < WAITING_MAX:
            self._waiting.append((conn, op))
            self._messenger.done(size)
            return
        self._serve(conn, op, size)

    def _serve(self, conn: Connection, op: osdop.OSDOp, size: int) -> None:
        session = conn.state
        if not isinstance(session, ClientSession):
            self._messenger.done(size)
            return
        epoch = self.osdmap.epoch
        if op.epoch < epoch:
            self._share_map(session, op.epoch)
        if not self._may(conn, op):
            self._messenger.done(size)
            conn.send(refusal_of(op, -errno.EPERM, epoch))
            return
        group = self.groups.get(op.pg)
        if group is None:
            self._messenger.done(size)
            if op.epoch >= epoch or op.pg.pool not in self.osdmap.pools:
                # its map is ours, and says otherwise: an answer, so that it need not wait for ever
                conn.send(refusal_of(op, -errno.ENXIO, epoch))
            return

        def reply(answer: OpReply) -> None:
            if size:
                self._messenger.done(size)
            conn.send(answer_of(op, answer, self.osdmap.epoch))

        group.submit(request_of(op, session), reply)

    def _may(self, conn: Connection, op: osdop.OSDOp) -> bool:
        pool = self.osdmap.pools.get(op.pg.pool)
        if pool is None:
            return True  # there is nothing that could be done
        name = self.osdmap.pool_names[op.pg.pool]
        return self.access.allows(conn, op, name, pool.application_metadata)

    def _share_map(self, session: ClientSession, has: int) -> None:
        first = max(has, session.shared_epoch) + 1
        newest = self.osdmap.epoch
        if first > newest:
            return
        session.shared_epoch = newest
        session.conn.send(messages.encode(self._maps_from(first)))

    def _maps_from(self, first: int) -> client.OSDMapMessage:
        newest = self.osdmap.epoch
        wanted = range(first, newest + 1)
        changes = {e: self._changes[e] for e in wanted if e in self._changes}
        maps: dict[int, bytes] = {}
        if len(changes) != len(wanted) or len(wanted) > CHANGES_SHARED_MAX:
            changes, maps = {}, {newest: osdmap_wire.encode(self.osdmap)}
        oldest = next(iter(self._changes), newest)
        return client.OSDMapMessage(self.identity.fsid, changes, maps, oldest, newest)

    # Maps

    def _on_osdmap(self, conn: Connection, message: client.OSDMapMessage) -> None:
        if message.fsid != self.identity.fsid:
            _log.warning("a map of another cluster", peer=str(conn.peer))
            return
        before = self.osdmap
        whole = max(message.maps, default=0)
        if whole > self.osdmap.epoch:
            self.osdmap = osdmap_wire.decode(message.maps[whole])
            self._changes.clear()
        for epoch in sorted(message.incrementals):
            if epoch == self.osdmap.epoch + 1:
                blob = message.incrementals[epoch]
                change = osdmap_wire.decode_incremental(blob)
                self.osdmap = osd_changes.apply(self.osdmap, change)
                self._changes[epoch] = blob
                if len(self._changes) > CHANGES_KEPT:
                    self._changes.popitem(last=False)
        if self.osdmap.epoch > before.epoch:
            self._follow()

    def _follow(self) -> None:
        """The map is newer: take on groups, let go of others, serve who waited for it."""
        me = self.identity.number
        if not self.is_up:
            self._boot()
        mine: dict[PG, Pool] = {}
        for number, pool in self.osdmap.pools.items():
            for seed in range(pool.pg_num):
                pg = PG(number, seed)
                if placement.of_group(self.osdmap, pg).acting_primary == me:
                    mine[pg] = pool
        for pg in [pg for pg in self.groups if pg not in mine]:
            self.groups.pop(pg).reset()
        for pg, pool in mine.items():
            group = self.groups.get(pg)
            if group is None:
                self.groups[pg] = self._new_group(pg, pool)
            else:
                group.pool = _facts(pool)
                group.backend.epoch = self.osdmap.epoch
        self._remove_collections()
        waiting, self._waiting = self._waiting, []
        for conn, op in waiting:
            self._on_op(conn, op, 0)
        self._report()

    def _new_group(self, pg: PG, pool: Pool) -> Group:
        where = ShardPG(pg)
        if where not in self.store.collections():
            bits = pools.hash_bits(pool, pg)
            self.store.queue([[api.CreateCollection(where, bits)]])
        backend = LocalBackend(self.store, where, self.osdmap.epoch)
        return Group(Place(self.store, where), backend, _facts(pool))

    def _remove_collections(self) -> None:
        """Data of pools that are gone."""
        for where in list(self.store.collections()):
            if where.pg.pool >= 0 and where.pg.pool not in self.osdmap.pools:
                self.store.queue([[api.RemoveCollection(where)]])

    @property
    def is_up(self) -> bool:
        """Whether the map says that we are up, and where."""
        me = self.identity.number
        return (
            osds.is_up(self.osdmap, me)
            and self.osdmap.client_addresses[me] == self._messenger.addresses
        )

    # Monitors

    def _find_monitor(self) -> None:
        monitors = self.identity.monitors
        target = monitors[self._next_mon % len(monitors)]
        self._next_mon += 1
        self._mon = self._messenger.connect(target, EntityType.MON)

    def _boot(self) -> None:
        mon = self._mon
        if mon is None or not osds.is_known(self.osdmap, self.identity.number):
            return
        if not self.access.is_ready:
            return  # the keys are on their way, and with them this is called again
        me = self.identity
        epoch = self.osdmap.epoch
        if self._booted_at == epoch and mon.tries == 0 and self.is_up:
            return
        self._booted_at = epoch
        block = cluster.Superblock(
            me.fsid, me.number, epoch, 1, epoch, osd_fsid=me.unique, mounted=epoch
        )
        where = self._messenger.addresses
        metadata = {"id": str(me.number), "hostname": "localhost", "osd_objectstore": "octostack"}
        boot = cluster.OSDBoot(block, where, where, 0, where, metadata, FEATURES, epoch)
        mon.send(messages.encode(boot))

    def _on_auth(self, reply: monitor.AuthReply) -> None:
        was_ready = self.access.is_ready
        self.access.take(reply)
        if not was_ready and self.osdmap.epoch:
            self._boot()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._mon is not None and self._mon.is_open:
                self.access.renew(self._mon)
            for group in list(self.groups.values()):
                group.tick()
            if self.osdmap.epoch and not self.is_up:
                self._boot()
            self._report()

    def _report(self) -> None:
        mon = self._mon
        if mon is None or not mon.is_open or not self.is_up:
            return
        data = self._reports.next(self.osdmap, self.groups)
        if data is not None:
            mon.send(messages.encode(cluster.Report(data)))


def _facts(pool: Pool) -> PoolFacts:
    snaps = tuple(sorted(pool.snaps, reverse=True))
    own = bool(pool.flags & PoolFlag.POOL_SNAPS)
    return PoolFacts(pool.pg_num, pool.snap_seq, snaps, own)


def _ignore(_conn: Connection, _message: object) -> None:
    return
