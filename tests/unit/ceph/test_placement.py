# SPDX-License-Identifier: Apache-2.0
"""Objects and groups in their places as osdmaptool has them: tests/vectors/ceph/README.md."""

import base64
import json
from pathlib import Path

import msgspec
import pytest

from octostack.engines.ceph.core.osdmap import intervals, names, placement, pools
from octostack.engines.ceph.core.osdmap.placement import Placement
from octostack.testing import osd_maps
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.osdmap import MapFlag
from octostack.wire.ceph.maps.pool import ERASURE, HASH_LINUX, Pool, PoolFlag
from octostack.wire.ceph.objects import PG, Locator

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph" / "maps" / "placements.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]


def test_vectors_are_there() -> None:
    maps = [wire.decode(base64.b64decode(case["map"])) for case in CASES]
    assert len(maps) >= 13
    for name in ("pg_temp", "primary_temp", "pg_upmap", "pg_upmap_items", "primary_affinity"):
        assert any(getattr(osdmap, name) for osdmap in maps), name
    assert {pool.type for osdmap in maps for pool in osdmap.pools.values()} == {1, ERASURE}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_every_group_is_where_osdmaptool_finds_it(number: int) -> None:
    osdmap = wire.decode(base64.b64decode(CASES[number]["map"]))
    expected = osd_maps.parse_placements(CASES[number]["printed"])
    assert len(expected) == sum(pool.pg_num for pool in osdmap.pools.values())
    for pg, (crushed, where) in expected.items():
        pool = osdmap.pools[pg.pool]
        raw = placement.raw(osdmap, pool, pg, pools.placement_seed(pool, pg))
        assert placement.known(osdmap, pool, raw) == crushed, pg
        assert placement.of_group(osdmap, pg) == where, pg


def test_a_group_of_no_pool_is_nowhere() -> None:
    osdmap = wire.decode(base64.b64decode(CASES[0]["map"]))
    assert placement.of_group(osdmap, PG(99, 0)) == Placement()
    assert placement.of_group(osdmap, PG(1, osdmap.pools[1].pg_num)) == Placement()
    assert placement.of_object(osdmap, Locator(99), b"x") is None


@pytest.mark.parametrize(
    ("name", "seed"),
    [  # osdmaptool --test-map-object NAME of a pool with 2^20 groups
        ("a", 0xEC818),
        ("foo", 0x1F406),
        ("rbd_data.1.0000000000000000", 0xC340C),
        ("x" * 11, 0x650D0),
        ("x" * 12, 0xD9C6E),
        ("x" * 13, 0x3B364),
        ("ünïcode", 0xBCADC),
        ("rbd_header.abc", 0xABDC2),
        ("y" * 100, 0x15ADA),
    ],
)
def test_an_object_falls_into_its_group(name: str, seed: int) -> None:
    pool = Pool(pg_num=1 << 20)
    full = pools.object_hash(pool, name.encode())
    assert pools.group_of(pool, 1, full) == PG(1, seed)


def test_key_and_namespace_decide_in_place_of_the_name() -> None:
    pool = Pool(pg_num=64)
    by_name = pools.object_hash(pool, b"foo")
    assert pools.object_hash(pool, b"other", key=b"foo") == by_name
    assert pools.object_hash(pool, b"foo", namespace=b"ns") == names.rjenkins(b"ns\x1ffoo")
    assert pools.object_hash(Pool(object_hash=HASH_LINUX), b"foo") == names.linux(b"foo")


@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 12, 100, 128, 1000])
def test_groups_split_as_objects_move(number: int) -> None:
    grown = number + 5
    for full in range(0, 5000, 7):
        old = pools.group_of(Pool(pg_num=number), 1, full)
        new = pools.group_of(Pool(pg_num=grown), 1, full)
        assert new == old or new in pools.split_children(old, number, grown)
        assert pools.ancestor(new, number) == old
    children = [pools.split_children(PG(1, seed), number, grown) for seed in range(number)]
    assert sorted(pg.seed for pgs in children for pg in pgs) == list(range(number, grown))


def test_the_parent_lacks_the_highest_bit() -> None:
    assert pools.parent(PG(3, 0b1101)) == PG(3, 0b0101)
    assert pools.parent(PG(3, 0)) == PG(3, 0)


@pytest.mark.parametrize("number", [1, 5, 8, 12])
def test_the_objects_of_a_group_share_their_low_bits(number: int) -> None:
    pool = Pool(pg_num=number)
    for seed in range(number):
        bits = pools.hash_bits(pool.pg_num, PG(1, seed))
        for high in range(40):
            assert pools.group_of(pool, 1, high << bits | seed & ((1 << bits) - 1)).seed == seed


def _view(**values: object) -> intervals.View:
    pool = Pool(pg_num=8, pg_num_pending=8, size=3, flags=PoolFlag.HASHPSPOOL)
    return intervals.View(
        Placement((0, 1, 2), 0, (0, 1, 2), 0),
        msgspec.structs.replace(pool, **values),
        MapFlag.SORTBITWISE,
    )


def test_the_same_view_is_the_same_interval() -> None:
    assert not intervals.is_new(_view(), _view(quota_max_bytes=5, last_change=9), PG(1, 0))


@pytest.mark.parametrize(
    ("values", "seed", "expected"),
    [
        ({"size": 2}, 0, True),
        ({"min_size": 1}, 0, True),
        ({"pg_num": 16, "pg_num_pending": 16}, 3, True),
        ({"pg_num": 9, "pg_num_pending": 9}, 0, True),  # 8 comes out of 0
        ({"pg_num": 9, "pg_num_pending": 9}, 1, False),
        ({"pg_num": 7, "pg_num_pending": 7}, 7, True),  # goes into 3
        ({"pg_num": 7, "pg_num_pending": 7}, 3, True),
        ({"pg_num": 7, "pg_num_pending": 7}, 2, False),
        ({"pg_num_pending": 7}, 3, True),  # is about to
        ({"pg_num_pending": 7}, 2, False),
    ],
)
def test_what_changes_a_pool_begins_intervals(
    values: dict[str, object], seed: int, expected: bool
) -> None:
    assert intervals.is_new(_view(), _view(**values), PG(1, seed)) is expected


def test_another_primary_begins_an_interval() -> None:
    moved = msgspec.structs.replace(_view(), placement=Placement((0, 1, 2), 0, (1, 0, 2), 1))
    assert intervals.is_new(_view(), moved, PG(1, 0))
    flagged = msgspec.structs.replace(_view(), flags=MapFlag(0))
    assert intervals.is_new(_view(), flagged, PG(1, 0))
