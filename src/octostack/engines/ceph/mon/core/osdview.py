# SPDX-License-Identifier: Apache-2.0
"""What the commands about OSDs and pools show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import printing, views
from octostack.engines.ceph.mon.core.answers import Answer
from octostack.wire.ceph.addresses import Addresses, format_many
from octostack.wire.ceph.maps.crush import ONE
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import AUTOSCALE_NAMES, OPTION_NAMES, TYPE_NAMES, Pool, PoolFlag

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_STATE_NAMES = {
    OSDState.EXISTS: "exists",
    OSDState.UP: "up",
    OSDState.AUTOOUT: "autoout",
    OSDState.NEW: "new",
    OSDState.FULL: "full",
    OSDState.NEARFULL: "nearfull",
    OSDState.BACKFILLFULL: "backfillfull",
    OSDState.DESTROYED: "destroyed",
    OSDState.NOUP: "noup",
    OSDState.NODOWN: "nodown",
    OSDState.NOIN: "noin",
    OSDState.NOOUT: "noout",
    OSDState.STOP: "stop",
}
RELEASES = {
    0: "unknown",
    10: "jewel",
    11: "kraken",
    12: "luminous",
    13: "mimic",
    14: "nautilus",
    15: "octopus",
    16: "pacific",
}
_POOL_FLAG_NAMES = {
    PoolFlag.HASHPSPOOL: "hashpspool",
    PoolFlag.FULL: "full",
    PoolFlag.NODELETE: "nodelete",
    PoolFlag.NOPGCHANGE: "nopgchange",
    PoolFlag.NOSIZECHANGE: "nosizechange",
    PoolFlag.SELFMANAGED_SNAPS: "selfmanaged_snaps",
    PoolFlag.POOL_SNAPS: "pool_snaps",
    PoolFlag.CREATING: "creating",
}


NANOS = 1_000_000_000


def format_vector(addresses: Addresses) -> str:
    """``[v2:10.0.0.1:6800/1]``: as vectors are printed, also of one."""
    return f"[{format_many(addresses).strip('[]')}]"


def flag_names(flags: int) -> list[str]:
    """Flags of the map by name."""
    names = [flag.name.lower() for flag in MapFlag if flags & flag and flag.name]
    return [name.replace("deep_", "deep-") for name in names]


def pool_flags(flags: int) -> str:
    """Flags of a pool by name."""
    return ",".join(name for flag, name in _POOL_FLAG_NAMES.items() if flags & flag)


def pool(map_: OSDMap, number: int, key: str = "pool") -> dict[str, Any]:
    """A pool, as ``osd dump`` shows it; ``pool ls detail`` has another name for its number."""
    found = map_.pools[number]
    return {
        key: number,
        "pool_name": map_.pool_names[number],
        "create_time": printing.stamp(found.create_time),
        "flags": found.flags,
        "flags_names": pool_flags(found.flags),
        "type": found.type,
        "size": found.size,
        "min_size": found.min_size,
        "crush_rule": found.crush_rule,
        "peering_crush_bucket_count": found.peering_crush_bucket_count,
        "peering_crush_bucket_target": found.peering_crush_bucket_target,
        "peering_crush_bucket_barrier": found.peering_crush_bucket_barrier,
        "peering_crush_bucket_mandatory_member": found.peering_crush_mandatory_member,
        "object_hash": found.object_hash,
        "pg_autoscale_mode": AUTOSCALE_NAMES[found.pg_autoscale_mode],
        "pg_num": found.pg_num,
        "pg_placement_num": found.pgp_num,
        "pg_placement_num_target": found.pgp_num_target,
        "pg_num_target": found.pg_num_target,
        "pg_num_pending": found.pg_num_pending,
        "last_pg_merge_meta": _NO_MERGE,
        "last_change": str(found.last_change),
        "last_force_op_resend": str(found.last_force_op_resend),
        "last_force_op_resend_prenautilus": str(found.last_force_op_resend_prenautilus),
        "last_force_op_resend_preluminous": str(found.last_force_op_resend_preluminous),
        "auid": found.auid,
        "snap_mode": "pool" if found.flags & PoolFlag.POOL_SNAPS else "selfmanaged",
        "snap_seq": found.snap_seq,
        "snap_epoch": found.snap_epoch,
        "pool_snaps": [
            {"snapid": snap.id, "stamp": printing.stamp(snap.stamp), "name": snap.name}
            for snap in found.snaps.values()
        ],
        "removed_snaps": "[]",
        "quota_max_bytes": found.quota_max_bytes,
        "quota_max_objects": found.quota_max_objects,
        **_caching(found),
        "stripe_width": found.stripe_width,
        "expected_num_objects": found.expected_num_objects,
        "fast_read": found.fast_read,
        "options": {OPTION_NAMES[place]: value for place, value in found.options.items()},
        "application_metadata": found.application_metadata,
    }


_NO_MERGE = {
    "source_pgid": "0.0",
    "ready_epoch": 0,
    "last_epoch_started": 0,
    "last_epoch_clean": 0,
    "source_version": "0'0",
    "target_version": "0'0",
}
_CACHING = (
    *("target_max_bytes", "target_max_objects", "cache_target_dirty_ratio_micro"),
    *("cache_target_dirty_high_ratio_micro", "cache_target_full_ratio_micro"),
    *("cache_min_flush_age", "cache_min_evict_age"),
)
_HITS = (
    *("hit_set_period", "hit_set_count", "use_gmt_hitset", "min_read_recency_for_promote"),
    *("min_write_recency_for_promote", "hit_set_grade_decay_rate", "hit_set_search_last_n"),
)


def _caching(found: Pool) -> dict[str, Any]:
    """What pools have that are caches of others; here none is."""
    return {
        "tiers": sorted(found.tiers),
        "tier_of": found.tier_of,
        "read_tier": found.read_tier,
        "write_tier": found.write_tier,
        "cache_mode": "none",
        **{name: getattr(found, name) for name in _CACHING},
        "erasure_code_profile": found.erasure_code_profile,
        "hit_set_params": {"type": "none"},
        **{name: getattr(found, name) for name in _HITS},
        "grade_table": [],
    }


def pool_text(map_: OSDMap, number: int) -> str:
    """A line about a pool."""
    found = map_.pools[number]
    name = map_.pool_names[number]
    apps = ",".join(sorted(found.application_metadata))
    tail = f" application {apps}" if apps else ""
    return (
        f"pool {number} '{name}' {TYPE_NAMES[found.type]} size {found.size} min_size "
        f"{found.min_size} crush_rule {found.crush_rule} object_hash rjenkins pg_num "
        f"{found.pg_num} pgp_num {found.pgp_num} autoscale_mode "
        f"{AUTOSCALE_NAMES[found.pg_autoscale_mode]} last_change {found.last_change} flags "
        f"{pool_flags(found.flags)} stripe_width {found.stripe_width}{tail}\n"
    )


def osd_view(map_: OSDMap, osd: int) -> dict[str, Any]:
    """An OSD, as ``osd dump`` shows it."""
    info = map_.osd_info[osd]
    groups = {
        "public": map_.client_addresses[osd],
        "cluster": map_.cluster_addresses[osd],
        "heartbeat_back": map_.heartbeat_back_addresses[osd],
        "heartbeat_front": map_.heartbeat_front_addresses[osd],
    }
    found: dict[str, Any] = {
        "osd": osd,
        "uuid": str(map_.osd_uuid[osd]),
        "up": int(osds.is_up(map_, osd)),
        "in": int(osds.is_in(map_, osd)),
        "weight": map_.osd_weight[osd] / ONE,
        "primary_affinity": osds.affinity(map_, osd) / osds.AFFINITY_DEFAULT,
        "last_clean_begin": info.last_clean_begin,
        "last_clean_end": info.last_clean_end,
        "up_from": info.up_from,
        "up_thru": info.up_thru,
        "down_at": info.down_at,
        "lost_at": info.lost_at,
    }
    found |= {f"{name}_addrs": views.addresses(many) for name, many in groups.items()}
    for name, many in groups.items():
        found[f"{name}_addr"] = f"{many[0].place}/{many[0].nonce}" if many else "(unrecognized)"
    found["state"] = state_names(map_.osd_state[osd])
    return found


# what there is none of here
_REST: dict[str, Any] = {
    "removed_snaps_queue": [],
    "new_removed_snaps": [],
    "new_purged_snaps": [],
    "crush_node_flags": {},
    "device_class_flags": {},
    "stretch_mode": {
        "stretch_mode_enabled": False,
        "stretch_bucket_count": 0,
        "degraded_stretch_mode": 0,
        "recovering_stretch_mode": 0,
        "stretch_mode_bucket": 0,
    },
}


def dump(map_: OSDMap) -> dict[str, Any]:
    """The command ``osd dump``."""
    names = flag_names(map_.flags)
    known = osds.list_known(map_)
    return {
        "epoch": map_.epoch,
        "fsid": str(map_.fsid),
        "created": printing.stamp(map_.created),
        "modified": printing.stamp(map_.modified),
        "last_up_change": printing.stamp(map_.last_up_change),
        "last_in_change": printing.stamp(map_.last_in_change),
        "flags": ",".join(names),
        "flags_num": map_.flags,
        "flags_set": sorted(names),
        "crush_version": map_.crush_version,
        "full_ratio": map_.full_ratio,
        "backfillfull_ratio": map_.backfillfull_ratio,
        "nearfull_ratio": map_.nearfull_ratio,
        "cluster_snapshot": map_.cluster_snapshot,
        "pool_max": map_.pool_max,
        "max_osd": map_.max_osd,
        "require_min_compat_client": RELEASES[map_.require_min_compat_client],
        "min_compat_client": "jewel",
        "require_osd_release": RELEASES[map_.require_osd_release],
        "pools": [pool(map_, number) for number in sorted(map_.pools)],
        "osds": [osd_view(map_, osd) for osd in known],
        "osd_xinfo": [
            {
                "osd": osd,
                "down_stamp": printing.when(map_.osd_xinfo[osd].down_stamp),
                "laggy_probability": map_.osd_xinfo[osd].laggy_probability / 0xFFFFFFFF,
                "laggy_interval": map_.osd_xinfo[osd].laggy_interval,
                "features": map_.osd_xinfo[osd].features,
                "old_weight": map_.osd_xinfo[osd].old_weight / ONE,
                "last_purged_snaps_scrub": printing.when(
                    map_.osd_xinfo[osd].last_purged_snaps_scrub
                ),
                "dead_epoch": map_.osd_xinfo[osd].dead_epoch,
            }
            for osd in known
        ],
        "pg_upmap": [{"pgid": str(pg), "osds": list(found)} for pg, found in map_.pg_upmap.items()],
        "pg_upmap_items": [
            {"pgid": str(pg), "mappings": [{"from": a, "to": b} for a, b in found]}
            for pg, found in map_.pg_upmap_items.items()
        ],
        "pg_temp": [{"pgid": str(pg), "osds": list(found)} for pg, found in map_.pg_temp.items()],
        "primary_temp": [{"pgid": str(pg), "osd": osd} for pg, osd in map_.primary_temp.items()],
        "blocklist": {str(key)[3:]: printing.stamp(at) for key, at in map_.blocklist.items()},
        "range_blocklist": {},
        "erasure_code_profiles": map_.erasure_code_profiles,
        **_REST,
    }


def dump_text(map_: OSDMap) -> str:
    """The same for people."""
    lines = [
        f"epoch {map_.epoch}",
        f"fsid {map_.fsid}",
        f"created {printing.stamp(map_.created)}",
        f"modified {printing.stamp(map_.modified)}",
        f"flags {','.join(flag_names(map_.flags))}",
        f"crush_version {map_.crush_version}",
        f"full_ratio {map_.full_ratio:g}",
        f"backfillfull_ratio {map_.backfillfull_ratio:g}",
        f"nearfull_ratio {map_.nearfull_ratio:g}",
        f"require_min_compat_client {RELEASES[map_.require_min_compat_client]}",
        "min_compat_client jewel",
        f"require_osd_release {RELEASES[map_.require_osd_release]}",
        "stretch_mode_enabled false",
    ]
    lines += [pool_text(map_, number).rstrip() for number in sorted(map_.pools)]
    lines.append(f"max_osd {map_.max_osd}")
    lines += [osd_text(map_, osd) for osd in osds.list_known(map_)]
    lines += [
        f"blocklist {at.place}/{at.nonce} expires {printing.stamp(until)}"
        for at, until in map_.blocklist.items()
    ]
    return "\n".join(lines) + "\n"


def osd_text(map_: OSDMap, osd: int) -> str:
    """A line about an OSD."""
    info = map_.osd_info[osd]
    up = "up" if osds.is_up(map_, osd) else "down"
    inside = "in" if osds.is_in(map_, osd) else "out"
    states = ",".join(state_names(map_.osd_state[osd]))
    where = [map_.client_addresses[osd], map_.cluster_addresses[osd]]
    return (
        f"osd.{osd} {up:4} {inside:3} weight {map_.osd_weight[osd] / ONE:g} up_from "
        f"{info.up_from} up_thru {info.up_thru} down_at {info.down_at} last_clean_interval "
        f"[{info.last_clean_begin},{info.last_clean_end}) "
        f"{' '.join(format_vector(one) for one in where)} {states} {map_.osd_uuid[osd]}"
    )


def state_names(bits: int) -> list[str]:
    """Bits of an OSD's state by name."""
    return [name for bit, name in _STATE_NAMES.items() if bits & bit]


def stat(query: Query) -> Answer:
    """The command ``osd stat``."""
    map_ = query.state.osdmap
    found = views.osd_summary(map_)
    up_for = printing.duration_text((query.now_ns - map_.last_up_change) / NANOS)
    in_for = printing.duration_text((query.now_ns - map_.last_in_change) / NANOS)
    remapped = found["num_remapped_pgs"]
    tail = f"; {remapped} remapped pgs" if remapped else ""
    text = (
        f"{found['num_osds']} osds: {found['num_up_osds']} up (since {up_for}), "
        f"{found['num_in_osds']} in (since {in_for}); epoch: e{found['epoch']}{tail}\n"
    )
    return query.show(found, text)
