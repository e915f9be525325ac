# SPDX-License-Identifier: Apache-2.0
"""Who is let in by a monitor, and what its capabilities allow there."""

import errno
from collections.abc import Callable, Mapping
from typing import Protocol

from octostack.base import clock
from octostack.base.errors import Unavailable
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.auth import CEPHX, MONITORS, Auth, KeyTable
from octostack.engines.ceph.mon.core.commands.table import Command
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph.addresses import Addresses, EntityName, EntityType
from octostack.wire.ceph.auth_none import NoneClient, NoneServer
from octostack.wire.ceph.cephx import caps
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.cephx.client import MonClient, Wallet
from octostack.wire.ceph.cephx.server import MonServer, Senses, answer_renewal
from octostack.wire.ceph.handshake import AuthRequest
from octostack.wire.ceph.link import (
    Authenticated,
    ClientAuth,
    Grant,
    Granted,
    More,
    Outgoing,
    Refused,
    ServerAuth,
)
from octostack.wire.ceph.messages.monitor import Auth as AuthMessage
from octostack.wire.ceph.messages.monitor import AuthReply

SENSES = Senses(lambda: int(clock.now() * 1e9), clock.token_bytes)
_NOBODY = Grant("client.?", 0, "")
_BITS = {"r": caps.R, "w": caps.W, "x": caps.X}
_CACHED = 1024
_DENIED_BY_MANAGER = (
    "access denied: does your client key have mgr caps? See "
    "http://docs.ceph.com/en/latest/mgr/administrator/#client-authentication"
)


class Caller(Protocol):
    """Who asks: a connection, or a client of another monitor."""

    @property
    def identity(self) -> Authenticated | None:
        """Who that proved to be."""

    @property
    def peer(self) -> EntityName:
        """Who that says to be: the number is a global id, or the id of an OSD."""

    @property
    def peer_addresses(self) -> Addresses:
        """Where it says it is."""

    @property
    def peer_place(self) -> tuple[str, int]:
        """Host and port as a monitor sees them."""

    def send(self, message: Outgoing) -> None:
        """Answer."""


class _Door:
    """Lets clients in while there is something that they can be told; monitors always."""

    def __init__(self, inner: ServerAuth, is_open: Callable[[], bool]) -> None:
        self._inner = inner
        self._is_open = is_open

    def request(self, client_type: int, asked: AuthRequest) -> Refused | More | Granted:
        """As the one within."""
        if client_type != EntityType.MON and not self._is_open():
            raise Unavailable("This monitor is in no quorum.")
        return self._inner.request(client_type, asked)

    def more(self, payload: bytes) -> Refused | More | Granted:
        """As the one within."""
        return self._inner.more(payload)


class Access:
    """See the module's essay. Without a key for monitors each is believed to be one."""

    def __init__(
        self,
        method: str,
        key: Key | None,
        new_global_id: Callable[[], int],
        is_open: Callable[[], bool],
    ) -> None:
        self.method = method
        self._key = key
        self._new_global_id = new_global_id
        self._is_open = is_open
        self._auth: Auth | None = None
        self._keys = KeyTable(Auth())
        self._rules: dict[str, caps.Rules] = {}

    def follow(self, auth: Auth) -> None:
        """The keys as they are now."""
        if auth is not self._auth:
            self._auth = auth
            self._keys = KeyTable(auth, self._key)

    @property
    def keys(self) -> KeyTable:
        """All keys as they are now."""
        return self._keys

    def server(self) -> ServerAuth:
        """For one connection."""
        if self.method == CEPHX:
            inner: ServerAuth = MonServer(self._keys, SENSES, self._new_global_id)
        else:
            inner = NoneServer(self._new_global_id)
        return _Door(inner, self._is_open)

    def client(self, name: str) -> ClientAuth:
        """For a connection to another monitor."""
        if self.method != CEPHX or self._key is None:
            return NoneClient(EntityType.MON, name)
        return MonClient(Wallet(MONITORS, self._key, SENSES, EntityType.MON))

    def is_monitor(self, conn: Connection) -> bool:
        """Whether that is one of us."""
        proved = self.method != CEPHX or grant_of(conn).entity == MONITORS
        ours = conn.target is not None  # it was we who connected, to a place of the map
        return conn.peer_type == EntityType.MON and (proved or ours)

    def renew(self, conn: Caller, asked: AuthMessage) -> AuthReply:
        """Tickets over a connection that is open."""
        who = grant_of(conn)
        answer = answer_renewal(self._keys, SENSES, who.entity, asked.payload)
        if answer is None:
            return AuthReply(asked.protocol, -errno.EACCES, who.global_id, b"")
        return AuthReply(asked.protocol, 0, who.global_id, answer)

    def require(self, conn: Caller, service: str, need: str) -> None:
        """Raises Failure EACCES."""
        self._require(conn, caps.Question(service, _bits(need)))

    def require_command(
        self, conn: Caller, known: Command, arguments: Mapping[str, object]
    ) -> None:
        """The same for a command, which may be allowed by itself. Raises Failure EACCES."""
        self._require(conn, _question(known, arguments))

    def require_of_manager(
        self, conn: Caller, known: Command, arguments: Mapping[str, object]
    ) -> None:
        """The same for a command to the manager beside us, by whose capabilities clients come
        there. Raises Failure EACCES."""
        rules = self._rules_of(grant_of(conn).caps)
        if not caps.mgr_allows(rules, _question(known, arguments), conn.peer_place[0]):
            raise Failure(errno.EACCES, _DENIED_BY_MANAGER)

    def _require(self, conn: Caller, asked: caps.Question) -> None:
        rules = self._rules_of(grant_of(conn).caps)
        if not caps.mon_allows(rules, asked, conn.peer_place[0]):
            raise Failure(errno.EACCES, "access denied")

    def _rules_of(self, text: str) -> caps.Rules:
        rules = self._rules.get(text)
        if rules is None:
            if len(self._rules) >= _CACHED:
                self._rules.clear()
            rules = self._rules[text] = caps.read(text)
        return rules


def grant_of(conn: Caller) -> Grant:
    """Who is at the other side."""
    found = conn.identity.grant if conn.identity is not None else None
    return found or _NOBODY


def _question(known: Command, arguments: Mapping[str, object]) -> caps.Question:
    words = {name: str(value) for name, value in arguments.items()}
    need = _bits(known.permission)
    return caps.Question(known.module, need, words["prefix"], words, known.plugin)


def _bits(need: str) -> int:
    found = 0
    for letter in need:
        found |= _BITS[letter]
    return found
