# SPDX-License-Identifier: Apache-2.0
"""What happens to simulated OSDs (`testing.osdsim`): clients' work, whose every reply is checked,
and trouble; and what must hold once both have ended."""

from typing import Any

import msgspec

from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, decode_info
from octostack.engines.ceph.osd.requests import OpReply, OpRequest
from octostack.testing.objectstore import Content, content_of
from octostack.testing.osd import Client, extent, omap_set, op
from octostack.testing.osdsim import WHERE, Cluster, Osd, Rules, group_of
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

REMEMBERED = 3_000  # entries of a log: with fewer, a request sent again may be done again
SNAPS = 12  # at a time
PATIENCE = 120_000  # until all is trimmed
NAMES = [
    HObject(b"o%d" % n, b"", SNAP_HEAD, n * 2654435761 % 2**32, False, b"", 1) for n in range(24)
]


class Work:
    """What clients do and saw: one change at a time for each object, and reads at any time."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng
        self.client = Client(lambda *_: None)
        self.history: dict[HObject, list[bytes | None]] = {name: [None] for name in NAMES}
        self.pending: dict[HObject, bytes | None] = {}
        self.outstanding: dict[Any, tuple[OpRequest, Any]] = {}
        self.acknowledged: dict[tuple[PG, int], int] = {}  # interval: who acknowledged in it
        self.changes = 0
        self.reads = 0
        self.token = 0
        self.stopped = False
        cluster.watchers.append(self.notice)

    def begin(self) -> None:
        """A request now, and another one later."""
        if self.stopped:
            return
        what = self.rng.choice(NAMES)
        if what not in self.pending and self.rng.random() < 0.6:
            self.change(what)
        else:
            self.read(what)
        self.cluster.later(25, self.begin)

    def change(self, what: HObject) -> None:
        self.token += 1
        new: bytes | None
        word, known = b"<%d>" % self.token, self.history[what][-1]
        match self.rng.randrange(5):
            case 0:
                new, ops = word, [extent(Code.WRITE_FULL, payload=word)]
            case 1 if known is not None:
                new, ops = None, [op(Code.DELETE)]
            case 2 if known is not None and self.cluster.rules.k > 1:
                at = self.rng.randrange(len(known) + 40)
                new = known.ljust(at, b"\0")[:at] + word + known[at + len(word) :]
                ops = [extent(Code.WRITE, at, payload=word)]
            case _:
                new = (known or b"") + word
                ops = [extent(Code.APPEND, payload=word)]
                ops += [omap_set({b"last": word})] if self.cluster.rules.k == 1 else []
        if self.cluster.rules.log_entries < REMEMBERED:  # a late repetition must do no harm
            new, ops = word, [extent(Code.WRITE_FULL, payload=word)]
        self.pending[what] = new
        request = self.client.request(what, *ops, flags=0x20)

        def done(reply: OpReply) -> None:
            assert reply.result == 0, (what, reply)
            self.history[what].append(self.pending.pop(what))
            self.changes += 1

        self.send(request, done)

    def read(self, what: HObject) -> None:
        since = len(self.history[what]) - 1
        request = self.client.request(what, extent(Code.READ))

        def done(reply: OpReply) -> None:
            assert reply.result in (0, -2), (what, reply)
            seen = None if reply.result == -2 else bytes(reply.outputs[0])
            allowed = self.history[what][since:]
            if what in self.pending:
                allowed.append(self.pending[what])
            assert seen in allowed, (what, seen, allowed)
            self.reads += 1

        self.send(request, done)

    def send(self, request: OpRequest, done: Any) -> None:
        self.outstanding[request.reqid] = (request, done)
        self.post(request)

    def notice(self) -> None:
        """A client sees a new map a little later."""
        self.cluster.later(30, self.resend)

    def resend(self) -> None:
        """The map changed: whatever has no answer is sent to the primary of now."""
        for request, _ in list(self.outstanding.values()):
            self.post(request)

    def post(self, request: OpRequest) -> None:
        pg = group_of(request.object, self.cluster.facts.pg_num)
        view = self.cluster.view_of(pg)
        if view.primary < 0:
            return
        osd = self.cluster.osds[osd_of(view.primary)]
        life = osd.life
        sent = msgspec.structs.replace(request, epoch=view.epoch)

        def answer(reply: OpReply) -> None:
            group = group_of(request.object, osd.copies.groups_of(pg.pool))
            replica = osd.replica_of(group)
            assert replica is not None
            interval = (group, replica.record.info.interval)
            assert self.acknowledged.setdefault(interval, osd.number) == osd.number
            self.cluster.in_order(("answer", osd.number, osd.life), lambda: back(reply))

        def back(reply: OpReply) -> None:
            found = self.outstanding.pop(request.reqid, None)
            if found is not None:
                found[1](reply)

        def arrive() -> None:
            if osd.alive and osd.life == life:
                osd.when(view.epoch, lambda: osd.submit(sent, answer))

        self.cluster.in_order(("ask", osd.number), arrive)


class Trouble:
    """What goes wrong, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng
        self.stopped = False

    def begin(self) -> None:
        """Something now, something else later."""
        if self.stopped:
            return
        cluster, rng = self.cluster, self.rng
        number = rng.randrange(len(cluster.osds))
        match rng.randrange(8):
            case 0 | 1 | 2:
                cluster.kill(number)
                cluster.later(rng.choice((5, 100, 600)), cluster.revive, number)
            case 3:
                cluster.mon_down(number)
            case 4:
                other = rng.randrange(len(cluster.osds))
                if other != number:
                    cluster.cuts.add(frozenset((number, other)))
                    cluster.later(300, cluster.heal)
                    cluster.later(250, cluster.mon_down, number)
            case 5 if len(cluster.out) < len(cluster.osds) - cluster.rules.size:
                cluster.out.add(number)
                cluster.publish()
            case 6 if cluster.out:
                cluster.out.discard(rng.choice(sorted(cluster.out)))
                cluster.publish()
        cluster.later(rng.choice((20, 200, 800)), self.begin)


