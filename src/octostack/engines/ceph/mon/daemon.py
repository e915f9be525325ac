# SPDX-License-Identifier: Apache-2.0
"""A monitor over its connections: it answers, subscribes, changes and publishes.

What only looks is answered at once. What changes goes through one queue: decided afresh at its
turn, made durable, published to who subscribed, then answered.
"""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base import clock, log
from octostack.base.errors import OctoError
from octostack.engines.ceph.mon import requests
from octostack.engines.ceph.mon.access import SENSES, Access, grant_of
from octostack.engines.ceph.mon.core import clusterlog, commands, health, osds, told, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.auth import CEPHX, KeyTable, rotated
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands.table import Connected, Query, Quorum
from octostack.engines.ceph.mon.core.failures import Failures
from octostack.engines.ceph.mon.core.settings import number_of
from octostack.engines.ceph.mon.core.state import Change, OSDReport, Statistics
from octostack.engines.ceph.mon.keeper import Keeper, Term
from octostack.engines.ceph.mon.ledger import Ledger
from octostack.engines.ceph.mon.publisher import Publisher
from octostack.engines.ceph.mon.store import MonStore
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityName, EntityType, msgr2
from octostack.wire.ceph.auth_none import NoneClient
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.messages import client, cluster, monitor
from octostack.wire.ceph.messages.layout import Message

_log = log.get("ceph.mon")
_IDS_AT_ONCE = 10_000
_QUEUE_MAX = 10_000
ROTATION_CHECK_S = 30.0

Decide = Callable[[], Change | None]
Answered = Callable[[], None]
Reply = Callable[[int, str, bytes], None]  # 0 or a negative errno, the line of status, the output


def _nothing() -> None:
    return


def _ignored(_failure: Failure) -> None:
    return


def _undelivered(osd: int, _message: Message) -> None:
    _log.warning("no manager to give an order", osd=osd)


class _Job(msgspec.Struct):
    decide: Decide  # raises Failure
    done: Answered
    failed: Callable[[Failure], None]


