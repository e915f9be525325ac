# SPDX-License-Identifier: Apache-2.0
"""Images that are on their way out, or may come back: a record for each, by its id.

A record is {2,1: u8 source, str name, utime deleted, utime kept until, u8 state}.
"""

import errno

import msgspec

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.frame import method
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import require
from octostack.wire.ceph.codec import Reader, Writer

_PREFIX = b"id_"


class Record(msgspec.Struct):
    """See the module's essay."""

    source: int
    name: bytes
    deleted: int
    until: int
    state: int


def read_record(r: Reader) -> Record:
    """See the module's essay."""
    with r.versioned(2) as version:
        record = Record(r.u8(), r.bytes(), r.utime(), r.utime(), 0)
        if version >= 2:
            record.state = r.u8()
        return record


def write_record(w: Writer, record: Record) -> None:
    """See the module's essay."""
    with w.versioned(2, 1):
        w.u8(record.source)
        w.bytes(record.name)
        w.utime(record.deleted)
        w.utime(record.until)
        w.u8(record.state)


@method("rbd", "trash_add", writes=True)
def trash_add(ctx: OpContext, data: bytes) -> None:
    """In: str id, a record."""
    r = Reader(data)
    ctx.create()
    key, record = _PREFIX + r.bytes(), read_record(r)
    require(kept.find(ctx, key, read_record) is None, errno.EEXIST)
    kept.put(ctx, key, write_record, record)


@method("rbd", "trash_remove", writes=True)
def trash_remove(ctx: OpContext, data: bytes) -> None:
    """In: str id."""
    key = _PREFIX + Reader(data).bytes()
    kept.get(ctx, key, read_record)
    kept.remove(ctx, key)


@method("rbd", "trash_list")
def trash_list(ctx: OpContext, data: bytes) -> bytes:
    """In: str id to begin behind, u64 max. Out: map<str id, record>."""
    r, w = Reader(data), Writer()
    found = kept.page(ctx, _PREFIX, r.bytes(), r.u64())
    records = {image: kept.decoded(read_record, data) for image, data in found.items()}
    w.map(records, w.bytes, lambda record: write_record(w, record))
    return w.done()


@method("rbd", "trash_get")
def trash_get(ctx: OpContext, data: bytes) -> bytes:
    """In: str id. Out: its record."""
    found = kept.get(ctx, _PREFIX + Reader(data).bytes(), read_record)
    return kept.encoded(write_record, found)


@method("rbd", "trash_state_set", writes=True)
def trash_state_set(ctx: OpContext, data: bytes) -> None:
    """In: str id, u8 state, u8 state it must have now. ESTALE when it has neither."""
    r = Reader(data)
    key, wanted, expected = _PREFIX + r.bytes(), r.u8(), r.u8()
    record = kept.get(ctx, key, read_record)
    if record.state == expected:
        record.state = wanted
        kept.put(ctx, key, write_record, record)
    else:
        require(record.state == wanted, errno.ESTALE)
