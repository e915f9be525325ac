# SPDX-License-Identifier: Apache-2.0
"""`ceph osd crush ...` in the order and with the answers of a real monitor (16.2.15)."""

import json
from pathlib import Path
from typing import Any

import msgspec

from octostack.engines.ceph.mon.core import commands, crushview, state
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Query, Quorum
from octostack.engines.ceph.mon.core.state import State, Statistics
from octostack.wire.ceph.cephx.server import Senses
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps import osdmap as osd_wire
from octostack.wire.ceph.maps.monmap import MonMap

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph"
CRUSH = (VECTORS / "crush" / "cluster.bin").read_bytes()
PLACE = ["root=default", "host=vm"]


class Monitor:
    """Takes commands one after another."""

    def __init__(self) -> None:
        osdmap = osd_wire.decode((VECTORS / "maps" / "osdmap-105.bin").read_bytes())
        osdmap = msgspec.structs.replace(osdmap, crush=wire.decode(CRUSH))
        self.state = State(MonMap(), osdmap)

    def ask(self, words: str, data: bytes = b"", **arguments: Any) -> tuple[int, str]:
        """The result and the status line."""
        query = Query(
            {"prefix": f"osd {words}", **arguments},
            self.state,
            Statistics(),
            Quorum(("a",), "a", 1, 0.0),
            1,
            Senses(lambda: 0, bytes),
            data,
        )
        self.answer = Answer()
        try:
            self.answer = commands.run(query)
        except Failure as failure:
            return -failure.number, failure.text
        if self.answer.change:
            self.state = state.apply(self.state, self.answer.change)
        return 0, self.answer.status

    def get(self, words: str, **arguments: Any) -> Any:
        """The output as JSON."""
        assert self.ask(words, format="json", **arguments)[0] == 0
        return json.loads(self.answer.output)


