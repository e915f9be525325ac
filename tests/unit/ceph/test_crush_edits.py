# SPDX-License-Identifier: Apache-2.0
"""Text and edits of maps: a cluster's own map, and what must hold after every edit."""

from pathlib import Path

import msgspec
import pytest

from octostack.base.errors import Busy, Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import edit, names, rulebook, rules
from octostack.engines.ceph.core.crush.rulebook import NewRule
from octostack.engines.ceph.core.crush.text import compile as compiler
from octostack.engines.ceph.core.crush.text import decompile
from octostack.testing import crush_maps
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import ChooseArg, CrushMap

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph" / "crush"
CLUSTER = wire.decode((VECTORS / "cluster.bin").read_bytes())


def _small() -> CrushMap:
    crush = CrushMap(
        type_names={0: "osd", 1: "host", 2: "rack", 10: "root"},
        tunables=rulebook.PROFILES["jewel"],
    )
    crush = edit.add_bucket(crush, "default", "root")
    for osd in range(4):
        place = {"root": "default", "host": f"host{osd // 2}"}
        crush = edit.insert_item(crush, osd, 0x10000, f"osd.{osd}", place)
    return rulebook.add_rule(crush, NewRule("replicated"))[0]


def _weight(crush: CrushMap, name: str) -> float:
    bucket = crush.find_bucket(names.get_item(crush, name))
    assert bucket is not None
    return bucket.weight / 0x10000


def test_the_text_of_a_clusters_map() -> None:
    text = (VECTORS / "cluster.txt").read_text()
    assert decompile.decompile(CLUSTER) == text
    compiled = compiler.compile_text(text)
    assert wire.encode(compiled) == (VECTORS / "cluster-compiled.bin").read_bytes()
    again = decompile.decompile(compiled)  # classes are numbered anew, so their lines move
    assert sorted(again.splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tunable nonsense 1", "not recognized"),
        ("device 0 osd.0\ndevice 1 osd.0", "line 2.*twice"),
        ("type 1 host\nhost a {\n id -1\n}", "no alg"),
        ("type 1 host\nhost a {\n alg straw2\n item b weight 1\n}", "line 4.*not defined"),
        ("type 1 host\nhost a {\n alg straw9\n}", "expected at 'straw9'"),
        ("type 1 host\nhost a {", "expected"),
        ("device x osd.0", "number"),
        ("device 0 osd.0\ntype 1 host\nhost a {\n alg straw2\n item osd.0 weight 1e9\n}", "range"),
        ("rule r { id 0 type replicated min_size 1 max_size 2 step take x }", "not defined"),
        ("choose_args 0 { { bucket_id -1 } }", "does not exist"),
    ],
)
def test_a_text_that_is_wrong_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        compiler.compile_text(text)


def test_a_tree_that_contains_itself_has_no_text() -> None:
    bucket = wire.Bucket(-1, 1, items=(-1,), weights=(1,))
    with pytest.raises(Invalid, match="contains itself"):
        decompile.decompile(CrushMap(buckets=(bucket,)))


def test_weights_add_up_to_the_root() -> None:
    crush = _small()
    assert _weight(crush, "default") == 4
    crush = edit.reweight(crush, "osd.1", 0x28000)
    assert (_weight(crush, "host0"), _weight(crush, "default")) == (3.5, 5.5)
    crush = edit.move(crush, "osd.1", {"root": "default", "host": "host1"})
    assert (_weight(crush, "host0"), _weight(crush, "host1")) == (1, 4.5)
    crush = edit.remove_item(crush, "osd.0")
    assert _weight(crush, "default") == 4.5
    crush = edit.reweight_subtree(crush, "host1", 0x10000)
    assert _weight(crush, "default") == 3


def test_a_host_moves_below_a_new_rack() -> None:
    crush = edit.add_bucket(_small(), "rack1", "rack", {"root": "default"})
    crush = edit.move(crush, "host0", {"rack": "rack1", "root": "default"})
    assert (_weight(crush, "rack1"), _weight(crush, "default")) == (2, 4)
    with pytest.raises(Busy):
        edit.remove_item(crush, "rack1")
    with pytest.raises(Invalid):
        edit.move(crush, "rack1", {"host": "host0"})


