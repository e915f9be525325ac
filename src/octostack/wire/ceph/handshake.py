# SPDX-License-Identifier: Apache-2.0
"""The control frames of messenger v2.1 as values: what each side says before messages flow."""

import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from octostack.wire.ceph.addresses import (
    Address,
    Addresses,
    read_address,
    read_addresses,
    write_address,
    write_addresses,
)
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.frames import Tag

MODE_CRC: Final = 1
MODE_SECURE: Final = 2
METHOD_NONE: Final = 1
METHOD_CEPHX: Final = 2
FLAG_LOSSY: Final = 1
SIGNATURE_BYTES: Final = 32

# What the daemons of release 16.2 advertise. With less, clients fall back to older encodings.
FEATURES: Final = 0x3F01CFBDFFFDFFFF
FEATURES_REQUIRED: Final = 1 << 59  # addresses of messenger v2

_PAYLOAD = struct.Struct("<8sHQQ")
_MAGIC = b"ceph v2\n"
_REVISION_1 = 1
BANNER: Final = _PAYLOAD.pack(_MAGIC, 16, _REVISION_1, 0)
BANNER_BYTES: Final = _PAYLOAD.size


def check_banner(data: bytes) -> None:
    """Raises Malformed when the other side does not speak v2.1, or wants what we have not."""
    magic, length, supported, required = _PAYLOAD.unpack(data)
    if magic != _MAGIC or length != 16:
        raise Malformed("the other side does not speak messenger v2")
    if required & ~_REVISION_1 or not supported & _REVISION_1:
        raise Malformed(f"no common revision: {supported:#x} offered, {required:#x} required")


class Hello(msgspec.Struct, frozen=True):
    """Who I am, and where I see you."""

    entity_type: int
    peer_address: Address


class AuthRequest(msgspec.Struct, frozen=True):
    """The client's method, the connection modes it would take, the method's own payload."""

    method: int
    modes: tuple[int, ...]
    payload: bytes


class AuthBadMethod(msgspec.Struct, frozen=True):
    """The server takes other methods or modes; `result` is a negative errno."""

    method: int
    result: int
    methods: tuple[int, ...]
    modes: tuple[int, ...]


class AuthReplyMore(msgspec.Struct, frozen=True):
    """The server's next question."""

    payload: bytes


class AuthRequestMore(msgspec.Struct, frozen=True):
    """The client's answer to it."""

    payload: bytes


class AuthDone(msgspec.Struct, frozen=True):
    """The client is known; the connection goes on in `mode`."""

    global_id: int
    mode: int
    payload: bytes


class AuthSignature(msgspec.Struct, frozen=True):
    """HMAC of all that was received so far, or zeros when there is no key."""

    digest: bytes


class ClientIdent(msgspec.Struct, frozen=True):
    """Begins a session. A `cookie` of zero: it ends with the connection."""

    addresses: Addresses
    target: Address
    number: int  # the global id of a client, the id of an OSD
    global_seq: int
    features: int
    required: int
    flags: int
    cookie: int


class ServerIdent(msgspec.Struct, frozen=True):
    """The session has begun."""

    addresses: Addresses
    number: int
    global_seq: int
    features: int
    required: int
    flags: int
    cookie: int


class MissingFeatures(msgspec.Struct, frozen=True):
    """What the client lacks."""

    features: int


class Reconnect(msgspec.Struct, frozen=True):
    """Goes on with a session after its connection broke."""

    addresses: Addresses
    client_cookie: int
    server_cookie: int
    global_seq: int
    connect_seq: int
    received_seq: int


class Reset(msgspec.Struct, frozen=True):
    """The session is unknown: begin a new one; `full` forgets what was queued as well."""

    full: bool


class Retry(msgspec.Struct, frozen=True):
    """`connect_seq` is behind this one."""

    connect_seq: int


class RetryGlobal(msgspec.Struct, frozen=True):
    """`global_seq` is behind this one."""

    global_seq: int


class ReconnectOk(msgspec.Struct, frozen=True):
    """Goes on; all up to `received_seq` arrived."""

    received_seq: int


class Wait(msgspec.Struct, frozen=True):
    """We are connecting to you at the same time: wait for that one."""


class Keepalive(msgspec.Struct, frozen=True):
    """Are you there? `stamp` in nanoseconds comes back."""

    stamp: int


class KeepaliveAck(msgspec.Struct, frozen=True):
    """Yes."""

    stamp: int


class Ack(msgspec.Struct, frozen=True):
    """All messages up to `seq` arrived."""

    seq: int


Control = (
    Hello
    | AuthRequest
    | AuthBadMethod
    | AuthReplyMore
    | AuthRequestMore
    | AuthDone
    | AuthSignature
    | ClientIdent
    | ServerIdent
    | MissingFeatures
    | Reconnect
    | Reset
    | Retry
    | RetryGlobal
    | ReconnectOk
    | Wait
    | Keepalive
    | KeepaliveAck
    | Ack
)

Codec = tuple[Callable[[Reader], Any], Callable[[Writer, Any], None]]


def _u32s(r: Reader) -> tuple[int, ...]:
    return tuple(r.numbers("I"))


def _u8_address(r: Reader) -> Hello:
    return Hello(r.u8(), read_address(r))


def _write_hello(w: Writer, v: Hello) -> None:
    w.u8(v.entity_type)
    write_address(w, v.peer_address)


def _read_bad_method(r: Reader) -> AuthBadMethod:
    return AuthBadMethod(r.u32(), r.s32(), _u32s(r), _u32s(r))


def _write_bad_method(w: Writer, v: AuthBadMethod) -> None:
    w.u32(v.method)
    w.s32(v.result)
    w.numbers("I", v.methods)
    w.numbers("I", v.modes)


