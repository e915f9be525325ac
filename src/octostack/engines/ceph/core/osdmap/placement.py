# SPDX-License-Identifier: Apache-2.0
"""Where a placement group is: on the OSDs that should hold it (up) and that serve it (acting)."""

import msgspec

from octostack.engines.ceph.core.crush import rules
from octostack.engines.ceph.core.crush.hashing import hash2
from octostack.engines.ceph.core.osdmap import osds, pools
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.objects import PG, Locator

NOBODY = -1


class Placement(msgspec.Struct, frozen=True):
    """A group's OSDs. ITEM_NONE is a place without one; a primary of -1 is none."""

    up: tuple[int, ...] = ()
    up_primary: int = NOBODY
    acting: tuple[int, ...] = ()
    acting_primary: int = NOBODY


def of_object(osdmap: OSDMap, locator: Locator, name: bytes) -> PG | None:
    """The group of an object; None when its pool is gone."""
    pool = osdmap.pools.get(locator.pool)
    if pool is None:
        return None
    full = locator.hash
    if full < 0:
        full = pools.object_hash(pool, name, locator.key, locator.namespace)
    return pools.group_of(pool, locator.pool, full & 0xFFFFFFFF)


def of_group(osdmap: OSDMap, pg: PG) -> Placement:
    """Where a group is; nowhere when its pool is gone or has fewer groups."""
    pool = osdmap.pools.get(pg.pool)
    if pool is None or pg.seed >= pool.pg_num:
        return Placement()
    seed = pools.placement_seed(pool, pg)
    return finish(osdmap, pool, pg, raw(osdmap, pool, pg, seed), seed)


def raw(osdmap: OSDMap, pool: Pool, pg: PG, seed: int) -> list[int]:
    """What CRUSH says, before any exception is made."""
    args = rules.choose_args(osdmap.crush, pg.pool)
    return rules.map_input(osdmap.crush, pool.crush_rule, seed, pool.size, osdmap.osd_weight, args)


def finish(osdmap: OSDMap, pool: Pool, pg: PG, crushed: list[int], seed: int) -> Placement:
    """The placement that follows from CRUSH's result `crushed` for the input `seed`."""
    up = _standing(osdmap, pool, upmapped(osdmap, pg, known(osdmap, pool, crushed)), up=True)
    up_primary = first(up)
    if osdmap.primary_affinity:
        up, up_primary = _by_affinity(osdmap, pool, up, up_primary, seed)
    acting = _standing(osdmap, pool, list(osdmap.pg_temp.get(pg, ())), up=True)
    acting_primary = osdmap.primary_temp.get(pg, first(acting))
    if not acting:
        acting = up
        if acting_primary == NOBODY:
            acting_primary = up_primary
    return Placement(tuple(up), up_primary, tuple(acting), acting_primary)


def known(osdmap: OSDMap, pool: Pool, found: list[int]) -> list[int]:
    """`found` without OSDs that do not exist."""
    return _standing(osdmap, pool, found, up=False)


def first(found: list[int]) -> int:
    """The first OSD, or NOBODY."""
    return next((osd for osd in found if osd != ITEM_NONE), NOBODY)


def upmapped(osdmap: OSDMap, pg: PG, found: list[int]) -> list[int]:
    """`found` with the explicit exceptions for this group, where their targets are not out."""
    explicit = osdmap.pg_upmap.get(pg)
    if explicit is not None:
        if any(_is_out(osdmap, osd) for osd in explicit):
            return found
        found = list(explicit)
    for old, new in osdmap.pg_upmap_items.get(pg, ()):
        if old in found and new not in found and not _is_out(osdmap, new):
            found[found.index(old)] = new
    return found


def _is_out(osdmap: OSDMap, osd: int) -> bool:
    return 0 <= osd < osdmap.max_osd and osdmap.osd_weight[osd] == 0


def _standing(osdmap: OSDMap, pool: Pool, found: list[int], *, up: bool) -> list[int]:
    """Those that exist, or that are up; others leave a hole where places have a meaning."""
    stands = osds.is_up if up else osds.is_known
    if pools.can_shift(pool):
        return [osd for osd in found if stands(osdmap, osd)]
    return [osd if stands(osdmap, osd) else ITEM_NONE for osd in found]


def _by_affinity(
    osdmap: OSDMap, pool: Pool, up: list[int], primary: int, seed: int
) -> tuple[list[int], int]:
    """Pass the primary's part on, as often as the affinities of those before ask for it."""
    default = osds.AFFINITY_DEFAULT
    live = [(place, osd) for place, osd in enumerate(up) if osd != ITEM_NONE]
    if all(osds.affinity(osdmap, osd) == default for _, osd in live):
        return up, primary
    chosen = next(
        (
            place
            for place, osd in live
            if osds.affinity(osdmap, osd) >= default
            or hash2(seed, osd) >> 16 < osds.affinity(osdmap, osd)
        ),
        live[0][0],
    )
    primary = up[chosen]
    if pools.can_shift(pool):
        up = [primary, *up[:chosen], *up[chosen + 1 :]]
    return up, primary
