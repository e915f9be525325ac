# SPDX-License-Identifier: Apache-2.0
"""Copies are damaged behind the back of their OSD: a deep scrub always finds it, repair always
mends it, and never by the wrong copy. What the disk itself tells is mended during the read."""

import os
from collections import Counter
from random import Random

from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.scrub.values import Flaw, Result
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.scrubbing import MENDED_MAX
from octostack.testing import osdlife, simloop
from octostack.testing.damage import SILENT, DamagedStore
from octostack.testing.osdlife import NAMES, Trouble, Work, check_peace, content
from octostack.testing.osdsim import WHERE, Cluster, Rules
from octostack.wire.ceph.objects import HObject, ShardPG

SEEDS = int(os.environ.get("SIM_SEEDS", "5"))
HOW = "{what}({seed}) in tests/sim/test_scrub_mends.py"
PATIENCE = 60_000


def build(seed: int, size: int = 3) -> tuple[Cluster, Work]:
    cluster, work = osdlife.start(seed, Rules(osds=4, size=size, min_size=1))
    for _ in range(2):
        cluster.later(50, work.begin)
    cluster.run(3_000)
    return cluster, work


def stop(cluster: Cluster, work: Work) -> None:
    work.stopped = True
    cluster.run(cluster.now + 3_000)
    assert not work.outstanding


def primary(cluster: Cluster) -> Replica:
    replica = cluster.osds[osd_of(cluster.view.primary)].replica
    assert replica is not None
    return replica


def scrub(cluster: Cluster, *, deep: bool = True, repair: bool = False) -> Result:
    """A whole scrub, begun as soon as the group is whole."""
    until = cluster.now + PATIENCE
    while not primary(cluster).scrubbing.machine.start(deep=deep, repair=repair):
        assert cluster.now < until
        cluster.run(cluster.now + 50)
    replica = primary(cluster)
    while replica.scrubbing.machine.is_running:
        assert cluster.step()
    found = replica.scrubbing.found
    assert found is not None
    return found


def damage_some(cluster: Cluster, rng: Random) -> dict[HObject, int]:
    """Each object on one OSD at most; which."""
    damaged: dict[HObject, int] = {}
    for what in rng.sample(NAMES, rng.randint(1, 6)):
        number = rng.choice(cluster.views[-1].acting)
        store = cluster.osds[number].store
        if store.damage(WHERE, what, rng.choice((*SILENT, "unreadable")), rng):
            damaged[what] = number
    return damaged


def live_damaged(seed: int) -> None:
    """Silent damage of one of three copies at a time, while nobody reads."""
    cluster, work = build(seed)
    stop(cluster, work)
    rng = cluster.rng
    for _ in range(3):
        before = content(cluster.osds[cluster.views[-1].primary])
        damaged = damage_some(cluster, rng)
        found = scrub(cluster)
        assert {f.object: f.bad for f in found.findings} == {w: [o] for w, o in damaged.items()}
        assert all(f.authority != damaged[f.object] for f in found.findings)
        assert primary(cluster).scrubbing.stamp.errors == len(damaged)
        mended = scrub(cluster, repair=True)
        assert mended.mended == len(damaged)
        assert primary(cluster).scrubbing.stamp.errors == 0
        cluster.run(cluster.now + 2_000)
        again = scrub(cluster)
        assert again.findings == []
        assert all(content(cluster.osds[o]) == before for o in cluster.views[-1].acting)
    check_peace(cluster, work)


def live_damaged_shards(seed: int) -> None:
    """The same for shards: with two of parity, whichever is wrong is told from the others."""
    k = 2 + seed % 2
    cluster, work = osdlife.start(seed, Rules(osds=k + 2, size=k + 2, min_size=k, k=k))
    for _ in range(2):
        cluster.later(50, work.begin)
    cluster.run(3_000)
    stop(cluster, work)
    rng = cluster.rng
    for _ in range(3):
        damaged: dict[HObject, int] = {}
        for what in rng.sample(NAMES, 6):
            member = rng.choice(cluster.view.acting)
            store, where = shard_at(cluster, member)
            if store.damage(where, what, rng.choice((*SILENT, "unreadable", "bytes")), rng):
                damaged[what] = member
        found = scrub(cluster)
        assert {f.object: f.bad for f in found.findings} == {w: [o] for w, o in damaged.items()}
        mended = scrub(cluster, repair=True)
        assert mended.mended == len(damaged)
        cluster.run(cluster.now + 2_000)
        assert scrub(cluster).findings == []
        check_peace(cluster, work)  # all fit together, and say what was written