# (words, arguments, result, status), as they were given to the real one and answered
TRANSCRIPT: list[tuple[str, dict[str, Any], int, str]] = [
    ("crush add-bucket", {"name": "rx", "type": "rack"}, 0,
     "added bucket rx type rack to crush map"),
    ("crush add-bucket", {"name": "rx", "type": "rack"}, 0, "bucket 'rx' already exists"),
    ("crush add-bucket", {"name": "rxy", "type": "rackx"}, -22, "type 'rackx' does not exist"),
    ("crush move", {"name": "rx", "args": ["root=default"]}, 0,
     "moved item id -10 name 'rx' to location {root=default} in crush map"),
    ("crush move", {"name": "rx", "args": ["root=default"]}, 0,
     "no need to move item id -10 name 'rx' to location {root=default} in crush map"),
    ("crush move", {"name": "nope", "args": ["root=default"]}, -2, "item nope does not exist"),
    ("crush rename-bucket", {"srcname": "rx", "dstname": "ry"}, 0, "renamed bucket rx into ry"),
    ("crush rename-bucket", {"srcname": "rx", "dstname": "ry"}, 0,
     "srcname = 'rx' does not exist and dstname = 'ry' already exists"),
    ("crush create-or-move", {"id": 0, "weight": 1.0, "args": PLACE}, 0,
     "create-or-move updated item name 'osd.0' weight 1 at location {host=vm,root=default}"
     " to crush map"),
    ("crush set", {"id": 0, "weight": 1.25, "args": PLACE}, 0,
     "set item id 0 name 'osd.0' weight 1.25 at location {host=vm,root=default} to crush map"),
    ("crush set", {"id": 0, "weight": 1.25, "args": PLACE}, 0,
     "set item id 0 name 'osd.0' weight 1.25 at location {host=vm,root=default}: no change"),
    ("crush add", {"id": 0, "weight": 1.0, "args": ["root=default", "host=vm2"]}, 0,
     "add item id 0 name 'osd.0' weight 1 at location {host=vm2,root=default} to crush map"),
    ("crush reweight", {"name": "osd.0", "weight": 1.5}, 0,
     "reweighted item id 0 name 'osd.0' to 1.5 in crush map"),
    ("crush reweight", {"name": "osd.77", "weight": 1.5}, -2,
     "device 'osd.77' does not appear in the crush map"),
    ("crush reweight-subtree", {"name": "vm", "weight": 1.0}, 0,
     "reweighted subtree id -3 name 'vm' to 1 in crush map"),
    ("crush reweight-all", {}, 0, "reweighted crush hierarchy"),
    ("crush rm", {"name": "ry"}, 0, "removed item id -10 name 'ry' from crush map"),
    ("crush rm", {"name": "ry"}, 0, "device 'ry' does not appear in the crush map"),
    ("crush rm", {"name": "vm"}, -39, "(39) Directory not empty"),
    ("crush unlink", {"name": "ry"}, 0, "device 'ry' does not appear in the crush map"),
    ("crush rm-device-class", {"ids": ["0", "1"]}, 0, "done removing class of osd(s): 0,1"),
    ("crush set-device-class", {"class": "ssd", "ids": ["0", "1"]}, 0,
     "set osd(s) 0,1 to class 'ssd'"),
    ("crush set-device-class", {"class": "hdd", "ids": ["0"]}, -16,
     "osd.0 has already bound to class 'ssd', can not reset class to 'hdd'; use 'ceph osd crush"
     " rm-device-class <id>' to remove old class first"),
    ("crush set-device-class", {"class": "hdd", "ids": ["77"]}, 0,
     "osd.77 does not exist. set osd(s)  to class 'hdd'"),
    ("crush class rename", {"srcname": "ssd", "dstname": "fast"}, 0,
     "rename class 'ssd' to 'fast'"),
    ("crush class rename", {"srcname": "ssdx", "dstname": "fast"}, 0, "already renamed to 'fast'"),
    ("crush rule create-replicated", {"name": "r2", "root": "default", "type": "host"}, 0, ""),
    ("crush rule create-replicated", {"name": "r2", "root": "default", "type": "host"}, 0,
     "rule r2 already exists"),
    ("crush rule create-simple",
     {"name": "r3", "root": "default", "type": "host", "mode": "firstn"}, 0, ""),
    ("crush rule rename", {"srcname": "r2", "dstname": "r4"}, 0, ""),
    ("crush rule rm", {"name": "r4"}, 0, ""),
    ("crush rule rm", {"name": "r4"}, 0, "rule r4 does not exist"),
    ("crush rule rm", {"name": "replicated_rule"}, -16,
     "crush ruleset replicated_rule 0 is in use"),
    ("crush rule dump", {"name": "zz"}, -2, "unknown crush rule 'zz'"),
    ("crush tunables", {"profile": "jewel"}, 0, "adjusted tunables profile to jewel"),
    ("crush set-tunable", {"tunable": "straw_calc_version", "value": 1}, 0,
     "adjusted tunable straw_calc_version to 1"),
    ("crush weight-set rm-compat", {}, 0, ""),
    ("crush weight-set rm", {"pool": "rep2"}, 0, ""),
    ("crush weight-set create-compat", {}, 0, ""),
    ("crush weight-set create-compat", {}, 0, "compat weight-set already created"),
    ("crush weight-set reweight-compat", {"item": "osd.1", "weight": [0.5]}, 0, ""),
    ("crush weight-set create", {"pool": "rep2", "mode": "positional"}, 0, ""),
    ("crush weight-set reweight", {"pool": "rep2", "item": "osd.1", "weight": [0.5, 0.6]}, 0, ""),
]  # fmt: skip


def test_the_answers_of_a_real_monitor() -> None:
    monitor = Monitor()
    for words, arguments, result, status in TRANSCRIPT:
        assert monitor.ask(words, **arguments) == (result, status), words
    assert monitor.get("crush weight-set ls") == ["(compat)", "rep2"]


