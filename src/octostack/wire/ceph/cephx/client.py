# SPDX-License-Identifier: Apache-2.0
"""The side that proves itself: to a monitor by its key, to services by tickets."""

from typing import Final

from octostack.base.errors import Unauthorized
from octostack.wire.ceph import handshake
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.auth_none import MODE_MON, Claim, write_claim
from octostack.wire.ceph.cephx import tickets
from octostack.wire.ceph.cephx.boxes import Key, proof, unseal
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.cephx.tickets import Blob, Given, RotatingKey
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.link import Granted

_TO_MON: Final = (handshake.MODE_SECURE, handshake.MODE_CRC)
_TO_SERVICE: Final = (handshake.MODE_CRC, handshake.MODE_SECURE)


class Wallet:
    """An entity's key and the tickets it has."""

    def __init__(self, entity: str, key: Key, senses: Senses, wanted: int) -> None:
        self.entity = entity
        self.key = key
        self.senses = senses
        self.wanted = wanted  # bits of services
        self.global_id = 0
        self.tickets: dict[int, Given] = {}
        self._until: dict[int, int] = {}

    def put(self, given: list[Given]) -> None:
        """Keep new tickets."""
        now = self.senses.now_ns()
        for one in given:
            self.tickets[one.service] = one
            self._until[one.service] = now + one.valid_for

    def due(self) -> int:
        """The bits of services whose ticket is missing, or half through its time."""
        services = (1 << shift for shift in range(5))
        return sum(one for one in services if self.wanted & one and self.is_due(one))

    def is_due(self, service: int) -> bool:
        """Whether the ticket of a service is missing, or half through its time."""
        given = self.tickets.get(service)
        left = self._until.get(service, 0) - self.senses.now_ns()
        return given is None or left < given.valid_for // 2

    def authorizer(self, service: int, challenge_plus_one: int | None, nonce: int) -> bytes:
        """A ticket as it is shown. Raises Unauthorized when there is none."""
        given = self.tickets.get(service)
        if given is None:
            raise Unauthorized(f"There is no ticket for service {service}.", code="ceph.ticket")
        message = tickets.Authorize(nonce, challenge_plus_one)
        box = tickets.seal_authorize(given.session_key, message)
        w = Writer()
        tickets.write_authorizer(w, tickets.Authorizer(self.global_id, service, given.blob, box))
        return w.done()

    def ask_renewal(self, bits: int) -> bytes:
        """The payload of an auth message that asks a monitor for tickets."""
        w = Writer()
        w.u16(tickets.GET_PRINCIPAL_SESSION_KEY)
        w.raw(self.authorizer(EntityType.AUTH, None, self.senses.number()))
        w.u8(1)
        w.u32(bits)
        return w.done()

    def take_renewal(self, payload: bytes) -> list[RotatingKey] | None:
        """The answer: new tickets are kept, rotating keys are returned. Raises Malformed."""
        r = Reader(payload)
        kind, status = r.u16(), r.s32()
        if status:
            raise Unauthorized(f"No tickets: error {-status}.", code="ceph.ticket")
        if kind == tickets.GET_ROTATING_KEY:
            return tickets.open_rotating(self.key, r.bytes())
        given = self.tickets.get(EntityType.AUTH)
        if kind != tickets.GET_PRINCIPAL_SESSION_KEY or given is None:
            raise Malformed(f"an answer of type {kind:#x}")
        self.put(tickets.read_given(r, given.session_key))
        return None


def ask_rotating() -> bytes:
    """The payload of an auth message by which a daemon asks for its service's keys."""
    w = Writer()
    w.u16(tickets.GET_ROTATING_KEY)
    return w.done()


