# SPDX-License-Identifier: Apache-2.0
"""One request at work on one object: what it may read, and the changes it has put out so far.

Reads see the object as it was when the request began; only its size, whether it exists and what
`info` holds follow the changes of the request itself. That is what a real OSD does, and object
classes count on it. Nothing here reaches the store but by reading: a vector that fails half-way
is dropped with its context.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.osd.core.shards.needs import read_stripes
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.failures import NeedsBytes, OpError, require
from octostack.engines.ceph.osd.ops.state import (
    INFO_ATTR,
    USER_PREFIX,
    ObjectInfo,
    ObjectState,
    SnapSet,
    Watcher,
    decode_info,
)
from octostack.engines.ceph.osd.requests import OpRequest
from octostack.wire.ceph.objects import SNAP_HEAD, HObject, ShardPG

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.core.shards.layout import Layout

OBJECT_BYTES_MAX = 128 << 20
ATTR_NAME_BYTES_MAX = 100


class Place(msgspec.Struct, frozen=True):
    """Where the object lives, and what its pool allows."""

    store: api.ObjectStore
    collection: ShardPG
    omap: bool = True  # an erasure-coded pool has none
    layout: Layout | None = None  # of an erasure-coded pool


class WatchChange(msgspec.Struct, frozen=True):
    """A watcher that came (or renewed itself) or left."""

    watcher: Watcher
    gone: bool = False


class Notify(msgspec.Struct, frozen=True):
    """A notify to be sent to the object's watchers once the vector has succeeded."""

    cookie: int
    timeout_s: int
    payload: bytes
    id: int


class NotifyAck(msgspec.Struct, frozen=True):
    """A watcher's answer to a notify."""

    notify_id: int
    cookie: int
    payload: bytes


