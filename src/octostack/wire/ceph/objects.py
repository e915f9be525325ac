# SPDX-License-Identifier: Apache-2.0
"""Names of objects, placement groups and versions, as maps and messages write them."""

import struct

import msgspec

from octostack.wire.ceph.codec import Malformed, Reader, Writer

SNAP_HEAD = 0xFFFFFFFFFFFFFFFE  # CEPH_NOSNAP: the object as it is now
SNAP_DIR = 0xFFFFFFFFFFFFFFFF  # asks for the set of snapshots of an object
SNAP_MAX = 0xFFFFFFFFFFFFFFFD  # the largest id that a snapshot may have
POOL_MIN = -(1 << 63)  # the pool of the cursor before every object
ALL_NAMESPACES = b"\x01"
NO_SHARD = -1
NO_GENERATION = 0xFFFFFFFFFFFFFFFF

_PG = struct.Struct("<BQIi")
_EVERSION = struct.Struct("<QI")
_HOBJECT_MIDDLE = struct.Struct("<QIB")


class EVersion(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A version in the order of a placement group: first by the map's epoch."""

    epoch: int = 0
    version: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}'{self.version}"


class PG(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False, cache_hash=True):
    """A placement group: ``1.2f``."""

    pool: int = 0
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.pool}.{self.seed:x}"


class ShardPG(msgspec.Struct, frozen=True, order=True, array_like=True, cache_hash=True):
    """A placement group, and which shard of it in an erasure-coded pool: ``1.2fs0``."""

    pg: PG = PG()
    shard: int = NO_SHARD

    def __str__(self) -> str:
        return str(self.pg) if self.shard == NO_SHARD else f"{self.pg}s{self.shard}"


class Locator(msgspec.Struct, frozen=True):
    """Where a client wants an object: by its name, or by `key`, or by `hash` in listings."""

    pool: int = -1
    key: bytes = b""
    namespace: bytes = b""
    hash: int = -1


class HObject(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """An object with its place in the order of a pool; also a cursor between objects."""

    name: bytes = b""
    key: bytes = b""
    snap: int = 0
    hash: int = 0
    is_max: bool = False
    namespace: bytes = b""
    pool: int = POOL_MIN

    def sort_key(self) -> tuple[bool, int, int, bytes, bytes, bytes, int]:
        """The order of listings and of recovery: bit-reversed hash first."""
        return (
            self.is_max,
            self.pool,
            reverse_bits(self.hash),
            self.namespace,
            self.key or self.name,
            self.name,
            self.snap,
        )


HOBJECT_MIN = HObject()
HOBJECT_MAX = HObject(is_max=True)


class GHObject(msgspec.Struct, frozen=True):
    """An object as a store holds it: a shard, and a generation for what may be rolled back."""

    object: HObject = HObject()
    generation: int = NO_GENERATION
    shard: int = NO_SHARD


_REVERSED_BYTE = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


def reverse_bits(number: int) -> int:
    """The 32 bits of `number` in the other direction."""
    return int.from_bytes(number.to_bytes(4, "little").translate(_REVERSED_BYTE), "big")


def parse_pg(text: str) -> PG:
    """``1.2f``. Raises Malformed."""
    pool, dot, seed = text.partition(".")
    try:
        if dot and pool.isdigit():
            return PG(int(pool), int(seed, 16))
    except ValueError:
        pass
    raise Malformed(f"{text!r} names no placement group")


def read_pg(r: Reader) -> PG:
    """17 bytes: version 1, pool, seed, and -1 where a preferred OSD once was."""
    version, pool, seed, _ = r.unpack(_PG)
    if version < 1:
        raise Malformed("a placement group of version 0", r.position)
    return PG(pool, seed)


def write_pg(w: Writer, pg: PG) -> None:
    """17 bytes."""
    w.pack(_PG, 1, pg.pool, pg.seed, -1)


def read_shard_pg(r: Reader) -> ShardPG:
    """A placement group and its shard."""
    with r.versioned(1):
        return ShardPG(read_pg(r), r.s8())


def write_shard_pg(w: Writer, spg: ShardPG) -> None:
    """A placement group and its shard."""
    with w.versioned(1, 1):
        write_pg(w, spg.pg)
        w.s8(spg.shard)


def read_eversion(r: Reader) -> EVersion:
    """u64 version, u32 epoch."""
    version, epoch = r.unpack(_EVERSION)
    return EVersion(epoch, version)


def write_eversion(w: Writer, at: EVersion) -> None:
    """u64 version, u32 epoch."""
    w.pack(_EVERSION, at.version, at.epoch)


def read_locator(r: Reader) -> Locator:
    """A versioned locator; one of before version 6 has no hash."""
    with r.versioned(6) as version:
        if version < 3:
            raise Malformed(f"a locator of version {version}", r.position)
        pool = r.s64()
        r.skip(4)
        key = r.bytes()
        namespace = r.bytes() if version >= 5 else b""
        where = r.s64() if version >= 6 else -1
    return Locator(pool, key, namespace, where)


def write_locator(w: Writer, locator: Locator) -> None:
    """A locator with a hash must not be read by those who do not know of it."""
    with w.versioned(6, 3 if locator.hash == -1 else 6):
        w.s64(locator.pool)
        w.s32(-1)
        w.bytes(locator.key)
        w.bytes(locator.namespace)
        w.s64(locator.hash)


def _read_hobject_body(r: Reader) -> HObject:
    key, name = r.bytes(), r.bytes()
    snap, number, is_max = r.unpack(_HOBJECT_MIDDLE)
    namespace, pool = r.bytes(), r.s64()
    if pool == -1 and not (snap or number or is_max or name):
        pool = POOL_MIN  # the least cursor, as old releases write it
    return HObject(name, key, snap, number, bool(is_max), namespace, pool)


def _write_hobject_body(w: Writer, what: HObject) -> None:
    w.bytes(what.key)
    w.bytes(what.name)
    w.pack(_HOBJECT_MIDDLE, what.snap, what.hash, what.is_max)
    w.bytes(what.namespace)
    w.s64(what.pool)


def read_hobject(r: Reader) -> HObject:
    """A versioned object name."""
    with r.versioned(4) as version:
        if version < 4:
            raise Malformed(f"an object name of version {version}", r.position)
        return _read_hobject_body(r)


def write_hobject(w: Writer, what: HObject) -> None:
    """A versioned object name."""
    with w.versioned(4, 3):
        _write_hobject_body(w, what)


def read_ghobject(r: Reader) -> GHObject:
    """An object name with generation and shard."""
    with r.versioned(6) as version:
        if version < 5:
            raise Malformed(f"an object name of version {version}", r.position)
        return GHObject(_read_hobject_body(r), r.u64(), r.s8())


def write_ghobject(w: Writer, what: GHObject) -> None:
    """An object name with generation and shard."""
    with w.versioned(6, 3):
        _write_hobject_body(w, what.object)
        w.u64(what.generation)
        w.s8(what.shard)
