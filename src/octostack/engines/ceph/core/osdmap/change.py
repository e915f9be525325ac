# SPDX-License-Identifier: Apache-2.0
"""The next epoch of a map: what OSDMap::apply_incremental of Ceph 16.2 does, as a function."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.osdmap.osds import AFFINITY_DEFAULT
from octostack.wire.ceph.maps import crush as crush_map
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.osdmap import (
    NO_CHANGE,
    UNCHANGED_RELEASE,
    Incremental,
    Intervals,
    MapFlag,
    OSDInfo,
    OSDMap,
    OSDState,
    OSDXInfo,
)

K = TypeVar("K")
V = TypeVar("V")

LUMINOUS, NAUTILUS = 12, 14
LEGACY_FLAGS = MapFlag.REQUIRE_JEWEL | MapFlag.REQUIRE_KRAKEN | MapFlag.REQUIRE_LUMINOUS
_PER_OSD: dict[str, Any] = {  # each tuple with one entry per OSD, and what a new one has
    "osd_state": 0,
    "osd_weight": 0,
    "osd_info": OSDInfo(),
    "osd_xinfo": OSDXInfo(),
    "osd_uuid": uuid.UUID(int=0),
    "client_addresses": (),
    "cluster_addresses": (),
    "heartbeat_back_addresses": (),
    "heartbeat_front_addresses": (),
}
_ADDRESSES = {
    "client_addresses": "new_up_client",
    "cluster_addresses": "new_up_cluster",
    "heartbeat_back_addresses": "new_heartbeat_back_up",
    "heartbeat_front_addresses": "new_heartbeat_front_up",
}


def apply(osdmap: OSDMap, change: Incremental) -> OSDMap:
    """The map of epoch `change.epoch`, which must be the next one. Raises Invalid."""
    if change.epoch != osdmap.epoch + 1:
        raise Invalid(f"A change to epoch {change.epoch} cannot follow {osdmap.epoch}")
    if osdmap.epoch and change.fsid != osdmap.fsid:
        raise Invalid(f"A change of cluster {change.fsid} does not fit {osdmap.fsid}")
    if change.full_map:
        return wire.decode(change.full_map)
    values: dict[str, Any] = {
        "fsid": change.fsid,
        "epoch": change.epoch,
        "modified": change.modified,
        "new_removed_snaps": change.new_removed_snaps,
        "new_purged_snaps": change.new_purged_snaps,
        "removed_snaps_queue": _snaps_queue(osdmap, change),
        "cluster_snapshot": change.cluster_snapshot,
        "cluster_snapshot_epoch": change.epoch if change.cluster_snapshot else 0,
        "last_up_change": change.new_last_up_change or osdmap.last_up_change,
        "last_in_change": change.new_last_in_change or osdmap.last_in_change,
    }
    values |= _pools(osdmap, change) | _OSDs(osdmap, change).values() | _overrides(osdmap, change)
    values |= _limits(osdmap, change) | _crush(osdmap, change) | _stretch(change)
    return msgspec.structs.replace(osdmap, **values)


def merged(
    old: Mapping[K, V], new: Mapping[K, V], is_gone: Callable[[K, V], bool] = lambda _, __: False
) -> dict[K, V]:
    """`old` with the entries of `new`, without those that `is_gone` says are to go."""
    both = {**old, **new}
    return {key: value for key, value in both.items() if not is_gone(key, value)}


def _pools(osdmap: OSDMap, change: Incremental) -> dict[str, Any]:
    gone = change.old_pools
    new = {
        number: msgspec.structs.replace(pool, last_change=change.epoch)
        for number, pool in change.new_pools.items()
    }
    profiles = merged(
        osdmap.erasure_code_profiles, {}, lambda name, _: name in change.old_erasure_code_profiles
    )
    return {
        "pools": merged(osdmap.pools, new, lambda number, _: number in gone),
        "pool_names": merged(
            osdmap.pool_names, change.new_pool_names, lambda number, _: number in gone
        ),
        "pool_max": osdmap.pool_max if change.new_pool_max == NO_CHANGE else change.new_pool_max,
        "erasure_code_profiles": profiles | change.new_erasure_code_profiles,
    }


class _OSDs:
    """The entries per OSD while they change, in the order in which Ceph applies the parts."""

    def __init__(self, osdmap: OSDMap, change: Incremental) -> None:
        self.change = change
        self.max_osd = osdmap.max_osd
        if change.new_max_osd >= 0:
            self.max_osd = change.new_max_osd
        self.lists: dict[str, list[Any]] = {
            name: _sized(getattr(osdmap, name), self.max_osd, default)
            for name, default in _PER_OSD.items()
        }
        affinity = osdmap.primary_affinity
        self.affinity = _sized(affinity, self.max_osd, AFFINITY_DEFAULT) if affinity else []

    def values(self) -> dict[str, Any]:
        """The fields of the map that follow."""
        self._weights()
        self._states()
        self._boots()
        self._infos()
        lists = {name: tuple(values) for name, values in self.lists.items()}
        return {"max_osd": self.max_osd, "primary_affinity": tuple(self.affinity), **lists}

    def _weights(self) -> None:
        state, xinfo = self.lists["osd_state"], self.lists["osd_xinfo"]
        for osd, weight in self.change.new_weight.items():
            self.lists["osd_weight"][osd] = weight
            if weight:
                state[osd] = (state[osd] | OSDState.EXISTS) & ~(OSDState.AUTOOUT | OSDState.NEW)
                xinfo[osd] = msgspec.structs.replace(xinfo[osd], old_weight=0)
        for osd, affinity in self.change.new_primary_affinity.items():
            self._set_affinity(osd, affinity)

    def _set_affinity(self, osd: int, affinity: int) -> None:
        self.affinity = self.affinity or [AFFINITY_DEFAULT] * self.max_osd
        self.affinity[osd] = affinity

    def _states(self) -> None:
        state = self.lists["osd_state"]
        info, xinfo = self.lists["osd_info"], self.lists["osd_xinfo"]
        for osd, flips in self.change.new_state.items():
            bits = flips or OSDState.UP
            if state[osd] & bits & OSDState.UP:
                info[osd] = msgspec.structs.replace(info[osd], down_at=self.change.epoch)
                xinfo[osd] = msgspec.structs.replace(xinfo[osd], down_stamp=self.change.modified)
            if state[osd] & bits & OSDState.EXISTS:
                self._forget(osd)
            else:
                state[osd] ^= bits

    def _forget(self, osd: int) -> None:
        for name, default in _PER_OSD.items():
            if name != "osd_weight":
                self.lists[name][osd] = default
        self._set_affinity(osd, AFFINITY_DEFAULT)

    def _boots(self) -> None:
        state, info = self.lists["osd_state"], self.lists["osd_info"]
        for osd in self.change.new_up_client:
            state[osd] = (state[osd] | OSDState.EXISTS | OSDState.UP) & ~OSDState.STOP
            info[osd] = msgspec.structs.replace(info[osd], up_from=self.change.epoch)
        for name, source in _ADDRESSES.items():
            for osd, addresses in getattr(self.change, source).items():
                self.lists[name][osd] = addresses

    def _infos(self) -> None:
        info = self.lists["osd_info"]
        replace = msgspec.structs.replace
        for osd, epoch in self.change.new_up_thru.items():
            info[osd] = replace(info[osd], up_thru=epoch)
        for osd, (begin, end) in self.change.new_last_clean_interval.items():
            info[osd] = replace(info[osd], last_clean_begin=begin, last_clean_end=end)
        for osd, epoch in self.change.new_lost.items():
            info[osd] = replace(info[osd], lost_at=epoch)
        for osd, xinfo in self.change.new_xinfo.items():
            self.lists["osd_xinfo"][osd] = xinfo
        for osd, unique in self.change.new_uuid.items():
            self.lists["osd_uuid"][osd] = unique


def _sized(values: tuple[V, ...], size: int, default: V) -> list[V]:
    return [*values[:size], *[default] * (size - len(values))]


def _overrides(osdmap: OSDMap, change: Incremental) -> dict[str, Any]:
    """Where groups and addresses are treated otherwise than the rest."""
    return {
        "pg_temp": merged(osdmap.pg_temp, change.new_pg_temp, lambda _, osds: not osds),
        "primary_temp": merged(
            osdmap.primary_temp, change.new_primary_temp, lambda _, osd: osd == -1
        ),
        "pg_upmap": merged(
            osdmap.pg_upmap, change.new_pg_upmap, lambda pg, _: pg in change.old_pg_upmap
        ),
        "pg_upmap_items": merged(
            osdmap.pg_upmap_items,
            change.new_pg_upmap_items,
            lambda pg, _: pg in change.old_pg_upmap_items,
        ),
        "blocklist": merged(
            osdmap.blocklist, change.new_blocklist, lambda at, _: at in change.old_blocklist
        ),
        "range_blocklist": merged(
            osdmap.range_blocklist,
            change.new_range_blocklist,
            lambda at, _: at in change.old_range_blocklist,
        ),
        "crush_node_flags": merged(
            osdmap.crush_node_flags, change.new_crush_node_flags, lambda _, flags: not flags
        ),
        "device_class_flags": merged(
            osdmap.device_class_flags, change.new_device_class_flags, lambda _, flags: not flags
        ),
    }


def _limits(osdmap: OSDMap, change: Incremental) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("nearfull_ratio", "full_ratio", "backfillfull_ratio"):
        ratio = getattr(change, f"new_{name}")
        if ratio >= 0:
            values[name] = ratio
    if change.new_require_min_compat_client not in (0, UNCHANGED_RELEASE):
        values["require_min_compat_client"] = change.new_require_min_compat_client
    flags = osdmap.flags if change.new_flags == NO_CHANGE else change.new_flags
    release = change.new_require_osd_release
    if release != UNCHANGED_RELEASE:
        values["require_osd_release"] = release
        if release >= LUMINOUS:
            flags = flags & ~LEGACY_FLAGS | MapFlag.RECOVERY_DELETES
        if release >= NAUTILUS:
            flags |= MapFlag.PGLOG_HARDLIMIT
    return {**values, "flags": flags}


def _crush(osdmap: OSDMap, change: Incremental) -> dict[str, Any]:
    if not change.crush:
        return {}
    crush = crush_map.decode(change.crush)
    flags = merged(
        osdmap.device_class_flags,
        change.new_device_class_flags,
        lambda number, flags: not flags or number not in crush.class_names,
    )
    return {
        "crush": crush,
        "crush_version": osdmap.crush_version + 1,
        "device_class_flags": flags,
    }


def _stretch(change: Incremental) -> dict[str, Any]:
    if not change.change_stretch_mode:
        return {}
    return {
        "stretch_mode_enabled": change.stretch_mode_enabled,
        "stretch_bucket_count": change.new_stretch_bucket_count,
        "degraded_stretch_mode": change.new_degraded_stretch_mode,
        "recovering_stretch_mode": change.new_recovering_stretch_mode,
        "stretch_mode_bucket": change.new_stretch_mode_bucket,
    }


def _snaps_queue(osdmap: OSDMap, change: Incremental) -> Intervals:
    queue = {pool: set_of(spans) for pool, spans in osdmap.removed_snaps_queue.items()}
    for pool, spans in change.new_removed_snaps.items():
        queue[pool] = queue.get(pool, set()) | set_of(spans)
    for pool, spans in change.new_purged_snaps.items():
        queue[pool] = queue.get(pool, set()) - set_of(spans)
    return {pool: spans_of(snaps) for pool, snaps in queue.items() if snaps}


def set_of(spans: Mapping[int, int]) -> set[int]:
    """The numbers in spans of start and length."""
    return {number for start, length in spans.items() for number in range(start, start + length)}


def spans_of(numbers: set[int]) -> dict[int, int]:
    """The fewest spans, start to length, that hold these numbers."""
    spans: dict[int, int] = {}
    start = None
    for number in sorted(numbers):
        if start is not None and number == start + spans[start]:
            spans[start] += 1
        else:
            start = number
            spans[start] = 1
    return spans
