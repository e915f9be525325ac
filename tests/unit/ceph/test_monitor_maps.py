# SPDX-License-Identifier: Apache-2.0
"""The map of monitors as commands change it: who may lead, and what the map was before."""

import json
import uuid
from typing import Any

import pytest

from octostack.engines.ceph.mon.core import commands, genesis
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.state import Change, State, Statistics, apply
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.cephx.server import Senses

NOW = 10**18
NAMES = "abc"


def founded() -> State:
    places = {name: (Address(2, "127.0.0.1", 3300 + at),) for at, name in enumerate(NAMES)}
    founding = genesis.Founding(uuid.UUID(int=9), places, (uuid.UUID(int=1),), NOW)
    return State(genesis.first_monmap(founding), genesis.first_osdmap(founding))


def run(state: State, prefix: str, **arguments: Any) -> tuple[Any, State]:
    """The output as JSON or the line of status, and the state after it."""
    words = {"prefix": prefix, "format": "json", **arguments}
    senses = Senses(lambda: NOW, bytes)
    quorum = Quorum(tuple(NAMES), "a", 2, 5.0)
    answer = commands.run(Query(words, state, Statistics(), quorum, NOW, senses))
    found = json.loads(answer.output) if answer.output else answer.status
    return found, apply(state, answer.change) if answer.change else state


def refused(state: State, prefix: str, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(Failure) as caught:
        run(state, prefix, **arguments)
    return caught.value.number, caught.value.text


def test_who_may_lead() -> None:
    state = founded()
    mode = (22, "You cannot disallow monitors in your current election mode")
    assert refused(state, "mon add disallowed_leader", name="a") == mode
    assert refused(state, "mon set election_strategy", strategy="by_weight")[0] == 22
    _, state = run(state, "mon set election_strategy", strategy="disallow")
    assert run(state, "mon set election_strategy", strategy="disallow") == ("", state)
    assert refused(state, "mon add disallowed_leader", name="x") == (2, "mon.x does not exist")
    for name in "ac":
        _, state = run(state, "mon add disallowed_leader", name=name)
    said, same = run(state, "mon add disallowed_leader", name="a")
    assert (said, same) == ("mon.a is already disallowed", state)
    last = (22, "mon.b is the only remaining allowed leader!")
    assert refused(state, "mon add disallowed_leader", name="b") == last
    shown, _ = run(state, "mon dump")
    assert (shown["epoch"], shown["election_strategy"]) == (4, 2)
    assert shown["disallowed_leaders: "] == "a,c"
    _, state = run(state, "mon rm", name="c")
    _, state = run(state, "mon rm disallowed_leader", name="a")
    assert state.monmap.disallowed_leaders == frozenset()
    assert run(state, "mon rm disallowed_leader", name="a")[0] == "mon.a is already allowed"


def test_older_maps_are_shown() -> None:
    first = founded()
    _, state = run(first, "mon rm", name="c")
    _, state = run(state, "mon set-rank", name="b", rank=0)
    state = apply(state, Change(monmap=first.monmap))
    for epoch, names in ((2, ["a", "b"]), (3, ["b", "a"]), (1, ["a", "b", "c"])):
        shown, _ = run(state, "mon dump", epoch=epoch)
        assert (shown["epoch"], [one["name"] for one in shown["mons"]]) == (epoch, names)
    assert state.monmap.epoch == 3, "an older map that is learned late is kept, and not used"
    assert refused(state, "mon dump", epoch=4) == (2, "there is no map for epoch 4")