class Snapshots:
    """Clients that make snapshots and remove them, while OSDs trim what is removed."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.removed: set[int] = set()
        self.made = 0

    def begin(self) -> None:
        """Make one or remove one now, and look again later."""
        work, rng = self.work, self.work.rng
        if work.stopped:
            return
        if not work.client.snaps or (len(work.client.snaps) < SNAPS and rng.random() < 0.6):
            self.made += 1
            work.client.snap_seq = self.made
            work.client.snaps = [self.made, *work.client.snaps]
        else:
            self.remove(rng.choice(work.client.snaps))
        work.cluster.later(200, self.begin)

    def remove(self, *snaps: int) -> None:
        """These, and tell all OSDs."""
        work, cluster = self.work, self.work.cluster
        work.client.snaps = [snap for snap in work.client.snaps if snap not in snaps]
        self.removed.update(snaps)
        gone = frozenset(self.removed)
        cluster.facts = msgspec.structs.replace(cluster.facts, removed_snaps=gone)
        cluster.publish()

    def tick(self, osd: Osd) -> None:
        """What an OSD does every second, here more often."""
        if osd.alive:
            for replica in list(osd.copies.held.values()):
                replica.tick()
            osd.settle()
        self.work.cluster.later(60, self.tick, osd)

    def end(self) -> None:
        """Remove them all: no clone stays on any disk."""
        cluster = self.work.cluster
        self.remove(*self.work.client.snaps)
        until = cluster.now + PATIENCE
        while left := self.clones():
            assert cluster.now < until, left
            cluster.run(cluster.now + 1_000)

    def clones(self) -> list[tuple[int, HObject]]:
        """Which there are, on which OSD."""
        return [
            (osd.number, what)
            for osd in self.work.cluster.osds
            for where in osd.copies.held
            for what in osd.store.list_objects(where)
            if what.name and what.snap != SNAP_HEAD
        ]


def content(osd: Osd, where: ShardPG = WHERE) -> Content:
    """All that an OSD's copy has."""
    return content_of(osd.store, where)


