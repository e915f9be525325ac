# SPDX-License-Identifier: Apache-2.0
"""What outlives a connection between two entities: numbers, cookies, messages not yet acknowledged.

A lossy session (a client's) ends with its link. A lossless one (between OSDs, between monitors)
goes on: the side that notices makes a new link and says RECONNECT with both cookies; what the
other has not acknowledged is sent again under the same numbers, and what came before is dropped.

Two sides that connect to each other at once, and every other meeting of a new link with an old
session, are decided by `judge_ident` and `judge_reconnect`, in the order of Ceph's own rules
(doc/dev/msgr2.rst; ProtocolV2 of release 16.2): no state of theirs is touched there.
"""

from collections import deque
from enum import Enum
from typing import Final

import msgspec

from octostack.wire.ceph import handshake
from octostack.wire.ceph.addresses import Address, Addresses, msgr2, raw_sockaddr
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.handshake import Control
from octostack.wire.ceph.link import Envelope, Link, Outgoing


class Policy(msgspec.Struct, frozen=True):
    """How the two sides treat what they share."""

    lossy: bool
    is_server: bool  # waits to be connected to, never connects
    reset_check: bool = False  # a session that the other side forgot is forgotten here too


LOSSY_CLIENT: Final = Policy(lossy=True, is_server=False)
STATELESS_SERVER: Final = Policy(lossy=True, is_server=True)
LOSSLESS_PEER: Final = Policy(lossy=False, is_server=False, reset_check=True)
LOSSLESS_PEER_REUSE: Final = Policy(lossy=False, is_server=False)

ACK_AFTER: Final = (
    16  # messages unacknowledged, before an ACK is said without a message to carry it
)


class Phase(Enum):
    """Where a session stands."""

    CONNECTING = 0
    OPEN = 1
    STANDBY = 2  # lossless, no link, nothing to send
    CLOSED = 3


_OPEN = Phase.OPEN  # asked for each message


class Outcome(Enum):
    """What a control frame meant for who uses the session."""

    NOTHING = 0
    OPENED = 1
    RESUMED = 2
    PEER_RESET = 3  # the other side lost the session; a new one is being begun
    WAIT = 4  # the other side's own link will come
    REFUSED = 5


