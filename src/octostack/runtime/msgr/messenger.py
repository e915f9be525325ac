# SPDX-License-Identifier: Apache-2.0
"""All connections of one entity, by the rules of a policy for each kind of peer.

The dispatcher is called by the event loop and must not block: what takes time it does in a task
of its own, or answers later by `Connection.send`. Bytes of messages that were dispatched and not
yet `done` are bounded: over the bound nobody is read from until some are.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Timeout, Unauthorized, Unavailable
from octostack.runtime.msgr.carrier import Carrier, Carriers, Listening
from octostack.runtime.msgr.connection import RETRY_MAX_S, RETRY_S, Connection
from octostack.runtime.tasks import Supervisor
from octostack.wire.ceph import frames, handshake
from octostack.wire.ceph.addresses import Address, Addresses, AddressKind, EntityName, msgr2
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import ClientAuth, Envelope, Link, ServerAuth
from octostack.wire.ceph.session import (
    LOSSY_CLIENT,
    STATELESS_SERVER,
    Policy,
    Session,
    Verdict,
    judge_ident,
    judge_reconnect,
)

_log = log.get("msgr")
BYTES_IN_FLIGHT_MAX = 256 << 20
DIAL_TIMEOUT_S = 10.0


class Dispatcher(Protocol):
    """Who is told; every method returns at once."""

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message; `Messenger.done` when its bytes are needed no more."""

    def opened(self, conn: Connection) -> None:
        """A new session has begun."""

    def closed(self, conn: Connection) -> None:
        """A session has ended, and what was unsent with it."""


class Settings(msgspec.Struct, frozen=True):
    """Who we are, and how we treat whom (by entity type; otherwise the default)."""

    name: EntityName
    server_auth: Callable[[], ServerAuth]
    client_auth: Callable[[int], ClientAuth]
    policies: Mapping[int, Policy] = {}  # of peers that connect to us, or are met as equals
    default: Policy = STATELESS_SERVER
    message_bytes_max: int = frames.MESSAGE_BYTES_MAX
    in_flight_max: int = BYTES_IN_FLIGHT_MAX
    refused: Callable[[Connection], None] | None = None  # told when nobody listens at a target


