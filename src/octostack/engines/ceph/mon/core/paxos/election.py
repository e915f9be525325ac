# SPDX-License-Identifier: Apache-2.0
"""Who leads: of the monitors that reach a majority, the one of the lowest rank.

An election has an odd epoch, the term that it ends in the even one after it. Who proposes is
deferred to by those that would lead less well, and opposed by those that would lead better. It has
won when all have deferred that words go to and come from, or when time is up and a majority has. A
monitor defers to several in one epoch, each better than the one before, but follows only the last:
so of two that both have a majority at most one will hear from all its followers.

That a quorum stays, whichever links are cut and which way, rests on four rules:

- Who has no links both ways with a majority does not stand. It may still ask for an election.
- Who asks says whom it hears. One that does not hear us asks in vain, as it would hear no answer.
- A follower that hears its leader takes part in no election but its leader's.
- A leader calls one for whoever asks it: so all that it has a link with come to its quorum.

Hence an election is called against a leader only by somebody whom the next one brings in, and who
has no link with the leader disturbs nobody, whatever he hears of the others.
"""

from typing import Final

import msgspec

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.links import Links
from octostack.engines.ceph.mon.core.paxos.values import Members, Propose, Role, Strategy, Times

WAIT: Final = 1.5  # for a winner: so much longer than a proposer waits for others
FRESH: Final = 0.5  # of the time that a leader may be silent: in it nobody else is listened to
NEVER: Final = float("inf")


class Ballot(msgspec.Struct):
    """What was said in an election that runs."""

    deferred: set[int] = msgspec.field(default_factory=set)  # to us; with ourselves, when we stand
    leader: int | None = None  # whom we deferred to
    links: int = 0  # of whom we deferred to

    @property
    def is_mine(self) -> bool:
        """Whether we stand for election."""
        return bool(self.deferred)


