# SPDX-License-Identifier: Apache-2.0
"""Three monitors and Ceph's own clients: kill -9 of the leader, of two, and all of them again."""

import functools
import subprocess
import time

import pytest

from octostack.testing.cephdir import ENVIRONMENT, NAMES, CephDir

pytestmark = pytest.mark.compat


def list_timed(cluster: CephDir, mon: str) -> list[str]:
    """Whose clocks the leader tells of, by way of a monitor."""
    found = cluster.ask("time-sync-status", mon=mon).get("time_skew_status", {})
    assert all(one["health"] == "HEALTH_OK" for one in found.values()), found
    return sorted(found)


def test_every_monitor_tells_the_same(whole: CephDir) -> None:
    for mon in NAMES:
        status = whole.ask("quorum_status", mon=mon)
        assert (status["quorum_names"], status["quorum_leader_name"]) == (NAMES, "a")
        assert [
            (one["name"], one["public_addrs"]["addrvec"][0]["addr"])
            for one in status["monmap"]["mons"]
        ] == [(name, whole.address(name)[3:]) for name in NAMES]
        whole.until(functools.partial(list_timed, whole, mon), NAMES)
    groups = whole.ask("status", mon="c")["pgmap"]["pgs_by_state"]
    assert groups == [{"state_name": "active+clean", "count": 8}]


def test_a_change_by_way_of_one_is_there_at_the_next(whole: CephDir) -> None:
    for mon, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True):
        whole.ceph("config-key", "set", mon, f"by {mon}", mon=mon)
        assert whole.ceph("config-key", "get", mon, mon=other).strip() == f"by {mon}"


def test_the_leader_dies_and_writes_go_on(whole: CephDir) -> None:
    words = ("bench", "8", "write", "-b", "4096", "-t", "8", "--no-cleanup", "--run-name", "r")
    with subprocess.Popen(
        whole.client("rados", "-p", "p", *words),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as bench:
        assert bench.stdout is not None
        for line in bench.stdout:
            if len(line.split()) >= 8 and line.split()[0] == "1":
                break
        began = time.monotonic()
        whole.kill("a")
        whole.ceph("config-key", "set", "after", "it")
        print(f"a change was committed {time.monotonic() - began:.1f} s after the leader's death")
        rest, _ = bench.communicate(timeout=90)
    assert bench.returncode == 0, rest
    whole.meet(["b", "c"])
    assert whole.ask("health")["checks"]["MON_DOWN"]["summary"]["count"] == 1
    read = subprocess.run(
        whole.client("rados", "-p", "p", "bench", "60", "seq", "-t", "8", "--run-name", "r"),
        env=ENVIRONMENT,
        capture_output=True,
        timeout=90,
        check=True,
    )
    assert b"error" not in (read.stdout + read.stderr).lower()
    whole.octostack("up")
    whole.meet(NAMES)
    assert whole.ceph("config-key", "get", "after", mon="a").strip() == "it"


def is_answered(command: list[str]) -> bool:
    """A client that comes before the others are missed is let in, and waits; later ones are not."""
    try:
        done = subprocess.run(command, env=ENVIRONMENT, timeout=8, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def test_one_of_three_answers_nothing_until_another_is_back(whole: CephDir) -> None:
    whole.ceph("config-key", "set", "before", "it")
    whole.kill("a", "c")
    command = whole.client("ceph", "config-key", "set", "without", "quorum")
    assert not is_answered(command)
    assert not is_answered(whole.client("ceph", "config-key", "get", "before"))
    with subprocess.Popen(command, env=ENVIRONMENT) as waiting:
        whole.octostack("up", "mon.c")
        assert waiting.wait(60) == 0
    assert whole.ceph("config-key", "get", "without").strip() == "quorum"
    assert whole.ceph("config-key", "get", "before").strip() == "it"
    whole.meet(["b", "c"])


def test_all_come_back_with_what_was_agreed(whole: CephDir) -> None:
    whole.ceph("config-key", "set", "kept", "it")
    epoch = whole.ask("quorum_status")["election_epoch"]
    whole.kill(*NAMES)
    whole.octostack("up")
    whole.meet(NAMES)
    assert whole.ask("quorum_status")["election_epoch"] > epoch
    for mon in NAMES:
        assert whole.ceph("config-key", "get", "kept", mon=mon).strip() == "it"


def test_who_was_away_for_long_gets_everything(whole: CephDir) -> None:
    whole.octostack("down", "mon.c")
    blob = "x" * 60_000
    for number in range(12):  # more bytes than are kept for who is behind
        whole.ceph("config-key", "set", f"big{number}", blob)
    whole.octostack("up", "mon.c")
    whole.meet(NAMES)
    assert whole.ceph("config-key", "get", "big11", mon="c").strip() == blob
