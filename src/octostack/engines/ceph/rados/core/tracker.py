# SPDX-License-Identifier: Apache-2.0
"""Operations on their way: what is sent to which OSD, held back, sent again, answered.

A machine without I/O. It is told of operations, maps, replies, backoffs and of OSDs' sessions that
ended or are there again; it tells its `Port` what to send. What holds:

  - An operation has its number for life, so an OSD that has done it answers again and does not do
    it again. A new number is taken only after EAGAIN, which says that it was not done.
  - What goes to one OSD goes in the order of the numbers, also when it is sent again: so the
    writes of one client to one object keep their order.
  - Every epoch of the map is looked at, also those that came together: a primary that changed and
    changed back has forgotten what it was asked. Where epochs were missed, all is sent again.
  - An answer counts if it is from the OSD asked last, about the attempt made last.
"""

import errno
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.core.osdmap.placement import NOBODY
from octostack.engines.ceph.rados.core.aim import Target, View, aim
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages.client import Backoff, BackoffCode
from octostack.wire.ceph.messages.osdop import OSDOpReply
from octostack.wire.ceph.objects import SNAP_HEAD, HObject, Locator, ShardPG

Done = Callable[[OSDOpReply | OctoError], None]


class Op(Target):
    """One vector on its way."""

    name: bytes = b""
    locator: Locator = Locator()
    snap: int = SNAP_HEAD
    body: bytes = b""  # as `osdop.prepare` made it
    data: Buffer = b""
    mtime: int = 0
    done: Done = lambda _: None
    tid: int = 0
    attempt: int = -1  # of the last time it was sent; -1: it was not
    cost: int = 0  # bytes, for whoever bounds them
    deadline: float = 0.0  # for whoever gives up late ones
    sent_at: float = 0.0


class Linger(Target):
    """What an OSD must be told anew whenever its group moves or its session ends: a watch."""

    number: int = 0
    moved: Callable[[], None] = lambda: None
    gone: Callable[[OctoError], None] = lambda _: None


class Port(Protocol):
    """What the tracker needs done; none of it calls back at once."""

    def send(self, osd: int, op: Op, epoch: int) -> None:
        """Send it on the OSD's session, which is begun if there is none."""

    def close(self, osd: int) -> None:
        """The OSD is gone, or is at another address: end its session."""

    def acknowledge(self, osd: int, backoff: Backoff) -> None:
        """Tell the OSD that we hold back."""


class Session(msgspec.Struct):
    """One OSD: what it was asked, and what it asked us to hold back."""

    addresses: Addresses
    is_ready: bool = True  # False: it broke, and is about to be begun again
    is_kept: bool = False  # for other things than operations
    ops: dict[int, Op] = {}
    backoffs: dict[ShardPG, dict[int, Backoff]] = {}


