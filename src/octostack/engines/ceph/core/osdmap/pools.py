# SPDX-License-Identifier: Apache-2.0
"""A pool's placement groups: which one an object falls into, and how groups split and merge."""

from octostack.engines.ceph.core.crush.hashing import hash2
from octostack.engines.ceph.core.osdmap import names
from octostack.wire.ceph.maps.pool import ERASURE, HASH_LINUX, Pool, PoolFlag
from octostack.wire.ceph.objects import PG


def mask(number: int) -> int:
    """The smallest run of ones that covers group numbers below `number`."""
    return (1 << (number - 1).bit_length()) - 1 if number > 0 else 0


def stable_mod(x: int, number: int, bits: int) -> int:
    """`x` modulo `number` so that few results change as `number` grows (ceph_stable_mod)."""
    return x & bits if x & bits < number else x & (bits >> 1)


def can_shift(pool: Pool) -> bool:
    """Whether a missing OSD's place is taken by the next; with shards every place has a meaning."""
    return pool.type != ERASURE


def object_hash(pool: Pool, name: bytes, key: bytes = b"", namespace: bytes = b"") -> int:
    """The 32-bit hash by which an object belongs to a group: of its key, or else its name."""
    text = key or name
    if namespace:
        text = namespace + b"\x1f" + text
    return names.linux(text) if pool.object_hash == HASH_LINUX else names.rjenkins(text)


def group_of(pool: Pool, number: int, full_hash: int) -> PG:
    """The group of pool `number` that objects of this hash are in."""
    return PG(number, seed_of(pool, full_hash))


def seed_of(pool: Pool, full_hash: int) -> int:
    """The number of that group."""
    return stable_mod(full_hash, pool.pg_num, mask(pool.pg_num))


def placement_seed(pool: Pool, pg: PG) -> int:
    """The input that CRUSH gets for a group, of which some may be alike while pgp_num is behind."""
    seed = stable_mod(pg.seed, pool.pgp_num, mask(pool.pgp_num))
    if pool.flags & PoolFlag.HASHPSPOOL:
        return hash2(seed, pg.pool)
    return seed + pg.pool & 0xFFFFFFFF


def parent(pg: PG) -> PG:
    """The group that this one was split from: without its highest bit."""
    return PG(pg.pool, pg.seed & ~(1 << (pg.seed.bit_length() - 1)) if pg.seed else 0)


def split_children(pg: PG, old: int, new: int) -> list[PG]:
    """The groups that `pg` gives objects to when a pool grows from `old` groups to `new`."""
    if pg.seed >= old:
        return []
    bits = mask(old)
    return [PG(pg.pool, seed) for seed in range(old, new) if stable_mod(seed, old, bits) == pg.seed]


def ancestor(pg: PG, old: int) -> PG:
    """The group that held the objects of `pg` when there were `old` groups."""
    return PG(pg.pool, stable_mod(pg.seed, old, mask(old)))


def is_merge_source(pg: PG, old: int, new: int) -> bool:
    """Whether `pg` goes into another when a pool shrinks from `old` groups to `new`."""
    return new <= pg.seed < old


def is_merge_target(pg: PG, old: int, new: int) -> bool:
    """Whether `pg` takes in others when a pool shrinks."""
    return pg.seed < new < old and bool(split_children(pg, new, old))


def hash_bits(number: int, pg: PG) -> int:
    """How many low bits of the hash are the same for all objects of `pg`, of `number` groups."""
    bits = mask(number).bit_length()
    upper_exists = pg.seed + (1 << (bits - 1)) < number if bits else False
    if bits and pg.seed < 1 << (bits - 1) and not upper_exists:
        return bits - 1
    return bits
