# SPDX-License-Identifier: Apache-2.0
"""Who we say we are, and how we prove it: by a key and tickets, or by name where that is enough."""

from octostack.base import clock, log
from octostack.base.errors import OctoError, Unauthorized
from octostack.engines.ceph.rados.core.config import Settings
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph import handshake, messages
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.auth_none import NoneClient
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.cephx.client import MonClient, ServiceClient, Wallet
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.link import ClientAuth, Granted
from octostack.wire.ceph.messages.monitor import Auth, AuthReply

_log = log.get("ceph.rados")
_SENSES = Senses(lambda: int(clock.now() * 1e9), clock.token_bytes)
_WANTED = EntityType.MON | EntityType.OSD | EntityType.MGR
_ASK_AGAIN_S = 5.0
_MODES = {"crc": handshake.MODE_CRC, "secure": handshake.MODE_SECURE}


class Credentials:
    """One client's name, key and tickets."""

    def __init__(self, settings: Settings, key: Key | None) -> None:
        self.global_id = 0
        self._settings = settings
        methods = settings.words("auth_client_required")
        self._may_be_none = "none" in methods
        self._wallet = None
        if key is not None and "cephx" in methods:
            self._wallet = Wallet(settings.entity, key, _SENSES, _WANTED)
        elif not self._may_be_none:
            raise Unauthorized(
                f"There is no key for {settings.entity} in {settings.text('keyring')}.",
                code="rados.no_key",
            )
        self._asked_at = -_ASK_AGAIN_S

    def client(self, peer_type: int) -> ClientAuth:
        """For one connection."""
        if self._wallet is None:
            return self._by_name()
        if peer_type != EntityType.MON:
            return ServiceClient(self._wallet, peer_type, self._modes("ms_client_mode"))
        mine = MonClient(self._wallet, self._modes("ms_mon_client_mode"))
        return _KeyOrName(self, mine) if self._may_be_none else mine

    def by_name(self) -> NoneClient:
        """The cluster asks nobody for a key: nor do we look for one any more."""
        self._wallet = None
        return self._by_name()

    def welcomed(self, conn: Connection) -> None:
        """A monitor let us in under a number."""
        if conn.identity is not None:
            self.global_id = conn.identity.global_id

    # Renewal, over the connection to a monitor

    @property
    def must_prove(self) -> bool:
        """Whether the ticket for tickets is soon over: a new connection to a monitor brings one."""
        return self._wallet is not None and self._wallet.is_due(EntityType.AUTH)

    def renew(self, mon: Connection) -> None:
        """Ask for tickets that are missing or half through their time; call every second or so."""
        wallet = self._wallet
        if wallet is None or clock.monotonic() < self._asked_at + _ASK_AGAIN_S:
            return
        due = wallet.due()
        if due and EntityType.AUTH in wallet.tickets:
            self._asked_at = clock.monotonic()
            mon.send(messages.encode(Auth(handshake.METHOD_CEPHX, wallet.ask_renewal(due))))

    def take(self, reply: AuthReply) -> None:
        """A monitor's answer."""
        if self._wallet is None:
            return
        try:
            if reply.result:
                raise Unauthorized(f"No tickets: error {-reply.result}.", code="ceph.ticket")
            self._wallet.take_renewal(reply.payload)
        except OctoError as error:
            _log.warning("no tickets", why=error.message)

    def _by_name(self) -> NoneClient:
        name = self._settings.entity.partition(".")[2]
        return NoneClient(EntityType.CLIENT, name, self.global_id)

    def _modes(self, setting: str) -> tuple[int, ...]:
        return tuple(_MODES[word] for word in self._settings.words(setting) if word in _MODES)


class _KeyOrName:
    """Proves the key; where the monitor takes names alone, and we may, says the name."""

    def __init__(self, credentials: Credentials, by_key: MonClient) -> None:
        self._credentials = credentials
        self._now: ClientAuth = by_key

    def begin(self, server_type: int) -> handshake.AuthRequest:
        return self._now.begin(server_type)

    def refused(self, answer: handshake.AuthBadMethod) -> handshake.AuthRequest:
        if handshake.METHOD_CEPHX in answer.methods or isinstance(self._now, NoneClient):
            return self._now.refused(answer)
        self._now = self._credentials.by_name()
        return self._now.begin(EntityType.MON)

    def more(self, payload: bytes) -> bytes:
        return self._now.more(payload)

    def done(self, answer: handshake.AuthDone) -> Granted:
        return self._now.done(answer)
