# SPDX-License-Identifier: Apache-2.0
"""An erasure-coded group whose OSDs crash, are cut off, wrongly taken for dead and replaced.

The checks are those of `test_osds_under_faults`; at the end the shards of every object fit
together, parity too, and give what was last acknowledged.
"""

import os
import random

from octostack.testing import osdlife, simloop
from octostack.testing.osdsim import Rules

SEEDS = int(os.environ.get("SIM_SEEDS", "6"))
FOUND = {108: "a log was trimmed of changes that the other shards did not have"}
SPLIT = {300: "two OSDs with the same shard counted as two shards to read from"}
HOW = "live({seed}) in tests/sim/test_shards_under_faults.py"


def live(seed: int, log_entries: int = 3_000) -> None:
    """A life of one group with a drawn code."""
    rng = random.Random(seed)
    k, m = rng.choice(((2, 1), (2, 2), (3, 2), (4, 1)))
    min_size = k + rng.randint(0, 1)
    rules = Rules(k + m + rng.randint(0, 2), k + m, min_size, log_entries=log_entries, k=k)
    osdlife.live(seed, rules)


def live_splitting(seed: int) -> None:
    """A life of one group that becomes several, with a drawn code and any length of log."""
    rng = random.Random(seed)
    k, m = rng.choice(((2, 1), (2, 2)))
    log_entries = rng.choice((24, 3_000))
    rules = Rules(k + m + rng.randint(1, 2), k + m, k, log_entries=log_entries, k=k)
    groups = rng.choice(((2,), (3,), (2, 4), (3, 5, 8)))
    osdlife.live(seed, rules, 5_000, groups=groups)


def live_with_snapshots(seed: int) -> None:
    """A life of 2+1 whose clients make snapshots and remove them, with short logs."""
    osdlife.live(seed, Rules(5, 3, 2, log_entries=24, k=2), snapshots=True)


def live_with_a_hole(seed: int) -> None:
    """Groups are split while the OSDs of some shards are dead and stay so: old shards may act for
    theirs, and the map comes to rest."""
    cluster, work = osdlife.start(seed, Rules(4, 3, 2, k=2))
    work.begin()
    cluster.run(1_000)
    cluster.grow(2)
    cluster.run(1_500)
    cluster.kill(seed % 4)
    cluster.run(2_000)
    cluster.grow(5)
    cluster.run(6_000)
    epochs = len(cluster.epochs)
    cluster.run(9_000)
    assert len(cluster.epochs) == epochs
    work.stopped = True
    cluster.revive(seed % 4)
    cluster.run(15_000)
    osdlife.check_peace(cluster, work)


def test_without_faults_all_that_is_asked_is_done() -> None:
    work = osdlife.live_undisturbed(1, Rules(5, 5, 4, k=3))
    assert work.changes > 100
    assert work.reads > 50


def test_shards_under_faults() -> None:
    simloop.replay(live, range(SEEDS), HOW)


def test_shards_with_short_logs_are_filled() -> None:
    how = HOW.replace("{seed}", "{seed}, log_entries=24")
    simloop.replay(lambda seed: live(seed, log_entries=24), range(1000, 1000 + SEEDS), how)


def test_shards_are_split_under_faults() -> None:
    how = HOW.replace("live", "live_splitting")
    simloop.replay(live_splitting, (*SPLIT, *range(SEEDS // 2)), how)


def test_the_map_rests_while_an_osd_is_dead() -> None:
    simloop.replay(live_with_a_hole, range(SEEDS), HOW.replace("live", "live_with_a_hole"))


def test_shards_with_short_logs_and_snapshots_come_clean() -> None:
    how = HOW.replace("live", "live_with_snapshots")
    simloop.replay(live_with_snapshots, (*FOUND, *range(SEEDS // 6)), how)
