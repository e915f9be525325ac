# SPDX-License-Identifier: Apache-2.0
"""What a monitor does as time passes and what its manager decides, as tables of cases."""

import uuid
from collections.abc import Callable

import msgspec
import pytest

from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.core.osdmap import osds as osd_facts
from octostack.engines.ceph.mgr.core import metrics, progress, scaling
from octostack.engines.ceph.mon.core import genesis, osds, pools, upkeep
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.state import (
    Change,
    GroupReport,
    OSDReport,
    State,
    Statistics,
    apply,
    next_change,
)
from octostack.engines.ceph.mon.keeper import Keeper
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.maps.osdmap import OSDState
from octostack.wire.ceph.maps.pool import PoolFlag
from octostack.wire.ceph.messages.cluster import OSDBoot, Superblock

NOW = 10**18
S = 10**9
OSDS = tuple(uuid.UUID(int=n + 1) for n in range(3))
WHERE = tuple((Address(2, "127.0.0.1", 6800 + n, n),) for n in range(3))


def world() -> tuple[State, Statistics]:
    """Three OSDs that are up, and a pool of 8 groups with 10 objects of 100 bytes in each."""
    founding = genesis.Founding(
        uuid.UUID(int=9), {"a": (Address(2, "127.0.0.1", 3300),)}, OSDS, NOW
    )
    map_ = genesis.first_osdmap(founding)
    for osd, unique in enumerate(OSDS):
        block = Superblock(uuid.UUID(int=9), osd, 1, 1, 1, osd_fsid=unique)
        step = osds.boot(map_, OSDBoot(block, (), (), 0, (), {}, 1), WHERE[osd], NOW)
        assert not isinstance(step, int | None)
        map_ = osd_changes.apply(map_, step)
    made = pools.create(map_, pools.Wanted("lab", 8, 3), NOW)
    map_ = osd_changes.apply(map_, made)
    number = next(iter(map_.pools))
    statistics = Statistics()
    groups = tuple(
        GroupReport(number, seed, "active+clean", (0, 1, 2), (0, 1, 2), 10, 1000)
        for seed in range(8)
    )
    for osd in range(3):
        statistics.take(OSDReport(osd, 100_000, 24_000, 76_000, groups if osd == 0 else ()), NOW)
    return State(genesis.first_monmap(founding), map_), statistics


def query(state: State, statistics: Statistics, at: int = NOW) -> Query:
    senses = Senses(lambda: at, lambda n: bytes(range(n)))
    return Query({}, state, statistics, Quorum(("a",), "a", 1, 5.0), at, senses)


def after(state: State, change: Change | None) -> State:
    assert change is not None
    return apply(state, msgspec.structs.replace(change, log=()))


def test_an_osd_goes_out_when_it_was_down_for_long() -> None:
    state, statistics = world()
    down = osds.mark_down(state.osdmap, [2], NOW)
    state = apply(state, Change(osdmap=down))
    assert upkeep.put_out(query(state, statistics, NOW + 599 * S)) is None
    late = after(state, upkeep.put_out(query(state, statistics, NOW + 601 * S)))
    assert not osd_facts.is_in(late.osdmap, 2)
    kept = msgspec.structs.replace(state, config={"mon": {"mon_osd_down_out_interval": "0"}})
    assert upkeep.put_out(query(kept, statistics, NOW + 10**6 * S)) is None


@pytest.mark.parametrize(
    ("free", "bit"),
    [(50_000, 0), (14_000, OSDState.NEARFULL), (9_000, OSDState.BACKFILLFULL), (4_000, 4 << 2)],
)
def test_how_full_an_osd_is_stands_in_the_map(free: int, bit: int) -> None:
    state, statistics = world()
    statistics.take(OSDReport(1, 100_000, 100_000 - free, free), NOW)
    change = upkeep.note_full(query(state, statistics))
    found = after(state, change) if change else state
    marks = OSDState.FULL | OSDState.BACKFILLFULL | OSDState.NEARFULL
    assert found.osdmap.osd_state[1] & marks == bit
    assert upkeep.note_full(query(found, statistics)) is None


def test_a_pool_is_full_at_its_quota_and_not_below() -> None:
    state, statistics = world()
    number, pool = next(iter(state.osdmap.pools.items()))
    for most, is_full in ((80, True), (81, False), (0, False)):
        limited = msgspec.structs.replace(pool, quota_max_objects=most)
        step = pools.update(state.osdmap, number, limited, NOW)
        at_hand = apply(state, Change(osdmap=step))
        change = upkeep.note_quotas(query(at_hand, statistics))
        assert (change is not None) == is_full
        if change is not None:
            flags = after(at_hand, change).osdmap.pools[number].flags
            assert flags & PoolFlag.FULL and flags & PoolFlag.FULL_QUOTA


