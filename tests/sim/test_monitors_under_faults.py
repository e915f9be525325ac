# SPDX-License-Identifier: Apache-2.0
"""Monitors that crash, are cut off and lose messages agree on one history all the same.

Checked at every step: one value for each version, versions that only follow one another, one leader
that commits in an epoch, no read that misses what was acknowledged, and everything acknowledged on
the disks of a majority. When nothing fails any more, all follow one leader and hold the same.
"""

import os

import msgspec
import pytest

from octostack.engines.ceph.mon.core.paxos.values import Role
from octostack.testing.monsim import Cluster, Mon, Rules

SEEDS = int(os.environ.get("SIM_SEEDS", "60"))
FOUND: dict[int, str] = {}
HOW = "live({seed}) in tests/sim/test_monitors_under_faults.py"


def trouble(cluster: Cluster) -> None:
    """One thing that goes wrong, or right again; also in the middle of something."""
    rng, mons = cluster.rng, cluster.mons
    leaders = [mon for mon in mons if mon.alive and mon.machine.role is Role.LEADER]
    mon = rng.choice(leaders if leaders and rng.random() < 0.5 else mons)
    for one in mons:
        guess = rng.sample(range(len(mons)), rng.randrange(len(mons)))
        one.suspect(set(guess) if rng.random() < 0.3 else set())
    match rng.randrange(10):
        case 0:
            mon.crash()
        case 1 | 2:
            mon.fuse = (rng.randrange(12), mon.crash)
        case 3:
            mon.fuse = (rng.randrange(12), lambda: cluster.isolate({mon.rank}))
        case 4:  # the first to notice is on either side
            some = set(rng.sample(range(len(mons)), rng.randrange(len(mons) + 1)))
            cluster.isolate(some)
            mon.suspect(set(range(len(mons))) - some if mon.rank in some else some)
        case 5:
            cluster.cuts.add((mon.rank, rng.randrange(len(mons))))
        case 6:
            for victim in mons:
                victim.fuse = (rng.randrange(30), victim.crash)
        case 7:
            cluster.cuts.clear()
        case _:
            mend(cluster)


def mend(cluster: Cluster) -> None:
    """All links work, all monitors live."""
    cluster.cuts.clear()
    for mon in cluster.mons:
        mon.fuse = None
        mon.suspect(set())
        if not mon.alive:
            mon.boot()


def work(cluster: Cluster) -> None:
    """Whoever may, proposes."""
    for mon in cluster.mons:
        mon.propose(b"%d by %d" % (cluster.rng.getrandbits(40), mon.rank))


def live(seed: int) -> Cluster:
    """A minute of bad days, and half a minute of peace; waits are shorter than real ones."""
    size = (3, 3, 5, 1)[seed % 4]
    kept = 4 if seed % 3 else 500
    times = msgspec.structs.replace(Rules().times, kept=kept)
    cluster = Cluster(seed, Rules(size=size, times=times))
    while cluster.now < 60:
        trouble(cluster)
        for _ in range(cluster.rng.randrange(60)):
            cluster.run(cluster.now + cluster.rng.expovariate(25))
            work(cluster)
            cluster.check_reads()
        cluster.check_durable()
    heal(cluster)
    return cluster


def heal(cluster: Cluster) -> None:
    mend(cluster)
    cluster.bad_weather = False
    cluster.run(cluster.now + 30)
    before = cluster.answered
    for _ in range(5):
        work(cluster)
        cluster.run(cluster.now + 1)
    assert cluster.answered == before + 5, "no progress"
    leaders = [mon for mon in cluster.mons if mon.machine.role is Role.LEADER]
    assert [mon.rank for mon in leaders] == [0]
    assert leaders[0].machine.quorum == tuple(range(len(cluster.mons)))
    for mon in cluster.mons:
        assert mon.machine.is_readable(mon.now)
        assert mon.memory.pairs == leaders[0].memory.pairs
        assert mon.memory.stored.last == len(cluster.history)


@pytest.mark.parametrize("seed", sorted({*range(SEEDS), *FOUND}))
def test_one_history(seed: int) -> None:
    try:
        live(seed)
    except AssertionError as error:
        raise AssertionError(HOW.format(seed=seed)) from error


@pytest.mark.parametrize("seed", range(12))
def test_a_leader_that_is_cut_off_answers_nothing_that_is_old(seed: int) -> None:
    cluster = Cluster(seed, Rules())
    cluster.bad_weather = False
    cluster.run(3 + seed / 40)
    work(cluster)
    cluster.run(cluster.now + cluster.rng.random() / 5)
    old, new = cluster.mons[0], cluster.mons[1]
    told = cluster.told
    assert old.machine.role is Role.LEADER
    cluster.isolate({0})
    new.suspect({0})
    while cluster.told == told or old.machine.is_readable(old.now):
        assert cluster.now < 20
        cluster.run(cluster.now + 0.02)
        work(cluster)
        cluster.check_reads()
    assert new.machine.role is Role.LEADER


def leader_of(cluster: Cluster, ranks: set[int]) -> Mon | None:
    """The lowest of them, if it may commit and all of them follow it, and nobody else."""
    mon = cluster.mons[min(ranks)]
    agree = all(cluster.mons[rank].machine.leader == mon.rank for rank in ranks)
    whole = mon.machine.quorum == tuple(sorted(ranks))
    return mon if agree and whole and mon.machine.is_writable(mon.now) else None


def await_quorum(cluster: Cluster, ranks: set[int], longest_s: float) -> Mon:
    """Let time pass until they have a quorum. Raises AssertionError when it takes too long."""
    began = cluster.now
    while (leader := leader_of(cluster, ranks)) is None:
        assert cluster.now < began + longest_s, f"{ranks} have no quorum"
        cluster.run(cluster.now + 0.05)
        cluster.check_reads()
    return leader


@pytest.mark.parametrize(("size", "deaf"), [(3, 0), (3, 1), (3, 2), (5, 0), (5, 2)])
@pytest.mark.parametrize("seed", range(6))
def test_one_that_turns_deaf_keeps_none_from_a_quorum(seed: int, size: int, deaf: int) -> None:
    """What it says arrives, and it hears nobody; then it hears again."""
    cluster = Cluster(seed, Rules(size=size))
    cluster.bad_weather = False
    times, every = cluster.rules.times, set(range(size))
    longest_s = 2 * times.answer_s + 10 * times.election_s
    cluster.run(1.0 + cluster.rng.random())
    await_quorum(cluster, every, longest_s)
    others = every - {deaf}
    cluster.cuts |= {(other, deaf) for other in others}
    cluster.run(cluster.now + times.answer_s)
    leader = await_quorum(cluster, others, longest_s)
    epoch = leader.machine.epoch
    for _ in range(20):
        work(cluster)
        cluster.run(cluster.now + times.election_s)
        assert leader.machine.epoch == epoch, "it is not disturbed any more"
    assert cluster.answered == 20
    cluster.cuts.clear()
    await_quorum(cluster, every, longest_s)
    work(cluster)
    cluster.run(cluster.now + 1)
    assert {mon.memory.stored.last for mon in cluster.mons} == {21}


def test_the_days_are_bad_enough() -> None:
    lives = [live(seed) for seed in range(12)]
    assert sum(cluster.answered for cluster in lives) > 1000
    assert sum(cluster.reads for cluster in lives) > 5000
    assert sum(cluster.syncs for cluster in lives) > 10
