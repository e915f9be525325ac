# SPDX-License-Identifier: Apache-2.0
"""What each epoch of the OSD map means to the copies of groups that an OSD has."""

from collections.abc import Mapping
from typing import Any

import msgspec

from octostack.engines.ceph.core.osdmap import osds, placement, pools
from octostack.engines.ceph.osd.core.values import View
from octostack.engines.ceph.osd.group import PoolFacts
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import Pool, PoolFlag
from octostack.wire.ceph.objects import PG


class Epoch(msgspec.Struct, frozen=True):
    """Every group of every pool, as one epoch of the map has it."""

    number: int
    views: Mapping[PG, View] = {}
    pools: Mapping[int, PoolFacts] = {}


class _Drawn(msgspec.Struct):
    """What CRUSH gave the groups of a pool, and what it had drawn from."""

    source: tuple[Any, ...]
    crush: object
    found: list[list[int]]


class Reader:
    """Makes epochs of maps; CRUSH is asked anew only when something it draws from has changed."""

    def __init__(self) -> None:
        self._drawn: dict[int, _Drawn] = {}

    def read(self, osdmap: OSDMap) -> Epoch:
        """The epoch that a map describes."""
        up = [osd for osd in range(osdmap.max_osd) if osds.is_up(osdmap, osd)]
        alive = frozenset(up)
        up_from = {osd: osdmap.osd_info[osd].up_from for osd in up}
        up_thru = {osd: osdmap.osd_info[osd].up_thru for osd in up}
        views: dict[PG, View] = {}
        for number, pool in osdmap.pools.items():
            for seed, crushed in enumerate(self._draw(osdmap, number, pool)):
                pg = PG(number, seed)
                at = pools.placement_seed(pool, pg)
                place = placement.finish(osdmap, pool, pg, crushed, at)
                views[pg] = View(
                    osdmap.epoch,
                    place.up,
                    place.acting,
                    place.acting_primary,
                    pool.size,
                    pool.min_size,
                    alive,
                    up_from,
                    up_thru,
                    pool.pg_num,
                )
        for gone in self._drawn.keys() - osdmap.pools.keys():
            del self._drawn[gone]
        return Epoch(osdmap.epoch, views, {n: facts(pool) for n, pool in osdmap.pools.items()})

    def _draw(self, osdmap: OSDMap, number: int, pool: Pool) -> list[list[int]]:
        counts = (pool.pg_num, pool.pgp_num, pool.size, pool.crush_rule)
        source = (*counts, pool.flags & PoolFlag.HASHPSPOOL, osdmap.osd_weight)
        known = self._drawn.get(number)
        if known is None or known.crush is not osdmap.crush or known.source != source:
            groups = (PG(number, seed) for seed in range(pool.pg_num))
            found = [
                placement.raw(osdmap, pool, pg, pools.placement_seed(pool, pg)) for pg in groups
            ]
            known = self._drawn[number] = _Drawn(source, osdmap.crush, found)
        return known.found


def facts(pool: Pool) -> PoolFacts:
    """What a group must know of its pool."""
    snaps = tuple(sorted(pool.snaps, reverse=True))
    own = bool(pool.flags & PoolFlag.POOL_SNAPS)
    return PoolFacts(pool.pg_num, pool.snap_seq, snaps, own)
