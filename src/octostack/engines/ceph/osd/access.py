# SPDX-License-Identifier: Apache-2.0
"""Who is let in by an OSD, what it may do, and how the OSD itself is let in elsewhere."""

from collections.abc import Iterable, Mapping

from octostack.base import clock, log
from octostack.base.errors import OctoError
from octostack.engines.ceph.osd import cls
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.auth_none import NoneClient, NoneServer
from octostack.wire.ceph.cephx import caps
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.cephx.client import MonClient, ServiceClient, Wallet, ask_rotating
from octostack.wire.ceph.cephx.server import Senses, ServiceServer
from octostack.wire.ceph.handshake import METHOD_CEPHX
from octostack.wire.ceph.link import ClientAuth, ServerAuth
from octostack.wire.ceph.messages.monitor import Auth, AuthReply
from octostack.wire.ceph.messages.osdop import OSDOp, RawOp

_log = log.get("ceph.osd")
_SENSES = Senses(lambda: int(clock.now() * 1e9), clock.token_bytes)
_RENEW_KEYS_S = 600.0
_READS, _WRITES, _CALL = 0x1000, 0x2000, 0x1401
_PROBE = caps.Target("")
_CACHED = 1024


class Access:
    """See the module's essay. Without a key: authentication is by name, and all may do all."""

    def __init__(self, number: int, key: Key | None) -> None:
        self._name = str(number)
        self._wallet = (
            Wallet(f"osd.{number}", key, _SENSES, EntityType.OSD | EntityType.MGR) if key else None
        )
        self._keys: dict[int, Key] = {}
        self._asked_at = 0.0
        self._rules: dict[str, tuple[caps.Rules, bool]] = {}

    @property
    def is_ready(self) -> bool:
        """Whether clients and other OSDs can be let in, and we by these."""
        if self._wallet is None:
            return True
        return bool(self._keys) and EntityType.OSD in self._wallet.tickets

    def client(self, peer_type: int) -> ClientAuth:
        """For a connection of ours."""
        if self._wallet is None:
            return NoneClient(EntityType.OSD, self._name)
        if peer_type == EntityType.MON:
            return MonClient(self._wallet)
        return ServiceClient(self._wallet, peer_type)

    def server(self) -> ServerAuth:
        """For a connection to us."""
        if self._wallet is None:
            return NoneServer(lambda: 0)
        return ServiceServer(self, _SENSES)

    def is_osd(self, conn: Connection) -> bool:
        """Whether at the other side is the OSD that it says it is."""
        if self._wallet is None or conn.identity is None:
            return True
        grant = conn.identity.grant  # none: we found it, and it has the key of OSDs
        return grant is None or grant.entity == f"osd.{conn.peer.number}"

    def find_service_key(self, service: int, secret_id: int) -> Key | None:
        """The key of OSDs with that id."""
        return self._keys.get(secret_id) if service == EntityType.OSD else None

    # Renewal, over the connection to a monitor

    def renew(self, mon: Connection) -> None:
        """Ask for what is due; call every second or so, and when a connection begins."""
        if self._wallet is None:
            return
        now = clock.monotonic()
        has_all = self._keys and EntityType.OSD in self._wallet.tickets
        pause = _RENEW_KEYS_S if has_all else 1.0
        if now < self._asked_at + pause:
            return
        self._asked_at = now
        self._ask(mon, ask_rotating())
        due = self._wallet.due()
        if due and EntityType.AUTH in self._wallet.tickets:
            self._ask(mon, self._wallet.ask_renewal(due))

    def take(self, reply: AuthReply) -> None:
        """A monitor's answer."""
        if self._wallet is None or reply.result:
            _log.warning("no tickets", result=reply.result)
            return
        try:
            keys = self._wallet.take_renewal(reply.payload)
        except OctoError as error:
            _log.warning("no tickets", why=error.message)
            return
        if keys is not None:
            self._keys = {one.id: one.key for one in keys}

    @staticmethod
    def _ask(mon: Connection, payload: bytes) -> None:
        mon.send(messages.encode(Auth(METHOD_CEPHX, payload)))

    # Capabilities

    def allows(
        self,
        conn: Connection,
        op: OSDOp,
        pool: str,
        applications: Mapping[str, Mapping[str, str]],
    ) -> bool:
        """Whether who sent the operation may do it."""
        if self._wallet is None:
            return True
        grant = conn.identity.grant if conn.identity is not None else None
        if grant is None:
            return False
        rules, is_all = self._rules_of(grant.caps)
        if is_all:
            return True
        need, classes = list_needs(op.ops)
        target = caps.Target(
            pool,
            op.locator.namespace.decode("utf-8", "surrogateescape"),
            op.name.decode("utf-8", "surrogateescape"),
            applications,
            classes,
        )
        return caps.osd_allows(rules, need, target, conn.peer_place[0])

    def allows_all(self, conn: Connection) -> bool:
        """Whether who is connected may do everything: give commands too."""
        if self._wallet is None:
            return True
        grant = conn.identity.grant if conn.identity is not None else None
        return grant is not None and self._rules_of(grant.caps)[1]

    def _rules_of(self, text: str) -> tuple[caps.Rules, bool]:
        """The rules, and whether they allow everything to everybody."""
        known = self._rules.get(text)
        if known is None:
            if len(self._rules) >= _CACHED:
                self._rules.clear()
            rules = caps.read(text)
            known = self._rules[text] = (rules, caps.osd_allows(rules, caps.ANY, _PROBE))
        return known


def list_needs(ops: Iterable[RawOp]) -> tuple[int, tuple[tuple[str, str, int], ...]]:
    """What a vector needs of the capabilities: R, W, and of each class's method its bits."""
    need = 0
    classes = []
    for one in ops:
        if one.code == _CALL:
            split, end = one.parameters[0], one.parameters[0] + one.parameters[1]
            name = bytes(one.payload[:split]).decode("utf-8", "replace")
            method = bytes(one.payload[split:end]).decode("utf-8", "replace")
            known = cls.find(name, method)
            bits = caps.CLASS_WRITE if known is not None and known.writes else caps.CLASS_READ
            classes.append((name, method, bits))
        elif one.code & _WRITES:
            need |= caps.W
        elif one.code & _READS:
            need |= caps.R
    return need, tuple(classes)
