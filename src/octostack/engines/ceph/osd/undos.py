# SPDX-License-Identifier: Apache-2.0
"""What a shard keeps to take back its last changes, in the omap of the group's own object."""

from collections.abc import Callable

import msgspec

from octostack.engines.ceph.osd import backend
from octostack.engines.ceph.osd.core.shards import undoing
from octostack.engines.ceph.osd.core.shards.undoing import Step, Undo
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

_FIRST = 0x55  # byte of the keys


def key_of(version: EVersion) -> bytes:
    """Where it stands how to undo a change."""
    return bytes([_FIRST]) + backend.entry_key(version)[1:]


def load(store: api.ObjectStore, where: ShardPG) -> dict[EVersion, Undo]:
    """All that can be taken back."""
    meta = backend.meta_object(where)
    found: dict[EVersion, Undo] = {}
    if not store.exists(where, meta):
        return found
    for key, value in store.omap_list(where, meta, bytes([_FIRST]), 1 << 30):
        if key[0] != _FIRST:
            break
        epoch, version = int.from_bytes(key[1:5], "big"), int.from_bytes(key[5:13], "big")
        found[EVersion(epoch, version)] = undoing.decode(value)
    return found


def plan_split(
    store: api.ObjectStore, where: ShardPG, child_of: Callable[[HObject], ShardPG | None]
) -> list[api.Change]:
    """They go with the objects that they are about, as does what is kept for them."""
    changes: list[api.Change] = []
    for version, undo in load(store, where).items():
        of_objects = (step for step in undo.steps if not isinstance(step, api.OmapSet))
        child = next((child_of(step.object) for step in of_objects), None)
        if child is None:
            continue
        steps = [_moved(step, where, child) for step in undo.steps]
        note = {key_of(version): undoing.encode(Undo(steps, undo.kept))}
        changes.append(api.OmapSet(child, backend.meta_object(child), note))
        changes.append(api.OmapRemove(where, backend.meta_object(where), list(note)))
    return changes


def _moved(step: Step, where: ShardPG, child: ShardPG) -> Step:
    step = msgspec.structs.replace(step, collection=child)
    if isinstance(step, api.OmapSet) and step.object == backend.snaps_object(where):
        return msgspec.structs.replace(step, object=backend.snaps_object(child))
    return step