class Session:
    """See the module's essay. Use by one task; nothing here blocks."""

    def __init__(self, policy: Policy, mine: Addresses, number: int, cookie: int) -> None:
        self.policy = policy
        self.mine = mine
        self.number = number
        self.phase = Phase.CONNECTING
        self.link: Link | None = None
        self.peer: Addresses = ()
        self.peer_number = 0
        self.client_cookie = cookie  # of the side that connects; zero when lossy
        self.server_cookie = 0
        self.global_seq = 0
        self.peer_global_seq = 0
        self.connect_seq = 0
        self.in_seq = 0
        self.out_seq = 0
        self._queue: deque[Outgoing] = deque()
        self._sent: deque[tuple[int, Outgoing]] = deque()
        self._unacked_in = 0

    @property
    def has_work(self) -> bool:
        """Whether a broken lossless session needs a new link now."""
        return bool(self._queue or self._sent)

    @property
    def queued(self) -> int:
        """Messages that the other side has not got, as far as is known."""
        return len(self._queue) + len(self._sent)

    # Messages

    def send(self, message: Outgoing) -> None:
        """Send, now or when the session is open (again). A closed session forgets it."""
        if self.phase is _OPEN:
            self._send_now(message)
        elif self.phase is not Phase.CLOSED:
            self._queue.append(message)

    def accept(self, envelope: Envelope) -> bool:
        """Note the numbers of a message that came; False: it is one we have already."""
        if self.policy.lossy:
            self.in_seq = envelope.seq
            return True
        self.acknowledged(envelope.ack_seq)
        if envelope.seq <= self.in_seq:
            return False
        if envelope.seq != self.in_seq + 1:
            raise Malformed(f"message {envelope.seq} after {self.in_seq}")
        self.in_seq = envelope.seq
        self._unacked_in += 1
        if self._unacked_in >= ACK_AFTER:
            self.acknowledge()
        return True

    @property
    def owes(self) -> bool:
        """Whether something came that no message of ours has acknowledged yet."""
        return self._unacked_in > 0

    def acknowledge(self) -> None:
        """Say what came, when no message has carried it; call some time after it came."""
        if self._unacked_in and self.phase is Phase.OPEN and self.link is not None:
            self.link.tell(handshake.Ack(self.in_seq))
            self._unacked_in = 0

    def acknowledged(self, seq: int) -> None:
        """The other side has all up to `seq`."""
        sent = self._sent
        while sent and sent[0][0] <= seq:
            sent.popleft()

    def _send_now(self, message: Outgoing) -> None:
        assert self.link is not None
        self.out_seq += 1
        if not self.policy.lossy:
            self._sent.append((self.out_seq, message))
            self._unacked_in = 0
        self.link.send(message, self.out_seq, self.in_seq)

    # The side that connects

    def begin(self, link: Link, target: Address, global_seq: int) -> None:
        """The link is authenticated: say who we are, or what we go on with."""
        self.link = link
        self.phase = Phase.CONNECTING
        self.global_seq = global_seq
        if self.server_cookie:
            self.connect_seq += 1
            self._say_reconnect()
        else:
            self._say_ident(target)

    def hear(self, control: Control, target: Address) -> Outcome:
        """A frame of the connecting side's SESSION state, or an ACK."""
        match control:
            case handshake.Ack(seq):
                self.acknowledged(seq)
                return Outcome.NOTHING
            case handshake.ServerIdent():
                return self._hear_ident(control)
            case handshake.ReconnectOk(received_seq):
                self._resume(received_seq)
                return Outcome.RESUMED
            case handshake.Reset(full):
                self.reset() if full else self._forget_server()
                self._say_ident(target)
                return Outcome.PEER_RESET if full else Outcome.NOTHING
            case handshake.Retry(connect_seq):
                self.connect_seq = connect_seq + 1
                self._say_reconnect()
                return Outcome.NOTHING
            case handshake.RetryGlobal(global_seq):
                self.global_seq = max(self.global_seq, global_seq) + 1
                self._say_reconnect()
                return Outcome.NOTHING
            case handshake.Wait():
                return Outcome.WAIT
            case _:
                return Outcome.REFUSED

    def _hear_ident(self, ident: handshake.ServerIdent) -> Outcome:
        self.peer = ident.addresses
        self.peer_number = ident.number
        self.peer_global_seq = ident.global_seq
        self.server_cookie = ident.cookie
        self.policy = msgspec.structs.replace(
            self.policy, lossy=bool(ident.flags & handshake.FLAG_LOSSY)
        )
        self._open()
        return Outcome.OPENED

    def _say_ident(self, target: Address) -> None:
        assert self.link is not None
        self.link.tell(
            handshake.ClientIdent(
                self.mine,
                target,
                self.number,
                self.global_seq,
                handshake.FEATURES,
                handshake.FEATURES_REQUIRED,
                handshake.FLAG_LOSSY if self.policy.lossy else 0,
                0 if self.policy.lossy else self.client_cookie,
            )
        )

    def _say_reconnect(self) -> None:
        assert self.link is not None
        self.link.tell(
            handshake.Reconnect(
                self.mine,
                self.client_cookie,
                self.server_cookie,
                self.global_seq,
                self.connect_seq,
                self.in_seq,
            )
        )

    # The side that is connected to

    def take_ident(
        self, link: Link, ident: handshake.ClientIdent, cookie: int, global_seq: int
    ) -> None:
        """Answer a new session, or one whose client missed our last answer; `cookie` is ours.

        `global_seq` is our next one: it makes links stale that we began before.
        """
        self.link = link
        self.peer = ident.addresses
        self.peer_number = ident.number
        self.peer_global_seq = ident.global_seq
        self.client_cookie = ident.cookie
        lossy = bool(ident.flags & handshake.FLAG_LOSSY) or self.policy.lossy
        self.policy = msgspec.structs.replace(self.policy, lossy=lossy)
        if not lossy and not self.server_cookie:
            self.server_cookie = cookie
        link.tell(
            handshake.ServerIdent(
                self.mine,
                self.number,
                global_seq,
                handshake.FEATURES,
                handshake.FEATURES_REQUIRED,
                handshake.FLAG_LOSSY if lossy else 0,
                0 if lossy else self.server_cookie,
            )
        )
        self._open()

    def take_reconnect(self, link: Link, asked: handshake.Reconnect) -> None:
        """Go on over a new link."""
        self.link = link
        self.peer_global_seq = asked.global_seq
        self.connect_seq = asked.connect_seq
        link.tell(handshake.ReconnectOk(self.in_seq))
        self._resume(asked.received_seq)

    # Both

    def broken(self) -> None:
        """The link is gone."""
        self.link = None
        if self.policy.lossy:
            self.close()
        elif self.phase is not Phase.CLOSED:
            self.phase = Phase.CONNECTING if self.has_work else Phase.STANDBY

    def close(self) -> None:
        """Nothing is sent or heard any more."""
        self.phase = Phase.CLOSED
        self._queue.clear()
        self._sent.clear()

    def reset(self) -> None:
        """Forget the session with the other side, and all that was to be sent in it."""
        self._queue.clear()
        self._sent.clear()
        self.out_seq = 0
        self._forget_server()

    def _forget_server(self) -> None:
        """The other side knows nothing of the session: what it had not acknowledged goes again."""
        self._queue.extendleft(message for _, message in reversed(self._sent))
        self._sent.clear()
        self.out_seq = 0
        self.server_cookie = 0
        self.connect_seq = 0
        self.in_seq = 0
        self._unacked_in = 0

    def _resume(self, received_seq: int) -> None:
        """Send again what the other side has not got, under the numbers it had."""
        self.acknowledged(received_seq)
        self.phase = Phase.OPEN
        assert self.link is not None
        for seq, message in self._sent:
            self.link.send(message, seq, self.in_seq)
        self._drain()

    def _open(self) -> None:
        self.phase = Phase.OPEN
        if self._sent:  # the client did not hear our answer to its first greeting
            self._queue.extendleft(message for _, message in reversed(self._sent))
            self._sent.clear()
            self.out_seq = 0
        self._drain()

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            self._send_now(queue.popleft())


