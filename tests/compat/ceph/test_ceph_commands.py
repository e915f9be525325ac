# SPDX-License-Identifier: Apache-2.0
"""A fixed list of `ceph` commands: our answers have the shape of those of a real cluster."""

import fnmatch
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from octostack.testing.ceph_shapes import compared, numbered, of_answer

pytestmark = pytest.mark.compat
HERE = Path(__file__).parent
VECTORS = HERE.parents[1] / "vectors" / "ceph" / "commands"
COMMANDS_MIN = 120
TIMEOUT_S = 300


class Rule(msgspec.Struct):
    """A difference that is known: patterns of the command and of what differs."""

    pattern: str
    always: bool
    used: bool = False

    def fits(self, line: str) -> bool:
        return fnmatch.fnmatchcase(line, self.pattern)


def rules() -> list[Rule]:
    found = []
    for line in (VECTORS / "differences.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("? ")
            # brackets are meant as such
            found.append(Rule(pattern.replace("[", "[[]"), pattern == line))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of its own: the list takes OSDs down and removes pools."""
    missing = [name for name in ("/usr/bin/ceph", "/usr/bin/python3") if not Path(name).exists()]
    if missing:
        pytest.skip(f"not installed: {missing}; run `make setup` as root")
    directory = tmp_path_factory.mktemp("c")
    octostack("up", directory, "--osds", "3")
    yield directory
    octostack("down", directory)


def octostack(word: str, directory: Path, *more: str) -> None:
    command = [sys.executable, "-m", "octostack.apps.cli", "ceph", word, str(directory), *more]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2] / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_answers_have_the_shape_of_cephs(cluster: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        ["/usr/bin/python3", HERE / "ceph_session.py", cluster / "ceph.conf", VECTORS / "list.txt"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "waited in vain" not in done.stderr, done.stderr
    real = numbered(json.loads(line) for line in (VECTORS / "real.jsonl").read_text().splitlines())
    ours = numbered(of_answer(json.loads(line)) for line in done.stdout.splitlines())
    assert len(real) >= COMMANDS_MIN
    assert real.keys() == ours.keys()
    known, unknown = rules(), []
    for key, answer in real.items():
        for difference in compared(answer, ours[key]):
            line = f"{key[0]} {key[1]} : {difference}"
            fitting = [rule for rule in known if rule.fits(line)]
            for rule in fitting:
                rule.used = True
            if not fitting:
                unknown.append(line)
    assert not unknown, "\n".join(unknown)
    stale = [rule.pattern for rule in known if rule.always and not rule.used]
    assert not stale, f"these differences are no more: {stale}"


def test_the_same_by_the_program_itself(cluster: Path) -> None:
    """One command in a process of its own says what it says in the session."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for words in (["osd", "df", "tree"], ["pg", "dump", "summary"], ["tell", "osd.0", "version"]):
        done = subprocess.run(
            ["/usr/bin/ceph", "-c", cluster / "ceph.conf", *words, "--format", "json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict)
