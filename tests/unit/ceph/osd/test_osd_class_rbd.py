# SPDX-License-Identifier: Apache-2.0
"""Class `rbd`, called as librbd calls it, and what real OSDs of 16.2.15 keep of images."""

import errno
import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from octostack.engines.ceph.osd.cls import kept
from octostack.engines.ceph.osd.cls.rbd import objectmap, trash, values
from octostack.engines.ceph.osd.cls.rbd.objectmap import CLEAN, EXISTS, GONE, PENDING
from octostack.engines.ceph.osd.cls.rbd.values import Child, Feature, Parent, SnapKind
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.requests import OpReply
from octostack.testing.osd import Client, call, copy_alone, extent
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

GOLDEN = json.loads(
    (Path(__file__).parents[3] / "vectors/ceph/images/objects.json").read_text(encoding="ascii")
)
HEADER = HObject(b"rbd_header.1", hash=1, pool=1, snap=SNAP_HEAD)
OTHER = HObject(b"rbd_object_map.1", hash=2, pool=1, snap=SNAP_HEAD)
ALL = Feature.LAYERING | Feature.EXCLUSIVE_LOCK | Feature.OBJECT_MAP | Feature.DEEP_FLATTEN


@pytest.fixture
def client() -> Client:
    return Client(copy_alone(MemoryStore(), ShardPG(PG(1, 0))).group.submit)


def pack(*parts: Any) -> bytes:
    """Bytes as str, (code, number) by `struct`, and bytes in a list as they are."""
    w = Writer()
    for part in parts:
        match part:
            case bytes():
                w.bytes(part)
            case (code, number):
                w.raw(struct.pack(f"<{code}", number))
            case [raw]:
                w.raw(raw)
    return w.done()


def ask(client: Client, method: str, *parts: Any, of: HObject = HEADER) -> OpReply:
    return client.ask(of, call(b"rbd", method.encode(), pack(*parts)))


def told(client: Client, method: str, *parts: Any, of: HObject = HEADER) -> Reader:
    reply = ask(client, method, *parts, of=of)
    assert reply.result == 0, method
    return Reader(reply.outputs[0])


def create(client: Client, features: int = ALL, size: int = 1 << 26) -> None:
    told(client, "create", ("Q", size), ("B", 22), ("Q", features), b"rbd_data.1")


def add_snap(client: Client, number: int, name: bytes, kind: SnapKind | None = None) -> OpReply:
    more = [] if kind is None else [[kept.encoded(values.write_snap_kind, kind)]]
    return ask(client, "snapshot_add", name, ("Q", number), *more)


def snap_ids(client: Client) -> list[int]:
    r = told(client, "get_snapcontext")
    r.u64()
    return r.numbers("Q")


def operations(client: Client) -> int:
    return told(client, "op_features_get").u64()


# What real OSDs keep


def test_records_of_real_headers_are_written_again_as_they_were_read() -> None:
    seen = set()
    for name, kept_there in GOLDEN.items():
        for key, value in kept_there["omap"].items():
            word = bytes.fromhex(key).rstrip(b"0123456789abcdef")
            data = bytes.fromhex(value)
            if word == b"snapshot_":
                snap = kept.decoded(values.read_snap, data)
                assert kept.encoded(values.write_snap, snap) == data
            elif name.startswith("rbd_header") and key == b"parent".hex():
                parent = kept.decoded(values.read_parent, data)
                assert kept.encoded(values.write_parent, parent) == data
            elif word == b"snap_children_":
                children = kept.decoded(values.read_children, data)
                assert kept.encoded(values.write_children, children) == data
                assert len(children) == 2
            elif name == "rbd_trash":
                record = kept.decoded(trash.read_record, data)
                assert kept.encoded(trash.write_record, record) == data
                assert record.name == b"gone"
            else:
                continue
            seen.add(word)
    assert seen == {b"snapshot_", b"parent", b"snap_children_", b"id_"}


