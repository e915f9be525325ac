# SPDX-License-Identifier: Apache-2.0
"""Which changes of the map are kept for copies that are away, as tables of cases."""

import asyncio
import uuid
from collections.abc import Callable

import msgspec
import pytest

from octostack.engines.ceph.mon.core import genesis
from octostack.engines.ceph.mon.core.state import (
    Change,
    GroupReport,
    OSDReport,
    Statistics,
    next_change,
)
from octostack.engines.ceph.mon.ledger import Ledger, found_cluster
from octostack.engines.ceph.mon.store import MemoryStore
from octostack.engines.ceph.osd.core.values import View
from octostack.engines.ceph.osd.epochs import Epoch, Past
from octostack.engines.ceph.osd.maps import Maps
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore as Objects
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.maps import osdmap as osdmap_wire
from octostack.wire.ceph.maps.crush import ITEM_NONE
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.messages.client import OSDMapMessage
from octostack.wire.ceph.objects import PG

NOW = 10**18
FSID = uuid.UUID(int=9)
LIMIT = 100
MAP = OSDMap(pools={1: Pool(pg_num=2)})
Clean = tuple[int, tuple[int, ...]]  # since when, and who acts


def told(epochs: tuple[int, ...], *groups: Clean, statistics: Statistics) -> None:
    """Reports of OSDs that have these epochs; the first one is the primary of the groups."""
    made = tuple(
        GroupReport(1, seed, "", acting, acting, clean=clean)
        for seed, (clean, acting) in enumerate(groups)
    )
    for osd, epoch in enumerate(epochs):
        report = OSDReport(osd, 1, 0, 1, () if osd else made, epoch=epoch)
        statistics.take(report)


@pytest.mark.parametrize(
    ("epochs", "groups", "needed"),
    [
        ((100, 100), ((100, (0, 1)), (100, (0, 1))), 100),
        ((300, 300), ((300, (0, 1)), (300, (0, 1))), 100),
        ((100, 100), ((70, (0, 1)), (100, (0, 1))), 70),  # one is not clean any more
        ((100, 40), ((100, (0, 1)), (100, (0,))), 40),  # who acts has not that map yet
        ((100, 40), ((100, (0,)), (100, (0,))), 100),  # who does not act is not waited for
        ((100,), ((100, (0, 1)), (100, (0,))), 0),  # who acts has said nothing yet
        ((100,), ((100, (0,)),), 0),  # a group that nobody has reported
        ((100,), ((0, (0,)), (100, (0,))), 0),  # one that was never clean
        ((100,), ((100, (0, ITEM_NONE)), (100, (0, -1))), 100),  # holes
        ((100,), ((90, ()), (100, (0,))), 90),
    ],
)
def test_what_was_before_all_were_clean_is_not_needed(
    epochs: tuple[int, ...], groups: tuple[Clean, ...], needed: int
) -> None:
    statistics = Statistics()
    told(epochs, *groups, statistics=statistics)
    assert statistics.oldest_needed(MAP, LIMIT) == needed


def test_what_is_not_needed_is_not_needed_later_either() -> None:
    """A group that is not clean any more tells the epoch in which it became so."""
    statistics = Statistics()
    told((90, 90), (90, (0, 1)), (90, (0, 1)), statistics=statistics)
    assert statistics.oldest_needed(MAP, LIMIT) == 90
    told((95,), (10, (0,)), (95, (0,)), statistics=statistics)
    assert statistics.oldest_needed(MAP, LIMIT) == 90
    gone = OSDMap(pools={2: Pool(pg_num=1)})
    statistics.forget_missing(gone)
    assert statistics.oldest_needed(gone, LIMIT) == 0
    assert statistics.oldest_needed(OSDMap(), LIMIT) == LIMIT


class _Monitor:
    """A ledger whose changes are committed as soon as they are made."""

    def __init__(self, kept: int) -> None:
        self.needed = 1 << 30
        self.store = MemoryStore()
        members = {"a": (Address(2, "127.0.0.1", 3300),)}
        blobs = genesis.encoded(genesis.Founding(FSID, members, (), NOW))
        config = {"mon": {"mon_min_osdmap_epochs": str(kept)}}
        asyncio.run(found_cluster(self.store, blobs, Change(config=config)))
        self.begin()

    def begin(self) -> None:
        self.ledger = Ledger(self.store, lambda _, limit: min(limit, self.needed))

    def change(self, change: Change) -> None:
        self.store.stage(self.ledger.take(self.ledger.prepare(change)))

    def reach(self, epoch: int) -> None:
        while (map_ := self.ledger.state.osdmap).epoch < epoch:
            self.change(Change(osdmap=next_change(map_, NOW)))

    def kept(self) -> tuple[int, int]:
        """The first and the last change; all between them are there. What the ledger says."""
        keys = [key for key in self.store.values if key.startswith("osdmap/")]
        found = sorted(int(key.removeprefix("osdmap/")) for key in keys)
        assert found == list(range(found[0], found[-1] + 1))
        assert self.ledger.oldest == found[0]
        return found[0], found[-1]


