# SPDX-License-Identifier: Apache-2.0
"""The OSD map, whole and as what changed: one part for clients, one for OSDs, and a checksum.

Written as release 16 writes it: client part 9, OSD part 9, or 10 and 11 when a cluster is stretched
or blocks ranges of addresses. (OSDMap::encode, OSDMap::Incremental::encode.)
"""

import uuid
from enum import IntFlag
from typing import Any

import msgspec

from octostack.wire.ceph.addresses import Address, Addresses
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.maps import crush as crush_map
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.crush import CrushMap
from octostack.wire.ceph.maps.fields import Field, Kind
from octostack.wire.ceph.maps.pool import INTERVALS, POOL, Pool
from octostack.wire.ceph.objects import PG

# feature bits of a release 16 cluster, which incremental maps carry along
ENCODE_FEATURES = 0xF00088010212A04
PACIFIC = 16
NO_CHANGE = -1
UNCHANGED_RELEASE = 0xFF


class MapFlag(IntFlag):
    """What holds for the whole cluster (CEPH_OSDMAP_*)."""

    NEARFULL = 1 << 0
    FULL = 1 << 1
    PAUSERD = 1 << 2
    PAUSEWR = 1 << 3
    PAUSEREC = 1 << 4
    NOUP = 1 << 5
    NODOWN = 1 << 6
    NOOUT = 1 << 7
    NOIN = 1 << 8
    NOBACKFILL = 1 << 9
    NORECOVER = 1 << 10
    NOSCRUB = 1 << 11
    NODEEP_SCRUB = 1 << 12
    NOTIERAGENT = 1 << 13
    NOREBALANCE = 1 << 14
    SORTBITWISE = 1 << 15
    REQUIRE_JEWEL = 1 << 16
    REQUIRE_KRAKEN = 1 << 17
    REQUIRE_LUMINOUS = 1 << 18
    RECOVERY_DELETES = 1 << 19
    PURGED_SNAPDIRS = 1 << 20
    NOSNAPTRIM = 1 << 21
    PGLOG_HARDLIMIT = 1 << 22


class OSDState(IntFlag):
    """The state of one OSD (CEPH_OSD_*)."""

    EXISTS = 1 << 0
    UP = 1 << 1
    AUTOOUT = 1 << 2
    NEW = 1 << 3
    FULL = 1 << 4
    NEARFULL = 1 << 5
    BACKFILLFULL = 1 << 6
    DESTROYED = 1 << 7
    NOUP = 1 << 8
    NODOWN = 1 << 9
    NOIN = 1 << 10
    NOOUT = 1 << 11
    STOP = 1 << 12


class OSDInfo(msgspec.Struct, frozen=True):
    """Epochs of an OSD's life."""

    last_clean_begin: int = 0
    last_clean_end: int = 0
    up_from: int = 0
    up_thru: int = 0
    down_at: int = 0
    lost_at: int = 0


class OSDXInfo(msgspec.Struct, frozen=True):
    """More of it; the probability is a fraction of 2^32 - 1."""

    down_stamp: int = 0
    laggy_probability: int = 0
    laggy_interval: int = 0
    features: int = 0
    old_weight: int = 0
    last_purged_snaps_scrub: int = 0
    dead_epoch: int = 0


Upmaps = dict[PG, tuple[int, ...]]
UpmapItems = dict[PG, tuple[tuple[int, int], ...]]
Intervals = dict[int, dict[int, int]]
Profiles = dict[str, dict[str, str]]


