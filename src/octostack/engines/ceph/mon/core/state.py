# SPDX-License-Identifier: Apache-2.0
"""All that a monitor knows, and what may be changed of it at once.

`State` is what survives: a value. `Change` is one step of it, which goes to the store as a whole.
`Statistics` is what OSDs report: it is only in memory, and comes again.
"""

from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.mon.core.auth import Auth
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.objects import PG

KEPT_EPOCHS: Final = 500
TABLES: Final = ("config", "config_keys", "auth_next_id", "auth")


class State(msgspec.Struct, frozen=True):
    """The maps and tables of a cluster."""

    monmap: MonMap
    osdmap: OSDMap
    config: dict[str, dict[str, str]] = {}  # section -> option -> value
    config_keys: dict[str, bytes] = {}
    auth_next_id: int = 4096
    auth: Auth = Auth()


class Change(msgspec.Struct, frozen=True):
    """One step. What is None stays."""

    osdmap: Incremental | None = None
    config: dict[str, dict[str, str]] | None = None
    config_keys: dict[str, bytes] | None = None
    auth_next_id: int | None = None
    auth: Auth | None = None

    @property
    def is_empty(self) -> bool:
        return self == Change()


def apply(state: State, change: Change) -> State:
    """The state after the step. Raises Invalid for a change of the map that does not follow."""
    values = {}
    if change.osdmap is not None:
        values["osdmap"] = osd_changes.apply(state.osdmap, change.osdmap)
    for name in TABLES:
        value = getattr(change, name)
        if value is not None:
            values[name] = value
    return msgspec.structs.replace(state, **values)


def next_change(osdmap: OSDMap, now_ns: int) -> Incremental:
    """A change to the next epoch that changes nothing yet."""
    return Incremental(fsid=osdmap.fsid, epoch=osdmap.epoch + 1, modified=now_ns)


def sealed(osdmap: OSDMap, change: Incremental) -> tuple[Incremental, OSDMap, bytes]:
    """The change with the checksum of the map it leads to, that map, and its blob."""
    after = osd_changes.apply(osdmap, change)
    blob = osdmap_wire.encode(after)
    return (
        msgspec.structs.replace(change, full_crc=osdmap_wire.checksum(blob)),
        after,
        blob,
    )


class GroupReport(msgspec.Struct, frozen=True, array_like=True):
    """A placement group, as its primary sees it."""

    pool: int
    seed: int
    state: str
    up: tuple[int, ...]
    acting: tuple[int, ...]
    objects: int = 0
    bytes: int = 0
    clones: int = 0
    degraded: int = 0
    misplaced: int = 0
    unfound: int = 0
    version: tuple[int, int] = (0, 0)
    reported_epoch: int = 0
    omap_bytes: int = 0
    omap_keys: int = 0
    reads: int = 0
    read_kb: int = 0
    writes: int = 0
    write_kb: int = 0


class OSDReport(msgspec.Struct, frozen=True, array_like=True):
    """How full an OSD is, and the groups it is the primary of."""

    osd: int
    total_bytes: int
    used_bytes: int
    available_bytes: int
    groups: tuple[GroupReport, ...] = ()


class Statistics:
    """The last report of each OSD and group."""

    def __init__(self) -> None:
        self.osds: dict[int, OSDReport] = {}
        self.groups: dict[PG, GroupReport] = {}

    def take(self, report: OSDReport) -> None:
        """Note a report."""
        self.osds[report.osd] = report
        for group in report.groups:
            pg = PG(group.pool, group.seed)
            known = self.groups.get(pg)
            if known is None or known.reported_epoch <= group.reported_epoch:
                self.groups[pg] = group

    def forget_missing(self, osdmap: OSDMap) -> None:
        """Drop what the map does not have any more."""
        for pg in [pg for pg in self.groups if not _is_there(osdmap, pg)]:
            del self.groups[pg]

    def list_groups(self, osdmap: OSDMap) -> dict[PG, GroupReport]:
        """Every group of the map; `unknown` where nobody has reported."""
        found = {}
        for number, pool in osdmap.pools.items():
            for seed in range(pool.pg_num):
                pg = PG(number, seed)
                found[pg] = self.groups.get(pg) or GroupReport(number, seed, "unknown", (), ())
        return found


def _is_there(osdmap: OSDMap, pg: PG) -> bool:
    pool = osdmap.pools.get(pg.pool)
    return pool is not None and pg.seed < pool.pg_num
