# SPDX-License-Identifier: Apache-2.0
"""What happens to simulated OSDs (`testing.osdsim`): clients' work, whose every reply is checked,
and trouble; and what must hold once both have ended."""

from typing import Any

from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.core.outside import Phase
from octostack.engines.ceph.osd.requests import OpReply, OpRequest
from octostack.testing.osd import Client, extent, omap_set, op
from octostack.testing.osdsim import Cluster, Rules, content, joined
from octostack.wire.ceph.objects import SNAP_HEAD, HObject
from octostack.wire.ceph.opcodes import Code

REMEMBERED = 3_000  # entries of a log: with fewer, a request sent again may be done again
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
        self.acknowledged: dict[int, int] = {}  # interval: who acknowledged in it
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
        view = self.cluster.view
        if view.primary < 0:
            return
        osd = self.cluster.osds[osd_of(view.primary)]
        life = osd.life

        def answer(reply: OpReply) -> None:
            assert osd.replica is not None
            interval = osd.replica.record.info.interval
            assert self.acknowledged.setdefault(interval, osd.number) == osd.number
            self.cluster.in_order(("answer", osd.number, osd.life), lambda: back(reply))

        def back(reply: OpReply) -> None:
            found = self.outstanding.pop(request.reqid, None)
            if found is not None:
                found[1](reply)

        def arrive() -> None:
            if osd.alive and osd.life == life:
                osd.when(view.epoch, lambda: osd.submit(request, answer))

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


def check_peace(cluster: Cluster, work: Work) -> None:
    """Nothing fails any more: all is answered, whole, and the same everywhere."""
    view = cluster.view
    phases = {o.number: o.replica and o.replica.peering.phase for o in cluster.osds}
    assert not work.outstanding, (len(work.outstanding), phases, view.up, view.acting)
    assert view.acting == view.up, (view, phases)
    primary = cluster.osds[osd_of(view.primary)].replica
    assert primary is not None
    assert primary.peering.phase == Phase.ACTIVE, phases
    assert primary.recovery.is_done
    assert primary.record.info.history.clean >= primary.record.info.interval
    last = {name: values[-1] for name, values in work.history.items()}
    if cluster.rules.k > 1:
        shards = joined(cluster)
        assert {name: shards.get(name) for name in NAMES} == last
        return
    copies = [content(cluster.osds[osd]) for osd in view.acting]
    for copy in copies[1:]:
        assert copy.keys() == copies[0].keys()
        assert all(copy[name] == copies[0][name] for name in copy)
    here = {name: None if name not in copies[0] else copies[0][name][0] for name in NAMES}
    assert here == last


def start(seed: int, rules: Rules) -> tuple[Cluster, Work]:
    """A cluster whose OSDs all run, and clients that have yet to begin."""
    cluster = Cluster(seed, rules)
    for osd in cluster.osds:
        osd.boot()
    return cluster, Work(cluster)


def live(seed: int, rules: Rules, length: int = 8_000) -> Work:
    """A life with faults for `length` ms, then peace, and what must hold then."""
    cluster, work = start(seed, rules)
    trouble = Trouble(cluster)
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
    cluster.run(length + 12_000)
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
