# SPDX-License-Identifier: Apache-2.0
"""What an operator does with Ceph's own program when an OSD does not come back: groups wait for it
until it is given up; so do objects that only it had; and then it leaves the map."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from octostack.base import clock
from octostack.testing.cephdir import ENVIRONMENT, CephDir

pytestmark = pytest.mark.compat
PATIENCE_S = 100
SURE = "--yes-i-really-mean-it"


class _Cluster(CephDir):
    """Two OSDs, and a pool of two copies that one of them serves alone."""

    def run(self, program: str, *words: str, data: bytes = b"") -> tuple[int, bytes, str]:
        """(result, output, what it says beside)."""
        command = self.client(program, *words)
        done = subprocess.run(
            command, env=ENVIRONMENT, input=data, timeout=60, capture_output=True, check=False
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def put(self, name: str, data: bytes) -> None:
        assert self.run("rados", "-p", "p", "put", name, "-", data=data)[0] == 0

    def get(self, name: str) -> bytes:
        result, output, why = self.run("rados", "-p", "p", "get", name, "-")
        assert result == 0, why
        return output

    def refused(self, *words: str) -> str:
        answer = self.answer(*words)
        assert answer.result != 0
        return answer.status

    def said(self, *words: str) -> str:
        answer = self.answer(*words)
        assert answer.result == 0, answer
        return answer.status

    def wait(self, test: Callable[[set[str]], bool], ups: int) -> None:
        """So many OSDs are up, and the states of the pool's groups are such."""
        end = clock.monotonic() + PATIENCE_S
        while True:
            groups = self.ask("pg", "ls-by-pool", "p")["pg_stats"]
            states = {word for group in groups for word in group["state"].split("+")}
            stale = any("stale" in group["state"] for group in groups)
            if self.ask("osd", "stat")["num_up_osds"] == ups and not stale and test(states):
                return
            assert clock.monotonic() < end, groups

    def group_of(self, name: str) -> str:
        found: str = self.ask("osd", "map", "p", name)["pgid"]
        return found

    def start(self, osd: int) -> None:
        self.octostack("up", f"osd.{osd}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cluster]:
    session = Path(__file__).with_name("ceph_session.py")
    made = _Cluster(tmp_path_factory.mktemp("lost"), session)
    made.octostack("up", "--osds", "2", "--osd-gib", "2")
    made.ceph("osd", "pool", "create", "p", "4")
    made.ceph("osd", "pool", "set", "p", "min_size", "1")
    yield made
    made.down()


def test_an_operator_gives_up_what_does_not_come_back(cluster: _Cluster) -> None:
    cluster.settle()
    cluster.put("thing", b"first")
    cluster.kill_daemon("osd.0")
    cluster.wait(lambda states: "active" in states, ups=1)
    cluster.put("thing", b"newer")
    cluster.kill_daemon("osd.1")
    cluster.ceph("osd", "down", "1")  # nobody is left who could miss it
    cluster.start(0)
    _wait_for_the_other(cluster)
    assert "real, permanent data loss" in cluster.refused("osd", "lost", "1")
    assert "is not down" in cluster.refused("osd", "lost", "0", SURE)
    assert "marked osd lost in epoch" in cluster.said("osd", "lost", "1", SURE)
    cluster.wait(lambda states: "down" not in states and "active" in states, ups=1)
    assert cluster.get("thing") == b"first"
    cluster.start(1)
    cluster.settle()
    assert cluster.get("thing") == b"first"
    _lose_an_object(cluster)
    assert cluster.get("thing") == b"first"
    assert "purged osd.1" in cluster.said("osd", "purge", "1", SURE)
    assert cluster.ask("osd", "ls") == [0]


def _wait_for_the_other(cluster: _Cluster) -> None:
    """Groups wait, and say for whom."""
    cluster.wait(lambda states: states == {"down"}, ups=1)
    pg = cluster.group_of("thing")
    query: dict[str, Any] = cluster.ask("pg", pg, "query")
    (peering,) = [one for one in query["recovery_state"] if "peering_blocked_by" in one]
    assert peering["blocked"] == "peering is blocked due to down osds"
    assert peering["down_osds_we_would_probe"] == [1]
    assert [one["osd"] for one in peering["peering_blocked_by"]] == [1]
    infos = cluster.ask("osd", "blocked-by")["osd_blocked_by"]["osd_blocked_by_infos"]
    assert infos == [{"id": 1, "num_blocked": 4}]
    checks = cluster.ask("health")["checks"]
    assert "4 pgs down" in checks["PG_AVAILABILITY"]["summary"]["message"]


def _lose_an_object(cluster: _Cluster) -> None:
    """The log of one OSD tells of a version that only the other one has, which is killed."""
    cluster.ceph("osd", "set", "norecover")
    cluster.kill_daemon("osd.0")
    cluster.wait(lambda states: "active" in states, ups=1)
    cluster.put("thing", os.urandom(10))
    cluster.put("new", b"new")
    cluster.start(0)
    cluster.wait(lambda states: "undersized" not in states and "peering" not in states, ups=2)
    cluster.kill_daemon("osd.1")
    cluster.wait(lambda states: {"active", "recovery_unfound"} <= states, ups=1)
    names = ("thing", "new")
    for name in names:
        shown = cluster.ask("pg", cluster.group_of(name), "list_unfound")
        assert name in [one["oid"]["oid"] for one in shown["objects"]]
        assert shown["might_have_unfound"] == [{"osd": "1", "status": "osd is down"}]
    assert "recovery_unfound" in cluster.ask("health")["checks"]["PG_DAMAGED"]["summary"]["message"]
    groups = {cluster.group_of(name) for name in names}
    for pg in groups:
        why = cluster.refused("pg", pg, "mark_unfound_lost", "revert")
        assert "unfound objects but we haven't probed all sources, not marking lost" in why
    cluster.said("osd", "lost", "1", SURE)
    for pg in groups:
        said = cluster.said("pg", pg, "mark_unfound_lost", "revert")
        assert "objects unfound and apparently lost marking" in said
        assert "pg has no unfound objects" in cluster.said("pg", pg, "mark_unfound_lost", "delete")
    assert "No such file" in cluster.run("rados", "-p", "p", "get", "new", "-")[2]
