# SPDX-License-Identifier: Apache-2.0
"""An OSD over its connections: follows the map, keeps its copies, serves those it is primary of.

A monitor is told where we are and sends the map and each change of it (`monitors`, `maps`). Every
epoch goes to all copies (`copies`), which talk to those on other OSDs (`peers`). A client's
operation is checked against the map, handed to its group as an `OpRequest`, and answered when the
group says so. A client with an older map is sent the changes first: it finds out by itself where
to go.
"""

import asyncio
import errno
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from octostack.base import clock, log
from octostack.engines.ceph.core.osdmap import osds, pools
from octostack.engines.ceph.osd import epochs, limits
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.clients import ClientSession, answer_of, refusal_of, request_of
from octostack.engines.ceph.osd.copies import Copies
from octostack.engines.ceph.osd.core.members import places_of
from octostack.engines.ceph.osd.core.scrub.values import Result
from octostack.engines.ceph.osd.core.values import Message as GroupMessage
from octostack.engines.ceph.osd.heartbeats import Heartbeats
from octostack.engines.ceph.osd.holding import Holding
from octostack.engines.ceph.osd.maps import Maps
from octostack.engines.ceph.osd.markdowns import DEBUG, INFO, WARN, Markdowns
from octostack.engines.ceph.osd.monitors import Identity, Monitors, Places
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.options import Options
from octostack.engines.ceph.osd.pacing import TICK_S, Pacing
from octostack.engines.ceph.osd.peers import Peers
from octostack.engines.ceph.osd.requests import OpReply
from octostack.engines.ceph.osd.scrubs import Scrubs
from octostack.engines.ceph.osd.telling import Telling
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityName, EntityType
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.messages import client, cluster, monitor, osdop
from octostack.wire.ceph.messages.layout import Message
from octostack.wire.ceph.objects import ShardPG
from octostack.wire.ceph.opcodes import ON_GROUPS

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.sources import Sources

_SOURCES = "octostack.engines.ceph.osd.sources"  # a client: only who copies loads it
_log = log.get("ceph.osd")
WAITING_MAX = 4096

__all__ = ["OSD", "Identity"]


