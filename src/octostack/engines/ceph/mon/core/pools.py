# SPDX-License-Identifier: Apache-2.0
"""Making, changing and removing pools and their snapshots."""

import errno
from collections.abc import Callable

import msgspec

from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.state import next_change
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.maps.pool import (
    AUTOSCALE_NAMES,
    ERASURE,
    OPTION_NAMES,
    Pool,
    PoolFlag,
    PoolSnap,
)

PG_NUM_MAX = 65536
NAME_BYTES_MAX = 256
SIZE_MAX = 10
SHARDS_MAX = 256
_replace = msgspec.structs.replace


class Wanted(msgspec.Struct, frozen=True):
    """A pool to be."""

    name: str
    pg_num: int = 32
    size: int = 3
    min_size: int = 0
    crush_rule: int = 0
    coded: bool = False


def find(osdmap: OSDMap, name: str) -> int | None:
    """The number of the pool of that name."""
    return next((number for number, known in osdmap.pool_names.items() if known == name), None)


def get(osdmap: OSDMap, name: str) -> int:
    """The same; raises Failure ENOENT."""
    number = find(osdmap, name)
    if number is None:
        raise Failure(errno.ENOENT, f"unrecognized pool '{name}'")
    return number


def create(osdmap: OSDMap, wanted: Wanted, now_ns: int) -> Incremental:
    """A new pool under the next number. Raises Failure."""
    if not wanted.name or len(wanted.name.encode()) > NAME_BYTES_MAX:
        raise Failure(errno.EINVAL, "a pool must have a name")
    if not 1 <= wanted.size <= (SHARDS_MAX if wanted.coded else SIZE_MAX):
        raise Failure(errno.EINVAL, f"pool size must be between 1 and {SIZE_MAX}")
    if not 1 <= wanted.pg_num <= PG_NUM_MAX:
        why = f"'pg_num' must be greater than 0 and less than or equal to {PG_NUM_MAX}"
        raise Failure(errno.ERANGE, why)
    rules = osdmap.crush.rules
    if not 0 <= wanted.crush_rule < len(rules) or rules[wanted.crush_rule] is None:
        raise Failure(errno.ENOENT, f"crush rule {wanted.crush_rule} does not exist")
    number = osdmap.pool_max + 1
    change = next_change(osdmap, now_ns)
    pool = Pool(
        size=wanted.size,
        min_size=wanted.min_size or max(1, wanted.size - wanted.size // 2),
        crush_rule=wanted.crush_rule,
        pg_num=wanted.pg_num,
        pgp_num=wanted.pg_num,
        pg_num_target=wanted.pg_num,
        pgp_num_target=wanted.pg_num,
        pg_num_pending=wanted.pg_num,
        last_change=change.epoch,
        create_time=now_ns,
    )
    return _replace(
        change,
        new_pool_max=number,
        new_pools={number: pool},
        new_pool_names={number: wanted.name},
    )


def remove(osdmap: OSDMap, number: int, now_ns: int) -> Incremental:
    """The pool and all in it go. Raises Failure when it is protected."""
    pool = osdmap.pools.get(number)
    if pool is None:
        raise Failure(errno.ENOENT, f"pool {number} does not exist")
    if pool.flags & PoolFlag.NODELETE:
        raise Failure(
            errno.EPERM,
            "pool deletion is disabled; you must unset nodelete flag for the pool first",
        )
    temporary = {pg: () for pg in osdmap.pg_temp if pg.pool == number}
    change = next_change(osdmap, now_ns)
    return _replace(change, old_pools=frozenset({number}), new_pg_temp=temporary)


def rename(osdmap: OSDMap, number: int, name: str, now_ns: int) -> Incremental:
    """Another name. Raises Failure when it is taken."""
    if find(osdmap, name) is not None:
        raise Failure(errno.EEXIST, f"pool '{name}' already exists")
    return _replace(next_change(osdmap, now_ns), new_pool_names={number: name})


def update(osdmap: OSDMap, number: int, pool: Pool, now_ns: int) -> Incremental:
    """`pool` in the place of what it was."""
    return _replace(next_change(osdmap, now_ns), new_pools={number: pool})


# Snapshots


def create_snap(osdmap: OSDMap, number: int, name: str, now_ns: int) -> Incremental:
    """A snapshot of the whole pool. Raises Failure."""
    pool = _of_kind(osdmap, number, PoolFlag.SELFMANAGED_SNAPS, "selfmanaged snaps")
    if any(snap.name == name for snap in pool.snaps.values()):
        raise Failure(errno.EEXIST, f"pool snap {name} already exists")
    snap = pool.snap_seq + 1
    change = next_change(osdmap, now_ns)
    made = _replace(
        pool,
        flags=pool.flags | PoolFlag.POOL_SNAPS,
        snap_seq=snap,
        snap_epoch=change.epoch,
        snaps={**pool.snaps, snap: PoolSnap(snap, now_ns, name)},
    )
    return _replace(change, new_pools={number: made})


def remove_snap(osdmap: OSDMap, number: int, name: str, now_ns: int) -> Incremental:
    """A snapshot of the whole pool goes. Raises Failure."""
    pool = _of_kind(osdmap, number, PoolFlag.SELFMANAGED_SNAPS, "selfmanaged snaps")
    gone = next((snap for snap in pool.snaps.values() if snap.name == name), None)
    if gone is None:
        raise Failure(errno.ENOENT, f"pool snap {name} does not exist")
    change = next_change(osdmap, now_ns)
    left = {number: snap for number, snap in pool.snaps.items() if number != gone.id}
    made = _replace(pool, snap_seq=pool.snap_seq + 1, snap_epoch=change.epoch, snaps=left)
    return _replace(change, new_pools={number: made}, new_removed_snaps={number: {gone.id: 1}})


def create_own_snap(osdmap: OSDMap, number: int, now_ns: int) -> tuple[Incremental, int]:
    """A snapshot that the client manages: (change, its id). Raises Failure."""
    pool = _of_kind(osdmap, number, PoolFlag.POOL_SNAPS, "pool snaps")
    # the first one is 2, and those of removals count too, as with the real ones
    snap = max(pool.snap_seq, 1) + 1
    change = next_change(osdmap, now_ns)
    made = _replace(
        pool,
        flags=pool.flags | PoolFlag.SELFMANAGED_SNAPS,
        snap_seq=snap,
        snap_epoch=change.epoch,
    )
    return _replace(change, new_pools={number: made}), snap


def remove_own_snap(osdmap: OSDMap, number: int, snap: int, now_ns: int) -> Incremental:
    """One of these goes. Raises Failure."""
    pool = _of_kind(osdmap, number, PoolFlag.POOL_SNAPS, "pool snaps")
    if snap > pool.snap_seq:
        raise Failure(errno.ENOENT, f"snap {snap} does not exist")
    change = next_change(osdmap, now_ns)
    made = _replace(pool, snap_seq=pool.snap_seq + 1, snap_epoch=change.epoch)
    return _replace(change, new_pools={number: made}, new_removed_snaps={number: {snap: 1}})


def _of_kind(osdmap: OSDMap, number: int, other: PoolFlag, name: str) -> Pool:
    pool = osdmap.pools.get(number)
    if pool is None:
        raise Failure(errno.ENOENT, f"pool {number} does not exist")
    if pool.flags & other:
        raise Failure(errno.EINVAL, f"pool is in {name} mode")
    return pool


# Settings


def setting(osdmap: OSDMap, number: int, name: str, value: str) -> Pool:
    """The pool with one setting changed. Raises Failure."""
    pool = osdmap.pools[number]
    flag = _FLAGS.get(name)
    if flag is not None:
        on = _boolean(value)
        return _replace(pool, flags=pool.flags | flag if on else pool.flags & ~flag)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(osdmap, pool, value)
    if name in OPTION_NAMES:
        return _replace(pool, options=_options(pool, name, value))
    field = _NUMBERS.get(name)
    if field is None:
        raise Failure(errno.EINVAL, f"unrecognized variable '{name}'")
    if name == "size" and pool.type == ERASURE:
        raise Failure(errno.EOPNOTSUPP, "can not change the size of an erasure-coded pool")
    number_of = _integer(value)
    if number_of < 0:
        raise Failure(errno.EINVAL, f"{name} must not be negative")
    changed = {field: number_of}
    if name == "size":
        if not 1 <= number_of <= SIZE_MAX:
            raise Failure(errno.EINVAL, f"pool size must be between 1 and {SIZE_MAX}")
        changed["min_size"] = max(1, number_of - number_of // 2)
    if name == "min_size":
        _require_min_size(osdmap, pool, number_of)
    if name == "pg_num":
        changed = _grown(pool, number_of)
    if name == "pgp_num":
        if number_of > pool.pg_num:
            raise Failure(errno.EINVAL, f"specified pgp_num {number_of} > pg_num {pool.pg_num}")
        changed["pgp_num_target"] = number_of
    return _replace(pool, **changed)


def _require_min_size(osdmap: OSDMap, pool: Pool, wanted: int) -> None:
    """Raises Failure."""
    least = 1
    if pool.type == ERASURE:
        least = int(osdmap.erasure_code_profiles[pool.erasure_code_profile]["k"])
    if not least <= wanted <= pool.size:
        why = f"between {least} and size, which is set to {pool.size}"
        raise Failure(errno.EINVAL, f"pool min_size must be {why}")


def _with_autoscale(osdmap: OSDMap, pool: Pool, value: str) -> Pool:
    if value not in AUTOSCALE_NAMES:
        raise Failure(errno.EINVAL, f"specified invalid mode {value}")
    return _replace(pool, pg_autoscale_mode=AUTOSCALE_NAMES.index(value))


def _with_rule(osdmap: OSDMap, pool: Pool, value: str) -> Pool:
    return _replace(pool, crush_rule=_rule_number(osdmap, value))


def _with_fast_read(osdmap: OSDMap, pool: Pool, value: str) -> Pool:
    return _replace(pool, fast_read=_boolean(value))


def _with_overwrites(osdmap: OSDMap, pool: Pool, value: str) -> Pool:
    """An erasure-coded pool that takes writes in part: for ever. Raises Failure."""
    if pool.type != ERASURE:
        why = "ec overwrites can only be enabled for an erasure coded pool"
        raise Failure(errno.EINVAL, why)
    if not _boolean(value):
        raise Failure(errno.EINVAL, "ec overwrites cannot be disabled once enabled")
    return _replace(pool, flags=pool.flags | PoolFlag.EC_OVERWRITES)


def _grown(pool: Pool, groups: int) -> dict[str, int]:
    """More groups, which are placed by themselves at once. Raises Failure."""
    if groups < pool.pg_num:
        raise Failure(errno.ENOTSUP, "placement groups are split, and not merged yet")
    if groups > PG_NUM_MAX:
        raise Failure(errno.ERANGE, f"'pg_num' must be less than or equal to {PG_NUM_MAX}")
    names = ("pg_num", "pg_num_target", "pg_num_pending", "pgp_num", "pgp_num_target")
    return dict.fromkeys(names, groups)


def _rule_number(osdmap: OSDMap, name: str) -> int:
    for number, known in osdmap.crush.rule_names.items():
        if known == name:
            return number
    raise Failure(errno.ENOENT, f"crush rule {name} does not exist")


def option_of(pool: Pool, name: str) -> int | float | str | None:
    """A setting that a pool need not have."""
    return pool.options.get(OPTION_NAMES.index(name))


def _options(pool: Pool, name: str, value: str) -> dict[int, int | float | str]:
    """Its options with one changed; 0, or `unset`, takes it away."""
    place = OPTION_NAMES.index(name)
    left = {key: known for key, known in pool.options.items() if key != place}
    if value in {"0", "unset", ""}:
        return left
    try:
        made: int | float | str
        if name in _TEXTS:
            made = value
        else:
            made = float(value) if name in _FRACTIONS else size_bytes(value)
    except ValueError:
        raise Failure(errno.EINVAL, f"error parsing value '{value}'") from None
    return left | {place: made}


def size_bytes(text: str) -> int:
    """``1G`` as a number. Raises ValueError."""
    digits = text.rstrip("iB").rstrip("i")
    unit = "KMGTPE".find(digits[-1:].upper()) if digits[-1:].isalpha() else -1
    if unit < 0:
        return int(digits)
    return int(digits[:-1]) << 10 * (unit + 1)


def get_setting(osdmap: OSDMap, number: int, name: str) -> int | float | bool | str:
    """One setting. Raises Failure."""
    pool = osdmap.pools[number]
    if name in CODED_ONLY and pool.type != ERASURE:
        why = f"pool '{osdmap.pool_names[number]}' is not a erasure pool: variable not applicable"
        raise Failure(errno.EACCES, why)
    if name in {"use_gmt_hitset", "fast_read", "erasure_code_profile"}:
        value: bool | str = getattr(pool, name)
        return int(value) if name == "fast_read" else value
    if name == "bulk":
        return False
    if name in OPTION_NAMES:
        found = option_of(pool, name)
        if found is None:
            raise Failure(errno.ENOENT, f"option '{name}' is not set on pool '{number}'")
        return found
    if name == "allow_ec_overwrites":
        return bool(pool.flags & PoolFlag.EC_OVERWRITES)
    if name in _FLAGS:
        return bool(pool.flags & _FLAGS[name])
    if name == "pg_autoscale_mode":
        return AUTOSCALE_NAMES[pool.pg_autoscale_mode]
    if name == "crush_rule":
        return osdmap.crush.rule_names.get(pool.crush_rule, str(pool.crush_rule))
    if name not in _NUMBERS:
        raise Failure(errno.EINVAL, f"unrecognized variable '{name}'")
    return int(getattr(pool, _NUMBERS[name]))


_TEXTS = frozenset(
    {"compression_mode", "compression_algorithm", "csum_type", "fingerprint_algorithm"}
)
_FRACTIONS = frozenset(
    {
        "scrub_min_interval",
        "scrub_max_interval",
        "deep_scrub_interval",
        "compression_required_ratio",
        "target_size_ratio",
        "pg_autoscale_bias",
        "read_lease_interval",
    }
)
_FLAGS = {
    "hashpspool": PoolFlag.HASHPSPOOL,
    "nodelete": PoolFlag.NODELETE,
    "nopgchange": PoolFlag.NOPGCHANGE,
    "nosizechange": PoolFlag.NOSIZECHANGE,
    "write_fadvise_dontneed": PoolFlag.WRITE_FADVISE_DONTNEED,
    "noscrub": PoolFlag.NOSCRUB,
    "nodeep-scrub": PoolFlag.NODEEP_SCRUB,
}
_SPECIAL: dict[str, Callable[[OSDMap, Pool, str], Pool]] = {
    "pg_autoscale_mode": _with_autoscale,
    "crush_rule": _with_rule,
    "fast_read": _with_fast_read,
    "allow_ec_overwrites": _with_overwrites,
}
_NUMBERS = {
    "size": "size",
    "min_size": "min_size",
    "pg_num": "pg_num",
    "pgp_num": "pgp_num",
}
CODED_ONLY = frozenset({"allow_ec_overwrites", "erasure_code_profile"})
# in the order of `get ... all`
SHOWN = (
    *("size", "min_size", "pg_num", "pgp_num", "crush_rule", "hashpspool"),
    *("allow_ec_overwrites", *(name for name in _FLAGS if name != "hashpspool"), "use_gmt_hitset"),
    *("erasure_code_profile", "fast_read", "pg_autoscale_mode", *OPTION_NAMES, "bulk"),
)
SETTABLE = tuple(name for name in SHOWN if name != "erasure_code_profile")


def _boolean(value: str) -> bool:
    if value in {"true", "1", "yes"}:
        return True
    if value in {"false", "0", "no"}:
        return False
    raise Failure(errno.EINVAL, "expecting value 'true', 'false', '0', or '1'")


def _integer(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        why = f"Expected option value to be integer, got '{value}'"
        raise Failure(errno.EINVAL, f"error parsing integer value '{value}': {why}") from None
