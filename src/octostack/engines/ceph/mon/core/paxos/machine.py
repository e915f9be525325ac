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

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.election import NEVER, Member
from octostack.engines.ceph.mon.core.paxos.history import History
from octostack.engines.ceph.mon.core.paxos.leases import Leases
from octostack.engines.ceph.mon.core.paxos.values import Members, Message, Pending, Role, Times


class Machine(Member):
    """See the module's essay. `out` holds the effects; who calls takes them away."""

    def __init__(self, members: Members, stored: v.Stored, times: Times, now: float) -> None:
        super().__init__(members, stored.epoch, times, now)
        self.history = History(stored, times)
        self.leases = Leases(times, now)
        self.is_active = False  # as leader: has collected, and commits
        self._is_retired = False
        self._quiet_until = 0.0
        self._found: list[Pending] = []
        self._answered: dict[int, v.Last] = {}
        self._accepted: set[int] = set()
        self._others_lease = False  # may be held by monitors that the map has no more

    # What is true now

    def is_readable(self, now: float) -> bool:
        """Whether what is applied here is all that anybody was told is committed."""
        if self.size == 1:
            return self.is_active and self.history.pending is None
        if self.role is Role.ELECTING or not self.leases.holds(now):
            return False
        return self.is_active if self.role is Role.LEADER else self.history.pending is None

    def is_writable(self, now: float) -> bool:
        """Whether a value may be proposed."""
        return self.is_active and self.history.pending is None and now >= self._quiet_until

    @property
    def next_tick(self) -> float:
        """When `tick` is to be called."""
        if self._is_retired:
            return NEVER
        quiet = self._quiet_until if self.is_active and self._quiet_until else NEVER
        return min(self._deadline, self._ping_at, self.leases.renew_at, quiet)

    # What happens

    def reconfigure(self, now: float, members: Members) -> None:
        """The monitors are others, by a value that is committed: elect among these.

        Of the old ones and the new ones any two majorities meet, as they differ by one monitor. Who
        is one no more may still hold a lease: nothing is committed before that has ended.
        """
        self._join(members, now)
        self._others_lease = True
        self._ping(now)
        self.start(now)

    def retire(self) -> None:
        """The map of monitors has us no more: nothing is promised from here on."""
        self._is_retired = True
        self._turn(Role.ELECTING)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if now >= self._ping_at:
            self._ping(now)
        if now >= self._deadline:
            self._time_up(now)
            return
        if self.role is not Role.LEADER or not self.is_active:
            return
        if self._quiet_until and now >= self._quiet_until:
            self._quiet_until = 0.0
            self.out.append(v.Turned())
            if self.history.pending is not None and not self._accepted:
                self._begin(now, self.history.pending.value)
        if now >= self.leases.renew_at:
            self._extend(now)

    def propose(self, now: float, value: bytes) -> None:
        """Make `value` the next version; only while `is_writable`."""
        assert self.is_writable(now)
        self._begin(now, value)

    def receive(self, now: float, source: int, message: Message) -> None:
        """What another monitor says."""
        is_new = not self.links.is_heard(now, source)
        self.links.hear(now, source)
        match message:
            case v.Ping():
                self._on_ping(now, source, message, is_new=is_new)
            case v.Propose():
                self._on_propose(now, source, message)
            case v.Defer():
                self._on_defer(now, source, message)
            case v.Victory():
                self._on_victory(now, source, message)
            case _ if message.epoch > self.epoch:
                if not self._is_left(source, message.epoch):
                    self._set_epoch(message.epoch)  # what has happened went past us
                    self.start(now)
            case _ if message.epoch == self.epoch:
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
                lacks = self.leases.acknowledge(now, source, message)
                if lacks and self.is_active:
                    self._share(source, message.version)
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
                self.out.append(v.Offer(self._leader(), self.epoch, self.history.last))
            case v.SyncPart():
                self._take_part(message)
            case _:
                pass

    def _turn(self, role: Role) -> None:
        super()._turn(role)
        self.is_active = False
        self._quiet_until = 0.0
        self.leases.void()
        self._found, self._answered = [], {}
        self._accepted = set()
        self.history.forget_parts()

    # A leader begins

    def _led(self, now: float) -> None:
        if len(self.quorum) < self.size or self._others_lease:
            self._quiet_until = self.leases.ends + self.times.drift_s
        self._collect(now)

    def _collect(self, now: float) -> None:
        history = self.history
        self._answered = {}
        self._found = [history.pending] if history.pending is not None else []
        self._deadline = now + self.times.answer_s
        self.leases.begin(now, self._followers())
        for rank in self._followers():
            self._send(rank, v.Collect(self.epoch, history.first, history.last))
        self._collected(now)

    def _on_collect(self, now: float, message: v.Collect) -> None:
        history = self.history
        values = history.list_after(message.last)
        ends = self.leases.promise(now)
        what = v.Last(self.epoch, history.first, history.last, values, history.pending, ends)
        self._send(self._leader(), what)

    def _on_last(self, now: float, source: int, message: v.Last) -> None:
        if self.is_active:
            return
        self._learn_all(message.values)
        history = self.history
        if message.last > history.last:
            if message.first > history.last + 1:
                self._send(source, v.SyncAsk(self.epoch))
            else:
                self._send(source, v.Collect(self.epoch, history.first, history.last))
            return
        self._answered[source] = message
        if message.pending is not None:
            self._found.append(message.pending)
        self._collected(now)

    def _collected(self, now: float) -> None:
        """When all have answered: share what is known, and go on with what was begun."""
        followers, history = self._followers(), self.history
        if len(self._answered) < len(followers):
            return
        self.is_active = True
        self._deadline = NEVER
        for rank in followers:
            self._share(rank, self._answered[rank].last)
            if len(self.quorum) < self.size or self._others_lease:
                ends = self._answered[rank].leases_end + self.times.drift_s
                self._quiet_until = max(self._quiet_until, ends)
        best = [one for one in self._found if one.version == history.last + 1]
        history.pending = max(best, key=lambda one: one.epoch) if best else None
        self._found = []
        if history.pending is None:
            self._extend(now)
        elif now >= self._quiet_until:
            self._begin(now, history.pending.value)
        if now >= self._quiet_until:
            self._quiet_until = 0.0
        self._others_lease = False
        self.out.append(v.Turned())

    def _share(self, rank: int, has: int) -> None:
        """Send what `rank` lacks: versions, or everything."""
        history = self.history
        if has + 1 < history.first and has < history.last:
            self.out.append(v.Offer(rank, self.epoch, history.last))
            return
        while has < history.last:
            values = history.list_after(has)
            has = max(values)
            self._send(rank, v.Commit(self.epoch, has, values))

    # Values

    def _begin(self, now: float, value: bytes) -> None:
        history = self.history
        version = history.last + 1
        if self.size == 1:
            self.out.append(history.learn_alone(version, value))
            return
        for rank in self._followers():
            self._send(rank, v.Begin(self.epoch, version, value))
        self._accept(version, value)
        self._accepted = {self.rank}
        self._deadline = now + self.times.answer_s

    def _on_begin(self, message: v.Begin) -> None:
        self._commit_pending(message.version - 1)
        if message.version != self.history.last + 1:
            return  # some are missing: the leader will see that we do not accept
        self._accept(message.version, message.value)
        self._send(self._leader(), v.Accept(self.epoch, message.version))

    def _accept(self, version: int, value: bytes) -> None:
        self.history.pending = Pending(version, self.epoch, value)
        self.out.append(v.Save(pending=self.history.pending))

    def _on_accept(self, now: float, source: int, message: v.Accept) -> None:
        pending = self.history.pending
        if pending is None or not self._accepted or message.version != pending.version:
            return
        self._accepted.add(source)
        if self._accepted < set(self.quorum):
            return
        self._accepted = set()
        self._deadline = NEVER
        self._learn(pending.version, pending.value)
        for rank in self._followers():
            self._send(rank, v.Commit(self.epoch, self.history.last))
        if self.leases.renew_at == NEVER:
            self._extend(now)  # what an earlier leader had begun is done: reads may go on
        self.out.append(v.Turned())

    def _commit_pending(self, version: int) -> None:
        """What we accepted under this leader is committed."""
        pending = self.history.pending
        if pending is not None and pending.epoch == self.epoch and pending.version <= version:
            self._learn(pending.version, pending.value)

    def _learn_all(self, values: dict[int, bytes]) -> None:
        for version in sorted(values):
            if version == self.history.last + 1:
                self._learn(version, values[version])

    def _learn(self, version: int, value: bytes) -> None:
        self.out.append(self.history.learn(version, value))

    def _take_part(self, message: v.SyncPart) -> bool:
        whole = self.history.take_part(message)
        if whole is not None:
            self.out.append(whole)
        return whole is not None

    # Leases

    def _extend(self, now: float) -> None:
        """Renew what followers hold, by what they have acknowledged."""
        followers = self._followers()
        if not followers:
            return
        lease = self.leases.give(now, self.epoch, self.history.last)
        if lease is None:
            self.start(now)
            return
        for rank in followers:
            self._send(rank, lease)

    def _on_lease(self, now: float, message: v.Lease) -> None:
        self._commit_pending(message.version)
        self.leases.take(now, message, has=message.version <= self.history.last)
        ack = v.LeaseAck(self.epoch, self.history.last, message.sent, now)
        self._send(self._leader(), ack)

    # Small things

    def _followers(self) -> list[int]:
        return [rank for rank in self.quorum if rank != self.rank]

    def _leader(self) -> int:
        assert self.leader is not None
        return self.leader