def test_real_object_maps_are_written_again_as_they_were_read() -> None:
    sizes = set()
    for name, there in GOLDEN.items():
        if name.startswith("rbd_object_map"):
            data = bytes.fromhex(there["body"])
            objects, bits = objectmap.decode(data)
            assert objectmap.encode(objects, bits) == data
            with pytest.raises(Malformed):
                objectmap.decode(data[:20] + bytes([data[20] ^ 1]) + data[21:])
            sizes.add(objects)
    assert sizes == {1, 16, 10_000}


def test_what_create_keeps_is_what_a_real_osd_keeps(client: Client) -> None:
    create(client)
    entries = (b"features", b"object_prefix", b"order", b"size", b"snap_seq")
    times = (b"access_timestamp", b"create_timestamp", b"modify_timestamp")
    real = [bytes.fromhex(k) for k in GOLDEN["rbd_header.113ecbf0a793"]["omap"]]
    assert sorted(real) == sorted((*entries, *times))
    assert told(client, "get_size", ("Q", SNAP_HEAD)).rest() == pack(("B", 22), ("Q", 1 << 26))


# Headers


@pytest.mark.parametrize(
    ("parts", "result"),
    [
        ((("Q", 1), ("B", 22), ("Q", 1 << 20), b"p"), -errno.ENOSYS),
        ((("Q", 1), ("B", 22), ("Q", 1), b""), -errno.EINVAL),
        ((("Q", 1), ("B", 22), ("Q", Feature.OPERATIONS), b"p"), -errno.EINVAL),
        ((("Q", 1), ("B", 22), ("Q", Feature.DATA_POOL), b"p"), -errno.EINVAL),
        ((("Q", 1), ("B", 22), ("Q", 1), b"p", ("q", 3)), -errno.EINVAL),
        ((("Q", 1), ("B", 22), ("Q", Feature.DATA_POOL), b"p", ("q", 3)), 0),
        ((("Q", 1),), -errno.EINVAL),
    ],
)
def test_images_that_cannot_be(client: Client, parts: tuple[Any, ...], result: int) -> None:
    assert ask(client, "create", *parts).result == result


def test_an_image_is_made_once(client: Client) -> None:
    create(client)
    again = ask(client, "create", ("Q", 1), ("B", 22), ("Q", 1), b"p")
    assert again.result == -errno.EEXIST


def test_features_change_as_far_as_they_may(client: Client) -> None:
    create(client)
    off = ask(client, "set_features", ("Q", 0), ("Q", Feature.OBJECT_MAP | Feature.DEEP_FLATTEN))
    assert off.result == 0
    assert told(client, "get_features", ("Q", SNAP_HEAD)).u64() == 5
    for wanted, mask in ((Feature.DEEP_FLATTEN,) * 2, (0, 1), (0, Feature.OPERATIONS)):
        assert ask(client, "set_features", ("Q", wanted), ("Q", mask)).result == -errno.EINVAL
    assert ask(client, "set_features", ("Q", 16), ("Q", 16)).result == 0
    read_only = told(client, "get_features", ("Q", SNAP_HEAD), ("B", 1))
    assert (read_only.u64(), read_only.u64()) == (21, 1)


def test_what_an_image_never_had(client: Client) -> None:
    create(client)
    assert told(client, "get_flags", ("Q", SNAP_HEAD)).u64() == 0
    assert told(client, "get_data_pool").s64() == -1
    assert told(client, "image_group_get").rest() == bytes.fromhex("01010c000000") + pack(
        ("q", -1), b""
    )
    assert told(client, "snapshot_get_limit").u64() == values.UNLIMITED
    assert ask(client, "get_stripe_unit_count").result == -errno.ENOEXEC
    parent = kept.decoded(values.read_parent_spec, bytes(told(client, "parent_get").rest()))
    assert parent == Parent()


def test_words_of_an_image(client: Client) -> None:
    create(client)
    entries = {b"k%d" % n: b"v%d" % n for n in range(5)}
    w = Writer()
    w.map(entries, w.bytes, w.bytes)
    told(client, "metadata_set", [w.done()])
    assert told(client, "metadata_get", b"k3").bytes() == b"v3"
    told(client, "metadata_remove", b"k3")
    assert ask(client, "metadata_get", b"k3").result == -errno.ENOENT
    page = told(client, "metadata_list", b"k1", ("Q", 2))
    assert page.map(page.bytes, page.bytes) == {b"k2": b"v2", b"k4": b"v4"}