class OpContext:
    """See the module's essay. `what` is the head or the clone that is read; changes go to heads."""

    def __init__(
        self, place: Place, what: HObject, state: ObjectState, request: OpRequest, now: int
    ) -> None:
        self.place = place
        self.what = what
        self.request = request
        self.now = now
        self.exists = state.visible
        self.info: ObjectInfo = msgspec.structs.replace(state.info)
        self.snaps: SnapSet = state.snaps
        self.changes: list[api.Change] = []
        self.dirty: list[tuple[int, int]] = []  # byte ranges that no longer equal the last clone's
        self.user_modified = False
        self.info_modified = False
        self.wiped = False  # what was kept beside the user's data is gone and must be put anew
        self.next_user_version = 0  # what the object's version is when this succeeds
        self.notify_id = 0  # for a notify of this request
        self.effects: list[WatchChange | Notify | NotifyAck] = []
        self.append_bytes = 0  # see `PoolFacts`
        self.sources: dict[Any, Any] = {}  # fetched before this run
        self.may_stop = False  # with NeedsBytes: of a vector that only reads

    # -- reading

    @property
    def size(self) -> int:
        """Bytes, with what this request has changed."""
        return self.info.size if self.exists else 0

    def require_exists(self) -> None:
        """Raises OpError ENOENT."""
        require(self.exists, errno.ENOENT)

    @property
    def stored(self) -> bool:
        """Whether there is anything in the store to read from."""
        return self.place.store.exists(self.place.collection, self.what)

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes; fewer when the object ends before. Raises OpError ENOENT."""
        self.require_exists()
        if not self.stored:
            return b""
        if self.place.layout is not None:
            size = self._stored_size()
            end = size if length is None else min(size, offset + length)
            return read_stripes(self.place.layout, self.what, (offset, end), self.sources)
        return self.place.store.read(self.place.collection, self.what, offset, length)

    def _stored_size(self) -> int:
        attrs = self.place.store.attrs(self.place.collection, self.what)
        return decode_info(attrs[INFO_ATTR]).size

    def view(self, offset: int, length: int) -> api.Data:
        """The same, large ranges without a copy. Raises NeedsBytes."""
        if self.place.layout is not None:
            return self.read(offset, length)
        self.require_exists()
        if self.may_stop and self.place.store.is_long(length):
            return self._read_before(NeedsBytes(self.what, offset, length))
        try:
            return self.place.store.view(self.place.collection, self.what, offset, length)
        except NotFound:  # it is to be made by this request
            return b""

    def _read_before(self, need: NeedsBytes) -> api.Data:
        found: api.Data | OctoError | None = self.sources.get(need.key)
        if found is None:
            raise need
        if isinstance(found, OctoError):
            raise found
        return found

    def extents(self, offset: int, length: int) -> list[tuple[int, int]]:
        """What is no hole. Raises OpError ENOENT."""
        self.require_exists()
        if self.place.layout is not None:  # holes are not known
            end = min(offset + length, self._stored_size())
            return [(offset, end - offset)] if offset < end else []
        return self.place.store.extents(self.place.collection, self.what, offset, length)

    def attrs(self) -> dict[bytes, bytes]:
        """The user's attributes. Raises OpError ENOENT."""
        self.require_exists()
        if not self.stored:
            return {}
        kept: Mapping[bytes, bytes] = self.place.store.attrs(self.place.collection, self.what)
        return {k[1:]: v for k, v in kept.items() if len(k) > 1 and k.startswith(USER_PREFIX)}

    def find_attr(self, name: bytes) -> bytes | None:
        """One attribute of the user's. Raises OpError ENOENT for the object."""
        self.require_exists()
        if not self.stored:
            return None
        return self.place.store.attrs(self.place.collection, self.what).get(USER_PREFIX + name)

    def get_attr(self, name: bytes) -> bytes:
        """Raises OpError ENODATA, and ENOENT for the object."""
        value = self.find_attr(name)
        if value is None:
            raise OpError(errno.ENODATA)
        return value

    def omap_header(self) -> bytes:
        """Raises OpError ENOENT. Where a pool has no omaps, they are empty."""
        self.require_exists()
        if not self.stored:
            return b""
        return self.place.store.omap_header(self.place.collection, self.what)

    def omap_get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of `keys` that are there. Raises OpError ENOENT."""
        self.require_exists()
        if not self.stored:
            return {}
        return self.place.store.omap_get(self.place.collection, self.what, keys)

    def omap_value(self, key: bytes) -> bytes:
        """One value. Raises OpError ENOENT."""
        value = self.omap_get((key,)).get(key)
        if value is None:
            raise OpError(errno.ENOENT)
        return value

    def omap_list(self, first: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries from `first` on. Raises OpError ENOENT."""
        self.require_exists()
        if not self.stored:
            return []
        return self.place.store.omap_list(self.place.collection, self.what, first, limit)

    def omap_after(
        self, after: bytes, limit: int, prefix: bytes = b""
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Entries behind the key `after` that begin with `prefix`, and whether there are more."""
        first = prefix if prefix > after else (after + b"\0" if after else b"")
        found = self.omap_list(first, limit + 1)
        while found and not found[-1][0].startswith(prefix):
            found.pop()
        return found[:limit], len(found) > limit

    # -- writing

    def create(self) -> None:
        """Let the object be; nothing when it is."""
        self.require_writable()
        self.user_modified = True
        if not self.exists:
            self.exists = True
            self.info.whiteout = False
            self.info.size = 0
            self.changes.append(api.Touch(self.place.collection, self.what))

    def write(self, offset: int, data: api.Data) -> None:
        """Put bytes. Raises OpError EFBIG, EOPNOTSUPP."""
        if self.append_bytes:
            whole = offset % self.append_bytes == 0
            require(whole and offset == self.size, errno.EOPNOTSUPP)
        self._put(offset, data)

    def _put(self, offset: int, data: api.Data) -> None:
        require(offset + len(data) <= OBJECT_BYTES_MAX, errno.EFBIG)
        self.create()
        if len(data):
            self.changes.append(api.Write(self.place.collection, self.what, offset, data))
            self.dirty.append((offset, len(data)))
            self.info.size = max(self.info.size, offset + len(data))

    def write_full(self, data: api.Data) -> None:
        """Make `data` the whole contents."""
        old = self.size
        if old > len(data):
            self._cut(len(data))
        self._put(0, data)

    def zero(self, offset: int, length: int) -> None:
        """Make a hole within the object. Raises OpError EOPNOTSUPP."""
        self.require_overwrites()
        self.user_modified = True
        self.changes.append(api.Zero(self.place.collection, self.what, offset, length))
        self.dirty.append((offset, length))

    def truncate(self, size: int) -> None:
        """Cut or grow. Raises OpError EFBIG, EOPNOTSUPP."""
        self.require_overwrites()
        self._cut(size)

    def _cut(self, size: int) -> None:
        require(size <= OBJECT_BYTES_MAX, errno.EFBIG)
        self.create()
        self.changes.append(api.Truncate(self.place.collection, self.what, size))
        self.dirty.append((min(size, self.info.size), abs(self.info.size - size)))
        self.info.size = size

    def remove(self) -> None:
        """Delete it. Raises OpError ENOENT."""
        self.require_exists()
        self.require_writable()
        self.user_modified = self.wiped = True
        self.exists = False
        self.changes.append(api.Remove(self.place.collection, self.what))
        self.dirty.append((0, self.info.size))
        self.info.size = 0
        self.info.watchers = []

    def empty(self) -> None:
        """Let it be, with nothing in it; who watches it stays."""
        self.create()
        self.wiped = True
        where = self.place.collection
        self.changes += [api.Remove(where, self.what), api.Touch(where, self.what)]
        self.dirty.append((0, self.info.size))
        self.info.size = 0

    def set_attr(self, name: bytes, value: bytes) -> None:
        """Put a user's attribute. Raises OpError ENAMETOOLONG."""
        require(len(name) <= ATTR_NAME_BYTES_MAX, errno.ENAMETOOLONG)
        self.create()
        attrs = {USER_PREFIX + name: bytes(value)}
        self.changes.append(api.SetAttrs(self.place.collection, self.what, attrs))

    def remove_attr(self, name: bytes) -> None:
        """Take a user's attribute. Raises OpError ENOENT for the object."""
        self.require_exists()
        self.user_modified = True
        self.changes.append(api.RemoveAttr(self.place.collection, self.what, USER_PREFIX + name))

    def omap_set(self, entries: dict[bytes, bytes]) -> None:
        """Put entries."""
        self._change_omap()
        self.changes.append(api.OmapSet(self.place.collection, self.what, entries))

    def omap_remove(self, keys: list[bytes]) -> None:
        """Take entries."""
        self._require_omap()
        self._change_omap()
        self.changes.append(api.OmapRemove(self.place.collection, self.what, keys))

    def omap_remove_range(self, first: bytes, last: bytes) -> None:
        """Take the entries from `first` up to, but without, `last`."""
        self._require_omap()
        self._change_omap()
        self.changes.append(api.OmapRemoveRange(self.place.collection, self.what, first, last))

    def omap_clear(self) -> None:
        """Take all entries and the header."""
        self._require_omap()
        self._change_omap()
        self.changes.append(api.OmapClear(self.place.collection, self.what))

    def omap_set_header(self, header: bytes) -> None:
        """Put the header."""
        self._change_omap()
        self.changes.append(api.OmapHeader(self.place.collection, self.what, header))

    def require_overwrites(self) -> None:
        """Raises OpError EOPNOTSUPP: of an erasure-coded pool without them."""
        require(not self.append_bytes, errno.EOPNOTSUPP)

    def require_writable(self) -> None:
        """Raises OpError EINVAL: a snapshot does not change."""
        require(self.what.snap == SNAP_HEAD, errno.EINVAL)

    def _change_omap(self) -> None:
        require(self.place.omap, errno.EOPNOTSUPP)
        self.create()

    def _require_omap(self) -> None:
        require(self.place.omap, errno.EOPNOTSUPP)
        self.require_exists()
