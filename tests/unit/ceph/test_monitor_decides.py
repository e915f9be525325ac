# SPDX-License-Identifier: Apache-2.0
"""A monitor's decisions as tables: the first maps, boots, failures, pools, commands."""

import json
import uuid
from typing import Any

import msgspec
import pytest

from octostack.engines.ceph.core.crush import edit
from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.core.osdmap import osds as osd_facts
from octostack.engines.ceph.core.osdmap import placement
from octostack.engines.ceph.mon.core import auth, commands, genesis, osds, pools
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.failures import Failures, Rules, is_of_this_life
from octostack.engines.ceph.mon.core.state import State, Statistics, apply
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.maps.crush import ONE
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages.cluster import FAILED, REFUSES, OSDBoot, OSDFailure, Superblock
from octostack.wire.ceph.objects import PG

NOW = 10**18
HOUR_NS = 3600 * 10**9
OSDS = tuple(uuid.UUID(int=n + 1) for n in range(4))
WHERE = tuple((Address(2, "127.0.0.1", 6800 + n, n),) for n in range(4))
SENSES = Senses(lambda: NOW, lambda n: bytes(range(n)))


def founding() -> genesis.Founding:
    return genesis.Founding(uuid.UUID(int=9), {"a": (Address(2, "127.0.0.1", 3300),)}, OSDS, NOW)


def boot_of(osd: int) -> OSDBoot:
    block = Superblock(uuid.UUID(int=9), osd, 1, 1, 1, osd_fsid=OSDS[osd])
    return OSDBoot(block, (), (), 0, (), {}, 1)


def all_up() -> OSDMap:
    map_ = genesis.first_osdmap(founding())
    for osd in range(len(OSDS)):
        change = osds.boot(map_, boot_of(osd), WHERE[osd], NOW)
        assert not isinstance(change, int | None)
        map_ = osd_changes.apply(map_, change)
    return map_


def query(state: State, **arguments: Any) -> Query:
    return Query(arguments, state, Statistics(), Quorum(("a",), "a", 1, 5.0), NOW, SENSES)


def state_of(map_: OSDMap) -> State:
    return State(genesis.first_monmap(founding()), map_)


def run(state: State, prefix: str, **arguments: Any) -> tuple[Any, State]:
    """The answer's output as JSON, where it has one, and the state after it."""
    answer = commands.run(query(state, prefix=prefix, format="json", **arguments))
    found = json.loads(answer.output) if answer.output else answer.status
    return found, apply(state, answer.change) if answer.change else state


def test_osds_boot_once_and_come_in() -> None:
    map_ = all_up()
    assert [osd for osd in range(4) if osd_facts.is_up(map_, osd)] == [0, 1, 2, 3]
    assert [osd for osd in range(4) if osd_facts.is_in(map_, osd)] == [0, 1, 2, 3]
    assert osds.boot(map_, boot_of(0), WHERE[0], NOW) is None
    elsewhere = osds.boot(map_, boot_of(0), WHERE[1], NOW)
    assert not isinstance(elsewhere, int | None)
    assert not osd_facts.is_up(osd_changes.apply(map_, elsewhere), 0)


def test_who_is_not_that_osd_may_not_boot() -> None:
    map_ = genesis.first_osdmap(founding())
    block = msgspec.structs.replace(boot_of(0).superblock, osd_fsid=uuid.UUID(int=77))
    other = msgspec.structs.replace(boot_of(0), superblock=block)
    assert isinstance(osds.boot(map_, other, WHERE[0], NOW), int)
    unknown = msgspec.structs.replace(block, osd=9)
    other = msgspec.structs.replace(other, superblock=unknown)
    assert isinstance(osds.boot(map_, other, WHERE[0], NOW), int)


def told_of(map_: OSDMap, target: int, failed_for_s: int, flags: int = FAILED) -> OSDFailure:
    """What an OSD that has this map tells of another one."""
    where = map_.client_addresses[target]
    return OSDFailure(map_.fsid, target, where, map_.epoch, flags, failed_for_s)


