# SPDX-License-Identifier: Apache-2.0
"""What a real OSD keeps of an object beside its bytes (object_info_t, its attribute ``_``).

Our OSDs keep it in a form of their own, and tell it in this one where clients look inside, as
`rados list-inconsistent-obj` does.
"""

from collections.abc import Sequence

import msgspec

from octostack.wire.ceph.addresses import Address, EntityName, EntityType, write_address, write_name
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.objects import (
    SNAP_HEAD,
    EVersion,
    HObject,
    Locator,
    write_eversion,
    write_hobject,
    write_locator,
)

_DIRTY = 1 << 2  # it has been written to
_WHITEOUT, _DIGEST = 1 << 1, 1 << 4
_NO_DIGEST = 0xFFFFFFFF


class Watch(msgspec.Struct, frozen=True):
    """One who is told of what others notify."""

    client: int
    cookie: int
    timeout_s: int
    address: Address


class ObjectInfo(msgspec.Struct, frozen=True):
    """Of an object or a clone, as of the change `version`."""

    object: HObject
    version: EVersion
    prior: EVersion
    user_version: int
    size: int
    mtime_ns: int
    request: tuple[int, int, int]  # the client's number, its tid, its incarnation
    truncate: tuple[int, int] = (0, 0)  # seq, size
    watches: Sequence[Watch] = ()
    hint: tuple[int, int, int] = (0, 0, 0)  # expected object size, write size, flags
    made_ns: int = 0  # when the OSD did it
    digest: int | None = None  # of its bytes
    whiteout: bool = False  # deleted, and there for its clones


def encode(info: ObjectInfo) -> bytes:
    """Version 17, as 16.2 writes it."""
    w = Writer()
    what = info.object
    with w.versioned(17, 8):
        write_hobject(w, what)
        write_locator(w, Locator(what.pool, what.key, what.namespace))
        w.u32(0)
        write_eversion(w, info.version)
        write_eversion(w, info.prior)
        _write_request(w, *info.request)
        w.u64(info.size)
        w.utime(info.mtime_ns)
        if what.snap == SNAP_HEAD:
            _write_request(w, 0, 0, 0, EntityName(0, 0))
        else:
            w.u32(0)
        w.u64(info.truncate[0])
        w.u64(info.truncate[1])
        w.boolean(False)  # lost
        _write_watches(w, info.watches, with_cookies=False)
        write_eversion(w, EVersion(0, info.user_version))
        w.boolean(False)
        _write_watches(w, info.watches, with_cookies=True)
        flags = _DIRTY | _WHITEOUT * info.whiteout
        w.u32(flags if info.digest is None else flags | _DIGEST)
        w.utime(info.made_ns or info.mtime_ns)
        w.u32(_NO_DIGEST if info.digest is None else info.digest)
        w.u32(_NO_DIGEST)
        for number in info.hint[:2]:
            w.u64(number)
        w.u32(info.hint[2])
    return w.done()


def _write_request(
    w: Writer, client: int, tid: int, incarnation: int, name: EntityName | None = None
) -> None:
    with w.versioned(2, 2):
        write_name(w, name or EntityName(EntityType.CLIENT, client))
        w.u64(tid)
        w.s32(incarnation)


def _write_watches(w: Writer, watches: Sequence[Watch], *, with_cookies: bool) -> None:
    w.u32(len(watches))
    for watch in watches:
        if with_cookies:
            w.u64(watch.cookie)
        write_name(w, EntityName(EntityType.CLIENT, watch.client))
        with w.versioned(4, 3):
            w.u64(watch.cookie)
            w.u32(watch.timeout_s)
            write_address(w, watch.address)
