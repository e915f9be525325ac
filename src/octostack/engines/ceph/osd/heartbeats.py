# SPDX-License-Identifier: Apache-2.0
"""Heartbeats between OSDs: two links to each other one, and what the monitors are told of it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from octostack.base import clock
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.core import heartbeats
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Addresses, EntityName, EntityType, msgr2
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages import cluster

_NANOS = 1_000_000_000
FRONT, BACK = 0, 1
SAY_AGAIN_S = 5.0
ASK_SOON_S = 0.2


class Rules(Protocol):
    """How often and how long."""

    @property
    def interval_s(self) -> float:
        """Between two questions."""

    @property
    def grace_s(self) -> float:
        """Until silence counts."""


class Tell(Protocol):
    """What the monitors are told."""

    def __call__(self, osd: int, flags: int, failed_for_s: float) -> None:
        """Of another OSD."""


class _Side:
    """One of the two messengers, and the links that it has made."""

    def __init__(self, owner: "Heartbeats", side: int, settings: Settings, via: Carriers) -> None:
        self.messenger = Messenger(settings, via, self)
        self.links: dict[int, Connection] = {}
        self._owner = owner
        self._side = side

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A question or an answer."""
        self.messenger.done(len(envelope.data))
        message = messages.decode(envelope)
        if isinstance(message, cluster.OSDPing):
            self._owner.heard(self._side, conn, message)

    def opened(self, conn: Connection) -> None:
        """A link is there."""

    def closed(self, conn: Connection) -> None:
        """It is not any more: see at once whether anybody is. One that never was has told."""
        for osd, known in list(self.links.items()):
            if known is conn:
                del self.links[osd]
                if conn.session is not None:
                    self._owner.ask_soon(osd)

    def link(self, osd: int, where: Addresses) -> Connection | None:
        """A link to there."""
        target = msgr2(where)
        known = self.links.get(osd)
        if known is not None and known.target != target:
            del self.links[osd]
            known.close()
            known = None
        if known is None and target is not None:
            known = self.links[osd] = self.messenger.connect(target, EntityType.OSD)
        return known


class Heartbeats:
    """See the module's essay."""

    def __init__(self, number: int, access: Access, carriers: Carriers, tell: Tell) -> None:
        self._number = number
        self._tell = tell
        self._osdmap = OSDMap()
        self._machine = heartbeats.Heartbeats()
        self._said: dict[int, float] = {}  # when the monitors were told last of whom
        self._asked_at = self._looked_at = 0.0
        name = EntityName(EntityType.OSD, number)
        self._sides = tuple(
            _Side(
                self,
                side,
                Settings(name, access.server, access.client, refused=self._refused),
                carriers,
            )
            for side in (FRONT, BACK)
        )

    @property
    def addresses(self) -> tuple[Addresses, Addresses]:
        """(front, back)."""
        front, back = self._sides
        return front.messenger.addresses, back.messenger.addresses

    async def bind(self, host: str) -> None:
        """Listen on both. Raises Unavailable."""
        for side in self._sides:
            await side.messenger.bind(host)

    async def close(self) -> None:
        """Ask and answer no more."""
        for side in self._sides:
            await side.messenger.close()

    def follow(self, osdmap: OSDMap, partners: Callable[[], Iterable[int]]) -> None:
        """There is another map; `partners` have groups in common with us."""
        before, self._osdmap = self._osdmap, osdmap
        alive = [osd for osd in range(osdmap.max_osd) if osds.is_up(osdmap, osd)]
        for osd in self._machine.peers:
            if not osds.is_up(osdmap, osd) or _birth(before, osd) != _birth(osdmap, osd):
                self._machine.forget(osd)
                self._said.pop(osd, None)
                self._hang_up(osd)
        self._machine.follow(heartbeats.choose_peers(self._number, alive, partners()))

    def tick(self, now: float, rules: Rules) -> None:
        """Ask whom it is time to ask, and tell of those that do not answer."""
        late = now - self._looked_at > rules.grace_s / 2
        self._looked_at = now
        if now - self._asked_at >= rules.interval_s:
            self._asked_at = now
            for osd in self._machine.peers:
                self._machine.ask(osd, now)
                self._ask(osd, now)
        if late:
            return  # we stood still ourselves: answers that came meanwhile are yet to be read
        silent = self._machine.list_silent(now, rules.grace_s)
        for osd, since_s in silent.items():
            if now - self._said.get(osd, -SAY_AGAIN_S) >= SAY_AGAIN_S:
                self._said[osd] = now
                self._tell(osd, cluster.FAILED, since_s)
        for osd in [osd for osd in self._said if osd not in silent]:
            del self._said[osd]
            self._tell(osd, 0, 0.0)

    def ask_soon(self, osd: int) -> None:
        """Its link broke: if nobody listens there any more, that is known at once."""
        if osd in self._machine.peers:
            loop = asyncio.get_running_loop()
            loop.call_later(ASK_SOON_S, lambda: self._ask(osd, clock.monotonic()))

    def heard(self, side: int, conn: Connection, ping: cluster.OSDPing) -> None:
        """Another OSD asks, or answers."""
        if ping.op == cluster.PING:
            conn.send(messages.encode(self._ping(cluster.PING_REPLY, ping.stamp, ping.sent_mono)))
        elif ping.op == cluster.PING_REPLY:
            for osd, known in self._sides[side].links.items():
                if known is conn:
                    self._machine.hear(osd, side, ping.sent_mono / _NANOS)

    def _ask(self, osd: int, now: float) -> None:
        osdmap = self._osdmap
        if not osds.is_up(osdmap, osd):
            return
        wheres = (osdmap.heartbeat_front_addresses[osd], osdmap.heartbeat_back_addresses[osd])
        mono = int(now * _NANOS)
        ping = messages.encode(self._ping(cluster.PING, int(clock.now() * _NANOS), mono))
        for side, where in zip(self._sides, wheres, strict=True):
            link = side.link(osd, where)
            if link is not None:
                link.send(ping)

    def _ping(self, op: int, stamp: int, mono: int) -> cluster.OSDPing:
        osdmap = self._osdmap
        birth = _birth(osdmap, self._number)
        return cluster.OSDPing(osdmap.fsid, osdmap.epoch, op, stamp, birth, mono, mono)

    def _refused(self, conn: Connection) -> None:
        """Nobody listens where the map has an OSD: its process is gone."""
        for side in self._sides:
            for osd, known in list(side.links.items()):
                if known is conn:
                    self._tell(osd, cluster.FAILED | cluster.REFUSES, 0.0)

    def _hang_up(self, osd: int) -> None:
        for side in self._sides:
            link = side.links.pop(osd, None)
            if link is not None:
                link.close()


def _birth(osdmap: OSDMap, osd: int) -> int:
    return osdmap.osd_info[osd].up_from if osds.is_up(osdmap, osd) else 0