def on_hosts(map_: OSDMap, *hosts: str) -> OSDMap:
    """Each OSD in a host of its own, or with others."""
    tree = map_.crush
    for osd, host in enumerate(hosts):
        place = {"root": "default", "host": host}
        tree = edit.update_item(tree, osd, ONE, f"osd.{osd}", place)
    return msgspec.structs.replace(map_, crush=tree)


def test_an_osd_is_dead_when_enough_others_say_so() -> None:
    map_, failures = on_hosts(all_up(), "a", "b", "c", "d"), Failures()

    def is_dead(target: int, now: float) -> bool:
        return failures.find_verdict(map_, target, now, NOW) is not None

    failures.take(map_, told_of(map_, 1, 25), 0, now=100)
    assert not is_dead(1, 100)
    assert failures.find_refusal(map_, 1, 100) == 0
    failures.take(map_, told_of(map_, 1, 5), 2, now=100)
    assert not is_dead(1, 100), "the second has not waited long enough"
    failures.take(map_, told_of(map_, 1, 25), 2, now=120)
    said = str(failures.find_verdict(map_, 1, 120, NOW))
    assert said == "2 reporters from different host after 25.000000 >= grace 20.000000"
    failures.take(map_, told_of(map_, 1, 0, flags=0), 0, now=120)
    assert not is_dead(1, 120)
    failures.take(map_, told_of(map_, 1, 25), 0, now=120)
    assert not is_dead(1, 1000), "old reports are forgotten"
    failures.take(map_, told_of(map_, 3, 99), 3, now=100)
    assert failures.find_refusal(map_, 3, 100) is None, "nobody reports itself"


def test_reporters_of_one_host_count_once() -> None:
    map_, failures = on_hosts(all_up(), "a", "a", "b", "c"), Failures()
    for reporter in (0, 1):
        failures.take(map_, told_of(map_, 3, 25), reporter, now=100)
    assert failures.find_verdict(map_, 3, 100, NOW) is None
    failures.rules = Rules(level="osd")
    assert failures.find_verdict(map_, 3, 100, NOW) is not None
    failures.rules = Rules()
    failures.take(map_, told_of(map_, 3, 25), 2, now=100)
    assert failures.find_verdict(map_, 3, 100, NOW) is not None


def test_most_osds_are_not_marked_down() -> None:
    map_, failures = on_hosts(all_up(), "a", "b", "c", "d"), Failures()
    down = osds.mark_down(map_, [0, 1, 2], NOW)
    assert down is not None
    map_ = osd_changes.apply(map_, down)
    assert not failures.may_mark_down(map_, 3), "one of four is less than 0.3"


def test_who_was_wrongly_marked_down_is_waited_for_longer() -> None:
    map_ = on_hosts(all_up(), "a", "b", "c", "d")
    down = osds.mark_down(map_, [1], NOW)
    assert down is not None
    map_ = osd_changes.apply(map_, down)
    later = NOW + 100 * 10**9
    back = osds.boot(map_, boot_of(1), WHERE[1], later)  # the same process: at the same place
    assert not isinstance(back, int | None)
    map_ = osd_changes.apply(map_, back)
    known = map_.osd_xinfo[1]
    assert (known.laggy_interval, known.laggy_probability) == (30, int(0.3 * 0xFFFFFFFF))
    failures = Failures()
    for reporter in (0, 2):
        failures.take(map_, told_of(map_, 1, 25), reporter, now=100)
    assert failures.find_verdict(map_, 1, 100, later) is None, "20 s and nearly 9 more"
    assert failures.find_verdict(map_, 1, 105, later) is not None
    assert failures.find_verdict(map_, 1, 100, later + HOUR_NS) is not None, "half is forgotten"
    down = osds.mark_down(map_, [1], later)
    assert down is not None
    map_ = osd_changes.apply(map_, down)
    anew = osds.boot(map_, boot_of(1), WHERE[2], later)
    assert not isinstance(anew, int | None)
    assert osd_changes.apply(map_, anew).osd_xinfo[1].laggy_interval == 21, "a new process"


