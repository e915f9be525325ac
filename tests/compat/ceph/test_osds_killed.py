# SPDX-License-Identifier: Apache-2.0
"""OSDs that die, come back, go out and come in, under librados clients that check all they get.

What was acknowledged is there, the rest of the cluster goes on serving, and in the end all groups
are active and clean and all copies equal, byte for byte, on the disks.
"""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octostack.engines.ceph.osd.core.shards.layout import Layout, layout_of
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime.device import FileDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

pytestmark = pytest.mark.compat
KILLS = 20 if os.environ.get("COMPAT_FULL") else 3
GIB = 2
CHANGES = 50  # that a client makes at the least, however soon it is told to stop
SNAPPED = 60  # objects: more than a group trims in a step
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
ROOT = Path(__file__).parents[3]
PATIENCE = 200  # questions to the monitor, until it says what is waited for


class Cluster:
    """One of our own, used by Ceph's programs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ours(self, action: str, *words: str) -> None:
        """``octostack ceph ACTION DIR ...``."""
        command = [sys.executable, "-m", "octostack.apps.cli", "ceph", action]
        subprocess.run(
            [*command, str(self.directory), *words],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            timeout=100,
            check=True,
        )

    def ceph(self, *words: str) -> Any:
        """``ceph ... -f json``."""
        conf = f"{self.directory}/ceph.conf"
        done = subprocess.run(
            ["/usr/bin/ceph", "-c", conf, *words, "-f", "json"],
            env=ENVIRONMENT,
            timeout=60,
            check=True,
            capture_output=True,
        )
        return msgspec.json.decode(done.stdout) if done.stdout.strip() else None

    def rados(self, *words: str) -> bytes:
        """``rados ...``."""
        done = subprocess.run(
            ["/usr/bin/rados", "-c", f"{self.directory}/ceph.conf", *words],
            env=ENVIRONMENT,
            timeout=60,
            check=True,
            capture_output=True,
        )
        return done.stdout

    def script(self, name: str, *words: str) -> None:
        """One of those beside this file, which use librados."""
        script = str(Path(__file__).with_name(name))
        conf = f"{self.directory}/ceph.conf"
        command = ["/usr/bin/python3", script, conf, *words]
        subprocess.run(command, env=ENVIRONMENT, timeout=60, check=True)

    def checker(self, pool: str) -> "subprocess.Popen[str]":
        """A client at work."""
        script = Path(__file__).with_name("check_script.py")
        found = subprocess.Popen(
            ["/usr/bin/python3", str(script), f"{self.directory}/ceph.conf", pool, str(CHANGES)],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert found.stdout is not None
        assert found.stdout.readline() == "working\n"
        return found

    def signal(self, daemon: str, number: signal.Signals) -> None:
        """To its process."""
        os.kill(int((self.directory / daemon / "pid").read_text()), number)

    def kill(self, daemon: str) -> None:
        """Return when its process is gone."""
        pid = int((self.directory / daemon / "pid").read_text())
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([watched], [], [], 30)
        os.close(watched)

    def until(self, ups: int, states: str = "active+clean") -> None:
        """So many OSDs are up, and all groups are in a state that contains this one."""
        for _ in range(PATIENCE):
            status = self.ceph("status")
            groups = status["pgmap"]["pgs_by_state"]
            if status["osdmap"]["num_up_osds"] == ups and all(
                states in group["state_name"] for group in groups
            ):
                return
        raise AssertionError((status["osdmap"], groups))

    def until_health_has(self, *checks: str) -> None:
        """All of them are told."""
        for _ in range(PATIENCE):
            found = self.ceph("health")["checks"]
            if set(checks) <= set(found):
                return
        raise AssertionError(found)

    def until_clones(self, count: int) -> None:
        """There are so many clones in all pools."""
        for _ in range(PATIENCE):
            pools = msgspec.json.decode(self.rados("df", "-f", "json"))["pools"]
            found = {pool["name"]: pool["num_object_clones"] for pool in pools}
            if sum(int(clones) for clones in found.values()) == count:
                return
        raise AssertionError(found)

    def until_option(self, daemon: str, name: str, value: str) -> None:
        """That is what it goes by."""
        for _ in range(PATIENCE):
            found = self.ceph("tell", daemon, "config", "get", name)[name]
            if found == value:
                return
        raise AssertionError((daemon, name, found))

    def make_coded_pool(self, name: str, groups: int) -> None:
        """Of two and one shards."""
        profile = ("k=2", "m=1", "crush-failure-domain=osd")
        self.ceph("osd", "erasure-code-profile", "set", "two-and-one", *profile)
        self.ceph("osd", "pool", "create", name, *[str(groups)] * 2, "erasure", "two-and-one")

    def placed_on(self, pool: str) -> set[int]:
        """The OSDs that objects of a pool go to."""
        names = (f"o{n}" for n in range(12))
        return {osd for name in names for osd in self.ceph("osd", "map", pool, name)["acting"]}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Four OSDs, on disks."""
    made = Cluster(tmp_path)
    made.ours("up", "--osds", "4", "--osd-gib", str(GIB))
    yield made
    made.ours("down")