class Messenger:
    """See the module's essay."""

    def __init__(self, settings: Settings, carriers: Carriers, dispatcher: Dispatcher) -> None:
        self.settings = settings
        self.addresses: Addresses = ()
        self.may_read = True
        self._carriers = carriers
        self._dispatcher = dispatcher
        self._tasks = Supervisor(f"msgr {settings.name}")
        self._listening: Listening | None = None
        self._connections: dict[Connection, None] = {}  # as they began
        self._peers: dict[Addresses, Connection] = {}
        self._global_seq = 0
        self._nonce = int.from_bytes(clock.token_bytes(4), "little")
        self._in_flight = 0
        self._in_flight_max = settings.in_flight_max

    # For the owner

    async def bind(self, host: str, port: int = 0, nonce: int | None = None) -> Addresses:
        """Listen; a monitor's nonce is 0, as its address is in every map. Raises Unavailable."""
        self._listening = await self._carriers.listen(host, port, self._accept)
        if nonce is not None:
            self._nonce = nonce
        self.addresses = (Address(AddressKind.MSGR2, host, self._listening.port, self._nonce),)
        return self.addresses

    def connect(self, target: Address, peer_type: int) -> Connection:
        """The connection to `target`: the one there is, when the policy keeps sessions."""
        is_lossy = self.policy(peer_type, connecting=True).lossy
        known = self._peers.get((target,))
        if known is not None and not known.is_closed and not is_lossy:
            return known
        conn = Connection(self, target, peer_type)
        self._connections[conn] = None
        if not is_lossy:
            # from now on, so that a link from the other side meets what we have to say
            conn.session = self.new_session(conn)
            self._peers[(target,)] = conn
        self.reconnect(conn, 0.0)
        return conn

    def find_peer(self, addresses: Addresses) -> Connection | None:
        """The connection with who is there."""
        return self._peers.get(addresses)

    def limit(self, size: int) -> None:
        """So many bytes of messages may be needed at a time, from now on; 0: as at first."""
        self._in_flight_max = size or self.settings.in_flight_max
        self.done(0)

    def done(self, size: int) -> None:
        """`size` bytes of a dispatched message's data are needed no more."""
        self._in_flight -= size
        if not self.may_read and self._in_flight <= self._in_flight_max // 2:
            self.may_read = True
            for conn in list(self._connections):
                conn.release()

    async def close(self) -> None:
        """End everything."""
        if self._listening is not None:
            await self._listening.close()
        await self._tasks.stop()
        for conn in list(self._connections):
            conn.close()

    # For connections

    def policy(self, peer_type: int, *, connecting: bool = False) -> Policy:
        """How a peer of that type is treated."""
        known = self.settings.policies.get(peer_type)
        if known is not None:
            return known
        return LOSSY_CLIENT if connecting else self.settings.default

    def new_session(self, conn: Connection) -> Session:
        """A session for a connection of ours."""
        policy = self.policy(conn.peer_type, connecting=True)
        name = self.settings.name
        number = name.number
        if conn.identity is not None and number < 0:
            number = conn.identity.global_id
        mine = self.addresses
        if not mine and conn.identity is not None:
            seen = conn.identity.seen_as
            mine = (Address(AddressKind.ANY, seen.host, 0, self._nonce),)
        return Session(policy, mine, number, 0 if policy.lossy else _cookie())

    def next_global_seq(self) -> int:
        """Greater with each connection that we begin."""
        self._global_seq += 1
        return self._global_seq

    def now_ns(self) -> int:
        """For keepalives."""
        return int(clock.now() * 1e9)

    def deliver(self, conn: Connection, envelope: Envelope) -> None:
        """Tell the dispatcher of a message."""
        size = len(envelope.data)
        if size:
            self._in_flight += size
            if self._in_flight > self._in_flight_max and self.may_read:
                self.may_read = False
                for other in self._connections:
                    other.hold()
        self._dispatcher.message(conn, envelope)

    def opened(self, conn: Connection, *, is_new: bool) -> None:
        """A session of ours runs (again)."""
        if is_new:
            self._dispatcher.opened(conn)

    def was_reset(self, conn: Connection) -> None:
        """The other side forgot the session; a new one is begun on the same connection."""
        self._dispatcher.closed(conn)

    def refused(self, conn: Connection, error: Unauthorized) -> None:
        """The other side does not let us in: no use to try again at once."""
        self.lost(conn, error.message)

    def lost(self, conn: Connection, reason: str) -> None:
        """A carrier ended: the session with it, or it is found another."""
        session = conn.session
        _log.debug("carrier lost", peer=str(conn.target), why=reason)
        if session is not None:
            session.broken()
        if session is None and conn.target is None:
            self._connections.pop(conn, None)
        elif conn.is_closed or (session is None and self._is_lossy(conn)):
            self.forget(conn)
            self._dispatcher.closed(conn)
        elif conn.target is not None and (session is None or session.has_work):
            conn.tries += 1
            self.reconnect(conn, min(RETRY_MAX_S, RETRY_S * 2.0 ** min(conn.tries, 8)))

    def forget(self, conn: Connection) -> None:
        """A connection that is not used any more."""
        self._connections.pop(conn, None)
        target = (conn.target,) if conn.target is not None else ()
        for addresses in (conn.peer_addresses, target):
            if self._peers.get(addresses) is conn:
                del self._peers[addresses]

    def reconnect(self, conn: Connection, delay_s: float) -> None:
        """Find a carrier after `delay_s`."""
        try:
            self._tasks.start(f"dial {conn.target}", lambda: self._dial(conn, delay_s))
        except Unavailable:
            return  # closing

    # New links meet old sessions

    def meet(self, conn: Connection, ident: handshake.ClientIdent) -> None:
        """CLIENT_IDENT on a new link."""
        if handshake.FEATURES & ident.required != ident.required:
            conn.link().tell(handshake.MissingFeatures(ident.required & ~handshake.FEATURES))
            return
        existing = self._peers.get(ident.addresses) if ident.addresses else None
        verdict = judge_ident(ident, existing.session if existing else None, self.addresses)
        match verdict:
            case Verdict.STALE:
                raise Malformed("an older connection than the one there is")
            case Verdict.WAIT:
                conn.link().tell(handshake.Wait())
                return
            case Verdict.FRESH:
                self._begin(conn, ident, existing)
                return
        assert existing is not None
        assert existing.session is not None
        if verdict is Verdict.RESET:
            existing.session.reset()
            self._dispatcher.closed(existing)
        existing.adopt(conn)
        self._connections.pop(conn, None)
        existing.session.take_ident(existing.link(), ident, _cookie(), self.next_global_seq())
        existing.flush()
        if verdict is Verdict.RESET:
            self._dispatcher.opened(existing)

    def _begin(
        self, conn: Connection, ident: handshake.ClientIdent, existing: Connection | None
    ) -> None:
        if existing is not None:
            existing.close()
            self._dispatcher.closed(existing)
        policy = self.policy(conn.peer_type)
        session = Session(policy, self.addresses, self.settings.name.number, 0)
        conn.session = session
        session.take_ident(conn.link(), ident, _cookie(), self.next_global_seq())
        conn.cancel_deadline()
        if ident.addresses:
            self._peers[ident.addresses] = conn
        if not session.policy.lossy:
            conn.target = msgr2(ident.addresses)  # if the link breaks, either may make the next
        self._dispatcher.opened(conn)

    def meet_again(self, conn: Connection, asked: handshake.Reconnect) -> None:
        """RECONNECT on a new link."""
        existing = self._peers.get(asked.addresses)
        session = existing.session if existing else None
        reset_check = self.policy(conn.peer_type).reset_check
        verdict = judge_reconnect(asked, session, self.addresses, reset_check=reset_check)
        if not isinstance(verdict, Verdict):
            conn.link().tell(verdict)
        elif verdict is Verdict.WAIT:
            conn.link().tell(handshake.Wait())
        else:
            assert existing is not None
            assert existing.session is not None
            existing.adopt(conn)
            self._connections.pop(conn, None)
            existing.session.take_reconnect(existing.link(), asked)
            existing.flush()

    # Carriers

    def _accept(self, carrier: Carrier) -> None:
        conn = Connection(self, None, 0)
        self._connections[conn] = None
        host, port = carrier.peer
        conn.attach(
            carrier,
            Link(
                self.settings.name.kind,
                Address(AddressKind.MSGR2, host, port),
                server=self.settings.server_auth(),
                message_bytes_max=self.settings.message_bytes_max,
            ),
        )

    async def _dial(self, conn: Connection, delay_s: float) -> None:
        if delay_s:
            await asyncio.sleep(delay_s * clock.rng().uniform(0.8, 1.2))
        target = conn.target
        assert target is not None
        if conn.is_closed or conn.has_carrier:
            return
        try:
            auth = self.settings.client_auth(conn.peer_type)
            carrier = await self._carriers.dial(target.host, target.port, DIAL_TIMEOUT_S)
        except (Timeout, Unavailable) as error:
            if error.code == "net.refused" and self.settings.refused is not None:
                self.settings.refused(conn)
            if not conn.is_closed and not conn.has_carrier:  # else the other side was faster
                self.lost(conn, error.message)
            return
        if conn.is_closed or conn.has_carrier:
            carrier.close()
            return
        link = Link(
            self.settings.name.kind,
            target,
            client=auth,
            message_bytes_max=self.settings.message_bytes_max,
        )
        try:
            conn.attach(carrier, link)
        except Unauthorized as error:  # there is no ticket to show
            conn.drop_carrier()
            self.refused(conn, error)

    def _is_lossy(self, conn: Connection) -> bool:
        return self.policy(conn.peer_type, connecting=conn.target is not None).lossy


def _cookie() -> int:
    return int.from_bytes(clock.token_bytes(8), "little") or 1