class Verdict(Enum):
    """What a new link does to the session that is there."""

    FRESH = 0  # a new session; one that is there is dropped
    ADOPT = 1  # the session goes on over the new link
    RESET = 2  # the same, after forgetting all it held
    WAIT = 3  # our own link to them wins
    STALE = 4  # the new link is older than what we know: close it


def judge_ident(ident: handshake.ClientIdent, existing: Session | None, mine: Addresses) -> Verdict:
    """A new link says CLIENT_IDENT while `existing` is what we have with that peer."""
    if existing is None or existing.phase is Phase.CLOSED:
        return Verdict.FRESH
    if existing.peer_global_seq > ident.global_seq:
        return Verdict.STALE
    if existing.policy.lossy:
        return Verdict.FRESH
    if existing.server_cookie and existing.client_cookie != ident.cookie:
        # a process of that address has begun anew, or forgot the session
        return Verdict.RESET
    if existing.client_cookie == ident.cookie or existing.phase is not Phase.CONNECTING:
        return Verdict.ADOPT
    return Verdict.ADOPT if _theirs_wins(ident.addresses, existing, mine) else Verdict.WAIT


def judge_reconnect(
    asked: handshake.Reconnect, existing: Session | None, mine: Addresses, *, reset_check: bool
) -> Verdict | handshake.Reset | handshake.Retry | handshake.RetryGlobal:
    """A new link says RECONNECT: ADOPT, WAIT, or the frame to answer with."""
    if existing is None or existing.phase is Phase.CLOSED:
        return handshake.Reset(reset_check)
    if existing.client_cookie != asked.client_cookie:
        return handshake.Reset(reset_check)
    if not existing.server_cookie:
        # our greeting arrived, their answer did not: nothing has passed, so nothing is forgotten
        return handshake.Reset(False)
    if existing.peer_global_seq > asked.global_seq:
        return handshake.RetryGlobal(existing.peer_global_seq)
    if existing.connect_seq > asked.connect_seq:
        return handshake.Retry(existing.connect_seq)
    if existing.connect_seq == asked.connect_seq and not _theirs_wins(
        asked.addresses, existing, mine
    ):
        return Verdict.WAIT
    return Verdict.ADOPT


def _theirs_wins(theirs: Addresses, existing: Session, mine: Addresses) -> bool:
    """Of two links begun at once the one from the lower address stays."""
    return existing.policy.is_server or order_of(theirs) < order_of(mine)


def order_of(addresses: Addresses) -> bytes:
    """The place of an entity among others, as Ceph compares addresses: byte by byte."""
    address = msgr2(addresses) or Address()
    numbers = address.kind.to_bytes(4, "little") + address.nonce.to_bytes(4, "little")
    return numbers + raw_sockaddr(address)
