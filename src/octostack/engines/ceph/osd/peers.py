# SPDX-License-Identifier: Apache-2.0
"""The links between OSDs: for each other OSD one session that loses nothing while both live.

The map says where everyone is. An OSD that the map takes for dead, rightly or not, is not talked to
at that address any more, and what comes from there is not heard: both sides drop what was on its
way. So one that was wrongly taken for dead comes back at another address (`rebind`).

An OSD may have two shards of one group, in whose old and new place it is: what they tell one
another takes no link, but the same order, and its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from octostack.base import log
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.osd import messages as group_messages
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.core.values import Message
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.wire.ceph.addresses import Addresses, EntityName, EntityType, msgr2
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import ShardPG
from octostack.wire.ceph.session import LOSSLESS_PEER

_log = log.get("ceph.osd")
Heard = Callable[[int, ShardPG, Message], None]
Refused = Callable[[int], None]


class Peers:
    """See the module's essay."""

    def __init__(
        self, number: int, access: Access, carriers: Carriers, heard: Heard, refused: Refused
    ) -> None:
        self._number = number
        self._access = access
        self._carriers = carriers
        self._heard = heard
        self._refused = refused
        self._osdmap = OSDMap()
        self._places: list[Addresses] = []  # of each OSD, as long as it is up
        self._host = ""
        self._sessions: dict[int, Connection] = {}
        self._own: deque[tuple[ShardPG, Message]] = deque()  # to ourselves
        self._last: tuple[Message | None, Outgoing | None] = (None, None)
        self._messenger = self._new()

    @property
    def addresses(self) -> Addresses:
        """Where others find us."""
        return self._messenger.addresses

    async def bind(self, host: str) -> None:
        """Listen. Raises Unavailable."""
        self._host = host
        await self._messenger.bind(host)

    async def rebind(self) -> None:
        """Go elsewhere; what was under way is void. Raises Unavailable."""
        old, self._messenger = self._messenger, self._new()
        self._sessions.clear()
        self._own.clear()
        await old.close()
        await self._messenger.bind(self._host)

    async def close(self) -> None:
        """Talk to nobody any more."""
        await self._messenger.close()

    def follow(self, osdmap: OSDMap) -> None:
        """Let go of those who are not where they were. One that is where no map has had it yet
        stays: its map is newer than ours."""
        before, self._osdmap = self._places, osdmap
        self._places = [
            osdmap.cluster_addresses[osd] if osds.is_up(osdmap, osd) else ()
            for osd in range(osdmap.max_osd)
        ]
        for osd, where in enumerate(before):
            if where and where != self._where(osd):
                self._sessions.pop(osd, None)
                conn = self._messenger.find_peer(where)
                if conn is not None:
                    conn.close()

    def send(self, osd: int, where: ShardPG, message: Message) -> None:
        """To the copy of a group on another OSD; void when the map has that one down."""
        target = msgr2(self._where(osd))
        if target is None:
            return
        if osd == self._number:
            self._own.append((where, message))
            asyncio.get_running_loop().call_soon(self._hear_own)
            return
        conn = self._sessions.get(osd)
        if conn is None or conn.is_closed:
            conn = self._sessions[osd] = self._messenger.connect(target, EntityType.OSD)
        known, encoded = self._last  # a change goes to several
        if known is not message or encoded is None:
            encoded = group_messages.encode(where, message)
            self._last = (message, encoded)
        conn.send(encoded)

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message from another OSD."""
        if envelope.type != group_messages.GROUP_MESSAGE or not self._access.is_osd(conn):
            self._messenger.done(len(envelope.data))
            _log.warning("message not handled", type=envelope.type, peer=str(conn.peer))
            return
        where, message = group_messages.decode(envelope)
        self._messenger.done(len(envelope.data))
        osd = conn.peer.number
        if message.epoch <= self._osdmap.epoch and conn.peer_addresses != self._where(osd):
            return
        self._heard(osd, where, message)

    def opened(self, conn: Connection) -> None:
        """A session begins."""

    def closed(self, conn: Connection) -> None:
        """A session ended on the other side: it will be another one, or the map will tell."""

    # Within

    def _hear_own(self) -> None:
        """The oldest of what we have said to ourselves."""
        if self._own:
            self._heard(self._number, *self._own.popleft())

    def _unreachable(self, conn: Connection) -> None:
        """Nobody listens where the map has an OSD."""
        for osd, known in self._sessions.items():
            if known is conn:
                self._refused(osd)

    def _where(self, osd: int) -> Addresses:
        return self._places[osd] if 0 <= osd < len(self._places) else ()

    def _new(self) -> Messenger:
        return Messenger(
            Settings(
                EntityName(EntityType.OSD, self._number),
                self._access.server,
                self._access.client,
                {EntityType.OSD: LOSSLESS_PEER},
                refused=self._unreachable,
            ),
            self._carriers,
            self,
        )