class Tracker:
    """See the module's essay."""

    def __init__(self, port: Port, now: Callable[[], float]) -> None:
        self.view = View(OSDMap())
        self.sessions: dict[int, Session] = {}
        self.homeless: dict[int, Op] = {}
        self.lingers: dict[int, Linger] = {}
        self.in_flight = 0
        self.cost = 0
        self._port = port
        self._now = now
        self._next_tid = 1

    @property
    def epoch(self) -> int:
        """Of the map that operations go by."""
        return self.view.osdmap.epoch

    def ops(self) -> Iterator[Op]:
        """All that are on their way."""
        yield from self.homeless.values()
        for session in self.sessions.values():
            yield from session.ops.values()

    def new_tid(self) -> int:
        """A number that no operation had."""
        tid = self._next_tid
        self._next_tid += 1
        return tid

    # Operations

    def submit(self, op: Op) -> None:
        """Send it, or hold it until it may be sent."""
        self.in_flight += 1
        self.cost += op.cost
        self._start(op)

    def _start(self, op: Op) -> None:
        op.tid = self.new_tid()
        if aim(op, self.view) is None:
            self._end(op, _pool_gone(op.pool))
            return
        self._home(op)[op.tid] = op
        self._send(op)

    def cancel(self, op: Op) -> None:
        """Wait for it no more; an OSD that has it may do it all the same."""
        session = self.sessions.get(op.osd)
        home = self.homeless if session is None else session.ops
        if home.pop(op.tid, None) is not None:
            self.in_flight -= 1
            self.cost -= op.cost

    def reply(self, osd: int, reply: OSDOpReply) -> None:
        """An OSD's answer."""
        session = self.sessions.get(osd)
        op = session.ops.get(reply.tid) if session is not None else None
        if op is None or session is None:
            return  # answered before, or given up
        if reply.attempt not in (-1, op.attempt):
            return  # to an earlier attempt; another answer is on its way
        del session.ops[op.tid]
        if reply.result == -errno.EAGAIN:
            op.attempt, op.pg = -1, None
            self._start(op)
            return
        self._end(op, reply)

    def _end(self, op: Op, outcome: OSDOpReply | OctoError) -> None:
        self.in_flight -= 1
        self.cost -= op.cost
        op.done(outcome)

    def _home(self, op: Op) -> dict[int, Op]:
        return self.homeless if op.osd == NOBODY else self._session(op.osd).ops

    def _session(self, osd: int) -> Session:
        session = self.sessions.get(osd)
        if session is None:
            addresses = self.view.osdmap.client_addresses[osd]
            session = self.sessions[osd] = Session(addresses, ops={}, backoffs={})
        return session

    def _send(self, op: Op) -> None:
        if op.osd == NOBODY or op.is_paused:
            return
        session = self.sessions[op.osd]
        if not session.is_ready or (session.backoffs and _is_held(session, op)):
            return
        op.attempt += 1
        op.sent_at = self._now()
        self._port.send(op.osd, op, self.epoch)

    # Lingers

    def attach(self, linger: Linger) -> bool:
        """Tell it of moves from now on; False: its pool is gone."""
        self.lingers[linger.number] = linger
        if aim(linger, self.view) is None:
            del self.lingers[linger.number]
            return False
        return True

    def detach(self, linger: Linger) -> None:
        """Tell it of nothing any more."""
        self.lingers.pop(linger.number, None)

    # Maps

    def follow(self, maps: list[OSDMap], *, skipped: bool) -> None:
        """Newer maps, one after the other; `skipped`: there were others between them."""
        again: dict[int, Op] = {}
        moved: dict[int, Linger] = {}
        for osdmap in maps:
            self.view.follow(osdmap)
            self._scan(again, moved, force=skipped)
            self._close_sessions(again, moved)
        for tid in sorted(again):
            self._send(again[tid])
        for linger in moved.values():
            linger.moved()

    def _scan(self, again: dict[int, Op], moved: dict[int, Linger], *, force: bool) -> None:
        for op in list(self.ops()):
            home = self._home(op)
            verdict = aim(op, self.view)
            if verdict is None:
                del home[op.tid]
                again.pop(op.tid, None)
                self._end(op, _pool_gone(op.pool))
            elif verdict or force:
                del home[op.tid]
                self._home(op)[op.tid] = op
                again[op.tid] = op
        for linger in list(self.lingers.values()):
            verdict = aim(linger, self.view)
            if verdict is None:
                del self.lingers[linger.number]
                linger.gone(_pool_gone(linger.pool))
            elif verdict or force:
                moved[linger.number] = linger

    def _close_sessions(self, again: dict[int, Op], moved: dict[int, Linger]) -> None:
        """Of OSDs that are down, or have begun anew elsewhere."""
        for osd, session in list(self.sessions.items()):
            where = self.view.osdmap.client_addresses
            if self.view.is_up(osd) and where[osd] == session.addresses:
                continue
            self._port.close(osd)
            del self.sessions[osd]
            for op in session.ops.values():  # still its primary, at another address
                self._home(op)[op.tid] = op
                again[op.tid] = op
            moved |= {n: one for n, one in self.lingers.items() if one.osd == osd}

    # Sessions

    def broken(self, osd: int) -> None:
        """The session has ended: what it was asked waits until `restart`."""
        session = self.sessions.get(osd)
        if session is not None:
            session.is_ready = False
            session.backoffs.clear()

    def restart(self, osd: int) -> None:
        """There is a session again: all that was asked is asked again."""
        session = self.sessions.get(osd)
        if session is None:
            return
        session.is_ready = True
        for tid in sorted(session.ops):
            self._send(session.ops[tid])
        for linger in list(self.lingers.values()):
            if linger.osd == osd:
                linger.moved()

    def is_needed(self, osd: int) -> bool:
        """Whether there is anything to say to it; if not, its session is forgotten."""
        session = self.sessions.get(osd)
        if session is None:
            return False
        if session.ops or session.is_kept or any(o.osd == osd for o in self.lingers.values()):
            return True
        del self.sessions[osd]
        return False

    def touch(self, osd: int) -> None:
        """There is a session with it, for other things than operations."""
        self._session(osd).is_kept = True

    def backoff(self, osd: int, told: Backoff) -> None:
        """An OSD says that it cannot take operations on a range of objects, or that it can."""
        session = self.sessions.get(osd)
        if session is None:
            return
        held = session.backoffs
        if told.op == BackoffCode.BLOCK:
            held.setdefault(told.pg, {})[told.id] = told
            self._port.acknowledge(osd, told)
        elif told.op == BackoffCode.UNBLOCK:
            known = held.get(told.pg, {}).pop(told.id, None)
            if not held.get(told.pg):
                held.pop(told.pg, None)
            if known is not None:
                for tid in sorted(session.ops):
                    op = session.ops[tid]
                    if _covers(known, op):
                        self._send(op)


def _is_held(session: Session, op: Op) -> bool:
    assert op.pg is not None
    ranges = session.backoffs.get(ShardPG(op.pg, op.shard), {})
    return any(_covers(one, op) for one in ranges.values())


def _covers(backoff: Backoff, op: Op) -> bool:
    """A range of one object covers that one; another one what lies in it."""
    if op.pg != backoff.pg.pg or op.shard != backoff.pg.shard:
        return False
    what = object_of(op)
    low, at = backoff.begin.sort_key(), what.sort_key()
    if backoff.begin == backoff.end:
        return at == low
    return low <= at < backoff.end.sort_key()


def object_of(op: Op) -> HObject:
    """The object as groups order it."""
    at = op.locator
    return HObject(op.name, at.key, op.snap, op.hash, False, at.namespace, op.pool)


def _pool_gone(pool: int) -> OctoError:
    gone = error_of(-errno.ENOENT, f"pool {pool} is gone")
    assert isinstance(gone, NotFound)
    return gone
