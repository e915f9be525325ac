# SPDX-License-Identifier: Apache-2.0
"""What a scrub found, in the form in which `rados list-inconsistent-obj` asks for it.

Of our copies' state (`ops.state`) nothing is shown as an attribute: real clients would read it as
the real one's. Where copies disagree on it, that is told as a difference of an attribute's value.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import TypeVar

from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.scrub.values import (
    CopyFinding,
    Difference,
    Finding,
    Flaw,
    Result,
)
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, SNAPSET_ATTR
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.objects import HObject

Kind = TypeVar("Kind", Flaw, Difference)

_FLAWS = {
    Flaw.MISSING: 1 << 1,
    Flaw.READ_ERROR: 1 << 3,
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
    Difference.INFO: 1 << 7,
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
    what = finding.object
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
            _copy(w, copy, osd == primary)
        w.u64(_bits(finding.flaws, _FLAWS))
    return w.done()


def _copy(w: Writer, copy: CopyFinding, is_primary: bool) -> None:
    with w.versioned(3, 3):
        w.u64(_bits(copy.flaws, _FLAWS))
        w.boolean(is_primary)
        if copy.seen is None:
            return
        seen = copy.seen
        hidden = (INFO_ATTR, SNAPSET_ATTR)
        w.map({k: v for k, v in seen.attrs.items() if k not in hidden}, w.bytes, w.bytes)
        w.u64(seen.size)
        for digest in (seen.omap_digest, seen.data_digest):
            w.boolean(digest is not None)
            w.u32(digest or 0)
        w.boolean(False)


def _bits(found: Iterable[Kind], table: Mapping[Kind, int]) -> int:
    bits = 0
    for one in found:
        bits |= table[one]
    return bits
