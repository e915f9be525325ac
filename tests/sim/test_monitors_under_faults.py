# SPDX-License-Identifier: Apache-2.0
"""Monitors that crash, are cut off and lose messages agree on one history all the same.

Checked at every step: one value for each version, versions that only follow one another, one leader
that commits in an epoch, no read that misses what was acknowledged, and everything acknowledged on
the disks of a majority. When nothing fails any more, all follow one leader and hold the same.

All this also while monitors come, with empty disks, go, and change places; and a link that is cut
one way for ever costs no more than a few elections.
"""

import os

import msgspec
import pytest

from octostack.engines.ceph.mon.core.paxos.values import Role, Strategy
from octostack.testing.monsim import Cluster, Mon, Rules

SEEDS = int(os.environ.get("SIM_SEEDS", "60"))
STRATEGIES = tuple(Strategy) if SEEDS > 60 else (Strategy.CLASSIC,)
FOUND: dict[int, str] = {}
MOVES = 0.15
FOUND_MOVING: dict[int, str] = {55: "one that is left alone reads before what was begun is known"}
HOW = "live({seed}) in tests/sim/test_monitors_under_faults.py"


def list_leaders(cluster: Cluster) -> list[Mon]:
    return [mon for mon in cluster.mons if mon.alive and mon.machine.role is Role.LEADER]


def move(cluster: Cluster) -> None:
    """A monitor more, or less, or another one first."""
    rng = cluster.rng
    leaders = [mon for mon in list_leaders(cluster) if mon.may_change]
    if not leaders:
        return
    by = rng.choice(leaders)
    names = by.names
    match rng.randrange(4):
        case 0 | 1 if len(names) < 5:
            free = set(range(len(cluster.mons) + 1)) - {*cluster.map.names, *names}
            cluster.add(by, rng.choice(sorted(free)))
        case 2 if len(names) > 1:
            gone = rng.choice(names)
            cluster.change(by, tuple(name for name in names if name != gone))
        case _:
            cluster.change(by, tuple(rng.sample(names, len(names))))


def trouble(cluster: Cluster) -> None:
    """One thing that goes wrong, or right again; also in the middle of something."""
    rng, mons = cluster.rng, cluster.mons
    leaders = list_leaders(cluster)
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
            mon.fuse = (rng.randrange(12), lambda: cluster.isolate({mon.name}))
        case 4:  # the first to notice is on either side
            some = set(rng.sample(range(len(mons)), rng.randrange(len(mons) + 1)))
            cluster.isolate(some)
            mon.suspect(set(range(len(mons))) - some if mon.name in some else some)
        case 5:
            cluster.cuts.add((mon.name, rng.randrange(len(mons))))
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
        mon.propose(b"%d by %d" % (cluster.rng.getrandbits(40), mon.name))


def live(seed: int, moves: float = 0.0) -> Cluster:
    """A minute of bad days, and half a minute of peace; waits are shorter than real ones. `moves`:
    how likely the map of monitors changes in each of about 100 moments."""
    size = (3, 3, 5, 1)[seed % 4]
    kept = 4 if seed % 3 else 500
    times = msgspec.structs.replace(Rules().times, kept=kept)
    cluster = Cluster(seed, Rules(size=size, times=times))
    while cluster.now < 60:
        trouble(cluster)
        for _ in range(cluster.rng.randrange(60)):
            cluster.run(cluster.now + cluster.rng.expovariate(25))
            if cluster.rng.random() < moves:
                move(cluster)
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
    names = cluster.map.names
    mons = [cluster.mons[name] for name in names]
    assert [mon.name for mon in list_leaders(cluster)] == [names[0]]
    assert mons[0].list_quorum() == set(names)
    for mon in mons:
        assert mon.machine.is_readable(mon.now)
        assert mon.memory.pairs == mons[0].memory.pairs
        assert mon.memory.stored.last == len(cluster.history)


@pytest.mark.parametrize("seed", sorted({*range(SEEDS), *FOUND}))
def test_one_history(seed: int) -> None:
    try:
        live(seed)
    except AssertionError as error:
        raise AssertionError(HOW.format(seed=seed)) from error