def finish(checker: "subprocess.Popen[str]") -> None:
    """It stops, reads all once more, and was right in everything."""
    out, _ = checker.communicate(input="", timeout=100)
    assert checker.returncode == 0
    print(out)
    assert int(out.split()[0]) >= CHANGES


def copies(directory: Path, osd: int) -> dict[ShardPG, dict[HObject, Any]]:
    """All objects on an OSD's disk."""

    async def read() -> dict[ShardPG, dict[HObject, Any]]:
        store = BlockStore(FileDevice(directory / f"osd.{osd}" / "block", GIB << 30))
        await store.open()
        found = {
            where: {
                what: (
                    store.read(where, what),
                    dict(store.attrs(where, what)),
                    store.omap_list(where, what),
                )
                for what in store.list_objects(where, limit=1 << 20)
                if what.name
            }
            for where in store.collections()
            if where.pg.pool >= 0
        }
        await store.close()
        return found

    return asyncio.run(read())


def check_copies(directory: Path, sizes: dict[int, int]) -> None:
    """Every group of pool number N is on `sizes[N]` disks, with the same objects on each."""
    groups: dict[ShardPG, list[dict[HObject, Any]]] = {}
    for osd in range(4):
        for where, objects in copies(directory, osd).items():
            groups.setdefault(where, []).append(objects)
    assert {where.pg.pool for where in groups} == set(sizes)
    for where, found in groups.items():
        assert len(found) == sizes[where.pg.pool], where
        assert all(one == found[0] for one in found), where
    assert any(found[0] for found in groups.values())


def check_shards(directory: Path, pool: int, layout: Layout) -> None:
    """The shards of every object fit together, parity too."""
    groups: dict[PG, dict[int, dict[HObject, Any]]] = {}
    for osd in range(4):
        for where, objects in copies(directory, osd).items():
            if where.pg.pool == pool:
                groups.setdefault(where.pg, {})[where.shard] = objects
    for pg, shards in groups.items():
        assert sorted(shards) == list(range(layout.count)), pg
        for what in shards[0].keys() | shards[1].keys() | shards[2].keys():
            found = [shards[number][what] for number in range(layout.count)]
            assert all(one[1] == found[0][1] for one in found), what
            pieces = [bytes(one[0]) for one in found]
            assert not any(pieces) or layout.split(layout.join(dict(enumerate(pieces)))) == pieces
    assert any(shards[0] for shards in groups.values())


def test_osds_killed_one_after_the_other(cluster: Cluster) -> None:
    cluster.ceph("osd", "pool", "create", "three", "8")
    cluster.ceph("osd", "pool", "create", "two", "8", "8", "--size", "2")
    cluster.until(4)
    checkers = [cluster.checker("three"), cluster.checker("two")]
    for number in range(KILLS):
        cluster.kill(f"osd.{number % 4}")
        cluster.until(3, "active")
        cluster.ours("up", f"osd.{number % 4}")
        cluster.until(4)
    for checker in checkers:
        finish(checker)
    cluster.until(4)
    cluster.ours("down")
    check_copies(cluster.directory, {1: 3, 2: 2})
    cluster.ours("up")


