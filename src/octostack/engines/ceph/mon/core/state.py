# SPDX-License-Identifier: Apache-2.0
"""All that a monitor knows, and what may be changed of it at once.

`State` is what survives: a value. `Change` is one step of it, which goes to the store as a whole.
`Statistics` is what OSDs report: it is only in memory, and comes again.
"""

from typing import Any, Final

import msgspec

from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.core.osdmap import osds as osd_facts
from octostack.engines.ceph.core.osdmap import placement
from octostack.engines.ceph.mon.core import clusterlog
from octostack.engines.ceph.mon.core.auth import Auth
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.maps.mgrmap import MgrMap
from octostack.wire.ceph.maps.monmap import MonMap
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap, OSDState
from octostack.wire.ceph.objects import PG

TABLES: Final = (
    "config",
    "config_keys",
    "config_log",
    "auth_next_id",
    "auth",
    "mgrmap",
    "mutes",
    "metadata",
)
CONFIG_CHANGES_KEPT: Final = 100
RATE_OVER_NS: Final = 10 * 10**9


class ConfigChange(msgspec.Struct, frozen=True, array_like=True):
    """One step of the central configuration: (section/name, before, after)."""

    stamp: int
    text: str
    changes: tuple[tuple[str, str | None, str | None], ...]


class Mute(msgspec.Struct, frozen=True, array_like=True):
    """A health check that nobody wants to hear of. Times are nanoseconds; 0: for ever."""

    until: int
    sticky: bool
    summary: str
    count: int


class State(msgspec.Struct, frozen=True):
    """The maps and tables of a cluster."""

    monmap: MonMap
    osdmap: OSDMap
    config: dict[str, dict[str, str]] = {}  # section -> option -> value
    config_keys: dict[str, bytes] = {}
    config_log: tuple[ConfigChange, ...] = ()
    auth_next_id: int = 4096
    auth: Auth = Auth()
    mgrmap: MgrMap = MgrMap()
    mutes: dict[str, Mute] = {}  # by code
    metadata: dict[str, dict[str, str]] = {}  # what daemons said of themselves, by name
    log: tuple[Line, ...] = ()
    monmaps: dict[int, MonMap] = {}  # of all epochs that are kept


class Change(msgspec.Struct, frozen=True):
    """One step. What is None stays."""

    osdmap: Incremental | None = None
    monmap: MonMap | None = None
    config: dict[str, dict[str, str]] | None = None
    config_keys: dict[str, bytes] | None = None
    config_log: tuple[ConfigChange, ...] | None = None
    auth_next_id: int | None = None
    auth: Auth | None = None
    mgrmap: MgrMap | None = None
    mutes: dict[str, Mute] | None = None
    metadata: dict[str, dict[str, str]] | None = None
    log: tuple[Line, ...] = ()  # new lines, numbered

    @property
    def is_empty(self) -> bool:
        return self == Change()


def apply(state: State, change: Change) -> State:
    """The state after the step. Raises Invalid for a change of the map that does not follow."""
    values: dict[str, Any] = {}
    if change.log:
        values["log"] = clusterlog.grown(state.log, change.log)
    if change.monmap is not None and change.monmap.epoch > state.monmap.epoch:
        values["monmap"] = change.monmap  # an older one is learned late
    if change.monmap is not None:
        values["monmaps"] = state.monmaps | {change.monmap.epoch: change.monmap}
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
    scrubbed_ns: int = 0
    deep_scrubbed_ns: int = 0
    scrub_errors: int = 0
    clean: int = 0  # the epoch in which it was last known to be; what was before matters no more
    blocked_by: tuple[int, ...] = ()  # OSDs that are down, and may know of writes

    @property
    def up_primary(self) -> int:
        """The first of `up` that is no hole; -1: none is."""
        return placement.first(list(self.up))

    @property
    def acting_primary(self) -> int:
        """The same of those who act."""
        return placement.first(list(self.acting))


class OSDReport(msgspec.Struct, frozen=True, array_like=True):
    """How full an OSD is, and the groups it is the primary of."""

    osd: int
    total_bytes: int
    used_bytes: int
    available_bytes: int
    groups: tuple[GroupReport, ...] = ()
    data_bytes: int = 0  # what objects take, copies of all groups
    held_groups: int = 0  # of which it has data, also old
    commit_ns: int = 0  # how long a change takes to be durable, of late
    epoch: int = 0  # the newest whose map is durable there
    told: dict[str, str] = {}  # options that it was told directly


class Seen(msgspec.Struct):
    """When a group was last, or first, in which state, as its reports came in; nanoseconds."""

    reports: int = 0
    changed: int = 0
    fresh: int = 0
    active: int = 0
    peered: int = 0
    clean: int = 0
    became_active: int = 0
    became_peered: int = 0
    undegraded: int = 0
    fullsized: int = 0
    since_epoch: int = 0  # of this up and acting

    def note(self, before: GroupReport | None, now: GroupReport, at_ns: int) -> None:
        """A report came in."""
        self.reports += 1
        self.fresh = at_ns
        if before is None or before.state != now.state:
            self.changed = at_ns
        if before is None or before.acting != now.acting or before.up != now.up:
            self.since_epoch = now.reported_epoch
        was_active = before is not None and "active" in before.state
        if "active" in now.state:
            self.active = self.peered = at_ns
            if not was_active:
                self.became_active = self.became_peered = at_ns
        if "clean" in now.state:
            self.clean = at_ns
        if "degraded" not in now.state:
            self.undegraded = at_ns
        if "undersized" not in now.state:
            self.fullsized = at_ns


