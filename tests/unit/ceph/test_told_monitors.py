# SPDX-License-Identifier: Apache-2.0
"""What a monitor is told directly holds there, and is nowhere in the central configuration."""

import json
import uuid
from typing import Any

import msgspec
import pytest

from octostack.engines.ceph.mon.core import commands, genesis, told
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.state import OSDReport, State, Statistics, apply
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.cephx.server import Senses

NOW = 10**18
PLACES = {"a": (Address(2, "127.0.0.1", 3300),)}
FOUNDING = genesis.Founding(uuid.UUID(int=9), PLACES, (uuid.UUID(int=1),), NOW)
SENSES = Senses(lambda: NOW, bytes)


class Told:
    """A monitor, as far as commands see it."""

    def __init__(self) -> None:
        config = {"mon": {"mon_osd_min_in_ratio": "0.500000"}}
        first = genesis.first_monmap(FOUNDING), genesis.first_osdmap(FOUNDING)
        self.state = State(*first, config=config)
        self.statistics = Statistics()
        self.options: dict[str, str] = {}

    def query(self, prefix: str, **arguments: Any) -> Query:
        words = {"prefix": prefix, "format": "json", **arguments}
        quorum = Quorum(("a",), "a", 2, 5.0)
        made = Query(words, self.state, self.statistics, quorum, NOW, SENSES)
        made.told = self.options
        return made

    def tell(self, prefix: str, daemon: str = "mon.a", **arguments: Any) -> Any:
        answer = told.run(self.query(prefix, **arguments), daemon)
        return answer.status or json.loads(answer.output)

    def ask(self, prefix: str, **arguments: Any) -> Any:
        return json.loads(commands.run(self.query(prefix, **arguments)).output)


def test_an_option_is_set_here_and_taken_back() -> None:
    mon, name = Told(), "mon_osd_min_in_ratio"
    before = mon.ask("config dump")
    assert mon.tell("config get", var=name) == {name: "0.500000"}
    said = mon.tell("config set", var="mon-osd-min-in-ratio", val=["0.25"])
    assert said == {"success": f"{name} = '0.250000' "}
    assert mon.tell("config get", var=name) == {name: "0.250000"}
    assert mon.tell("config show")[name] == "0.250000"
    assert mon.tell("config diff")["diff"][name] == {
        "default": "0.750000",
        "mon": "0.500000",
        "override": "0.250000",
        "final": "0.250000",
    }
    assert mon.ask("config dump") == before
    assert mon.tell("config unset", var=name) == {"success": f"{name} = '0.500000' "}


def test_what_is_injected_is_gone_by() -> None:
    mon = Told()
    made = commands.run(mon.query("osd pool create", pool="p", pg_num=8)).change
    assert made is not None
    mon.state = apply(mon.state, made)
    pool = {"pool": "p", "pool2": "p", "yes_i_really_really_mean_it": True}
    with pytest.raises(Failure, match="pool deletion is disabled"):
        commands.run(mon.query("osd pool rm", **pool))
    said = mon.tell("injectargs", injected_args=["--mon_allow_pool_delete=true"])
    assert said == "mon_allow_pool_delete = 'true' "
    assert commands.run(mon.query("osd pool rm", **pool)).status == "pool 'p' removed"


def test_what_an_osd_was_told_is_shown_over_what_is_set() -> None:
    mon = Told()
    mon.state = msgspec.structs.replace(mon.state, config={"osd": {"osd_max_backfills": "2"}})
    with pytest.raises(Failure, match=r"no config state for daemon osd\.0"):
        mon.ask("config show", who="osd.0")
    mon.statistics.take(OSDReport(0, 1, 0, 1, told={"osd_max_backfills": "3"}))
    assert mon.ask("config show", who="osd.0") == [
        {
            "name": "osd_max_backfills",
            "value": "3",
            "source": "override",
            "overrides": [{"source": "default", "value": "1"}, {"source": "mon", "value": "2"}],
        }
    ]
    assert mon.ask("config show", who="osd.0", key="osd_max_backfills") == 3
    plain = commands.run(mon.query("config show", who="osd.0", format="plain")).output.decode()
    assert plain.splitlines()[1].split() == [
        *("osd_max_backfills", "3", "override", "mon[2],default[1]"),
    ]


def test_what_is_no_option_is_refused() -> None:
    mon = Told()
    for value, number in (("mon_what", 2), ("mon_allow_pool_delete", 22)):
        with pytest.raises(Failure) as caught:
            mon.tell("config set", var=value, val=["perhaps"])
        assert caught.value.number == number
    assert mon.options == {}


def test_a_manager_has_options_too() -> None:
    mon = Told()
    assert mon.tell("status", "mgr.a") == {"active": True, "name": "a"}
    mon.tell("config set", "mgr.a", var="mgr/balancer/mode", val=["none"])
    assert mon.tell("config get", "mgr.a", var="mgr/balancer/mode") == {"mgr/balancer/mode": "none"}
    with pytest.raises(Failure, match="not known"):
        mon.tell("mon_status", "mgr.a")