def test_data_moves_where_it_belongs(cluster: Cluster) -> None:
    cluster.ceph("osd", "pool", "create", "data", "8", "8", "--size", "2")
    cluster.until(4)
    checker = cluster.checker("data")
    cluster.ceph("osd", "out", "1")
    cluster.until(4)
    assert cluster.placed_on("data") == {0, 2, 3}
    cluster.ceph("osd", "pool", "set", "data", "size", "3")
    cluster.until(4)
    cluster.ceph("osd", "in", "1")
    cluster.until(4)
    assert cluster.placed_on("data") == {0, 1, 2, 3}
    finish(checker)
    cluster.until(4)
    cluster.ours("down")
    check_copies(cluster.directory, {1: 3})
    cluster.ours("up")


def test_an_osd_that_stands_still_is_missed_and_comes_back(cluster: Cluster) -> None:
    cluster.ceph("config", "set", "global", "osd_heartbeat_interval", "1")
    cluster.ceph("config", "set", "global", "osd_heartbeat_grace", "4")
    cluster.ceph("osd", "pool", "create", "data", "8")
    cluster.until(4)
    checker = cluster.checker("data")
    cluster.signal("osd.2", signal.SIGSTOP)
    cluster.until(3, "active")
    cluster.until_health_has("OSD_DOWN", "PG_DEGRADED")  # once the groups have said so
    cluster.signal("osd.2", signal.SIGCONT)
    cluster.until(4)
    finish(checker)
    cluster.ours("down")
    check_copies(cluster.directory, {1: 3})
    cluster.ours("up")


def test_groups_that_hold_objects_are_split(cluster: Cluster) -> None:
    """Also of a coded pool, where an OSD then often has two shards of one group: an old and a new
    one."""
    cluster.ceph("osd", "pool", "create", "data", "3")
    cluster.make_coded_pool("coded", 4)
    cluster.ceph("osd", "pool", "set", "coded", "allow_ec_overwrites", "true")
    cluster.until(4)
    checkers = [cluster.checker("data"), cluster.checker("coded")]
    cluster.ceph("osd", "pool", "set", "data", "pg_num", "8")
    cluster.ceph("osd", "pool", "set", "coded", "pg_num", "8")
    cluster.until(4)
    cluster.kill("osd.1")
    cluster.until(3, "active")
    cluster.ceph("osd", "pool", "set", "data", "pg_num", "21")
    cluster.ceph("osd", "pool", "set", "coded", "pg_num", "11")
    cluster.until(3, "active")
    cluster.ours("up", "osd.1")  # whose groups are three steps behind
    cluster.until(4)
    assert cluster.ceph("status")["pgmap"]["num_pgs"] == 21 + 11
    for checker in checkers:
        finish(checker)
    cluster.until(4)
    cluster.ours("down")
    check_copies(cluster.directory, {1: 3, 2: 1})  # of each shard, one
    check_shards(cluster.directory, 2, layout_of({"k": "2", "m": "1"}))
    cluster.ours("up")


def clones_on(directory: Path, osd: int) -> list[HObject]:
    """What is there only for snapshots."""
    found = copies(directory, osd).values()
    return [what for objects in found for what in objects if what.snap != SNAP_HEAD]


def test_clones_of_removed_snapshots_leave_all_disks(cluster: Cluster) -> None:
    cluster.ceph("osd", "pool", "create", "three", "4")
    cluster.make_coded_pool("coded", 4)
    cluster.until(4)
    cluster.script("snap_script.py", "three", "fill", str(SNAPPED))
    cluster.script("snap_script.py", "coded", "fill-own", str(SNAPPED))
    # each object has a clone of the first snapshot, and half of them one of the second
    cluster.until_clones(3 * SNAPPED)
    cluster.ceph("osd", "set", "nosnaptrim")
    cluster.rados("-p", "three", "rmsnap", "first")
    cluster.script("snap_script.py", "coded", "remove-own", "first")
    cluster.kill("osd.1")
    cluster.until(3, "active")
    assert len(cluster.rados("-p", "three", "listsnaps", "o0").splitlines()) == 5
    cluster.ours("up", "osd.1")
    cluster.ceph("osd", "unset", "nosnaptrim")
    cluster.kill("osd.0")  # while it trims, or is about to
    cluster.ours("up", "osd.0")
    cluster.until_clones(SNAPPED)
    cluster.until(4)
    assert len(cluster.rados("-p", "three", "listsnaps", "o0").splitlines()) == 4
    cluster.script("snap_script.py", "three", "check", str(SNAPPED))
    cluster.rados("-p", "three", "rmsnap", "second")
    cluster.script("snap_script.py", "coded", "remove-own", "second")
    cluster.until_clones(0)
    cluster.until(4)
    cluster.script("snap_script.py", "three", "check", str(SNAPPED))
    cluster.script("snap_script.py", "coded", "check", str(SNAPPED))
    cluster.ours("down")
    assert [clones_on(cluster.directory, osd) for osd in range(4)] == [[]] * 4
    check_copies(cluster.directory, {1: 3, 2: 1})  # of each shard, one
    cluster.ours("up")


