# SPDX-License-Identifier: Apache-2.0
"""Clusters that our client must be at home with: ours, and a real one where Ceph is installed."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from octostack.engines.ceph.rados import Cluster, Pool, load
from octostack.testing.realceph import RealCeph, find_missing

ROOT = Path(__file__).parents[3]
REAL = "COMPAT_FULL" in os.environ


class Home(ABC):
    """A cluster whose daemons can be killed."""

    conf: Path
    monitors = 1

    @abstractmethod
    def up(self) -> None: ...

    @abstractmethod
    def down(self) -> None: ...

    @abstractmethod
    def kill(self, daemon: str) -> None:
        """End it at once."""

    @abstractmethod
    def start(self, daemon: str) -> None:
        """Start it again."""


class Ours(Home):
    def __init__(self, directory: Path, *words: str) -> None:
        self.conf = directory / "ceph.conf"
        self._directory = directory
        self._words = words

    def up(self) -> None:
        self._run("up", "--osds", "2", "--osd-gib", "2", *self._words)

    def down(self) -> None:
        self._run("down")

    def kill(self, daemon: str) -> None:
        pid = int((self._directory / daemon / "pid").read_text())
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([watched], [], [], 30)
        os.close(watched)

    def start(self, daemon: str) -> None:
        self._run("up", daemon)

    def _run(self, action: str, *words: str) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "octostack.apps.cli"),
                *("ceph", action, str(self._directory), *words),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class Real(Home):
    monitors = 3

    def __init__(self, directory: Path, auth: str = "cephx") -> None:
        self._ceph = RealCeph(directory, osds=2, mons=self.monitors, auth=auth)
        self.conf = self._ceph.conf

    def up(self) -> None:
        self._ceph.up(osd_bytes=4 << 30)

    def down(self) -> None:
        self._ceph.down()

    def kill(self, daemon: str) -> None:
        self._ceph.kill(daemon)

    def start(self, daemon: str) -> None:
        self._ceph.start(daemon)


def require(kind: str) -> None:
    """Skip a real cluster where its programs are not installed."""
    if kind == "real" and (missing := find_missing()):
        pytest.skip(missing)


KINDS = ("ours", "real") if REAL else ("ours",)  # a real one takes too long for every day


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Whose cluster it is."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def homes() -> Iterator[dict[str, Home]]:
    """The clusters that run: tests come in any order, and none is started twice."""
    running: dict[str, Home] = {}
    yield running
    for home in running.values():
        home.down()


@pytest.fixture
def home(kind: str, homes: dict[str, Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A cluster that runs, with two OSDs."""
    require(kind)
    if kind not in homes:
        directory = tmp_path_factory.mktemp(kind)
        homes[kind] = Ours(directory) if kind == "ours" else Real(directory)
        homes[kind].up()
    return homes[kind]


@pytest.fixture
def make_home(tmp_path: Path) -> Callable[[str, str], "AbstractAsyncContextManager[Home]"]:
    """Another cluster with that authentication, for as long as it is used."""

    @asynccontextmanager
    async def make(kind: str, auth: str) -> AsyncIterator[Home]:
        require(kind)
        found: Home = Ours(tmp_path, "--auth", auth) if kind == "ours" else Real(tmp_path, auth)
        try:
            await asyncio.to_thread(found.up)
            yield found
        finally:
            await asyncio.to_thread(found.down)

    return make


@pytest.fixture
def conf(home: Home) -> Path:
    """Its configuration."""
    return home.conf


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
