# SPDX-License-Identifier: Apache-2.0
"""Three monitors with their managers, whichever is asked; the cluster's log, as it is followed."""

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from octostack.testing.cephdir import ENVIRONMENT, NAMES, CephDir

pytestmark = pytest.mark.compat
MARKS = 60
WAIT_S = 40


class Watch:
    """`ceph -w`, or another that follows the log."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._pipe = process.stdout
        self.said = ""

    def read(self, wait_s: float) -> bool:
        """Whether more was said within that time."""
        if not select.select([self._pipe], [], [], wait_s)[0]:
            return False
        more = os.read(self._pipe.fileno(), 65536)
        self.said += more.decode()
        return bool(more)

    def find(self, text: str) -> None:
        """Return when that was said."""
        while text not in self.said:
            assert self.read(WAIT_S), (text, self.said)


@contextlib.contextmanager
def watching(cluster: CephDir, *words: str) -> Iterator[Watch]:
    """Follow the log; what comes after this was called is heard."""
    with subprocess.Popen(
        ["/usr/bin/python3", "-u", *cluster.client("ceph", *words)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            watch = Watch(process)
            for number in range(MARKS):
                cluster.ceph("log", f"mark {number}.")
                while "mark " not in watch.said and watch.read(1):
                    pass
                if "mark " in watch.said:
                    break
            assert "mark " in watch.said, watch.said
            yield watch
        finally:
            process.kill()


def counts(cluster: CephDir, mon: str = "") -> dict[str, Any]:
    """What the commands that tell of groups say together, by way of one monitor."""
    status = cluster.ask("status", mon=mon)
    groups = cluster.ask("pg", "dump", "pgs", mon=mon)["pg_stats"]
    pools = {one["name"]: one["stats"] for one in cluster.ask("df", mon=mon)["pools"]}
    osds = cluster.ask("osd", "df", mon=mon)["nodes"]
    return {
        "states": status["pgmap"]["pgs_by_state"],
        "status": status["pgmap"]["num_objects"],
        "groups": sum(one["stat_sum"]["num_objects"] for one in groups),
        "df": pools["p"]["objects"],
        "osds": [(one["id"], one["pgs"]) for one in osds],
    }


def expect(cluster: CephDir, objects: int, mon: str = "") -> None:
    """Return when that monitor tells of so many objects, everywhere the same."""
    wanted = {
        "states": [{"state_name": "active+clean", "count": 8}],
        **dict.fromkeys(("status", "groups", "df"), objects),
        "osds": [(0, 8), (1, 8)],
    }
    cluster.until(lambda: counts(cluster, mon), wanted)


def managers(cluster: CephDir) -> tuple[str, list[str]]:
    """The active one, and the others."""
    found = cluster.ask("mgr", "dump")
    return found["active_name"], sorted(one["name"] for one in found["standbys"])


def put(cluster: CephDir, *names: str) -> None:
    for name in names:
        words = ("-p", "p", "put", name, "/etc/hostname")
        subprocess.run(cluster.client("rados", *words), env=ENVIRONMENT, timeout=60, check=True)


def count(cluster: CephDir) -> int:
    """Objects that are there, whatever has been reported yet."""
    command = cluster.client("rados", "-p", "p", "ls")
    done = subprocess.run(command, env=ENVIRONMENT, timeout=60, check=True, capture_output=True)
    return len(done.stdout.splitlines())


def test_all_tell_the_same_and_go_on_when_the_leader_and_its_manager_die(whole: CephDir) -> None:
    before = count(whole)
    put(whole, "together1", "together2")
    for mon in NAMES:
        expect(whole, before + 2, mon)
    whole.until(lambda: managers(whole), ("a", ["b", "c"]))
    with watching(whole, "-w") as watch:
        whole.kill("a")
        watch.find("mon.b [INF] mon.b is new leader, mons b,c in quorum (ranks 1,2)")
        watch.find("mon.b [INF] Manager daemon b is now available")
        watch.find("Health check failed: 1/3 mons down, quorum b,c (MON_DOWN)")
        put(whole, "together3")
        for mon in ("b", "c"):
            expect(whole, before + 3, mon)
        assert whole.ask("mgr", "stat")["active_name"] == "b"
    whole.octostack("up", "mon.a")  # its election may end while who follows the log is sent on
    line = "mon.a is new leader, mons a,b,c in quorum (ranks 0,1,2)"
    whole.until(lambda: line in whole.ceph("log", "last", "50", "info", "cluster"), True)
    expect(whole, before + 3, "a")


def test_a_manager_that_is_told_to_fail_begins_anew(whole: CephDir) -> None:
    before = whole.ask("mgr", "dump")
    whole.ceph("mgr", "fail")

    def look() -> tuple[bool, bool, str]:
        after = whole.ask("mgr", "dump")
        is_another = after["active_gid"] != before["active_gid"]
        return after["available"], is_another, after["active_name"]

    whole.until(look, (True, True, before["active_name"]))
    assert whole.ask("pg", "dump", "pgs")["pg_stats"]


def test_the_log_is_followed_by_level_and_channel(whole: CephDir) -> None:
    with watching(whole, "-w", "--watch-debug") as watch:
        whole.ceph("log", "hello brave world")
        watch.find("client.admin [INF] hello brave world")
        whole.ceph("osd", "set", "noout")
        watch.find("[DBG] osdmap e")
        whole.ceph("osd", "unset", "noout")
    with watching(whole, "-w", "--watch-channel", "audit") as watch:
        pass
    said = [one["message"] for one in whole.ask("log", "last", "6", "info", "audit")]
    assert any("""entity='client.admin' cmd=[{"prefix": "log", """ in one for one in said), said
    assert any(one.endswith("""}]': finished""") for one in said), said


def test_what_happens_to_osds_is_told_in_the_real_ones_words(whole: CephDir) -> None:
    with watching(whole, "-w") as watch:
        whole.octostack("down", "osd.1")
        watch.find("mon.a [INF] osd.1 marked itself down and dead")
        watch.find("[WRN] Health check failed: 1 osds down (OSD_DOWN)")
        whole.octostack("up", "osd.1")
        watch.find(" boot")
        whole.kill_daemon("osd.1")
        watch.find(
            "osd.1 failed (root=default,host=localhost) (connection refused reported by osd.0)"
        )
        whole.octostack("up", "osd.1")
        watch.find("Health check cleared: OSD_DOWN (was: 1 osds down)")
        whole.ceph("osd", "down", "1")
        watch.find("osd.1 [WRN] Monitor daemon marked osd.1 down, but it is still running")
    whole.settle()
    group = whole.ask("pg", "ls")["pg_stats"][0]["pgid"]
    whole.ceph("pg", "deep-scrub", group)

    def look() -> list[bool]:
        shown = whole.ceph("log", "last", "200", "debug", "cluster")
        return [f"{group} deep-scrub {what}" in shown for what in ("starts", "ok")]

    whole.until(look, [True, True])


def test_every_monitor_is_told_things(whole: CephDir) -> None:
    found = subprocess.run(
        whole.client("ceph", "tell", "mon.*", "mon_status"),
        env=ENVIRONMENT,
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout.decode()
    for mon, state in zip(NAMES, ("leader", "peon", "peon"), strict=True):
        assert f"mon.{mon}: " in found
        assert f'"state": "{state}"' in found
