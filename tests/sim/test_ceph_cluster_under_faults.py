# SPDX-License-Identifier: Apache-2.0
"""A whole storage cluster: its real daemons and our real client, on a network and on disks that
fail as a seed says.

Always: what clients saw of each object could have happened one operation after the other, with
nothing lost that was acknowledged and nothing seen half; versions grow; no daemon's map goes back;
one primary serves in an interval; every daemon starts from what its disk has; no task of any
crashes. At the end, when nothing fails any more: everything is active and clean within bounded
time, and all copies are equal. Of every four lives, one has a pool that gets more groups, one an
erasure-coded pool (every other of these grows), one cephx and a pool that grows. Some have
snapshots, of which nothing may be left when they are removed, objects that OSDs copy, and bits
that flip on disks.
"""

import os
import subprocess
import sys

import pytest

from octostack.testing import histories
from octostack.testing.cephsim.cluster import CEPHX_FROM, CODED_FROM, WIDE_FROM
from octostack.testing.histories import Operation

SEEDS = int(os.environ.get("SIM_SEEDS", "8"))
FOUND = {
    3: "an older connection of a client was heard on, and what was late there was done",
    10025: "a dial failed late, and its session ended",
    20037: "what an OSD with two shards of a group told itself came in another order",
}


def test_a_cluster_under_faults() -> None:
    """In a process of its own, whose sets have one order: a seed is the same every time."""
    each = max(1, SEEDS // 4)
    drawn = [first + n for first in (0, WIDE_FROM, CODED_FROM, CEPHX_FROM) for n in range(each)]
    done = _live(*map(str, (*FOUND, *drawn)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_disks_that_lose_what_was_durable_are_found_out() -> None:
    done = _live("--careless", *map(str, range(2, 10)))
    assert done.returncode == 1, done.stdout
    assert "AssertionError" in done.stderr


def _live(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "octostack.testing.cephsim", *arguments]
    env = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def _written(mark: bytes, begun: float, ended: float, version: int = 0) -> Operation:
    return Operation("write", begun, mark, mark, ended, version=version)


def _read(mark: bytes | None, begun: float, ended: float, snap: int = 0) -> Operation:
    seen = (mark, mark) if mark is not None else None
    return Operation("read", begun, ended=ended, seen=seen, snap=snap)


def _kept(mark: bytes, begun: float, *snaps: int) -> Operation:
    """A write that comes with snapshots."""
    return Operation("write", begun, mark, mark, begun + 0.5, seq=snaps[0], snaps=snaps)


def test_a_history_that_is_right() -> None:
    history = [
        _written(b"a", 0, 1, 1),
        _written(b"b", 2, 5, 2),
        _read(b"a", 3, 4),
        _written(b"c", 6, histories.NEVER),
        _read(b"b", 7, 8),
        _read(b"c", 9, 10),
    ]
    histories.check("o", history)


def test_a_history_with_snapshots_that_is_right() -> None:
    history = [
        _written(b"a", 0, 1),
        _kept(b"b", 2, 5, 4),
        _read(b"a", 3, 4, snap=4),
        _read(b"a", 4, 5, snap=5),
        _read(b"b", 5, 6, snap=7),  # nothing changed since that was made
        _kept(b"c", 6, 4),  # knows less: the newer ones keep what they had
        _read(b"a", 7, 8, snap=5),
        _kept(b"d", 8, 7, 5, 4),
        _read(b"c", 9, 10, snap=7),
        _read(b"d", 11, 12),
    ]
    histories.check("o", history)


@pytest.mark.parametrize(
    "history",
    [
        [_written(b"a", 0, 1), _read(None, 2, 3)],  # lost
        [_written(b"a", 0, 1), _written(b"b", 2, 3), _read(b"a", 4, 5)],  # an old one
        [_written(b"a", 0, 9), _read(b"a", 1, 2), _read(None, 3, 4)],  # seen, and then not
        [_written(b"a", 0, 1, 2), _written(b"b", 2, 3, 2)],  # the same version twice
        [_written(b"a", 0, 1), _kept(b"b", 2, 4), _read(b"b", 3, 4, snap=4)],  # not what it kept
        [_kept(b"a", 0, 4), _kept(b"b", 1, 5, 4), _read(b"a", 2, 3, snap=4)],  # it was not there
        [_kept(b"a", 0, 4), _kept(b"b", 1, 6, 5), _read(None, 2, 3, snap=5)],  # lost
    ],
)
def test_a_history_that_is_wrong(history: list[Operation]) -> None:
    with pytest.raises(AssertionError):
        histories.check("o", history)
