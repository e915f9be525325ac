# SPDX-License-Identifier: Apache-2.0
"""What a scrub found, in the form in which `rados list-inconsistent-obj` asks for it.

Of our copies' state (`ops.state`) an object's info is shown as a real OSD would have it, as clients
look into it; its snapshots are not.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import TypeVar

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.scrub.values import (
    CopyFinding,
    Difference,
    Finding,
    Flaw,
    Result,
)
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, SNAPSET_ATTR, decode_info
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph import objectinfo
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.objectinfo import ObjectInfo, Watch
from octostack.wire.ceph.objects import HObject

Kind = TypeVar("Kind", Flaw, Difference)

_FLAWS = {
    Flaw.MISSING: 1 << 1,
    Flaw.READ_ERROR: 1 << 3,
    Flaw.SIZE_WRONG: 1 << 11,
    Flaw.PIECE: 1 << 12,
    Flaw.INFO_MISSING: 1 << 14,
    Flaw.INFO_CORRUPTED: 1 << 15,
    Flaw.SNAPSET_CORRUPTED: 1 << 17,
    Flaw.SIZE_INFO: 1 << 18,
}
_DIFFERENCES = {
    Difference.DATA: 1 << 4,
    Difference.OMAP: 1 << 5,
    Difference.SIZE: 1 << 6,
    Difference.ATTR_VALUE: 1 << 7,
    Difference.INFO: 1 << 1,
    Difference.ATTR_NAME: 1 << 8,
    Difference.SNAPSET: 1 << 9,
}


def answer(op: Op, interval: int, found: Result | None, primary: int) -> tuple[int, bytes]:
    """(result, output) of a SCRUBLS; the argument is {1,1: u32 interval, u32 of snapsets, the name,
    namespace and snap after which to begin, u64 limit}."""
    try:
        r = Reader(op.payload)
        with r.versioned(1):
            wanted, of_snapsets = r.u32(), r.u32()
            after = (r.bytes(), r.bytes(), r.u64())
            limit = r.u64()
    except Malformed:
        return -errno.EINVAL, b""
    if wanted and wanted != interval:
        return -errno.EAGAIN, _result(interval, [])
    if found is None:
        return -errno.ENOENT, _result(interval, [])
    findings = [] if of_snapsets else found.findings
    findings = sorted(findings, key=lambda finding: _place(finding.object))
    rest = [finding for finding in findings if _place(finding.object) > after]
    if after == (b"", b"", 0):
        rest = findings
    return 0, _result(interval, [_object(finding, primary) for finding in rest[:limit]])


def _place(what: HObject) -> tuple[bytes, bytes, int]:
    return (what.name, what.namespace, what.snap)


def _result(interval: int, values: list[bytes]) -> bytes:
    w = Writer()
    with w.versioned(1, 1):
        w.u32(interval)
        w.u32(len(values))
        for value in values:
            w.bytes(value)
    return w.done()


def _object(finding: Finding, primary: int) -> bytes:
    what, shown = finding.object, _find_shown(finding, primary)
    w = Writer()
    with w.versioned(2, 2):
        w.u64(_bits(finding.differences, _DIFFERENCES))
        with w.versioned(1, 1):
            for text in (what.name, what.namespace, what.key):
                w.bytes(text)
            w.u64(what.snap)
        w.u64(finding.version.version)
        w.u32(len(finding.copies))
        for osd, copy in sorted(finding.copies.items()):
            with w.versioned(1, 1):
                w.s32(osd_of(osd))
                w.s8(shard_of(osd))
            _copy(w, copy, what, (osd == primary, osd == shown))
        w.u64(_bits(finding.flaws, _FLAWS))
    return w.done()


def _find_shown(finding: Finding, primary: int) -> int | None:
    """The copy whose info is shown as the object's: that which counts, or any that has one."""
    if finding.authority is not None:
        return finding.authority
    seen = {osd: copy.seen for osd, copy in finding.copies.items() if copy.seen is not None}
    having = [osd for osd, one in seen.items() if INFO_ATTR in one.attrs]
    return min(having, key=lambda osd: osd != primary, default=None)


def _copy(w: Writer, copy: CopyFinding, what: HObject, is_: tuple[bool, bool]) -> None:
    """`is_`: the primary's, the one whose info is shown as the object's."""
    is_primary, is_shown = is_
    with w.versioned(3, 3):
        w.u64(_bits(copy.flaws, _FLAWS))
        w.boolean(is_primary)
        if copy.seen is None:
            return
        seen = copy.seen
        attrs = {name: value for name, value in seen.attrs.items() if name != SNAPSET_ATTR}
        if INFO_ATTR in attrs:
            attrs[INFO_ATTR] = _info(what, attrs[INFO_ATTR])
        w.map(attrs, w.bytes, w.bytes)
        w.u64(seen.size)
        for digest in (seen.omap_digest, seen.data_digest):
            w.boolean(digest is not None)
            w.u32(digest or 0)
        w.boolean(is_shown)


def _info(what: HObject, data: bytes) -> bytes:
    """As a real OSD has it; what cannot be read, as it is."""
    try:
        info = decode_info(data)
    except Corrupt:
        return data
    watches = [Watch(one.client, one.cookie, one.timeout_s, one.address) for one in info.watchers]
    reqid = info.reqid
    return objectinfo.encode(
        ObjectInfo(
            what,
            info.version,
            info.prior,
            info.user_version,
            info.size,
            info.mtime,
            (reqid.client, reqid.tid, reqid.incarnation) if reqid else (0, 0, 0),
            (info.truncate_seq, info.truncate_size),
            watches,
            info.hint or (0, 0, 0),
            whiteout=info.whiteout,
        )
    )


def _bits(found: Iterable[Kind], table: Mapping[Kind, int]) -> int:
    bits = 0
    for one in found:
        bits |= table[one]
    return bits
