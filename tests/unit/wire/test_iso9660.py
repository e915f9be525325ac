# SPDX-License-Identifier: Apache-2.0
"""Config drives as isoinfo, another's reader, sees them in both of their trees."""

import shutil
import subprocess
from pathlib import Path

import pytest

from octostack.base.errors import Invalid
from octostack.wire import iso9660
from octostack.wire.diskformats import inspect

FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "1"}',
    "openstack/latest/user_data": b"#!/bin/sh\n" + b"x" * 70000,
    "openstack/content/0000": b"",
    "ec2/latest/meta-data.json": b"{}",
    "näme with blanks.txt": b"\xff\x00",
} | {f"many/file-{i:03}-{'long' * 10}": b"%d" % i for i in range(120)}

needs_isoinfo = pytest.mark.skipif(shutil.which("isoinfo") is None, reason="needs isoinfo")


def isoinfo(image: Path, *args: str) -> bytes:
    command = ["isoinfo", "-i", str(image), *args]
    return subprocess.run(command, check=True, capture_output=True).stdout


@needs_isoinfo
@pytest.mark.parametrize("tree", ["-R", "-J"])
def test_every_file_is_there_under_its_name(tmp_path: Path, tree: str) -> None:
    image = tmp_path / "drive"
    image.write_bytes(iso9660.build(FILES, "config-2"))
    listed = isoinfo(image, tree, "-f").decode(errors="replace")
    for path, content in FILES.items():
        if path.isascii():
            assert f"/{path}\n" in listed
            assert isoinfo(image, tree, "-x", f"/{path}") == content


@needs_isoinfo
def test_label_and_size(tmp_path: Path) -> None:
    image = tmp_path / "drive"
    image.write_bytes(iso9660.build(FILES, "config-2"))
    facts = isoinfo(image, "-d").decode()
    assert "Volume id: config-2" in facts
    assert "Joliet with UCS level 3 found" in facts
    assert "Rock Ridge signatures version 1 found" in facts
    data = image.read_bytes()
    seen = inspect(lambda o, n: data[o : o + n], len(data))
    assert (seen.format, seen.flaw) == ("iso", None)


def test_same_content_gives_same_bytes() -> None:
    again = dict(reversed(FILES.items()))
    assert iso9660.build(FILES, "config-2") == iso9660.build(again, "config-2")


@pytest.mark.parametrize("path", ["a/../b", "a//b", "", "x" * 200, "a\0b"])
def test_names_that_mean_trouble(path: str) -> None:
    with pytest.raises(Invalid):
        iso9660.build({path: b""}, "config-2")


def test_a_file_is_no_directory() -> None:
    with pytest.raises(Invalid):
        iso9660.build({"a": b"", "a/b": b""}, "config-2")
