# SPDX-License-Identifier: Apache-2.0
"""One monitor among several, as a machine: calls with the time in, effects in order out.

What differs from Ceph's: the number of a proposal is the election's epoch, which no two leaders can
have used, as a monitor makes it durable before it follows a leader, and follows one in each. That
a value is committed is not written by itself but with the next thing that is: once all followers
have it on their disks no crash can undo it, and who comes back finds it as accepted.

A lease is good until a moment that the leader reckons from when the message was sent that all
followers have acknowledged last. A later leader without all monitors behind it commits nothing
before that moment has passed: so no answer under a lease is out of date, as far as the clocks agree
to `drift_s`.
"""

from typing import Final

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.election import WAIT, Ballot
from octostack.engines.ceph.mon.core.paxos.values import Message, Pending, Role, Times

SHARED_BYTES: Final = 4 << 20  # of versions in one message
NEVER: Final = float("inf")


class Machine:
    """See the module's essay. `out` holds the effects; who calls takes them away."""

    def __init__(self, rank: int, size: int, stored: v.Stored, times: Times, now: float) -> None:
        self.rank = rank
        self.size = size
        self.times = times
        self.epoch = stored.epoch
        self.first, self.last = stored.first, stored.last
        self.pending = stored.pending
        self.role = Role.ELECTING
        self.leader: int | None = None
        self.quorum: tuple[int, ...] = ()
        self.unreachable: set[int] = set()  # a hint of who makes connections
        self.skews: dict[int, float] = {}  # of followers' clocks, as the leader sees them
        self.out: list[v.Effect] = []
        self._log = dict(stored.log)
        self._log_bytes = sum(map(len, self._log.values()))
        self._ballot = Ballot(rank, size)
        self._deadline = NEVER
        self._leases_end = now + times.lease_s  # of leases that others may hold: not known
        self._until = 0.0  # our own lease
        self.is_active = False  # as leader: has collected, and commits
        self._quiet_until = 0.0
        self._found: list[Pending] = []
        self._answered: dict[int, v.Last] = {}
        self._accepted: set[int] = set()
        self._acked: dict[int, float] = {}
        self._renew_at = NEVER
        self._lease_sent, self._lease_of = 0.0, 0  # the last lease given, and its version
        self._others_lease = False  # may be held by monitors that the map has no more
        self._parts: dict[int, dict[str, bytes]] = {}
        self._parts_version = -1

    # What is true now

    def is_readable(self, now: float) -> bool:
        """Whether what is applied here is all that anybody was told is committed."""
        if self.size == 1:
            return self.is_active
        if self.role is Role.ELECTING or now >= self._until - self.times.drift_s:
            return False
        return self.is_active if self.role is Role.LEADER else self.pending is None

    def is_writable(self, now: float) -> bool:
        """Whether a value may be proposed."""
        return self.is_active and self.pending is None and now >= self._quiet_until

    @property
    def next_tick(self) -> float:
        """When `tick` is to be called."""
        quiet = self._quiet_until if self.is_active and self._quiet_until else NEVER
        return min(self._deadline, self._renew_at, quiet)

    # What happens

    def start(self, now: float) -> None:
        """Call an election."""
        self._turn(Role.ELECTING)
        if self.size == 1:
            self._set_epoch(self.epoch + 2 - self.epoch % 2)
            self._lead(now, (self.rank,))
            return
        if self.epoch % 2 == 0:
            self._set_epoch(self.epoch + 1)
        self._ballot.stand()
        for rank in range(self.size):
            if rank != self.rank:
                self._send(rank, v.Propose(self.epoch))
        self._deadline = now + self.times.election_s

    def reconfigure(self, now: float, rank: int, size: int) -> None:
        """The monitors are others, by a value that is committed: elect among these.

        Of the old ones and the new ones any two majorities meet, as they differ by one monitor. Who
        is one no more may still hold a lease: nothing is committed before that has ended.
        """
        self.rank, self.size = rank, size
        self.unreachable = set()
        self._ballot = Ballot(rank, size)
        self._others_lease = True
        self.start(now)

    def retire(self) -> None:
        """The map of monitors has us no more: nothing is promised from here on."""
        self._turn(Role.ELECTING)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if now >= self._deadline:
            if self._ballot.has_majority and self.role is Role.ELECTING:
                self._win(now)
            else:
                self.epoch += self._ballot.leader is not None  # it did not win: not in this epoch
                self.start(now)
            return
        if self.role is not Role.LEADER or not self.is_active:
            return
        if self._quiet_until and now >= self._quiet_until:
            self._quiet_until = 0.0
            self.out.append(v.Turned())
            if self.pending is not None and not self._accepted:
                self._begin(now, self.pending.value)
        if now >= self._renew_at:
            self._extend(now)

    def suspect(self, now: float, unreachable: set[int]) -> None:
        """Those cannot be connected to. A hint: an election comes sooner, or is over sooner."""
        self.unreachable = unreachable
        followed = {self.leader, self._ballot.leader} - {None}
        served = set(self.quorum) if self.role is Role.LEADER else set()
        if unreachable & (followed | served):
            self.start(now)
        elif self._ballot.is_won(unreachable):
            self._win(now)

    def propose(self, now: float, value: bytes) -> None:
        """Make `value` the next version; only while `is_writable`."""
        assert self.is_writable(now)
        self._begin(now, value)

    def receive(self, now: float, source: int, message: Message) -> None:
        """What another monitor says."""
        if isinstance(message, v.Propose):
            self._on_propose(now, source, message)
        elif isinstance(message, v.Defer):
            self._on_defer(now, source, message)
        elif isinstance(message, v.Victory):
            self._on_victory(now, source, message)
        elif message.epoch > self.epoch:
            self._set_epoch(message.epoch)  # what has happened went past us
            self.start(now)
        elif message.epoch == self.epoch:
            self._receive_in_term(now, source, message)

    def _receive_in_term(self, now: float, source: int, message: Message) -> None:
        if self.role is Role.LEADER and source in self.quorum:
            self._receive_as_leader(now, source, message)
        elif self.role is Role.PEON and source == self.leader:
            self._deadline = now + self.times.answer_s
            self._receive_as_peon(now, message)

    def _receive_as_leader(self, now: float, source: int, message: Message) -> None:
        match message:
            case v.Last():
                self._on_last(now, source, message)
            case v.Accept():
                self._on_accept(now, source, message)
            case v.LeaseAck():
                self._on_lease_ack(now, source, message)
            case v.SyncPart() if not self.is_active:
                self._deadline = now + self.times.answer_s
                if self._take_part(message):
                    self._collect(now)
            case _:
                pass

    def _receive_as_peon(self, now: float, message: Message) -> None:
        match message:
            case v.Collect():
                self._on_collect(now, message)
            case v.Begin():
                self._on_begin(message)
            case v.Commit():
                self._learn_all(message.values)
                self._commit_pending(message.version)
            case v.Lease():
                self._on_lease(now, message)
            case v.SyncAsk():
                self.out.append(v.Offer(self._leader(), self.epoch, self.last))
            case v.SyncPart():
                self._take_part(message)
            case _:
                pass

    # Elections

    def _on_propose(self, now: float, source: int, message: v.Propose) -> None:
        if message.epoch < self.epoch:
            if self.epoch % 2 == 0 and source not in self.quorum:
                self._send(source, v.Ahead(self.epoch))  # if it hears, it comes again
            return
        if message.epoch > self.epoch:
            self._turn(Role.ELECTING)
            self._set_epoch(message.epoch)
            self._ballot.join()
            self._deadline = now + self.times.election_s
        before = self._ballot.leader
        answer = self._ballot.judge(source, message)
        if isinstance(answer, v.Propose) and not self._ballot.is_mine:
            self.start(now)
        elif answer is not None:
            self._send(source, answer)
        if isinstance(answer, v.Defer) and source != before:
            self._deadline = now + WAIT * self.times.election_s

    def _on_defer(self, now: float, source: int, message: v.Defer) -> None:
        if message.epoch > self.epoch:
            self._set_epoch(message.epoch)
            self.start(now)
        elif message.epoch == self.epoch and self._ballot.is_mine:
            self._ballot.deferred.add(source)
            if self._ballot.is_won(self.unreachable):
                self._win(now)

    def _on_victory(self, now: float, source: int, message: v.Victory) -> None:
        if message.epoch <= self.epoch:
            return
        if message.epoch != self.epoch + 1 or self._ballot.leader != source:
            self._set_epoch(message.epoch)
            self.start(now)
            return
        self._set_epoch(message.epoch)
        self.leader, self.quorum = source, message.quorum
        self._turn(Role.PEON)
        self._deadline = now + self.times.answer_s

    def _win(self, now: float) -> None:
        quorum = tuple(sorted(self._ballot.deferred))
        self._set_epoch(self.epoch + 1)
        for rank in quorum:
            if rank != self.rank:
                self._send(rank, v.Victory(self.epoch, quorum))
        self._lead(now, quorum)

    def _lead(self, now: float, quorum: tuple[int, ...]) -> None:
        self.leader, self.quorum = self.rank, quorum
        self._turn(Role.LEADER)
        if len(quorum) < self.size or self._others_lease:
            self._quiet_until = self._leases_end + self.times.drift_s
        self._collect(now)

    def _turn(self, role: Role) -> None:
        """The role changes, and all that belonged to the one before is void."""
        if role is Role.ELECTING:
            self.leader, self.quorum = None, ()
            self.skews = {}
        self.role = role
        self._ballot.join()
        self.is_active = False
        self._until = 0.0
        self._quiet_until = 0.0
        self._renew_at = self._deadline = NEVER
        self._found, self._answered, self._acked = [], {}, {}
        self._accepted = set()
        self._parts = {}
        self.out.append(v.Turned())

    # A leader begins

    def _collect(self, now: float) -> None:
        self._answered = {}
        self._found = [self.pending] if self.pending is not None else []
        self._deadline = now + self.times.answer_s
        self._acked = dict.fromkeys(self._others(), now)
        for rank in self._others():
            self._send(rank, v.Collect(self.epoch, self.first, self.last))
        self._collected(now)

    def _on_collect(self, now: float, message: v.Collect) -> None:
        values = self._versions_after(message.last)
        before = self._leases_end  # of leases by earlier leaders; what we say is good for this one
        self._leases_end = max(before, now + self.times.lease_s)
        answer = v.Last(self.epoch, self.first, self.last, values, self.pending, before)
        self._send(self._leader(), answer)

    def _on_last(self, now: float, source: int, message: v.Last) -> None:
        if self.is_active:
            return
        self._learn_all(message.values)
        if message.last > self.last:
            if message.first > self.last + 1:
                self._send(source, v.SyncAsk(self.epoch))
            else:
                self._send(source, v.Collect(self.epoch, self.first, self.last))
            return
        self._answered[source] = message
        if message.pending is not None:
            self._found.append(message.pending)
        self._collected(now)

    def _collected(self, now: float) -> None:
        """When all have answered: share what is known, and go on with what was begun."""
        others = self._others()
        if len(self._answered) < len(others):
            return
        self.is_active = True
        self._deadline = NEVER
        for rank in others:
            self._share(rank, self._answered[rank].last)
            if len(self.quorum) < self.size or self._others_lease:
                ends = self._answered[rank].leases_end + self.times.drift_s
                self._quiet_until = max(self._quiet_until, ends)
        best = [one for one in self._found if one.version == self.last + 1]
        self.pending = max(best, key=lambda one: one.epoch) if best else None
        self._found = []
        if self.pending is None:
            self._extend(now)
        elif now >= self._quiet_until:
            self._begin(now, self.pending.value)
        if now >= self._quiet_until:
            self._quiet_until = 0.0
        self._others_lease = False
        self.out.append(v.Turned())

    def _share(self, rank: int, has: int) -> None:
        """Send what `rank` lacks: versions, or everything."""
        if has + 1 < self.first and has < self.last:
            self.out.append(v.Offer(rank, self.epoch, self.last))
            return
        while has < self.last:
            values = self._versions_after(has)
            has = max(values)
            self._send(rank, v.Commit(self.epoch, has, values))

    def _versions_after(self, has: int) -> dict[int, bytes]:
        """Those that follow `has`, as many as go in a message; none when some are trimmed."""
        found: dict[int, bytes] = {}
        size = 0
        if has + 1 < self.first:
            return found
        for version in range(has + 1, self.last + 1):
            value = self._log[version]
            size += len(value)
            if found and size > SHARED_BYTES:
                break
            found[version] = value
        return found

    # Values

    def _begin(self, now: float, value: bytes) -> None:
        version = self.last + 1
        if self.size == 1:
            self._learn(version, value, at_once=True)
            return
        for rank in self._others():
            self._send(rank, v.Begin(self.epoch, version, value))
        self.pending = Pending(version, self.epoch, value)
        self.out.append(v.Save(pending=self.pending))
        self._accepted = {self.rank}
        self._deadline = now + self.times.answer_s

    def _on_begin(self, message: v.Begin) -> None:
        self._commit_pending(message.version - 1)
        if message.version != self.last + 1:
            return  # some are missing: the leader will see that we do not accept
        self.pending = Pending(message.version, self.epoch, message.value)
        self.out.append(v.Save(pending=self.pending))
        self._send(self._leader(), v.Accept(self.epoch, message.version))

    def _on_accept(self, now: float, source: int, message: v.Accept) -> None:
        pending = self.pending
        if pending is None or not self._accepted or message.version != pending.version:
            return
        self._accepted.add(source)
        if self._accepted < set(self.quorum):
            return
        self._accepted = set()
        self._deadline = NEVER
        self._learn(pending.version, pending.value)
        for rank in self._others():
            self._send(rank, v.Commit(self.epoch, self.last))
        if self._renew_at == NEVER:
            self._extend(now)  # what an earlier leader had begun is done: reads may go on
        self.out.append(v.Turned())

    def _commit_pending(self, version: int) -> None:
        """What we accepted under this leader is committed."""
        pending = self.pending
        if pending is not None and pending.epoch == self.epoch and pending.version <= version:
            self._learn(pending.version, pending.value)

    def _learn_all(self, values: dict[int, bytes]) -> None:
        for version in sorted(values):
            if version == self.last + 1:
                self._learn(version, values[version])

    def _learn(self, version: int, value: bytes, *, at_once: bool = False) -> None:
        assert version == self.last + 1
        self.last = version
        self.pending = None
        kept = not at_once  # who is alone has nobody to bring up to date
        if kept:
            self._log[version] = value
            self._log_bytes += len(value)
        trimmed = self._trim(0 if at_once else self.times.kept)
        self.out.append(v.Learn(version, value, trimmed, at_once=at_once, is_kept=kept))

    def _trim(self, kept: int) -> tuple[int, ...]:
        trimmed = []
        for version in sorted(self._log):
            if len(self._log) <= kept and self._log_bytes <= self.times.kept_bytes:
                break
            self._log_bytes -= len(self._log.pop(version))
            trimmed.append(version)
        self.first = self.last + 1 - len(self._log)
        return tuple(trimmed)

    def _take_part(self, message: v.SyncPart) -> bool:
        """A part of everything; whether it was the last one that was missing."""
        if message.version <= self.last:
            return False
        if message.version != self._parts_version:
            self._parts, self._parts_version = {}, message.version
        self._parts[message.number] = message.pairs
        if len(self._parts) < message.count:
            return False
        pairs: dict[str, bytes] = {}
        for part in self._parts.values():
            pairs |= part
        self._parts = {}
        self._log, self._log_bytes = {}, 0
        self.last, self.first = message.version, message.version + 1
        self.pending = None
        self.out.append(v.Install(message.version, pairs))
        return True

    # Leases

    def _extend(self, now: float) -> None:
        """Renew what followers hold, by what they have acknowledged."""
        others = self._others()
        if not others:
            return
        acked = min(self._acked.values())
        if now - acked > self.times.answer_s:
            self.start(now)
            return
        until = acked + self.times.lease_s
        self._until = max(self._until, until)
        self._leases_end = max(self._leases_end, until)
        self._renew_at = now + self.times.renew_s
        self._lease_sent, self._lease_of = now, self.last
        for rank in others:
            self._send(rank, v.Lease(self.epoch, self.last, until, now))

    def _on_lease(self, now: float, message: v.Lease) -> None:
        self._commit_pending(message.version)
        self._leases_end = max(self._leases_end, now + self.times.lease_s)
        if message.version <= self.last:
            self._until = max(self._until, message.until)
        ack = v.LeaseAck(self.epoch, self.last, message.sent, now)
        self._send(self._leader(), ack)

    def _on_lease_ack(self, now: float, source: int, message: v.LeaseAck) -> None:
        self._acked[source] = max(self._acked[source], message.sent)
        self._measure(now, source, message)
        if self.is_active and message.sent == self._lease_sent and message.version < self._lease_of:
            self._share(source, message.version)

    def _measure(self, now: float, source: int, message: v.LeaseAck) -> None:
        """How far a follower's clock is off for certain: it was read between `sent` and now."""
        if message.clock > now:
            self.skews[source] = message.clock - now
        else:
            self.skews[source] = min(0.0, message.clock - message.sent)

    # Small things

    def _others(self) -> list[int]:
        return [rank for rank in self.quorum if rank != self.rank]

    def _leader(self) -> int:
        assert self.leader is not None
        return self.leader

    def _send(self, to: int, message: Message) -> None:
        self.out.append(v.Send(to, message))

    def _set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.out.append(v.Save(epoch=epoch))
