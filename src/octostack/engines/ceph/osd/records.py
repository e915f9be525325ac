# SPDX-License-Identifier: Apache-2.0
"""What a copy keeps beside its objects, in the omap of the group's own object."""

import msgspec

from octostack.engines.ceph.osd import backend
from octostack.engines.ceph.osd.core.log import Log
from octostack.engines.ceph.osd.core.outside import Record
from octostack.engines.ceph.osd.core.values import Info, Interval, Lacks, Need
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import HObject, ShardPG, read_hobject, write_hobject

_INFO, _PAST, _LACKS = b"I", b"P", b"M"
_encoder = msgspec.msgpack.Encoder()
_info_decoder = msgspec.msgpack.Decoder(Info)
_past_decoder = msgspec.msgpack.Decoder(list[Interval])
_need_decoder = msgspec.msgpack.Decoder(Need)


def load_record(store: api.ObjectStore, where: ShardPG) -> Record:
    """What the store has of a copy; an empty record for a new one."""
    meta = backend.meta_object(where)
    if not store.exists(where, meta):
        return Record(Log())
    kept = store.omap_get(where, meta, (_INFO, _PAST))
    if _INFO not in kept:
        return Record(Log())
    info = _info_decoder.decode(kept[_INFO])
    lacks = {}
    for key, value in store.omap_list(where, meta, _LACKS, 1 << 30):
        if not key.startswith(_LACKS):
            break
        lacks[read_hobject(Reader(key[1:]))] = _need_decoder.decode(value)
    log = backend.load_log(store, where)
    log.head = max(log.head, info.last_update)  # whose entry may have gone to another group
    return Record(log, info, lacks, _past_decoder.decode(kept[_PAST]))


def lacks_key(what: HObject) -> bytes:
    """Where it stands that an object is lacking."""
    w = Writer()
    write_hobject(w, what)
    return _LACKS + w.done()


def encode_lacks(lacks: Lacks) -> dict[bytes, bytes]:
    """What is lacking, as entries."""
    return {lacks_key(what): _encoder.encode(need) for what, need in lacks.items()}


def encode_state(record: Record) -> dict[bytes, bytes]:
    """All but the log and what is lacking, as entries."""
    tail = backend.encode_version(record.log.tail)
    info, past = _encoder.encode(record.info), _encoder.encode(record.past)
    return {_INFO: info, _PAST: past, backend.TAIL_KEY: tail}


def encode_record(record: Record) -> dict[bytes, bytes]:
    """All of it, as entries."""
    log = {backend.entry_key(e.version): backend.encode_entry(e) for e in record.log.entries}
    return log | encode_lacks(record.lacks) | encode_state(record)
