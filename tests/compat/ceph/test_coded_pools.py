# SPDX-License-Identifier: Apache-2.0
"""An erasure-coded pool, made and used by the unmodified programs, also with an OSD dead."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
HERE = Path(__file__).parent
REAL = HERE.parents[1] / "vectors/ceph/coded/surface.json"
DIFFERENCES = {  # steps, and why
    "plugin=nope": "no file is looked for",
    "w=16 k=2 m=1": "only words of 8 bits are there",
    "k=2 m=1 packetsize=2048 technique=cauchy_good": "the technique is not there",
}
ROOT = Path(__file__).parents[3]
PATIENCE = 100  # questions, until groups are as they should be
TIMEOUT_S = 60


def octostack(*words: str | Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = (sys.executable, "-m", "octostack.apps.cli", "ceph", *words)
    subprocess.run(words, env=environment, check=True, timeout=TIMEOUT_S, capture_output=True)


class Cluster:
    """Three OSDs, one of which will die."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, program: str, *words: str, data: bytes = b"", fails: bool = False) -> bytes:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [f"/usr/bin/{program}", "-c", f"{self.directory}/ceph.conf", *words],
            input=data,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done.stdout

    def rados(self, *words: str, data: bytes = b"", fails: bool = False) -> bytes:
        return self.run("rados", "-p", "coded", *words, data=data, fails=fails)

    def wait_for(self, state: bytes) -> None:
        for _ in range(PATIENCE):
            if state in self.run("ceph", "pg", "stat"):
                return
        raise AssertionError(self.run("ceph", "-s"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("coded")
    octostack("up", directory, "--osds", "3")
    found = Cluster(directory)
    profile = ("k=2", "m=1", "crush-failure-domain=osd")
    found.run("ceph", "osd", "erasure-code-profile", "set", "two-and-one", *profile)
    found.run("ceph", "osd", "pool", "create", "coded", "4", "4", "erasure", "two-and-one")
    found.wait_for(b"4 active+clean")
    yield found
    octostack("down", directory)


def kill_osd(directory: Path, number: int) -> None:
    """The process that has the OSD's disk open."""
    disk = directory / f"osd.{number}" / "block"
    for process in Path("/proc").iterdir():
        try:
            held = [link.resolve() for link in (process / "fd").iterdir()]
        except OSError:
            continue
        if disk.resolve() in held:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError("no process has it")


def test_the_pool_is_what_was_asked_for(cluster: Cluster) -> None:
    rows = json.loads(cluster.run("ceph", "osd", "pool", "ls", "detail", "-f", "json"))
    (pool,) = (row for row in rows if row["pool_name"] == "coded")
    assert (pool["type"], pool["size"], pool["min_size"]) == (3, 3, 2)
    assert pool["stripe_width"] == 8192
    assert pool["erasure_code_profile"] == "two-and-one"


def test_objects_outlive_an_osd(cluster: Cluster) -> None:
    whole = os.urandom(300_001)
    cluster.rados("put", "whole", "-", data=whole)
    assert cluster.rados("get", "whole", "-") == whole
    cluster.rados("put", "whole", "-", "--offset", "70000", data=b"changed", fails=True)
    cluster.run("ceph", "osd", "pool", "set", "coded", "allow_ec_overwrites", "true")
    cluster.run("ceph", "osd", "pool", "set", "coded", "allow_ec_overwrites", "false", fails=True)
    shown = cluster.run("ceph", "osd", "pool", "get", "coded", "allow_ec_overwrites")
    assert shown == b"allow_ec_overwrites: true\n"
    cluster.rados("put", "whole", "-", "--offset", "70000", data=b"changed")
    whole = whole[:70_000] + b"changed" + whole[70_007:]
    cluster.rados("append", "whole", "-", data=b"more")
    cluster.rados("setxattr", "whole", "colour", "blue")
    cluster.rados("setomapval", "whole", "key", "value", fails=True)
    cluster.rados("mksnap", "before")
    cluster.rados("put", "whole", "-", data=b"short")
    assert cluster.rados("-s", "before", "get", "whole", "-").endswith(whole + b"more")
    kill_osd(cluster.directory, 2)
    assert cluster.rados("get", "whole", "-") == b"short"
    assert cluster.rados("-s", "before", "get", "whole", "-").endswith(whole + b"more")
    cluster.wait_for(b"undersized")
    cluster.rados("put", "later", "-", data=whole)
    cluster.rados("put", "later", "-", "--offset", "5", data=b"over")
    octostack("down", cluster.directory)
    octostack("up", cluster.directory)
    cluster.wait_for(b"4 active+clean")
    kill_osd(cluster.directory, 0)
    assert cluster.rados("get", "later", "-") == whole[:5] + b"over" + whole[9:]
    assert cluster.rados("get", "whole", "-") == b"short"
    assert cluster.rados("getxattr", "whole", "colour") == b"blue"


def test_profiles_settings_and_objects_are_as_in_a_real_cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """In a cluster of its own: the options of its monitors change."""
    directory = tmp_path_factory.mktemp("surface")
    octostack("up", directory, "--osds", "3")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    script = [str(HERE / "coded_surface.py"), f"{directory}/ceph.conf"]
    try:
        done = subprocess.run(
            ["/usr/bin/python3", *script],
            env=environment,
            capture_output=True,
            timeout=100,
            check=False,
        )
    finally:
        octostack("down", directory)
    assert done.returncode == 0, done.stderr.decode()
    real, ours = json.loads(REAL.read_text()), json.loads(done.stdout)
    assert real.keys() == ours.keys()
    different = {}
    for part, steps in real.items():
        pairs = enumerate(zip(steps, ours[part], strict=True))
        different |= {
            one.get("words", f"{part} {n}"): (one, got) for n, (one, got) in pairs if one != got
        }
    assert different.keys() == DIFFERENCES.keys(), different
