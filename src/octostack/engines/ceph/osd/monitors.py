# SPDX-License-Identifier: Apache-2.0
"""What an OSD has to do with the monitors: it says that it is up, gets maps, and makes wishes.

A connection to a monitor may break at any time, and what was on its way with it. So wishes stay
until the map grants them or they mean nothing any more, and are said again to the next monitor.
One that does not let us in, or is not heard of any more, is left for the next one (`core.hunting`).
"""

import asyncio
import uuid
from typing import Protocol

import msgspec

from octostack.base import clock, log
from octostack.engines.ceph import hostfacts
from octostack.engines.ceph.core import hunting
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.osd.access import Access
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Address, Addresses, EntityType, msgr2
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.handshake import FEATURES
from octostack.wire.ceph.maps import monmap
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages import cluster, monitor
from octostack.wire.ceph.messages.layout import Message
from octostack.wire.ceph.objects import PG

_log = log.get("ceph.osd")
BOOT_AGAIN_S = 5.0
WISH_AGAIN_S = 5.0
_GOODBYE_S = 5.0


class Identity(msgspec.Struct, frozen=True):
    """Who an OSD is, and where its monitors are."""

    fsid: uuid.UUID
    number: int
    unique: uuid.UUID
    monitors: tuple[Address, ...]
    host: str = "127.0.0.1"
    key: Key | None = None  # with cephx


class Places(msgspec.Struct, frozen=True):
    """Where an OSD takes connections, by who makes them."""

    clients: Addresses
    cluster: Addresses
    back: Addresses
    front: Addresses


class Owner(Protocol):
    """The OSD."""

    @property
    def osdmap(self) -> OSDMap:
        """The newest map."""

    @property
    def places(self) -> Places:
        """Where it takes connections now."""

    @property
    def is_up(self) -> bool:
        """Whether the map has it up, and there."""


