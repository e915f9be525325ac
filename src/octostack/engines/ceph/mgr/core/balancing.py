# SPDX-License-Identifier: Apache-2.0
"""The balancer: entries of the map for single groups, so that each OSD has its share of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core.settings import number_of, text_of
from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.maps.crush import ITEM_NONE

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_NANOS = 1_000_000_000
MISPLACED_MAX = 0.05
CHANGES_MAX = 10


def is_active(query: Query) -> bool:
    """Whether it is wanted."""
    return bool(number_of(query.config, "mgr/balancer/active"))


def mode(query: Query) -> str:
    """`upmap` or `none`."""
    return text_of(query.config, "mgr/balancer/mode", "mgr")


def balance(query: Query) -> Change | None:
    """The next step, when it is time for one and all data is where it belongs."""
    status = query.statistics.balancer
    pause_s = number_of(query.config, "mgr/balancer/sleep_interval")
    if query.now_ns - status.looked_ns < pause_s * _NANOS:
        return None
    status.looked_ns, status.took_ns = query.now_ns, 0
    status.is_even = False
    map_ = query.state.osdmap
    if not is_active(query) or mode(query) != "upmap":
        return None
    if not map_.pools:
        status.result = "No pools available"
        return None
    groups = query.statistics.list_groups(map_).values()
    if any("active" not in group.state or "degraded" in group.state for group in groups):
        status.result = "Some groups are not active, or degraded: try again later"
        return None
    share = sum("remapped" in group.state for group in groups) / max(1, len(groups))
    if share > MISPLACED_MAX:
        status.result = f"Too many objects ({share:f} > {MISPLACED_MAX:f}) are misplaced"
        return None
    return _optimize(query)


def _optimize(query: Query) -> Change | None:
    from octostack.engines.ceph.core.osdmap import balance as upmaps  # noqa: PLC0415 - numpy

    status, map_ = query.statistics.balancer, query.state.osdmap
    deviation = max(1, number_of(query.config, "mgr/balancer/upmap_max_deviation"))
    found = upmaps.plan(map_, sorted(map_.pools), CHANGES_MAX, deviation)
    if not found.items and not found.removed:
        status.is_even = True
        status.result = (
            "Unable to find further optimization, or pool(s) pg_num is decreasing, "
            "or distribution is already perfect"
        )
        return None
    status.result = "Optimization plan created successfully"
    return Change(osdmap=found.change(map_, query.now_ns))


def score(query: Query) -> float:
    """How uneven groups lie: 0 is even, towards 1 is worse."""
    map_ = query.state.osdmap
    counts = [0] * map_.max_osd
    for group in query.statistics.list_groups(map_).values():
        for osd in group.up:
            if osd != ITEM_NONE and 0 <= osd < map_.max_osd:
                counts[osd] += 1
    used = [count for osd, count in enumerate(counts) if osds.is_in(map_, osd)]
    mean = sum(used) / len(used) if used else 0.0
    if not mean:
        return 0.0
    over = [(count - mean) / mean for count in used if count > mean]
    # the share of OSDs that have too much, weighed by how much that is, between 0 and 1
    return sum(2 * _phi(by) - 1 for by in over) / len(used)


def _phi(value: float) -> float:
    return (1 + math.erf(value / math.sqrt(2))) / 2
