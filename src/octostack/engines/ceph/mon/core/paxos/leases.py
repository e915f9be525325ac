# SPDX-License-Identifier: Apache-2.0
"""Until when followers may answer reads, and what a leader learns from their acknowledgements."""

from typing import Final

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.values import Times

NEVER: Final = float("inf")


class Leases:
    """Our own, and what others may hold."""

    def __init__(self, times: Times, now: float) -> None:
        self.ends = now + times.lease_s  # of leases that others may hold: not known
        self.until = 0.0  # our own
        self.renew_at = NEVER
        self.skews: dict[int, float] = {}  # of followers' clocks, as the leader sees them
        self.latencies: dict[int, float] = {}  # from a lease to its acknowledgement
        self.rounds = 0  # leases given in this term
        self._times = times
        self._acked: dict[int, float] = {}
        self._sent, self._version = 0.0, 0  # the last lease given

    def void(self) -> None:
        """The term is over. What others hold, they hold."""
        self.until = 0.0
        self.renew_at = NEVER
        self.skews, self.latencies = {}, {}
        self.rounds = 0
        self._acked = {}

    def begin(self, now: float, followers: list[int]) -> None:
        """As a leader of those."""
        self._acked = dict.fromkeys(followers, now)

    def holds(self, now: float) -> bool:
        """Whether our own is good, as far as clocks agree."""
        return now < self.until - self._times.drift_s

    def promise(self, now: float) -> float:
        """As a follower, to a new leader, which it is good for: when those of earlier ones end."""
        before = self.ends
        self.ends = max(before, now + self._times.lease_s)
        return before

    def take(self, now: float, message: v.Lease, *, has: bool) -> None:
        """From our leader; it is ours when we have what it is about."""
        self.ends = max(self.ends, now + self._times.lease_s)
        if has:
            self.until = max(self.until, message.until)

    def give(self, now: float, epoch: int, version: int) -> v.Lease | None:
        """What to send all followers, by what they have acknowledged; None when one is silent."""
        acked = min(self._acked.values())
        if now - acked > self._times.answer_s:
            return None
        until = acked + self._times.lease_s
        self.until = max(self.until, until)
        self.ends = max(self.ends, until)
        self.renew_at = now + self._times.renew_s
        self._sent, self._version = now, version
        self.rounds += 1
        return v.Lease(epoch, version, until, now)

    def acknowledge(self, now: float, source: int, message: v.LeaseAck) -> bool:
        """A follower has heard; whether it lacks versions that the lease was about."""
        self._acked[source] = max(self._acked[source], message.sent)
        self.latencies[source] = now - message.sent
        if message.clock > now:  # its clock was read between `sent` and now
            self.skews[source] = message.clock - now
        else:
            self.skews[source] = min(0.0, message.clock - message.sent)
        return message.sent == self._sent and message.version < self._version