class Statistics:
    """The last report of each OSD and group, and what the manager does of itself."""

    def __init__(self) -> None:
        self.osds: dict[int, OSDReport] = {}
        self.groups: dict[PG, GroupReport] = {}
        self.seen: dict[PG, Seen] = {}
        self.reports: dict[int, int] = {}  # how many each OSD has sent
        self.before: dict[PG, tuple[int, GroupReport]] = {}  # an earlier one, for rates
        self._needed: dict[PG, int] = {}  # of each group: the oldest epoch of use to a copy
        self.version = 0
        self.updated_ns = 0
        self.balancer = Balancer()
        self.progress = Progress()

    def take(self, report: OSDReport, at_ns: int = 0) -> None:
        """Note a report."""
        self.osds[report.osd] = report
        self.reports[report.osd] = self.reports.get(report.osd, 0) + 1
        self.version += 1
        self.updated_ns = at_ns
        for group in report.groups:
            pg = PG(group.pool, group.seed)
            known = self.groups.get(pg)
            if known is None or known.reported_epoch <= group.reported_epoch:
                self.groups[pg] = group
                self.seen.setdefault(pg, Seen()).note(known, group, at_ns)
                if pg not in self.before or at_ns - self.before[pg][0] > RATE_OVER_NS:
                    self.before[pg] = (at_ns, group)

    def forget_missing(self, osdmap: OSDMap) -> None:
        """Drop what the map does not have any more."""
        for pg in [pg for pg in self.groups if not _is_there(osdmap, pg)]:
            del self.groups[pg]
            self.seen.pop(pg, None)
            self.before.pop(pg, None)
        for pg in [pg for pg in self._needed if not _is_there(osdmap, pg)]:
            del self._needed[pg]
        for osd in [osd for osd in self.osds if not osd_facts.is_known(osdmap, osd)]:
            del self.osds[osd]

    def oldest_needed(self, osdmap: OSDMap, limit: int) -> int:
        """The oldest epoch, `limit` at most, that a copy of some group may have to see when it
        comes back: one in which the group was last clean, and that all who acted then had. It is
        0 as long as of any group that is not known (LastEpochClean of Ceph's OSDMonitor)."""
        for number, pool in osdmap.pools.items():
            for seed in range(pool.pg_num):
                limit = min(limit, self._needed_of(PG(number, seed), limit))
                if not limit:
                    return 0
        return limit

    def _needed_of(self, pg: PG, limit: int) -> int:
        """Looked for only where what was found earlier does not do: it never falls."""
        known = self._needed.get(pg, 0)
        group = self.groups.get(pg)
        if known >= limit or group is None:
            return known
        there = (self.osds.get(osd) for osd in group.acting if 0 <= osd != ITEM_NONE)
        had = (report.epoch if report is not None else 0 for report in there)
        self._needed[pg] = max(known, min([group.clean, *had]))
        return self._needed[pg]

    def list_groups(self, osdmap: OSDMap) -> dict[PG, GroupReport]:
        """Every group of the map; `unknown` if nobody has reported, `stale` if who did is down."""
        found = {}
        for number, pool in osdmap.pools.items():
            for seed in range(pool.pg_num):
                pg = PG(number, seed)
                group = self.groups.get(pg) or GroupReport(number, seed, "unknown", (), ())
                primary = group.acting_primary
                if primary != placement.NOBODY and not osd_facts.is_up(osdmap, primary):
                    group = msgspec.structs.replace(group, state=f"stale+{group.state}")
                found[pg] = group
        return found

    def held(self, osdmap: OSDMap, number: int) -> tuple[int, int]:
        """(objects, bytes) in a pool, copies not counted."""
        seeds = range(osdmap.pools[number].pg_num)
        groups = [self.groups[pg] for seed in seeds if (pg := PG(number, seed)) in self.groups]
        return sum(group.objects for group in groups), sum(group.bytes for group in groups)

    def lies_on_full(self, osdmap: OSDMap, number: int) -> bool:
        """Whether a group of the pool is on an OSD that is full."""
        state = osdmap.osd_state
        return any(
            state[osd] & OSDState.FULL
            for pg, group in self.groups.items()
            if pg.pool == number
            for osd in group.acting
            if 0 <= osd < len(state)
        )


class Balancer(msgspec.Struct):
    """What the balancer did last."""

    looked_ns: int = 0
    took_ns: int = 0
    result: str = ""
    is_even: bool = False


class Event(msgspec.Struct):
    """Something that takes long: groups on their way after an OSD went out or came in."""

    id: str
    message: str
    began_ns: int
    groups: frozenset[PG]
    progress: float = 0.0
    ended_ns: int = 0


class Progress(msgspec.Struct):
    """Events under way, and those that ended."""

    inside: frozenset[int] | None = None  # OSDs that were in when it was last looked
    events: dict[str, Event] = msgspec.field(default_factory=dict)
    completed: list[Event] = msgspec.field(default_factory=list)


def _is_there(osdmap: OSDMap, pg: PG) -> bool:
    pool = osdmap.pools.get(pg.pool)
    return pool is not None and pg.seed < pool.pg_num