def test_what_is_told_of_an_osd_before_it_came_back_is_void() -> None:
    map_ = all_up()
    told = OSDFailure(uuid.UUID(int=9), 1, WHERE[1], map_.epoch, 3, 25)
    assert is_of_this_life(map_, told)
    down = osds.mark_down(map_, [1], NOW)
    assert down is not None
    map_ = osd_changes.apply(map_, down)
    back = osds.boot(map_, boot_of(1), WHERE[1], NOW)
    assert not isinstance(back, int | None)
    map_ = osd_changes.apply(map_, back)
    assert not is_of_this_life(map_, told)
    now = msgspec.structs.replace(told, epoch=map_.epoch)
    assert is_of_this_life(map_, now)
    assert not is_of_this_life(map_, msgspec.structs.replace(now, target_addresses=WHERE[2]))
    assert not is_of_this_life(map_, msgspec.structs.replace(now, target=99))


def test_what_was_said_of_one_life_does_not_end_the_next() -> None:
    """The first life is ended by an operator: nothing was concluded from what OSDs said."""
    map_, failures = on_hosts(all_up(), "a", "b", "c", "d"), Failures()
    before = told_of(map_, 1, 30)
    failures.take(map_, before, 0, now=100)
    down = osds.mark_down(map_, [1], NOW)
    assert down is not None
    map_ = osd_changes.apply(map_, down)
    back = osds.boot(map_, boot_of(1), WHERE[1], NOW)
    assert not isinstance(back, int | None)
    map_ = osd_changes.apply(map_, back)
    late = msgspec.structs.replace(before, flags=FAILED | REFUSES)
    failures.take(map_, late, 3, now=101)
    assert failures.find_refusal(map_, 1, 101) is None
    failures.take(map_, told_of(map_, 1, 25), 2, now=102)
    assert failures.find_verdict(map_, 1, 102, NOW) is None, "one of this life is not two"
    failures.take(map_, told_of(map_, 1, 25), 0, now=103)
    assert failures.find_verdict(map_, 1, 103, NOW) is not None


def test_a_pool_has_groups_on_osds() -> None:
    state = state_of(all_up())
    _, state = run(state, "osd pool create", pool="data", pg_num=8)
    assert state.osdmap.pool_names == {1: "data"}
    places = [placement.of_group(state.osdmap, PG(1, seed)) for seed in range(8)]
    assert all(len(set(place.acting)) == 3 for place in places)
    assert len({place.acting_primary for place in places}) > 1
    status, same = run(state, "osd pool create", pool="data")
    assert (status, same) == ("pool 'data' already exists", state)


@pytest.mark.parametrize(
    ("prefix", "arguments", "number"),
    [
        ("osd pool create", {"pool": "x", "pg_num": 1, "size": 11}, 22),
        ("osd pool create", {"pool": "x", "pg_num": 1 << 20}, 34),
        (
            "osd pool create",
            {"pool": "x", "pool_type": "erasure", "erasure_code_profile": "none"},
            22,
        ),
        ("osd pool delete", {"pool": "data"}, 1),
        ("osd pool set", {"pool": "none", "var": "size", "val": "1"}, 2),
        ("osd pool set", {"pool": "data", "var": "size", "val": "11"}, 22),
        ("osd pool set", {"pool": "data", "var": "colour", "val": "2"}, 22),
        ("osd pool set", {"pool": "data", "var": "nodelete", "val": "perhaps"}, 22),
        ("osd pool rename", {"srcpool": "data", "destpool": "data"}, 17),
        ("osd set", {"key": "nonsense"}, 22),
        ("osd map", {"pool": "none", "object": "o"}, 2),
        ("config-key get", {"key": "none"}, 2),
        ("auth get", {"entity": "client.none"}, 2),
        ("auth add", {"entity": "nobody"}, 22),
        ("auth get-or-create", {"entity": "client.x", "caps": ["osd"]}, 22),
        ("auth get-or-create", {"entity": "client.x", "caps": ["osd", "perhaps"]}, 22),
        ("osd reweight", {"id": "9", "weight": "1"}, 2),
        ("no such thing", {}, 22),
        ("osd map", {"pool": "data"}, 22),
    ],
)
def test_what_is_refused(prefix: str, arguments: dict[str, Any], number: int) -> None:
    _, state = run(state_of(all_up()), "osd pool create", pool="data", pg_num=4)
    with pytest.raises(Failure) as refused:
        run(state, prefix, **arguments)
    assert refused.value.number == number


