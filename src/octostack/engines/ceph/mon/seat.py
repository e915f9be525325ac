# SPDX-License-Identifier: Apache-2.0
"""A monitor's seat among the others: what it may answer itself, and what goes to the leader.

Requests wait while there is no quorum, or no lease to answer under. A monitor that stays outside
sends its clients away, so that they try another, and lets nobody in.
"""

import asyncio
from typing import Final, Protocol

import msgspec

from octostack.base import clock, log
from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.mon import peers
from octostack.engines.ceph.mon.access import Caller
from octostack.engines.ceph.mon.changes import Changes, Job, ignored
from octostack.engines.ceph.mon.consensus import Consensus
from octostack.engines.ceph.mon.core.commands.table import Quorum
from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.values import Members, Role, Strategy
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.ledger import Ledger
from octostack.engines.ceph.mon.peers import (
    Forward,
    Ids,
    IdsAsk,
    Map,
    Peers,
    Probe,
    Relay,
    Remote,
    Route,
    Word,
)
from octostack.engines.ceph.mon.store import Puts
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.monmap import MonMap

_log = log.get("ceph.mon")
IDS_AT_ONCE: Final = 10_000
_STRANGERS: Final = 1 << 40  # identifiers of monitors, while there are no others
_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 3.0  # outside a quorum, before clients are sent away
_WAITING_MAX: Final = 10_000


class Host(Protocol):
    """The monitor."""

    ledger: Ledger

    def handle(self, caller: Caller, envelope: Envelope) -> None:
        """Answer a message."""

    def is_for_leader(self, envelope: Envelope) -> bool:
        """Whether only a leader can answer it."""

    def may_wait(self, envelope: Envelope) -> bool:
        """Whether the answer must not be out of date."""

    def finish(self, change: Change) -> Change:
        """What belongs to every change."""

    def applied(self) -> None:
        """The state is another."""

    def relayed(self, data: bytes) -> int:
        """An OSD's report; which OSD."""

    def began(self) -> Change:
        """What a leader changes first, except for identifiers."""

    def leads(self, *, is_leader: bool) -> None:
        """It leads now, or does not any more."""

    def send_away(self) -> None:
        """End the sessions of all clients."""

    def removed(self) -> None:
        """The map of monitors has us no more."""


def get_rank(monmap: MonMap, name: str) -> int:
    """The rank of the monitor. Raises NotFound when it has been removed."""
    rank = monmap.find_rank(name)
    if rank is None:
        what = f"The cluster has no monitor {name} (any more)."
        raise NotFound(what, code="ceph.mon_removed")
    return rank


def _members(monmap: MonMap, rank: int) -> Members:
    strategy = Strategy(monmap.election_strategy)
    names = monmap.disallowed_leaders if strategy is not Strategy.CLASSIC else frozenset()
    disallowed = frozenset(one for one, name in enumerate(monmap.ranks) if name in names)
    if len(disallowed) == len(monmap.ranks):
        disallowed = frozenset()  # who else might lead was removed
    return Members(rank, len(monmap.ranks), strategy, disallowed)