class Monitors:
    """See the module's essay."""

    def __init__(
        self, identity: Identity, access: Access, messenger: Messenger, owner: Owner
    ) -> None:
        self.conn: Connection | None = None
        self._identity = identity
        self._access = access
        self._messenger = messenger
        self._owner = owner
        self._places = identity.monitors
        self._next = identity.number
        self._hunt = hunting.Hunt()
        self._tries = 0  # in this round
        self._since = 0.0  # we wait to be let in, or for the next round
        self._pause_s = 0.0
        self._pinged_at = 0.0
        self._booted = (0, -BOOT_AGAIN_S)  # in which epoch, when
        self._up_thru = 0
        self._acting: dict[PG, tuple[int, ...]] = {}
        self._said: set[PG] = set()
        self._saying = False
        self._wished_at = 0.0
        self._down: asyncio.Event | None = None
        self._facts = hostfacts.read()

    @property
    def is_leaving(self) -> bool:
        """Whether it was said that we stop."""
        return self._down is not None

    def find(self, now: float) -> None:
        """Connect to the next monitor."""
        target = self._places[self._next % len(self._places)]
        self._next += 1
        self._tries += 1
        self._since = now
        self.conn = self._messenger.connect(target, EntityType.MON)

    def closed(self, now: float) -> None:
        """The monitor does not let us in, or any more: the next one; after all of them, later."""
        self.conn, self._since = None, now
        if self._tries < len(self._places):
            self.find(now)
        else:
            self._pause_s = self._hunt.next_pause_s()

    def opened(self, conn: Connection) -> None:
        """A monitor listens."""
        self._hunt.found()
        self._tries = 0
        conn.answered_at = self._pinged_at = clock.monotonic()
        self._access.renew(conn)
        newest = self._owner.osdmap.epoch
        wanted = {
            "monmap": monitor.Subscription(0),
            "osdmap": monitor.Subscription(newest + 1 if newest else 0),
            "mgrmap": monitor.Subscription(0),
            "config": monitor.Subscription(0),
        }
        self.send(monitor.MonSubscribe(wanted))
        self._booted = (0, -BOOT_AGAIN_S)
        if newest:
            self.boot(0.0)
            self._wish_again(0.0)

    def ask_for_maps(self) -> None:
        """Of OSDs, from where we are on: what came does not follow on that."""
        wanted = {"osdmap": monitor.Subscription(self._owner.osdmap.epoch + 1)}
        self.send(monitor.MonSubscribe(wanted))

    def take_monmap(self, message: monitor.MonMapMessage) -> None:
        """Which monitors there are now; the one we are with, if it is gone, will say no more."""
        found = monmap.decode(message.monmap)
        places = (msgr2(found.monitors[name].addresses) for name in found.ranks)
        if found.fsid == self._identity.fsid:
            self._places = tuple(place for place in places if place) or self._places

    def take_keys(self, reply: monitor.AuthReply) -> None:
        """Tickets, or the keys of our service."""
        was_ready = self._access.is_ready
        self._access.take(reply)
        if not was_ready and self._owner.osdmap.epoch:
            self.boot(0.0)

    def follow(self, now: float) -> None:
        """There is a newer map."""
        owner = self._owner
        if owner.is_up:
            self._say_soon()
        else:
            self.boot(now)
        number = self._identity.number
        if self._down is not None and not osds.is_up(owner.osdmap, number):
            self._down.set()

    def tick(self, now: float) -> None:
        """Once a second or so."""
        self._look_around(now)
        if self.conn is not None and self.conn.is_open:
            self._access.renew(self.conn)
        if self._owner.osdmap.epoch and not self._owner.is_up:
            self.boot(now)
        if now >= self._wished_at + WISH_AGAIN_S:
            self._wish_again(now)

    def _look_around(self, now: float) -> None:
        """Leave a monitor that is silent; begin the next round of tries."""
        conn = self.conn
        if conn is None:
            if now >= self._since + self._pause_s:
                self._tries = 0
                self.find(now)
        elif not conn.is_open:
            if now >= self._since + self._hunt.patience_s:
                self._hunt.was_silent()
                self._leave(conn, now)
        elif now > conn.answered_at + hunting.PING_TIMEOUT_S:
            _log.warning("a monitor is not heard of", monitor=str(conn.target))
            self._leave(conn, now)
        elif now >= self._pinged_at + hunting.PING_INTERVAL_S:
            self._pinged_at = now
            conn.keepalive()

    def _leave(self, conn: Connection, now: float) -> None:
        conn.close()
        self.closed(now)

    def boot(self, now: float) -> None:
        """Say that we are up, unless that was just said, or cannot be yet."""
        me, owner = self._identity, self._owner
        epoch = owner.osdmap.epoch
        if owner.is_up or self.is_leaving or not owner.places.cluster:
            return
        if not osds.is_known(owner.osdmap, me.number) or not self._access.is_ready:
            return
        if self._booted[0] == epoch and now < self._booted[1] + BOOT_AGAIN_S:
            return
        self._booted = (epoch, now)
        places = owner.places
        block = cluster.Superblock(
            me.fsid, me.number, epoch, 1, epoch, osd_fsid=me.unique, mounted=epoch
        )
        metadata = self._facts | {"id": str(me.number), "osd_objectstore": "octostack"}
        self.send(
            cluster.OSDBoot(
                block, places.back, places.cluster, 0, places.front, metadata, FEATURES, epoch
            )
        )

    async def goodbye(self) -> None:
        """Have the map say that we are down, so that others need not find out."""
        me, osdmap = self._identity, self._owner.osdmap
        if self.conn is None or not self.conn.is_open or not self._owner.is_up:
            return
        self._down = asyncio.Event()
        where = osdmap.client_addresses[me.number]
        bye = cluster.OSDMarkMeDown(
            me.fsid, me.number, where, osdmap.epoch, wants_ack=True, down_and_dead=True
        )
        self.send(bye)
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._down.wait()
        except TimeoutError:
            return  # the monitor is gone, or is told not to mark OSDs down

    def heard_goodbye(self) -> None:
        """The monitor has noted it, or will not."""
        if self._down is not None:
            self._down.set()

    def tell_failure(self, osd: int, flags: int, failed_for_s: float) -> None:
        """Another OSD does not answer (any more, or again), or its process is gone."""
        osdmap = self._owner.osdmap
        if self._owner.is_up and osds.is_up(osdmap, osd):
            where, fsid = osdmap.client_addresses[osd], self._identity.fsid
            seconds = int(failed_for_s)
            self.send(cluster.OSDFailure(fsid, osd, where, osdmap.epoch, flags, seconds))

    # Wishes

    def want_up_thru(self, epoch: int) -> None:
        """That the map says we were up in this epoch."""
        if epoch > self._up_thru:
            self._up_thru = epoch
            self.send(cluster.OSDAlive(epoch, self._owner.osdmap.epoch))

    def want_acting(self, pg: PG, acting: tuple[int, ...]) -> None:
        """That others act than the map says by itself; none: those."""
        self._acting[pg] = acting
        self._said.discard(pg)
        self._say_soon()

    def forget(self, pg: PG) -> None:
        """What was wanted for the group has no meaning any more."""
        self._acting.pop(pg, None)
        self._said.discard(pg)

    def _wish_again(self, now: float) -> None:
        self._wished_at = now
        osdmap, number = self._owner.osdmap, self._identity.number
        if osds.is_up(osdmap, number) and osdmap.osd_info[number].up_thru < self._up_thru:
            self.send(cluster.OSDAlive(self._up_thru, osdmap.epoch))
        self._said = {pg for pg, acting in self._acting.items() if self._has(pg, acting)}
        self._say_soon()

    def _has(self, pg: PG, acting: tuple[int, ...]) -> bool:
        return self._owner.osdmap.pg_temp.get(pg, ()) == acting

    def send(self, message: Message) -> None:
        """To the monitor that we have."""
        if self.conn is not None:
            self.conn.send(messages.encode(message))

    def _say_soon(self) -> None:
        if not self._saying:
            self._saying = True
            asyncio.get_running_loop().call_soon(self._say)

    def _say(self) -> None:
        """All wishes that were not said to this monitor, in one message."""
        self._saying = False
        if self.conn is None or not self.conn.is_open:
            return
        new = {pg: acting for pg, acting in self._acting.items() if pg not in self._said}
        if new:
            self._said.update(new)
            self.send(cluster.PGTemp(self._owner.osdmap.epoch, new))