PLACES: list[tuple[str, dict[str, Any], int, str]] = [
    ("pg-upmap-items", {"pgid": "3.1", "id": [0, 1]}, 0,
     "set 3.1 pg_upmap_items mapping to [0->1]"),
    ("pg-upmap-items", {"pgid": "3.1", "id": [0]}, -22,
     "you must specify pairs of osd ids to be remapped"),
    ("pg-upmap-items", {"pgid": "3.1", "id": [0, 0]}, -22,
     "from osd.0 == to osd.0, no valid upmap items(pairs) is specified"),
    ("pg-upmap-items", {"pgid": "3.99", "id": [0, 1]}, -2, "pg 3.99 does not exist"),
    ("pg-upmap-items", {"pgid": "3.1", "id": [0, 77]}, -2, "osd.77 does not exist"),
    ("pg-upmap", {"pgid": "3.2", "id": [2, 1]}, 0, "set 3.2 pg_upmap mapping to [2,1]"),
    ("pg-upmap", {"pgid": "3.2", "id": [2, 2]}, 0,
     "osd.2 already exists, set 3.2 pg_upmap mapping to [2]"),
    ("pg-upmap", {"pgid": "3.2", "id": [2, 1, 0]}, -22, "num of osds (3) > pool size (2)"),
    ("pg-upmap", {"pgid": "3.2", "id": [2, 77]}, -2, "osd.77 does not exist"),
    ("rm-pg-upmap", {"pgid": "3.2"}, 0, "clear 3.2 pg_upmap mapping"),
    ("rm-pg-upmap", {"pgid": "3.2"}, 0, "clear 3.2 pg_upmap mapping"),
    ("rm-pg-upmap-items", {"pgid": "3.1"}, 0, "clear 3.1 pg_upmap_items mapping"),
    ("pg-temp", {"pgid": "3.3", "id": [1, 0]}, 0, "set 3.3 pg_temp mapping to [1,0]"),
    ("pg-temp", {"pgid": "3.3"}, 0, "done cleaning up pg_temp of 3.3"),
    ("primary-temp", {"pgid": "3.3", "id": 0}, 0, "set 3.3 primary_temp mapping to 0"),
    ("primary-temp", {"pgid": "3.3", "id": -1}, 0, "set 3.3 primary_temp mapping to -1"),
    ("primary-affinity", {"id": 2, "weight": 0.5}, 0,
     "set osd.2 primary-affinity to 0.5 (8327682)"),
]  # fmt: skip


def test_groups_are_placed_otherwise_as_by_a_real_monitor() -> None:
    monitor = Monitor()
    for words, arguments, result, status in PLACES:
        assert monitor.ask(words, **arguments) == (result, status), words
    osdmap = monitor.state.osdmap
    assert not osdmap.pg_upmap and not osdmap.pg_upmap_items
    assert not osdmap.pg_temp and not osdmap.primary_temp
    assert osdmap.primary_affinity[2] == 0x8000


def test_old_clients_forbid_upmap() -> None:
    monitor = Monitor()
    old = msgspec.structs.replace(monitor.state.osdmap, require_min_compat_client=10)
    monitor.state = msgspec.structs.replace(monitor.state, osdmap=old)
    assert monitor.ask("pg-upmap", pgid="3.2", id=[2, 1])[0] == -1


def test_the_dump_of_a_real_monitor() -> None:
    expected = json.loads((VECTORS / "crush" / "cluster-dump.json").read_text())
    monitor = Monitor()
    found = monitor.get("crush dump")
    assert found == expected
    assert list(found) == list(expected)
    assert monitor.get("crush rule dump") == expected["rules"]
    assert monitor.get("crush rule dump", name="fast") == expected["rules"][2]
    assert monitor.get("crush show-tunables") == expected["tunables"]
    assert monitor.get("crush weight-set dump") == expected["choose_args"]


def test_what_is_asked_of_a_real_monitor() -> None:
    monitor = Monitor()
    assert monitor.get("crush rule ls") == ["replicated_rule", "ecpool", "fast"]
    assert monitor.get("crush class ls") == ["hdd", "nvme"]
    assert monitor.get("crush class ls-osd", **{"class": "hdd"}) == [1, 2]
    assert monitor.get("crush ls", node="default") == ["vm", "rack1"]
    assert monitor.get("crush get-tunable", tunable="straw_calc_version") == {
        "straw_calc_version": 1
    }
    assert monitor.get("crush get-device-class", ids=["0", "1"]) == [
        {"osd": 0, "device_class": "nvme"},
        {"osd": 1, "device_class": "hdd"},
    ]
    assert monitor.ask("crush ls", node="vm") == (0, "")
    assert monitor.answer.output == b"osd.0\nosd.2\nosd.1\n"


def test_a_map_is_taken_when_it_is_right_and_expected() -> None:
    monitor = Monitor()
    version = monitor.state.osdmap.crush_version
    assert monitor.ask("setcrushmap", b"junk")[0] == -22
    wrong = (-1, f"prior_version 1 != crush version {version}")
    assert monitor.ask("setcrushmap", CRUSH, prior_version=1) == wrong
    assert monitor.ask("setcrushmap", CRUSH) == (0, str(version + 1))
    assert monitor.state.osdmap.crush_version == version + 1
    bare = wire.encode(wire.CrushMap(type_names={0: "osd"}))
    assert monitor.ask("setcrushmap", bare)[0] == -22  # pools need their rules


def test_views_name_what_has_no_name() -> None:
    crush = wire.CrushMap(buckets=(wire.Bucket(-1, 9),), max_devices=1)
    view = crushview.dump(crush)
    assert view["devices"] == [{"id": 0, "name": "device0"}]
    assert view["buckets"][0]["name"] == ""
