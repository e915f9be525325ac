# SPDX-License-Identifier: Apache-2.0
"""A whole object as the changes of the store that make it."""

from octostack.engines.ceph.osd import backend
from octostack.engines.ceph.osd.core.values import Copy
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.engines.ceph.osd.ops.state import SNAPSET_ATTR, decode_snapset
from octostack.wire.ceph.objects import ShardPG


def changes_to(where: ShardPG, copy: Copy) -> list[api.Change]:
    """What makes an object that, in a copy of its group."""
    what = copy.object
    changes: list[api.Change] = [api.Remove(where, what)]
    if copy.exists:
        changes += [api.Truncate(where, what, copy.size)]
        changes += [api.Write(where, what, at, data) for at, data in copy.data]
        changes += [api.SetAttrs(where, what, copy.attrs)]
        changes += [api.OmapHeader(where, what, copy.header)] if copy.header else []
        changes += [api.OmapSet(where, what, copy.omap)] if copy.omap else []
        changes += _index(where, copy)
    return changes


def _index(where: ShardPG, copy: Copy) -> list[api.Change]:
    """The index of snapshots, for the clones that came with a head."""
    data = copy.attrs.get(SNAPSET_ATTR)
    clones = decode_snapset(data).clones if data else []
    entries = {
        backend.snap_key(snap, snap_of(copy.object, clone.id)): b""
        for clone in clones
        for snap in clone.snaps
    }
    return [api.OmapSet(where, backend.snaps_object(where), entries)] if entries else []
