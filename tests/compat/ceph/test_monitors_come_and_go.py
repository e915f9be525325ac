# SPDX-License-Identifier: Apache-2.0
"""Monitors are added and removed while Ceph's own programs, and OSDs, go on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from octostack.testing.cephdir import ENVIRONMENT, CephDir

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephDir]:
    """A cluster that begins with one monitor."""
    cluster = CephDir(tmp_path_factory.mktemp("grow"), Path(__file__).with_name("ceph_session.py"))
    cluster.octostack("up", "--osds", "2", "--osd-gib", "2")
    cluster.ceph("osd", "pool", "create", "p", "8")
    yield cluster
    cluster.down()


def put(cluster: CephDir, name: str) -> None:
    words = ("-p", "p", "put", name, "/etc/hostname")
    subprocess.run(cluster.client("rados", *words), env=ENVIRONMENT, timeout=60, check=True)


def counted(cluster: CephDir, objects: int) -> None:
    """Return when the OSDs' reports tell of so many objects."""
    cluster.until(lambda: cluster.ask("status")["pgmap"]["num_objects"], objects)


def status_of(cluster: CephDir, *words: str) -> tuple[int, str]:
    """(result, line of status) of a command."""
    answer = cluster.answer(*words)
    return answer.result, answer.status


def test_one_grows_to_three_and_the_first_ones_leave(growing: CephDir) -> None:
    put(growing, "one")
    growing.ceph("config-key", "set", "before", "it")
    growing.octostack("up", "mon.b")
    growing.meet(["a", "b"])
    put(growing, "two")
    growing.octostack("up", "mon.c")
    growing.meet(["a", "b", "c"])
    monmap = growing.ask("mon", "dump")
    assert (monmap["epoch"], [one["name"] for one in monmap["mons"]]) == (3, ["a", "b", "c"])
    for mon in ("b", "c"):
        assert growing.ceph("config-key", "get", "before", mon=mon).strip() == "it"
    assert status_of(growing, "mon", "ok-to-stop", "a") == (
        0,
        "quorum should be preserved (b,c) after stopping [a]",
    )
    growing.kill("a")
    put(growing, "three")
    growing.meet(["b", "c"])
    growing.octostack("up", "mon.a")
    growing.meet(["a", "b", "c"])
    growing.ceph("mon", "rm", "a")  # which leads, and is the one that the OSDs began with
    growing.meet(["b", "c"])
    growing.ends("a")  # who is removed
    put(growing, "four")
    counted(growing, 4)
    states = growing.ask("status")["pgmap"]["pgs_by_state"]
    assert states == [{"state_name": "active+clean", "count": 8}]
    growing.octostack("up", "mon.d")
    growing.meet(["b", "c", "d"])
    growing.ceph("mon", "rm", "c")
    growing.meet(["b", "d"])
    growing.octostack("down")
    growing.octostack("up")
    growing.meet(["b", "d"])
    assert growing.ceph("config-key", "get", "before").strip() == "it"
    counted(growing, 4)
    growing.ceph("mon", "set-rank", "d", "0")
    growing.meet(["d", "b"])
    assert growing.ask("quorum_status")["quorum_leader_name"] == "d"
    growing.ceph("mon", "rm", "b")
    growing.meet(["d"])
    put(growing, "five")
    counted(growing, 5)


def test_what_is_answered(growing: CephDir) -> None:
    name = growing.quorum()[0]
    where = growing.address(name)
    place = where.removeprefix("v2:")
    assert status_of(growing, "mon", "add", name, place) == (
        0,
        f"mon.{name} at {where}/0 already exists",
    )
    result, said = status_of(growing, "mon", "add", "x", place)
    assert (result, said) == (
        17,
        f"mon.{name} already exists at address {where}/0",
    )
    assert status_of(growing, "mon", "rm", "x") == (
        0,
        "mon.x does not exist or has already been removed",
    )
    assert status_of(growing, "mon", "getmap", "99") == (2, "there is no map for epoch 99")
    assert status_of(growing, "mon", "ok-to-rm", "x") == (0, "mon.x does not exist")