def joined(cluster: Cluster, pg: PG = WHERE.pg) -> dict[HObject, bytes]:
    """The objects of an erasure-coded group; its shards must fit together, parity too."""
    layout = cluster.facts.layout
    assert layout is not None
    shards = [
        content(cluster.osds[osd_of(member)], ShardPG(pg, shard_of(member)))
        for member in cluster.view_of(pg).acting
    ]
    found: dict[HObject, bytes] = {}
    for what in shards[0]:
        assert all(shard[what][1:] == shards[0][what][1:] for shard in shards), what
        pieces = [shard[what][0] for shard in shards]
        whole = layout.join(dict(enumerate(pieces[: layout.k]))) if pieces[0] else b""
        size = decode_info(shards[0][what][1][INFO_ATTR]).size
        assert not any(whole[size:])
        assert not whole or layout.split(whole) == pieces, what
        found[what] = whole[:size]
    assert all(shard.keys() == found.keys() for shard in shards)
    return found


def check_peace(cluster: Cluster, work: Work) -> None:
    """Nothing fails any more: all is answered, whole, and the same everywhere."""
    phases = {
        (o.number, where): replica.peering.phase
        for o in cluster.osds
        for where, replica in o.copies.held.items()
    }
    assert not work.outstanding, (len(work.outstanding), phases, cluster.view)
    last = {name: values[-1] for name, values in work.history.items() if values[-1] is not None}
    here: dict[HObject, bytes] = {}
    for pg in cluster.groups:
        view = cluster.view_of(pg)
        assert view.acting == view.up, (view, phases)
        primary = cluster.osds[osd_of(view.primary)].replica_of(pg)
        assert primary is not None
        assert primary.peering.phase == Phase.ACTIVE, phases
        assert primary.recovery.is_done
        assert primary.record.info.history.clean >= primary.record.info.interval
        found = joined(cluster, pg) if cluster.rules.k > 1 else _same(cluster, pg)
        assert all(group_of(what, len(cluster.groups)) == pg for what in found)
        here |= {what: data for what, data in found.items() if what in work.history}
    assert here == last


def _same(cluster: Cluster, pg: PG) -> dict[HObject, bytes]:
    """What all copies of a group have."""
    copies = [content(cluster.osds[osd], ShardPG(pg)) for osd in cluster.view_of(pg).acting]
    for copy in copies[1:]:
        assert copy.keys() == copies[0].keys()
        assert all(copy[name] == copies[0][name] for name in copy)
    return {what: found[0] for what, found in copies[0].items()}


def start(seed: int, rules: Rules) -> tuple[Cluster, Work]:
    """A cluster whose OSDs all run, and clients that have yet to begin."""
    cluster = Cluster(seed, rules)
    for osd in cluster.osds:
        osd.boot()
    return cluster, Work(cluster)


def live(
    seed: int,
    rules: Rules,
    length: int = 8_000,
    *,
    snapshots: bool = False,
    groups: tuple[int, ...] = (),
) -> Work:
    """A life with faults for `length` ms, then peace, and what must hold then. The group is split
    into so many `groups`, one after the other."""
    cluster, work = start(seed, rules)
    snaps = Snapshots(work)
    if snapshots:
        cluster.later(100, snaps.begin)
        for osd in cluster.osds:
            cluster.later(60, snaps.tick, osd)
    trouble = Trouble(cluster)
    for number, count in enumerate(groups, 1):
        cluster.at(length * number // (len(groups) + 1), cluster.grow, count)
    for _ in range(3):
        cluster.later(50, work.begin)
    cluster.later(500, trouble.begin)
    cluster.run(length)
    trouble.stopped = True
    cluster.heal()
    for osd in cluster.osds:
        cluster.revive(osd.number)
    cluster.publish()
    cluster.run(length + 3_000)
    work.stopped = True
    if snapshots:
        cluster.run(length + 6_000)
        snaps.end()
    cluster.run(cluster.now + 9_000)
    check_peace(cluster, work)
    return work


def live_undisturbed(seed: int, rules: Rules) -> Work:
    """A life without faults."""
    cluster, work = start(seed, rules)
    work.begin()
    cluster.run(5_000)
    work.stopped = True
    cluster.run(6_000)
    check_peace(cluster, work)
    return work
