# SPDX-License-Identifier: Apache-2.0
"""A pool as the OSD map has it (pg_pool_t, version 29; 30 in a stretched cluster)."""

import struct
from enum import IntFlag

import msgspec

from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind

REPLICATED, ERASURE = 1, 3
TYPE_NAMES = {REPLICATED: "replicated", ERASURE: "erasure"}
HASH_LINUX, HASH_RJENKINS = 1, 2
AUTOSCALE_NAMES = ("off", "warn", "on")
OPTION_NAMES = (  # pool_opts_t::key_t
    "scrub_min_interval",
    "scrub_max_interval",
    "deep_scrub_interval",
    "recovery_priority",
    "recovery_op_priority",
    "scrub_priority",
    "compression_mode",
    "compression_algorithm",
    "compression_required_ratio",
    "compression_max_blob_size",
    "compression_min_blob_size",
    "csum_type",
    "csum_max_block",
    "csum_min_block",
    "fingerprint_algorithm",
    "pg_num_min",
    "target_size_bytes",
    "target_size_ratio",
    "pg_autoscale_bias",
    "read_lease_interval",
    "dedup_tier",
    "dedup_chunk_algorithm",
    "dedup_cdc_chunk_size",
    "pg_num_max",
)
NO_MERGE = struct.pack("<BBI BQIi III QI QI", 1, 1, 53, 1, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0)
NO_HIT_SET = b"\x01\x01\x01\x00\x00\x00\x00"


class PoolFlag(IntFlag):
    """What holds for a pool as a whole."""

    HASHPSPOOL = 1 << 0
    FULL = 1 << 1
    EC_OVERWRITES = 1 << 2
    INCOMPLETE_CLONES = 1 << 3
    NODELETE = 1 << 4
    NOPGCHANGE = 1 << 5
    NOSIZECHANGE = 1 << 6
    WRITE_FADVISE_DONTNEED = 1 << 7
    NOSCRUB = 1 << 8
    NODEEP_SCRUB = 1 << 9
    FULL_QUOTA = 1 << 10
    NEARFULL = 1 << 11
    BACKFILLFULL = 1 << 12
    SELFMANAGED_SNAPS = 1 << 13
    POOL_SNAPS = 1 << 14
    CREATING = 1 << 15


class PoolSnap(msgspec.Struct, frozen=True):
    """A snapshot of a whole pool."""

    id: int = 0
    stamp: int = 0
    name: str = ""


class Pool(msgspec.Struct, frozen=True):
    """A pool. Times are nanoseconds, ratios millionths; `snaps_removed` is start to length."""

    type: int = REPLICATED
    size: int = 3
    crush_rule: int = 0
    object_hash: int = HASH_RJENKINS
    pg_num: int = 0
    pgp_num: int = 0
    last_change: int = 0
    snap_seq: int = 0
    snap_epoch: int = 0
    snaps: dict[int, PoolSnap] = msgspec.field(default_factory=dict)
    removed_snaps: dict[int, int] = msgspec.field(default_factory=dict)
    auid: int = 0
    flags: int = PoolFlag.HASHPSPOOL
    min_size: int = 2
    quota_max_bytes: int = 0
    quota_max_objects: int = 0
    tiers: frozenset[int] = frozenset()
    tier_of: int = -1
    cache_mode: int = 0
    read_tier: int = -1
    write_tier: int = -1
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    hit_set_params: bytes = NO_HIT_SET
    hit_set_period: int = 0
    hit_set_count: int = 0
    stripe_width: int = 0
    target_max_bytes: int = 0
    target_max_objects: int = 0
    cache_target_dirty_ratio_micro: int = 400_000
    cache_target_full_ratio_micro: int = 800_000
    cache_min_flush_age: int = 0
    cache_min_evict_age: int = 0
    erasure_code_profile: str = ""
    last_force_op_resend_preluminous: int = 0
    min_read_recency_for_promote: int = 0
    expected_num_objects: int = 0
    cache_target_dirty_high_ratio_micro: int = 600_000
    min_write_recency_for_promote: int = 0
    use_gmt_hitset: bool = True
    fast_read: bool = False
    hit_set_grade_decay_rate: int = 0
    hit_set_search_last_n: int = 0
    options: dict[int, int | float | str] = msgspec.field(default_factory=dict)
    last_force_op_resend_prenautilus: int = 0
    application_metadata: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    create_time: int = 0
    pg_num_target: int = 0
    pgp_num_target: int = 0
    pg_num_pending: int = 0
    last_force_op_resend: int = 0
    pg_autoscale_mode: int = 0
    last_pg_merge_meta: bytes = NO_MERGE
    peering_crush_bucket_count: int = 0
    peering_crush_bucket_target: int = 0
    peering_crush_bucket_barrier: int = 0
    peering_crush_mandatory_member: int = 0x7FFFFFFF
    version: int = 29


