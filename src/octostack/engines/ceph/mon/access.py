# SPDX-License-Identifier: Apache-2.0
"""Who is let in by a monitor, and what its capabilities allow there."""

import errno
from collections.abc import Callable, Mapping

from octostack.base import clock
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.auth import CEPHX, Auth, KeyTable
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph.auth_none import NoneServer
from octostack.wire.ceph.cephx import caps
from octostack.wire.ceph.cephx.server import MonServer, Senses, answer_renewal
from octostack.wire.ceph.link import Grant, ServerAuth
from octostack.wire.ceph.messages.monitor import Auth as AuthMessage
from octostack.wire.ceph.messages.monitor import AuthReply

SENSES = Senses(lambda: int(clock.now() * 1e9), clock.token_bytes)
_NOBODY = Grant("client.?", 0, "")
_BITS = {"r": caps.R, "w": caps.W, "x": caps.X}
_CACHED = 1024


class Access:
    """See the module's essay."""

    def __init__(self, method: str, new_global_id: Callable[[], int]) -> None:
        self.method = method
        self._new_global_id = new_global_id
        self._auth: Auth | None = None
        self._keys = KeyTable(Auth())
        self._rules: dict[str, caps.Rules] = {}

    def follow(self, auth: Auth) -> None:
        """The keys as they are now."""
        if auth is not self._auth:
            self._auth = auth
            self._keys = KeyTable(auth)

    @property
    def keys(self) -> KeyTable:
        """All keys as they are now."""
        return self._keys

    def server(self) -> ServerAuth:
        """For one connection."""
        if self.method == CEPHX:
            return MonServer(self._keys, SENSES, self._new_global_id)
        return NoneServer(self._new_global_id)

    def renew(self, conn: Connection, asked: AuthMessage) -> AuthReply:
        """Tickets over a connection that is open."""
        who = grant_of(conn)
        answer = answer_renewal(self._keys, SENSES, who.entity, asked.payload)
        if answer is None:
            return AuthReply(asked.protocol, -errno.EACCES, who.global_id, b"")
        return AuthReply(asked.protocol, 0, who.global_id, answer)

    def require(self, conn: Connection, service: str, need: str) -> None:
        """Raises Failure EACCES."""
        self._require(conn, caps.Question(service, _bits(need)))

    def require_command(
        self, conn: Connection, service: str, need: str, arguments: Mapping[str, object]
    ) -> None:
        """The same for a command, which may be allowed by itself. Raises Failure EACCES."""
        words = {name: str(value) for name, value in arguments.items()}
        prefix = words["prefix"]
        self._require(conn, caps.Question(service, _bits(need), prefix, words))

    def _require(self, conn: Connection, asked: caps.Question) -> None:
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


def grant_of(conn: Connection) -> Grant:
    """Who is at the other side."""
    found = conn.identity.grant if conn.identity is not None else None
    return found or _NOBODY


def _bits(need: str) -> int:
    found = 0
    for letter in need:
        found |= _BITS[letter]
    return found