class OSDMap(msgspec.Struct, frozen=True):
    """A whole map. Tuples have `max_osd` entries each; weights are 16.16 fixed point."""

    fsid: uuid.UUID = uuid.UUID(int=0)
    epoch: int = 0
    created: int = 0
    modified: int = 0
    pools: dict[int, Pool] = msgspec.field(default_factory=dict)
    pool_names: dict[int, str] = msgspec.field(default_factory=dict)
    pool_max: int = 0
    flags: int = 0
    max_osd: int = 0
    osd_state: tuple[int, ...] = ()
    osd_weight: tuple[int, ...] = ()
    client_addresses: tuple[Addresses, ...] = ()
    pg_temp: Upmaps = msgspec.field(default_factory=dict)
    primary_temp: dict[PG, int] = msgspec.field(default_factory=dict)
    primary_affinity: tuple[int, ...] = ()  # empty: the default for all
    crush: CrushMap = CrushMap()
    erasure_code_profiles: Profiles = msgspec.field(default_factory=dict)
    pg_upmap: Upmaps = msgspec.field(default_factory=dict)
    pg_upmap_items: UpmapItems = msgspec.field(default_factory=dict)
    crush_version: int = 0
    new_removed_snaps: Intervals = msgspec.field(default_factory=dict)
    new_purged_snaps: Intervals = msgspec.field(default_factory=dict)
    last_up_change: int = 0
    last_in_change: int = 0
    heartbeat_back_addresses: tuple[Addresses, ...] = ()
    osd_info: tuple[OSDInfo, ...] = ()
    blocklist: dict[Address, int] = msgspec.field(default_factory=dict)
    cluster_addresses: tuple[Addresses, ...] = ()
    cluster_snapshot_epoch: int = 0
    cluster_snapshot: str = ""
    osd_uuid: tuple[uuid.UUID, ...] = ()
    osd_xinfo: tuple[OSDXInfo, ...] = ()
    heartbeat_front_addresses: tuple[Addresses, ...] = ()
    nearfull_ratio: float = 0.0
    full_ratio: float = 0.0
    backfillfull_ratio: float = 0.0
    require_min_compat_client: int = 0
    require_osd_release: int = 0
    removed_snaps_queue: Intervals = msgspec.field(default_factory=dict)
    crush_node_flags: dict[int, int] = msgspec.field(default_factory=dict)
    device_class_flags: dict[int, int] = msgspec.field(default_factory=dict)
    stretch_mode_enabled: bool = False
    stretch_bucket_count: int = 0
    degraded_stretch_mode: int = 0
    recovering_stretch_mode: int = 0
    stretch_mode_bucket: int = 0
    range_blocklist: dict[Address, int] = msgspec.field(default_factory=dict)


class Incremental(msgspec.Struct, frozen=True):
    """What makes epoch `epoch` out of the one before."""

    fsid: uuid.UUID = uuid.UUID(int=0)
    epoch: int = 0
    modified: int = 0
    new_pool_max: int = NO_CHANGE
    new_flags: int = NO_CHANGE
    full_map: bytes = b""
    crush: bytes = b""
    new_max_osd: int = NO_CHANGE
    new_pools: dict[int, Pool] = msgspec.field(default_factory=dict)
    new_pool_names: dict[int, str] = msgspec.field(default_factory=dict)
    old_pools: frozenset[int] = frozenset()
    new_up_client: dict[int, Addresses] = msgspec.field(default_factory=dict)
    new_state: dict[int, int] = msgspec.field(default_factory=dict)  # bits to flip; 0 means UP
    new_weight: dict[int, int] = msgspec.field(default_factory=dict)
    new_pg_temp: Upmaps = msgspec.field(default_factory=dict)  # empty: remove
    new_primary_temp: dict[PG, int] = msgspec.field(default_factory=dict)  # -1: remove
    new_primary_affinity: dict[int, int] = msgspec.field(default_factory=dict)
    new_erasure_code_profiles: Profiles = msgspec.field(default_factory=dict)
    old_erasure_code_profiles: tuple[str, ...] = ()
    new_pg_upmap: Upmaps = msgspec.field(default_factory=dict)
    old_pg_upmap: frozenset[PG] = frozenset()
    new_pg_upmap_items: UpmapItems = msgspec.field(default_factory=dict)
    old_pg_upmap_items: frozenset[PG] = frozenset()
    new_removed_snaps: Intervals = msgspec.field(default_factory=dict)
    new_purged_snaps: Intervals = msgspec.field(default_factory=dict)
    new_last_up_change: int = 0
    new_last_in_change: int = 0
    new_heartbeat_back_up: dict[int, Addresses] = msgspec.field(default_factory=dict)
    new_up_thru: dict[int, int] = msgspec.field(default_factory=dict)
    new_last_clean_interval: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    new_lost: dict[int, int] = msgspec.field(default_factory=dict)
    new_blocklist: dict[Address, int] = msgspec.field(default_factory=dict)
    old_blocklist: tuple[Address, ...] = ()
    new_up_cluster: dict[int, Addresses] = msgspec.field(default_factory=dict)
    cluster_snapshot: str = ""
    new_uuid: dict[int, uuid.UUID] = msgspec.field(default_factory=dict)
    new_xinfo: dict[int, OSDXInfo] = msgspec.field(default_factory=dict)
    new_heartbeat_front_up: dict[int, Addresses] = msgspec.field(default_factory=dict)
    encode_features: int = ENCODE_FEATURES
    new_nearfull_ratio: float = -1.0
    new_full_ratio: float = -1.0
    new_backfillfull_ratio: float = -1.0
    new_require_min_compat_client: int = UNCHANGED_RELEASE
    new_require_osd_release: int = UNCHANGED_RELEASE
    new_crush_node_flags: dict[int, int] = msgspec.field(default_factory=dict)
    new_device_class_flags: dict[int, int] = msgspec.field(default_factory=dict)
    change_stretch_mode: bool = False
    new_stretch_bucket_count: int = 0
    new_degraded_stretch_mode: int = 0
    new_recovering_stretch_mode: int = 0
    new_stretch_mode_bucket: int = 0
    stretch_mode_enabled: bool = False
    new_range_blocklist: dict[Address, int] = msgspec.field(default_factory=dict)
    old_range_blocklist: tuple[Address, ...] = ()
    full_crc: int = 0  # of the whole map that results


