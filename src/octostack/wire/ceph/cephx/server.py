# SPDX-License-Identifier: Apache-2.0
"""The side that is shown proofs: a monitor, which has all keys, and a service, which has its own.

A verdict is only ever EACCES: who asks is not told what was wrong.
"""

import hmac
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from octostack.wire.ceph import handshake, secure
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.auth_none import EACCES, EOPNOTSUPP, MODE_AUTHORIZER, read_claim
from octostack.wire.ceph.cephx import tickets
from octostack.wire.ceph.cephx.boxes import SECRET_BYTES, Key, proof, seal
from octostack.wire.ceph.cephx.keyring import Entry
from octostack.wire.ceph.cephx.tickets import Blob, Given, RotatingKey, Ticket
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.link import Grant, Granted, More, Refused

_HOUR_NS: Final = 3600 * 1_000_000_000
AUTH_TICKET_NS: Final = 72 * _HOUR_NS
SERVICE_TICKET_NS: Final = _HOUR_NS
SERVICES: Final = {
    EntityType.MON: "mon",
    EntityType.MDS: "mds",
    EntityType.OSD: "osd",
    EntityType.MGR: "mgr",
}
_MODES: Final = (handshake.MODE_SECURE, handshake.MODE_CRC)
_METHODS: Final = (handshake.METHOD_CEPHX,)
DENIED: Final = Refused(EACCES, _METHODS, _MODES)


class Senses(msgspec.Struct, frozen=True):
    """What a pure machine must be given of the world."""

    now_ns: Callable[[], int]
    random: Callable[[int], bytes]

    def number(self) -> int:
        """64 random bits."""
        return int.from_bytes(self.random(8), "little")

    def key(self) -> Key:
        """A new key."""
        return Key(self.random(SECRET_BYTES[1]), self.now_ns())


class ServiceKeys(Protocol):
    """The rotating keys that a service knows."""

    def find_service_key(self, service: int, secret_id: int) -> Key | None:
        """The key of that id, while it is good."""


class AllKeys(ServiceKeys, Protocol):
    """What a monitor knows."""

    def find_entry(self, entity: str) -> Entry | None:
        """An entity's key and caps."""

    def get_current(self, service: int) -> RotatingKey:
        """The key that new tickets of the service are sealed with."""


def pick_mode(asked: tuple[int, ...], allowed: tuple[int, ...]) -> int | None:
    """The first of the client's modes that we take."""
    return next((mode for mode in asked if mode in allowed), None)


class ServiceServer:
    """Authenticates who shows an authorizer; one for each link."""

    def __init__(self, keys: ServiceKeys, senses: Senses, modes: tuple[int, ...] = _MODES) -> None:
        self._keys = keys
        self._senses = senses
        self._modes = modes
        self._mode = 0
        self._challenge: int | None = None

    def request(self, client_type: int, asked: handshake.AuthRequest) -> Refused | More | Granted:
        """The authorizer alone: answered with a challenge, so that it cannot be shown again."""
        if asked.method != handshake.METHOD_CEPHX:
            return Refused(EOPNOTSUPP, _METHODS, self._modes)
        mode = pick_mode(asked.modes, self._modes)
        if mode is None:
            return DENIED
        self._mode = mode
        opened = self._open(asked.payload)
        if opened is None:
            return DENIED
        self._challenge = self._senses.number()
        box = seal(opened[0].session_key, _writer_of_challenge(self._challenge))
        return More(box)  # the one box without its length

    def more(self, payload: bytes) -> Refused | More | Granted:
        """The authorizer with the answer to the challenge."""
        opened = self._open(payload)
        challenge, self._challenge = self._challenge, None
        if opened is None or challenge is None:
            return DENIED
        ticket, message = opened
        if message.challenge_plus_one != (challenge + 1) & 0xFFFFFFFFFFFFFFFF:
            return DENIED
        is_secure = self._mode == handshake.MODE_SECURE
        secret = self._senses.random(secure.SECRET_BYTES) if is_secure else b""
        reply = tickets.seal_authorize_reply(ticket.session_key, message.nonce, secret)
        return Granted(
            ticket.global_id,
            self._mode,
            _string(reply),
            ticket.session_key.secret,
            secret,
            Grant(ticket.entity, ticket.global_id, ticket.caps),
        )

    def _open(self, payload: bytes) -> tuple[Ticket, tickets.Authorize] | None:
        shown = tickets.read_authorizer(Reader(payload))
        return open_authorizer(self._keys, shown, self._senses.now_ns())


def open_authorizer(
    keys: ServiceKeys, shown: tickets.Authorizer, now_ns: int
) -> tuple[Ticket, tickets.Authorize] | None:
    """The ticket and the proof; None when either is not good."""
    key = keys.find_service_key(shown.service, shown.blob.secret_id)
    if key is None:
        return None
    try:
        ticket = tickets.open_ticket(key, shown.blob.box)
        message = tickets.open_authorize(ticket.session_key, shown.box)
    except Malformed:
        return None
    if ticket.global_id != shown.global_id or ticket.expires < now_ns:
        return None
    return ticket, message


