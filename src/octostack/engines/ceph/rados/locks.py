# SPDX-License-Identifier: Apache-2.0
"""Advisory locks on objects: the object class ``lock``, with its inputs and outputs as values.

A lock has a name; who holds it is a client with a cookie. One that is not renewed within its
duration is forgotten. (cls_lock_types.h and cls_lock_ops.h of 16.2.)
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from octostack.engines.ceph.rados.core.values import Name, to_bytes, to_text
from octostack.wire.ceph.addresses import Address, EntityType, read_address
from octostack.wire.ceph.codec import Reader, Writer

if TYPE_CHECKING:
    from octostack.engines.ceph.rados.pool import Pool

CLASS: Final = "lock"
MAY_RENEW, MUST_RENEW = 1, 2


class LockType(IntEnum):
    """How many may hold it."""

    EXCLUSIVE = 1
    SHARED = 2
    EPHEMERAL = 3  # exclusive, and the object goes with the lock


class Locker(msgspec.Struct, frozen=True):
    """Who holds a lock, and until when (nanoseconds since the epoch; 0: for ever)."""

    client: int
    cookie: str
    address: Address
    expires_ns: int = 0
    description: str = ""


class LockInfo(msgspec.Struct, frozen=True):
    """A lock as it is."""

    type: int
    tag: str
    lockers: tuple[Locker, ...]


class Wanted(msgspec.Struct, frozen=True):
    """How a lock is to be held."""

    name: str
    cookie: str = ""
    type: LockType = LockType.EXCLUSIVE
    tag: str = ""
    description: str = ""
    duration_s: float = 0.0  # 0: for ever
    flags: int = 0  # MAY_RENEW, MUST_RENEW


def _encoded(*parts: Name | int) -> bytes:
    """{1,1: each a string, or a u8 for a number}."""
    w = Writer()
    with w.versioned(1, 1):
        for part in parts:
            w.u8(part) if isinstance(part, int) else w.bytes(to_bytes(part))
    return w.done()


def lock_input(wanted: Wanted) -> bytes:
    """For ``lock.lock``, also within a vector."""
    w = Writer()
    with w.versioned(1, 1):
        w.string(wanted.name)
        w.u8(wanted.type)
        for text in (wanted.cookie, wanted.tag, wanted.description):
            w.string(text)
        w.utime(int(wanted.duration_s * 1e9))
        w.u8(wanted.flags)
    return w.done()


def assert_input(wanted: Wanted) -> bytes:
    """For ``lock.assert_locked`` at the front of a vector: fail (EBUSY) unless we hold it."""
    return _encoded(wanted.name, int(wanted.type), wanted.cookie, wanted.tag)


async def lock(pool: "Pool", name: Name, wanted: Wanted) -> None:
    """Take a lock. Raises Conflict: EBUSY when others hold it, EEXIST when we do."""
    await pool.exec(name, CLASS, "lock", lock_input(wanted))


async def unlock(pool: "Pool", name: Name, lock_name: str, cookie: str = "") -> None:
    """Let go of a lock. Raises NotFound when we do not hold it."""
    await pool.exec(name, CLASS, "unlock", _encoded(lock_name, cookie))


async def break_lock(pool: "Pool", name: Name, lock_name: str, client: int, cookie: str) -> None:
    """Take a lock from another client. Raises NotFound."""
    w = Writer()
    with w.versioned(1, 1):
        w.string(lock_name)
        w.u8(EntityType.CLIENT)
        w.s64(client)
        w.string(cookie)
    await pool.exec(name, CLASS, "break_lock", w.done())


async def set_cookie(pool: "Pool", name: Name, held: Wanted, cookie: str) -> None:
    """Go on holding a lock under another cookie."""
    data = _encoded(held.name, int(held.type), held.cookie, held.tag, cookie)
    await pool.exec(name, CLASS, "set_cookie", data)


async def get_info(pool: "Pool", name: Name, lock_name: str) -> LockInfo:
    """Who holds a lock; nobody, if there is none of that name."""
    r = Reader(await pool.exec(name, CLASS, "get_info", _encoded(lock_name)))

    def who() -> tuple[int, str]:
        with r.versioned(1):
            r.u8()
            return r.s64(), to_text(r.bytes())

    def how() -> tuple[int, Address, str]:
        with r.versioned(1):
            return r.utime(), read_address(r), to_text(r.bytes())

    with r.versioned(1):
        found = r.map(who, how, 12)
        kind, tag = r.u8(), to_text(r.bytes())
    lockers = tuple(
        Locker(client, cookie, address, expires, text)
        for (client, cookie), (expires, address, text) in found.items()
    )
    return LockInfo(kind, tag, lockers)


async def list_locks(pool: "Pool", name: Name) -> list[str]:
    """The names of an object's locks."""
    r = Reader(await pool.exec(name, CLASS, "list_locks"))
    with r.versioned(1):
        return [to_text(one) for one in r.vector(r.bytes, 4)]