_EPOCHS = tuple(Field(name, f.U32) for name in OSDInfo.__struct_fields__)


def _read_info(r: Reader) -> OSDInfo:
    return OSDInfo(**f.read_fields(r, r.u8(), _EPOCHS))


def _write_info(w: Writer, info: OSDInfo) -> None:
    w.u8(1)
    f.write_fields(w, 1, _EPOCHS, info)


_XINFO = f.struct(
    OSDXInfo,
    (
        Field("down_stamp", f.UTIME),
        Field("laggy_probability", f.U32),
        Field("laggy_interval", f.U32),
        Field("features", f.U64, 2),
        Field("old_weight", f.U32, 3),
        Field("last_purged_snaps_scrub", f.UTIME, 4),
        Field("dead_epoch", f.U32, 4),
    ),
    4,
    1,
)
_CRUSH = Kind(
    lambda r: crush_map.decode(r.view()), lambda w, crush: w.bytes(crush_map.encode(crush)), 4
)
_STRINGS = f.mapping(f.STRING, f.STRING)
_BY_OSD_ADDRESSES = f.mapping(f.S32, f.ADDRESSES)
_UPMAPS = f.mapping(f.PG, f.vector(f.S32))
_UPMAP_ITEMS = f.mapping(f.PG, f.vector(f.pair(f.S32, f.S32)))
_SNAPS = f.mapping(f.S64, INTERVALS)
_NUMBERS = f.mapping(f.S32, f.U32)
_TIMES_BY_ADDRESS = f.by_address(f.UTIME)

