# SPDX-License-Identifier: Apache-2.0
"""What cephx puts into boxes and payloads."""

from typing import Final

import msgspec

from octostack.wire.ceph.addresses import TYPE_NAMES, TYPES_BY_NAME, EntityType
from octostack.wire.ceph.cephx.boxes import Key, read_key, seal, unseal, write_key
from octostack.wire.ceph.codec import Malformed, Reader, Writer

GET_AUTH_SESSION_KEY: Final = 0x0100
GET_PRINCIPAL_SESSION_KEY: Final = 0x0200
GET_ROTATING_KEY: Final = 0x0400
_NO_AUID: Final = 0xFFFFFFFFFFFFFFFF


class Ticket(msgspec.Struct, frozen=True):
    """Who its holder is, until when, and what it may do; sealed for the service."""

    entity: str  # client.admin
    global_id: int
    created: int
    expires: int
    caps: str
    session_key: Key


class Blob(msgspec.Struct, frozen=True):
    """A sealed ticket, and which of the service's keys opens it. Id 0 and nothing: none."""

    secret_id: int = 0
    box: bytes = b""


class Given(msgspec.Struct, frozen=True):
    """What a client gets for one service."""

    service: int
    session_key: Key
    valid_for: int  # nanoseconds
    blob: Blob


class Authenticate(msgspec.Struct, frozen=True):
    """A client's proof to a monitor; `wanted` has the bits of services it wants tickets for."""

    client_challenge: int
    proof: int
    old_ticket: Blob
    wanted: int


class Authorize(msgspec.Struct, frozen=True):
    """A client's proof to a service, sealed by the session key."""

    nonce: int
    challenge_plus_one: int | None = None


class Authorizer(msgspec.Struct, frozen=True):
    """A ticket as it is shown, and the box with an Authorize."""

    global_id: int
    service: int
    blob: Blob
    box: bytes


class RotatingKey(msgspec.Struct, frozen=True):
    """One of a service's keys."""

    id: int
    key: Key
    expires: int


def split_entity(entity: str) -> tuple[int, str]:
    """``client.admin`` to (8, "admin"). Raises Malformed."""
    kind, dot, name = entity.partition(".")
    if kind not in TYPES_BY_NAME or not dot:
        raise Malformed(f"not an entity: {entity}")
    return TYPES_BY_NAME[kind], name


def _read_entity(r: Reader) -> str:
    kind = r.u32()
    if kind not in TYPE_NAMES:
        raise Malformed(f"an entity of type {kind}", r.position)
    return f"{TYPE_NAMES[EntityType(kind)]}.{r.string()}"


def _write_entity(w: Writer, entity: str) -> None:
    kind, name = split_entity(entity)
    w.u32(kind)
    w.string(name)


def _expect(r: Reader, *versions: int) -> int:
    version = r.u8()
    if version not in versions:
        raise Malformed(f"version {version} where {versions} are known", r.position)
    return version


# Tickets


def seal_ticket(key: Key, ticket: Ticket) -> bytes:
    """For the service that has the key."""

    def write(w: Writer) -> None:
        w.u8(1)
        w.u8(2)
        _write_entity(w, ticket.entity)
        w.u64(ticket.global_id)
        w.u64(_NO_AUID)
        w.utime(ticket.created)
        w.utime(ticket.expires)
        caps = Writer()
        caps.string(ticket.caps)
        w.u8(1)
        w.boolean(False)
        w.bytes(caps.done())
        w.u32(0)
        write_key(w, ticket.session_key)

    return seal(key, write)


def open_ticket(key: Key, box: bytes) -> Ticket:
    """Raises Malformed."""

    def read(r: Reader) -> Ticket:
        _expect(r, 1)
        _expect(r, 2)
        entity, global_id = _read_entity(r), r.u64()
        r.u64()
        created, expires = r.utime(), r.utime()
        _expect(r, 1)
        r.boolean()
        caps = Reader(r.view())
        r.u32()
        return Ticket(entity, global_id, created, expires, caps.string(), read_key(r))

    return unseal(key, box, read)


def read_blob(r: Reader) -> Blob:
    """u8 1, u64 id, str box."""
    _expect(r, 1)
    return Blob(r.u64(), r.bytes())


def write_blob(w: Writer, blob: Blob) -> None:
    """u8 1, u64 id, str box."""
    w.u8(1)
    w.u64(blob.secret_id)
    w.bytes(blob.box)


def write_given(w: Writer, key: Key, given: list[Given]) -> None:
    """Tickets, each with its session key sealed by `key`, which the client has."""
    w.u8(1)
    w.u32(len(given))
    for one in given:

        def write(box: Writer, one: Given = one) -> None:
            box.u8(1)
            write_key(box, one.session_key)
            box.utime(one.valid_for)

        w.u32(one.service)
        w.u8(1)
        w.bytes(seal(key, write))
        w.u8(0)  # the blob is not sealed once more
        blob = Writer()
        write_blob(blob, one.blob)
        w.bytes(blob.done())


