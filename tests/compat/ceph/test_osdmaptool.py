# SPDX-License-Identifier: Apache-2.0
"""Random OSD maps, written by us, read and placed by the real osdmaptool."""

import os
from pathlib import Path

import pytest

from octostack.engines.ceph.core.osdmap import balance, change, placement
from octostack.testing import crush_maps, osd_maps
from octostack.wire.ceph.maps import crush as crush_wire
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.pool import Pool

SEEDS = 500 if os.environ.get("COMPAT_FULL") else 12

pytestmark = [
    pytest.mark.compat,
    pytest.mark.skipif(not osd_maps.OSDMAPTOOL, reason="osdmaptool (ceph-base) is not installed"),
]


def test_random_maps(tmp_path: Path) -> None:
    for seed in range(SEEDS):
        osdmap = osd_maps.random_osdmap(seed)
        real = osd_maps.real_placements(tmp_path / "map", osdmap)
        assert len(real) == sum(pool.pg_num for pool in osdmap.pools.values())
        for pg, (_, where) in real.items():
            assert placement.of_group(osdmap, pg) == where, f"seed {seed}, {pg}"


def test_maps_that_the_tool_makes(tmp_path: Path) -> None:
    path, crush = tmp_path / "map", tmp_path / "crush"
    osd_maps.osdmaptool(
        str(path), "--createsimple", "12", "--with-default-pool", "--pg-bits", "3", "--clobber"
    )
    blob = path.read_bytes()
    osdmap = wire.decode(blob)
    assert osdmap.max_osd == 12
    assert wire.encode(osdmap) == blob
    osd_maps.osdmaptool(str(path), "--export-crush", str(crush))
    assert crush_wire.encode(osdmap.crush) == crush.read_bytes()


def test_the_balancer_does_no_worse_than_the_tool(tmp_path: Path) -> None:
    pool = Pool(pg_num=256, pgp_num=256, size=3, crush_rule=0)
    osdmap = osd_maps.cluster(crush_maps.wide_map(5, 3, 1), {1: pool})
    path = tmp_path / "map"
    path.write_bytes(wire.encode(osdmap))
    words = ("--upmap", str(tmp_path / "out"), "--upmap-max", "500", "--upmap-deviation", "1")
    osd_maps.osdmaptool(str(path), *words, "--save")
    theirs = wire.decode(path.read_bytes())
    ours = balance.plan(osdmap, [1], max_changes=500)
    assert ours.deviation_after <= max(1.0, balance.plan(theirs, [1], 0).deviation_before)
    balanced = change.apply(osdmap, ours.change(osdmap, 1))
    real = osd_maps.real_placements(path, balanced)
    assert len(real) == 256
    assert all(placement.of_group(balanced, pg) == where for pg, (_, where) in real.items())