class MonServer:
    """Authenticates to a monitor who has a key of its own; one for each link."""

    def __init__(
        self,
        keys: AllKeys,
        senses: Senses,
        new_global_id: Callable[[], int],
        modes: tuple[int, ...] = _MODES,
    ) -> None:
        self._keys = keys
        self._senses = senses
        self._new_global_id = new_global_id
        self._modes = modes
        self._service: ServiceServer | None = None
        self._entity = ""
        self._claimed_id = 0
        self._mode = 0
        self._challenge: int | None = None

    def request(self, client_type: int, asked: handshake.AuthRequest) -> Refused | More | Granted:
        """A name is claimed: answered with a challenge, whether we know it or not."""
        if asked.method != handshake.METHOD_CEPHX:
            return Refused(EOPNOTSUPP, _METHODS, self._modes)
        if asked.payload[:1] == bytes((MODE_AUTHORIZER,)):
            self._service = ServiceServer(self._keys, self._senses, self._modes)
            return self._service.request(client_type, asked)
        mode = pick_mode(asked.modes, self._modes)
        claim = read_claim(asked.payload)
        if mode is None:
            return DENIED
        self._mode, self._entity, self._claimed_id = mode, claim.entity, claim.global_id
        self._challenge = self._senses.number()
        return More(tickets.write_challenge(self._challenge))

    def more(self, payload: bytes) -> Refused | More | Granted:
        """The proof: answered with tickets."""
        if self._service is not None:
            return self._service.more(payload)
        r = Reader(payload)
        challenge, self._challenge = self._challenge, None
        entry = self._keys.find_entry(self._entity)
        if challenge is None or r.u16() != tickets.GET_AUTH_SESSION_KEY:
            return DENIED
        asked = tickets.read_authenticate(r)
        if entry is None:
            return DENIED
        right = proof(entry.key, challenge, asked.client_challenge)
        if not hmac.compare_digest(right.to_bytes(8, "big"), asked.proof.to_bytes(8, "big")):
            return DENIED
        if self._claimed_id and not self._had(asked.old_ticket):
            return DENIED
        return self._grant(entry, asked)

    def _had(self, old: Blob) -> bool:
        """Whether the ticket shows that the global id is this entity's."""
        key = self._keys.find_service_key(EntityType.AUTH, old.secret_id)
        if key is None:
            return False
        try:
            ticket = tickets.open_ticket(key, old.box)
        except Malformed:
            return False
        return ticket.global_id == self._claimed_id and ticket.entity == self._entity

    def _grant(self, entry: Entry, asked: tickets.Authenticate) -> Granted:
        senses = self._senses
        global_id = self._claimed_id or self._new_global_id()
        who = Holder(self._entity, global_id, entry)
        first = give(self._keys, senses, who, EntityType.AUTH)
        session = first.session_key
        is_secure = self._mode == handshake.MODE_SECURE
        secret = senses.random(secure.SECRET_BYTES) if is_secure else b""
        w = Writer()
        write_header(w, tickets.GET_AUTH_SESSION_KEY)
        tickets.write_given(w, entry.key, [first])
        w.bytes(_string(seal(session, lambda box: box.bytes(secret))))
        extra = give_wanted(self._keys, senses, who, asked.wanted)
        inner = Writer()
        if extra:
            tickets.write_given(inner, session, extra)
        w.bytes(inner.done())
        grant = Grant(self._entity, global_id, entry.caps.get("mon", ""))
        return Granted(global_id, self._mode, w.done(), session.secret, secret, grant)


class Holder(msgspec.Struct, frozen=True):
    """For whom a ticket is."""

    entity: str
    global_id: int
    entry: Entry


def give(keys: AllKeys, senses: Senses, who: Holder, service: int) -> Given:
    """A ticket for one service, with a new session key."""
    now, session = senses.now_ns(), senses.key()
    valid_for = AUTH_TICKET_NS if service == EntityType.AUTH else SERVICE_TICKET_NS
    caps = who.entry.caps.get(SERVICES.get(EntityType(service), "mon"), "")
    ticket = Ticket(who.entity, who.global_id, now, now + valid_for, caps, session)
    current = keys.get_current(service)
    blob = Blob(current.id, tickets.seal_ticket(current.key, ticket))
    return Given(service, session, valid_for, blob)


def give_wanted(keys: AllKeys, senses: Senses, who: Holder, wanted: int) -> list[Given]:
    """Tickets for each service whose bit is set, as far as the entity has caps there."""
    return [
        give(keys, senses, who, service)
        for service, name in SERVICES.items()
        if wanted & service and name in who.entry.caps
    ]


def answer_renewal(keys: AllKeys, senses: Senses, entity: str, payload: bytes) -> bytes | None:
    """What a client of a session that is open gets for its auth message; None: refused.

    Tickets for the bits it names, or, for a daemon, the rotating keys of its own service.
    """
    r = Reader(payload)
    kind = r.u16()
    entry = keys.find_entry(entity)
    if entry is None:
        return None
    w = Writer()
    write_header(w, kind)
    if kind == tickets.GET_ROTATING_KEY:
        service, _ = tickets.split_entity(entity)
        if service not in SERVICES:
            return None
        w.bytes(tickets.seal_rotating(entry.key, _rotating(keys, service)))
        return w.done()
    if kind != tickets.GET_PRINCIPAL_SESSION_KEY:
        return None
    opened = open_authorizer(keys, tickets.read_authorizer(r), senses.now_ns())
    if opened is None or opened[0].entity != entity:
        return None
    r.u8()
    ticket = opened[0]
    who = Holder(entity, ticket.global_id, entry)
    tickets.write_given(w, ticket.session_key, give_wanted(keys, senses, who, r.u32()))
    return w.done()


def _rotating(keys: AllKeys, service: int) -> list[RotatingKey]:
    current = keys.get_current(service)
    found = []
    for number in (current.id - 1, current.id, current.id + 1):
        key = keys.find_service_key(service, number)
        if key is not None:
            found.append(RotatingKey(number, key, current.expires))
    return found


def write_header(w: Writer, kind: int, status: int = 0) -> None:
    """Of every answer."""
    w.u16(kind)
    w.s32(status)


def _writer_of_challenge(challenge: int) -> Callable[[Writer], None]:
    return lambda w: w.raw(tickets.write_challenge(challenge))


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