def read_given(r: Reader, key: Key, old_key: Key | None = None) -> list[Given]:
    """The reverse; a blob may be sealed by the old session key."""

    def read_box(box: Reader) -> tuple[Key, int]:
        _expect(box, 1)
        return read_key(box), box.utime()

    _expect(r, 1)
    found = []
    for _ in range(r.count(14)):
        service = r.u32()
        _expect(r, 1)
        session_key, valid_for = unseal(key, r.view(), read_box)
        if r.boolean():
            if old_key is None:
                raise Malformed("a ticket sealed by a key that we do not have")
            blob = unseal(old_key, r.view(), lambda box: read_blob(Reader(box.view())))
        else:
            blob = read_blob(Reader(r.view()))
        found.append(Given(service, session_key, valid_for, blob))
    return found


# Proofs


def read_challenge(payload: bytes) -> int:
    """A server's challenge: u8 1, u64."""
    r = Reader(payload)
    _expect(r, 1)
    return r.u64()


def write_challenge(challenge: int) -> bytes:
    """u8 1, u64."""
    w = Writer()
    w.u8(1)
    w.u64(challenge)
    return w.done()


def read_authenticate(r: Reader) -> Authenticate:
    """After the request's header."""
    version = _expect(r, 1, 2, 3)
    challenge, proof, ticket = r.u64(), r.u64(), read_blob(r)
    return Authenticate(challenge, proof, ticket, r.u32() if version >= 2 else 0)


def write_authenticate(w: Writer, asked: Authenticate) -> None:
    """After the request's header."""
    w.u8(3)
    w.u64(asked.client_challenge)
    w.u64(asked.proof)
    write_blob(w, asked.old_ticket)
    w.u32(asked.wanted)


# Authorizers


def read_authorizer(r: Reader) -> Authorizer:
    """u8 1, global id, service, ticket, box."""
    _expect(r, 1)
    return Authorizer(r.u64(), r.u32(), read_blob(r), r.bytes())


def write_authorizer(w: Writer, shown: Authorizer) -> None:
    """u8 1, global id, service, ticket, box."""
    w.u8(1)
    w.u64(shown.global_id)
    w.u32(shown.service)
    write_blob(w, shown.blob)
    w.bytes(shown.box)


def seal_authorize(key: Key, message: Authorize) -> bytes:
    """What proves that one has the session key of a ticket."""

    def write(w: Writer) -> None:
        w.u8(2)
        w.u64(message.nonce)
        w.boolean(message.challenge_plus_one is not None)
        w.u64(message.challenge_plus_one or 0)

    return seal(key, write)


def open_authorize(key: Key, box: bytes) -> Authorize:
    """Raises Malformed."""

    def read(r: Reader) -> Authorize:
        version = _expect(r, 1, 2)
        nonce = r.u64()
        if version < 2 or not r.boolean():
            return Authorize(nonce)
        return Authorize(nonce, r.u64())

    return unseal(key, box, read)


def seal_authorize_reply(key: Key, nonce: int, connection_secret: bytes) -> bytes:
    """What proves that a service could open the ticket."""

    def write(w: Writer) -> None:
        w.u8(2 if connection_secret else 1)
        w.u64((nonce + 1) & _NO_AUID)
        if connection_secret:
            w.bytes(connection_secret)

    return seal(key, write)


def open_authorize_reply(key: Key, box: bytes) -> tuple[int, bytes]:
    """(the nonce plus one, the connection secret). Raises Malformed."""

    def read(r: Reader) -> tuple[int, bytes]:
        version = _expect(r, 1, 2)
        return r.u64(), r.bytes() if version >= 2 else b""

    return unseal(key, box, read)


# Rotating keys


def seal_rotating(key: Key, keys: list[RotatingKey]) -> bytes:
    """A service's keys, for a daemon of it."""

    def write(w: Writer) -> None:
        w.u8(1)
        w.u32(len(keys))
        for one in sorted(keys, key=lambda k: k.id):
            w.u64(one.id)
            w.u8(1)
            write_key(w, one.key)
            w.utime(one.expires)
        w.u64(max((one.id for one in keys), default=0))

    return seal(key, write)


def open_rotating(key: Key, box: bytes) -> list[RotatingKey]:
    """The reverse. Raises Malformed."""

    def read_one(r: Reader) -> RotatingKey:
        number = r.u64()
        _expect(r, 1)
        return RotatingKey(number, read_key(r), r.utime())

    def read(r: Reader) -> list[RotatingKey]:
        _expect(r, 1)
        return r.vector(lambda: read_one(r), 37)

    return unseal(key, box, read)
