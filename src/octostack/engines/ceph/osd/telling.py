# SPDX-License-Identifier: Apache-2.0
"""What an OSD says of itself: reports to the manager, answers to commands that are told to it."""

import errno
from typing import Any, Protocol

from octostack.engines.ceph.osd import tell
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.copies import Copies
from octostack.engines.ceph.osd.counts import Counts
from octostack.engines.ceph.osd.managers import Managers
from octostack.engines.ceph.osd.maps import Maps
from octostack.engines.ceph.osd.markdowns import INFO
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.options import Options
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.reports import Reports
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph import messages
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages import client, cluster, monitor
from octostack.wire.ceph.objects import PG


class Owner(Protocol):
    """The OSD."""

    store: api.ObjectStore
    access: Access
    copies: Copies
    maps: Maps

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""

    @property
    def is_up(self) -> bool:
        """Whether the map has it up."""

    def say(self, text: str, priority: int = INFO) -> None:
        """A line for the cluster's log."""


class Telling:
    """See the module's essay; it is what `tell` asks."""

    def __init__(self, number: int, owner: Owner, messenger: Messenger, options: Options) -> None:
        self.number = number
        self.options = options
        self.counts = Counts()
        self._owner = owner
        self._messenger = messenger
        self._managers = Managers(messenger)
        self._reports = Reports(number, owner.store, self.counts)

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""
        return self._owner.osdmap

    @property
    def store(self) -> api.ObjectStore:
        """Where its objects are."""
        return self._owner.store

    @property
    def groups(self) -> dict[PG, Replica]:
        """Those that it is the primary of."""
        held = self._owner.copies.held.items()
        return {where.pg: one for where, one in held if one.peering.is_primary}

    # Reports

    def follow(self, message: monitor.MgrMapMessage) -> None:
        """The map of managers."""
        self._managers.follow(message.mgrmap)

    def is_manager(self, conn: Connection) -> bool:
        """Whether that is the connection to the manager."""
        return self._managers.is_this(conn)

    def begin_anew(self) -> None:
        """Who is told now has heard nothing yet."""
        self._reports.forget()

    def report(self, mon: Connection | None) -> None:
        """To the manager, or to a monitor while there is none."""
        if mon is None or not mon.is_open or not self._owner.is_up:
            return
        owner = self._owner
        told = self.options.told
        data = self._reports.next(self.osdmap, owner.copies.held, owner.maps.durable, told)
        if data is not None:
            report = messages.encode(cluster.Report(data))
            if not self._managers.send(report):
                mon.send(report)

    def flush(self) -> int:
        """Report now; the number of the report."""
        self._reports.forget()
        conn = self._managers.find()
        self.report(conn)
        return self.osdmap.osd_info[self.number].up_from << 32 | self._reports.count

    # Commands

    def answer(self, conn: Connection, envelope: Envelope) -> None:
        """A command."""
        asked = messages.decode(envelope)
        assert isinstance(asked, client.Command)
        found: tell.Reply | tell.Later = tell.Reply(-errno.EACCES, "access denied")

        def reply(reply: tell.Reply) -> None:
            said = client.CommandReply(reply.result, reply.status, reply.output)
            conn.send(messages.encode(said, envelope.tid))

        if self._owner.access.allows_all(conn):
            found = tell.run(self, asked.command)
        if isinstance(found, tell.Later):
            found.begin(reply)
        else:
            reply(found)

    def say(self, text: str) -> None:
        """A line for the cluster's log."""
        self._owner.say(text)

    def counters(self) -> dict[str, dict[str, int]]:
        """What is counted, by section."""
        space = self.store.space()
        rest = {
            "stat_bytes": space.total,
            "stat_bytes_used": space.total - space.free,
            "stat_bytes_avail": space.free,
            "numpg": len(self._owner.copies.held),
            "numpg_primary": len(self.groups),
        }
        return {"osd": self.counts.view() | rest}

    def recent(self) -> list[dict[str, Any]]:
        """Operations that were answered last."""
        return self.counts.recent()

    def in_flight(self) -> list[dict[str, Any]]:
        """Operations that are not answered yet."""
        return self.counts.in_flight()