# Snapshots


def test_snapshots_have_names_and_grow(client: Client) -> None:
    create(client)
    assert add_snap(client, 4, b"one").result == 0
    assert add_snap(client, 3, b"older").result == -errno.ESTALE
    assert add_snap(client, 5, b"one").result == -errno.EEXIST
    assert add_snap(client, 4, b"other").result == -errno.EEXIST
    assert add_snap(client, 7, b"two").result == 0
    assert snap_ids(client) == [7, 4]
    told(client, "snapshot_set_limit", ("Q", 2))
    assert add_snap(client, 8, b"three").result == -errno.EDQUOT
    assert ask(client, "snapshot_set_limit", ("Q", 1)).result == -errno.ERANGE
    assert ask(client, "snapshot_rename", ("Q", 4), b"two").result == -errno.EEXIST
    told(client, "snapshot_rename", ("Q", 4), b"first")
    assert told(client, "get_snapshot_name", ("Q", 4)).bytes() == b"first"


def test_a_protected_snapshot_stays(client: Client) -> None:
    create(client)
    add_snap(client, 4, b"one")
    told(client, "set_protection_status", ("Q", 4), ("B", values.PROTECTED))
    assert ask(client, "snapshot_remove", ("Q", 4)).result == -errno.EBUSY
    assert ask(client, "snapshot_trash_add", ("Q", 4)).result == -errno.EBUSY
    told(client, "set_protection_status", ("Q", 4), ("B", values.UNPROTECTED))
    assert ask(client, "set_protection_status", ("Q", 4), ("B", 9)).result == -errno.EINVAL
    assert ask(client, "set_protection_status", ("Q", 5), ("B", 0)).result == -errno.ENOENT
    told(client, "snapshot_remove", ("Q", 4))
    assert snap_ids(client) == []
    assert ask(client, "snapshot_remove", ("Q", 4)).result == -errno.ENOENT


def test_a_snapshot_with_children_waits_in_the_trash(client: Client) -> None:
    create(client)
    add_snap(client, 4, b"one")
    w = Writer()
    values.write_children(w, {Child(2, b"ns", b"child")})
    child = w.done()[4:]
    told(client, "child_attach", ("Q", 4), [child])
    assert ask(client, "child_attach", ("Q", 4), [child]).result == -errno.EEXIST
    assert operations(client) == values.Operation.CLONE_PARENT
    assert ask(client, "snapshot_remove", ("Q", 4)).result == -errno.EBUSY
    told(client, "snapshot_trash_add", ("Q", 4))
    assert ask(client, "snapshot_trash_add", ("Q", 4)).result == -errno.EEXIST
    assert told(client, "get_snapshot_name", ("Q", 4)).bytes() != b"one"
    assert operations(client) == values.Operation.CLONE_PARENT | values.Operation.SNAP_TRASH
    told(client, "child_detach", ("Q", 4), [child])
    assert ask(client, "children_list", ("Q", 4)).result == -errno.ENOENT
    told(client, "snapshot_remove", ("Q", 4))
    assert operations(client) == 0
    assert told(client, "get_features", ("Q", 0)).u64() == ALL


# Clones


def attach(client: Client, parent: Parent, overlap: int) -> OpReply:
    return ask(
        client, "parent_attach", [kept.encoded(values.write_parent_spec, parent)], ("Q", overlap)
    )


def overlap_of(client: Client, snap: int = SNAP_HEAD) -> int | None:
    return values.read_optional(told(client, "parent_overlap_get", ("Q", snap)))


