# SPDX-License-Identifier: Apache-2.0
"""A replicated group whose OSDs crash, are cut off, wrongly taken for dead and replaced.

Checked at every reply: what a client reads is what was last acknowledged (or the change that is
under way); no change is made twice; no two primaries acknowledge in one interval. At the end, when
nothing fails any more: the group is active and clean, and all its copies are equal.
"""

import os
import random

import msgspec

from octostack.engines.ceph.osd.requests import OpReply
from octostack.testing import osdlife, simloop
from octostack.testing.osd import extent
from octostack.testing.osdlife import NAMES
from octostack.testing.osdsim import Rules
from octostack.wire.ceph.opcodes import Code

SEEDS = int(os.environ.get("SIM_SEEDS", "12"))
FOUND = {
    146: "a new copy became primary before it was told of the past, and began one of its own",
    165: "the same, by another way",
    251: "a log was given on before the bytes it spoke of were durable",
    269: "an OSD outside the interval died while it was asked for objects",
    286: "a request came before the group did",
}
HOW = "live({seed}) in tests/sim/test_osds_under_faults.py"


def live(seed: int, log_entries: int = 3_000) -> None:
    """A life of one group; the checks are those of the module's essay."""
    rng = random.Random(seed)
    rules = Rules(
        osds=rng.choice((3, 4, 5, 6)),
        size=rng.choice((2, 3)),
        min_size=rng.choice((1, 2)),
        log_entries=log_entries,
    )
    osdlife.live(seed, rules)


def live_splitting(seed: int) -> None:
    """A life of one group that becomes several."""
    rng = random.Random(seed)
    log_entries = rng.choice((24, 3_000))
    rules = Rules(rng.choice((4, 5)), rng.choice((2, 3)), 1, log_entries=log_entries)
    osdlife.live(seed, rules, 5_000, groups=rng.choice(((2,), (3,), (2, 4), (3, 5, 8))))


def test_groups_are_split_under_faults() -> None:
    simloop.replay(live_splitting, range(SEEDS // 6), HOW.replace("live", "live_splitting"))


def test_osds_under_faults() -> None:
    simloop.replay(live, (*FOUND, *range(SEEDS)), HOW)


def test_osds_with_short_logs_are_filled() -> None:
    how = HOW.replace("{seed}", "{seed}, log_entries=24")
    simloop.replay(lambda seed: live(seed, log_entries=24), range(1000, 1000 + SEEDS), how)


def test_a_group_that_nobody_saw_come_to_be_is_made_once() -> None:
    """With one copy, whoever makes it anew while that is away forgets what was acknowledged."""
    rules = Rules(osds=4, size=1, min_size=1, unseen=True)
    how = "osdlife.live({seed}, rules) in tests/sim/test_osds_under_faults.py"
    simloop.replay(lambda seed: osdlife.live(seed, rules), range(2000, 2000 + SEEDS), how)
    rules = Rules(unseen=True)
    simloop.replay(lambda seed: osdlife.live(seed, rules), range(2000, 2000 + SEEDS // 4), how)


def test_what_was_sent_before_another_was_primary_is_not_done() -> None:
    """It went to that one as well: who asked may have its answer, and gone on."""
    cluster, work = osdlife.start(1, Rules(osds=3))
    cluster.run(1_000)
    before = cluster.view
    primary = cluster.osds[before.primary]
    cluster.mon_down(primary.number)
    assert cluster.view.primary != before.primary
    cluster.run(5_000)
    assert cluster.view.primary == before.primary
    answers: list[OpReply] = []
    for epoch in (before.epoch, cluster.view.epoch):
        request = work.client.request(NAMES[0], extent(Code.WRITE_FULL, payload=b"x"), flags=0x20)
        primary.submit(msgspec.structs.replace(request, epoch=epoch), answers.append)
        primary.settle()
        cluster.run(cluster.now + 5_000)
        assert len(answers) == (epoch != before.epoch)


def test_without_faults_all_that_is_asked_is_done() -> None:
    work = osdlife.live_undisturbed(1, Rules())
    assert work.changes > 100
    assert work.reads > 50
