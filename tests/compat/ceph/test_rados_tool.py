# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified `rados` and `ceph` (16.2.15) against our monitor and OSDs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
Run = Callable[..., subprocess.CompletedProcess[bytes]]


def start(action: str, directory: Path, *words: str) -> None:
    """Another cluster than that of most tests."""
    subprocess.run(
        [sys.executable, "-m", "octostack.apps.cli", "ceph", action, str(directory), *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
        timeout=60,
        check=True,
    )


def as_json(ceph: Run, *words: str) -> object:
    return json.loads(ceph("ceph", *words, "-f", "json").stdout)


def test_put_get_stat_rm(ceph: Run, pool: str) -> None:
    data = bytes(range(256)) * 40_000  # more than one write of 4 MiB
    ceph("rados", "-p", pool, "put", "big", "-", data=data)
    assert ceph("rados", "-p", pool, "get", "big", "-").stdout == data
    assert f"size {len(data)}".encode() in ceph("rados", "-p", pool, "stat", "big").stdout
    ceph("rados", "-p", pool, "rm", "big")
    gone = ceph("rados", "-p", pool, "stat", "big", fails=True)
    assert b"No such file" in gone.stderr


def test_ls_goes_through_all_groups(ceph: Run, pool: str) -> None:
    names = {f"listed-{number}" for number in range(20)}
    for name in names:
        ceph("rados", "-p", pool, "create", name)
    found = ceph("rados", "-p", pool, "ls").stdout.decode().split()
    assert names <= set(found)
    assert len(found) == len(set(found))


def test_namespaces_keep_objects_apart(ceph: Run, pool: str) -> None:
    for namespace in ("one", "two"):
        name = namespace.encode()
        ceph("rados", "-p", pool, "-N", namespace, "put", "same", "-", data=name)
    assert ceph("rados", "-p", pool, "-N", "two", "get", "same", "-").stdout == b"two"
    assert ceph("rados", "-p", pool, "-N", "one", "ls").stdout == b"same\n"


def test_attributes_and_omap(ceph: Run, pool: str) -> None:
    rados = ("rados", "-p", pool)
    ceph(*rados, "setxattr", "o", "colour", "red")
    assert ceph(*rados, "getxattr", "o", "colour").stdout == b"red"
    assert ceph(*rados, "listxattr", "o").stdout == b"colour\n"
    ceph(*rados, "setomapval", "o", "key", "value")
    assert ceph(*rados, "listomapkeys", "o").stdout == b"key\n"
    assert b"value" in ceph(*rados, "getomapval", "o", "key").stdout
    ceph(*rados, "rmomapkey", "o", "key")
    assert ceph(*rados, "listomapkeys", "o").stdout == b""


def test_snapshots_of_a_pool(ceph: Run) -> None:
    ceph("ceph", "osd", "pool", "create", "snapped", "4")
    ceph("ceph", "osd", "pool", "application", "enable", "snapped", "rados")
    rados = ("rados", "-p", "snapped")
    ceph(*rados, "put", "o", "-", data=b"before")
    ceph(*rados, "mksnap", "first")
    ceph(*rados, "put", "o", "-", data=b"after")
    assert b"first" in ceph(*rados, "lssnap").stdout
    assert ceph(*rados, "-s", "first", "get", "o", "-").stdout.endswith(b"before")
    ceph(*rados, "rollback", "o", "first")
    assert ceph(*rados, "get", "o", "-").stdout.endswith(b"before")
    ceph(*rados, "rmsnap", "first")
    assert b"0 snaps" in ceph(*rados, "lssnap").stdout


@pytest.mark.parametrize("size", ["4096", "4194304"])
def test_bench_writes_and_reads_what_it_wrote(ceph: Run, pool: str, size: str) -> None:
    rados = ("rados", "-p", pool, "bench", "1")
    run = ("--run-name", f"of-{size}")
    ceph(*rados, "write", "-b", size, "-t", "4", "--no-cleanup", *run)
    done = ceph(*rados, "seq", "-t", "4", *run)
    assert b"Total reads made" in done.stdout
    assert b"Error" not in done.stdout + done.stderr
    ceph("rados", "-p", pool, "cleanup", *run)


def test_status_health_and_maps(ceph: Run, pool: str, settle: Callable[[], None]) -> None:
    settle()
    status = as_json(ceph, "status")
    assert isinstance(status, dict)
    assert status["health"]["status"] == "HEALTH_OK", status["health"]
    assert status["osdmap"]["num_up_osds"] == 2
    assert as_json(ceph, "osd", "ls") == [0, 1]
    dump = as_json(ceph, "osd", "dump")
    assert isinstance(dump, dict)
    assert pool in [one["pool_name"] for one in dump["pools"]]
    assert "HEALTH_OK" in ceph("ceph", "-s").stdout.decode()


def test_pools_come_and_go(ceph: Run) -> None:
    ceph("ceph", "osd", "pool", "create", "brief", "2")
    ceph("rados", "-p", "brief", "create", "o")
    ceph("ceph", "osd", "pool", "rename", "brief", "gone")
    refused = ceph("ceph", "osd", "pool", "rm", "gone", fails=True)
    assert b"PERMANENTLY DESTROY" in refused.stderr
    ceph("ceph", "osd", "pool", "rm", "gone", "gone", "--yes-i-really-really-mean-it")
    assert b"gone" not in ceph("rados", "lspools").stdout
    missing = ceph("rados", "-p", "gone", "ls", fails=True)
    assert b"No such file" in missing.stderr


def test_objects_stay_when_an_osd_is_told_to_be_down(
    ceph: Run, pool: str, settle: Callable[[], None]
) -> None:
    """It is not: it says so, and is up again with the next map."""
    ceph("rados", "-p", pool, "put", "kept", "-", data=b"x")
    ceph("ceph", "osd", "down", "0")
    assert ceph("rados", "-p", pool, "get", "kept", "-").stdout == b"x"
    settle()


def test_configuration_is_kept_and_told(ceph: Run) -> None:
    ceph("ceph", "config", "set", "client", "rados_osd_op_timeout", "33")
    assert ceph("ceph", "config", "get", "client", "rados_osd_op_timeout").stdout == b"33\n"
    ceph("ceph", "config", "rm", "client", "rados_osd_op_timeout")
    ceph("ceph", "config-key", "set", "a/b", "c")
    assert ceph("ceph", "config-key", "get", "a/b").stdout == b"c"
    assert b"ENOENT" in ceph("ceph", "config-key", "get", "nothing", fails=True).stderr


def test_what_is_no_command_is_refused(ceph: Run) -> None:
    assert b"invalid command" in ceph("ceph", "osd", "unknown", fails=True).stderr


def test_a_client_does_what_its_capabilities_say_and_no_more(
    ceph: Run, pool: str, tmp_path: Path
) -> None:
    ceph("rados", "-p", pool, "put", "guarded", "-", data=b"x")
    words = ("mon", "allow r", "osd", f"allow r pool={pool}")
    text = ceph("ceph", "auth", "get-or-create", "client.reader", *words).stdout
    (tmp_path / "keyring").write_bytes(text)
    reader = ("-n", "client.reader", "--keyring", str(tmp_path / "keyring"))
    assert ceph("rados", *reader, "-p", pool, "get", "guarded", "-").stdout == b"x"
    refused = ceph("rados", *reader, "-p", pool, "put", "guarded", "-", data=b"y", fails=True)
    assert b"Operation not permitted" in refused.stderr
    assert b"EACCES" in ceph("ceph", *reader, "osd", "pool", "create", "x", fails=True).stderr
    manager = ("mgr", 'allow command "pg stat"')
    ceph("ceph", "auth", "caps", "client.reader", "mon", "allow r", "osd", "allow rw", *manager)
    assert b" pgs: " in ceph("ceph", *reader, "pg", "stat").stdout
    refused = ceph("ceph", *reader, "pg", "ls", fails=True)
    assert b"does your client key have mgr caps" in refused.stderr
    ceph("rados", *reader, "-p", pool, "put", "guarded", "-", data=b"y")
    ceph("ceph", "auth", "rm", "client.reader")
    gone = ceph("rados", *reader, "-p", pool, "ls", fails=True)
    assert b"failed to fetch mon config" in gone.stderr


def test_a_wrong_key_is_refused(ceph: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "keyring"
    wrong.write_text("[client.admin]\n\tkey = AQBSoyFp7k4jIRAAtXHyN6zDJ0Lx0cGmS9aZ8A==\n")
    done = ceph("rados", "--keyring", str(wrong), "lspools", fails=True)
    assert b"handle_auth_bad_method" in done.stderr


def test_where_authentication_is_none_a_name_is_enough(tmp_path: Path) -> None:
    start("up", tmp_path, "--osds", "1", "--auth", "none")
    try:
        conf = f"{tmp_path}/ceph.conf"
        done = subprocess.run(
            ["/usr/bin/rados", "-c", conf, "lspools"], capture_output=True, timeout=60, check=True
        )
        assert done.stdout == b""
    finally:
        start("down", tmp_path)


def test_a_cluster_that_was_stopped_finds_all_again(tmp_path: Path) -> None:
    def rados(*words: str) -> bytes:
        command = ["/usr/bin/rados", "-c", f"{tmp_path}/ceph.conf", *words]
        return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout

    start("up", tmp_path, "--osds", "2", "--osd-gib", "1")
    try:
        subprocess.run(
            ["/usr/bin/ceph", "-c", f"{tmp_path}/ceph.conf", "osd", "pool", "create", "kept", "4"],
            capture_output=True,
            timeout=60,
            check=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
        )
        rados("-p", "kept", "put", "o", str(tmp_path / "ceph.conf"))
        start("down", tmp_path)
        start("up", tmp_path)
        assert rados("-p", "kept", "get", "o", "-") == (tmp_path / "ceph.conf").read_bytes()
    finally:
        start("down", tmp_path)
