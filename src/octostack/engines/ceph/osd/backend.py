# SPDX-License-Identifier: Apache-2.0
"""How a primary makes a change durable: the seam between a group and its copies.

Beside a change its log entry is kept, in the omap of the group's own object, in one transaction
with it: so what the log says has been done has been done.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from octostack.engines.ceph.osd.core.log import Entry, Log
from octostack.engines.ceph.osd.core.shards.needs import NeedsData
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG, write_hobject

LOG_ENTRIES_MAX = 3000
TRIM_AT_ONCE = 100
_KEY = struct.Struct(">BIQ")
_ENTRY = 0x4C
TAIL_KEY = b"T"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)
_version_decoder = msgspec.msgpack.Decoder(EVersion)


def meta_object(where: ShardPG) -> HObject:
    """The object of the group's own state: its log and its info."""
    return HObject(hash=where.pg.seed, pool=where.pg.pool)


def snaps_object(where: ShardPG) -> HObject:
    """The object that knows which clones a snapshot has."""
    return HObject(hash=where.pg.seed, pool=where.pg.pool, snap=1)


def snap_key(snap: int, clone: HObject) -> bytes:
    """The key of a clone there: those of one snapshot are neighbours."""
    w = Writer()
    write_hobject(w, clone)
    return snap.to_bytes(8, "big") + w.done()


def entry_key(version: EVersion) -> bytes:
    """Sorts as versions do."""
    return _KEY.pack(_ENTRY, version.epoch, version.version)


def encode_entry(entry: Entry) -> bytes:
    """As it stands in the omap, and in messages between OSDs."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """The reverse."""
    return _decoder.decode(data)


def encode_version(version: EVersion) -> bytes:
    """As it is kept."""
    return _encoder.encode(version)


def load_log(store: api.ObjectStore, where: ShardPG) -> Log:
    """The log as the store has it."""
    meta, first = meta_object(where), bytes([_ENTRY])
    tail = EVersion()
    if store.exists(where, meta) and (kept := store.omap_get(where, meta, (TAIL_KEY,))):
        tail = _version_decoder.decode(kept[TAIL_KEY])
    entries: list[Entry] = []
    while store.exists(where, meta):
        found = store.omap_list(where, meta, first, 1000)
        found = [pair for pair in found if pair[0][0] == _ENTRY]
        entries += [decode_entry(value) for _, value in found]
        if len(found) < 1000:
            break
        first = found[-1][0] + b"\0"
    return Log(entries, tail)


def log_changes(
    where: ShardPG, entries: Sequence[Entry], trimmed: Sequence[Entry]
) -> list[api.Change]:
    """What keeps `entries`, and forgets `trimmed`."""
    meta = meta_object(where)
    changes: list[api.Change] = [
        api.OmapSet(where, meta, {entry_key(e.version): _encoder.encode(e) for e in entries})
    ]
    if trimmed:
        changes.append(api.OmapRemove(where, meta, [entry_key(e.version) for e in trimmed]))
        changes.append(api.OmapSet(where, meta, {TAIL_KEY: encode_version(trimmed[-1].version)}))
    return changes


class Backend(ABC):
    """Gives versions to changes and makes them durable, in order."""

    log: Log
    epoch: int

    def blocks(self, what: HObject | None, writes: bool, retry: Callable[[], None]) -> bool:
        """Whether a request must wait (`retry` is called then); None: one about all objects."""
        return False

    def mend(self, what: HObject) -> bool:
        """An object cannot be read: whether it is being made anew, so that it may be waited for."""
        return False

    def prepare(self, changes: Sequence[api.Change], read: Mapping[Any, Any]) -> None:
        """What will be committed next. Raises NeedsData while not all is in `read` it takes."""
        return

    def fetch(self, need: NeedsData, then: Callable[[Mapping[Any, Any] | None], None]) -> None:
        """Read what is needed; None when it cannot be had. Requests for the object wait."""
        raise AssertionError("all data is here")

    @abstractmethod
    def commit(
        self, changes: list[api.Change], entries: list[Entry], done: Callable[[], None]
    ) -> None:
        """Queue the changes with their entries; `done` when all copies have them."""
