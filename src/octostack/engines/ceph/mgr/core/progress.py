# SPDX-License-Identifier: Apache-2.0
"""How far the cluster is with what takes long, for people who wait.

When an OSD goes out or comes in, the groups that are not clean then are on their way; the event
ends when they have arrived.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core.state import Event

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query
    from octostack.engines.ceph.mon.core.state import Change, Progress

KEPT: Final = 50
_NANOS: Final = 1_000_000_000


def follow(query: Query) -> Change | None:
    """Look at the map and the groups; changes nothing that is kept."""
    map_, now = query.state.osdmap, query.now_ns
    progress = query.statistics.progress
    inside = frozenset(osd for osd in osds.list_known(map_) if osds.is_in(map_, osd))
    groups = query.statistics.list_groups(map_)
    moving = frozenset(pg for pg, group in groups.items() if "clean" not in group.state)
    moving |= frozenset(pg for pg, group in groups.items() if "remapped" in group.state)
    before = progress.inside
    if before is not None:
        for word, changed in (("out", before - inside), ("in", inside - before)):
            for osd in sorted(changed):
                message = f"Rebalancing after osd.{osd} marked {word}"
                made = Event(str(uuid.UUID(bytes=query.senses.random(16))), message, now, moving)
                progress.events[made.id] = made
    progress.inside = inside
    _advance(progress, moving, frozenset(groups), now)
    return None


def _advance(progress: Progress, moving: frozenset[Any], known: frozenset[Any], now: int) -> None:
    for event in list(progress.events.values()):
        # what moves soon after the change moves because of it
        if now - event.began_ns < 3 * _NANOS:
            event.groups |= moving
            continue
        if not event.groups:  # nothing had to move
            del progress.events[event.id]
            continue
        left = event.groups & moving & known
        total = len(event.groups)
        event.progress = 1.0 if not total else (total - len(left)) / total
        if not left:
            event.ended_ns = now
            del progress.events[event.id]
            progress.completed = [*progress.completed, event][-KEPT:]


def view(event: Event) -> dict[str, Any]:
    """As the command `progress json` shows it."""
    return {
        "id": event.id,
        "message": event.message,
        "refs": [["osd", word[4:]] for word in event.message.split() if word.startswith("osd.")],
        "add_to_ceph_s": True,
        "started_at": event.began_ns / _NANOS,
        **({"finished_at": event.ended_ns / _NANOS} if event.ended_ns else {}),
        **({} if event.ended_ns else {"progress": event.progress}),
    }
