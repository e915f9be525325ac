# SPDX-License-Identifier: Apache-2.0
"""A bit is turned on an OSD's disk: what the unmodified commands say of it, and what mends it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
PATIENCE = 100  # questions
Run = Callable[..., subprocess.CompletedProcess[bytes]]

LOOKED_AT = 128 << 20  # of a disk's file: where the first objects are
BEGIN = 64 << 20


def turn_bit(directory: Path, osd: int, contents: bytes) -> None:
    """On the disk, where it has these contents."""
    with (directory / f"osd.{osd}" / "block").open("r+b") as disk:
        disk.seek(BEGIN)
        at = disk.read(LOOKED_AT).find(contents)
        assert at >= 0
        disk.seek(BEGIN + at + len(contents) // 2)
        old = disk.read(1)[0]
        disk.seek(-1, os.SEEK_CUR)
        disk.write(bytes([old ^ 4]))


def place(ceph: Run, pool: str, name: str) -> tuple[str, list[int]]:
    found = json.loads(ceph("ceph", "osd", "map", pool, name, "-f", "json").stdout)
    return found["pgid"], found["acting"]


def wait_for(ceph: Run, pg: str, test: str, *, there: bool) -> None:
    """Until the group's state has the word, or has it no more."""
    for _ in range(PATIENCE):
        rows = json.loads(ceph("ceph", "pg", "ls", "-f", "json").stdout)["pg_stats"]
        state = next(row["state"] for row in rows if row["pgid"] == pg)
        if (test in state) == there:
            return
    raise AssertionError(state)


def test_a_turned_bit_is_found_told_and_mended(ceph: Run, ceph_dir: Path, pool: str) -> None:
    contents = os.urandom(64 << 10)
    ceph("rados", "-p", pool, "put", "turned", "-", data=contents)
    pg, acting = place(ceph, pool, "turned")
    turn_bit(ceph_dir, acting[1], contents)
    ceph("ceph", "pg", "deep-scrub", pg)
    wait_for(ceph, pg, "inconsistent", there=True)
    assert json.loads(ceph("rados", "list-inconsistent-pg", pool).stdout) == [pg]
    told = json.loads(ceph("rados", "list-inconsistent-obj", pg, "--format=json").stdout)
    (one,) = told["inconsistents"]
    assert one["object"]["name"] == "turned"
    assert one["union_shard_errors"] == ["read_error"]
    errors = {shard["osd"]: shard["errors"] for shard in one["shards"]}
    assert errors == {acting[0]: [], acting[1]: ["read_error"]}
    ceph("ceph", "pg", "repair", pg)
    wait_for(ceph, pg, "inconsistent", there=False)
    assert ceph("rados", "-p", pool, "get", "turned", "-").stdout == contents


def test_what_the_primary_cannot_read_is_read_from_another(
    ceph: Run, ceph_dir: Path, pool: str
) -> None:
    contents = os.urandom(64 << 10)
    ceph("rados", "-p", pool, "put", "unread", "-", data=contents)
    _, acting = place(ceph, pool, "unread")
    turn_bit(ceph_dir, acting[0], contents)
    assert ceph("rados", "-p", pool, "get", "unread", "-").stdout == contents
    turn_bit(ceph_dir, acting[1], contents)  # the primary's is sound again
    assert ceph("rados", "-p", pool, "get", "unread", "-").stdout == contents
    ceph("rados", "-p", pool, "rm", "unread")  # or a scrub of its group would find the other copy
