# SPDX-License-Identifier: Apache-2.0
"""One connection of messenger v2.1 as a machine without I/O.

    read bytes into `buffer()`, say `received(n)`   ->  events
    `start`, `tell`, `send`                         ->  `take_output()`: buffers for the socket

Both roles run through the same states; the table below says which frames each may hear in each:

    BANNER -> HELLO -> AUTH -> SIGNATURE -> SESSION -> OPEN

Up to SESSION the link acts by itself, asking its authenticator. From there a `session.Session`
decides what is said: a link knows one connection, a session outlives it. Any frame out of place,
and any malformed one, raises Malformed and ends the link.
"""

import hmac
import struct
from enum import Enum
from typing import Final, Protocol

import msgspec

from octostack.wire.ceph import frames, handshake, secure
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.frames import Tag
from octostack.wire.ceph.handshake import Control

_HEADER = struct.Struct("<QQHHHIHQBHH")
_FLAGS = 3  # as every message of the real ones has
PRIORITY: Final = 127
PRIORITY_HIGH: Final = 196


class Outgoing(msgspec.Struct, gc=False):
    """A message to send: its type, encoding and parts."""

    type: int
    front: bytes
    version: int = 1
    compat: int = 1
    tid: int = 0
    data: Buffer = b""
    middle: bytes = b""
    priority: int = PRIORITY


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message as it came: header and undecoded parts."""

    type: int
    version: int
    compat: int
    tid: int
    seq: int
    ack_seq: int
    priority: int
    front: Buffer
    middle: Buffer
    data: Buffer


class Grant(msgspec.Struct, frozen=True):
    """Whom a server's authenticator let in, and the text of what it may do at this service."""

    entity: str  # client.admin
    global_id: int
    caps: str


class Authenticated(msgspec.Struct, frozen=True):
    """The other side has proved who it is; the session may begin."""

    entity_type: int
    global_id: int
    seen_as: Address  # our address, as the other side sees it
    grant: Grant | None  # who the client is, on the server's side


Event = Control | Authenticated | Envelope


class Refused(msgspec.Struct, frozen=True):
    """Not so: `result` is an errno below zero, and these methods and modes may be tried."""

    result: int
    methods: tuple[int, ...]
    modes: tuple[int, ...]


class More(msgspec.Struct, frozen=True):
    """One more round of authentication."""

    payload: bytes


class Granted(msgspec.Struct, frozen=True):
    """Authentication is done. No session key: signatures are zeros, the mode is crc."""

    global_id: int
    mode: int = handshake.MODE_CRC
    payload: bytes = b""
    session_key: bytes = b""
    connection_secret: bytes = b""
    grant: Grant | None = None


class ClientAuth(Protocol):
    """How a client proves who it is; one for each link."""

    def begin(self, server_type: int) -> handshake.AuthRequest:
        """The first request."""

    def refused(self, answer: handshake.AuthBadMethod) -> handshake.AuthRequest:
        """Another request. Raises Unauthorized when there is none to make."""

    def more(self, payload: bytes) -> bytes:
        """The answer to a server's question."""

    def done(self, answer: handshake.AuthDone) -> Granted:
        """What the server gave. Raises Malformed when it is not what we can open."""


class ServerAuth(Protocol):
    """How a server finds out who a client is; one for each link."""

    def request(self, client_type: int, asked: handshake.AuthRequest) -> Refused | More | Granted:
        """Judge a first request."""

    def more(self, payload: bytes) -> Refused | More | Granted:
        """Judge what followed a question."""


class State(Enum):
    """Where a link stands."""

    BANNER = 0
    HELLO = 1
    AUTH = 2
    SIGNATURE = 3
    SESSION = 4
    OPEN = 5
    CLOSED = 6