_CLIENT = (
    Field("fsid", f.UUID),
    Field("epoch", f.U32),
    Field("created", f.UTIME),
    Field("modified", f.UTIME),
    Field("pools", f.mapping(f.S64, POOL)),
    Field("pool_names", f.mapping(f.S64, f.STRING)),
    Field("pool_max", f.S32),
    Field("flags", f.U32),
    Field("max_osd", f.S32),
    Field("osd_state", f.vector(f.U32)),
    Field("osd_weight", f.vector(f.U32)),
    Field("client_addresses", f.vector(f.ADDRESSES)),
    Field("pg_temp", _UPMAPS),
    Field("primary_temp", f.mapping(f.PG, f.S32)),
    Field("primary_affinity", f.vector(f.U32)),
    Field("crush", _CRUSH),
    Field("erasure_code_profiles", f.mapping(f.STRING, _STRINGS)),
    Field("pg_upmap", _UPMAPS),
    Field("pg_upmap_items", _UPMAP_ITEMS),
    Field("crush_version", f.U32),
    Field("new_removed_snaps", _SNAPS),
    Field("new_purged_snaps", _SNAPS),
    Field("last_up_change", f.UTIME),
    Field("last_in_change", f.UTIME),
)
_OSD = (
    Field("heartbeat_back_addresses", f.vector(f.ADDRESSES)),
    Field("osd_info", f.vector(Kind(_read_info, _write_info, 25))),
    Field("blocklist", _TIMES_BY_ADDRESS),
    Field("cluster_addresses", f.vector(f.ADDRESSES)),
    Field("cluster_snapshot_epoch", f.U32),
    Field("cluster_snapshot", f.STRING),
    Field("osd_uuid", f.vector(f.UUID)),
    Field("osd_xinfo", f.vector(_XINFO)),
    Field("heartbeat_front_addresses", f.vector(f.ADDRESSES)),
    Field("nearfull_ratio", f.F32),
    Field("full_ratio", f.F32),
    Field("backfillfull_ratio", f.F32),
    Field("require_min_compat_client", f.U8),
    Field("require_osd_release", f.U8),
    Field("removed_snaps_queue", _SNAPS),
    Field("crush_node_flags", _NUMBERS),
    Field("device_class_flags", _NUMBERS),
    Field("stretch_mode_enabled", f.BOOL, 10),
    Field("stretch_bucket_count", f.U32, 10),
    Field("degraded_stretch_mode", f.U32, 10),
    Field("recovering_stretch_mode", f.U32, 10),
    Field("stretch_mode_bucket", f.S32, 10),
    Field("range_blocklist", _TIMES_BY_ADDRESS, 11),
)
_INC_CLIENT = (
    Field("fsid", f.UUID),
    Field("epoch", f.U32),
    Field("modified", f.UTIME),
    Field("new_pool_max", f.S64),
    Field("new_flags", f.S32),
    Field("full_map", f.BYTES),
    Field("crush", f.BYTES),
    Field("new_max_osd", f.S32),
    Field("new_pools", f.mapping(f.S64, POOL)),
    Field("new_pool_names", f.mapping(f.S64, f.STRING)),
    Field("old_pools", f.set_of(f.S64)),
    Field("new_up_client", _BY_OSD_ADDRESSES),
    Field("new_state", _NUMBERS),
    Field("new_weight", _NUMBERS),
    Field("new_pg_temp", _UPMAPS),
    Field("new_primary_temp", f.mapping(f.PG, f.S32)),
    Field("new_primary_affinity", _NUMBERS),
    Field("new_erasure_code_profiles", f.mapping(f.STRING, _STRINGS)),
    Field("old_erasure_code_profiles", f.vector(f.STRING)),
    Field("new_pg_upmap", _UPMAPS),
    Field("old_pg_upmap", f.set_of(f.PG)),
    Field("new_pg_upmap_items", _UPMAP_ITEMS),
    Field("old_pg_upmap_items", f.set_of(f.PG)),
    Field("new_removed_snaps", _SNAPS),
    Field("new_purged_snaps", _SNAPS),
    Field("new_last_up_change", f.UTIME),
    Field("new_last_in_change", f.UTIME),
)
_INC_OSD = (
    Field("new_heartbeat_back_up", _BY_OSD_ADDRESSES),
    Field("new_up_thru", _NUMBERS),
    Field("new_last_clean_interval", f.mapping(f.S32, f.pair(f.U32, f.U32))),
    Field("new_lost", _NUMBERS),
    Field("new_blocklist", _TIMES_BY_ADDRESS),
    Field("old_blocklist", f.vector(f.ADDRESS)),
    Field("new_up_cluster", _BY_OSD_ADDRESSES),
    Field("cluster_snapshot", f.STRING),
    Field("new_uuid", f.mapping(f.S32, f.UUID)),
    Field("new_xinfo", f.mapping(f.S32, _XINFO)),
    Field("new_heartbeat_front_up", _BY_OSD_ADDRESSES),
    Field("encode_features", f.U64),
    Field("new_nearfull_ratio", f.F32),
    Field("new_full_ratio", f.F32),
    Field("new_backfillfull_ratio", f.F32),
    Field("new_require_min_compat_client", f.U8),
    Field("new_require_osd_release", f.U8),
    Field("new_crush_node_flags", _NUMBERS),
    Field("new_device_class_flags", _NUMBERS),
    Field("change_stretch_mode", f.BOOL, 10),
    Field("new_stretch_bucket_count", f.U32, 10),
    Field("new_degraded_stretch_mode", f.U32, 10),
    Field("new_recovering_stretch_mode", f.U32, 10),
    Field("new_stretch_mode_bucket", f.S32, 10),
    Field("stretch_mode_enabled", f.BOOL, 10),
    Field("new_range_blocklist", _TIMES_BY_ADDRESS, 11),
    Field("old_range_blocklist", f.vector(f.ADDRESS), 11),
)


