# SPDX-License-Identifier: Apache-2.0
"""The unmodified `ceph` program edits the CRUSH tree of our monitor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octostack.engines.ceph.core.crush.text import decompile
from octostack.testing import crush_maps
from octostack.wire.ceph.maps import crush as wire

pytestmark = pytest.mark.compat

Run = Callable[..., Any]


def test_the_tree_is_edited_and_read_back(
    ceph: Run, settle: Callable[[], None], tmp_path: Path
) -> None:
    before = tmp_path / "before"
    ceph("ceph", "osd", "getcrushmap", "-o", str(before))
    device = json.loads(ceph("ceph", "osd", "crush", "dump", "-f", "json").stdout)["devices"][0]
    ceph("ceph", "osd", "crush", "add-bucket", "rack1", "rack", "root=default")
    ceph("ceph", "osd", "crush", "move", "rack1", "root=default")
    listed = ceph("ceph", "osd", "crush", "ls", "default").stdout.decode().split()
    assert "rack1" in listed
    ceph("ceph", "osd", "crush", "rm-device-class", "all")
    ceph("ceph", "osd", "crush", "set-device-class", "nvme", "osd.0")
    ceph("ceph", "osd", "crush", "rule", "create-replicated", "fast", "default", "osd", "nvme")
    ceph("ceph", "osd", "crush", "reweight", device["name"], "1.5")
    rules = json.loads(ceph("ceph", "osd", "crush", "rule", "ls", "-f", "json").stdout)
    assert "fast" in rules
    ceph("ceph", "osd", "crush", "rm", "default", fails=True)
    ceph("ceph", "osd", "primary-affinity", "osd.0", "0.5")
    ceph("ceph", "osd", "pool", "create", "placed", "4")
    number = ceph("ceph", "osd", "lspools").stdout.decode().split("placed")[0].split()[-1]
    ceph("ceph", "osd", "pg-upmap-items", f"{number}.0", "0", "1")
    ceph("ceph", "osd", "rm-pg-upmap-items", f"{number}.0")
    ceph("ceph", "osd", "primary-affinity", "osd.0", "1.0")
    after = tmp_path / "after"
    ceph("ceph", "osd", "getcrushmap", "-o", str(after))
    if crush_maps.CRUSHTOOL:
        text = crush_maps.crushtool("-d", str(after))
        assert decompile.decompile(wire.decode(after.read_bytes())) == text
        assert "item osd.0 weight 1.500" in text
    ceph("ceph", "osd", "setcrushmap", "-i", str(before))
    ceph("ceph", "osd", "getcrushmap", "-o", str(after))
    assert after.read_bytes() == before.read_bytes()
    settle()