_BANNER, _OPEN = State.BANNER, State.OPEN  # asked for each message
_AS_CLIENT: Final = True
_AS_SERVER: Final = False
_OPEN_TAGS = frozenset({Tag.MESSAGE, Tag.KEEPALIVE2, Tag.KEEPALIVE2_ACK, Tag.ACK})
_MAY_HEAR: dict[tuple[State, bool], frozenset[Tag]] = {
    (State.HELLO, _AS_CLIENT): frozenset({Tag.HELLO}),
    (State.HELLO, _AS_SERVER): frozenset({Tag.HELLO}),
    (State.AUTH, _AS_CLIENT): frozenset({Tag.AUTH_BAD_METHOD, Tag.AUTH_REPLY_MORE, Tag.AUTH_DONE}),
    (State.AUTH, _AS_SERVER): frozenset({Tag.AUTH_REQUEST, Tag.AUTH_REQUEST_MORE}),
    (State.SIGNATURE, _AS_CLIENT): frozenset({Tag.AUTH_SIGNATURE}),
    (State.SIGNATURE, _AS_SERVER): frozenset({Tag.AUTH_SIGNATURE}),
    (State.SESSION, _AS_CLIENT): frozenset(
        {
            Tag.SERVER_IDENT,
            Tag.IDENT_MISSING_FEATURES,
            Tag.SESSION_RECONNECT_OK,
            Tag.SESSION_RESET,
            Tag.SESSION_RETRY,
            Tag.SESSION_RETRY_GLOBAL,
            Tag.WAIT,
        }
    ),
    (State.SESSION, _AS_SERVER): frozenset({Tag.CLIENT_IDENT, Tag.SESSION_RECONNECT}),
    (State.OPEN, _AS_CLIENT): _OPEN_TAGS,
    (State.OPEN, _AS_SERVER): _OPEN_TAGS,
}
_OPENS = (handshake.ServerIdent, handshake.ReconnectOk)  # sent or heard, after them messages flow
_AUTH_ROUNDS_MAX = 16


