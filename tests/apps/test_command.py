# SPDX-License-Identifier: Apache-2.0
"""The `octostack` command on simulated hosts, as an ordinary user would run it."""

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


def test_up_says_where_the_cloud_is_and_what_is_simulated(installation: Installation) -> None:
    printed = installation.up("--simulate", "2", "--port", "0")
    status = installation.status()
    assert status["url"] in printed
    assert "2 simulated host" in printed
    assert installation.client().get("/identity/v3").status_code == 200


def test_down_leaves_no_process_and_up_finds_the_data(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    first = installation.status()
    with installation.client() as client:
        made = client.post("/identity/v3/projects", json={"project": {"name": "kept"}})
    assert made.status_code == 201
    installation.command("down")
    assert not Path(f"/proc/{first['pid']}").exists()
    assert installation.status() == {"up": False}
    installation.up()
    again = installation.status()
    assert (again["url"], again["simulated_hosts"]) == (first["url"], 1)
    with installation.client() as client:
        names = [p["name"] for p in client.get("/identity/v3/projects").json()["projects"]]
    assert "kept" in names


def test_killed_and_started_again(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    installation.kill()
    assert installation.status() == {"up": False}
    installation.up()
    assert installation.client().get("/compute/v2.1/servers").json() == {"servers": []}


def test_one_directory_is_run_once_and_two_live_side_by_side(
    installation: Installation, tmp_path: Path
) -> None:
    installation.up("--simulate", "1", "--port", "0")
    second = installation.command("up", "--detach", check=False)
    assert second.returncode == 1
    assert "in use" in second.stderr
    other = Installation(tmp_path / "other")
    other.up("--simulate", "1", "--port", "0")
    try:
        assert other.status()["url"] != installation.status()["url"]
        assert other.client().get("/identity/v3").status_code == 200
    finally:
        other.command("down")


def test_files_with_secrets_are_the_owners_alone(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    secret = [installation.state_dir / "clouds.yaml", installation.state_dir / "openrc"]
    secret += (installation.state_dir / "secrets").rglob("*")
    secret += (installation.state_dir / "db").iterdir()
    assert [p for p in secret if p.is_file() and p.stat().st_mode & 0o077] == []
    passwords = [c["auth"]["password"] for c in installation.clouds().values()]
    log = (installation.state_dir / "log" / "octostack.log").read_text()
    assert not any(password in log for password in passwords)


def test_env_logs_in(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    printed = installation.command("env").stdout
    lines = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())
    assert lines["OS_AUTH_URL"] == installation.clouds()["octostack"]["auth"]["auth_url"]


def test_doctor_finds_a_healthy_cloud_healthy(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    assert "agree" in installation.command("doctor").stdout


def test_reset_makes_the_cloud_as_new(installation: Installation) -> None:
    installation.up("--simulate", "1", "--port", "0")
    with installation.client() as client:
        client.post("/identity/v3/projects", json={"project": {"name": "gone"}})
    installation.command("reset", "--yes")
    installation.up("--simulate", "1", "--port", "0")
    with installation.client() as client:
        names = [p["name"] for p in client.get("/identity/v3/projects").json()["projects"]]
    assert "gone" not in names


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
