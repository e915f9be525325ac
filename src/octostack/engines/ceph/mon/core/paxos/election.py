# SPDX-License-Identifier: Apache-2.0
"""Who leads: the monitor of the lowest rank that a majority hears.

An election has an odd epoch, the term that it ends in the even one after it. Who proposes is
deferred to by higher ranks, and opposed by lower ones. It has won when all have deferred that can
be reached, or when time is up and a majority has. A monitor defers to several in one epoch, to a
lower rank each time, but follows one leader only: so of two that both have a majority at most one
will hear from all its followers.

Who deferred to one that has not won in time calls an election in the next odd epoch, and a leader's
followers answer a proposal of an earlier epoch only with theirs. So a monitor that is heard, but
hears nobody, keeps none from a quorum: it comes to no epoch of an election but by being told.
"""

from typing import Final

from octostack.engines.ceph.mon.core.paxos.values import Defer, Propose

WAIT: Final = 1.5  # for a winner: so much longer than a proposer waits for others


class Ballot:
    """What one monitor knows of an election that runs."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.deferred: set[int] = set()  # to us
        self.leader: int | None = None  # whom we deferred to

    @property
    def is_mine(self) -> bool:
        """Whether we stand for election."""
        return bool(self.deferred)

    @property
    def has_majority(self) -> bool:
        return len(self.deferred) > self.size // 2

    def stand(self) -> None:
        """Propose ourselves."""
        self.deferred, self.leader = {self.rank}, None

    def join(self) -> None:
        """Another epoch, in which we have said nothing yet."""
        self.deferred, self.leader = set(), None

    def judge(self, source: int, message: Propose) -> Defer | Propose | None:
        """What to answer to a proposal of this epoch; a proposal of ours where we would lead."""
        if source > self.rank:
            if self.leader is not None:
                return None  # who is better than both of us will win
            return Propose(message.epoch)
        if self.leader is not None and self.leader < source:
            return None
        self.join()
        self.leader = source
        return Defer(message.epoch)

    def is_won(self, unreachable: set[int]) -> bool:
        """Whether nobody is left to wait for."""
        waited_for = set(range(self.size)) - unreachable - self.deferred
        return self.is_mine and self.has_majority and not waited_for
