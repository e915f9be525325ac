# SPDX-License-Identifier: Apache-2.0
"""What flags and options forbid monitors to do with OSDs by themselves: noin, nodown, noup, noout,
for all and for one OSD, and as many as must stay in."""

import uuid
from typing import Any

import pytest

from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.core.osdmap import osds as facts
from octostack.engines.ceph.mon.core import commands, genesis, osds, upkeep
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.failures import Failures, may_go_down
from octostack.engines.ceph.mon.core.state import State, Statistics, apply
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.messages.cluster import FAILED, OSDBoot, OSDFailure, Superblock

NOW = 10**18
S = 10**9
COUNT = 8
_OSDS = tuple(uuid.UUID(int=n + 1) for n in range(COUNT))
_SENSES = Senses(lambda: NOW, lambda n: bytes(range(n)))


class Monitor:
    """A monitor's state, and what it does by itself."""

    def __init__(self) -> None:
        mons = {"a": (Address(2, "127.0.0.1", 3300),)}
        founding = genesis.Founding(uuid.UUID(int=9), mons, _OSDS, NOW)
        first = genesis.first_osdmap(founding)
        self.state = State(genesis.first_monmap(founding), first)
        self.now_ns = NOW

    def run(self, prefix: str, **arguments: Any) -> None:
        answer = commands.run(self._query(prefix=prefix, **arguments))
        if answer.change is not None:
            self.state = apply(self.state, answer.change)

    def boot(self, osd: int) -> None:
        block = Superblock(uuid.UUID(int=9), osd, 1, 1, 1, osd_fsid=_OSDS[osd])
        here = (Address(2, "127.0.0.1", 6800 + osd, osd),)
        message = OSDBoot(block, (), (), 0, (), {}, 1)
        self._apply(osds.boot(self.state.osdmap, message, here, self.now_ns))

    def down(self, *numbers: int) -> None:
        self._apply(osds.mark_down(self.state.osdmap, numbers, self.now_ns))

    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * S
        change = upkeep.put_out(self._query())
        if change is not None:
            self.state = apply(self.state, change)

    def up(self) -> list[int]:
        return [osd for osd in range(COUNT) if facts.is_up(self.state.osdmap, osd)]

    def inside(self) -> list[int]:
        return [osd for osd in range(COUNT) if facts.is_in(self.state.osdmap, osd)]

    def _apply(self, change: Any) -> None:
        assert not isinstance(change, int)
        if change is not None:
            new = osd_changes.apply(self.state.osdmap, change)
            self.state = State(self.state.monmap, new, config=self.state.config)

    def _query(self, **arguments: Any) -> Query:
        quorum = Quorum(("a",), "a", 1, 5.0)
        return Query(arguments, self.state, Statistics(), quorum, self.now_ns, _SENSES)


@pytest.fixture
def monitor() -> Monitor:
    made = Monitor()
    for osd in range(COUNT):
        made.boot(osd)
    assert made.up() == made.inside() == list(range(COUNT))
    return made


def _flag(monitor: Monitor, flag: str, *, of_one: bool, on: bool = True) -> None:
    if of_one:
        prefix = "osd set-group" if on else "osd unset-group"
        monitor.run(prefix, flags=flag, who=["osd.0"])
    else:
        monitor.run("osd set" if on else "osd unset", key=flag)


@pytest.mark.parametrize("of_one", [False, True])
def test_noup_keeps_an_osd_down(monitor: Monitor, of_one: bool) -> None:
    monitor.down(0)
    _flag(monitor, "noup", of_one=of_one)
    monitor.boot(0)
    assert 0 not in monitor.up()
    _flag(monitor, "noup", of_one=of_one, on=False)
    monitor.boot(0)
    assert 0 in monitor.up()


@pytest.mark.parametrize("of_one", [False, True])
def test_nodown_keeps_an_osd_up(monitor: Monitor, of_one: bool) -> None:
    failures, map_ = Failures(), monitor.state.osdmap
    told = OSDFailure(map_.fsid, 0, map_.client_addresses[0], map_.epoch, FAILED, 50)
    for reporter in (1, 2, 3):
        failures.take(map_, told, reporter, now=100)
    assert failures.find_refusal(monitor.state.osdmap, 0, 100) is not None
    _flag(monitor, "nodown", of_one=of_one)
    assert failures.find_refusal(monitor.state.osdmap, 0, 100) is None
    assert failures.find_verdict(monitor.state.osdmap, 0, 100, NOW) is None
    assert not may_go_down(monitor.state.osdmap, 0), "nor does it go by itself"
    assert may_go_down(monitor.state.osdmap, 1) == of_one
    assert not may_go_down(monitor.state.osdmap, 99)


@pytest.mark.parametrize("of_one", [False, True])
def test_noout_keeps_an_osd_in(monitor: Monitor, of_one: bool) -> None:
    _flag(monitor, "noout", of_one=of_one)
    monitor.down(0)
    monitor.wait(700)
    assert 0 in monitor.inside()
    _flag(monitor, "noout", of_one=of_one, on=False)
    monitor.wait(1)
    assert 0 not in monitor.inside()


@pytest.mark.parametrize("of_one", [False, True])
def test_noin_keeps_an_osd_out_that_went_by_itself(monitor: Monitor, of_one: bool) -> None:
    monitor.down(0)
    monitor.wait(700)
    assert 0 not in monitor.inside()
    _flag(monitor, "noin", of_one=of_one)
    monitor.boot(0)
    assert 0 in monitor.up()
    assert 0 not in monitor.inside()
    _flag(monitor, "noin", of_one=of_one, on=False)
    monitor.down(0)
    monitor.boot(0)
    assert 0 in monitor.inside()


def test_a_new_osd_stays_out_under_noin() -> None:
    monitor = Monitor()
    _flag(monitor, "noin", of_one=False)
    monitor.boot(0)
    assert monitor.up() == [0]
    assert monitor.inside() == []


def test_the_time_until_an_osd_goes_out_is_an_option(monitor: Monitor) -> None:
    monitor.run("config set", who="mon", name="mon_osd_down_out_interval", value="30")
    monitor.down(0)
    monitor.wait(29)
    assert 0 in monitor.inside()
    monitor.wait(2)
    assert 0 not in monitor.inside()


def test_enough_osds_stay_in_whoever_goes_down(monitor: Monitor) -> None:
    monitor.down(*range(5))
    monitor.wait(700)
    assert len(monitor.inside()) == 5, "three quarters, and the one that goes below"
    monitor.run("config set", who="mon", name="mon_osd_min_in_ratio", value="0.3")
    monitor.wait(1)
    assert monitor.inside() == [5, 6, 7]