class Seat:
    """See the module's essay."""

    def __init__(self, host: Host, messenger: Messenger, name: str) -> None:
        monmap = host.ledger.state.monmap
        self.rank = get_rank(monmap, name)
        self._name = name
        self._names = monmap.ranks
        self._host = host
        self._messenger = messenger
        self._peers = Peers(messenger, monmap, name)
        self.consensus = Consensus(self, host.ledger.store, _members(monmap, self.rank))
        self._changes = Changes(self.consensus, host.ledger, host.finish)
        self._tasks = Supervisor(f"seat of mon.{name}")
        self._waiting: list[tuple[Caller, Envelope]] = []
        self._forwarded: dict[int, tuple[Connection, Envelope]] = {}
        self._reported: dict[int, bytes] = {}  # of each OSD that reports to us, the last
        self._number = 0
        self._leads = False
        self._began = False  # as a leader: what belongs to that is done
        self._followed = (-1, 0)  # whom, in which epoch
        self._outside = 0.0
        self._next_id = self._ids_end = self._strangers = 0
        self._ids_asked = False
        self._served = asyncio.Event()

    def start(self) -> None:
        """Take part."""
        self._tasks.start("changes", self._changes.run, ALWAYS)
        self._outside = clock.monotonic()
        self._tasks.start("look", self._look, ALWAYS)
        self.consensus.start()

    async def served(self) -> None:
        """Until clients are let in."""
        await self._served.wait()

    async def stop(self) -> None:
        """Take no more part."""
        await self._tasks.stop()
        await self.consensus.stop()

    @property
    def may_enter(self) -> bool:
        """Whether clients are let in."""
        machine = self.consensus.machine  # one that joins has nothing at first
        return (
            machine.role is not Role.ELECTING
            and self._next_id < self._ids_end
            and machine.history.last >= 0
        )

    @property
    def leads(self) -> bool:
        return self._leads

    def quorum(self) -> Quorum:
        """As of now."""
        machine = self.consensus.machine
        members = tuple(self._names[rank] for rank in machine.quorum)
        leader = self._names[machine.leader] if machine.leader is not None else ""
        age = clock.monotonic() - self.consensus.since
        leases, names = machine.leases, self._names
        skews = {names[rank]: skew for rank, skew in leases.skews.items()}
        latencies = {names[rank]: late for rank, late in leases.latencies.items()}
        epoch = machine.epoch
        return Quorum(members, leader, epoch, age, skews, latencies, leases.rounds)

    # Requests

    def submit(self, job: Job) -> None:
        """Change something when its turn comes."""
        self._changes.submit(job)

    def serve(self, caller: Caller, envelope: Envelope) -> None:
        """Answer, have it answered, or wait until one of these is possible."""
        follows = self.consensus.machine.role is Role.PEON
        if follows and self._host.is_for_leader(envelope):
            if isinstance(caller, Connection):  # else who brought it goes to the new leader with it
                self._forward(caller, envelope)
        elif not self.consensus.is_readable and self._host.may_wait(envelope):
            if len(self._waiting) < _WAITING_MAX:
                self._waiting.append((caller, envelope))
        else:
            self._host.handle(caller, envelope)

    def closed(self, conn: Connection) -> None:
        """Nobody waits for answers there any more."""
        self._waiting = [one for one in self._waiting if one[0] is not conn]
        gone = [number for number, (who, _) in self._forwarded.items() if who is conn]
        for number in gone:
            del self._forwarded[number]

    def relay(self, osd: int, data: bytes) -> None:
        """Tell the others what an OSD reported; who comes later is told again."""
        if len(self._names) > 1:
            self._reported[osd] = data
            self._relay(data)

    def _relay(self, data: bytes) -> None:
        for rank in self.consensus.machine.quorum:
            if rank != self.rank:
                self._peers.tell(rank, Relay(data))

    def _forward(self, conn: Connection, envelope: Envelope) -> None:
        self._number += 1
        if envelope.tid:  # an answer is waited for: asked again of the next leader
            self._forwarded[self._number] = (conn, envelope)
        leader = self.consensus.machine.leader
        assert leader is not None
        self._peers.tell(leader, peers.forward(self._number, conn, envelope))

    # Other monitors

    def hear(self, conn: Connection, envelope: Envelope) -> None:
        """A word of another monitor."""
        said = peers.decode(bytes(envelope.data))
        rank, word = self._peers.find_rank(conn), said.word
        if isinstance(word, Map):
            self._take_map(word.blob)
        elif said.epoch < self._peers.epoch:
            self._peers.answer(conn, Map(self._host.ledger.monmap_blob))
        elif said.epoch > self._peers.epoch:
            self._peers.answer(conn, Probe())  # whose epoch tells that we want the map
        elif rank is None:
            _log.warning("a monitor that the map does not have", peer=str(conn.peer_addresses))
        else:
            self._hear(rank, word)

    def _hear(self, rank: int, word: Word) -> None:
        match word:
            case Forward():
                if self.consensus.is_leader:
                    caller = Remote(word, lambda answer: self._peers.tell(rank, answer))
                    self._serve_again(caller, peers.envelope_of(word))
            case Route():
                asked = self._forwarded.pop(word.number, None)
                if asked is not None:
                    asked[0].send(peers.outgoing_of(word))
            case Relay():
                self._reported.pop(self._host.relayed(word.data), None)
            case IdsAsk():
                self._reserve(rank)
            case Ids():
                self._take_ids(word.start, word.end)
            case Probe() | Map():
                pass
            case _:
                self.consensus.receive(rank, word)

    # The map of monitors

    def _take_map(self, blob: bytes) -> None:
        """Others have a newer one, which is committed: it holds before we know all up to it."""
        if self._host.ledger.adopt(blob):
            self.consensus.follow()

    def find_members(self) -> Members | None:
        """Among whom we are when the map has changed; takes leave of those who went."""
        monmap = self._host.ledger.state.monmap
        if monmap.epoch == self._peers.epoch:
            return None
        if monmap.find_rank(self._name) is None:
            self._host.removed()
            return _members(monmap, -1)
        before, self._peers = self._peers, Peers(self._messenger, monmap, self._name)
        before.leave(self._peers)
        self.rank, self._names = get_rank(monmap, self._name), monmap.ranks
        return _members(monmap, self.rank)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self.consensus.suspect(self._peers.look())
            now = clock.monotonic()
            if self.consensus.machine.role is not Role.ELECTING:
                self._outside = 0.0
            elif not self._outside:
                self._outside = now
            elif now > self._outside + _PATIENCE_S:
                self._outside = now
                self._host.send_away()

    # What the consensus says

    def tell(self, rank: int, message: v.Message) -> None:
        """Send to another monitor."""
        self._peers.tell(rank, message)

    def learned(self, value: bytes) -> Puts:
        """A value is committed."""
        return self._host.ledger.take(value)

    def applied(self) -> None:
        """The store has it."""
        self._host.applied()

    def replaced(self) -> None:
        """All is another."""
        self._host.ledger.load()
        self._host.applied()

    def turned(self) -> None:
        """Something may be possible that was not."""
        machine = self.consensus.machine
        leads = machine.role is Role.LEADER and machine.is_active
        if leads != self._leads:
            self._leads = leads
            if leads:
                self._reserve(self.rank)
            elif self._began:
                self._began = False
                self._host.leads(is_leader=False)
        following = (machine.leader if machine.leader is not None else -1, machine.epoch)
        if machine.role is not Role.ELECTING and following != self._followed:
            self._followed = following
            self._ids_asked = False
            self._need_ids()
            for data in self._reported.values():
                self._relay(data)
            again, self._forwarded = self._forwarded, {}
            self._waiting += again.values()
        if self._waiting and (self.consensus.is_readable or machine.role is Role.PEON):
            waiting, self._waiting = self._waiting, []
            for caller, envelope in waiting:
                self._serve_again(caller, envelope)

    def _serve_again(self, caller: Caller, envelope: Envelope) -> None:
        try:
            self.serve(caller, envelope)
        except OctoError as error:
            _log.warning("a message that waited is refused", why=error.message)

    # Identifiers of clients

    def new_id(self) -> int:
        """Never given to anyone else."""
        if self._next_id >= self._ids_end:
            self._strangers += 1
            return _STRANGERS + self._strangers
        self._next_id += 1
        self._need_ids()
        return self._next_id

    def _need_ids(self) -> None:
        machine = self.consensus.machine
        if self._ids_end - self._next_id > IDS_AT_ONCE // 2 or self._ids_asked:
            return
        self._ids_asked = True
        if machine.role is Role.PEON and machine.leader is not None:
            self._peers.tell(machine.leader, IdsAsk())
        elif self._leads:
            self._reserve(self.rank)

    def _reserve(self, rank: int) -> None:
        """For ourselves when a term begins, or for another."""
        start = 0
        own = rank == self.rank
        begins = own and not self._began

        def decide() -> Change:
            nonlocal start
            start = self._host.ledger.state.auth_next_id
            first = self._host.began() if begins else Change()
            return msgspec.structs.replace(first, auth_next_id=start + IDS_AT_ONCE)

        def done() -> None:
            if begins and self._leads:
                self._began = True
                self._take_ids(start, start + IDS_AT_ONCE)
                self._host.leads(is_leader=True)
            elif own:
                self._take_ids(start, start + IDS_AT_ONCE)
            else:
                self._peers.tell(rank, Ids(start, start + IDS_AT_ONCE))

        self.submit(Job(decide, done, ignored))

    def _take_ids(self, start: int, end: int) -> None:
        self._next_id, self._ids_end = start, end
        self._ids_asked = False
        self._served.set()
