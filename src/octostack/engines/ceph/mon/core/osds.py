# SPDX-License-Identifier: Apache-2.0
"""What OSDs, and operators about OSDs, change in the map."""

import errno
from collections.abc import Iterable
from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds, placement
from octostack.engines.ceph.mon.core.state import next_change
from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.maps.osdmap import Incremental, MapFlag, OSDMap, OSDState, OSDXInfo
from octostack.wire.ceph.messages.cluster import OSDBoot
from octostack.wire.ceph.objects import PG

_replace = msgspec.structs.replace
_NANOS: Final = 1_000_000_000
WHOLE: Final = 0xFFFFFFFF  # a probability of 1


class Laggy(msgspec.Struct, frozen=True):
    """How much the last time counts that an OSD was down, and how many seconds of it at most."""

    weight: float = 0.3
    interval_max_s: int = 300


def boot(
    osdmap: OSDMap,
    message: OSDBoot,
    addresses: Addresses,
    now_ns: int,
    laggy: Laggy = Laggy(),  # noqa: B008 - a frozen value
) -> Incremental | int | None:
    """An OSD is up: the change, None when the map says so already, or an errno.

    An OSD that the map has as up elsewhere is another process of it: it is marked down first, and
    comes again with the map of that.
    """
    osd = message.superblock.osd
    if not osds.is_known(osdmap, osd):
        return errno.ENOENT
    if osdmap.osd_uuid[osd] != message.superblock.osd_fsid:
        return errno.EPERM
    if osdmap.flags & MapFlag.NOUP or osdmap.osd_state[osd] & OSDState.NOUP:
        return None  # it asks again
    change = next_change(osdmap, now_ns)
    if osds.is_up(osdmap, osd):
        here = (osdmap.client_addresses[osd], osdmap.cluster_addresses[osd])
        if here == (addresses, message.cluster or addresses):
            return None
        return _replace(change, new_state={osd: int(OSDState.UP)}, new_last_up_change=now_ns)
    is_new = osdmap.osd_state[osd] & (OSDState.NEW | OSDState.AUTOOUT)
    stays_out = osdmap.flags & MapFlag.NOIN or osdmap.osd_state[osd] & OSDState.NOIN
    weight = {osd: osdmap.osd_xinfo[osd].old_weight or osds.IN} if is_new and not stays_out else {}
    was_wrong = osdmap.client_addresses[osd] == addresses  # the process has lived through it
    xinfo = _lagged(osdmap.osd_xinfo[osd], laggy, now_ns, was_wrong=was_wrong)
    xinfo = _replace(xinfo, features=message.features)
    return _replace(
        change,
        new_up_client={osd: addresses},
        new_up_cluster={osd: message.cluster or addresses},
        new_heartbeat_back_up={osd: message.back or addresses},
        new_heartbeat_front_up={osd: message.front or addresses},
        new_weight=weight,
        new_xinfo={osd: xinfo},
        new_last_up_change=now_ns,
        new_last_in_change=now_ns if weight else 0,
    )


def _lagged(known: OSDXInfo, laggy: Laggy, now_ns: int, *, was_wrong: bool) -> OSDXInfo:
    """Who starts anew is trusted a little more, who was marked down wrongly a little less."""
    weight, rest = laggy.weight, 1 - laggy.weight
    probability, interval_s = known.laggy_probability * rest, known.laggy_interval * rest
    if was_wrong and known.down_stamp:
        away_s = min((now_ns - known.down_stamp) // _NANOS, laggy.interval_max_s)
        probability += weight * WHOLE
        interval_s += weight * away_s
    return _replace(known, laggy_probability=int(probability), laggy_interval=int(interval_s))


def mark_down(osdmap: OSDMap, numbers: Iterable[int], now_ns: int) -> Incremental | None:
    """Those of `numbers` that are up go down."""
    down = {osd: int(OSDState.UP) for osd in numbers if osds.is_up(osdmap, osd)}
    if not down:
        return None
    return _replace(next_change(osdmap, now_ns), new_state=down, new_last_up_change=now_ns)


def weigh(osdmap: OSDMap, weights: dict[int, int], now_ns: int) -> Incremental | None:
    """Sets weights of 0 (out) to 0x10000 (in)."""
    changed = {
        osd: weight
        for osd, weight in weights.items()
        if osds.is_known(osdmap, osd) and osdmap.osd_weight[osd] != weight
    }
    if not changed:
        return None
    return _replace(next_change(osdmap, now_ns), new_weight=changed, new_last_in_change=now_ns)


def raise_up_thru(osdmap: OSDMap, osd: int, want: int, now_ns: int) -> Incremental | None:
    """An OSD was alive through epoch `want`."""
    if not osds.is_up(osdmap, osd) or osdmap.osd_info[osd].up_thru >= want:
        return None
    return _replace(next_change(osdmap, now_ns), new_up_thru={osd: want})


def set_acting(
    osdmap: OSDMap, osd: int, wanted: dict[PG, tuple[int, ...]], now_ns: int
) -> Incremental | None:
    """The primary of groups asks for others to act in them (none: those that CRUSH chose)."""
    changed = {
        pg: acting
        for pg, acting in wanted.items()
        if acting != osdmap.pg_temp.get(pg, ())
        and placement.of_group(osdmap, pg).acting_primary == osd
        and all(member == ITEM_NONE or osds.is_up(osdmap, member) for member in acting)
    }
    if not changed:
        return None
    return _replace(next_change(osdmap, now_ns), new_pg_temp=changed)