def test_so_many_are_kept_and_all_that_are_needed() -> None:
    monitor = _Monitor(60)
    monitor.reach(59)
    assert monitor.kept() == (2, 59)
    monitor.reach(200)
    assert monitor.kept() == (141, 200)
    monitor.needed = 150
    monitor.reach(1_000)
    assert monitor.kept() == (150, 1_000)
    monitor.begin()
    assert monitor.ledger.state.osdmap.epoch == 1_000
    assert monitor.kept() == (150, 1_000)
    monitor.needed = 1 << 30
    monitor.reach(1_001)
    assert monitor.kept() == (650, 1_001), "not all at once"
    monitor.reach(1_002)
    assert monitor.kept() == (943, 1_002)


def test_who_has_to_can_have_them_forgotten() -> None:
    monitor = _Monitor(60)
    monitor.needed = 5
    monitor.reach(300)
    assert monitor.kept() == (5, 300)
    config = monitor.ledger.state.config
    forced = config["mon"] | {"mon_osd_force_trim_to": "200"}
    monitor.change(Change(config={"mon": forced}))
    monitor.reach(301)
    assert monitor.kept() == (200, 301)


def epoch_of(number: int, acting: tuple[int, ...], up_thru: int = 0) -> Epoch:
    born = dict.fromkeys(acting, 1)
    thru = dict.fromkeys(acting, up_thru)
    view = View(number, acting, acting, acting[0], 2, 1, frozenset(acting), born, thru)
    return Epoch(number, {PG(1, 0): view})


def test_of_epochs_in_which_nothing_changes_the_first_and_the_last_are_kept() -> None:
    past = Past()
    for number in range(1, 1_000):
        acting = (0, 1) if number < 500 else (1, 2)
        past.add(epoch_of(number, acting, up_thru=number))
    past.add(Epoch(1_000))  # the pool is gone
    assert [epoch.number for epoch in past.take()] == [1, 499, 500, 999, 1_000]
    assert past.take() == []


def whole(epoch: int) -> bytes:
    return osdmap_wire.encode(genesis_map(epoch))


def genesis_map(epoch: int) -> OSDMap:
    founding = genesis.Founding(FSID, {}, (), NOW)
    return msgspec.structs.replace(genesis.first_osdmap(founding), epoch=epoch)


def changes(first: int, last: int) -> dict[int, bytes]:
    made = {}
    for epoch in range(first, last + 1):
        step = next_change(genesis_map(epoch - 1), NOW)
        made[epoch] = osdmap_wire.encode_incremental(step)
    return made


@pytest.mark.parametrize(
    ("message", "takes", "gap", "lacks"),
    [
        (lambda: OSDMapMessage(FSID, changes(6, 8), {}, 2, 8), [6, 7, 8], 0, False),
        (lambda: OSDMapMessage(FSID, {}, {9: whole(9)}, 8, 9), [9], 9, False),
        (lambda: OSDMapMessage(FSID, {}, {9: whole(9)}, 2, 9), [], 0, True),
        (lambda: OSDMapMessage(FSID, changes(8, 9), {}, 2, 9), [], 0, True),
        (lambda: OSDMapMessage(FSID, {}, {6: whole(6)}, 2, 6), [], 0, False),
        (lambda: OSDMapMessage(FSID, {}, {4: whole(4)}, 2, 4), [], 0, False),
    ],
)
def test_an_osd_skips_no_epoch_that_is_to_be_had(
    message: Callable[[], OSDMapMessage], takes: list[int], gap: int, lacks: bool
) -> None:
    maps = Maps(Objects())
    list(maps.load())
    maps.take(OSDMapMessage(FSID, {}, {5: whole(5)}, 2, 5))
    said = message()
    assert maps.lacks(said) == lacks
    assert [osdmap.epoch for osdmap in maps.take(said)] == takes
    assert maps.gap == gap