def _read_option(r: Reader) -> int | float | str:
    kind = r.s32()
    if kind == 0:
        return r.string()
    if kind == 1:
        return r.s64()
    if kind == 2:
        return r.f64()
    raise Malformed(f"a pool option of type {kind}", r.position)


def _write_option(w: Writer, value: float | str) -> None:
    if isinstance(value, str):
        w.s32(0)
        w.string(value)
    elif isinstance(value, int):
        w.s32(1)
        w.s64(value)
    else:
        w.s32(2)
        w.f64(value)


_OPTIONS = f.mapping(f.S32, Kind(_read_option, _write_option, 8))


def _read_options(r: Reader) -> dict[int, int | float | str]:
    with r.versioned(2) as version:
        if version < 2:
            raise Malformed(f"pool options of version {version}", r.position)
        options: dict[int, int | float | str] = _OPTIONS.read(r)
    return options


def _write_options(w: Writer, options: dict[int, int | float | str]) -> None:
    with w.versioned(2, 1):
        _OPTIONS.write(w, options)


_SNAP = f.struct(
    PoolSnap, (Field("id", f.U64), Field("stamp", f.UTIME), Field("name", f.STRING)), 2, 2
)
INTERVALS = f.mapping(f.U64, f.U64)
_STRINGS = f.mapping(f.STRING, f.STRING)
_FIELDS = (
    Field("type", f.U8),
    Field("size", f.U8),
    Field("crush_rule", f.U8),
    Field("object_hash", f.U8),
    Field("pg_num", f.U32),
    Field("pgp_num", f.U32),
    Field("", f.constant(bytes(8))),  # numbers of localized groups, of long ago
    Field("last_change", f.U32),
    Field("snap_seq", f.U64),
    Field("snap_epoch", f.U32),
    Field("snaps", f.mapping(f.U64, _SNAP)),
    Field("removed_snaps", INTERVALS),
    Field("auid", f.U64),
    Field("flags", f.U64),
    Field("", f.zero(f.U32)),  # crash replay interval
    Field("min_size", f.U8),
    Field("quota_max_bytes", f.U64),
    Field("quota_max_objects", f.U64),
    Field("tiers", f.set_of(f.U64)),
    Field("tier_of", f.S64),
    Field("cache_mode", f.U8),
    Field("read_tier", f.S64),
    Field("write_tier", f.S64),
    Field("properties", _STRINGS),
    Field("hit_set_params", f.OPAQUE),
    Field("hit_set_period", f.U32),
    Field("hit_set_count", f.U32),
    Field("stripe_width", f.U32),
    Field("target_max_bytes", f.U64),
    Field("target_max_objects", f.U64),
    Field("cache_target_dirty_ratio_micro", f.U32),
    Field("cache_target_full_ratio_micro", f.U32),
    Field("cache_min_flush_age", f.U32),
    Field("cache_min_evict_age", f.U32),
    Field("erasure_code_profile", f.STRING),
    Field("last_force_op_resend_preluminous", f.U32),
    Field("min_read_recency_for_promote", f.U32),
    Field("expected_num_objects", f.U64),
    Field("cache_target_dirty_high_ratio_micro", f.U32),
    Field("min_write_recency_for_promote", f.U32),
    Field("use_gmt_hitset", f.BOOL),
    Field("fast_read", f.BOOL),
    Field("hit_set_grade_decay_rate", f.U32),
    Field("hit_set_search_last_n", f.U32),
    Field("options", Kind(_read_options, _write_options, 10)),
    Field("last_force_op_resend_prenautilus", f.U32),
    Field("application_metadata", f.mapping(f.STRING, _STRINGS)),
    Field("create_time", f.UTIME),
    Field("pg_num_target", f.U32),
    Field("pgp_num_target", f.U32),
    Field("pg_num_pending", f.U32),
    Field("", f.zero(f.U64)),  # epochs of a merge, in release 14.1 only
    Field("last_force_op_resend", f.U32),
    Field("pg_autoscale_mode", f.U8),
    Field("last_pg_merge_meta", f.OPAQUE),
    Field("peering_crush_bucket_count", f.U32, 30),
    Field("peering_crush_bucket_target", f.U32, 30),
    Field("peering_crush_bucket_barrier", f.U32, 30),
    Field("peering_crush_mandatory_member", f.S32, 30),
)


def read_pool(r: Reader) -> Pool:
    """A pool of release 14 or newer; what is newer than 16 is skipped."""
    with r.versioned(29) as found:
        if found < 29:
            raise Malformed(f"a pool of version {found}, from before release 14.2", r.position)
        version = min(found, 30)
        return Pool(**f.read_fields(r, version, _FIELDS), version=version)


def write_pool(w: Writer, pool: Pool) -> None:
    """A pool, in the version it has."""
    with w.versioned(pool.version, 5):
        f.write_fields(w, pool.version, _FIELDS, pool)


POOL = Kind(read_pool, write_pool, 200)