def _write_auth_request(w: Writer, v: AuthRequest) -> None:
    w.u32(v.method)
    w.numbers("I", v.modes)
    w.bytes(v.payload)


def _write_auth_done(w: Writer, v: AuthDone) -> None:
    w.u64(v.global_id)
    w.u32(v.mode)
    w.bytes(v.payload)


def _read_signature(r: Reader) -> AuthSignature:
    return AuthSignature(bytes(r.take(SIGNATURE_BYTES)))


_SERVER_NUMBERS = struct.Struct("<qQQQQQ")
_RECONNECT_NUMBERS = struct.Struct("<QQQQQ")


def _read_client_ident(r: Reader) -> ClientIdent:
    return ClientIdent(read_addresses(r), read_address(r), *r.unpack(_SERVER_NUMBERS))


def _write_client_ident(w: Writer, v: ClientIdent) -> None:
    write_addresses(w, v.addresses)
    write_address(w, v.target)
    w.pack(_SERVER_NUMBERS, v.number, v.global_seq, v.features, v.required, v.flags, v.cookie)


def _read_server_ident(r: Reader) -> ServerIdent:
    return ServerIdent(read_addresses(r), *r.unpack(_SERVER_NUMBERS))


def _write_server_ident(w: Writer, v: ServerIdent) -> None:
    write_addresses(w, v.addresses)
    w.pack(_SERVER_NUMBERS, v.number, v.global_seq, v.features, v.required, v.flags, v.cookie)


def _read_reconnect(r: Reader) -> Reconnect:
    return Reconnect(read_addresses(r), *r.unpack(_RECONNECT_NUMBERS))


def _write_reconnect(w: Writer, v: Reconnect) -> None:
    write_addresses(w, v.addresses)
    w.pack(
        _RECONNECT_NUMBERS,
        v.client_cookie,
        v.server_cookie,
        v.global_seq,
        v.connect_seq,
        v.received_seq,
    )


_CODECS: dict[Tag, tuple[type[Any], Callable[[Reader], Any], Callable[[Writer, Any], None]]] = {
    Tag.HELLO: (Hello, _u8_address, _write_hello),
    Tag.AUTH_REQUEST: (
        AuthRequest,
        lambda r: AuthRequest(r.u32(), _u32s(r), r.bytes()),
        _write_auth_request,
    ),
    Tag.AUTH_BAD_METHOD: (AuthBadMethod, _read_bad_method, _write_bad_method),
    Tag.AUTH_REPLY_MORE: (
        AuthReplyMore,
        lambda r: AuthReplyMore(r.bytes()),
        lambda w, v: w.bytes(v.payload),
    ),
    Tag.AUTH_REQUEST_MORE: (
        AuthRequestMore,
        lambda r: AuthRequestMore(r.bytes()),
        lambda w, v: w.bytes(v.payload),
    ),
    Tag.AUTH_DONE: (
        AuthDone,
        lambda r: AuthDone(r.u64(), r.u32(), r.bytes()),
        _write_auth_done,
    ),
    Tag.AUTH_SIGNATURE: (AuthSignature, _read_signature, lambda w, v: w.raw(v.digest)),
    Tag.CLIENT_IDENT: (ClientIdent, _read_client_ident, _write_client_ident),
    Tag.SERVER_IDENT: (ServerIdent, _read_server_ident, _write_server_ident),
    Tag.IDENT_MISSING_FEATURES: (
        MissingFeatures,
        lambda r: MissingFeatures(r.u64()),
        lambda w, v: w.u64(v.features),
    ),
    Tag.SESSION_RECONNECT: (Reconnect, _read_reconnect, _write_reconnect),
    Tag.SESSION_RESET: (Reset, lambda r: Reset(r.boolean()), lambda w, v: w.boolean(v.full)),
    Tag.SESSION_RETRY: (Retry, lambda r: Retry(r.u64()), lambda w, v: w.u64(v.connect_seq)),
    Tag.SESSION_RETRY_GLOBAL: (
        RetryGlobal,
        lambda r: RetryGlobal(r.u64()),
        lambda w, v: w.u64(v.global_seq),
    ),
    Tag.SESSION_RECONNECT_OK: (
        ReconnectOk,
        lambda r: ReconnectOk(r.u64()),
        lambda w, v: w.u64(v.received_seq),
    ),
    Tag.WAIT: (Wait, lambda r: Wait(), lambda w, v: None),
    Tag.KEEPALIVE2: (Keepalive, lambda r: Keepalive(r.utime()), lambda w, v: w.utime(v.stamp)),
    Tag.KEEPALIVE2_ACK: (
        KeepaliveAck,
        lambda r: KeepaliveAck(r.utime()),
        lambda w, v: w.utime(v.stamp),
    ),
    Tag.ACK: (Ack, lambda r: Ack(r.u64()), lambda w, v: w.u64(v.seq)),
}
_TAGS: dict[type[Any], tuple[Tag, Callable[[Writer, Any], None]]] = {
    kind: (tag, write) for tag, (kind, _, write) in _CODECS.items()
}


def decode(tag: int, segments: tuple[Buffer, ...]) -> Control:
    """The control frame. Raises Malformed."""
    known = _CODECS.get(tag)  # type: ignore[call-overload]
    if known is None or len(segments) != 1:
        raise Malformed(f"not a control frame: tag {tag}, {len(segments)} segments")
    value: Control = known[1](Reader(segments[0]))
    return value


def encode(value: Control) -> tuple[Tag, bytes]:
    """The frame's tag and its segment."""
    tag, write = _TAGS[type(value)]
    w = Writer()
    write(w, value)
    return tag, w.done()
