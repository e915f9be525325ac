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
HOW = "live({seed}) in tests/sim/test_shards_under_faults.py"


def live(seed: int, log_entries: int = 3_000) -> None:
    """A life of one group with a drawn code."""
    rng = random.Random(seed)
    k, m = rng.choice(((2, 1), (2, 2), (3, 2), (4, 1)))
    min_size = k + rng.randint(0, 1)
    rules = Rules(k + m + rng.randint(0, 2), k + m, min_size, log_entries=log_entries, k=k)
    osdlife.live(seed, rules)


def test_without_faults_all_that_is_asked_is_done() -> None:
    work = osdlife.live_undisturbed(1, Rules(5, 5, 4, k=3))
    assert work.changes > 100
    assert work.reads > 50


def test_shards_under_faults() -> None:
    simloop.replay(live, range(SEEDS), HOW)


def test_shards_with_short_logs_are_filled() -> None:
    how = HOW.replace("{seed}", "{seed}, log_entries=24")
    simloop.replay(lambda seed: live(seed, log_entries=24), range(1000, 1000 + SEEDS), how)