def shard_at(cluster: Cluster, member: int) -> tuple[DamagedStore, ShardPG]:
    """Where a member has its shard."""
    return cluster.osds[osd_of(member)].store, ShardPG(WHERE.pg, shard_of(member))


def live_unreadable(seed: int) -> None:
    """Disks fail to read single objects, one copy of each, under work and crashes."""
    cluster, work = build(seed, size=2 + seed % 2)
    trouble, rng = Trouble(cluster), cluster.rng
    if seed % 3:
        cluster.later(100, trouble.begin)
    spoilt: Counter[HObject] = Counter()

    def spoil() -> None:
        what, view = rng.choice(NAMES), cluster.views[-1]
        whole = [cluster.osds[o] for o in view.acting if cluster.osds[o].alive]
        bad = [o for o in cluster.osds if (WHERE, what) in o.store.unreadable]
        if not trouble.stopped and len(whole) > 1 and not bad and spoilt[what] < MENDED_MAX:
            rng.choice(whole).store.damage(WHERE, what, "unreadable", rng)
            spoilt[what] += 1
        if not work.stopped:
            cluster.later(150, spoil)

    if seed % 3 == 0:
        cluster.later(50, spoil)
    cluster.run(cluster.now + 5_000)
    trouble.stopped = True
    cluster.heal()
    for osd in cluster.osds:
        cluster.revive(osd.number)
    cluster.publish()
    cluster.run(cluster.now + 3_000)
    if seed % 3:
        spoil()
        cluster.run(cluster.now + 2_000)
    work.stopped = True
    cluster.run(cluster.now + 8_000)
    scrub(cluster, repair=True)
    cluster.run(cluster.now + 3_000)
    assert scrub(cluster).findings == []
    check_peace(cluster, work)


def live_under_work(seed: int) -> None:
    """A scrub while clients write never calls a sound copy unsound."""
    cluster, work = build(seed)
    trouble = Trouble(cluster)
    cluster.later(100, trouble.begin)
    ran = 0

    def again() -> None:
        nonlocal ran
        view = cluster.views[-1]
        osd = cluster.osds[view.primary] if view.primary >= 0 else None
        if osd is not None and osd.alive and osd.replica is not None:
            scrubbing = osd.replica.scrubbing
            if scrubbing.found is not None:
                ran += 1
                assert scrubbing.found.findings == []
            scrubbing.machine.start(deep=True, repair=bool(ran % 2))
        if not trouble.stopped:
            cluster.later(100, again)

    cluster.later(50, again)
    cluster.run(8_000)
    trouble.stopped = True
    cluster.heal()
    for number in range(len(cluster.osds)):
        cluster.revive(number)
    cluster.publish()
    cluster.run(cluster.now + 3_000)
    work.stopped = True
    cluster.run(cluster.now + 8_000)
    assert ran
    check_peace(cluster, work)


def test_silent_damage_is_found_and_mended() -> None:
    simloop.replay(live_damaged, range(SEEDS), HOW.replace("{what}", "live_damaged"))


def test_silent_damage_of_shards_is_found_and_mended() -> None:
    how = HOW.replace("{what}", "live_damaged_shards")
    simloop.replay(live_damaged_shards, range(SEEDS), how)


def test_with_one_parity_nobody_is_believed_against_the_others() -> None:
    """Shards of 2+1 that do not fit tell that one is wrong, and not which: none is made anew."""
    cluster, work = osdlife.start(1, Rules(osds=3, size=3, min_size=2, k=2))
    cluster.later(50, work.begin)
    cluster.run(2_000)
    stop(cluster, work)
    member = cluster.view.acting[1]
    store, where = shard_at(cluster, member)
    what = next(name for name in NAMES if store.damage(where, name, "bytes", cluster.rng))
    before = store.read(where, what)
    (finding,) = scrub(cluster, repair=True).findings
    assert (finding.object, finding.authority) == (what, None)
    assert sorted(finding.bad) == sorted(cluster.view.acting)
    assert finding.flaws == {Flaw.PIECE}
    cluster.run(cluster.now + 2_000)
    assert store.read(where, what) == before
    assert primary(cluster).scrubbing.stamp.errors == 3


def test_unreadable_objects_are_mended() -> None:
    simloop.replay(live_unreadable, range(SEEDS), HOW.replace("{what}", "live_unreadable"))


def test_a_scrub_under_work_and_crashes_finds_nothing() -> None:
    simloop.replay(live_under_work, range(SEEDS), HOW.replace("{what}", "live_under_work"))
