# SPDX-License-Identifier: Apache-2.0
"""What monitors say to one another, what they keep, and what a machine asks of its owner."""

from enum import Enum

import msgspec


class Times(msgspec.Struct, frozen=True):
    """How long things take at most, and how much is kept."""

    election_s: float = 1.5
    answer_s: float = 4.0  # for followers to answer, or a leader to be heard
    lease_s: float = 2.0
    renew_s: float = 0.5
    drift_s: float = 0.05
    ping_s: float = 1.0
    kept: int = 500
    kept_bytes: int = 4 << 20


class Strategy(Enum):
    """Who is to lead, of those that reach a majority: numbers of the map of monitors."""

    CLASSIC = 1  # the lowest rank
    DISALLOW = 2  # the same, of those that are allowed to
    CONNECTIVITY = 3  # of these, who reaches most


class Members(msgspec.Struct, frozen=True):
    """Among how many monitors, and as which of them; `disallowed` never lead."""

    rank: int
    size: int
    strategy: Strategy = Strategy.CLASSIC
    disallowed: frozenset[int] = frozenset()


class Role(Enum):
    """What a monitor is just now."""

    ELECTING = "electing"
    LEADER = "leader"
    PEON = "peon"


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A value that was accepted as this version under a leader's epoch; perhaps it is committed."""

    version: int
    epoch: int
    value: bytes


class Stored(msgspec.Struct):
    """What survives a crash: versions `first` to `last` are kept, all are applied."""

    epoch: int = 0
    first: int = 1
    last: int = 0
    log: dict[int, bytes] = {}
    pending: Pending | None = None


# Messages. The epoch is odd while monitors elect, and even under a leader.


class Propose(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Let me lead; I hear those. `links`: with how many words go both ways, myself among them;
    0: let somebody lead, as I do not stand."""

    epoch: int
    hears: tuple[int, ...]
    links: int


class Defer(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """You may."""

    epoch: int


class Victory(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """I lead; these ranks follow."""

    epoch: int
    quorum: tuple[int, ...]


class Collect(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """A new leader, which has this much: what have you?"""

    epoch: int
    first: int
    last: int


class Last(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """This; with versions that the leader lacks, what was accepted, and the end of old leases."""

    epoch: int
    first: int
    last: int
    values: dict[int, bytes]
    pending: Pending | None
    leases_end: float


class Begin(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """Accept this value as the next version."""

    epoch: int
    version: int
    value: bytes


class Accept(msgspec.Struct, frozen=True, tag=7, array_like=True):
    """It is on my disk."""

    epoch: int
    version: int


class Commit(msgspec.Struct, frozen=True, tag=8, array_like=True):
    """All up to this version is committed; with values for who lacks them."""

    epoch: int
    version: int
    values: dict[int, bytes] = {}


class Lease(msgspec.Struct, frozen=True, tag=9, array_like=True):
    """You may answer reads until then, by the leader's clock, if you have that version."""

    epoch: int
    version: int
    until: float
    sent: float


class LeaseAck(msgspec.Struct, frozen=True, tag=10, array_like=True):
    """Heard; with the `sent` that was heard, and the own clock."""

    epoch: int
    version: int
    sent: float
    clock: float


class SyncAsk(msgspec.Struct, frozen=True, tag=11, array_like=True):
    """I am so far behind that your log does not help: send me everything."""

    epoch: int


class SyncPart(msgspec.Struct, frozen=True, tag=12, array_like=True):
    """A part of everything as of a version."""

    epoch: int
    version: int
    number: int
    count: int
    pairs: dict[str, bytes]


class Ping(msgspec.Struct, frozen=True, tag=13, array_like=True):
    """I hear those."""

    hears: tuple[int, ...]


Message = (
    Propose
    | Defer
    | Victory
    | Collect
    | Last
    | Begin
    | Accept
    | Commit
    | Lease
    | LeaseAck
    | SyncAsk
    | SyncPart
    | Ping
)

# Effects, to be done in their order.


class Send(msgspec.Struct, frozen=True):
    """To another monitor. Nothing is promised: it may be lost, or come late."""

    to: int
    message: Message


class Save(msgspec.Struct, frozen=True):
    """Make this durable before any later effect. None stays as it is."""

    epoch: int | None = None
    pending: Pending | None = None


class Learn(msgspec.Struct, frozen=True):
    """A version is committed: apply it. Durable at once, or with whatever is saved next."""

    version: int
    value: bytes
    trimmed: tuple[int, ...]  # versions that need not be kept any more
    at_once: bool = False
    is_kept: bool = True


class Install(msgspec.Struct, frozen=True):
    """Everything is replaced; durable before any later effect."""

    version: int
    pairs: dict[str, bytes]


class Offer(msgspec.Struct, frozen=True):
    """Send everything, as it is at this place among the effects, in parts."""

    to: int
    epoch: int
    version: int


class Turned(msgspec.Struct, frozen=True):
    """The role, the leader or the quorum changed."""


Effect = Send | Save | Learn | Install | Offer | Turned
