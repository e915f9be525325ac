# SPDX-License-Identifier: Apache-2.0
"""The rados tool on what an OSD does beside bytes: locks, watches, omaps, snapshots, copies."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

Rados = Callable[..., bytes]
_RADOS = ("/usr/bin/stdbuf", "-o0", "/usr/bin/rados")


def create(ceph: Callable[..., object], pool: str) -> None:
    """With an application: another test asks whether the cluster is in health."""
    ceph("ceph", "osd", "pool", "create", pool, "4")
    ceph("ceph", "osd", "pool", "application", "enable", pool, "rados")


@pytest.fixture(scope="module")
def rados(ceph: Callable[..., subprocess.CompletedProcess[bytes]]) -> Rados:
    create(ceph, "objects")

    def run(*words: str, data: bytes = b"", fails: bool = False) -> bytes:
        return ceph("rados", "-p", "objects", *words, data=data, fails=fails).stdout

    return run


def test_locks(rados: Rados) -> None:
    rados("create", "locked")
    rados("lock", "get", "locked", "mine", "--lock-cookie", "c", "--lock-type", "exclusive")
    rados("lock", "get", "locked", "mine", "--lock-cookie", "d", fails=True)
    info = json.loads(rados("lock", "info", "locked", "mine"))
    assert (info["name"], info["type"], info["lockers"][0]["cookie"]) == ("mine", "exclusive", "c")
    listed = json.loads(rados("lock", "list", "locked"))
    assert [lock["name"] for lock in listed["locks"]] == ["mine"]
    locker = info["lockers"][0]["name"]
    rados("lock", "break", "locked", "mine", locker, "--lock-cookie", "c")
    assert json.loads(rados("lock", "info", "locked", "mine"))["lockers"] == []


def test_a_watcher_hears_a_notify(rados: Rados, ceph_dir: Path) -> None:
    rados("create", "watched")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    watcher = subprocess.Popen(
        [*_RADOS, "-c", f"{ceph_dir}/ceph.conf", "-p", "objects", "watch", "watched"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    with watcher:
        assert b"press enter" in watcher.stdout.readline()
        assert b"cookie=" in rados("listwatchers", "watched")
        assert b"reply client." in rados("notify", "watched", "hello")
        assert b"NOTIFY" in watcher.stdout.readline()
        assert b"hello" in watcher.stdout.readline()
        watcher.stdin.write(b"\n")
        watcher.stdin.flush()
        watcher.stdout.read()
    assert rados("listwatchers", "watched") == b""


def test_omap_and_attributes(rados: Rados) -> None:
    for n in range(3):
        rados("setomapval", "map", f"key{n}", f"value{n}")
    rados("setomapheader", "map", "head")
    assert rados("listomapkeys", "map").split() == [b"key0", b"key1", b"key2"]
    rados("rmomapkey", "map", "key1")
    assert b"value2" in rados("getomapval", "map", "key2")
    assert b"value0" in rados("listomapvals", "map")
    rados("getomapval", "map", "key1", fails=True)
    assert b"head" in rados("getomapheader", "map")
    rados("clearomap", "map")
    assert rados("listomapkeys", "map") == b""
    rados("setxattr", "map", "colour", "blue")
    assert rados("getxattr", "map", "colour") == b"blue"
    assert rados("listxattr", "map").split() == [b"colour"]
    rados("rmxattr", "map", "colour")
    rados("getxattr", "map", "colour", fails=True)


def test_bytes(rados: Rados, tmp_path: Path) -> None:
    rados("put", "bytes", "-", data=b"one")
    rados("append", "bytes", "-", data=b"two")
    assert rados("get", "bytes", "-") == b"onetwo"
    rados("truncate", "bytes", "4")
    assert rados("get", "bytes", "-") == b"onet"
    assert b"size 4" in rados("stat", "bytes")
    rados("put", "bytes", "-", "--offset", "8192", data=b"far")
    assert rados("get", "bytes", "-") == b"onet" + bytes(8188) + b"far"
    rados("rm", "bytes")
    rados("stat", "bytes", fails=True)


def test_copies(rados: Rados, ceph: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    data = bytes(range(256)) * 20_000
    rados("put", "original", "-", data=data)
    rados("setxattr", "original", "colour", "blue")
    rados("setomapval", "original", "key", "value")
    rados("cp", "original", "copied")
    assert rados("get", "copied", "-") == data
    assert rados("getxattr", "copied", "colour") == b"blue"
    assert rados("listomapkeys", "copied") == b"key\n"
    rados("cp", "nothing", "copied", fails=True)
    for pool in ("filled", "doubled"):
        create(ceph, pool)
    for n in range(5):
        ceph("rados", "-p", "filled", "put", f"o{n}", "-", data=b"%d" % n)
    ceph("rados", "cppool", "filled", "doubled")
    for n in range(5):
        assert ceph("rados", "-p", "doubled", "get", f"o{n}", "-").stdout == b"%d" % n
    assert len(ceph("rados", "-p", "doubled", "ls").stdout.split()) == 5


def test_a_snapshot_keeps_what_was(rados: Rados) -> None:
    rados("put", "kept", "-", data=b"before")
    rados("mksnap", "s1")
    rados("put", "kept", "-", data=b"after")
    assert rados("get", "kept", "-", "-s", "s1").endswith(b"\nbefore")
    assert b"cloneid" in rados("listsnaps", "kept")
    rados("rollback", "kept", "s1")
    assert rados("get", "kept", "-") == b"before"
    rados("rmsnap", "s1")
