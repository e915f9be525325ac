# SPDX-License-Identifier: Apache-2.0
"""An erasure-coded group whose OSDs crash, are cut off, wrongly taken for dead and replaced.

The checks are those of `test_osds_under_faults`; at the end the shards of every object fit
together, parity too, and give what was last acknowledged.
"""

import os
import random

from octostack.testing import simloop
from octostack.testing.osdlife import Trouble, Work, check_peace
from octostack.testing.osdsim import Cluster, Rules

SEEDS = int(os.environ.get("SIM_SEEDS", "6"))
HOW = "live({seed}) in tests/sim/test_shards_under_faults.py"


def build(seed: int, rules: Rules) -> tuple[Cluster, Work]:
    cluster = Cluster(seed, rules)
    for osd in cluster.osds:
        osd.boot()
    return cluster, Work(cluster)


def live(seed: int, length: int = 8_000, log_entries: int = 3_000) -> Work:
    """A life with faults, then peace."""
    rng = random.Random(seed)
    k, m = rng.choice(((2, 1), (2, 2), (3, 2), (4, 1)))
    min_size = k + rng.randint(0, 1)
    rules = Rules(k + m + rng.randint(0, 2), k + m, min_size, log_entries=log_entries, k=k)
    cluster, work = build(seed, rules)
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


def test_without_faults_all_that_is_asked_is_done() -> None:
    cluster, work = build(1, Rules(5, 5, 4, k=3))
    work.begin()
    cluster.run(5_000)
    work.stopped = True
    cluster.run(6_000)
    check_peace(cluster, work)
    assert work.changes > 100
    assert work.reads > 50


def test_shards_under_faults() -> None:
    simloop.replay(lambda seed: live(seed) and None, range(SEEDS), HOW)


def test_shards_with_short_logs_are_filled() -> None:
    how = HOW.replace("{seed}", "{seed}, log_entries=24")
    simloop.replay(lambda seed: live(seed, log_entries=24) and None, range(1000, 1000 + SEEDS), how)
