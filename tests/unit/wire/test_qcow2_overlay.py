# SPDX-License-Identifier: Apache-2.0
"""Overlays that we write, as qemu-img and our own inspector read them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from octostack.base.errors import Invalid
from octostack.wire.diskformats import inspect, overlay

GIB = 1 << 30


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")
@pytest.mark.parametrize("size", [512, GIB, 10 * GIB + 1, 16 << 40])
def test_qemu_img_finds_it_sound(tmp_path: Path, size: int) -> None:
    base = tmp_path / "base"
    base.write_bytes(b"\7" * (1 << 20))
    disk = tmp_path / "disk"
    disk.write_bytes(overlay.make(size, "base", "raw"))
    command = ["qemu-img", "info", "--output=json", "--backing-chain", str(disk)]
    top, bottom = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert top["virtual-size"] == -(-size // 512) * 512
    assert top["full-backing-filename"] == str(base)
    assert top["backing-filename-format"] == "raw"
    assert bottom["format"] == "raw"
    if size < 1 << 40:
        subprocess.run(["qemu-img", "check", "-q", str(disk)], check=True)


def test_inspector_agrees() -> None:
    data = overlay.make(GIB, "../images/base", "qcow2")
    facts = inspect(lambda o, n: data[o : o + n], len(data))
    assert (facts.backing_file, facts.virtual_size_bytes, facts.flaw) == (
        "../images/base",
        GIB,
        None,
    )
    plain = overlay.make(GIB)
    assert inspect(lambda o, n: plain[o : o + n], len(plain)).backing_file is None


@pytest.mark.parametrize("size", [0, -1, 1 << 60])
def test_no_such_size(size: int) -> None:
    with pytest.raises(Invalid):
        overlay.make(size)