class OSD:
    """See the module's essay."""

    def __init__(self, identity: Identity, store: api.ObjectStore, carriers: Carriers) -> None:
        self.identity = identity
        self.store = store
        number = identity.number
        self.access = Access(number, identity.key)
        self.maps = Maps(store)
        self.copies = Copies(number, store, self)
        self._epochs = epochs.Reader()
        self._past = epochs.Past()  # what the copies begin with
        self._began = False
        self._was_up = False
        self._moving = False
        self._waiting: list[tuple[Connection, osdop.OSDOp]] = []
        self._tasks = Supervisor(f"osd.{number}")
        self._scrubs = Scrubs(self.say)
        self._markdowns = Markdowns()
        self.ended = asyncio.Event()  # whoever runs it is to stop it
        self._carriers = carriers
        self._sources: Sources | None = None  # once something was copied
        self._said = 0  # lines for the cluster's log
        self._messenger = Messenger(
            Settings(EntityName(EntityType.OSD, number), self.access.server, self.access.client),
            carriers,
            self,
        )
        options = Options(self._obey)
        self._pacing = Pacing(self.copies, options)
        self.telling = Telling(number, self, self._messenger, options)
        self._holding = Holding(self._messenger.done)
        self._peers = Peers(number, self.access, carriers, self._heard, self._refused)
        self._monitors = Monitors(identity, self.access, self._messenger, self)
        tell = self._monitors.tell_failure
        self._heartbeats = Heartbeats(number, self.access, carriers, tell)
        self._handlers: dict[type[Message], Callable[[Connection, Any], None]] = {
            client.OSDMapMessage: self._on_osdmap,
            monitor.AuthReply: lambda _, message: self._monitors.take_keys(message),
            client.Ping: lambda conn, message: conn.send(messages.encode(message)),
            cluster.OSDScrub: self._on_scrub,
            cluster.LogAck: _ignore,
            cluster.OSDMarkMeDown: lambda _, __: self._monitors.heard_goodbye(),
            monitor.MonMapMessage: lambda _, message: self._monitors.take_monmap(message),
            monitor.ConfigMessage: lambda _, message: self.telling.options.follow(message.options),
            monitor.MgrMapMessage: lambda _, message: self.telling.follow(message),
        }

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""
        return self.maps.newest

    @property
    def places(self) -> Places:
        """Where we take connections. None of other OSDs while we move: where they come to now is
        about to be left, and must not get into a map again."""
        clients, others = self._messenger.addresses, () if self._moving else self._peers.addresses
        front, back = self._heartbeats.addresses
        return Places(clients, others, back, front)

    @property
    def is_up(self) -> bool:
        """Whether the map says that we are up, and where."""
        me, osdmap, places = self.identity.number, self.osdmap, self.places
        return (
            osds.is_up(osdmap, me)
            and osdmap.client_addresses[me] == places.clients
            and osdmap.cluster_addresses[me] == places.cluster
        )

    async def start(self) -> None:
        """Open the store, listen, and tell a monitor. Raises Corrupt, Unavailable."""
        await self.store.open()
        for osdmap in self.maps.load():
            self._past.add(self._epochs.read(osdmap))
        await self._messenger.bind(self.identity.host)
        await self._peers.bind(self.identity.host)
        await self._heartbeats.bind(self.identity.host)
        self._monitors.find(clock.monotonic())
        self._tasks.start("tick", self._tick, ALWAYS)

    async def stop(self) -> None:
        """Say goodbye, make all durable, serve no more."""
        await self._monitors.goodbye()
        await self._tasks.stop()
        if self._sources is not None:
            await self._sources.close()
        await self._heartbeats.close()
        await self._peers.close()
        await self._messenger.close()
        await self.store.close()

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message from a client, a monitor or a manager."""
        if envelope.type == osdop.OSD_OP:
            self._on_op(conn, osdop.decode_op(envelope), len(envelope.data))
            return
        if envelope.type == client.COMMAND:
            self._messenger.done(len(envelope.data))
            self.telling.answer(conn, envelope)
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
        if conn is self._monitors.conn:
            self.telling.begin_anew()
            self._monitors.opened(conn)
        elif self.telling.is_manager(conn):
            self.telling.begin_anew()
            self._report()
        else:
            conn.state = ClientSession(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended: the clients' watches wait, and a monitor is looked for."""
        if conn is self._monitors.conn:
            self._monitors.closed(clock.monotonic())
        elif isinstance(conn.state, ClientSession):
            self._holding.forget(conn.state)
            for replica in self.copies.held.values():
                replica.group.disconnected(conn.state)

    # Operations

    def _on_op(self, conn: Connection, op: osdop.OSDOp, size: int) -> None:
        if op.epoch > self.maps.newest.epoch and len(self._waiting) < WAITING_MAX:
            self._waiting.append((conn, op))
            self._messenger.done(size)
            return
        self._serve(conn, op, size)

    def _serve(self, conn: Connection, op: osdop.OSDOp, size: int) -> None:
        session = conn.state
        if not isinstance(session, ClientSession):
            self._messenger.done(size)
            return
        osdmap = self.maps.newest
        epoch, pool = osdmap.epoch, osdmap.pools.get(op.pg.pool)
        if session.shared_epoch != epoch:
            self._share_map(session, op.epoch)
        if pool is not None and not self._may(conn, op, pool):
            self._messenger.done(size)
            conn.send(refusal_of(op, -errno.EPERM, epoch))
            return
        if pool is not None and _is_elsewhere(op, pool):
            self._messenger.done(size)
            return  # its map has fewer groups; the newer one is on its way
        number = limits.refusal(osdmap, self.identity.number, op, conn.peer_addresses)
        if number:
            self._messenger.done(size)
            conn.send(refusal_of(op, -number, epoch))
            return
        holding, counts = self._holding, self.telling.counts
        held, noted = holding.hold(op.pg, size, session), counts.begin(op, size)

        def reply(answer: OpReply) -> None:
            holding.release(op.pg, held, size)
            counts.end(noted, answer)
            conn.send(answer_of(op, answer, self.maps.newest.epoch))

        if self.copies.submit(op.pg, request_of(op, session), reply):
            return
        counts.drop(noted)
        holding.release(op.pg, held, size)
        if op.epoch >= epoch or pool is None:
            # its map is ours, and says otherwise: an answer, so that it need not wait for ever
            conn.send(refusal_of(op, -errno.ENXIO, epoch))

    def _may(self, conn: Connection, op: osdop.OSDOp, pool: Pool) -> bool:
        name = self.osdmap.pool_names[op.pg.pool]
        return self.access.allows(conn, op, name, pool.application_metadata)

    def _share_map(self, session: ClientSession, has: int) -> None:
        session.shared_epoch = max(has, session.shared_epoch)
        first = session.shared_epoch + 1
        newest = self.osdmap.epoch
        if first <= newest:
            session.shared_epoch = newest
            session.conn.send(messages.encode(self.maps.message_from(first)))

    # Maps

    def _on_osdmap(self, conn: Connection, message: client.OSDMapMessage) -> None:
        if message.fsid != self.identity.fsid:
            _log.warning("a map of another cluster", peer=str(conn.peer))
            return
        if self.maps.lacks(message):
            self._monitors.ask_for_maps()
        new = self.maps.take(message)
        if not new:
            return
        found = [self._epochs.read(osdmap) for osdmap in new]
        self._peers.follow(self.osdmap)
        if self._sources is not None:
            self._sources.follow(new)
        if self.is_up or self._began:
            self._follow(found)
        else:
            if found[0].number == self.maps.gap:
                self._past.take()
            for epoch in found:
                self._past.add(epoch)
        self._obey()
        self._heartbeats.follow(self.osdmap, self.copies.partners)
        self._rebind_if_down()
        self._monitors.follow(clock.monotonic())
        waiting, self._waiting = self._waiting, []
        for waited, op in waiting:
            self._on_op(waited, op, 0)
        self._report()

    def _follow(self, found: list[epochs.Epoch]) -> None:
        if not self._began:
            self._began = True
            past = self._past.take()
            if found[0].number == self.maps.gap:
                past = []
            self.copies.begin(*past, *found, gap=self.maps.gap)
        elif found[0].number == self.maps.gap:
            self.copies.lost_track(found[0])
            self.copies.advance(*found[1:])
        else:
            self.copies.advance(*found)
        self.maps.settle()

    def _rebind_if_down(self) -> None:
        """The map took us for dead: others have dropped what we said. Come back elsewhere."""
        was_up, self._was_up = self._was_up, self.is_up
        fell = was_up and not self._was_up and not self._moving
        if fell and not self._monitors.is_leaving and self._may_return():
            self._moving = True
            self._tasks.start("rebind", self._rebind)

    def _may_return(self) -> bool:
        """Whether it is not the one time too many."""
        me, map_, now = self.identity.number, self.osdmap, clock.monotonic()
        self.say(f"Monitor daemon marked osd.{me} down, but it is still running", WARN)
        down_at = map_.osd_info[me].down_at
        self.say(f"map e{map_.epoch} wrongly marked me down at e{down_at}", DEBUG)
        self._markdowns.note(now)
        excess = self._markdowns.find_excess(now, self.telling.options)
        if excess:
            _log.error("taken for dead too often: this OSD ends", why=excess)
            self.ended.set()
        return not excess

    async def _rebind(self) -> None:
        await self._peers.rebind()
        self._moving = False
        self._monitors.boot(clock.monotonic())

    # What copies ask for (`replicated.Links`)

    def send(self, osd: int, where: ShardPG, message: GroupMessage) -> None:
        """To the copy on another OSD, or to another shard on this one."""
        self._peers.send(osd, where, message)

    def want_up_thru(self, epoch: int) -> None:
        """Of the monitors."""
        self._monitors.want_up_thru(epoch)

    def want_acting(self, where: ShardPG, acting: tuple[int, ...]) -> None:
        """Of the monitors."""
        if where.shard >= 0 and acting:
            pool = self.osdmap.pools.get(where.pg.pool)
            acting = places_of(acting, pool.size if pool else 0)
        self._monitors.want_acting(where.pg, acting)

    def interval_began(self, where: ShardPG, *, dropped: bool) -> None:
        """Its wishes are void; whose requests were dropped should look at the map."""
        self._monitors.forget(where.pg)
        if dropped:
            for session in self._holding.drop(where.pg):
                self._share_map(session, session.shared_epoch)

    def forgotten(self, where: ShardPG) -> None:
        """The copy is gone."""

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        """Read an object of any group."""
        if self._sources is None:
            make: Callable[..., Sources] = import_module(_SOURCES).Sources
            self._sources = make(self.identity.number, self.access, self._carriers, self.osdmap)
        return self._sources.fetch(source, then)

    def pace(self, go_on: Callable[[], None]) -> None:
        """A scrub takes turns with all else."""
        self._pacing.scrub(go_on)

    def scrubbed(self, where: ShardPG, result: Result) -> None:
        """Tell it."""
        self._scrubs.ended(where.pg, result)
        self._report()

    def _on_scrub(self, conn: Connection, order: cluster.OSDScrub) -> None:
        if order.fsid == self.identity.fsid and conn.peer.kind in (EntityType.MON, EntityType.MGR):
            wanted = {where.pg for where in order.groups}
            groups = [where for where in self.copies.held if where.pg in wanted or not wanted]
            self._scrubs.order(groups, deep=order.deep, repair=order.repair)
            self._scrub()

    def _scrub(self) -> None:
        flags = self.osdmap.flags
        self._scrubs.allowed = not flags & MapFlag.NOSCRUB
        self._scrubs.deep_allowed = not flags & MapFlag.NODEEP_SCRUB
        self._scrubs.follow(self.telling.options)
        self._scrubs.tick(self.copies.held, int(clock.now() * 1e9))

    def say(self, text: str, priority: int = INFO) -> None:
        """A line for the cluster's log."""
        mon, who = self._monitors.conn, f"osd.{self.identity.number}"
        if mon is not None and mon.is_open:
            self._said += 1
            stamp, where = int(clock.now() * 1e9), self._messenger.addresses
            line = cluster.LogLine(who, where, stamp, self._said, priority, text, "cluster")
            mon.send(messages.encode(cluster.Log(self.identity.fsid, (line,))))

    def _heard(self, osd: int, where: ShardPG, message: GroupMessage) -> None:
        self.copies.receive(osd, where, message)  # which keeps it until they have begun

    def _refused(self, osd: int) -> None:
        """Nobody listens where the map has another OSD: its process is gone."""
        self._monitors.tell_failure(osd, cluster.FAILED | cluster.REFUSES, 0.0)

    # Time

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = clock.monotonic()
            self._monitors.tick(now)
            if self.is_up and self._began:
                self._heartbeats.tick(now, self.telling.options)
                self.copies.seek()
            self._obey()
            for replica in list(self.copies.held.values()):
                replica.tick()
            if self._sources is not None:
                self._sources.tick()
            self._scrub()
            self._report()

    def _obey(self) -> None:
        """The map or the options may be others, or the disk fuller."""
        self._messenger.limit(int(self.telling.options.number("osd_client_message_size_cap")))
        if self._began:
            self._pacing.follow(self.osdmap)

    def _report(self) -> None:
        self.telling.report(self._monitors.conn)


def _is_elsewhere(op: osdop.OSDOp, pool: Pool) -> bool:
    """Whether the object is in another group by now."""
    if op.ops and op.ops[0].code in ON_GROUPS:
        return False
    return pools.seed_of(pool, op.hash) != op.pg.seed


def _ignore(_conn: Connection, _message: object) -> None:
    return