def test_a_device_that_boots_at_its_place_changes_nothing() -> None:
    crush = _small()
    place = {"root": "default", "host": "host0"}
    assert edit.create_or_move(crush, 0, 0x50000, "osd.0", place) is crush
    moved = edit.create_or_move(crush, 0, 0x50000, "osd.0", place | {"host": "host9"})
    assert _weight(moved, "host9") == 1  # its own weight, not the one of a new device


def test_shadow_trees_follow_the_devices() -> None:
    crush = _small()
    for osd, kind in enumerate(("ssd", "hdd", "ssd", "hdd")):
        crush = rulebook.set_class(crush, osd, kind)
    assert _weight(crush, "default~ssd") == 2
    crush, number = rulebook.add_rule(crush, NewRule("fast", device_class="ssd"))
    weights = crush_maps.with_weights(4)
    assert all(set(rules.map_input(crush, number, x, 2, weights)) == {0, 2} for x in range(50))
    with pytest.raises(Busy, match="already bound"):
        rulebook.set_class(crush, 0, "hdd")
    shadow = names.get_item(crush, "default~ssd")
    crush = rulebook.set_class(rulebook.remove_class(crush, 0), 0, "hdd")
    assert names.get_item(crush, "default~ssd") == shadow  # rules go on pointing at it
    assert _weight(crush, "default~ssd") == 1
    crush = rulebook.rename_class(crush, "ssd", "nvme")
    assert names.get_item(crush, "default~nvme") == shadow


def test_a_class_that_nothing_has_is_forgotten() -> None:
    crush = rulebook.set_class(_small(), 0, "ssd")
    crush = rulebook.remove_class(crush, 0)
    assert not crush.class_names
    assert not any("~" in name for name in crush.names.values())


def test_weight_sets_keep_their_sums() -> None:
    crush = _small()
    sets = {b.id: ChooseArg((b.weights,)) for b in crush.buckets if b}
    crush = msgspec.structs.replace(crush, choose_args={-1: sets})
    crush = edit.reweight(crush, "osd.3", 0x30000)
    crush = edit.remove_item(crush, "osd.0")
    root = crush.find_bucket(names.get_item(crush, "default"))
    assert root is not None
    for place, host in enumerate(root.items):
        row = crush.choose_args[-1][host].weight_set[0]
        assert sum(row) == crush.choose_args[-1][root.id].weight_set[0][place]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: edit.insert_item(c, 9, 1, "bad name", {"root": "default"}), Invalid),
        (lambda c: edit.insert_item(c, 9, -1, "osd.9", {"root": "default"}), Invalid),
        (lambda c: edit.insert_item(c, 9, 1, "osd.9", {}), Invalid),
        (lambda c: edit.insert_item(c, 9, 1, "osd.9", {"cage": "x"}), Invalid),
        (lambda c: edit.insert_item(c, 9, 1, "osd.9", {"host": "default"}), Invalid),
        (lambda c: edit.insert_item(c, 9, 1, "osd.0", {"root": "default"}), Conflict),
        (lambda c: edit.add_bucket(c, "host0", "host"), Conflict),
        (lambda c: edit.add_bucket(c, "x", "cage"), Invalid),
        (lambda c: edit.add_bucket(c, "x", "osd"), Invalid),
        (lambda c: edit.remove_item(c, "nothing"), NotFound),
        (lambda c: edit.remove_item(c, "default"), Busy),
        (lambda c: edit.rename_bucket(c, "host0", "host1"), Conflict),
        (lambda c: edit.rename_bucket(c, "osd.0", "x"), Invalid),
        (lambda c: edit.remove_item_under(c, "osd.0", "host1"), NotFound),
        (lambda c: rulebook.add_rule(c, NewRule("replicated")), Conflict),
        (lambda c: rulebook.add_rule(c, NewRule("x", root="y")), NotFound),
        (lambda c: rulebook.add_rule(c, NewRule("x", failure_domain="y")), Invalid),
        (lambda c: rulebook.add_rule(c, NewRule("x", device_class="y")), Invalid),
        (lambda c: rulebook.remove_rule(c, "x"), NotFound),
        (lambda c: rulebook.set_class(c, 77, "ssd"), NotFound),
        (lambda c: rulebook.set_profile(c, "x"), Invalid),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(change: object, error: type[Exception]) -> None:
    assert callable(change)
    with pytest.raises(error):
        change(_small())


def test_profiles_have_their_names() -> None:
    for name in ("argonaut", "bobtail", "firefly", "hammer", "jewel"):
        assert rulebook.profile_of(rulebook.set_profile(_small(), name)) == name