@pytest.mark.parametrize("deep", [True, False])
def test_a_clone_needs_its_parent_until_it_is_detached(client: Client, deep: bool) -> None:
    create(client, ALL if deep else ALL & ~Feature.DEEP_FLATTEN)
    parent = Parent(3, b"", b"base", 9)
    assert attach(client, Parent(), 5).result == -errno.EINVAL
    assert attach(client, parent, 1 << 30).result == 0
    assert attach(client, parent, 1 << 30).result == -errno.EEXIST
    assert overlap_of(client) == 1 << 26
    add_snap(client, 4, b"one")
    told(client, "set_size", ("Q", 1000))
    assert (overlap_of(client), overlap_of(client, 4)) == (1000, 1 << 26)
    told(client, "parent_detach")
    assert overlap_of(client) is None
    assert overlap_of(client, 4) == (None if deep else 1 << 26)
    known = kept.decoded(values.read_parent_spec, bytes(told(client, "parent_get").rest()))
    assert known.exists is not deep
    told(client, "snapshot_remove", ("Q", 4))
    known = kept.decoded(values.read_parent_spec, bytes(told(client, "parent_get").rest()))
    assert not known.exists


def test_children_of_older_clones(client: Client) -> None:
    key = pack(("Q", 3), b"base", ("Q", 9))
    assert ask(client, "get_children", [key]).result == -errno.ENOENT
    told(client, "add_child", [key], b"b")
    told(client, "add_child", [key], b"a")
    assert ask(client, "add_child", [key], b"a").result == -errno.EEXIST
    r = told(client, "get_children", [key])
    assert r.vector(r.bytes) == [b"a", b"b"]
    told(client, "remove_child", [key], b"a")
    assert ask(client, "remove_child", [key], b"a").result == -errno.ENOENT
    told(client, "remove_child", [key], b"b")
    assert ask(client, "get_children", [key]).result == -errno.ENOENT


# Pools


def test_a_directory_knows_names_and_ids(client: Client) -> None:
    for n in range(70):
        told(client, "dir_add_image", b"name%02d" % n, b"id%02d" % n)
    assert ask(client, "dir_add_image", b"name01", b"new").result == -errno.EEXIST
    assert ask(client, "dir_add_image", b"new", b"id01").result == -errno.EBADF
    assert ask(client, "dir_add_image", b"new", b"no id").result == -errno.EINVAL
    told(client, "dir_rename_image", b"name01", b"renamed", b"id01")
    assert told(client, "dir_get_name", b"id01").bytes() == b"renamed"
    assert ask(client, "dir_get_id", b"name01").result == -errno.ENOENT
    assert ask(client, "dir_remove_image", b"renamed", b"id02").result == -errno.ESTALE
    told(client, "dir_remove_image", b"renamed", b"id01")
    r = told(client, "dir_list", b"name01", ("Q", 100))
    assert r.map(r.bytes, r.bytes) == {b"name%02d" % n: b"id%02d" % n for n in range(2, 70)}
    assert ask(client, "dir_state_set", ("B", 1)).result == -errno.EBUSY


def test_an_id_is_put_once(client: Client) -> None:
    assert ask(client, "set_id", b"abc").result == -errno.ENOENT
    client.ask(HEADER, extent(Code.CREATE))
    assert ask(client, "get_id").result == -errno.ENOENT
    assert ask(client, "set_id", b"a b").result == -errno.EINVAL
    told(client, "set_id", b"abc")
    assert told(client, "get_id").bytes() == b"abc"
    assert ask(client, "set_id", b"abd").result == -errno.EEXIST


def test_what_is_not_known_says_so_before_all_else(client: Client) -> None:
    for what in (HEADER, OTHER):
        assert ask(client, "no_such_method", of=what).result == -errno.EOPNOTSUPP


# Object maps


def load(client: Client) -> list[int]:
    objects, bits = objectmap.decode(bytes(told(client, "object_map_load", of=OTHER).rest()))
    states = objectmap.Bits(bits)
    return [states.get(n) for n in range(objects)]