class MonClient:
    """Proves a key to a monitor; the tickets go to the wallet."""

    def __init__(self, wallet: Wallet, modes: tuple[int, ...] = _TO_MON) -> None:
        self._wallet = wallet
        self._modes = modes
        self._shown: Given | None = None  # the ticket by which we keep our global id

    def begin(self, server_type: int) -> handshake.AuthRequest:
        """The name, and the global id when there is one to keep."""
        wallet = self._wallet
        kind, name = tickets.split_entity(wallet.entity)
        payload = write_claim(Claim(MODE_MON, kind, name, wallet.global_id))
        return handshake.AuthRequest(handshake.METHOD_CEPHX, self._modes, payload)

    def refused(self, answer: handshake.AuthBadMethod) -> handshake.AuthRequest:
        """The key is not good, or the ticket that kept the global id: try once without it."""
        if self._wallet.global_id and answer.result == -13:
            self._wallet.global_id = 0
            self._wallet.tickets.clear()
            return self.begin(EntityType.MON)
        raise Unauthorized(
            f"{self._wallet.entity} is not let in: error {-answer.result}.", code="ceph.auth"
        )

    def more(self, payload: bytes) -> bytes:
        """The proof."""
        wallet = self._wallet
        server_challenge = tickets.read_challenge(payload)
        mine = wallet.senses.number()
        self._shown = shown = wallet.tickets.get(EntityType.AUTH)
        asked = tickets.Authenticate(
            mine,
            proof(wallet.key, server_challenge, mine),
            shown.blob if shown else Blob(),
            wallet.wanted | EntityType.AUTH,
        )
        w = Writer()
        w.u16(tickets.GET_AUTH_SESSION_KEY)
        tickets.write_authenticate(w, asked)
        return w.done()

    def done(self, answer: handshake.AuthDone) -> Granted:
        """Keep what was given."""
        wallet = self._wallet
        r = Reader(answer.payload)
        if r.u16() != tickets.GET_AUTH_SESSION_KEY or r.s32() != 0:
            raise Malformed("an answer without tickets")
        old_key = self._shown.session_key if self._shown else None
        given = tickets.read_given(r, wallet.key, old_key)
        first = next((one for one in given if one.service == EntityType.AUTH), None)
        if first is None:
            raise Malformed("an answer without the first ticket")
        session = first.session_key
        secret = unseal(session, Reader(r.view()).view(), lambda box: box.bytes())
        extra = Reader(r.view()) if r.left else None
        if extra is not None and extra.left:
            given += tickets.read_given(extra, session)
        wallet.global_id = answer.global_id
        wallet.put(given)
        return Granted(answer.global_id, answer.mode, b"", session.secret, secret)


class ServiceClient:
    """Shows a ticket to an OSD, a manager, or a monitor as one of many."""

    def __init__(self, wallet: Wallet, service: int, modes: tuple[int, ...] = _TO_SERVICE) -> None:
        self._wallet = wallet
        self._modes = modes
        self._service = service
        self._nonce = wallet.senses.number()

    def begin(self, server_type: int) -> handshake.AuthRequest:
        """The authorizer. Raises Unauthorized without a ticket."""
        payload = self._wallet.authorizer(self._service, None, self._nonce)
        return handshake.AuthRequest(handshake.METHOD_CEPHX, self._modes, payload)

    def refused(self, answer: handshake.AuthBadMethod) -> handshake.AuthRequest:
        """The ticket is not good any more: the next connection needs another."""
        self._wallet.tickets.pop(self._service, None)
        raise Unauthorized(f"The ticket was refused: error {-answer.result}.", code="ceph.ticket")

    def more(self, payload: bytes) -> bytes:
        """The authorizer with the answer to the challenge."""
        challenge = unseal(self._session_key(), payload, lambda r: (r.u8(), r.u64())[1])
        plus_one = (challenge + 1) & 0xFFFFFFFFFFFFFFFF
        return self._wallet.authorizer(self._service, plus_one, self._nonce)

    def done(self, answer: handshake.AuthDone) -> Granted:
        """The service could open the ticket: so it is the one we mean."""
        key = self._session_key()
        nonce, secret = tickets.open_authorize_reply(key, Reader(answer.payload).bytes())
        if nonce != (self._nonce + 1) & 0xFFFFFFFFFFFFFFFF:
            raise Malformed("a service's answer to another question")
        return Granted(self._wallet.global_id, answer.mode, b"", key.secret, secret)

    def _session_key(self) -> Key:
        given = self._wallet.tickets.get(self._service)
        if given is None:
            raise Unauthorized("The ticket is gone.", code="ceph.ticket")
        return given.session_key
