# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a storage cluster, and of single daemons of it, under `rados bench`.

The client goes on, and nothing is lost.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from octostack.apps.ceph import units

pytestmark = pytest.mark.compat
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def octostack_ceph(action: str, directory: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "octostack.apps.cli", "ceph", action, str(directory), *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
        timeout=60,
        check=True,
    )


def client(directory: Path, program: str, *words: str) -> list[str]:
    return [f"/usr/bin/{program}", "-c", f"{directory}/ceph.conf", *words]


def kill(pid_file: Path) -> None:
    """Return when the process is gone."""
    pid = int(pid_file.read_text())
    watched = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([watched], [], [], 30)
    os.close(watched)


def read_until_work_is_done(bench: "subprocess.Popen[str]") -> None:
    """`rados bench` tells every second how many operations it has finished."""
    assert bench.stdout is not None
    for line in bench.stdout:
        words = line.split()
        if len(words) >= 8 and words[0].isdigit() and int(words[2]) > 0:
            return
    raise AssertionError("the bench ended before it had done anything")


@pytest.mark.parametrize(
    ("processes", "victims"),
    [("one", (".", ".")), ("each", ("osd.0", "mon.a"))],
    ids=["all at once", "an OSD, then the monitor"],
)
def test_what_was_killed_comes_back_with_all_that_was_acknowledged(
    tmp_path: Path, processes: str, victims: tuple[str, ...]
) -> None:
    octostack_ceph("up", tmp_path, "--osds", "2", "--osd-gib", "2", "--processes", processes)
    try:
        create = client(tmp_path, "ceph", "osd", "pool", "create", "p", "8")
        subprocess.run(create, env=ENVIRONMENT, timeout=60, check=True, capture_output=True)
        for victim in victims:
            words = ("bench", "3", "write", "-b", "4096", "-t", "8", "--no-cleanup")
            run = ("--run-name", f"run-{victim}")
            with subprocess.Popen(
                client(tmp_path, "rados", "-p", "p", *words, *run),
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as bench:
                read_until_work_is_done(bench)
                kill(tmp_path / victim / "pid")
                octostack_ceph("up", tmp_path)
                rest, _ = bench.communicate(timeout=60)
            assert bench.returncode == 0, rest
            assert "error" not in rest.lower()
        for victim in victims:  # reads every object of a run, and compares it
            words = ("bench", "60", "seq", "-t", "8", "--run-name", f"run-{victim}")
            done = subprocess.run(
                client(tmp_path, "rados", "-p", "p", *words),
                env=ENVIRONMENT,
                capture_output=True,
                timeout=100,
                check=True,
            )
            assert b"error" not in (done.stdout + done.stderr).lower()
    finally:
        octostack_ceph("down", tmp_path)


def test_single_daemons_are_stopped_and_started(tmp_path: Path) -> None:
    octostack_ceph("up", tmp_path, "--osds", "2", "--osd-gib", "1")
    try:
        pids = {name: _pid(tmp_path, name) for name in ("mon.a", "osd.0", "osd.1")}
        octostack_ceph("down", tmp_path, "osd.1")
        assert _pid(tmp_path, "osd.1") is None
        assert _states(tmp_path) == {0: 1, 1: 0}  # it said goodbye
        octostack_ceph("up", tmp_path, "osd.1")
        assert _states(tmp_path) == {0: 1, 1: 1}
        assert _pid(tmp_path, "osd.1") != pids["osd.1"]
        assert {_pid(tmp_path, name) for name in ("mon.a", "osd.0")} == {
            pids["mon.a"],
            pids["osd.0"],
        }
        with pytest.raises(subprocess.CalledProcessError):
            octostack_ceph("up", tmp_path)
    finally:
        octostack_ceph("down", tmp_path)
    assert not any(_pid(tmp_path, name) for name in pids)


def _pid(directory: Path, name: str) -> int | None:
    return units.Unit(name, (name,), directory / name).pid()


def _states(directory: Path) -> dict[int, int]:
    dump = client(directory, "ceph", "osd", "dump", "--format", "json")
    done = subprocess.run(dump, env=ENVIRONMENT, timeout=60, check=True, capture_output=True)
    return {osd["osd"]: osd["up"] for osd in msgspec.json.decode(done.stdout)["osds"]}