def test_the_blocklist_ends() -> None:
    state, statistics = world()
    at = Address(3, "10.0.0.1", 0, 7)
    step = msgspec.structs.replace(next_change(state.osdmap, NOW), new_blocklist={at: NOW + S})
    state = apply(state, Change(osdmap=step))
    assert upkeep.forget_blocked(query(state, statistics)) is None
    later = after(state, upkeep.forget_blocked(query(state, statistics, NOW + 2 * S)))
    assert not later.osdmap.blocklist


def test_what_is_wrong_is_said_once_and_when_it_is_over() -> None:
    state, statistics = world()
    number, pool = next(iter(state.osdmap.pools.items()))
    named = msgspec.structs.replace(pool, application_metadata={"rados": {}})
    state = apply(state, Change(osdmap=pools.update(state.osdmap, number, named, NOW)))
    known, lines = upkeep.health_lines({}, query(state, statistics))
    assert (known, lines) == ({}, [])
    broken = apply(state, Change(osdmap=osds.mark_down(state.osdmap, [2], NOW)))
    known, lines = upkeep.health_lines(known, query(broken, statistics))
    assert [line.text for line in lines] == ["Health check failed: 1 osds down (OSD_DOWN)"]
    assert upkeep.health_lines(known, query(broken, statistics))[1] == []
    _, lines = upkeep.health_lines(known, query(state, statistics))
    assert [line.text for line in lines][-1] == "Cluster is now healthy"


@pytest.mark.parametrize(("number", "power"), [(0, 1), (3, 4), (5, 4), (33, 32), (100, 128)])
def test_the_nearest_power_of_two(number: int, power: int) -> None:
    assert scaling.nearest_power(number) == power


def test_a_pool_that_takes_much_should_have_more_groups() -> None:
    state, statistics = world()
    (advice,) = scaling.advise(query(state, statistics))
    assert (advice.rate, advice.logical, advice.capacity) == (3.0, 8000, 300_000)
    assert advice.share == pytest.approx(0.08)
    assert (advice.ideal, advice.final, advice.would_change) == (8, 32, True)


def test_an_event_ends_when_its_groups_have_arrived() -> None:
    state, statistics = world()
    progress.follow(query(state, statistics))
    out = apply(state, Change(osdmap=osds.weigh(state.osdmap, {2: 0}, NOW)))
    number = next(iter(state.osdmap.pools))
    moving = GroupReport(number, 0, "active+remapped", (0, 1), (0, 1, 2), 10, 1000)
    statistics.take(OSDReport(0, 100_000, 24_000, 76_000, (moving,)), NOW)
    progress.follow(query(out, statistics))
    progress.follow(query(out, statistics, NOW + 4 * S))
    (event,) = statistics.progress.events.values()
    assert (event.message, event.progress) == ("Rebalancing after osd.2 marked out", 0.0)
    clean = msgspec.structs.replace(moving, state="active+clean", acting=(0, 1))
    statistics.take(OSDReport(0, 100_000, 24_000, 76_000, (clean,)), NOW)
    progress.follow(query(out, statistics, NOW + 5 * S))
    assert not statistics.progress.events
    assert [one.progress for one in statistics.progress.completed] == [1.0]


def test_numbers_for_prometheus() -> None:
    state, statistics = world()
    found = metrics.text(metrics.gather(query(state, statistics)))
    number = next(iter(state.osdmap.pools))
    for line in (
        "ceph_health_status 1.0",  # the pool is for nothing that is known
        'ceph_osd_up{ceph_daemon="osd.2"} 1.0',
        f'ceph_pool_stored{{pool_id="{number}"}} 8000.0',
        f'ceph_pg_active{{pool_id="{number}"}} 8.0',
        "ceph_cluster_total_bytes 300000.0",
    ):
        assert line in found.splitlines()


class Desk:
    """A monitor that leads or not, and notes what the log is told."""

    name = "a"

    def __init__(self, state: State, statistics: Statistics) -> None:
        self.state, self.statistics = state, statistics
        self.leader = "a"
        self.said: list[str] = []

    def query(self, arguments: dict[str, object]) -> Query:
        quorum = Quorum(("a", "b"), self.leader, 1, 5.0)
        return msgspec.structs.replace(query(self.state, self.statistics), quorum=quorum)

    def submit(self, decide: Callable[[], Change | None]) -> None:
        change = decide()
        self.said += [line.text for line in change.log] if change is not None else []


def test_who_leads_again_says_again_what_is_wrong() -> None:
    state, statistics = world()
    desk = Desk(apply(state, Change(osdmap=osds.mark_down(state.osdmap, [2], NOW))), statistics)
    keeper = Keeper(desk)
    found = "Health check failed: 1 osds down (OSD_DOWN)"
    for leader, count in (("a", 1), ("a", 1), ("b", 1), ("a", 2)):
        desk.leader = leader
        keeper.look()
        assert desk.said.count(found) == count
