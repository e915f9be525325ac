# SPDX-License-Identifier: Apache-2.0
"""A manager over its connections: takes reports, answers commands."""

import errno
from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base import log
from octostack.engines.ceph import hostfacts
from octostack.engines.ceph.mgr.core import balancing, progress, scaling
from octostack.engines.ceph.mgr.core.commands import TABLE
from octostack.engines.ceph.mgr.exporter import Exporter
from octostack.engines.ceph.mon.access import SENSES, Caller, grant_of
from octostack.engines.ceph.mon.core import modules, told
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.auth import CEPHX
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands import parse
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.daemon import Monitor
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Addresses, EntityName, EntityType
from octostack.wire.ceph.auth_none import NoneClient, NoneServer
from octostack.wire.ceph.cephx.server import ServiceServer
from octostack.wire.ceph.link import Envelope, ServerAuth
from octostack.wire.ceph.messages import client, cluster
from octostack.wire.ceph.messages.layout import Message

_log = log.get("ceph.mgr")


class Manager:
    """See the module's essay."""

    def __init__(self, monitor: Monitor, carriers: Carriers) -> None:
        self.name = monitor.name
        self._monitor = monitor
        self._global_id = 0
        self._osds: dict[int, Connection] = {}
        self._tasks = Supervisor(f"mgr.{self.name}")
        self._exporter = Exporter(lambda: monitor.query({}), monitor.submit)
        self._messenger = Messenger(
            Settings(
                EntityName(EntityType.MGR, 0),
                self._server,
                lambda _: NoneClient(EntityType.MGR, self.name),
            ),
            carriers,
            self,
        )
        self._handlers: dict[type[Message], Callable[[Connection, Any, int], None]] = {
            client.MgrCommand: self._on_command,
            client.Command: self._on_tell,
            cluster.Report: self._on_report,
            client.MgrOpen: self._on_open,
            client.MgrReport: _ignore,
            client.MgrClose: _ignore,
        }
        monitor.commands.add(TABLE)
        monitor.keeper.jobs += [balancing.balance, scaling.scale, progress.follow, self._look]
        monitor.order = self.tell
        monitor.terms.append(self)

    @property
    def addresses(self) -> Addresses:
        """Where it listens."""
        return self._messenger.addresses

    async def start(self, host: str) -> None:
        """Listen at a free port. Raises Unavailable."""
        await self._messenger.bind(host)
        self._tasks.start("exporter", self._exporter.run, ALWAYS)

    async def stop(self) -> None:
        """Listen no more."""
        await self._tasks.stop()
        await self._messenger.close()

    # A monitor's term

    def lead(self) -> None:
        """The monitor leads: this is the active manager."""
        self._global_id = self._monitor.new_global_id()
        self._monitor.submit(self._begin)

    def follow(self) -> None:
        """Another monitor leads, and the manager beside it is the active one."""

    def _look(self, query: Query) -> None:
        """Once a second, beside a leader: this one may have been told to fail, others come and
        go with their monitors."""
        if not query.state.mgrmap.available and self._global_id:
            self.lead()
        elif modules.with_standbys(query.state.mgrmap, query.quorum, self._monitor.new_global_id):
            self._monitor.submit(self._follow_others)

    def _follow_others(self) -> Change | None:
        query = self._monitor.query({})
        found = modules.with_standbys(query.state.mgrmap, query.quorum, self._monitor.new_global_id)
        return Change(mgrmap=found) if found else None

    def _begin(self) -> Change:
        query = self._monitor.query({})
        known = query.state.mgrmap
        facts = hostfacts.read()
        names = (f"mon.{self.name}", f"mgr.{self.name}")
        metadata = query.state.metadata | dict.fromkeys(names, facts)
        made = modules.began(known, self.name, self._global_id, self.addresses)
        mgrmap = msgspec.structs.replace(made, changed=query.now_ns)
        texts = (
            f"Activating manager daemon {self.name}",
            f"Manager daemon {self.name} is now available",
        )
        lines = tuple(Line(f"mon.{query.quorum.leader}", text) for text in texts)
        return Change(mgrmap=mgrmap, metadata=metadata, log=lines)

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message from a client or an OSD."""
        message = messages.decode(envelope)
        self._messenger.done(len(envelope.data))
        handler = self._handlers.get(type(message))
        if handler is None:
            _log.warning("message not handled", type=envelope.type, peer=str(conn.peer))
            return
        try:
            handler(conn, message, envelope.tid)
        except Failure as failure:
            _log.warning("message refused", type=envelope.type, why=failure.text)

    def opened(self, conn: Connection) -> None:
        """A session begins."""
        if conn.peer_type == EntityType.OSD:
            self._osds[conn.peer.number] = conn

    def closed(self, conn: Connection) -> None:
        """A session ended."""
        if self._osds.get(conn.peer.number) is conn:
            del self._osds[conn.peer.number]

    def tell(self, osd: int, message: Message) -> None:
        """An order to an OSD that is connected to us; lost when it is not."""
        conn = self._osds.get(osd)
        if conn is not None:
            conn.send(messages.encode(message))

    def _server(self) -> ServerAuth:
        if self._monitor.method == CEPHX:
            return ServiceServer(self._monitor.keys, SENSES)
        return NoneServer(lambda: 0)

    def _on_tell(self, conn: Connection, asked: client.Command, tid: int) -> None:
        try:
            answer = self._told(conn, asked)
        except Failure as failure:
            conn.send(messages.encode(client.CommandReply(-failure.number, failure.text), tid))
            return
        if answer is None:
            self._on_command(conn, asked, tid)
        else:
            conn.send(messages.encode(client.CommandReply(0, answer.status, answer.output), tid))

    def _told(self, conn: Connection, asked: client.Command) -> Answer | None:
        """What is for this manager itself; None for what managers do for the cluster."""
        query = self._monitor.query(parse((*asked.command,)), asked.data)
        prefix = query.arguments["prefix"]
        known = told.find(prefix, told.OF_MANAGERS)
        if known is not None:
            self._monitor.access.require_of_manager(conn, known, query.arguments)
        elif prefix != "get_command_descriptions":
            return None
        return told.run(query, f"mgr.{self.name}")

    def _on_command(self, conn: Connection, asked: client.Command, tid: int) -> None:
        kind = client.MgrCommandReply if isinstance(asked, client.MgrCommand) else None

        def reply(result: int, status: str, output: bytes) -> None:
            answer = (kind or client.CommandReply)(result, status, output)
            conn.send(messages.encode(answer, tid))

        self._monitor.command(conn, asked.command, asked.data, reply, self._judge)

    def _judge(self, conn: Caller, known: Command, arguments: dict[str, Any]) -> None:
        """What belongs to monitors is not to be had by what a client may at a manager."""
        if not known.by_manager:
            raise Failure(errno.EINVAL, f"No handler found for '{arguments['prefix']}'")
        self._monitor.access.require_of_manager(conn, known, arguments)

    def _on_report(self, conn: Connection, report: cluster.Report, _tid: int) -> None:
        if self._monitor.method == CEPHX and not grant_of(conn).entity.startswith("osd."):
            _log.warning("a report of none of the OSDs", entity=grant_of(conn).entity)
            return
        self._monitor.report(report)

    def _on_open(self, conn: Connection, _asked: client.MgrOpen, _tid: int) -> None:
        conn.send(messages.encode(client.MgrConfigure()))


def _ignore(_conn: Connection, _message: object, _tid: int) -> None:
    return
