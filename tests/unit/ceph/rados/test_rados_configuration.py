# SPDX-License-Identifier: Apache-2.0
"""ceph.conf, keyrings, the environment and mon_host, as Ceph's programs read them."""

from pathlib import Path

import pytest

from octostack.base.errors import Invalid, NotFound, OctoError
from octostack.engines.ceph.rados import files
from octostack.engines.ceph.rados.core import config, failures, monhosts
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.core.monhosts import Place

KEY = "AQBvaBhlAAAAABAAdGVzdHRlc3R0ZXN0dGVzdA=="

TEXT = r"""
# a comment
mon host = early
[global]
    fsid = 11111111-2222-3333-4444-555555555555   ; another
    mon-host=[v2:10.0.0.1:3300,v1:10.0.0.1:6789] \
             [v2:10.0.0.2:3300,v1:10.0.0.2:6789]
    key with   spaces = "quoted # not a comment" # but this is
    path = /run/$cluster/$type.$id-$name
    nested = ${path}/x $unknown
    escaped = a\;b\#c
[client]
rados osd op timeout = 5s
[client.glance]
keyring = /keys/$cluster.$name
size = 64M
[ osd.0 ]
    host = h
"""


def test_a_file_with_all_its_liberties() -> None:
    settings = Settings("client.glance", "ceph", config.parse(TEXT))
    assert settings.text("fsid") == "11111111-2222-3333-4444-555555555555"
    assert settings.text("mon host") == settings.text("mon-host") == settings.text("mon_host")
    assert monhosts.parse(settings.text("mon_host")) == (Place("10.0.0.1"), Place("10.0.0.2"))
    assert settings.text("key_with_spaces") == "quoted # not a comment"
    assert settings.text("nested") == "/run/ceph/client.glance-client.glance/x $unknown"
    assert settings.text("escaped") == "a;b#c"
    assert settings.seconds("rados_osd_op_timeout") == 5
    assert settings.text("keyring") == "/keys/ceph.client.glance"
    assert settings.size("size") == 64 << 20
    assert settings.find("host") is None
    with pytest.raises(Invalid):
        config.parse("[global]\nwithout a value\n")


def test_the_nearest_place_wins() -> None:
    file = config.parse("[global]\na=g\nb=g\nc=g\n[client]\na=c\nb=c\n[client.x]\na=x\n")
    settings = Settings("client.x", "ceph", file, {"d": "told"}, {"d": "env", "e": "env"})
    settings.central = {"c": "central", "f": "central", "objecter_inflight_ops": "7"}
    assert [settings.find(name) for name in "abcdef"] == ["x", "c", "g", "told", "env", "central"]
    assert settings.size("objecter_inflight_ops") == 7
    assert settings.size("objecter_inflight_op_bytes") == 100 << 20
    with pytest.raises(Invalid):
        settings.seconds("a")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("10.0.0.1", [("10.0.0.1", 3300)]),
        ("10.0.0.1,10.0.0.2;10.0.0.3 10.0.0.4", [(f"10.0.0.{n}", 3300) for n in range(1, 5)]),
        ("10.0.0.1:6789", [("10.0.0.1", 3300)]),
        ("10.0.0.1:3301", [("10.0.0.1", 3301)]),
        ("v2:10.0.0.1:3300/0", [("10.0.0.1", 3300)]),
        ("[v2:10.0.0.1:40000/0,v1:10.0.0.1:40001/0]", [("10.0.0.1", 40000)]),
        ("[v1:10.0.0.1:6789,v2:10.0.0.1:3309]", [("10.0.0.1", 3309)]),
        (
            "[v2:[fd00::1]:3300,v1:[fd00::1]:6789],[v2:[fd00::2]:3300]",
            [("fd00::1", 3300), ("fd00::2", 3300)],
        ),
        ("[fd00::1]", [("fd00::1", 3300)]),
        ("[fd00::1]:3302", [("fd00::1", 3302)]),
        ("mon1.example.org,mon2:3300", [("mon1.example.org", 3300), ("mon2", 3300)]),
        ("v1:10.0.0.1:40001", []),
        ("", []),
    ],
)
def test_mon_host_in_all_its_forms(text: str, places: list[tuple[str, int]]) -> None:
    assert [(p.host, p.port) for p in monhosts.parse(text)] == places


def test_mon_host_that_is_none() -> None:
    with pytest.raises(Invalid):
        monhosts.parse("[v2:10.0.0.1:x]")
    assert Place("10.0.0.1").is_address
    assert not Place("mon1").is_address
    old = config.parse("[mon.a]\nhost = a\nmon addr = 10.0.0.9:6789\n")
    assert monhosts.of_sections(old) == (Place("10.0.0.9"),)


def test_files_are_found_where_the_environment_says(tmp_path: Path) -> None:
    conf, keys = tmp_path / "my.conf", tmp_path / "keys"
    conf.write_text(f"[global]\nmon host = 10.0.0.1\nkeyring = {keys}\n[client.other]\nx = 1\n")
    keys.write_text(f"[client.admin]\n\tkey = {KEY}\n")
    settings = files.load(environment={"CEPH_CONF": str(conf)})
    assert settings.text("mon_host") == "10.0.0.1"
    found = files.find_key(settings)
    assert found is not None
    assert str(found) == KEY
    words = f"--conf {conf} --id other --mon-host=10.0.0.7 -k {tmp_path}/none"
    other = files.load(environment={"CEPH_ARGS": words})
    assert (other.entity, other.text("x"), other.text("mon_host")) == (
        "client.other",
        "1",
        "10.0.0.7",
    )
    assert files.find_key(other) is None
    given = files.load(conf, entity="client.k", told={"key": KEY}, environment={})
    assert str(files.find_key(given)) == KEY
    (tmp_path / "secret").write_text(KEY + "\n")
    by_file = files.load(conf, told={"keyfile": f"{tmp_path}/secret"}, environment={})
    assert str(files.find_key(by_file)) == KEY
    around = files.load(conf, environment={"CEPH_KEYRING": str(tmp_path / "no such")})
    assert files.find_key(around) is None
    with pytest.raises(NotFound):
        files.load(tmp_path / "missing.conf", environment={})
    home = tmp_path / ".ceph"
    home.mkdir()
    (home / "site.conf").write_text("[global]\nmon host = 10.9.9.9\n")
    at_home = files.load(cluster="site", environment={"HOME": str(tmp_path)})
    assert at_home.text("mon_host") == "10.9.9.9"


def test_numbers_become_errors_and_stay() -> None:
    for number, kind in ((2, "not_found"), (17, "conflict"), (108, "forbidden"), (110, "timeout")):
        error = failures.error_of(-number, "object")
        assert (error.kind, failures.errno_of(error)) == (kind, number)
        assert error.code.startswith("rados.e")
    assert failures.error_of(-(4095 + 17), "object").details["offset"] == 17
    assert type(failures.error_of(-9999, "x")).kind == "conflict"
    assert failures.errno_of(OctoError("ours")) == 0
