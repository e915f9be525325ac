# SPDX-License-Identifier: Apache-2.0
"""The other monitors: what goes over the connections to them.

Besides what `core.paxos` has to say: messages of clients and OSDs that only a leader can answer go
there with who sent them, and the answers come back on the same way; reports of OSDs go to all, so
that each monitor can tell how the cluster is; followers get identifiers for clients.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from octostack.base import log
from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Address, Addresses, EntityName, EntityType, msgr2
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Authenticated, Envelope, Grant, Outgoing
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.messages.cluster import PeerWord

_log = log.get("ceph.mon")
_QUEUED_MAX: Final = 1000  # messages for one that does not listen; the next ones are lost
_FAREWELL_S: Final = 2.0
_TRIES: Final = 2  # to connect, after which nobody is thought to be there


class Forward(msgspec.Struct, frozen=True, tag=33, array_like=True):
    """A message of a client, for the leader."""

    number: int
    name: EntityName
    grant: Grant | None
    addresses: Addresses
    place: tuple[str, int]
    kind: int
    version: int
    compat: int
    tid: int
    front: bytes
    data: bytes


class Route(msgspec.Struct, frozen=True, tag=34, array_like=True):
    """The leader's answer to a `Forward` of that number."""

    number: int
    kind: int
    version: int
    compat: int
    tid: int
    front: bytes
    data: bytes


class Relay(msgspec.Struct, frozen=True, tag=35, array_like=True):
    """What an OSD reported."""

    data: bytes


class IdsAsk(msgspec.Struct, frozen=True, tag=36, array_like=True):
    """A follower has clients to let in."""


class Ids(msgspec.Struct, frozen=True, tag=37, array_like=True):
    """Identifiers for it, from `start` up to `end`."""

    start: int
    end: int


class Probe(msgspec.Struct, frozen=True, tag=38, array_like=True):
    """Nothing: to find out whether there is a connection."""


class Map(msgspec.Struct, frozen=True, tag=39, array_like=True):
    """The map of monitors, for one that has an older one."""

    blob: bytes


Word = v.Message | Forward | Route | Relay | IdsAsk | Ids | Probe | Map


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A word, and the epoch of the map of monitors that its ranks are of."""

    epoch: int
    word: Word


_decoder: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)


class Peers:
    """Connections to the other monitors of the map."""

    def __init__(self, messenger: Messenger, monmap: MonMap, name: str) -> None:
        self._messenger = messenger
        self.epoch = monmap.epoch
        self.places: dict[int, Address] = {}
        for rank, other in enumerate(monmap.ranks):
            place = msgr2(monmap.monitors[other].addresses)
            if other != name and place is not None:
                self.places[rank] = place
        self._ranks: Mapping[Address, int] = {place: rank for rank, place in self.places.items()}

    def tell(self, rank: int, word: Word) -> None:
        """Send; lost when too much waits for that monitor already."""
        conn = self._messenger.connect(self.places[rank], EntityType.MON)
        if conn.session is not None and conn.session.queued > _QUEUED_MAX:
            return
        self.answer(conn, word)

    def answer(self, conn: Connection, word: Word) -> None:
        """Send on a connection that there is."""
        conn.send(messages.encode(PeerWord(msgspec.msgpack.encode(Said(self.epoch, word)))))

    def leave(self, kept: "Peers") -> None:
        """End the connections to those who are none of `kept`, when they may have heard why."""
        for place in set(self.places.values()) - set(kept.places.values()):
            conn = self._messenger.connect(place, EntityType.MON)
            asyncio.get_running_loop().call_later(_FAREWELL_S, conn.close)

    def find_rank(self, conn: Connection) -> int | None:
        """Which monitor that is; None for one that the map does not have."""
        place = msgr2(conn.peer_addresses)
        return self._ranks.get(place) if place is not None else None

    def look(self) -> set[int]:
        """The ranks that nobody can connect to; tries to, where there is no connection."""
        found = set()
        for rank, place in self.places.items():
            conn = self._messenger.connect(place, EntityType.MON)
            if conn.is_open:
                continue
            if conn.tries >= _TRIES:
                found.add(rank)
            if conn.session is not None and not conn.session.queued:
                self.tell(rank, Probe())
        return found


def decode(data: bytes) -> Said:
    """What another monitor says. Raises Malformed."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Malformed("a word of a monitor that is none") from error


def forward(number: int, conn: Connection, envelope: Envelope) -> Forward:
    """A client's message as it goes to the leader."""
    return Forward(
        number,
        conn.peer,
        conn.identity.grant if conn.identity is not None else None,
        conn.peer_addresses,
        conn.peer_place,
        envelope.type,
        envelope.version,
        envelope.compat,
        envelope.tid,
        bytes(envelope.front),
        bytes(envelope.data),
    )


def envelope_of(word: Forward) -> Envelope:
    """The message in it."""
    return Envelope(
        *(word.kind, word.version, word.compat, word.tid, 0, 0, 0), word.front, b"", word.data
    )


def outgoing_of(word: Route) -> Outgoing:
    """The answer in it."""
    return Outgoing(word.kind, word.front, word.version, word.compat, word.tid, word.data)


class Remote:
    """A client of another monitor, as the leader sees it."""

    def __init__(self, word: Forward, tell: Callable[[Word], None]) -> None:
        self.peer = word.name
        self.peer_addresses = word.addresses
        self.peer_place = word.place
        global_id = word.grant.global_id if word.grant is not None else 0
        self.identity = Authenticated(word.name.kind, global_id, Address(), word.grant)
        self._number = word.number
        self._tell = tell

    def send(self, message: Outgoing) -> None:
        """By way of its monitor."""
        self._tell(
            Route(
                self._number,
                message.type,
                message.version,
                message.compat,
                message.tid,
                bytes(message.front),
                bytes(message.data),
            )
        )
