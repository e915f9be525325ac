# SPDX-License-Identifier: Apache-2.0
"""The change between two maps that follow one another."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from octostack.engines.ceph.core.osdmap import change
from octostack.wire.ceph.maps import crush as crush_map
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.osdmap import NO_CHANGE, Incremental, OSDMap, OSDState

K = TypeVar("K")
V = TypeVar("V")


def diff(old: OSDMap, new: OSDMap) -> Incremental:
    """What makes `new` out of `old`, if one change can: some epochs are always the change's own."""
    values: dict[str, Any] = {
        "fsid": new.fsid,
        "epoch": new.epoch,
        "modified": new.modified,
        "new_removed_snaps": new.new_removed_snaps,
        "new_purged_snaps": new.new_purged_snaps,
        "cluster_snapshot": new.cluster_snapshot,
        "new_last_up_change": _other(old.last_up_change, new.last_up_change, 0),
        "new_last_in_change": _other(old.last_in_change, new.last_in_change, 0),
    }
    values |= _pools(old, new) | _overrides(old, new) | _limits(old, new) | _states(old, new)
    first = Incremental(**values)
    rest = _details(change.apply(old, first), new)
    return msgspec.structs.replace(first, **rest)


def seal(old: OSDMap, step: Incremental) -> tuple[OSDMap, Incremental, bytes]:
    """Apply a change and give it the checksum of the result: (map, change, the map's blob)."""
    osdmap = change.apply(old, step)
    blob = wire.encode(osdmap)
    return osdmap, msgspec.structs.replace(step, full_crc=wire.checksum(blob)), blob


def _other(old: V, new: V, same: V) -> V:
    return same if old == new else new


def _added(old: Mapping[K, V], new: Mapping[K, V]) -> dict[K, V]:
    return {key: value for key, value in new.items() if key not in old or old[key] != value}


def _pools(old: OSDMap, new: OSDMap) -> dict[str, Any]:
    return {
        "new_pools": _added(old.pools, new.pools),
        "new_pool_names": _added(old.pool_names, new.pool_names),
        "old_pools": frozenset(old.pools.keys() - new.pools.keys()),
        "new_pool_max": _other(old.pool_max, new.pool_max, NO_CHANGE),
        "new_erasure_code_profiles": _added(old.erasure_code_profiles, new.erasure_code_profiles),
        "old_erasure_code_profiles": tuple(
            sorted(old.erasure_code_profiles.keys() - new.erasure_code_profiles.keys())
        ),
    }


def _overrides(old: OSDMap, new: OSDMap) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, none in (
        ("pg_temp", ()),
        ("primary_temp", -1),
        ("crush_node_flags", 0),
        ("device_class_flags", 0),
    ):
        before, after = getattr(old, name), getattr(new, name)
        values[f"new_{name}"] = dict.fromkeys(before.keys() - after.keys(), none)
        values[f"new_{name}"] |= _added(before, after)
    for name in ("pg_upmap", "pg_upmap_items", "blocklist", "range_blocklist"):
        before, after = getattr(old, name), getattr(new, name)
        values[f"new_{name}"] = _added(before, after)
        gone = before.keys() - after.keys()
        values[f"old_{name}"] = frozenset(gone) if "upmap" in name else tuple(sorted(gone))
    return values


def _limits(old: OSDMap, new: OSDMap) -> dict[str, Any]:
    values: dict[str, Any] = {
        f"new_{name}": getattr(new, name)
        for name in (
            "nearfull_ratio",
            "full_ratio",
            "backfillfull_ratio",
            "require_min_compat_client",
            "require_osd_release",
        )
        if getattr(old, name) != getattr(new, name)
    }
    values["new_flags"] = _other(old.flags, new.flags, NO_CHANGE)
    values["new_max_osd"] = _other(old.max_osd, new.max_osd, NO_CHANGE)
    if old.crush_version != new.crush_version or old.crush != new.crush:
        values["crush"] = crush_map.encode(new.crush)
    stretch = {
        "new_stretch_bucket_count": new.stretch_bucket_count,
        "new_degraded_stretch_mode": new.degraded_stretch_mode,
        "new_recovering_stretch_mode": new.recovering_stretch_mode,
        "new_stretch_mode_bucket": new.stretch_mode_bucket,
        "stretch_mode_enabled": new.stretch_mode_enabled,
    }
    if any(getattr(old, name.removeprefix("new_")) != value for name, value in stretch.items()):
        values |= stretch | {"change_stretch_mode": True}
    return values


def _states(old: OSDMap, new: OSDMap) -> dict[str, Any]:
    weights: dict[int, int] = {}
    flips: dict[int, int] = {}
    booted = []
    for osd, state in enumerate(new.osd_state):
        before = old.osd_state[osd] if osd < old.max_osd else 0
        weight = old.osd_weight[osd] if osd < old.max_osd else 0
        if new.osd_weight[osd] != weight:
            weights[osd] = new.osd_weight[osd]
            if weights[osd]:
                before = (before | OSDState.EXISTS) & ~(OSDState.AUTOOUT | OSDState.NEW)
        boots = state & OSDState.UP and new.osd_info[osd].up_from == new.epoch
        change_bits = before ^ state
        if boots:
            booted.append(osd)
            change_bits &= ~(OSDState.EXISTS | OSDState.UP | OSDState.STOP)
        if change_bits:
            flips[osd] = change_bits
    return {
        "new_weight": weights,
        "new_state": flips,
        "new_up_client": {osd: new.client_addresses[osd] for osd in booted},
        "new_up_cluster": {osd: new.cluster_addresses[osd] for osd in booted},
        "new_heartbeat_back_up": {osd: new.heartbeat_back_addresses[osd] for osd in booted},
        "new_heartbeat_front_up": {osd: new.heartbeat_front_addresses[osd] for osd in booted},
    }


def _details(got: OSDMap, new: OSDMap) -> dict[str, Any]:
    """What the states alone do not bring about."""
    both = [(osd, got.osd_info[osd], info) for osd, info in enumerate(new.osd_info)]
    affinity = dict(enumerate(new.primary_affinity))
    return {
        "new_up_thru": {osd: i.up_thru for osd, g, i in both if g.up_thru != i.up_thru},
        "new_lost": {osd: i.lost_at for osd, g, i in both if g.lost_at != i.lost_at},
        "new_last_clean_interval": {
            osd: (i.last_clean_begin, i.last_clean_end)
            for osd, g, i in both
            if (g.last_clean_begin, g.last_clean_end) != (i.last_clean_begin, i.last_clean_end)
        },
        "new_xinfo": {
            osd: xinfo for osd, xinfo in enumerate(new.osd_xinfo) if got.osd_xinfo[osd] != xinfo
        },
        "new_uuid": {
            osd: unique for osd, unique in enumerate(new.osd_uuid) if got.osd_uuid[osd] != unique
        },
        "new_primary_affinity": _added(dict(enumerate(got.primary_affinity)), affinity),
    }
