# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed and settings that are wrong, seen from the outside."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from octostack.testing.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "state")
    yield made
    made.command("down", check=False)


def test_killed_and_started_again(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    installation.kill()
    assert installation.status() == {"up": False}
    installation.up()
    with installation.client() as client:
        assert client.get("/compute/v2.1/servers").json() == {"servers": []}


def test_doctor_finds_a_healthy_cloud_healthy(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    assert "agree" in installation.command("doctor").stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[server]\nprot = 1\n", "prot"),
        ("[compute]\nno_such_key = 1\n", "no_such_key"),
        ("[server\n", "octostack.toml"),
        ('[database]\nurl = "oracle://x"\n', "Not a database URL"),
    ],
)
def test_wrong_settings_are_named(installation: Installation, settings: str, said: str) -> None:
    installation.state_dir.mkdir()
    (installation.state_dir / "octostack.toml").write_text(settings)
    failed = installation.command("up", "--detach", "--simulate", "1", check=False)
    assert failed.returncode == 1
    assert said in failed.stderr


def test_status_as_json_when_down(installation: Installation) -> None:
    down = installation.command("status", "--json", check=False)
    assert (down.returncode, json.loads(down.stdout)) == (1, {"up": False})
