# SPDX-License-Identifier: Apache-2.0
"""Class `lock`: advisory locks, exclusive or shared, kept in an attribute of the object.

A locker is a client with a cookie; a lock may have a tag that all its lockers must name, and a
time at which a locker is forgotten.
"""

import errno

import msgspec

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.addresses import Address, read_address, write_address
from octostack.wire.ceph.codec import Reader, Writer

EXCLUSIVE, SHARED, EPHEMERAL = 1, 2, 3
MAY_RENEW, MUST_RENEW = 1, 2
_PREFIX = b"lock."
_CLIENT = 8


class LockerId(msgspec.Struct, frozen=True, order=True):
    """Who holds it."""

    kind: int
    number: int
    cookie: bytes


class Locker(msgspec.Struct, frozen=True):
    """Until when (0: for ever), from where, and why."""

    until: int
    address: Address
    description: bytes


class Lock(msgspec.Struct):
    """A lock as it is kept."""

    lockers: dict[LockerId, Locker] = {}
    kind: int = 0
    tag: bytes = b""


def _read_id(r: Reader) -> LockerId:
    with r.versioned(1):
        return LockerId(r.u8(), r.s64(), r.bytes())


def _read_locker(r: Reader) -> Locker:
    with r.versioned(1):
        return Locker(r.utime(), read_address(r), r.bytes())


def _encode(lock: Lock) -> bytes:
    w = Writer()

    def put_id(one: LockerId) -> None:
        with w.versioned(1, 1):
            w.u8(one.kind)
            w.s64(one.number)
            w.bytes(one.cookie)

    def put_locker(one: Locker) -> None:
        with w.versioned(1, 1):
            w.utime(one.until)
            write_address(w, one.address)
            w.bytes(one.description)

    with w.versioned(1, 1):
        w.map(lock.lockers, put_id, put_locker)
        w.u8(lock.kind)
        w.bytes(lock.tag)
    return w.done()


def _load(ctx: OpContext, name: bytes) -> Lock:
    """The lock without those whose time is up. Raises OpError ENOENT for the object."""
    data = ctx.find_attr(_PREFIX + name)
    if data is None:
        return Lock()
    r = Reader(data)
    with r.versioned(1):
        lockers = r.map(lambda: _read_id(r), lambda: _read_locker(r))
        lock = Lock(lockers, r.u8(), r.bytes())
    lock.lockers = {
        who: one for who, one in lockers.items() if not one.until or one.until >= ctx.now
    }
    return lock


def _save(ctx: OpContext, name: bytes, lock: Lock) -> None:
    ctx.set_attr(_PREFIX + name, _encode(lock))


def _me(ctx: OpContext, cookie: bytes) -> LockerId:
    return LockerId(_CLIENT, ctx.request.session.client, cookie)


@method("lock", "lock", writes=True)
def lock(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str name, u8 kind, str cookie, tag, description, utime duration, u8 flags}."""
    r = Reader(data)
    with r.versioned(1):
        name, kind, cookie, tag = r.bytes(), r.u8(), r.bytes(), r.bytes()
        description, duration, flags = r.bytes(), r.utime(), r.u8()
    require(kind in (EXCLUSIVE, SHARED, EPHEMERAL) and name, errno.EINVAL)
    require(flags != MAY_RENEW | MUST_RENEW, errno.EINVAL)
    held = _load(ctx, name) if ctx.exists else Lock()
    require(not held.lockers or held.tag == tag, errno.EBUSY)
    me = _me(ctx, cookie)
    if me in held.lockers:
        require(flags, errno.EEXIST)
        del held.lockers[me]
    else:
        require(not flags & MUST_RENEW, errno.ENOENT)
    if held.lockers:
        require(kind == SHARED and held.kind == kind, errno.EBUSY)
    until = ctx.now + duration if duration else 0
    held.lockers[me] = Locker(until, ctx.request.session.address, description)
    held.kind, held.tag = kind, tag
    _save(ctx, name, held)


def _remove(ctx: OpContext, name: bytes, who: LockerId) -> None:
    held = _load(ctx, name)
    require(who in held.lockers, errno.ENOENT)
    del held.lockers[who]
    if not held.lockers and held.kind == EPHEMERAL:
        ctx.remove()
    else:
        _save(ctx, name, held)


@method("lock", "unlock", writes=True)
def unlock(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str name, str cookie}."""
    r = Reader(data)
    with r.versioned(1):
        name, cookie = r.bytes(), r.bytes()
    _remove(ctx, name, _me(ctx, cookie))


@method("lock", "break_lock", writes=True)
def break_lock(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str name, entity who, str cookie}."""
    r = Reader(data)
    with r.versioned(1):
        name, kind, number = r.bytes(), r.u8(), r.s64()
        _remove(ctx, name, LockerId(kind, number, r.bytes()))


@method("lock", "get_info")
def get_info(ctx: OpContext, data: bytes) -> bytes:
    """In: {1,1: str name}. Out: {1,1: map of lockers, u8 kind, str tag}."""
    r = Reader(data)
    with r.versioned(1):
        return _encode(_load(ctx, r.bytes()))


@method("lock", "list_locks")
def list_locks(ctx: OpContext, data: bytes) -> bytes:
    """Out: {1,1: vec<str>}."""
    w = Writer()
    names = sorted(name for name in ctx.attrs() if name.startswith(_PREFIX))
    with w.versioned(1, 1):
        w.vector((name[len(_PREFIX) :] for name in names), w.bytes)
    return w.done()


def _asserted(ctx: OpContext, r: Reader) -> tuple[bytes, Lock, LockerId]:
    """In: str name, u8 kind, str cookie, str tag: which the asker must hold."""
    name, kind, cookie, tag = r.bytes(), r.u8(), r.bytes(), r.bytes()
    require(kind in (EXCLUSIVE, SHARED, EPHEMERAL) and name, errno.EINVAL)
    held, me = _load(ctx, name), _me(ctx, cookie)
    require((held.kind, held.tag) == (kind, tag) and me in held.lockers, errno.EBUSY)
    return name, held, me


@method("lock", "assert_locked")
def assert_locked(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str name, u8 kind, str cookie, str tag}."""
    r = Reader(data)
    with r.versioned(1):
        _asserted(ctx, r)


@method("lock", "set_cookie", writes=True)
def set_cookie(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: str name, u8 kind, str cookie, str tag, str new cookie}."""
    r = Reader(data)
    with r.versioned(1):
        name, held, me = _asserted(ctx, r)
        new = _me(ctx, r.bytes())
    require(new not in held.lockers, errno.EBUSY)
    held.lockers[new] = held.lockers.pop(me)
    _save(ctx, name, held)
