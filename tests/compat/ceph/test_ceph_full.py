# SPDX-License-Identifier: Apache-2.0
"""A disk that is full: Ceph's client is told so, reads go on, deletions make room."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
ROOT = Path(__file__).parents[3]
SIZE = 4_000_000
NO_SPACE = 28


def octostack(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "octostack.apps.cli", "ceph", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    if shutil.which("rados") is None:
        pytest.skip("not installed: rados; run `make setup` as root")
    return tmp_path / "ceph"


def test_a_full_disk(directory: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def run(program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [f"/usr/bin/{program}", "-c", f"{directory}/ceph.conf", *words]
        return subprocess.run(
            command, env=environment, capture_output=True, timeout=60, check=False
        )

    up = octostack("up", directory, "--osds", "1", "--osd-gib", "0.0625")
    assert up.returncode == 0, up.stderr
    try:
        assert run("ceph", "osd", "pool", "create", "data", "8").returncode == 0
        source, target = directory / "in", directory / "out"
        source.write_bytes(os.urandom(SIZE))

        def put(number: int) -> subprocess.CompletedProcess[bytes]:
            # a client that is told by the map that a pool is full would wait, but for this flag
            return run("rados", "-p", "data", "--force-full", "put", f"o{number}", str(source))

        count = 0
        while (done := put(count)).returncode == 0:
            count += 1
            assert count * SIZE < 64 << 20, "more than the disk can hold"
        assert f"({NO_SPACE}) No space left on device".encode() in done.stderr
        assert count * SIZE > 40 << 20
        assert run("rados", "-p", "data", "get", "o3", str(target)).returncode == 0
        assert target.read_bytes() == source.read_bytes()
        for number in range(3):
            words = ("-p", "data", "rm", f"o{number}", "--force-full")
            assert run("rados", *words).returncode == 0
        assert put(0).returncode == 0
        listed = run("rados", "-p", "data", "ls").stdout.split()
    finally:
        octostack("down", directory)
    checked = octostack("fsck", directory / "osd.0")
    assert checked.returncode == 0, checked.stdout
    assert f"nothing is wrong, {len(listed)} objects" in checked.stdout
