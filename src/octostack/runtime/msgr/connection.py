# SPDX-License-Identifier: Apache-2.0
"""One connection of a messenger: a carrier, the link on it, and the session it belongs to.

A connection that we began finds its carrier again by itself when its session is lossless. What is
written while messages are being read leaves in one call at the end of the batch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from octostack.base import clock, log
from octostack.base.errors import OctoError, Unauthorized, Unavailable
from octostack.runtime import memory
from octostack.runtime.msgr.carrier import Carrier
from octostack.wire.ceph import handshake
from octostack.wire.ceph.addresses import Address, Addresses, EntityName
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Authenticated, Envelope, Event, Link, Outgoing
from octostack.wire.ceph.session import Outcome, Phase, Session

if TYPE_CHECKING:
    from octostack.runtime.msgr.messenger import Messenger

_log = log.get("msgr")

HANDSHAKE_TIMEOUT_S = 20.0
NOT_NOW_S = 0.5  # clients that are sent away come again at once
ACK_DELAY_S = 0.05  # by then most messages are answered, and the answer has said that they came
RETRY_S = 0.2
RETRY_MAX_S = 5.0
_STANDBY = Phase.STANDBY  # asked for each message
PENDING_MAX = 64 << 20  # bytes unsent: who does not read is not read from


class Connection:
    """See the module's essay. `state` is whatever the dispatcher keeps with it."""

    def __init__(self, messenger: Messenger, target: Address | None, peer_type: int) -> None:
        self.target = target  # None: the other side connected to us
        self.peer_type = peer_type
        self.session: Session | None = None
        self.identity: Authenticated | None = None
        self.state: Any = None
        self.tries = 0
        self.failure: OctoError | None = None  # why the last carrier was let go, where it is known
        self.answered_at = 0.0  # when the other side last answered a keepalive
        self._messenger = messenger
        self._carrier: Carrier | None = None
        self._link: Link | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ack_due: asyncio.TimerHandle | None = None
        self._reading = False
        self._flush_due = False
        self._paused = False
        self._early: list[Outgoing] = []
        self._ended = False

    @property
    def peer(self) -> EntityName:
        """Who is at the other side: the number is a global id, or the id of an OSD."""
        identity = self.identity
        if self.peer_type != 8 and self.session is not None:
            return EntityName(self.peer_type, self.session.peer_number)
        return EntityName(self.peer_type, identity.global_id if identity else -1)

    @property
    def peer_addresses(self) -> Addresses:
        """Where the other side says it is."""
        return self.session.peer if self.session is not None else ()

    @property
    def peer_place(self) -> tuple[str, int]:
        """Host and port as we see them."""
        return self._carrier.peer if self._carrier is not None else ("", 0)

    @property
    def is_open(self) -> bool:
        return self.session is not None and self.session.phase is Phase.OPEN

    @property
    def has_carrier(self) -> bool:
        """Whether it is open, or on its way to be."""
        return self._carrier is not None

    @property
    def is_closed(self) -> bool:
        return self._ended or (self.session is not None and self.session.phase is Phase.CLOSED)

    def send(self, message: Outgoing) -> None:
        """Send in order; lost with a lossy session, kept and repeated by a lossless one."""
        session = self.session
        if session is None:
            self._early.append(message)
            return
        if session.phase is _STANDBY:
            session.phase = Phase.CONNECTING
            self._messenger.reconnect(self, 0.0)
        session.send(message)
        self._flush_soon()

    def keepalive(self) -> None:
        """Ask whether the other side is there."""
        if self.is_open and self._link is not None:
            self._link.tell(handshake.Keepalive(self._messenger.now_ns()))
            self._flush_soon()

    def close(self) -> None:
        """End it, session and all; the dispatcher is told nothing."""
        self._ended = True
        if self._ack_due is not None:
            self._ack_due.cancel()
        if self.session is not None:
            self.session.close()
        self.drop_carrier()
        self._messenger.forget(self)

    # What the messenger calls

    def attach(self, carrier: Carrier, link: Link) -> None:
        """Begin, or begin again, over `carrier`."""
        self._carrier = carrier
        self._link = link
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HANDSHAKE_TIMEOUT_S, self._too_late)
        link.allocate_with(memory.take_aligned)
        link.start()
        carrier.attach(self)
        self.flush()

    def adopt(self, other: Connection) -> None:
        """Go on over the carrier of `other`, which has met our session again."""
        self.drop_carrier()
        self._carrier, self._link = other._carrier, other._link
        self.identity = other.identity
        other._carrier = other._link = None
        other.cancel_deadline()
        assert self._carrier is not None
        self._carrier.attach(self)

    def drop_carrier(self) -> None:
        """Let go of carrier and link."""
        self.cancel_deadline()
        if self._carrier is not None:
            self._carrier.close()
        self._carrier = self._link = None

    def cancel_deadline(self) -> None:
        """The handshake is done, or given up."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def hold(self) -> None:
        """Read no more until `release`."""
        if not self._paused and self._carrier is not None:
            self._paused = True
            self._carrier.pause()

    def release(self) -> None:
        """Read again."""
        if self._paused and self._carrier is not None:
            self._paused = False
            self._carrier.resume()

    # A carrier's sink

    def buffer(self) -> memoryview:
        """Where the next bytes go."""
        assert self._link is not None
        return self._link.buffer()

    def received(self, count: int) -> None:
        """Hear what came, tell the dispatcher, answer at once."""
        link = self._link
        assert link is not None
        self._reading = True
        try:
            for event in link.received(count):
                self._hear(event)
                if self._link is not link:
                    break
            if self.session is not None and self.session.owes and self._ack_due is None:
                loop = asyncio.get_running_loop()
                self._ack_due = loop.call_later(ACK_DELAY_S, self._acknowledge)
        except Unauthorized as error:
            self._refused(error)
        except Unavailable as error:
            self._not_now(error)
        except OctoError as error:
            self._broken(error)
        finally:
            self._reading = False
        self.flush()

    def drained(self) -> None:
        """What was written has left."""
        if self._messenger.may_read:
            self.release()

    def lost(self, reason: str) -> None:
        """The stream has ended."""
        self.drop_carrier()
        self._messenger.lost(self, reason)

    def flush(self) -> None:
        """Give the carrier what is to be sent."""
        self._flush_due = False
        link, carrier = self._link, self._carrier
        if link is None or carrier is None or not link.has_output:
            return
        carrier.write(link.take_output())
        if carrier.pending > PENDING_MAX:
            self.hold()

    # Within

    def _flush_soon(self) -> None:
        if not self._reading and not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _acknowledge(self) -> None:
        self._ack_due = None
        if self.session is not None:
            self.session.acknowledge()
            self.flush()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Envelope):
            session = self.session
            assert session is not None
            if session.accept(event):
                self._messenger.deliver(self, event)
            return
        if isinstance(event, Authenticated):
            self._authenticated(event)
            return
        if isinstance(event, handshake.ClientIdent):
            self._messenger.meet(self, event)
        elif isinstance(event, handshake.Reconnect):
            self._messenger.meet_again(self, event)
        elif isinstance(event, handshake.KeepaliveAck):
            self.answered_at = clock.monotonic()
        elif self.session is not None:
            self._answered(self.session.hear(event, self.target or Address()))

    def _authenticated(self, identity: Authenticated) -> None:
        self.identity = identity
        self.peer_type = identity.entity_type
        link = self._link
        assert link is not None
        if not link.is_client:
            return
        assert self.target is not None
        if self.session is None:
            self.session = self._messenger.new_session(self)
            for message in self._early:
                self.session.send(message)
            self._early.clear()
        self.session.begin(link, self.target, self._messenger.next_global_seq())

    def _answered(self, outcome: Outcome) -> None:
        match outcome:
            case Outcome.OPENED | Outcome.RESUMED:
                self.cancel_deadline()
                self.tries = 0
                self._messenger.opened(self, is_new=outcome is Outcome.OPENED)
            case Outcome.PEER_RESET:
                self._messenger.was_reset(self)
            case Outcome.WAIT:
                self.drop_carrier()  # theirs is on its way; if not, ours tries again
                self._messenger.reconnect(self, RETRY_MAX_S)
            case Outcome.REFUSED:
                raise Malformed("the other side wants what we have not")

    def link(self) -> Link:
        """The link of now; there is one while a handshake runs."""
        assert self._link is not None
        return self._link

    def _refused(self, error: Unauthorized) -> None:
        _log.warning("not let in", peer=str(self.target), why=error.message)
        self._failed(error)
        self._messenger.refused(self, error)

    def _not_now(self, error: Unavailable) -> None:
        """Who is not let in for the moment hears nothing for a while, and then that it is over."""
        self.hold()
        self.cancel_deadline()
        self._deadline = asyncio.get_running_loop().call_later(NOT_NOW_S, self._broken, error)

    def _broken(self, error: OctoError) -> None:
        _log.warning("connection dropped", peer=f"{self.peer_place}", why=error.message)
        self._failed(error)
        self._messenger.lost(self, error.message)

    def _failed(self, error: OctoError) -> None:
        """Keep why, but not the frames that it came through: these hold us, and so the buffers of
        each stranger that was sent away until the garbage is collected."""
        self.failure = error.with_traceback(None)
        error.__context__ = error.__cause__ = None
        self.drop_carrier()

    def _too_late(self) -> None:
        self._deadline = None
        self.drop_carrier()
        self._messenger.lost(self, "the handshake took too long")