class Member:
    """A monitor among others, as far as elections go; what a term is adds to `_led` and `_turn`."""

    def __init__(self, members: Members, epoch: int, times: Times, now: float) -> None:
        self.times = times
        self.epoch = epoch
        self.role = Role.ELECTING
        self.leader: int | None = None
        self.quorum: tuple[int, ...] = ()
        self.unreachable: set[int] = set()  # a hint of who makes connections
        self.out: list[v.Effect] = []
        self._deadline = NEVER
        self._ballot = Ballot()
        self._join(members, now)

    def _join(self, members: Members, now: float) -> None:
        self._members = members
        self.rank, self.size = members.rank, members.size
        self.unreachable = set()
        self._everyone_else = set(range(self.size)) - {self.rank}
        self.links = Links(self._everyone_else, self.times.answer_s, now)
        self._ping_at = now if self.size > 1 else NEVER

    def _led(self, now: float) -> None:
        """We have won: a term begins that others follow us in."""
        raise NotImplementedError

    def _turn(self, role: Role) -> None:
        """The role changes, and all that belonged to the one before is void."""
        if role is Role.ELECTING:
            self.leader, self.quorum = None, ()
        self.role = role
        self._ballot = Ballot()
        self._deadline = NEVER
        self.out.append(v.Turned())

    # Calling one

    def start(self, now: float) -> None:
        """Call an election; stand, if enough others can be reached."""
        self._turn(Role.ELECTING)
        if self.size == 1:
            self.epoch += 1 - self.epoch % 2
            self._ballot.deferred = {self.rank}
            self._win(now)
            return
        if self.epoch % 2 == 0:
            self._set_epoch(self.epoch + 1)
        if self._count_links(now):
            self._ballot.deferred = {self.rank}
        proposal = self._proposal(now)
        for rank in sorted(self._everyone_else):
            self._send(rank, proposal)
        self._deadline = now + self.times.election_s

    def suspect(self, now: float, unreachable: set[int]) -> None:
        """Those cannot be connected to. A hint: an election comes sooner, or is over sooner."""
        self.links.lose(unreachable)
        self.unreachable = unreachable
        followed = {self.leader, self._ballot.leader} - {None}
        served = set(self.quorum) if self.role is Role.LEADER else set()
        if unreachable & (followed | served):
            self.start(now)
        else:
            self._count(now)

    def _count_links(self, now: float) -> int:
        """With how many words go both ways, ourselves among them; 0 when we are not to stand."""
        count = len(self.links.open(now)) + 1
        may = count > self.size // 2 and self.rank not in self._members.disallowed
        return count if may else 0

    def _proposal(self, now: float) -> Propose:
        links = self._count_links(now) if self._ballot.is_mine else 0
        return Propose(self.epoch, self.links.heard(now), links)

    def _is_better(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Of two (rank, links)."""
        if self._members.strategy is Strategy.CONNECTIVITY and one[1] != other[1]:
            return one[1] > other[1]
        return one[0] < other[0]

    # Links

    def _ping(self, now: float) -> None:
        self._ping_at = now + self.times.ping_s
        heard = self.links.heard(now)
        for rank in sorted(self._everyone_else):
            self._send(rank, v.Ping(heard))
        if self.role is Role.PEON and self._should_lead(now):
            self.start(now)

    def _should_lead(self, now: float) -> bool:
        """As a follower: whether all the quorum, and one more election, would have us lead."""
        assert self.leader is not None
        others = set(self.quorum) - {self.rank}
        by_rank = self._members.strategy is not Strategy.CONNECTIVITY
        may = by_rank and self.rank < self.leader and self._count_links(now) > 0
        return may and others <= self.links.open(now)

    def _on_ping(self, now: float, source: int, message: v.Ping, *, is_new: bool) -> None:
        hears_us = self.rank in message.hears
        opened = self.links.hears_us(now, source, does=hears_us)
        if is_new or not hears_us:
            self._send(source, v.Ping(self.links.heard(now)))
        if opened and self.role is Role.ELECTING:
            self._welcome(now, source)

    def _welcome(self, now: float, rank: int) -> None:
        """While we elect, words begin to go both ways."""
        if self._ballot.is_mine:
            self._send(rank, self._proposal(now))
        elif self._ballot.leader is None:
            self.start(now)

    # What others say

    def _on_propose(self, now: float, source: int, message: Propose) -> None:
        hears_us = self.rank in message.hears
        self.links.hears_us(now, source, does=hears_us)
        if not hears_us:
            return
        if self.role is Role.LEADER:
            self._on_request(now, source, message)
        elif self._is_loyal(now, source):
            return
        elif message.epoch >= self.epoch:
            self._judge(now, source, message)
        elif self._ballot.is_mine:
            self._send(source, self._proposal(now))  # it is behind

    def _on_request(self, now: float, source: int, message: Propose) -> None:
        """As a leader: who asks has a link with us, and is to come in."""
        if message.epoch < self.epoch and source in self.quorum:
            return  # it was said before we won
        self.epoch = max(self.epoch, message.epoch + message.epoch % 2)
        self.start(now)

    def _is_loyal(self, now: float, source: int) -> bool:
        leader = self.leader
        if self.role is not Role.PEON or leader is None or source == leader:
            return False
        return self.links.is_heard(now, leader, FRESH * self.times.answer_s)

    def _judge(self, now: float, source: int, message: Propose) -> None:
        if message.epoch > self.epoch:
            self._turn(Role.ELECTING)
            self._set_epoch(message.epoch)
            self._deadline = now + self.times.election_s
        ballot, theirs = self._ballot, (source, message.links)
        ours = (self.rank, self._count_links(now))
        if message.links and (not ours[1] or self._is_better(theirs, ours)):
            known = ballot.leader
            if known is None or known == source or self._is_better(theirs, (known, ballot.links)):
                self._ballot = Ballot(set(), source, message.links)
                self._send(source, v.Defer(message.epoch))
                if known != source:
                    self._deadline = now + WAIT * self.times.election_s
        elif ballot.is_mine:
            self._send(source, self._proposal(now))
        elif ours[1] and ballot.leader is None:
            self.start(now)

    def _on_defer(self, now: float, source: int, message: v.Defer) -> None:
        if message.epoch > self.epoch:
            self._set_epoch(message.epoch)
            self.start(now)
        elif message.epoch == self.epoch and self._ballot.is_mine:
            self.links.hears_us(now, source, does=True)
            self._ballot.deferred.add(source)
            self._count(now)

    def _on_victory(self, now: float, source: int, message: v.Victory) -> None:
        if message.epoch <= self.epoch or self._is_left(source, message.epoch):
            return
        if message.epoch != self.epoch + 1 or self._ballot.leader != source:
            self._set_epoch(message.epoch)
            self.start(now)
        else:
            self._set_epoch(message.epoch)
            self.leader, self.quorum = source, message.quorum
            self._turn(Role.PEON)
            self._deadline = now + self.times.answer_s

    def _is_left(self, source: int, epoch: int) -> bool:
        """Whether it leads in the epoch that we elect for, and we wait for a better one."""
        return epoch == self.epoch + 1 and self._ballot.leader not in {None, source}

    # The end of one

    @property
    def _has_majority(self) -> bool:
        return len(self._ballot.deferred) > self.size // 2

    def _count(self, now: float) -> None:
        """It is won when nobody is left to wait for."""
        waited_for = self.links.awaited(now) - self._ballot.deferred
        if self._ballot.is_mine and self._has_majority and not waited_for:
            self._win(now)

    def _time_up(self, now: float) -> None:
        """Whoever we waited for has not answered."""
        if self.role is Role.ELECTING and self._has_majority:
            self._win(now)
            return
        self.epoch += self._ballot.leader is not None  # it did not win: not in this epoch
        self.start(now)

    def _win(self, now: float) -> None:
        quorum = tuple(sorted(self._ballot.deferred))
        self._set_epoch(self.epoch + 1)
        for rank in quorum:
            if rank != self.rank:
                self._send(rank, v.Victory(self.epoch, quorum))
        self.leader, self.quorum = self.rank, quorum
        self._turn(Role.LEADER)
        self._led(now)

    # Small things

    def _send(self, to: int, message: v.Message) -> None:
        self.out.append(v.Send(to, message))

    def _set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.out.append(v.Save(epoch=epoch))
