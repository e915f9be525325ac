# SPDX-License-Identifier: Apache-2.0
"""A monitor over its connections: it answers, subscribes, changes and publishes.

What only looks is answered at once. What changes goes through one queue: decided afresh at its
turn, agreed on with the other monitors (`seat`), published to who subscribed, then answered.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final

import msgspec

from octostack.base import log
from octostack.engines.ceph.mon import osdrequests, requests
from octostack.engines.ceph.mon.access import SENSES, Access, Caller, grant_of
from octostack.engines.ceph.mon.changes import Answered, Decide, Failed, Job, ignored, nothing
from octostack.engines.ceph.mon.core import clusterlog, commands, health, told, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.auth import CEPHX, KeyTable, rotated
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands.table import Command, Connected, Query
from octostack.engines.ceph.mon.core.failures import Failures
from octostack.engines.ceph.mon.core.state import Change, OSDReport, Statistics
from octostack.engines.ceph.mon.keeper import Keeper, Term
from octostack.engines.ceph.mon.ledger import Ledger
from octostack.engines.ceph.mon.osdrequests import OSDRequests
from octostack.engines.ceph.mon.publisher import Publisher
from octostack.engines.ceph.mon.seat import Seat, get_rank
from octostack.engines.ceph.mon.store import MonStore
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityName, EntityType, msgr2
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.messages import client, cluster, monitor
from octostack.wire.ceph.messages.layout import Message
from octostack.wire.ceph.session import LOSSLESS_PEER_REUSE

_log = log.get("ceph.mon")
ROTATION_CHECK_S = 30.0

Reply = Callable[[int, str, bytes], None]  # 0 or a negative errno, the line of status, the output
Judge = Callable[[Caller, Command, dict[str, Any]], None]  # raises Failure


def _undelivered(osd: int, _message: Message) -> None:
    _log.warning("no manager to give an order", osd=osd)


_WRITES: Final = (monitor.PoolOp, cluster.Log, *osdrequests.KINDS)
_AT_ANY_TIME: Final = (  # what is said may be out of date, or is asked for again
    monitor.MonGetMap,
    monitor.MonSubscribe,
    monitor.Auth,
    cluster.Report,
    client.Ping,
)


class Monitor:
    """See the module's essay."""

    def __init__(
        self,
        name: str,
        store: MonStore,
        carriers: Carriers,
        auth_method: str = "none",
        key: Key | None = None,
    ) -> None:
        self.name = name
        self.statistics = Statistics()
        self.ledger = Ledger(store, self.statistics.oldest_needed)
        self.failures = Failures()
        self._groups_of = 0  # the epoch whose groups the statistics are of
        self.access = Access(auth_method, key, self.new_global_id, lambda: self._seat.may_enter)
        self._tasks = Supervisor(f"mon.{name}")
        self._told: dict[str, str] = {}  # options, by `ceph tell`
        self.ended = asyncio.Event()  # the map has it no more: whoever runs it is to stop it
        self._asking: Callable[[], None] | None = None  # again what is being handled
        monmap = self.ledger.state.monmap
        self._messenger = Messenger(
            Settings(
                EntityName(EntityType.MON, get_rank(monmap, name)),
                self.access.server,
                lambda _: self.access.client(name),
                {EntityType.MON: LOSSLESS_PEER_REUSE},
            ),
            carriers,
            self,
        )
        self._seat = Seat(self, self._messenger, name)
        self._clients: dict[Connection, None] = {}  # as they came
        self.publisher = Publisher(self.ledger)
        self.commands = commands.Commands()
        self.terms: list[Term] = []
        self.order: Callable[[int, Message], None] = _undelivered
        self.keeper = Keeper(self)
        self._handlers: dict[type[Message], Callable[[Any, Any, int], None]] = {
            monitor.MonGetMap: lambda conn, _, tid: self.publisher.send_monmap(conn),
            monitor.MonSubscribe: self._on_subscribe,
            monitor.MonGetVersion: self._on_get_version,
            monitor.MonCommand: self._on_command,
            monitor.Statfs: self._on_statfs,
            monitor.GetPoolStats: self._on_pool_stats,
            monitor.PoolOp: self._on_pool_op,
            cluster.Report: self._on_report,
            monitor.Auth: self._on_auth,
            client.Ping: self._on_ping,
            client.Command: self._on_tell,
            cluster.Log: self._on_log,
            **OSDRequests(self).handlers,
        }

    async def start(self) -> None:
        """Serve at the address of the map. Raises Unavailable."""
        monmap = self.ledger.state.monmap
        where = msgr2(monmap.monitors[self.name].addresses)
        assert where is not None
        self.access.follow(self.ledger.state.auth)
        await self._messenger.bind(where.host, where.port, nonce=0)
        self._seat.start()
        self._tasks.start("rotation", self._rotate_for_ever, ALWAYS)
        self._tasks.start("keeping", self.keeper.run, ALWAYS)

    async def served(self) -> None:
        """Until clients are let in: there is a quorum, and this monitor in it."""
        await self._seat.served()

    async def stop(self) -> None:
        """Serve no more."""
        await self._seat.stop()
        await self._messenger.close()
        await self._tasks.stop()

    @property
    def method(self) -> str:
        """Of authentication."""
        return self.access.method

    @property
    def keys(self) -> KeyTable:
        """The keys of services."""
        return self.access.keys

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message from a client, a daemon or another monitor."""
        self._messenger.done(len(envelope.data))
        if envelope.type != cluster.PEER_WORD:
            self._seat.serve(conn, envelope)
        elif self.access.is_monitor(conn):
            self._seat.hear(conn, envelope)

    def opened(self, conn: Connection) -> None:
        """A session begins."""
        if conn.peer_type != EntityType.MON:
            self._clients[conn] = None
            self.publisher.add(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended."""
        if conn in self._clients:
            del self._clients[conn]
            self.publisher.remove(conn)
            self._seat.closed(conn)

    # What the seat asks for

    def handle(self, caller: Caller, envelope: Envelope) -> None:
        """Answer a message."""
        message = messages.decode(envelope)
        handler = self._handlers.get(type(message))
        if handler is None:
            _log.warning("message not handled", type=envelope.type, peer=str(caller.peer))
            return
        self._asking = functools.partial(self._seat.serve, caller, envelope)
        try:
            handler(caller, message, envelope.tid)
        except Failure as failure:
            _log.warning(
                "message refused", type=envelope.type, peer=str(caller.peer), why=str(failure)
            )
        finally:
            self._asking = None

    def is_for_leader(self, envelope: Envelope) -> bool:
        """Whether only a leader can answer it."""
        message = messages.decode(envelope)
        if not isinstance(message, monitor.MonCommand):
            return isinstance(message, _WRITES)
        try:
            known = self.commands.get(commands.parse(message.command)["prefix"])
        except Failure:
            return False
        return known.permission != "r" or known.at_leader

    def may_wait(self, envelope: Envelope) -> bool:
        """Whether the answer must not be out of date."""
        return not isinstance(messages.decode(envelope), _AT_ANY_TIME)

    def finish(self, change: Change) -> Change:
        """The change with the lines of the cluster's log that it is worth, numbered."""
        state, now = self.ledger.state, self._messenger.now_ns()
        lines = list(change.log)
        if change.osdmap is not None:
            lines = [*clusterlog.told(state.osdmap, change.osdmap, f"mon.{self.name}"), *lines]
        if not lines:
            return change
        known = state.monmap.monitors.get(self.name)
        where = known.addresses if known is not None else ()
        lines = [clusterlog.addressed(line, f"mon.{self.name}", where) for line in lines]
        return msgspec.structs.replace(change, log=clusterlog.numbered(state.log, lines, now))

    def applied(self) -> None:
        """The state is another: all follow it."""
        state = self.ledger.state
        if state.osdmap.epoch != self._groups_of:
            self._groups_of = state.osdmap.epoch
            self.statistics.forget_missing(state.osdmap)
        self.access.follow(state.auth)
        self.publisher.publish()

    def relayed(self, data: bytes) -> int:
        """An OSD's report, from the monitor that it was made to; which OSD."""
        return self._take_report(data)

    def began(self) -> Change:
        """What a leader changes first."""
        quorum, map_ = self._seat.quorum(), self.ledger.state.monmap
        change = self._rotation() or Change()
        return msgspec.structs.replace(
            change, log=clusterlog.led(quorum.members, map_.ranks, f"mon.{self.name}")
        )

    def leads(self, *, is_leader: bool) -> None:
        """It leads now, or does not any more."""
        for term in self.terms:
            (term.lead if is_leader else term.follow)()

    def removed(self) -> None:
        """The map of monitors has us no more: nobody is served."""
        if not self.ended.is_set():
            _log.warning("removed from the map of monitors", name=self.name)
            self.ended.set()

    def send_away(self) -> None:
        """End the sessions of all clients."""
        for conn in list(self._clients):
            conn.close()
            self.closed(conn)

    # Reading

    def _on_auth(self, conn: Caller, asked: monitor.Auth, tid: int) -> None:
        conn.send(messages.encode(self.access.renew(conn, asked), tid))

    def _on_subscribe(self, conn: Connection, asked: monitor.MonSubscribe, _tid: int) -> None:
        if asked.what.keys() - {"config", "monmap"}:
            self.access.require(conn, "mon", "r")
        self.publisher.subscribe(conn, asked.what)

    def _on_get_version(self, conn: Caller, asked: monitor.MonGetVersion, tid: int) -> None:
        newest, oldest = self.publisher.versions(asked.what)
        reply = monitor.MonGetVersionReply(asked.handle, newest, oldest)
        conn.send(messages.encode(reply, tid))

    def _on_statfs(self, conn: Caller, asked: monitor.Statfs, tid: int) -> None:
        conn.send(messages.encode(requests.statfs(self.query({}), asked), tid))

    def _on_pool_stats(self, conn: Caller, asked: monitor.GetPoolStats, tid: int) -> None:
        conn.send(messages.encode(requests.pool_stats(self.query({}), asked), tid))

    def _on_report(self, conn: Caller, report: cluster.Report, _tid: int) -> None:
        self.access.require(conn, "pg", "w")
        self.report(report)

    def report(self, report: cluster.Report) -> None:
        """What an OSD reports, to us or to the manager beside us."""
        self._seat.relay(self._take_report(report.data), report.data)

    def _take_report(self, data: bytes) -> int:
        try:
            found = msgspec.msgpack.decode(data, type=OSDReport)
        except msgspec.MsgspecError as error:
            raise Malformed("a report that is none") from error
        self.statistics.take(found, self._messenger.now_ns())
        return found.osd

    def _on_log(self, conn: Caller, said: cluster.Log, _tid: int) -> None:
        self.access.require(conn, "log", "w")
        lines = tuple(
            Line(
                *(one.who, one.text, one.priority, one.channel),
                *(one.stamp, one.addresses),
            )
            for one in said.lines
        )
        self.submit(lambda: Change(log=lines))
        if said.lines:
            last = said.lines[-1]
            ack = cluster.LogAck(said.fsid, last.seq, last.channel)
            conn.send(messages.encode(ack))

    def _on_ping(self, conn: Caller, _asked: client.Ping, tid: int) -> None:
        query = self.query({})
        found = {"health": health.view(query, detailed=False), "mon_status": views.quorum(query)}
        text = msgspec.json.encode(found).decode()
        conn.send(messages.encode(client.Ping(text), tid))

    # Commands

    def _on_command(self, conn: Caller, asked: monitor.MonCommand, tid: int) -> None:
        def reply(result: int, status: str, output: bytes) -> None:
            ack = monitor.MonCommandAck(result, status, asked.command, data=output)
            conn.send(messages.encode(ack, tid))

        self.command(conn, asked.command, asked.data, reply)

    def _on_tell(self, conn: Caller, asked: client.Command, tid: int) -> None:
        def reply(result: int, status: str, output: bytes) -> None:
            conn.send(messages.encode(client.CommandReply(result, status, output), tid))

        try:
            self.access.require(conn, "mon", "rwx")
            query = self._asked(conn, commands.parse(asked.command), asked.data)
            answer = told.run(query, f"mon.{self.name}")
        except Failure as failure:
            reply(-failure.number, failure.text, b"")
            return
        reply(0, answer.status, answer.output)

    def command(
        self,
        conn: Caller,
        words: tuple[str, ...],
        data: bytes,
        reply: Reply,
        judge: Judge | None = None,
    ) -> None:
        """Do what a client asks, here or, when that judges, at the manager beside us."""
        answer = Answer()

        def failed(failure: Failure) -> None:
            reply(-failure.number, failure.text, failure.output)

        def decide() -> Change | None:
            nonlocal answer
            answer = self.commands.run(self._asked(conn, arguments, data))
            return self._audited(conn, words, answer.change)

        try:
            arguments = commands.parse(words)
            known = self.commands.get(arguments["prefix"])
            (judge or self.access.require_command)(conn, known, arguments)
            answer = self.commands.run(self._asked(conn, arguments, data))
        except Failure as failure:
            failed(failure)
            return
        if answer.change is None:
            self._sent(answer)
            reply(0, answer.status, answer.output)
            return
        self.submit(decide, lambda: reply(0, answer.status, answer.output), failed)

    def _audited(
        self, conn: Caller, words: tuple[str, ...], change: Change | None
    ) -> Change | None:
        if change is None:
            return None
        who = grant_of(conn)
        where = conn.peer_addresses
        lines = clusterlog.audited(f"mon.{self.name}", who.entity, where, "".join(words))
        return msgspec.structs.replace(change, log=(*change.log, *lines))

    def _sent(self, answer: Answer) -> None:
        for osd, message in answer.orders:
            self.order(osd, message)

    def _asked(self, conn: Caller, arguments: dict[str, Any], data: bytes) -> Query:
        query = self.query(arguments, data)
        query.who = Connected(self.publisher.sessions(), {}, grant_of(conn).entity)
        return query

    def query(self, arguments: dict[str, Any], data: bytes = b"") -> Query:
        """What commands look at, as of now."""
        return Query(
            arguments,
            self.ledger.state,
            self.statistics,
            self._seat.quorum(),
            self._messenger.now_ns(),
            SENSES,
            data,
            told=self._told,
        )

    # Changes

    def _on_pool_op(self, conn: Caller, asked: monitor.PoolOp, tid: int) -> None:
        output: bytes | None = None

        def reply(result: int) -> None:
            state = self.ledger.state
            epoch = state.osdmap.epoch
            message = monitor.PoolOpReply(state.monmap.fsid, result, epoch, output)
            conn.send(messages.encode(message, tid))

        def decide() -> Change | None:
            nonlocal output
            self.access.require(conn, "osd", "w")
            change, output = requests.pool_op(self.query({}), asked)
            return Change(osdmap=change)

        self.submit(decide, lambda: reply(0), lambda failure: reply(-failure.number))

    def now_ns(self) -> int:
        """The time that goes into maps."""
        return self._messenger.now_ns()

    def submit(self, decide: Decide, done: Answered = nothing, failed: Failed = ignored) -> None:
        """Change something when its turn comes: `decide` looks at the state as it is then."""
        self._seat.submit(Job(decide, done, failed, self._asking))

    # Keys

    async def _rotate_for_ever(self) -> None:
        while True:
            await asyncio.sleep(ROTATION_CHECK_S)
            if self._seat.leads:
                self.submit(self._rotation)

    def _rotation(self) -> Change | None:
        if self.access.method != CEPHX:
            return None
        made = rotated(self.ledger.state.auth, SENSES)
        return Change(auth=made) if made else None

    def new_global_id(self) -> int:
        """Never given to anyone else."""
        return self._seat.new_id()
