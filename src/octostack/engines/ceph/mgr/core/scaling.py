# SPDX-License-Identifier: Apache-2.0
"""How many groups each pool should have, by what it holds of the space below its rule's root.

The sum of copies of groups comes near `mon_target_pg_per_osd` for each OSD; pools share it by the
space that they take, or are said to be going to take, and change only when the best number is
three times away from what they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import pools
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.settings import number_of
from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.maps.crush import TAKE
from octostack.wire.ceph.maps.pool import AUTOSCALE_NAMES, REPLICATED

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query
    from octostack.wire.ceph.maps.osdmap import OSDMap
    from octostack.wire.ceph.maps.pool import Pool

THRESHOLD: Final = 3.0
GROUPS_DEFAULT: Final = 32


class Advice(msgspec.Struct, frozen=True):
    """What one pool has, and what it should have."""

    number: int
    name: str
    mode: str
    root: int
    capacity: int
    logical: int
    rate: float
    bias: float
    bulk: bool
    target_bytes: int
    target_ratio: float
    share: float
    ideal: int
    final: int
    would_change: bool
    pg_num_target: int

    @property
    def raw(self) -> float:
        """What it takes on disks."""
        return self.logical * self.rate


def advise(query: Query) -> list[Advice]:
    """For each pool."""
    map_ = query.state.osdmap
    return [_advise(query, number, pool) for number, pool in sorted(map_.pools.items())]


def _advise(query: Query, number: int, pool: Pool) -> Advice:
    map_ = query.state.osdmap
    root = root_of(map_, pool)
    members = below(map_, root)
    capacity = sum(
        query.statistics.osds[osd].total_bytes for osd in members if osd in query.statistics.osds
    )
    _, held = query.statistics.held(map_, number)
    rate = float(pool.size) if pool.type == REPLICATED else _overhead(map_, pool)
    target_bytes = int(pools.option_of(pool, "target_size_bytes") or 0)
    target_ratio = float(pools.option_of(pool, "target_size_ratio") or 0.0)
    bias = float(pools.option_of(pool, "pg_autoscale_bias") or 1.0)
    share = max(held, target_bytes) * rate / capacity if capacity else 0.0
    share = max(share, target_ratio)
    wanted = number_of(query.config, "mon_target_pg_per_osd") * len(members)
    ideal = int(share * wanted / max(1.0, rate) * bias)
    least = int(pools.option_of(pool, "pg_num_min") or GROUPS_DEFAULT)
    final = max(least, nearest_power(ideal))
    most = int(pools.option_of(pool, "pg_num_max") or 0)
    final = min(final, most) if most else final
    now = pool.pg_num_target or pool.pg_num
    apart = final > now * THRESHOLD or final < now / THRESHOLD
    return Advice(
        number=number,
        name=map_.pool_names[number],
        mode=AUTOSCALE_NAMES[pool.pg_autoscale_mode],
        root=root,
        capacity=capacity,
        logical=held,
        rate=rate,
        bias=bias,
        bulk=False,
        target_bytes=target_bytes,
        target_ratio=target_ratio,
        share=share,
        ideal=ideal,
        final=final,
        would_change=apart and share <= 1.0,
        pg_num_target=now,
    )


def _overhead(map_: OSDMap, pool: Pool) -> float:
    profile = map_.erasure_code_profiles.get(pool.erasure_code_profile, {})
    k = int(profile.get("k", "1") or 1)
    return (k + int(profile.get("m", "0") or 0)) / k


def nearest_power(number: int) -> int:
    """The power of two that is nearest."""
    if number < 1:
        return 1
    above = 1 << (number - 1).bit_length()
    below_it = above >> 1
    return above if above - number <= number - below_it else below_it


def root_of(map_: OSDMap, pool: Pool) -> int:
    """Where the pool's rule begins."""
    rules = map_.crush.rules
    rule = rules[pool.crush_rule] if pool.crush_rule < len(rules) else None
    for step in rule.steps if rule else ():
        if step.op == TAKE:
            return step.arg1
    return -1


def below(map_: OSDMap, root: int) -> set[int]:
    """The OSDs under a bucket that are in."""
    found: set[int] = set()
    items = [root]
    while items:
        item = items.pop()
        bucket = map_.crush.find_bucket(item) if item < 0 else None
        if bucket is not None:
            items += bucket.items
        elif item >= 0 and osds.is_in(map_, item):
            found.add(item)
    return found


def scale(query: Query) -> Change | None:
    """A pool whose mode is `on` gets the number that it should have."""
    for advice in advise(query):
        if advice.mode == "on" and advice.would_change:
            map_ = query.state.osdmap
            try:
                pool = pools.setting(map_, advice.number, "pg_num", str(advice.final))
            except Failure:
                continue  # the pool, or the cluster, does not let it be changed
            return Change(osdmap=pools.update(map_, advice.number, pool, query.now_ns))
    return None