def decode(data: bytes | memoryview) -> OSDMap:
    """A whole map from its blob. Raises Malformed, also when the checksum is wrong."""
    r = Reader(data)
    with r.versioned(8) as version:
        values = _read_parts(r, version, _CLIENT, _OSD)
        _check(data, r, r.u32())
    return OSDMap(**values)


def decode_incremental(data: bytes | memoryview) -> Incremental:
    """What changed, from its blob. Raises Malformed, also when the checksum is wrong."""
    r = Reader(data)
    with r.versioned(8) as version:
        values = _read_parts(r, version, _INC_CLIENT, _INC_OSD)
        crc = r.u32()
        full_crc = _check(data, r, crc)
    return Incremental(**values, full_crc=full_crc)


def encode(osdmap: OSDMap) -> bytes:
    """The blob of a whole map, with its checksum."""
    least = 10 if osdmap.stretch_mode_enabled else 9
    version = 11 if osdmap.range_blocklist else least
    return _write_parts(osdmap, version, (_CLIENT, _OSD), b"")


def encode_incremental(change: Incremental) -> bytes:
    """The blob of a change, with its checksum."""
    least = 10 if change.change_stretch_mode else 9
    version = 11 if change.new_range_blocklist or change.old_range_blocklist else least
    full_crc = change.full_crc.to_bytes(4, "little")
    return _write_parts(change, version, (_INC_CLIENT, _INC_OSD), full_crc)


def checksum(blob: bytes) -> int:
    """The checksum that a whole map's blob carries: `full_crc` of the change that leads to it."""
    return int.from_bytes(blob[-4:], "little")


def _read_parts(
    r: Reader, version: int, client: tuple[Field, ...], osd: tuple[Field, ...]
) -> dict[str, Any]:
    if version < 8:
        raise Malformed(f"an OSD map of version {version}, from before release 0.94", r.position)
    with r.versioned(9) as part:
        if part < 8:
            raise Malformed(f"a client part of version {part}, from before release 14", r.position)
        values = f.read_fields(r, part, client)
    with r.versioned(11) as part:
        return values | f.read_fields(r, part, osd)


def _check(data: bytes | memoryview, r: Reader, expected: int) -> int:
    """Compare the checksum just read, and give the number that follows it, if one does."""
    view = memoryview(data)
    front = view[: r.position - 4]
    tail = r.rest().tobytes()
    actual = crc32c(tail, crc32c(front))
    if actual != expected:
        raise Malformed(f"the OSD map's checksum is {actual:#x}, it says {expected:#x}", r.position)
    return int.from_bytes(tail[:4], "little")


def _write_parts(
    value: OSDMap | Incremental,
    version: int,
    parts: tuple[tuple[Field, ...], tuple[Field, ...]],
    tail: bytes,
) -> bytes:
    w = Writer()
    with w.versioned(8, 7):
        with w.versioned(8 if isinstance(value, Incremental) else 9, 1):
            f.write_fields(w, 9, parts[0], value)
        with w.versioned(version, 1):
            f.write_fields(w, version, parts[1], value)
        at = len(w.data)
        w.u32(0)
        w.raw(tail)
    crc = crc32c(tail, crc32c(bytes(w.data[:at])))
    w.data[at : at + 4] = crc.to_bytes(4, "little")
    return w.done()