class Monitor:
    """See the module's essay."""

    def __init__(
        self, name: str, store: MonStore, carriers: Carriers, auth_method: str = "none"
    ) -> None:
        self.name = name
        self.ledger = Ledger(store)
        self.statistics = Statistics()
        self.failures = Failures()
        self.access = Access(auth_method, self.new_global_id)
        self._next_id = 0
        self._ids_end = 0
        self._began = clock.monotonic()
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(_QUEUE_MAX)
        self._tasks = Supervisor(f"mon.{name}")
        rank = self.ledger.state.monmap.find_rank(name)
        assert rank is not None
        self._messenger = Messenger(
            Settings(
                EntityName(EntityType.MON, rank),
                self.access.server,
                lambda _: NoneClient(EntityType.MON, name),
            ),
            carriers,
            self,
        )
        self._publisher = Publisher(self.ledger)
        self.commands = commands.Commands()
        self.terms: list[Term] = []
        self.order: Callable[[int, Message], None] = _undelivered
        self.keeper = Keeper(self)
        self._handlers: dict[type[Message], Callable[[Connection, Any, int], None]] = {
            monitor.MonGetMap: lambda conn, _, tid: self._publisher.send_monmap(conn),
            monitor.MonSubscribe: self._on_subscribe,
            monitor.MonGetVersion: self._on_get_version,
            monitor.MonCommand: self._on_command,
            monitor.Statfs: self._on_statfs,
            monitor.GetPoolStats: self._on_pool_stats,
            monitor.PoolOp: self._on_pool_op,
            cluster.OSDBoot: self._on_boot,
            cluster.OSDAlive: self._on_alive,
            cluster.PGTemp: self._on_pg_temp,
            cluster.OSDMarkMeDown: self._on_mark_me_down,
            cluster.Report: self._on_report,
            monitor.Auth: self._on_auth,
            cluster.OSDFailure: self._on_failure,
            client.Ping: self._on_ping,
            client.Command: self._on_tell,
            cluster.Log: self._on_log,
        }

    async def start(self) -> None:
        """Serve at the address of the map. Raises Unavailable."""
        monmap = self.ledger.state.monmap
        where = msgr2(monmap.monitors[self.name].addresses)
        assert where is not None
        await self._reserve_ids()
        await self._rotate()
        self._tasks.start("changes", self._change, ALWAYS)
        self._tasks.start("rotation", self._rotate_for_ever, ALWAYS)
        self._tasks.start("keeping", self.keeper.run, ALWAYS)
        await self._messenger.bind(where.host, where.port, nonce=0)
        for term in self.terms:
            term.lead()

    async def stop(self) -> None:
        """Serve no more."""
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
        """A message from a client or a daemon."""
        message = messages.decode(envelope)
        self._messenger.done(len(envelope.data))
        handler = self._handlers.get(type(message))
        if handler is None:
            _log.warning("message not handled", type=envelope.type, peer=str(conn.peer))
            return
        try:
            handler(conn, message, envelope.tid)
        except Failure as failure:
            _log.warning(
                "message refused", type=envelope.type, peer=str(conn.peer), why=str(failure)
            )

    def opened(self, conn: Connection) -> None:
        """A session begins."""
        self._publisher.add(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended."""
        self._publisher.remove(conn)

    # Reading

    def _on_auth(self, conn: Connection, asked: monitor.Auth, tid: int) -> None:
        conn.send(messages.encode(self.access.renew(conn, asked), tid))

    def _on_subscribe(self, conn: Connection, asked: monitor.MonSubscribe, _tid: int) -> None:
        if asked.what.keys() - {"config", "monmap"}:
            self.access.require(conn, "mon", "r")
        self._publisher.subscribe(conn, asked.what)

    def _on_get_version(self, conn: Connection, asked: monitor.MonGetVersion, tid: int) -> None:
        newest, oldest = self._publisher.versions(asked.what)
        reply = monitor.MonGetVersionReply(asked.handle, newest, oldest)
        conn.send(messages.encode(reply, tid))

    def _on_statfs(self, conn: Connection, asked: monitor.Statfs, tid: int) -> None:
        conn.send(messages.encode(requests.statfs(self.query({}), asked), tid))

    def _on_pool_stats(self, conn: Connection, asked: monitor.GetPoolStats, tid: int) -> None:
        conn.send(messages.encode(requests.pool_stats(self.query({}), asked), tid))

    def _on_report(self, conn: Connection, report: cluster.Report, _tid: int) -> None:
        self.access.require(conn, "pg", "w")
        self.report(report)

    def report(self, report: cluster.Report) -> None:
        """What an OSD reports, to us or to the manager beside us."""
        try:
            found = msgspec.msgpack.decode(report.data, type=OSDReport)
        except msgspec.MsgspecError as error:
            raise Malformed("a report that is none") from error
        self.statistics.take(found, self._messenger.now_ns())

    def _on_log(self, conn: Connection, said: cluster.Log, _tid: int) -> None:
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

    def _on_ping(self, conn: Connection, _asked: client.Ping, tid: int) -> None:
        query = self.query({})
        found = {"health": health.view(query, detailed=False), "mon_status": views.quorum(query)}
        text = msgspec.json.encode(found).decode()
        conn.send(messages.encode(client.Ping(text), tid))

    # Commands

    def _on_command(self, conn: Connection, asked: monitor.MonCommand, tid: int) -> None:
        def reply(result: int, status: str, output: bytes) -> None:
            ack = monitor.MonCommandAck(result, status, asked.command, data=output)
            conn.send(messages.encode(ack, tid))

        self.command(conn, asked.command, asked.data, reply)

    def _on_tell(self, conn: Connection, asked: client.Command, tid: int) -> None:
        def reply(result: int, status: str, output: bytes) -> None:
            conn.send(messages.encode(client.CommandReply(result, status, output), tid))

        try:
            self.access.require(conn, "mon", "rwx")
            query = self._asked(conn, commands.parse(asked.command), asked.data)
            answer = told.run(query, self.name)
        except Failure as failure:
            reply(-failure.number, failure.text, b"")
            return
        reply(0, answer.status, answer.output)

    def command(self, conn: Connection, words: tuple[str, ...], data: bytes, reply: Reply) -> None:
        """Do what a client asks, here or at the manager beside us."""
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
            self.access.require_command(conn, known.module, known.permission, arguments)
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
        self, conn: Connection, words: tuple[str, ...], change: Change | None
    ) -> Change | None:
        if change is None:
            return None
        who = grant_of(conn)
        where = conn.peer_addresses
        text = f"from='{who.entity}' entity='{who.entity}' cmd=[{''.join(words)}]: finished"
        line = Line(f"mon.{self.name}", text, clusterlog.INFO, clusterlog.AUDIT, 0, where)
        return msgspec.structs.replace(change, log=(*change.log, line))

    def _sent(self, answer: Answer) -> None:
        for osd, message in answer.orders:
            self.order(osd, message)

    def _asked(self, conn: Connection, arguments: dict[str, Any], data: bytes) -> Query:
        query = self.query(arguments, data)
        query.who = Connected(self._publisher.sessions(), {}, grant_of(conn).entity)
        return query

    def query(self, arguments: dict[str, Any], data: bytes = b"") -> Query:
        """What commands look at, as of now."""
        since = clock.monotonic() - self._began
        quorum = Quorum((self.name,), self.name, 1, since)
        return Query(
            arguments,
            self.ledger.state,
            self.statistics,
            quorum,
            self._messenger.now_ns(),
            SENSES,
            data,
        )

    # Changes

    def _on_pool_op(self, conn: Connection, asked: monitor.PoolOp, tid: int) -> None:
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

        self._submit(_Job(decide, lambda: reply(0), lambda failure: reply(-failure.number)))

    def _on_boot(self, conn: Connection, asked: cluster.OSDBoot, _tid: int) -> None:
        def decide() -> Change | None:
            osdmap, now = self.ledger.state.osdmap, self._messenger.now_ns()
            if grant_of(conn).entity != f"osd.{asked.superblock.osd}":
                raise Failure(errno.EPERM, f"{grant_of(conn).entity} says that it is another")
            found = osds.boot(osdmap, asked, conn.peer_addresses, now)
            if isinstance(found, int):
                raise Failure(found, f"osd.{asked.superblock.osd} may not boot")
            known = self.ledger.state.metadata
            name = f"osd.{asked.superblock.osd}"
            same = known.get(name) == asked.metadata
            metadata = None if same else {**known, name: asked.metadata}
            return Change(osdmap=found, metadata=metadata) if found else None

        def failed(failure: Failure) -> None:
            _log.warning("boot refused", osd=asked.superblock.osd, why=failure.text)

        self._submit(_Job(decide, lambda: self._publisher.welcome(conn), failed))

    def _on_failure(self, conn: Connection, told: cluster.OSDFailure, _tid: int) -> None:
        self.access.require(conn, "osd", "w")
        name = conn.peer
        reports = self.failures
        if not told.flags & cluster.FAILED:
            reports.take_back(told.target, name.number)
            return
        now = clock.monotonic()
        reports.take(told.target, name.number, now, told.failed_for_s)

        def decide() -> Change | None:
            osdmap = self.ledger.state.osdmap
            if osdmap.client_addresses[told.target] != told.target_addresses:
                return None  # of a process that is gone
            at_once = bool(told.flags & cluster.REFUSES)
            reports.grace_s = number_of(self.ledger.state.config, "osd_heartbeat_grace")
            if not reports.is_dead(osdmap, told.target, clock.monotonic(), at_once=at_once):
                return None
            reports.forget(told.target)
            found = osds.mark_down(osdmap, [told.target], self._messenger.now_ns())
            return Change(osdmap=found) if found else None

        if 0 <= told.target < self.ledger.state.osdmap.max_osd:
            self._submit(_Job(decide, _nothing, _ignored))

    def _on_alive(self, conn: Connection, asked: cluster.OSDAlive, _tid: int) -> None:
        osd = conn.peer.number

        def decide() -> Change | None:
            osdmap, now = self.ledger.state.osdmap, self._messenger.now_ns()
            found = osds.raise_up_thru(osdmap, osd, asked.want, now)
            return Change(osdmap=found) if found else None

        self._submit(_Job(decide, _nothing, _ignored))

    def _on_pg_temp(self, conn: Connection, asked: cluster.PGTemp, _tid: int) -> None:
        self.access.require(conn, "osd", "w")
        osd = conn.peer.number

        def decide() -> Change | None:
            osdmap, now = self.ledger.state.osdmap, self._messenger.now_ns()
            found = osds.set_acting(osdmap, osd, asked.acting, now)
            return Change(osdmap=found) if found else None

        self._submit(_Job(decide, _nothing, _ignored))

    def _on_mark_me_down(self, conn: Connection, asked: cluster.OSDMarkMeDown, tid: int) -> None:
        def decide() -> Change | None:
            osdmap, now = self.ledger.state.osdmap, self._messenger.now_ns()
            found = osds.mark_down(osdmap, [asked.target], now)
            return Change(osdmap=found) if found else None

        def done() -> None:
            if asked.wants_ack:
                ack = msgspec.structs.replace(asked, wants_ack=False)
                conn.send(messages.encode(ack, tid))

        if conn.peer != EntityName(EntityType.OSD, asked.target):
            raise Malformed(f"{conn.peer} asks for osd.{asked.target} to be marked down")
        self._submit(_Job(decide, done, _ignored))

    def submit(
        self,
        decide: Decide,
        done: Answered = _nothing,
        failed: Callable[[Failure], None] = _ignored,
    ) -> None:
        """Change something when its turn comes: `decide` looks at the state as it is then."""
        self._submit(_Job(decide, done, failed))

    def _submit(self, job: _Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            job.failed(Failure(errno.EAGAIN, "too many changes wait"))

    async def _change(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                change = job.decide()
            except Failure as failure:
                job.failed(failure)
                continue
            if change is not None:
                await self._commit(change)
            job.done()

    async def _commit(self, change: Change) -> None:
        change = self._with_log(change)
        try:
            await self.ledger.commit(change)
        except OctoError:
            _log.exception("a change was not made durable")
            raise
        if change.osdmap is not None:
            self.statistics.forget_missing(self.ledger.state.osdmap)
        self.access.follow(self.ledger.state.auth)
        self._publisher.publish()

    def _with_log(self, change: Change) -> Change:
        """The change with the lines of the cluster's log that it is worth, numbered."""
        state, now = self.ledger.state, self._messenger.now_ns()
        lines = list(change.log)
        if change.osdmap is not None:
            lines = [*clusterlog.told(state.osdmap, change.osdmap, f"mon.{self.name}"), *lines]
        if not lines:
            return change
        where = state.monmap.monitors[self.name].addresses
        lines = [clusterlog.addressed(line, f"mon.{self.name}", where) for line in lines]
        return msgspec.structs.replace(change, log=clusterlog.numbered(state.log, lines, now))

    # Keys

    async def _rotate(self) -> None:
        if self.access.method == CEPHX:
            made = rotated(self.ledger.state.auth, SENSES)
            if made is not None:
                await self.ledger.commit(Change(auth=made))
        self.access.follow(self.ledger.state.auth)

    async def _rotate_for_ever(self) -> None:
        while True:
            await asyncio.sleep(ROTATION_CHECK_S)
            if self.access.method == CEPHX:
                self._submit(_Job(self._rotation, _nothing, _ignored))

    def _rotation(self) -> Change | None:
        made = rotated(self.ledger.state.auth, SENSES)
        return Change(auth=made) if made else None

    # Identifiers of clients

    def new_global_id(self) -> int:
        """Never given to anyone else."""
        self._next_id += 1
        if self._ids_end - self._next_id == _IDS_AT_ONCE // 2:
            job = _Job(self._more_ids, _nothing, _ignored)
            self._submit(job)
        return self._next_id

    async def _reserve_ids(self) -> None:
        self._next_id = self._ids_end = self.ledger.state.auth_next_id
        await self.ledger.commit(self._more_ids())

    def _more_ids(self) -> Change:
        self._ids_end += _IDS_AT_ONCE
        return Change(auth_next_id=self._ids_end)