def test_settings_of_osds_and_pools_change() -> None:
    state = state_of(all_up())
    _, state = run(state, "osd pool create", pool="data", pg_num=4)
    _, state = run(state, "osd out", ids=["1", "osd.2"])
    assert [osd for osd in range(4) if osd_facts.is_in(state.osdmap, osd)] == [0, 3]
    _, state = run(state, "osd in", ids=["all"])
    _, state = run(state, "osd down", ids=["0"])
    assert not osd_facts.is_up(state.osdmap, 0)
    health, _ = run(state, "health")
    assert {"OSD_DOWN", "PG_AVAILABILITY"} <= set(health["checks"])
    _, state = run(state, "osd set", key="noout")
    assert "OSDMAP_FLAGS" in run(state, "health")[0]["checks"]
    _, state = run(state, "osd pool set", pool="data", var="nodelete", val="true")
    assert run(state, "osd pool get", pool="data", var="nodelete")[0]["nodelete"] is True


def test_snapshots_are_of_the_pool_or_of_its_clients() -> None:
    map_ = all_up()
    for name in ("one", "two"):
        made = pools.create(map_, pools.Wanted(name, 4, 1), NOW)
        map_ = osd_changes.apply(map_, made)
    map_ = osd_changes.apply(map_, pools.create_snap(map_, 1, "s", NOW))
    with pytest.raises(Failure):
        pools.create_own_snap(map_, 1, NOW)
    change, snap = pools.create_own_snap(map_, 2, NOW)
    map_ = osd_changes.apply(map_, change)
    assert snap == 2
    with pytest.raises(Failure):
        pools.create_snap(map_, 2, "s", NOW)
    change, after = pools.create_own_snap(map_, 2, NOW)
    assert after == 3


def test_keys_come_and_go() -> None:
    state = state_of(all_up())
    made, state = run(state, "auth get-or-create", entity="client.a", caps=["mon", "allow r"])
    again, same = run(state, "auth get-or-create", entity="client.a", caps=["mon", "allow r"])
    assert (again, same) == (made, state)
    _, state = run(state, "auth caps", entity="client.a", caps=["osd", "allow rwx"])
    assert state.auth.entities["client.a"].caps == {"osd": "allow rwx"}
    _, state = run(state, "auth rm", entity="client.a")
    assert state.auth.entities == {}


def test_service_keys_rotate_and_the_last_one_stays_good() -> None:
    first = auth.rotated(auth.Auth(), SENSES)
    assert first is not None
    assert auth.rotated(first, SENSES) is None
    assert {len(keys) for keys in first.rotating.values()} == {3}
    current = auth.KeyTable(first).get_current(4)
    later = Senses(lambda: current.expires + 1, bytes)
    second = auth.rotated(first, later)
    assert second is not None
    table = auth.KeyTable(second)
    assert table.get_current(4).id == current.id + 1
    assert table.find_service_key(4, current.id) == current.key
    assert table.find_service_key(4, current.id - 1) is None


def test_every_command_is_described() -> None:
    found = json.loads(commands.descriptions())
    assert len(found) == len(commands.TABLE)
    for one in found.values():
        assert one["help"]
        assert set(one["perm"]) <= set("rwx")
        assert isinstance(one["sig"][0], str)