class Link:
    """See the module's essay. `client` or `server` is the authenticator, and tells the role."""

    def __init__(
        self,
        entity_type: int,
        peer_address: Address,
        *,
        client: ClientAuth | None = None,
        server: ServerAuth | None = None,
        message_bytes_max: int = frames.MESSAGE_BYTES_MAX,
    ) -> None:
        assert (client is None) != (server is None)
        self.state = State.BANNER
        self.is_client = client is not None
        self.peer_address = peer_address
        self.peer_type = 0
        self.seen_as = Address()
        self.identity: Authenticated | None = None
        self._entity_type = entity_type
        self._client = client
        self._server = server
        self._receiver = frames.Receiver(message_bytes_max)
        self._heard: bytearray | None = bytearray()
        self._said: bytearray | None = bytearray()
        self._seal: secure.Stream | None = None
        self._expected_signature = b""
        self._granted: Granted | None = None
        self._rounds = 0
        self._method = 0
        self._out: list[Buffer] = []

    # What the driver calls

    def start(self) -> None:
        """Say the banner."""
        self._put([handshake.BANNER])

    def allocate_with(self, allocate: frames.Allocate) -> None:
        """Where the memory for large messages comes from."""
        self._receiver.allocate = allocate

    def buffer(self) -> memoryview:
        """Where the next bytes from the socket go."""
        return self._receiver.buffer()

    def received(self, count: int) -> list[Event]:
        """`count` bytes came into `buffer()`. Raises Malformed, Unauthorized; both are final."""
        receiver = self._receiver
        receiver.received(count)
        events: list[Event] = []
        if self.state is _BANNER and not self._hear_banner():
            return events
        while (frame := receiver.next_frame()) is not None:
            if frame.tag == frames.MESSAGE and self.state is _OPEN:
                events.append(_envelope(frame.segments))
            else:
                self._hear(frame, events)
        return events

    def feed(self, data: bytes) -> list[Event]:
        """As `buffer` and `received`, for who has the bytes already."""
        events: list[Event] = []
        view = memoryview(data)
        while view:
            room = self.buffer()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            view = view[count:]
            events += self.received(count)
        return events

    def take_output(self) -> list[Buffer]:
        """What is to be sent, in order; it is then the caller's."""
        out, self._out = self._out, []
        return out

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    # What the session calls

    def tell(self, control: Control) -> None:
        """Send a control frame."""
        tag, segment = handshake.encode(control)
        self._put(frames.encode(tag, (segment,), self._seal))
        if isinstance(control, _OPENS):
            self.state = State.OPEN

    def send(self, message: Outgoing, seq: int, ack_seq: int) -> None:
        """Send a message under its number; only in state OPEN."""
        header = _HEADER.pack(
            seq,
            message.tid,
            message.type,
            message.priority,
            message.version,
            0,
            0,
            ack_seq,
            _FLAGS,
            message.compat,
            0,
        )
        segments = (header, message.front, message.middle, message.data)
        self._out += frames.encode(frames.MESSAGE, segments, self._seal)

    # Within

    def _put(self, buffers: list[Buffer]) -> None:
        self._out += buffers
        if self._said is not None:
            for buffer in buffers:
                self._said += buffer

    def _hear_banner(self) -> bool:
        data = self._receiver.take(handshake.BANNER_BYTES)
        if data is None:
            return False
        handshake.check_banner(data)
        assert self._heard is not None
        self._heard += data
        self._receiver.transcript = self._heard
        self.state = State.HELLO
        self.tell(handshake.Hello(self._entity_type, self.peer_address))
        return True

    def _hear(self, frame: frames.Frame, events: list[Event]) -> None:
        if frame.tag not in _MAY_HEAR.get((self.state, self.is_client), frozenset()):
            raise Malformed(f"a frame with tag {frame.tag} in state {self.state.name}")
        control = handshake.decode(frame.tag, frame.segments)
        match control:
            case handshake.Keepalive(stamp):
                self.tell(handshake.KeepaliveAck(stamp))
            case handshake.Hello():
                self._hear_hello(control)
            case handshake.AuthSignature(digest):
                self._hear_signature(digest, events)
            case _ if self.state is State.AUTH:
                if self._client is not None:
                    self._hear_as_client(control, self._client)
                else:
                    self._hear_as_server(control)
            case _:
                if isinstance(control, _OPENS):
                    self.state = State.OPEN
                events.append(control)

    def _hear_hello(self, hello: handshake.Hello) -> None:
        self.peer_type = hello.entity_type
        self.seen_as = hello.peer_address
        self.state = State.AUTH
        if self._client is not None:
            self.tell(self._client.begin(hello.entity_type))

    def _hear_as_client(self, control: Control, auth: ClientAuth) -> None:
        self._count_round()
        match control:
            case handshake.AuthBadMethod():
                self.tell(auth.refused(control))
            case handshake.AuthReplyMore(payload):
                self.tell(handshake.AuthRequestMore(auth.more(payload)))
            case handshake.AuthDone():
                self._settle(auth.done(control))

    def _hear_as_server(self, control: Control) -> None:
        assert self._server is not None
        self._count_round()
        if isinstance(control, handshake.AuthRequest):
            self._method = control.method
            verdict = self._server.request(self.peer_type, control)
        else:
            assert isinstance(control, handshake.AuthRequestMore)
            verdict = self._server.more(control.payload)
        match verdict:
            case Refused(result, methods, modes):
                self.tell(handshake.AuthBadMethod(self._method, result, methods, modes))
            case More(payload):
                self.tell(handshake.AuthReplyMore(payload))
            case Granted():
                done = handshake.AuthDone(verdict.global_id, verdict.mode, verdict.payload)
                self.tell(done)
                self._settle(verdict)

    def _count_round(self) -> None:
        self._rounds += 1
        if self._rounds > _AUTH_ROUNDS_MAX:
            raise Malformed("authentication does not come to an end")

    def _settle(self, granted: Granted) -> None:
        """Both sides know the key: change to the agreed mode, sign what was heard."""
        assert self._said is not None
        assert self._heard is not None
        self._expected_signature = _signature(granted.session_key, self._said)
        mine = _signature(granted.session_key, self._heard)
        self._said = self._heard = self._receiver.transcript = None
        if granted.mode == handshake.MODE_SECURE:
            self._seal, self._receiver.opener = secure.streams(
                granted.connection_secret, client=self.is_client
            )
        self._granted = granted
        self.state = State.SIGNATURE
        self.tell(handshake.AuthSignature(mine))

    def _hear_signature(self, digest: bytes, events: list[Event]) -> None:
        if not hmac.compare_digest(digest, self._expected_signature):
            raise Malformed("the other side signed something else than what we said")
        assert self._granted is not None
        granted, self._granted = self._granted, None
        self.state = State.SESSION
        self.identity = Authenticated(
            self.peer_type, granted.global_id, self.seen_as, granted.grant
        )
        events.append(self.identity)


def _signature(key: bytes, data: bytearray) -> bytes:
    return hmac.digest(key, data, "sha256") if key else bytes(handshake.SIGNATURE_BYTES)


def _envelope(segments: tuple[Buffer, ...]) -> Envelope:
    header = segments[0]
    if len(header) != _HEADER.size:
        raise Malformed(f"a message header of {len(header)} bytes")
    seq, tid, kind, priority, version, _, _, ack_seq, _, compat, _ = _HEADER.unpack(header)
    count = len(segments)
    return Envelope(
        kind,
        version,
        compat,
        tid,
        seq,
        ack_seq,
        priority,
        segments[1] if count > 1 else b"",
        segments[2] if count > 2 else b"",
        segments[3] if count > 3 else b"",
    )
