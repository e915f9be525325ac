# SPDX-License-Identifier: Apache-2.0
"""Who wants which map from which version on, and has been sent what.

A subscription for once waits until the version it names is there, is served and forgotten; others
go on with each new version.
"""

from octostack.engines.ceph.mon.access import Caller
from octostack.engines.ceph.mon.core import clusterlog, settings
from octostack.engines.ceph.mon.core.commands.table import Session
from octostack.engines.ceph.mon.ledger import Ledger
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph import messages
from octostack.wire.ceph.maps import mgrmap
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.messages import client, cluster, monitor
from octostack.wire.ceph.messages.monitor import Subscription

_CHANGES_AT_ONCE = 40


class Publisher:
    """See the module's essay."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._wanted: dict[Connection, dict[str, Subscription]] = {}
        self._config: dict[Connection, dict[str, str]] = {}
        self._senders = {
            "monmap": self.send_monmap,
            "mgrmap": self._send_mgrmap,
            "config": self._send_config,
        }

    def add(self, conn: Connection) -> None:
        """A session begins."""
        self._wanted[conn] = {}

    def remove(self, conn: Connection) -> None:
        """A session ended."""
        self._wanted.pop(conn, None)
        self._config.pop(conn, None)

    def sessions(self) -> tuple[Session, ...]:
        """Who is connected."""
        found = []
        for conn in self._wanted:
            grant = conn.identity.grant if conn.identity else None
            entity, caps = (grant.entity, grant.caps) if grant else ("client.?", "")
            number, where = conn.peer.number, conn.peer_addresses
            found.append(Session(str(conn.peer).partition(".")[0], entity, number, where, caps))
        return tuple(found)

    def subscribe(self, conn: Connection, what: dict[str, Subscription]) -> None:
        """Note what is wanted, and send what is there of it."""
        self._wanted.setdefault(conn, {}).update(what)
        for name in what:
            self._serve(conn, name)

    def publish(self) -> None:
        """Something changed: serve whoever waits for it."""
        for conn, wanted in list(self._wanted.items()):
            for name in list(wanted):
                self._serve(conn, name)

    def versions(self, what: str) -> tuple[int, int]:
        """(newest, oldest) of a map; zeros for what we do not keep."""
        if what == "osdmap":
            return self._ledger.state.osdmap.epoch, self._ledger.oldest
        if what == "monmap":
            epoch = self._ledger.state.monmap.epoch
            return epoch, epoch
        if what == "mgrmap":
            epoch = self._ledger.state.mgrmap.epoch
            return epoch, epoch
        return 0, 0

    def send_monmap(self, conn: Caller) -> None:
        """The map of monitors as it is."""
        conn.send(messages.encode(monitor.MonMapMessage(self._ledger.monmap_blob)))

    def welcome(self, conn: Caller, has: int) -> None:
        """An OSD booted, and has the map of that epoch: it wants the one that says so at once."""
        self._send_from(conn, has + 1)

    def send_osdmaps(self, conn: Caller, start: int = 0) -> int:
        """Changes from epoch `start` on, or the whole map; the epoch that the other side then has.

        What a start of 0 wants is the whole map.
        """
        state = self._ledger.state
        newest = state.osdmap.epoch
        last = min(newest, start + _CHANGES_AT_ONCE - 1)
        changes = {
            epoch: blob
            for epoch in range(start, last + 1)
            if start and (blob := self._ledger.find_change(epoch)) is not None
        }
        maps = {}
        if len(changes) != last - start + 1:
            changes, maps, last = {}, {newest: self._ledger.osdmap_blob}, newest
        message = client.OSDMapMessage(
            state.monmap.fsid, changes, maps, self._ledger.oldest, newest
        )
        conn.send(messages.encode(message))
        return last

    def _serve(self, conn: Connection, name: str) -> None:
        wanted = self._wanted.get(conn, {})
        subscription = wanted.get(name)
        if subscription is None:
            return
        if name == "osdmap":
            self._serve_osdmap(conn, wanted, subscription)
            return
        if name.startswith("log-"):
            self._serve_log(conn, wanted, name)
            return
        send = self._senders.get(name)
        newest = self.versions(name)[0]
        if send is None or (name != "config" and subscription.start > newest):
            return
        send(conn)
        self._served(wanted, name, newest)

    def _serve_osdmap(
        self, conn: Connection, wanted: dict[str, Subscription], subscription: Subscription
    ) -> None:
        start = self._send_from(conn, subscription.start)
        if start > subscription.start:
            self._served(wanted, "osdmap", start - 1)

    def _send_from(self, conn: Caller, start: int) -> int:
        """All maps from an epoch on; the epoch after the last."""
        while start <= self._ledger.state.osdmap.epoch:
            start = self.send_osdmaps(conn, start) + 1
        return start

    @staticmethod
    def _served(wanted: dict[str, Subscription], name: str, version: int) -> None:
        if wanted[name].once:
            del wanted[name]
        else:
            wanted[name] = Subscription(version + 1)

    def _serve_log(self, conn: Connection, wanted: dict[str, Subscription], name: str) -> None:
        """New lines of the cluster's log; who begins to listen hears what comes from then on."""
        log = self._ledger.state.log
        newest = log[-1].seq if log else 0
        start = wanted[name].start
        if start and start <= newest:
            least = clusterlog.LEVELS.get(name.removeprefix("log-"), clusterlog.INFO)
            lines = [line for line in log if line.seq >= start and line.priority >= least]
            if lines:
                fsid = self._ledger.state.monmap.fsid
                said = tuple(_line(line, self._ledger.state.monmap) for line in lines)
                # clients take no message whose version is not above the last one's
                conn.send(messages.encode(cluster.Log(fsid, said, newest)))
        if not start or start <= newest:
            self._served(wanted, name, newest)

    def _send_mgrmap(self, conn: Connection) -> None:
        blob = mgrmap.encode(self._ledger.state.mgrmap)
        conn.send(messages.encode(monitor.MgrMapMessage(blob)))

    def _send_config(self, conn: Connection) -> None:
        grant = conn.identity.grant if conn.identity else None
        entity = grant.entity if grant is not None else "client"
        options = settings.effective(self._ledger.state.config, entity)
        if self._config.get(conn) == options:
            return
        self._config[conn] = options
        conn.send(messages.encode(monitor.ConfigMessage(options)))


def _line(line: clusterlog.Line, monmap: MonMap) -> cluster.LogLine:
    kind, _, name = line.who.partition(".")
    number = int(name) if name.isdigit() else 0
    if kind == "mon":
        number = monmap.find_rank(name) or 0
    return cluster.LogLine(
        line.who,
        line.addresses,
        line.stamp,
        line.seq,
        line.priority,
        line.text,
        line.channel,
        number,
    )
