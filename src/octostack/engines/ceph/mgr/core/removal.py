# SPDX-License-Identifier: Apache-2.0
"""An OSD that leaves the map."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from octostack.engines.ceph.core.crush import edit
from octostack.engines.ceph.mon.core.answers import Answer
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.maps import crush
from octostack.wire.ceph.maps.osdmap import OSDState

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query


def remove_osd(query: Query, number: int, *, purge: bool) -> Answer:
    """Its number is kept for a successor, or all that is known of it goes, its key too."""
    state = query.state
    step = next_change(state.osdmap, query.now_ns)
    entities = {name: one for name, one in state.auth.entities.items() if name != f"osd.{number}"}
    auth = msgspec.structs.replace(state.auth, entities=entities)
    if not purge:
        bits = int(OSDState.DESTROYED) if not _bits(query, number) & OSDState.DESTROYED else 0
        step = msgspec.structs.replace(
            step,
            new_state={number: bits} if bits else {},
            new_uuid={number: uuid.UUID(int=0)},  # what its disk has never comes back
        )
        status = f"destroyed osd.{number} "
        return Answer(status=status, change=Change(osdmap=step, auth=auth))
    step = msgspec.structs.replace(step, new_state={number: _bits(query, number)})
    tree = state.osdmap.crush
    name = f"osd.{number}"
    if any(bucket and number in bucket.items for bucket in tree.buckets):
        step = msgspec.structs.replace(step, crush=crush.encode(edit.remove_item(tree, name)))
    metadata = {key: value for key, value in state.metadata.items() if key != name}
    return Answer(
        status=f"purged osd.{number} ",
        change=Change(osdmap=step, auth=auth, metadata=metadata),
    )


def _bits(query: Query, number: int) -> int:
    return query.state.osdmap.osd_state[number]
