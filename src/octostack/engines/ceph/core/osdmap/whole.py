# SPDX-License-Identifier: Apache-2.0
"""All groups of a pool at once, by `crush.bulk`. Loads numpy: import it where that is wanted."""

import numpy as np

from octostack.engines.ceph.core.crush import rules as one
from octostack.engines.ceph.core.crush.bulk import hashing, rules
from octostack.engines.ceph.core.crush.bulk.hashing import U32
from octostack.engines.ceph.core.osdmap import placement, pools
from octostack.engines.ceph.core.osdmap.placement import Placement
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import Pool, PoolFlag
from octostack.wire.ceph.objects import PG


def list_placements(osdmap: OSDMap, number: int) -> list[Placement]:
    """Where each group of pool `number` is, by its seed."""
    pool = osdmap.pools[number]
    seeds = placement_seeds(pool, number)
    rows = crushed(osdmap, number, seeds).lists()
    found = zip(rows, seeds.tolist(), strict=True)
    return [
        placement.finish(osdmap, pool, PG(number, seed), row, x)
        for seed, (row, x) in enumerate(found)
    ]


def list_upmapped(osdmap: OSDMap, number: int) -> list[list[int]]:
    """The devices of each group as CRUSH and the upmap entries have them, up or not."""
    pool = osdmap.pools[number]
    rows = crushed(osdmap, number, placement_seeds(pool, number)).lists()
    return [
        placement.upmapped(osdmap, PG(number, seed), placement.known(osdmap, pool, row))
        for seed, row in enumerate(rows)
    ]


def crushed(osdmap: OSDMap, number: int, seeds: U32) -> rules.Mapped:
    """What CRUSH says for these inputs, in the order of the seeds."""
    pool = osdmap.pools[number]
    args = one.choose_args(osdmap.crush, number)
    weights = osdmap.osd_weight
    return rules.map_inputs(osdmap.crush, pool.crush_rule, seeds, pool.size, weights, args)


def placement_seeds(pool: Pool, number: int) -> U32:
    """CRUSH's input for each group of the pool."""
    mask = np.uint32(pools.mask(pool.pgp_num))
    seeds = np.arange(pool.pg_num, dtype=np.uint32)
    low = seeds & mask
    seeds = np.where(low < pool.pgp_num, low, seeds & (mask >> np.uint32(1)))
    if pool.flags & PoolFlag.HASHPSPOOL:
        return hashing.hash2(seeds, np.full_like(seeds, number & 0xFFFFFFFF))
    return seeds + np.uint32(number & 0xFFFFFFFF)
