# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a storage cluster under `rados bench`: the client goes on, and nothing is lost."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
KILLS = 2
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


def kill(pid: int) -> None:
    """Return when the process is gone."""
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


def test_a_killed_cluster_comes_back_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    octostack_ceph("up", tmp_path, "--osds", "2", "--osd-gib", "2")
    try:
        create = client(tmp_path, "ceph", "osd", "pool", "create", "p", "8")
        subprocess.run(create, env=ENVIRONMENT, timeout=60, check=True, capture_output=True)
        for number in range(KILLS):
            words = ("bench", "3", "write", "-b", "4096", "-t", "8", "--no-cleanup")
            run = ("--run-name", f"run{number}")
            with subprocess.Popen(
                client(tmp_path, "rados", "-p", "p", *words, *run),
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as bench:
                read_until_work_is_done(bench)
                kill(int((tmp_path / "pid").read_text()))
                octostack_ceph("up", tmp_path)
                rest, _ = bench.communicate(timeout=60)
            assert bench.returncode == 0, rest
            assert "error" not in rest.lower()
        for number in range(KILLS):  # reads every object of a run, and compares it
            words = ("bench", "60", "seq", "-t", "8", "--run-name", f"run{number}")
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