def test_flags_hold_recovery_back_until_they_are_gone(cluster: Cluster) -> None:
    def until_some(word: str) -> None:
        """Some group has that in its state."""
        for _ in range(PATIENCE):
            groups = cluster.ceph("pg", "dump", "pgs")["pg_stats"]
            if any(word in group["state"].split("+") for group in groups):
                return
        raise AssertionError((word, [group["state"] for group in groups]))

    cluster.ceph("osd", "pool", "create", "data", "4", "4", "--size", "2")
    cluster.ceph("config", "set", "osd", "osd_max_pg_log_entries", "1")
    for number in range(4):
        cluster.until_option(f"osd.{number}", "osd_max_pg_log_entries", "1")
    cluster.until(4)
    for number in range(16):
        cluster.rados("-p", "data", "put", f"o{number}", __file__)
    cluster.ceph("osd", "set", "norebalance")
    cluster.ceph("osd", "out", "1")
    until_some("backfill_wait")
    cluster.ceph("osd", "set", "nobackfill")
    cluster.ceph("osd", "unset", "norebalance")
    until_some("backfill_wait")
    assert "OSDMAP_FLAGS" in cluster.ceph("health")["checks"]
    cluster.ceph("osd", "unset", "nobackfill")
    cluster.until(4)
    assert cluster.placed_on("data") <= {0, 2, 3}
    cluster.ours("down")
    check_copies(cluster.directory, {1: 2})
    cluster.ours("up")


def test_norecover_holds_back_what_the_log_tells(cluster: Cluster) -> None:
    cluster.ceph("osd", "pool", "create", "data", "4", "4", "--size", "4")
    cluster.until(4)
    cluster.rados("-p", "data", "put", "o", __file__)
    cluster.ceph("osd", "set", "norecover")
    cluster.kill("osd.2")
    cluster.until(3, "active")
    for number in range(8):
        cluster.rados("-p", "data", "put", f"o{number}", __file__)
    cluster.ours("up", "osd.2")
    cluster.until(4, "active")
    assert "PG_DEGRADED" in cluster.ceph("health")["checks"]
    cluster.rados("-p", "data", "setxattr", "o3", "a", "b")  # what clients want is brought at once
    cluster.ceph("osd", "unset", "norecover")
    cluster.until(4)
    cluster.ours("down")
    check_copies(cluster.directory, {1: 4})
    cluster.ours("up")


def test_options_of_osds_hold_at_once(cluster: Cluster) -> None:
    name = "osd_max_backfills"
    cluster.ceph("config", "set", "osd", name, "2")
    cluster.ceph("config", "set", "osd.1", name, "3")
    cluster.until_option("osd.0", name, "2")
    cluster.until_option("osd.1", name, "3")
    diff = cluster.ceph("tell", "osd.1", "config", "diff")["diff"][name]
    assert diff == {"default": "1", "mon": "3", "final": "3"}
    shown = {row["name"]: row["value"] for row in cluster.ceph("config", "show", "osd.1")}
    assert shown[name] == "3"
    cluster.ceph("tell", "osd.1", "config", "set", name, "5")
    cluster.until_option("osd.1", name, "5")
    assert cluster.ceph("tell", "osd.1", "config", "show")[name] == "5"
    with pytest.raises(subprocess.CalledProcessError) as wrong:
        cluster.ceph("tell", "osd.1", "config", "set", name, "many")
    assert b"(22) Invalid argument" in wrong.value.stderr
    cluster.ceph("tell", "osd.1", "config", "unset", name)
    cluster.until_option("osd.1", name, "3")
    cluster.ceph("config", "rm", "osd.1", name)
    cluster.ceph("config", "rm", "osd", name)
    cluster.until_option("osd.1", name, "1")
