# SPDX-License-Identifier: Apache-2.0
"""An erasure-coded pool, made and used by the unmodified programs, also with an OSD dead."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from octostack.engines.ceph.core.osdmap.names import rjenkins
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime.device import FileDevice

pytestmark = pytest.mark.compat
HERE = Path(__file__).parent
VECTORS = HERE.parents[1] / "vectors/ceph/coded"
DIFFERENCES = {  # steps, and why
    "plugin=nope": "no file is looked for",
    "w=16 k=2 m=1": "only words of 8 bits are there",
    "k=2 m=1 packetsize=2048 technique=cauchy_good": "the technique is not there",
}
ROOT = Path(__file__).parents[3]
OSD_GIB = 2
PATIENCE = 100  # questions, until groups are as they should be
TIMEOUT_S = 60


def octostack(*words: str | Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = (sys.executable, "-m", "octostack.apps.cli", "ceph", *words)
    subprocess.run(words, env=environment, check=True, timeout=TIMEOUT_S, capture_output=True)


class Cluster:
    """Three OSDs, one of which will die."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, program: str, *words: str, data: bytes = b"", fails: bool = False) -> bytes:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [f"/usr/bin/{program}", "-c", f"{self.directory}/ceph.conf", *words],
            input=data,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done.stdout

    def rados(self, *words: str, data: bytes = b"", fails: bool = False) -> bytes:
        return self.run("rados", "-p", "coded", *words, data=data, fails=fails)

    def wait_for(self, state: bytes) -> None:
        for _ in range(PATIENCE):
            if state in self.run("ceph", "pg", "stat"):
                return
        raise AssertionError(self.run("ceph", "-s"))

    def start_all(self) -> None:
        """Whatever another test has killed."""
        up = json.loads(self.run("ceph", "osd", "stat", "-f", "json"))["num_up_osds"]
        if up < 3 or not all(map(self.has_process, range(3))):
            octostack("up", self.directory)

    def has_process(self, osd: int) -> bool:
        """Whether it runs: the map may not know yet that it does not."""
        pid = int((self.directory / f"osd.{osd}" / "pid").read_text())
        return Path(f"/proc/{pid}").exists()

    def wait_until_inconsistent(self, groups: list[str]) -> None:
        """These groups, and no others."""
        for _ in range(PATIENCE):
            if json.loads(self.run("rados", "list-inconsistent-pg", "coded")) == groups:
                return
        raise AssertionError(self.run("ceph", "health", "detail"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("coded")
    octostack("up", directory, "--osds", "3", "--osd-gib", str(OSD_GIB))
    found = Cluster(directory)
    profile = ("k=2", "m=1", "crush-failure-domain=osd")
    found.run("ceph", "osd", "erasure-code-profile", "set", "two-and-one", *profile)
    found.run("ceph", "osd", "pool", "create", "coded", "4", "4", "erasure", "two-and-one")
    found.wait_for(b"4 active+clean")
    yield found
    octostack("down", directory)


def kill_osd(directory: Path, number: int) -> None:
    """The process that has the OSD's disk open."""
    disk = directory / f"osd.{number}" / "block"
    for process in Path("/proc").iterdir():
        try:
            held = [link.resolve() for link in (process / "fd").iterdir()]
        except OSError:
            continue
        if disk.resolve() in held:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError("no process has it")


def test_the_pool_is_what_was_asked_for(cluster: Cluster) -> None:
    rows = json.loads(cluster.run("ceph", "osd", "pool", "ls", "detail", "-f", "json"))
    (pool,) = (row for row in rows if row["pool_name"] == "coded")
    assert (pool["type"], pool["size"], pool["min_size"]) == (3, 3, 2)
    assert pool["stripe_width"] == 8192
    assert pool["erasure_code_profile"] == "two-and-one"


def test_objects_outlive_an_osd(cluster: Cluster) -> None:
    whole = os.urandom(300_001)
    cluster.rados("put", "whole", "-", data=whole)
    assert cluster.rados("get", "whole", "-") == whole
    cluster.rados("put", "whole", "-", "--offset", "70000", data=b"changed", fails=True)
    cluster.run("ceph", "osd", "pool", "set", "coded", "allow_ec_overwrites", "true")
    cluster.run("ceph", "osd", "pool", "set", "coded", "allow_ec_overwrites", "false", fails=True)
    shown = cluster.run("ceph", "osd", "pool", "get", "coded", "allow_ec_overwrites")
    assert shown == b"allow_ec_overwrites: true\n"
    cluster.rados("put", "whole", "-", "--offset", "70000", data=b"changed")
    whole = whole[:70_000] + b"changed" + whole[70_007:]
    cluster.rados("append", "whole", "-", data=b"more")
    cluster.rados("setxattr", "whole", "colour", "blue")
    cluster.rados("setomapval", "whole", "key", "value", fails=True)
    cluster.rados("mksnap", "before")
    cluster.rados("put", "whole", "-", data=b"short")
    assert cluster.rados("-s", "before", "get", "whole", "-").endswith(whole + b"more")
    kill_osd(cluster.directory, 2)
    assert cluster.rados("get", "whole", "-") == b"short"
    assert cluster.rados("-s", "before", "get", "whole", "-").endswith(whole + b"more")
    cluster.wait_for(b"undersized")
    cluster.rados("put", "later", "-", data=whole)
    cluster.rados("put", "later", "-", "--offset", "5", data=b"over")
    octostack("down", cluster.directory)
    octostack("up", cluster.directory)
    cluster.wait_for(b"4 active+clean")
    kill_osd(cluster.directory, 0)
    assert cluster.rados("get", "later", "-") == whole[:5] + b"over" + whole[9:]
    assert cluster.rados("get", "whole", "-") == b"short"
    assert cluster.rados("getxattr", "whole", "colour") == b"blue"


def test_profiles_settings_and_objects_are_as_in_a_real_cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """In a cluster of its own: the options of its monitors change."""
    directory = tmp_path_factory.mktemp("surface")
    octostack("up", directory, "--osds", "3")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    script = [str(HERE / "coded_surface.py"), f"{directory}/ceph.conf"]
    try:
        done = subprocess.run(
            ["/usr/bin/python3", *script],
            env=environment,
            capture_output=True,
            timeout=100,
            check=False,
        )
    finally:
        octostack("down", directory)
    assert done.returncode == 0, done.stderr.decode()
    real, ours = json.loads((VECTORS / "surface.json").read_text()), json.loads(done.stdout)
    assert real.keys() == ours.keys()
    different = {}
    for part, steps in real.items():
        pairs = enumerate(zip(steps, ours[part], strict=True))
        different |= {
            one.get("words", f"{part} {n}"): (one, got) for n, (one, got) in pairs if one != got
        }
    assert different.keys() == DIFFERENCES.keys(), different


def names_in_group(seed: int, kinds: Iterable[str]) -> dict[str, str]:
    """One for each kind, of that one of four groups."""
    found = {}
    for kind in kinds:
        all_names = (f"{kind}.{number}" for number in itertools.count())
        found[kind] = next(one for one in all_names if rjenkins(one.encode()) & 3 == seed)
    return found


def damage(directory: Path, osd: int, names: dict[str, str]) -> None:
    """What stands in the vectors' README, on the disk of an OSD that does not run."""

    async def change() -> None:
        device = FileDevice(directory / f"osd.{osd}" / "block", OSD_GIB << 30)
        store = BlockStore(device)
        await store.open()
        where = next(one for one in store.collections() if one.pg.seed == 0 and one.shard == 2)
        objects = {what.name.decode(): what for what in store.list_objects(where) if what.name}
        shards = {kind: objects[name] for kind, name in names.items()}
        first = store.read(where, shards["bytes"], 0, 6)
        changed = first[:5] + bytes([first[5] ^ 1])
        size = store.size(where, shards["short"])
        changes: list[api.Change] = [
            api.Write(where, shards["bytes"], 0, changed),
            api.Truncate(where, shards["short"], size - 4096),
            api.Remove(where, shards["gone"]),
            api.SetAttrs(where, shards["attr"], {b"_colour": b"blue"}),
            api.RemoveAttr(where, shards["noattr"], b"_colour"),
            api.RemoveAttr(where, shards["noinfo"], b"_"),
        ]
        store.queue([changes])
        await store.close()

    asyncio.run(change())


def told(one: dict[str, Any]) -> dict[str, Any]:
    """Of an object, by shard, without what differs from cluster to cluster."""
    shards = {
        shard["shard"]: {
            "errors": set(shard["errors"]),
            "size": shard.get("size"),
            "attrs": shard.get("attrs"),
            "object_info": sorted(shard.get("object_info", ())),
        }
        for shard in one["shards"]
    }
    flaws = (set(one["errors"]), set(one["union_shard_errors"]))
    info = one["selected_object_info"]
    return {"flaws": flaws, "info": (sorted(info), info["size"]), "shards": shards}


def test_damaged_shards_are_told_as_by_the_real_one(cluster: Cluster) -> None:
    cluster.start_all()
    cluster.wait_for(b"4 active+clean")
    real = {
        one["object"]["name"]: told(one)
        for one in json.loads((VECTORS / "inconsistent.json").read_text())
    }
    names = names_in_group(0, real)
    for kind, name in names.items():
        cluster.rados("put", name, "-", data=kind.encode() * 3000)
        cluster.rados("setxattr", name, "colour", "red")
    place = json.loads(cluster.run("ceph", "osd", "map", "coded", names["gone"], "-f", "json"))
    pg, osd = place["pgid"], place["acting"][2]
    octostack("down", cluster.directory, f"osd.{osd}")
    damage(cluster.directory, osd, names)
    octostack("up", cluster.directory, f"osd.{osd}")
    cluster.wait_for(b"4 active+clean")
    cluster.run("ceph", "pg", "deep-scrub", pg)
    cluster.wait_until_inconsistent([pg])
    found = json.loads(cluster.rados("list-inconsistent-obj", pg, "--format=json"))
    kinds = {name: kind for kind, name in names.items()}
    ours = {kinds[one["object"]["name"]]: told(one) for one in found["inconsistents"]}
    assert ours.keys() == real.keys()
    assert {kind for kind in real if real[kind] != ours[kind]} == {"bytes", "short"}, ours
    # with one shard of parity, that they do not fit is all that can be known
    assert {"ec_hash_error"} == ours["bytes"]["shards"][2]["errors"] == ours["bytes"]["flaws"][1]
    short = real["short"]["shards"][2]["errors"] - {"read_error"}  # it can be read
    assert ours["short"]["shards"][2]["errors"] == short
    cluster.run("ceph", "pg", "repair", pg)
    for name in names.values():
        cluster.rados("rm", name)
    cluster.run("ceph", "pg", "deep-scrub", pg)
    cluster.wait_until_inconsistent([])
