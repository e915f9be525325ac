# SPDX-License-Identifier: Apache-2.0
"""What a scrub sees of a copy: sizes, attributes, and the digests of bytes and omaps."""

from collections.abc import Callable, Iterable, Iterator

import google_crc32c

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.core.scrub.values import Seen
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops import listing
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.wire.ceph.objects import HOBJECT_MAX, HObject, ShardPG

_PIECE = 1 << 20
_PAGE = 256

Fold = Callable[[Iterable[bytes]], bytes]  # the digest of a shard, from its bytes in parts


def end_of_range(
    store: api.ObjectStore, where: ShardPG, first: HObject, count: int, size: int
) -> HObject:
    """Where a range from `first` on ends that has about `count` objects and no more than `size`
    bytes, or one object with its clones; never between the clones of one object."""
    found = store.list_objects(where, first, limit=count + 3)
    inside = total = 0
    for what in found:
        if not what.name:
            continue
        total += store.size(where, what)
        head = snap_of(what, 0)
        if inside and (inside >= count or total > size) and head.sort_key() > first.sort_key():
            return head
        inside += 1
    if len(found) < count + 3:
        return HOBJECT_MAX
    end = snap_of(found[-1], 0)
    if end.sort_key() > first.sort_key():
        return end
    return end_of_range(store, where, first, 2 * count, size)  # all are clones of one object


def look(
    store: api.ObjectStore,
    where: ShardPG,
    span: tuple[HObject, HObject],
    deep: bool,
    fold: Fold | None = None,
) -> dict[HObject, Seen]:
    """The objects from the first to, but without, the second of `span`; shards are digested by
    `fold`."""
    first, end = span
    seen: dict[HObject, Seen] = {}
    while True:
        page = store.list_objects(where, first, end, limit=_PAGE)
        for what in page:
            if what.name:
                seen[what] = _look_at(store, where, what, deep, fold)
        if len(page) < _PAGE:
            return seen
        first = listing.after(page[-1])


def _look_at(
    store: api.ObjectStore, where: ShardPG, what: HObject, deep: bool, fold: Fold | None
) -> Seen:
    size = attrs = None
    try:
        size, attrs = store.size(where, what), dict(store.attrs(where, what))
        if not deep:
            return Seen(size, attrs)
        if fold is not None:
            piece, omap = fold(_parts(store, where, what)), _omap(store, where, what)
            return Seen(size, attrs, None, omap, piece=piece)
        return Seen(size, attrs, _data(store, where, what), _omap(store, where, what))
    except Corrupt:
        return Seen(size or 0, attrs or {}, unreadable=True)


def _parts(store: api.ObjectStore, where: ShardPG, what: HObject) -> Iterator[bytes]:
    for at in range(0, store.size(where, what), _PIECE):
        yield store.read(where, what, at, _PIECE)


def _data(store: api.ObjectStore, where: ShardPG, what: HObject) -> int:
    digest: int = 0
    for part in _parts(store, where, what):
        digest = google_crc32c.extend(digest, part)
    return digest


def _omap(store: api.ObjectStore, where: ShardPG, what: HObject) -> int:
    digest: int = google_crc32c.value(store.omap_header(where, what))
    first = b""
    while True:
        page = store.omap_list(where, what, first, _PAGE)
        for key, value in page:
            both = b"%d %d " % (len(key), len(value)) + key + value
            digest = google_crc32c.extend(digest, both)
        if len(page) < _PAGE:
            return digest
        first = page[-1][0] + b"\0"
