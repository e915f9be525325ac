# SPDX-License-Identifier: Apache-2.0
"""Clusters that our client must be at home with: ours, and a real one where Ceph is installed."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from octostack.engines.ceph.rados import Cluster, Pool, load
from octostack.testing.realceph import RealCeph, find_missing

ROOT = Path(__file__).parents[3]
REAL = "COMPAT_FULL" in os.environ


def octostack_ceph(action: str, directory: Path, *words: str) -> None:
    """Run our command."""
    done = subprocess.run(
        [sys.executable, "-m", "octostack.apps.cli", "ceph", action, str(directory), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session", params=["ours", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    """Whose cluster it is."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def conf(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a cluster that runs, with two OSDs or three."""
    directory = tmp_path_factory.mktemp(kind)
    if kind == "ours":
        octostack_ceph("up", directory, "--osds", "2", "--osd-gib", "2")
        yield directory / "ceph.conf"
        octostack_ceph("down", directory)
        return
    if given := os.environ.get("COMPAT_CEPH_CONF"):  # one that runs already, and may be paused
        yield Path(given)
        return
    if not REAL:
        pytest.skip("a real cluster takes its time: COMPAT_FULL=1")
    if missing := find_missing():
        pytest.skip(missing)
    real = RealCeph(directory, osds=2, objectstore="memstore")
    try:
        real.up(osd_bytes=1 << 30)
        yield real.conf
    finally:
        real.down()


@pytest.fixture
async def cluster(conf: Path) -> AsyncIterator[Cluster]:
    """A client of it."""
    async with Cluster(load(conf, environment={})) as found:
        yield found


@pytest.fixture
async def pool(cluster: Cluster) -> AsyncIterator[Pool]:
    """The pool of all tests; each uses its own names."""
    name = "objects"
    found = await cluster.find_pool(name)
    if found is None:
        words = {"pool": name, "pg_num": 8, "pgp_num": 8}
        await cluster.mon_command({"prefix": "osd pool create", **words})
        found = await cluster.open_pool(name)
    yield found
