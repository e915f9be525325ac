# SPDX-License-Identifier: Apache-2.0
"""Block images: Debian's unmodified `rbd`, `qemu-img` and `qemu-io` (16.2.15, 7.2) on our OSDs."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
Words = Callable[..., bytes]
MIB = 1 << 20


@pytest.fixture(scope="module")
def rbd(ceph: Callable[..., subprocess.CompletedProcess[bytes]]) -> Words:
    """``rbd("ls")`` in a pool of this file's own."""
    ceph("ceph", "osd", "pool", "create", "images", "4")
    ceph("rbd", "pool", "init", "images")

    def run(*words: str, fails: bool = False) -> bytes:
        done = ceph("rbd", "-p", "images", *words, fails=fails)
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def qemu(rbd: Words, ceph_dir: Path) -> Words:
    """QEMU's own programs, with its driver for images."""
    driver = Path("/usr/lib/x86_64-linux-gnu/qemu/block-rbd.so")
    if shutil.which("qemu-img") is None or not driver.exists():
        pytest.skip("qemu-utils and qemu-block-extra are not installed; run `make setup` as root")

    def run(program: str, *words: str | Path) -> bytes:
        command = [f"/usr/bin/{program}", *map(str, words)]
        environment = {**os.environ, "CEPH_CONF": f"{ceph_dir}/ceph.conf"}
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 MiB: some of them random, the rest a hole."""
    path = tmp_path_factory.mktemp("disk") / "raw"
    with path.open("wb") as file:
        file.write(random.Random(1).randbytes(5 * MIB))
        file.seek(13 * MIB)
        file.write(b"behind a hole")
        file.truncate(20 * MIB)
    return path


def as_json(output: bytes) -> dict[str, object]:
    found = json.loads(output)
    assert isinstance(found, dict)
    return found


def test_an_image_comes_is_resized_and_goes(rbd: Words) -> None:
    rbd("create", "plain", "--size", "64M")
    assert b"plain" in rbd("ls").split()
    info = as_json(rbd("info", "plain", "--format", "json"))
    assert (info["size"], info["objects"], info["order"]) == (64 * MIB, 16, 22)
    assert info["features"] == [
        "layering",
        "exclusive-lock",
        "object-map",
        "fast-diff",
        "deep-flatten",
    ]
    rbd("resize", "plain", "--size", "128M", "--no-progress")
    rbd("resize", "plain", "--size", "32M", "--allow-shrink", "--no-progress")
    assert as_json(rbd("info", "plain", "--format", "json"))["objects"] == 8
    rbd("rename", "plain", "renamed")
    rbd("rm", "renamed", "--no-progress")
    assert b"No such file" in rbd("info", "renamed", fails=True)


def test_a_clone_shows_its_parent_until_it_is_flattened(
    rbd: Words, disk: Path, tmp_path: Path
) -> None:
    rbd("import", str(disk), "parent", "--no-progress")
    rbd("snap", "create", "parent@s", "--no-progress")
    rbd("snap", "protect", "parent@s")
    rbd("clone", "parent@s", "images/old", "--rbd-default-clone-format", "1")
    rbd("clone", "parent@s", "images/new", "--rbd-default-clone-format", "2")
    assert rbd("children", "parent@s").split() == [b"images/new", b"images/old"]
    for clone in ("old", "new"):
        sizes = ("--io-size", "4K", "--io-total", "16K", "--io-threads", "1")
        rbd("bench", clone, "--io-type", "write", *sizes)
        rbd("export", clone, str(tmp_path / clone), "--no-progress")
        written = (tmp_path / clone).read_bytes()
        assert written[16384:] == disk.read_bytes()[16384:]
        assert written[:16384] != disk.read_bytes()[:16384]
        rbd("flatten", clone, "--no-progress")
    rbd("snap", "unprotect", "parent@s")
    rbd("snap", "rm", "parent@s", "--no-progress")
    rbd("rm", "parent", "--no-progress")
    rbd("export", "new", str(tmp_path / "alone"), "--no-progress")
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "new").read_bytes()


def test_object_maps_and_differences_follow_snapshots(
    rbd: Words, ceph: Callable[..., subprocess.CompletedProcess[bytes]], disk: Path, tmp_path: Path
) -> None:
    rbd("import", str(disk), "mapped", "--no-progress")
    rbd("snap", "create", "mapped@s", "--no-progress")
    sizes = ("--io-size", "4K", "--io-total", "8K", "--io-threads", "1")
    rbd("bench", "mapped", "--io-type", "write", *sizes)
    checked = ceph("rbd", "-p", "images", "object-map", "check", "mapped")
    assert b"error" not in checked.stdout + checked.stderr
    changed = json.loads(rbd("diff", "mapped", "--from-snap", "s", "--format", "json"))
    assert [(one["offset"], one["length"]) for one in changed] == [(0, 8192)]
    used = json.loads(rbd("du", "mapped", "--format", "json"))["images"]
    assert [one["used_size"] for one in used] == [12 * MIB, 4 * MIB]
    rbd("export-diff", "mapped", str(tmp_path / "diff"), "--from-snap", "s", "--no-progress")
    rbd("snap", "rollback", "mapped@s", "--no-progress")
    rbd("import-diff", str(tmp_path / "diff"), "mapped", "--no-progress")
    rbd("export", "mapped", str(tmp_path / "raw"), "--no-progress")
    assert (tmp_path / "raw").read_bytes()[8192:] == disk.read_bytes()[8192:]
    assert (tmp_path / "raw").read_bytes()[:8192] != disk.read_bytes()[:8192]


def test_the_trash_and_namespaces(rbd: Words) -> None:
    rbd("create", "thrown", "--size", "4M")
    rbd("trash", "mv", "thrown")
    (line,) = rbd("trash", "ls").splitlines()
    image, name = line.decode().split()
    assert name == "thrown"
    rbd("trash", "restore", image)
    rbd("namespace", "create", "--namespace", "apart")
    rbd("create", "images/apart/inside", "--size", "4M")
    assert rbd("ls", "--namespace", "apart") == b"inside\n"
    assert b"inside" not in rbd("ls").split()
    rbd("namespace", "rm", "--namespace", "apart", fails=True)
    rbd("rm", "images/apart/inside", "--no-progress")
    rbd("namespace", "rm", "--namespace", "apart")
    rbd("rm", "thrown", "--no-progress")


def test_qemu_converts_reads_writes_and_discards(qemu: Words, disk: Path, tmp_path: Path) -> None:
    image = "rbd:images/converted"
    qemu("qemu-img", "convert", "-O", "raw", disk, image)
    info = as_json(qemu("qemu-img", "info", "--output", "json", image))
    assert info["virtual-size"] == 20 * MIB
    qemu("qemu-img", "convert", "-O", "raw", image, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == disk.read_bytes()
    wanted = [
        "write -P 7 4096 8192",
        "read -P 7 4096 8192",
        "discard 0 4M",
        "read -P 0 0 4M",
        "flush",
    ]
    said = qemu("qemu-io", "-f", "raw", *(word for one in wanted for word in ("-c", one)), image)
    assert b"verification failed" not in said
    qemu("qemu-img", "resize", "-f", "raw", image, "32M")
    qemu("qemu-img", "snapshot", "-c", "before", image)
    qemu("qemu-io", "-f", "raw", "-c", "write -P 9 8M 4096", image)
    assert b"before" in qemu("qemu-img", "snapshot", "-l", image)
    qemu("qemu-img", "snapshot", "-a", "before", image)
    qemu("qemu-img", "snapshot", "-d", "before", image)
    qemu("qemu-img", "convert", "-O", "raw", image, tmp_path / "again")
    assert (tmp_path / "again").read_bytes()[8 * MIB : 20 * MIB] == disk.read_bytes()[8 * MIB :]
