# SPDX-License-Identifier: Apache-2.0
"""Three monitors and Ceph's own clients: kill -9 of the leader, of two, and all of them again."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytestmark = pytest.mark.compat
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
NAMES = ["a", "b", "c"]


class Three:
    """A cluster with three monitors."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def octostack(self, action: str, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "octostack.apps.cli", "ceph", action, self.directory, *words],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
            timeout=80,
            check=True,
        )

    def client(self, program: str, *words: str) -> list[str]:
        return [f"/usr/bin/{program}", "-c", f"{self.directory}/ceph.conf", *words]

    def ceph(self, *words: str, mon: str = "") -> bytes:
        """Ask all monitors, or one."""
        place = ("-m", self.address(mon)) if mon else ()
        done = subprocess.run(
            self.client("ceph", *place, *words, "--format", "json"),
            env=ENVIRONMENT,
            timeout=60,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def ask(self, *words: str, mon: str = "") -> Any:
        """The same, decoded."""
        return msgspec.json.decode(self.ceph(*words, mon=mon))

    def address(self, mon: str) -> str:
        settings = msgspec.json.decode((self.directory / "cluster.json").read_bytes())
        return f"v2:127.0.0.1:{settings['monitors'][mon]}"

    def kill(self, *mons: str) -> None:
        """Return when all are gone."""
        for mon in mons:
            pid = int((self.directory / f"mon.{mon}" / "pid").read_text())
            watched = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([watched], [], [], 30)
            os.close(watched)

    def runs(self, mon: str) -> bool:
        """Whether it has a process."""
        file = self.directory / f"mon.{mon}" / "pid"
        return file.exists() and Path(f"/proc/{file.read_text().strip()}").exists()

    def quorum(self) -> list[str]:
        found: list[str] = self.ask("quorum_status")["quorum_names"]
        return found

    def meet(self, names: list[str]) -> None:
        """Return when those are the quorum: who was late joins by another election."""
        end = time.monotonic() + 60
        while (found := self.quorum()) != names:
            assert time.monotonic() < end, found


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    cluster = Three(tmp_path_factory.mktemp("mons"))
    cluster.octostack("up", "--mons", "3", "--osds", "2", "--osd-gib", "2")
    cluster.ceph("osd", "pool", "create", "p", "8")
    yield cluster
    cluster.octostack("down")


@pytest.fixture
def whole(three: Three) -> Iterator[Three]:
    """With all monitors; those that a test has killed are started again."""
    three.meet(NAMES)
    yield three
    if not all(map(three.runs, NAMES)):
        three.octostack("up")


def test_every_monitor_tells_the_same(whole: Three) -> None:
    for mon in NAMES:
        status = whole.ask("quorum_status", mon=mon)
        assert (status["quorum_names"], status["quorum_leader_name"]) == (NAMES, "a")
        assert [
            (one["name"], one["public_addrs"]["addrvec"][0]["addr"])
            for one in status["monmap"]["mons"]
        ] == [(name, whole.address(name)[3:]) for name in NAMES]
    groups = whole.ask("status", mon="c")["pgmap"]["pgs_by_state"]
    assert groups == [{"state_name": "active+clean", "count": 8}]


def test_a_change_by_way_of_one_is_there_at_the_next(whole: Three) -> None:
    for mon, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True):
        whole.ceph("config-key", "set", mon, f"by {mon}", mon=mon)
        assert whole.ceph("config-key", "get", mon, mon=other).decode().strip() == f"by {mon}"


def test_the_leader_dies_and_writes_go_on(whole: Three) -> None:
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
    assert whole.ceph("config-key", "get", "after", mon="a").strip() == b"it"


def is_answered(command: list[str]) -> bool:
    """A client that comes before the others are missed is let in, and waits; later ones are not."""
    try:
        done = subprocess.run(command, env=ENVIRONMENT, timeout=8, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def test_one_of_three_answers_nothing_until_another_is_back(whole: Three) -> None:
    whole.ceph("config-key", "set", "before", "it")
    whole.kill("a", "c")
    command = whole.client("ceph", "config-key", "set", "without", "quorum")
    assert not is_answered(command)
    assert not is_answered(whole.client("ceph", "config-key", "get", "before"))
    with subprocess.Popen(command, env=ENVIRONMENT) as waiting:
        whole.octostack("up", "mon.c")
        assert waiting.wait(60) == 0
    assert whole.ceph("config-key", "get", "without").strip() == b"quorum"
    assert whole.ceph("config-key", "get", "before").strip() == b"it"
    whole.meet(["b", "c"])


def test_all_come_back_with_what_was_agreed(whole: Three) -> None:
    whole.ceph("config-key", "set", "kept", "it")
    epoch = whole.ask("quorum_status")["election_epoch"]
    whole.kill(*NAMES)
    whole.octostack("up")
    whole.meet(NAMES)
    assert whole.ask("quorum_status")["election_epoch"] > epoch
    for mon in NAMES:
        assert whole.ceph("config-key", "get", "kept", mon=mon).strip() == b"it"


def test_who_was_away_for_long_gets_everything(whole: Three) -> None:
    whole.octostack("down", "mon.c")
    blob = "x" * 60_000
    for number in range(12):  # more bytes than are kept for who is behind
        whole.ceph("config-key", "set", f"big{number}", blob)
    whole.octostack("up", "mon.c")
    whole.meet(NAMES)
    assert whole.ceph("config-key", "get", "big11", mon="c").strip() == blob.encode()
