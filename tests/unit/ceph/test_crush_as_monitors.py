# SPDX-License-Identifier: Apache-2.0
"""Edits of a real monitor, made again: its CRUSH map after each command, byte by byte."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import edit, rulebook, weight_sets
from octostack.engines.ceph.core.crush.rulebook import ERASURE, NewRule
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps import osdmap as osd_wire
from octostack.wire.ceph.maps.crush import CrushMap

HISTORY = Path(__file__).parents[2] / "vectors" / "ceph" / "maps" / "osdmap-history.bin"
RACK = {"root": "default"}
HOST = {"root": "default", "host": "vm"}


def _maps() -> dict[int, bytes]:
    """The CRUSH map that each epoch brought."""
    data, at, found = HISTORY.read_bytes(), 0, {}
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        change = osd_wire.decode_incremental(data[at + 4 : at + 4 + size])
        at += 4 + size
        if change.crush:
            found[change.epoch] = change.crush
    return found


MAPS = _maps()
COMMANDS: dict[int, Callable[[CrushMap], CrushMap]] = {
    # osd crush create-or-move, by each OSD at its start
    6: lambda crush: _boot(crush, 0, 2, 1),
    # osd pool create ecpool 8 8 erasure, of a profile with k=2 m=1 and OSDs as domains
    32: lambda crush: rulebook.add_rule(
        crush, NewRule("ecpool", "default", "osd", mode="indep", type=ERASURE, max_size=3)
    )[0],
    38: lambda crush: rulebook.remove_class(crush, 0),
    39: lambda crush: rulebook.set_class(crush, 0, "nvme"),
    40: lambda crush: rulebook.add_rule(crush, NewRule("fast", "default", "osd", "nvme"))[0],
    41: lambda crush: edit.add_bucket(crush, "rack1", "rack"),
    42: lambda crush: edit.move(crush, "rack1", RACK),
    43: lambda crush: weight_sets.create(crush, -1),
    44: lambda crush: weight_sets.reweight(crush, -1, "osd.1", [0x8000]),
    45: lambda crush: weight_sets.create(crush, 3),
    46: lambda crush: weight_sets.reweight(crush, 3, "osd.2", [0x4000]),
    82: lambda crush: rulebook.set_profile(crush, "hammer"),
    83: lambda crush: edit.reweight(crush, "osd.0", 0x18000),
}


def _boot(crush: CrushMap, *order: int) -> CrushMap:
    for osd in order:
        crush = edit.create_or_move(crush, osd, 65, f"osd.{osd}", HOST)
    return crush


def test_all_commands_of_the_history_are_made_again() -> None:
    # 5 brings classes of OSDs that are in no bucket yet, 77 a purge of one that never was in one
    assert set(MAPS) - set(COMMANDS) == {5, 77}


@pytest.mark.parametrize("epoch", sorted(COMMANDS))
def test_a_command_makes_the_map_that_the_monitor_made(epoch: int) -> None:
    before = wire.decode(MAPS[max(each for each in MAPS if each < epoch)])
    after = COMMANDS[epoch](before)
    assert after == wire.decode(MAPS[epoch])
    assert wire.encode(after) == MAPS[epoch]


def test_weight_sets_come_and_go() -> None:
    crush = wire.decode(MAPS[42])
    created = weight_sets.create(crush, 3, 2)
    assert weight_sets.remove(created, 3) == crush
    with pytest.raises(Conflict):
        weight_sets.create(created, 3)
    with pytest.raises(Invalid):
        weight_sets.create(crush, 4, 0)
    with pytest.raises(Invalid, match="exact 2"):
        weight_sets.reweight(created, 3, "osd.1", [1])
    with pytest.raises(NotFound):
        weight_sets.reweight(crush, 3, "osd.1", [1])
    with pytest.raises(NotFound):
        weight_sets.reweight(created, 3, "osd.9", [1, 1])
