# SPDX-License-Identifier: Apache-2.0
"""Class `version`: a number with a tag, in an attribute; changed and asked for under conditions."""

import base64
import errno
import hashlib
from collections.abc import Callable
from operator import ge, gt, le, lt

import msgspec

from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_ATTR = b"ceph.objclass.version"
_TAG_LENGTH = 24
_NUMBERS: dict[int, Callable[[int, int], bool]] = {2: gt, 3: ge, 4: lt, 5: le}


class Version(msgspec.Struct, frozen=True):
    """A number, and the tag of whoever counts."""

    number: int = 0
    tag: bytes = b""


def _read(r: Reader) -> Version:
    with r.versioned(1):
        return Version(r.u64(), r.bytes())


def _encode(version: Version) -> bytes:
    w = Writer()
    with w.versioned(1, 1):
        w.u64(version.number)
        w.bytes(version.tag)
    return w.done()


def _conditions(r: Reader) -> list[tuple[Version, int]]:
    def one() -> tuple[Version, int]:
        with r.versioned(1):
            return _read(r), r.u32()

    return r.vector(one, 6)


def _load(ctx: OpContext) -> Version:
    data = ctx.find_attr(_ATTR) if ctx.exists else None
    return Version() if data is None else _read(Reader(data))


def _new_tag(ctx: OpContext) -> bytes:
    """Different for each object and time; all copies must come to the same one."""
    seed = repr((ctx.what, ctx.now, ctx.request.reqid)).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(seed).digest())[:_TAG_LENGTH]


def _holds(version: Version, wanted: Version, condition: int) -> bool:
    match condition:
        case 0:
            return True
        case 1:
            return version == wanted
        case 6:
            return version.tag == wanted.tag
        case 7:
            return version.tag != wanted.tag
    compare = _NUMBERS.get(condition)
    return compare is None or compare(version.number, wanted.number)


def _require(version: Version, conditions: list[tuple[Version, int]]) -> None:
    for wanted, condition in conditions:
        require(_holds(version, wanted, condition), errno.ECANCELED)


@method("version", "set", writes=True)
def set_version(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: version}."""
    r = Reader(data)
    with r.versioned(1):
        ctx.set_attr(_ATTR, _encode(_read(r)))


@method("version", "inc", writes=True)
@method("version", "inc_conds", writes=True)
def increase(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: version, vec<condition>}. One is made where there was none."""
    r = Reader(data)
    with r.versioned(1):
        _read(r)
        conditions = _conditions(r)
    version = _load(ctx)
    if not version.number:
        version = Version(1, _new_tag(ctx))
    _require(version, conditions)
    ctx.set_attr(_ATTR, _encode(Version(version.number + 1, version.tag)))


@method("version", "read")
def read(ctx: OpContext, data: bytes) -> bytes:
    """Out: {1,1: version}."""
    ctx.require_exists()
    w = Writer()
    with w.versioned(1, 1):
        w.raw(_encode(_load(ctx)))
    return w.done()


@method("version", "check_conds")
def check(ctx: OpContext, data: bytes) -> None:
    """In: {1,1: version, vec<condition>}."""
    r = Reader(data)
    with r.versioned(1):
        _read(r)
        _require(_load(ctx), _conditions(r))