@pytest.mark.parametrize("seed", sorted({*range(SEEDS // 2), *FOUND_MOVING}))
def test_one_history_while_monitors_come_and_go(seed: int) -> None:
    try:
        live(seed, MOVES)
    except AssertionError as error:
        raise AssertionError(HOW.format(seed=f"{seed}, MOVES")) from error


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


def find_leader(cluster: Cluster, names: set[int]) -> Mon | None:
    """Whom all of those, and nobody else, follow, if it may commit."""
    led = {cluster.mons[name].find_leader() for name in names}
    mon = cluster.mons[led.pop() or 0]
    whole = not led and mon.list_quorum() == names
    return mon if whole and mon.machine.is_writable(mon.now) else None


def await_quorum(cluster: Cluster, names: set[int], longest_s: float) -> Mon:
    """Let time pass until they have a quorum. Raises AssertionError when it takes too long."""
    began = cluster.now
    while (leader := find_leader(cluster, names)) is None:
        assert cluster.now < began + longest_s, f"{names} have no quorum"
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
    assert leader.name == min(others)
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


def settled(cluster: Cluster) -> None:
    """Elections come to an end, and writes go on with none."""
    rules = cluster.rules
    cluster.run(cluster.now + 4 * rules.times.answer_s + 10 * rules.times.election_s)
    epochs = [mon.machine.epoch for mon in cluster.mons]
    for _ in range(10):
        before = cluster.answered
        work(cluster)
        cluster.run(cluster.now + rules.times.election_s)
        cluster.check_reads()
        assert cluster.answered == before + 1, "a write waits"
    leader = max(list_leaders(cluster), key=lambda mon: mon.machine.epoch)
    assert len(leader.list_quorum()) > rules.size // 2
    for name in leader.list_quorum():
        assert cluster.mons[name].machine.epoch == epochs[name], "an election more"


LINKS = [(size, one, other) for size in (3, 5) for one in range(size) for other in range(size)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("size", "source", "to"), [link for link in LINKS if link[1] != link[2]])
def test_a_link_that_is_cut_one_way_for_ever(
    size: int, source: int, to: int, strategy: Strategy
) -> None:
    cluster = Cluster(size, Rules(size=size, strategy=strategy))
    cluster.bad_weather = False
    cluster.run(2.0)
    await_quorum(cluster, set(range(size)), 5.0)
    cluster.cuts.add((source, to))
    settled(cluster)
    for mon in cluster.mons:  # and so it is when all begin anew
        mon.crash()
        mon.boot()
    settled(cluster)
    cluster.cuts.clear()
    cluster.run(cluster.now + 5)
    await_quorum(cluster, set(range(size)), 5.0)


@pytest.mark.parametrize("seed", range(SEEDS // 3))
def test_whoever_reaches_a_majority_is_enough_for_a_quorum(seed: int) -> None:
    """Many links are cut, either way or both, for ever; one monitor is left that reaches enough."""
    size = (3, 5, 5, 4)[seed % 4]
    cluster = Cluster(seed, Rules(size=size, strategy=tuple(Strategy)[seed % 3]))
    rng, names = cluster.rng, range(size)
    hub = rng.choice(names)
    reached = rng.sample([name for name in names if name != hub], size // 2)
    kept = {(hub, name) for name in reached} | {(name, hub) for name in reached}
    links = [(one, other) for one in names for other in names if one != other]
    cluster.cuts = {link for link in links if link not in kept and rng.random() < 0.6}
    cluster.bad_weather = False
    settled(cluster)
    cluster.cuts.clear()
    cluster.run(cluster.now + 5)
    await_quorum(cluster, set(names), 5.0)


def test_the_days_are_bad_enough() -> None:
    lives = [live(seed) for seed in range(6)]
    assert sum(cluster.answered for cluster in lives) > 500
    assert sum(cluster.reads for cluster in lives) > 2500
    assert sum(cluster.syncs for cluster in lives) > 5
    lives = [live(seed, MOVES) for seed in range(6)]
    assert sum(cluster.answered for cluster in lives) > 100
    assert sum(cluster.map.epoch - 1 for cluster in lives) > 15
