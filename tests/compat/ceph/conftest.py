# SPDX-License-Identifier: Apache-2.0
"""A storage cluster of ours, started by the real command, and Ceph's own programs to use it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from octostack.testing.cephdir import NAMES, CephDir

TIMEOUT_S = 60
PATIENCE = 100  # questions to the monitor, until groups are as they should be
ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


def octostack(*words: str | Path) -> str:
    """Run our command; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "octostack.apps.cli", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def ceph_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a cluster with one monitor and two OSDs, which runs."""
    missing = [name for name in ("ceph", "rados") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {missing}; run `make setup` as root")
    directory = tmp_path_factory.mktemp("ceph")
    octostack("ceph", "up", directory, "--osds", "2")
    yield directory
    octostack("ceph", "down", directory)


@pytest.fixture(scope="session")
def ceph(ceph_dir: Path) -> Run:
    """Runs ``ceph -c ...`` or another program: ``ceph("rados", "ls", ...)``."""

    def run(
        program: str, *words: str, data: bytes = b"", fails: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [f"/usr/bin/{program}", "-c", f"{ceph_dir}/ceph.conf", *words],
            input=data,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture(scope="session")
def settle(ceph: Run) -> Callable[[], None]:
    """Returns when both OSDs are up and all groups clean: the end of a test that disturbs them."""

    def wait() -> None:
        for _ in range(PATIENCE):
            status = msgspec.json.decode(ceph("ceph", "status", "-f", "json").stdout)
            states = [group["state_name"] for group in status["pgmap"]["pgs_by_state"]]
            is_clean = all("active+clean" in state for state in states)
            if is_clean and status["osdmap"]["num_up_osds"] == 2:
                return
        raise AssertionError(status)

    return wait


@pytest.fixture(scope="session")
def pool(ceph: Run) -> str:
    """A pool for all tests, with two copies; each uses its own object names."""
    ceph("ceph", "osd", "pool", "create", "data", "8")
    ceph("ceph", "osd", "pool", "application", "enable", "data", "rados")
    for _ in range(PATIENCE):
        listed = ceph("ceph", "pg", "ls-by-pool", "data", "-f", "json").stdout
        states = [group["state"] for group in msgspec.json.decode(listed)["pg_stats"]]
        if states == ["active+clean"] * 8:
            return "data"
    raise AssertionError(ceph("ceph", "-s").stdout)


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephDir]:
    """A cluster with three monitors and two OSDs, and a pool `p`."""
    cluster = CephDir(tmp_path_factory.mktemp("mons"), Path(__file__).with_name("ceph_session.py"))
    cluster.octostack("up", "--mons", "3", "--osds", "2", "--osd-gib", "2")
    cluster.ceph("osd", "pool", "create", "p", "8")
    yield cluster
    cluster.down()


@pytest.fixture
def whole(three: CephDir) -> Iterator[CephDir]:
    """With all monitors, and at rest; those that a test has killed are started again."""
    three.meet(NAMES)
    three.settle()
    yield three
    if not all(map(three.runs, NAMES)):
        three.octostack("up")
