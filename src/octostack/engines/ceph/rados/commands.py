# SPDX-License-Identifier: Apache-2.0
"""Commands to OSDs, to placement groups and to the manager: JSON in, a status and bytes out."""

import asyncio
import errno
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.objecter import Objecter
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Addresses, EntityType, msgr2, read_addresses
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.messages import client, monitor
from octostack.wire.ceph.objects import PG

_TO_MANAGER = -1
_RETRY_S = 0.5


class Answer(msgspec.Struct, frozen=True):
    """What came of a command."""

    status: str
    output: bytes

    def json(self) -> Any:
        """The output of a command that was asked for JSON."""
        return json.loads(self.output)


class Manager(msgspec.Struct, frozen=True):
    """The active manager."""

    epoch: int = 0
    name: str = ""
    available: bool = False
    addresses: Addresses = ()


class _Asked(msgspec.Struct):
    target: int  # an OSD, or _TO_MANAGER
    message: Outgoing
    answer: "asyncio.Future[client.CommandReply]"
    conn: Connection | None = None  # where it was sent


def words(command: str | Mapping[str, Any]) -> tuple[str, ...]:
    """A command as its one JSON text; JSON is asked for unless it says otherwise."""
    if isinstance(command, str):
        return (command,)
    return (json.dumps({"format": "json", **command}),)


def judged(result: int, status: str, output: bytes, what: tuple[str, ...]) -> Answer:
    """The answer. Raises what `error_of` makes of a result below zero, with the status."""
    if result < 0:
        error = error_of(result, status or what[0])
        error.details["status"] = status
        raise error
    return Answer(status, output)


def read_manager(blob: bytes) -> Manager:
    """The first fields of a map of managers. Raises Malformed."""
    r = Reader(blob)
    with r.versioned(255):
        epoch, addresses, _, available = r.u32(), read_addresses(r), r.u64(), r.boolean()
        return Manager(epoch, r.string(), available, addresses)


class Commands:
    """See the module's essay."""

    def __init__(self, objecter: Objecter, fsid: Callable[[], Any]) -> None:
        self.manager = Manager()
        self._objecter = objecter
        self._fsid = fsid
        self._messenger: Messenger | None = None
        self._asked: dict[int, _Asked] = {}
        self._conn: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        objecter.commanded = self._take
        objecter.restarted = self._again

    def start(self, messenger: Messenger) -> None:
        """Use it for sessions."""
        self._messenger = messenger

    def stop(self) -> None:
        """Nothing is awaited any more."""
        if self._timer is not None:
            self._timer.cancel()
        gone = error_of(-errno.ESHUTDOWN, "the client is closed")
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(gone)

    async def to_osd(self, osd: int, command: str | Mapping[str, Any], data: bytes = b"") -> Answer:
        """Ask an OSD. Raises Unavailable when it is down."""
        if not self._objecter.tracker.view.is_up(osd):
            raise error_of(-errno.ENXIO, f"osd.{osd} is down")
        text = words(command)
        tid = self._objecter.tracker.new_tid()
        message = messages.encode(client.Command(self._fsid(), text, data), tid)
        return await self._wait(tid, osd, message, text)

    async def to_group(self, pg: PG, command: str | Mapping[str, Any], data: bytes = b"") -> Answer:
        """Ask the primary of a group."""
        osd = self._objecter.tracker.view.place(pg).acting_primary
        if osd < 0:
            raise error_of(-errno.ENXIO, f"{pg} has no primary")
        if not isinstance(command, str):
            command = {"pgid": str(pg), **command}
        return await self.to_osd(osd, command, data)

    async def to_manager(self, command: str | Mapping[str, Any], data: bytes = b"") -> Answer:
        """Ask the active manager. Raises NotFound when there is none."""
        if not self.manager.available:
            raise NotFound("No manager is active.", code="rados.no_manager")
        text = words(command)
        tid = self._objecter.tracker.new_tid()
        message = messages.encode(client.MgrCommand(self._fsid(), text, data), tid)
        return await self._wait(tid, _TO_MANAGER, message, text)

    async def _wait(
        self, tid: int, target: int, message: Outgoing, what: tuple[str, ...]
    ) -> Answer:
        asked = _Asked(target, message, asyncio.get_running_loop().create_future())
        self._asked[tid] = asked
        self._send(asked)
        try:
            reply = await asked.answer
        finally:
            del self._asked[tid]
        return judged(reply.result, reply.status, reply.data, what)

    def _send(self, asked: _Asked) -> None:
        if asked.target == _TO_MANAGER:
            conn = self._conn or self._connect()
        else:
            conn = self._objecter.connection(asked.target)
        asked.conn = conn
        if conn is not None:
            conn.send(asked.message)

    def _connect(self) -> Connection | None:
        target = msgr2(self.manager.addresses)
        if target is None or self._messenger is None:
            return None
        self._conn = self._messenger.connect(target, EntityType.MGR)
        return self._conn

    def _take(self, tid: int, reply: client.CommandReply) -> None:
        asked = self._asked.get(tid)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(reply)

    def _again(self, target: int) -> None:
        for asked in list(self._asked.values()):
            if asked.target == target:
                self._send(asked)

    def tick(self) -> None:
        """Whoever asked an OSD that went down need not wait; one that has moved is asked again."""
        for asked in list(self._asked.values()):
            if asked.target == _TO_MANAGER:
                continue
            if not self._objecter.tracker.view.is_up(asked.target):
                self._give_up(asked, error_of(-errno.ENXIO, f"osd.{asked.target} went down"))
            elif asked.conn is None or asked.conn.is_closed:
                self._send(asked)

    @staticmethod
    def _give_up(asked: _Asked, error: OctoError) -> None:
        if not asked.answer.done():
            asked.answer.set_exception(error)

    # The manager

    def mgrmap(self, message: monitor.MgrMapMessage) -> None:
        """A newer map of managers: another one may be active."""
        manager = read_manager(message.mgrmap)
        moved = manager.addresses != self.manager.addresses
        self.manager = manager
        if moved and self._conn is not None:
            self._conn.close()
            self._conn = None
        if moved:
            self._again(_TO_MANAGER)

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """From the manager."""
        layout = messages.find_layout(envelope.type)
        if conn is self._conn and layout is not None:
            found = messages.decode(envelope)
            if isinstance(found, client.CommandReply):
                self._take(envelope.tid, found)

    def closed(self, conn: Connection) -> None:
        """The session with the manager ended."""
        if conn is self._conn:
            self._conn = None
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_RETRY_S, self._again, _TO_MANAGER)
