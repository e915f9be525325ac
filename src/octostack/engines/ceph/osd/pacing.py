# SPDX-License-Identifier: Apache-2.0
"""What the configuration and the flags of the map mean to the copies on an OSD, at once."""

import asyncio
from collections.abc import Callable

from octostack.engines.ceph.osd.copies import Copies
from octostack.engines.ceph.osd.core.allowance import OBJECTS_MAX, TURN_BYTES, Rules
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.options import Options
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap

TICK_S = 1.0  # of the OSD


class Pacing:
    """How much recovery does at a time, and when it lets others have their turn."""

    def __init__(self, copies: Copies, options: Options) -> None:
        self._copies = copies
        self._options = options
        copies.allowance.rest = self._rest

    def follow(self, osdmap: OSDMap) -> None:
        """The map or the options may be others."""
        number, copies, flags = self._options.number, self._copies, osdmap.flags
        places = max(1, int(number("osd_max_backfills")))
        for kind in (copies.own_places, copies.others_places):
            if kind.most != places:
                kind.resize(places)
        copies.allowance.turn_bytes = 0 if number("osd_recovery_sleep") else TURN_BYTES
        copies.allowance.follow(
            Rules(
                objects_max=max(0, int(number("osd_recovery_max_active"))) or OBJECTS_MAX,
                bytes_max=max(1, int(number("osd_max_push_cost"))),
                may_recover=not flags & MapFlag.NORECOVER,
                may_fill=not flags & MapFlag.NOBACKFILL,
                may_rebalance=not flags & MapFlag.NOREBALANCE,
                is_full=_is_full(copies.store.space(), osdmap.backfillfull_ratio),
                retry_ticks=max(1, int(number("osd_backfill_retry_interval") / TICK_S)),
            )
        )
        copies.remember(max(1, int(number("osd_max_pg_log_entries"))))

    def scrub(self, go_on: Callable[[], None]) -> None:
        """A scrub takes turns with all else."""
        _later(self._options.number("osd_scrub_sleep"), go_on)

    def _rest(self, go_on: Callable[[], None]) -> None:
        _later(self._options.number("osd_recovery_sleep"), go_on)


def _later(seconds: float, go_on: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    if seconds > 0:
        loop.call_later(seconds, go_on)
    else:
        loop.call_soon(go_on)


def _is_full(space: api.Space, ratio: float) -> bool:
    return ratio > 0 and space.free < space.total * (1 - ratio)
