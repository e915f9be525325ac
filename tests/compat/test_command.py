# SPDX-License-Identifier: Apache-2.0
"""The `octostack` command as a stranger uses it: real processes, simulated hosts."""

import json
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat


@pytest.fixture
def new_cloud(clients_module):
    """Makes clouds that are down and gone after the test."""
    made = []

    def make(hosts=1):
        cloud = clients_module.Cloud(Path(tempfile.mkdtemp(prefix="octo-command-")), hosts)
        made.append(cloud)
        return cloud

    yield make
    for cloud in made:
        cloud.octostack("down")
        shutil.rmtree(cloud.state_dir)


@pytest.fixture
def clients_module(request):
    """The module with Cloud, which the conftest has loaded."""
    import sys

    return sys.modules["clients"]


def _status(cloud):
    return json.loads(cloud.octostack("status", "--json"))


def _openstack(clients_module, cloud, command):
    process = clients_module.Clients(cloud)
    try:
        return clients_module.OpenStack(process)(command)
    finally:
        process.close()


def test_everything_is_found_again_after_down_and_up(new_cloud, clients_module):
    cloud = new_cloud()
    assert "ready" in cloud.octostack("up", "--detach", "--simulate", "1", "--port", "0")
    url = _status(cloud)["url"]
    made = _openstack(clients_module, cloud, "network create kept")
    cloud.octostack("down")
    cloud.octostack("up", "--detach")
    assert _status(cloud)["url"] == url  # what clients were told stays true
    assert _status(cloud)["simulated_hosts"] == 1
    assert _openstack(clients_module, cloud, "network show kept")["id"] == made["id"]


def test_two_clouds_side_by_side(new_cloud, clients_module):
    one, two = new_cloud(), new_cloud()
    one.up()
    two.up()
    _openstack(clients_module, one, "network create only-here")
    names = {row["Name"] for row in _openstack(clients_module, two, "network list")}
    assert "only-here" not in names
    assert _status(one)["pid"] != _status(two)["pid"]


def test_up_says_what_is_simulated_and_down_leaves_no_process(new_cloud):
    cloud = new_cloud()
    said = cloud.octostack("up", "--detach", "--simulate", "2", "--port", "0")
    assert "2 simulated host" in said and "clouds.yaml" in said
    pid = _status(cloud)["pid"]
    cloud.octostack("down")
    assert not _runs(pid)
    told = str(cloud.state_dir).encode()
    left = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if told in _read(path) and path.parent.name != str(pid)
    ]
    assert not left


def _runs(pid):
    """Is the process there, more than as an entry that init has not collected yet?"""
    status = _read(Path(f"/proc/{pid}/stat"))
    return bool(status) and status.rpartition(b")")[2].split()[0] != b"Z"


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_second_up_is_refused_in_words(new_cloud, clients_module):
    cloud = new_cloud()
    cloud.up()
    with pytest.raises(AssertionError, match=r"in use|already|running"):
        cloud.octostack("up", "--detach", "--simulate", "1")


def test_an_unknown_setting_is_named(new_cloud):
    cloud = new_cloud()
    (cloud.state_dir / "octostack.toml").write_text("[server]\nprot = 1\n")
    with pytest.raises(AssertionError, match="prot"):
        cloud.up()


def test_only_loopback_is_listened_on(new_cloud):
    cloud = new_cloud()
    cloud.up()
    pid = _status(cloud)["pid"]
    mine = {Path(fd).readlink().name for fd in _sockets(pid)}
    listening = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in mine
    ]
    assert listening, "it must listen somewhere"
    addresses = {row[1].split(":")[0] for row in listening}
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}


def _sockets(pid):
    return [
        path
        for path in Path(f"/proc/{pid}/fd").iterdir()
        if path.is_symlink() and str(path.readlink()).startswith("socket:")
    ]


def test_secrets_are_private_and_in_no_log(new_cloud, clients_module):
    cloud = new_cloud()
    cloud.up()
    _openstack(clients_module, cloud, "token issue")
    secret_files = [p for p in (cloud.state_dir / "secrets").rglob("*") if p.is_file()]
    assert secret_files
    for path in [*secret_files, cloud.config, cloud.state_dir / "openrc"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    clouds = json.loads(cloud.config.read_text())["clouds"]
    passwords = {entry["auth"]["password"].encode() for entry in clouds.values()}
    logs = b"".join(p.read_bytes() for p in (cloud.state_dir / "log").rglob("*") if p.is_file())
    assert logs, "nothing was logged, so nothing is shown"
    assert not [password for password in passwords if password in logs]


def test_env_and_openrc_log_in(new_cloud, clients_module):
    cloud = new_cloud()
    cloud.up()
    said = cloud.octostack("env")
    assert "export OS_AUTH_URL=" in said
    openrc = (cloud.state_dir / "openrc").read_text()
    assert sorted(openrc.split("\n")) == sorted(said.split("\n"))
    client = clients_module.CLIENTS_PYTHON.with_name("openstack")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{openrc}\nexec {client} token issue -f json"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"]


def test_reset_leaves_settings_and_nothing_else(new_cloud, clients_module):
    cloud = new_cloud()
    cloud.up()
    settings = cloud.state_dir / "octostack.toml"
    text = settings.read_text()
    _openstack(clients_module, cloud, "network create gone-soon")
    cloud.octostack("reset", "--yes")
    assert [path.name for path in cloud.state_dir.iterdir()] == ["octostack.toml"]
    assert settings.read_text() == text
    cloud.up()
    names = {row["Name"] for row in _openstack(clients_module, cloud, "network list")}
    assert "gone-soon" not in names


def test_reset_refuses_what_is_no_state_directory(new_cloud):
    cloud = new_cloud()
    precious = cloud.state_dir / "photos" / "one"
    precious.parent.mkdir()
    precious.write_text("x")
    with pytest.raises(AssertionError, match="octostack"):
        cloud.octostack("reset", "--yes")
    assert precious.read_text() == "x"
