# SPDX-License-Identifier: Apache-2.0
"""Random OSD maps, and where the real osdmaptool places their groups."""

import random
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.core.osdmap.placement import Placement
from octostack.testing import crush_maps
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.crush import CrushMap
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDInfo, OSDMap, OSDState, OSDXInfo
from octostack.wire.ceph.maps.pool import ERASURE, REPLICATED, Pool, PoolFlag
from octostack.wire.ceph.objects import PG

OSDMAPTOOL = shutil.which("osdmaptool")
FLAGS = (
    MapFlag.SORTBITWISE
    | MapFlag.RECOVERY_DELETES
    | MapFlag.PURGED_SNAPDIRS
    | MapFlag.PGLOG_HARDLIMIT
)


def cluster(crush: CrushMap, pools: dict[int, Pool]) -> OSDMap:
    """A map in which every device of the CRUSH map is up and in."""
    count = crush.max_devices
    addresses = tuple(
        (Address(AddressKind.MSGR2, "127.0.0.1", 6800 + osd % 20_000, osd),) for osd in range(count)
    )
    return OSDMap(
        fsid=uuid.UUID(int=1),
        epoch=7,
        pools=pools,
        pool_names={number: f"pool-{number}" for number in pools},
        pool_max=max(pools, default=0),
        flags=FLAGS,
        max_osd=count,
        osd_state=(OSDState.EXISTS | OSDState.UP,) * count,
        osd_weight=(osds.IN,) * count,
        client_addresses=addresses,
        cluster_addresses=addresses,
        heartbeat_back_addresses=addresses,
        heartbeat_front_addresses=addresses,
        osd_info=(OSDInfo(),) * count,
        osd_xinfo=(OSDXInfo(),) * count,
        osd_uuid=(uuid.UUID(int=0),) * count,
        crush=crush,
        nearfull_ratio=0.85,
        full_ratio=0.95,
        backfillfull_ratio=0.9,
        require_min_compat_client=12,
        require_osd_release=wire.PACIFIC,
    )


def random_osdmap(seed: int) -> OSDMap:
    """A small map with OSDs down, out and gone, and every kind of exception for single groups."""
    rng = random.Random(seed)
    case = crush_maps.random_case(seed)
    rules = [rule for rule in case.crush.rules if rule]
    pools = {}
    for number in range(1, 3):
        rule = rng.choice(rules)
        pg_num = rng.choice((1, 3, 8, 12, 16))
        flags = PoolFlag.HASHPSPOOL if rng.random() < 0.8 else PoolFlag(0)
        pools[number] = Pool(
            type=ERASURE if rule.type == ERASURE else REPLICATED,
            size=rng.randint(1, 5),
            crush_rule=rule.ruleset,
            pg_num=pg_num,
            pgp_num=rng.randint(1, pg_num),
            pg_num_target=pg_num,
            pgp_num_target=pg_num,
            pg_num_pending=pg_num,
            flags=flags,
        )
    osdmap = cluster(case.crush, pools)
    count = osdmap.max_osd
    states = (OSDState.EXISTS | OSDState.UP, OSDState.EXISTS, OSDState(0))
    affinity = tuple(rng.choice((0, 0x4000, 0x10000)) for _ in range(count))
    return msgspec.structs.replace(
        osdmap,
        osd_state=tuple(rng.choices(states, (8, 1, 1))[0] for _ in range(count)),
        osd_weight=tuple(case.reweights),
        primary_affinity=affinity if rng.random() < 0.5 else (),
        **_exceptions(rng, pools, count),
    )


def _exceptions(rng: random.Random, pools: dict[int, Pool], count: int) -> dict[str, object]:
    if not count:
        return {}

    def some(size: int) -> tuple[int, ...]:
        return tuple(rng.sample(range(count), min(size, count)))

    groups = [PG(number, seed) for number, pool in pools.items() for seed in range(pool.pg_num)]
    sizes = {pg: pools[pg.pool].size for pg in groups}
    picked = {name: [pg for pg in groups if rng.random() < 0.25] for name in "abcd"}
    return {
        "pg_temp": {pg: some(sizes[pg]) for pg in picked["a"]},
        "primary_temp": {pg: rng.randrange(count) for pg in picked["b"]},
        "pg_upmap": {pg: some(sizes[pg]) for pg in picked["c"]},
        "pg_upmap_items": {
            pg: tuple((rng.randrange(count), rng.randrange(count)) for _ in range(2))
            for pg in picked["d"]
        },
    }


_LINE = re.compile(
    r"(\d+)\.([0-9a-f]+) raw \(\[([^]]*)\], p-?\d+\)"
    r" up \(\[([^]]*)\], p(-?\d+)\) acting \(\[([^]]*)\], p(-?\d+)\)"
)


def osdmaptool(*arguments: str) -> str:
    """What the real tool prints. It must be there: ask `OSDMAPTOOL` first."""
    assert OSDMAPTOOL
    done = subprocess.run([OSDMAPTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def real_placements(path: Path, osdmap: OSDMap) -> dict[PG, tuple[list[int], Placement]]:
    """The tool's own results for all groups: what CRUSH says, and the placement."""
    path.write_bytes(wire.encode(osdmap))
    return parse_placements(osdmaptool(str(path), "--test-map-pgs-dump-all"))


def parse_placements(printed: str) -> dict[PG, tuple[list[int], Placement]]:
    """Lines as `1.0 raw ([0], p0) up ([0], p0) acting ([0], p0)`."""
    found = {}
    for pool, seed, crushed, up, up_primary, acting, primary in _LINE.findall(printed):
        placement = Placement(
            tuple(_numbers(up)), int(up_primary), tuple(_numbers(acting)), int(primary)
        )
        found[PG(int(pool), int(seed, 16))] = (_numbers(crushed), placement)
    return found


def _numbers(text: str) -> list[int]:
    return [0x7FFFFFFF if n == "NONE" else int(n) for n in text.split(",")] if text else []
