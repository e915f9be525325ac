# SPDX-License-Identifier: Apache-2.0
"""All that python3-rados and the `rados` tool can do, beside what they got of a real cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "vectors/ceph/surface"
DIFFERENCES = {  # of the tool, and why
    "mapext o": "what a truncation added counts as written here",
    "set-redirect o --target-pool tool2 copied2": "there are no manifests",
    "set-chunk o 0 4 --target-pool tool2 copied2 0": "there are no manifests",
    "unset-manifest o": "there are no manifests",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of its own: outcomes tell of all pools."""
    directory = tmp_path_factory.mktemp("surface")

    def run(action: str, *words: str) -> None:
        command = [sys.executable, "-m", "octostack.apps.cli", "ceph", action, str(directory)]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2] / "src")}
        subprocess.run([*command, *words], env=environment, timeout=60, check=True)

    run("up", "--osds", "2", "--osd-gib", "2")
    yield directory
    run("down")


def run_script(name: str, directory: Path) -> list[dict[str, object]] | dict[str, object]:
    """What it prints, run by the system's own python."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        ["/usr/bin/python3", str(HERE / name), f"{directory}/ceph.conf"],
        env=environment,
        capture_output=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, object]] | dict[str, object] = json.loads(done.stdout)
    return found


def test_python_rados_gets_what_it_gets_of_a_real_cluster(alone: Path) -> None:
    real = json.loads((GOLDEN / "librados.json").read_text(encoding="utf-8"))
    assert len(real) > 180
    assert run_script("librados_surface.py", alone) == real


def test_the_tool_gets_what_it_gets_of_a_real_cluster(alone: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for pool in ("tool", "tool2", "tool3"):
        for words in (("create", pool, "4"), ("application", "enable", pool, "rados")):
            command = ["/usr/bin/ceph", "-c", f"{alone}/ceph.conf", "osd", "pool", *words]
            subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
    real = json.loads((GOLDEN / "rados.json").read_text(encoding="utf-8"))
    ours = run_script("rados_surface.py", alone)
    assert isinstance(ours, list)
    different = {str(one["words"]): (one, got) for one, got in zip(real, ours, strict=True)}
    different = {words: pair for words, pair in different.items() if pair[0] != pair[1]}
    assert different.keys() == DIFFERENCES.keys(), different