def test_object_maps_follow_what_is_asked_of_them(client: Client) -> None:
    """Beside plain lists; with updates that fit into a block, and over its edges."""
    rng = random.Random(5)
    wanted: list[int] = []
    for _ in range(60):
        match rng.choice(["grow", "shrink", "update", "update", "snap", "back"]):
            case "grow":
                more, state = rng.randrange(12_000), rng.randrange(4)
                wanted += [state] * more
                size = (("Q", len(wanted)), ("B", state))
                told(client, "object_map_resize", *size, of=OTHER)
            case "shrink" if wanted:
                left = rng.randrange(len(wanted))
                told(client, "object_map_update", *update(left, len(wanted), GONE), of=OTHER)
                told(client, "object_map_resize", ("Q", left), ("B", GONE), of=OTHER)
                del wanted[left:]
            case "update" if wanted:
                start = rng.randrange(len(wanted))
                end = rng.choice([start + 1, rng.randrange(start, len(wanted)) + 1])
                new, only = rng.randrange(4), rng.choice([None, 0, 1, 2, 3])
                told(client, "object_map_update", *update(start, end, new, only), of=OTHER)
                for n in range(start, end):
                    was = wanted[n]
                    if only is None or was == only or (only == EXISTS and was == CLEAN):
                        wanted[n] = new
            case "snap" if wanted:
                told(client, "object_map_snap_add", of=OTHER)
                wanted = [CLEAN if state == EXISTS else state for state in wanted]
            case "back" if wanted:
                count = rng.randrange(len(wanted) + 1)
                data = rng.randbytes((count + 3) // 4)
                theirs = objectmap.Bits(data)
                given = [objectmap.encode(count, data)]
                told(client, "object_map_snap_remove", given, of=OTHER)
                for n, state in enumerate(wanted):
                    if state == CLEAN and (n >= count or theirs.get(n) == EXISTS):
                        wanted[n] = EXISTS
        if wanted:
            assert load(client) == wanted


def update(start: int, end: int, new: int, only: int | None = None) -> list[Any]:
    last = [("B", 0)] if only is None else [("B", 1), ("B", only)]
    return [("Q", start), ("Q", end), ("B", new), *last]


def test_object_maps_refuse_what_they_do_not_have(client: Client) -> None:
    assert ask(client, "object_map_load", of=OTHER).result == -errno.ENOENT
    told(client, "object_map_resize", ("Q", 10), ("B", PENDING), of=OTHER)
    assert ask(client, "object_map_update", *update(9, 11, 1), of=OTHER).result == -errno.ERANGE
    assert ask(client, "object_map_update", *update(3, 3, 1), of=OTHER).result == -errno.ERANGE
    smaller = ask(client, "object_map_resize", ("Q", 4), ("B", GONE), of=OTHER)
    assert smaller.result == -errno.ESTALE
    huge = ask(client, "object_map_resize", ("Q", 1 << 60), ("B", 0), of=OTHER)
    assert huge.result == -errno.EINVAL


# Objects of images


def test_a_parents_bytes_are_taken_where_nothing_is(client: Client) -> None:
    w = Writer()
    w.map({0: 2, 8: 3}, w.u64, w.u64)
    told(client, "sparse_copyup", [w.done()], b"abcde", of=OTHER)
    told(client, "sparse_copyup", [w.done()], b"vwxyz", of=OTHER)
    told(client, "copyup", [b"no"], of=OTHER)
    read = client.ask(OTHER, extent(Code.READ))
    assert bytes(read.outputs[0]) == b"ab" + bytes(6) + b"cde"
    short = ask(client, "sparse_copyup", [w.done()], b"ab", of=HEADER)
    assert short.result == -errno.EINVAL


def test_zeros_become_holes(client: Client) -> None:
    client.ask(
        OTHER, extent(Code.WRITE_FULL, payload=b"a" * 4096 + bytes(8192) + b"b" + bytes(9000))
    )
    told(client, "sparsify", ("Q", 4096), ("B", 1), of=OTHER)
    read = client.ask(OTHER, extent(Code.READ))
    assert bytes(read.outputs[0]) == b"a" * 4096 + bytes(8192) + b"b" + bytes(4095)
    client.ask(OTHER, extent(Code.WRITE_FULL, payload=bytes(100)))
    told(client, "sparsify", ("Q", 4096), ("B", 1), of=OTHER)
    assert client.ask(OTHER, extent(Code.STAT)).result == -errno.ENOENT
