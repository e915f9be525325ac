# SPDX-License-Identifier: Apache-2.0
"""What the commands about OSDs and pools show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import views
from octostack.engines.ceph.mon.core.answers import Answer
from octostack.wire.ceph.addresses import format_many
from octostack.wire.ceph.maps.crush import ONE, CrushMap
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import AUTOSCALE_NAMES, TYPE_NAMES, PoolFlag

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_STATE_NAMES = {OSDState.EXISTS: "exists", OSDState.UP: "up", OSDState.NEW: "new"}
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


def flag_names(flags: int) -> list[str]:
    """Flags of the map by name."""
    return [flag.name.lower().replace("_", "-") for flag in MapFlag if flags & flag and flag.name]


def pool_flags(flags: int) -> str:
    """Flags of a pool by name."""
    return ",".join(name for flag, name in _POOL_FLAG_NAMES.items() if flags & flag)


def pool(map_: OSDMap, number: int) -> dict[str, Any]:
    """A pool, as ``osd dump`` shows it."""
    found = map_.pools[number]
    return {
        "pool": number,
        "pool_name": map_.pool_names[number],
        "create_time": views.stamp(found.create_time),
        "flags": found.flags,
        "flags_names": pool_flags(found.flags),
        "type": found.type,
        "size": found.size,
        "min_size": found.min_size,
        "crush_rule": found.crush_rule,
        "object_hash": found.object_hash,
        "pg_autoscale_mode": AUTOSCALE_NAMES[found.pg_autoscale_mode],
        "pg_num": found.pg_num,
        "pg_placement_num": found.pgp_num,
        "pg_placement_num_target": found.pgp_num_target,
        "pg_num_target": found.pg_num_target,
        "pg_num_pending": found.pg_num_pending,
        "last_change": str(found.last_change),
        "auid": found.auid,
        "snap_mode": "pool" if found.flags & PoolFlag.POOL_SNAPS else "selfmanaged",
        "snap_seq": found.snap_seq,
        "snap_epoch": found.snap_epoch,
        "pool_snaps": [
            {"snapid": snap.id, "stamp": views.stamp(snap.stamp), "name": snap.name}
            for snap in found.snaps.values()
        ],
        "removed_snaps": "[]",
        "quota_max_bytes": found.quota_max_bytes,
        "quota_max_objects": found.quota_max_objects,
        "tiers": sorted(found.tiers),
        "tier_of": found.tier_of,
        "read_tier": found.read_tier,
        "write_tier": found.write_tier,
        "cache_mode": "none",
        "erasure_code_profile": found.erasure_code_profile,
        "stripe_width": found.stripe_width,
        "expected_num_objects": found.expected_num_objects,
        "fast_read": found.fast_read,
        "options": {},
        "application_metadata": found.application_metadata,
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


def _osd(map_: OSDMap, osd: int) -> dict[str, Any]:
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
    bits = map_.osd_state[osd]
    found["state"] = [name for bit, name in _STATE_NAMES.items() if bits & bit]
    return found


def dump(map_: OSDMap) -> dict[str, Any]:
    """The command ``osd dump``."""
    names = flag_names(map_.flags)
    known = osds.list_known(map_)
    return {
        "epoch": map_.epoch,
        "fsid": str(map_.fsid),
        "created": views.stamp(map_.created),
        "modified": views.stamp(map_.modified),
        "last_up_change": views.stamp(map_.last_up_change),
        "last_in_change": views.stamp(map_.last_in_change),
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
        "require_min_compat_client": "luminous",
        "min_compat_client": "jewel",
        "require_osd_release": "pacific",
        "allow_crimson": False,
        "pools": [pool(map_, number) for number in sorted(map_.pools)],
        "osds": [_osd(map_, osd) for osd in known],
        "osd_xinfo": [
            {
                "osd": osd,
                "down_stamp": views.stamp(map_.osd_xinfo[osd].down_stamp),
                "laggy_probability": map_.osd_xinfo[osd].laggy_probability / 0xFFFFFFFF,
                "laggy_interval": map_.osd_xinfo[osd].laggy_interval,
                "features": map_.osd_xinfo[osd].features,
                "old_weight": map_.osd_xinfo[osd].old_weight / ONE,
                "last_purged_snaps_scrub": views.stamp(map_.osd_xinfo[osd].last_purged_snaps_scrub),
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
        "primary_temp": {str(pg): osd for pg, osd in map_.primary_temp.items()},
        "blocklist": {str(key)[3:]: views.stamp(at) for key, at in map_.blocklist.items()},
        "erasure_code_profiles": map_.erasure_code_profiles,
        "removed_snaps_queue": [],
        "new_removed_snaps": [],
        "new_purged_snaps": [],
        "crush_node_flags": {},
        "device_class_flags": {},
    }


def dump_text(map_: OSDMap) -> str:
    """The same for people."""
    lines = [
        f"epoch {map_.epoch}",
        f"fsid {map_.fsid}",
        f"created {views.stamp(map_.created)}",
        f"modified {views.stamp(map_.modified)}",
        f"flags {','.join(flag_names(map_.flags))}",
        f"crush_version {map_.crush_version}",
        f"full_ratio {map_.full_ratio:g}",
        f"backfillfull_ratio {map_.backfillfull_ratio:g}",
        f"nearfull_ratio {map_.nearfull_ratio:g}",
        "require_min_compat_client luminous",
        "require_osd_release pacific",
    ]
    lines += [pool_text(map_, number).rstrip() for number in sorted(map_.pools)]
    lines.append(f"max_osd {map_.max_osd}")
    for osd in osds.list_known(map_):
        info = map_.osd_info[osd]
        up = "up" if osds.is_up(map_, osd) else "down"
        inside = "in" if osds.is_in(map_, osd) else "out"
        lines.append(
            f"osd.{osd} {up:4} {inside:3} weight {map_.osd_weight[osd] / ONE:g} up_from "
            f"{info.up_from} up_thru {info.up_thru} down_at {info.down_at} "
            f"{format_many(map_.client_addresses[osd])} {map_.osd_uuid[osd]}"
        )
    return "\n".join(lines) + "\n"


def stat(query: Query) -> Answer:
    """The command ``osd stat``."""
    found = views.osd_summary(query.state.osdmap)
    text = (
        f"{found['num_osds']} osds: {found['num_up_osds']} up, {found['num_in_osds']} in; "
        f"epoch: e{found['epoch']}\n"
    )
    return query.show(found, text)


def tree(query: Query) -> Answer:
    """The command ``osd tree``."""
    map_ = query.state.osdmap
    nodes: list[dict[str, Any]] = []
    held = {item for bucket in map_.crush.buckets if bucket for item in bucket.items}
    roots = [bucket.id for bucket in map_.crush.buckets if bucket and bucket.id not in held]
    for root in sorted(roots, reverse=True):
        _walk(map_, root, 0, 0, nodes)
    lines = ["ID  CLASS  WEIGHT   TYPE NAME       STATUS  REWEIGHT  PRI-AFF"]
    for node in nodes:
        name = "    " * node["depth"] + (
            node["name"] if node["id"] >= 0 else f"{node['type']} {node['name']}"
        )
        weight = node.get("crush_weight", 0.0)
        line = f"{node['id']:>3}        {weight:.5f}  {name}"
        if node["id"] >= 0:
            line += f"    {node['status']}  {node['reweight']:.5f}  {node['primary_affinity']:.5f}"
        lines.append(line)
    return query.show({"nodes": nodes, "stray": []}, "\n".join(lines) + "\n")


def _walk(map_: OSDMap, item: int, weight: int, depth: int, nodes: list[dict[str, Any]]) -> None:
    crush: CrushMap = map_.crush
    bucket = crush.find_bucket(item)
    if bucket is None:
        nodes.append(
            {
                "id": item,
                "device_class": crush.class_names.get(crush.classes.get(item, -1), ""),
                "name": crush.names.get(item, f"osd.{item}"),
                "type": "osd",
                "type_id": 0,
                "crush_weight": weight / ONE,
                "depth": depth,
                "pool_weights": {},
                "exists": int(osds.is_known(map_, item)),
                "status": "up" if osds.is_up(map_, item) else "down",
                "reweight": map_.osd_weight[item] / ONE,
                "primary_affinity": osds.affinity(map_, item) / osds.AFFINITY_DEFAULT,
            }
        )
        return
    nodes.append(
        {
            "id": item,
            "name": crush.names.get(item, ""),
            "type": crush.type_names.get(bucket.type, ""),
            "type_id": bucket.type,
            "crush_weight": bucket.weight / ONE,
            "depth": depth,
            "pool_weights": {},
            "children": list(reversed(bucket.items)),
        }
    )
    for child, of_child in zip(bucket.items, bucket.weights, strict=True):
        _walk(map_, child, of_child, depth + 1, nodes)
