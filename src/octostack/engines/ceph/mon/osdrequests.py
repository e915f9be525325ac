# SPDX-License-Identifier: Apache-2.0
"""What OSDs ask of a monitor: all of it changes the map of OSDs, so only a leader does it."""

import errno
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from octostack.base import clock, log
from octostack.engines.ceph.core.osdmap import places
from octostack.engines.ceph.mon.access import Access, Caller, grant_of
from octostack.engines.ceph.mon.changes import Answered, Decide, Failed, ignored, nothing
from octostack.engines.ceph.mon.core import osds
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands.table import Query
from octostack.engines.ceph.mon.core.failures import (
    Failures,
    is_of_this_life,
    laggy_of,
    may_go_down,
    rules_of,
)
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.ledger import Ledger
from octostack.engines.ceph.mon.publisher import Publisher
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityName, EntityType
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.messages import cluster
from octostack.wire.ceph.messages.layout import Message

_log = log.get("ceph.mon")
KINDS: Final = (
    cluster.OSDBoot,
    cluster.OSDAlive,
    cluster.PGTemp,
    cluster.OSDMarkMeDown,
    cluster.OSDFailure,
)


class Owner(Protocol):
    """The monitor."""

    name: str
    ledger: Ledger
    access: Access
    failures: Failures
    publisher: Publisher

    def now_ns(self) -> int:
        """The time that goes into maps."""

    def query(self, arguments: dict[str, Any]) -> Query:
        """All that may be looked at."""

    def submit(self, decide: Decide, done: Answered = nothing, failed: Failed = ignored) -> None:
        """Change something when its turn comes."""


class OSDRequests:
    """See the module's essay."""

    def __init__(self, monitor: Owner) -> None:
        self._monitor = monitor
        self.handlers: dict[type[Message], Callable[[Any, Any, int], None]] = {
            cluster.OSDBoot: self._on_boot,
            cluster.OSDAlive: self._on_alive,
            cluster.PGTemp: self._on_pg_temp,
            cluster.OSDMarkMeDown: self._on_mark_me_down,
            cluster.OSDFailure: self._on_failure,
        }

    def _on_boot(self, conn: Caller, asked: cluster.OSDBoot, _tid: int) -> None:
        def decide() -> Change | None:
            osdmap, now = self._monitor.ledger.state.osdmap, self._monitor.now_ns()
            if grant_of(conn).entity != f"osd.{asked.superblock.osd}":
                raise Failure(errno.EPERM, f"{grant_of(conn).entity} says that it is another")
            config = self._monitor.ledger.state.config
            found = osds.boot(osdmap, asked, conn.peer_addresses, now, laggy_of(config))
            if isinstance(found, int):
                raise Failure(found, f"osd.{asked.superblock.osd} may not boot")
            known = self._monitor.ledger.state.metadata
            name = f"osd.{asked.superblock.osd}"
            same = known.get(name) == asked.metadata
            metadata = None if same else {**known, name: asked.metadata}
            return Change(osdmap=found, metadata=metadata) if found else None

        def failed(failure: Failure) -> None:
            _log.warning("boot refused", osd=asked.superblock.osd, why=failure.text)

        has = asked.superblock.current_epoch
        self._monitor.submit(decide, lambda: self._monitor.publisher.welcome(conn, has), failed)

    def _on_failure(self, conn: Caller, told: cluster.OSDFailure, _tid: int) -> None:
        self._monitor.access.require(conn, "osd", "w")
        reports, osdmap = self._monitor.failures, self._monitor.ledger.state.osdmap
        reports.take(osdmap, told, conn.peer.number, clock.monotonic())

        def decide() -> Change | None:
            osdmap = self._monitor.ledger.state.osdmap
            if not is_of_this_life(osdmap, told):
                return None
            why = self._why_dead(told)
            if not why:
                return None
            reports.forget(told.target)
            found = osds.mark_down(osdmap, [told.target], self._monitor.now_ns())
            where = places.text(osdmap.crush, told.target)
            line = self._line(f"osd.{told.target} failed ({where}) ({why})")
            return Change(osdmap=found, log=(line,)) if found else None

        if told.flags & cluster.FAILED and is_of_this_life(osdmap, told):
            self._monitor.submit(decide)

    def _why_dead(self, told: cluster.OSDFailure) -> str:
        """Why an OSD is to be marked down; empty when it is not."""
        query, reports = self._monitor.query({}), self._monitor.failures
        osdmap, now = query.state.osdmap, clock.monotonic()
        reports.rules = rules_of(query.config)
        if told.flags & cluster.REFUSES:
            by = reports.find_refusal(osdmap, told.target, now)
            return "" if by is None else f"connection refused reported by osd.{by}"
        return str(reports.find_verdict(osdmap, told.target, now, self._monitor.now_ns()) or "")

    def _line(self, text: str) -> Line:
        return Line(f"mon.{self._monitor.name}", text)

    def _on_alive(self, conn: Caller, asked: cluster.OSDAlive, _tid: int) -> None:
        osd = conn.peer.number

        def decide() -> Change | None:
            osdmap, now = self._monitor.ledger.state.osdmap, self._monitor.now_ns()
            found = osds.raise_up_thru(osdmap, osd, asked.want, now)
            return Change(osdmap=found) if found else None

        self._monitor.submit(decide)

    def _on_pg_temp(self, conn: Caller, asked: cluster.PGTemp, _tid: int) -> None:
        self._monitor.access.require(conn, "osd", "w")
        osd = conn.peer.number

        def decide() -> Change | None:
            osdmap, now = self._monitor.ledger.state.osdmap, self._monitor.now_ns()
            found = osds.set_acting(osdmap, osd, asked.acting, now)
            return Change(osdmap=found) if found else None

        self._monitor.submit(decide)

    def _on_mark_me_down(self, conn: Caller, asked: cluster.OSDMarkMeDown, tid: int) -> None:
        def decide() -> Change | None:
            osdmap, now = self._monitor.ledger.state.osdmap, self._monitor.now_ns()
            if not may_go_down(osdmap, asked.target):
                return None
            found = osds.mark_down(osdmap, [asked.target], now)
            dead = " and dead" if asked.down_and_dead else ""
            line = self._line(f"osd.{asked.target} marked itself down{dead}")
            return Change(osdmap=found, log=(line,)) if found else None

        def done() -> None:
            if asked.wants_ack:
                ack = msgspec.structs.replace(asked, wants_ack=False)
                conn.send(messages.encode(ack, tid))

        if conn.peer != EntityName(EntityType.OSD, asked.target):
            raise Malformed(f"{conn.peer} asks for osd.{asked.target} to be marked down")
        self._monitor.submit(decide, done)
