# SPDX-License-Identifier: Apache-2.0
"""What each epoch of the OSD map means to the copies of groups that an OSD has."""

from collections import deque
from collections.abc import Container, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from octostack.engines.ceph.core.osdmap import osds, placement, pools
from octostack.engines.ceph.core.osdmap.change import set_of
from octostack.engines.ceph.osd.core.members import member_of, members_of, osd_of
from octostack.engines.ceph.osd.core.values import View
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.wire.ceph.maps.crush import CrushMap
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap
from octostack.wire.ceph.maps.pool import ERASURE, Pool, PoolFlag
from octostack.wire.ceph.objects import PG

DRAWS_KEPT = 3  # of each pool
_LAYOUT = "octostack.engines.ceph.osd.core.shards.layout"  # brings numpy


class Epoch(msgspec.Struct, frozen=True):
    """Every group of every pool, as one epoch of the map has it."""

    number: int
    views: Mapping[PG, View] = {}
    pools: Mapping[int, PoolFacts] = {}
    noted: Mapping[int, int] = {}  # OSDs that may have been primaries: since when up, 0 if not


class Past:
    """Epochs that copies are yet to be told of, in order. Where nothing changes for any group there
    are only the first and the last one, as the last tells whether an interval took writes: so this
    stays small however long an OSD was away."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self._is_quiet = False  # the last one is like the one before

    def add(self, epoch: Epoch) -> None:
        """The next one."""
        same = bool(self.epochs) and _are_alike(self.epochs[-1], epoch)
        if same and self._is_quiet:
            self.epochs[-1] = epoch
        else:
            self.epochs.append(epoch)
        self._is_quiet = same

    def take(self) -> list[Epoch]:
        """All of them, which are told now."""
        found, self.epochs, self._is_quiet = self.epochs, [], False
        return found


class _Drawn(NamedTuple):
    """What CRUSH gave the groups of a pool, and what it had drawn from."""

    source: tuple[Any, ...]
    crush: CrushMap
    found: list[list[int]]


class Draws:
    """What CRUSH gives the groups of pools, as long as nothing that it draws from changes; or
    changes back: an OSD that was put out comes in again."""

    def __init__(self) -> None:
        self._pools: dict[int, deque[_Drawn]] = {}

    def get(self, osdmap: OSDMap, number: int, pool: Pool) -> list[list[int]]:
        """For each group of the pool."""
        counts = (pool.pg_num, pool.pgp_num, pool.size, pool.crush_rule)
        source = (*counts, pool.flags & PoolFlag.HASHPSPOOL, osdmap.osd_weight)
        kept = self._pools.setdefault(number, deque(maxlen=DRAWS_KEPT))
        for known in kept:
            if known.source == source and _is_same(known.crush, osdmap.crush):
                return known.found
        groups = (PG(number, seed) for seed in range(pool.pg_num))
        found = [placement.raw(osdmap, pool, pg, pools.placement_seed(pool, pg)) for pg in groups]
        kept.appendleft(_Drawn(source, osdmap.crush, found))
        return found

    def forget(self, pools_left: Container[int]) -> None:
        """All but these pools are gone."""
        for gone in [number for number in self._pools if number not in pools_left]:
            del self._pools[gone]


def _is_same(one: CrushMap, other: CrushMap) -> bool:
    return one is other or one == other


class Reader:
    """Makes epochs of maps."""

    def __init__(self) -> None:
        self.draws = Draws()
        self._layouts: dict[tuple[Any, ...], Any] = {}
        self._removed: dict[int, tuple[Mapping[int, int], frozenset[int]]] = {}  # of each pool
        self._members: tuple[tuple[int, int], dict[int, int], dict[int, int]] | None = None

    def read(self, osdmap: OSDMap) -> Epoch:
        """The epoch that a map describes."""
        up = [osd for osd in range(osdmap.max_osd) if osds.is_up(osdmap, osd)]
        alive = frozenset(up)
        up_from = {osd: osdmap.osd_info[osd].up_from for osd in up}
        up_thru = {osd: osdmap.osd_info[osd].up_thru for osd in up}
        known = frozenset(osds.list_known(osdmap))
        lost = {osd: at for osd in known - alive if (at := osdmap.osd_info[osd].lost_at)}
        views: dict[PG, View] = {}
        for number, pool in osdmap.pools.items():
            for seed, crushed in enumerate(self.draws.get(osdmap, number, pool)):
                pg = PG(number, seed)
                at = pools.placement_seed(pool, pg)
                place = placement.finish(osdmap, pool, pg, crushed, at)
                view = View(
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
                    known=known,
                    lost=lost,
                )
                views[pg] = self._of_shards(osdmap, pool, view) if pool.type == ERASURE else view
        self.draws.forget(osdmap.pools)
        for gone in self._removed.keys() - osdmap.pools.keys():
            del self._removed[gone]
        facts = {n: self._facts(osdmap, n, pool) for n, pool in osdmap.pools.items()}
        return Epoch(osdmap.epoch, views, facts, _noted(osdmap))

    def _facts(self, osdmap: OSDMap, number: int, pool: Pool) -> PoolFacts:
        """What a group must know of its pool."""
        spans = osdmap.removed_snaps_queue.get(number, {})
        known = self._removed.get(number)
        if known is None or known[0] != spans:
            known = self._removed[number] = (spans, frozenset(set_of(spans)))
        return PoolFacts(
            pg_num=pool.pg_num,
            snap_seq=pool.snap_seq,
            snaps=tuple(sorted(pool.snaps, reverse=True)),
            own_snaps=bool(pool.flags & PoolFlag.POOL_SNAPS),
            removed_snaps=known[1],
            may_trim=not osdmap.flags & MapFlag.NOSNAPTRIM,
            layout=self._layout(osdmap, pool),
            overwrites=pool.type != ERASURE or bool(pool.flags & PoolFlag.EC_OVERWRITES),
        )

    def _layout(self, osdmap: OSDMap, pool: Pool) -> Any:
        """The code of a pool; what makes it is loaded with the first."""
        if pool.type != ERASURE:
            return None
        profile = osdmap.erasure_code_profiles.get(pool.erasure_code_profile, {})
        key = (*sorted(profile.items()), pool.stripe_width)
        if key not in self._layouts:
            make = import_module(_LAYOUT).layout_of
            k = int(profile.get("k", "2"))
            self._layouts[key] = make(profile, pool.stripe_width // k)
        return self._layouts[key]

    def _of_shards(self, osdmap: OSDMap, pool: Pool, view: View) -> View:
        """The same for shards: each has its place."""
        if self._members is None or self._members[0] != (view.epoch, pool.size):
            alive = {o: [member_of(o, n) for n in range(pool.size)] for o in view.alive}
            born = {one: view.up_from[o] for o, ours in alive.items() for one in ours}
            thru = {one: view.up_thru[o] for o, ours in alive.items() for one in ours}
            self._members = ((view.epoch, pool.size), born, thru)
        _, born, thru = self._members
        acting = members_of(view.acting)
        return msgspec.structs.replace(
            view,
            up=members_of(view.up),
            acting=acting,
            primary=next((one for one in acting if osd_of(one) == view.primary), -1),
            alive=frozenset(born),
            up_from=born,
            up_thru=thru,
            k=self._layout(osdmap, pool).k,
        )


def _are_alike(before: Epoch, after: Epoch) -> bool:
    """Whether no group is new or gone, or begins another interval."""
    views = after.views
    return before.views.keys() == views.keys() and all(
        view.same_interval(views[pg]) for pg, view in before.views.items()
    )


def _noted(osdmap: OSDMap) -> dict[int, int]:
    """The OSDs that were ever noted as up for a primary's sake, and whose data is not lost."""
    infos = osdmap.osd_info
    return {
        osd: infos[osd].up_from if osds.is_up(osdmap, osd) else 0
        for osd in osds.list_known(osdmap)
        if infos[osd].up_thru > infos[osd].lost_at and not osds.is_destroyed(osdmap, osd)
    }
