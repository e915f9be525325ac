# SPDX-License-Identifier: Apache-2.0
"""Plain values, addresses and names of Ceph's encoding; bytes as release 16.2.15 writes them."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.wire.ceph import addresses, objects
from octostack.wire.ceph.codec import Malformed, Reader, Writer


def written(write: Callable[..., None], *values: Any) -> bytes:
    w = Writer()
    write(w, *values)
    return w.done()


@pytest.mark.parametrize(
    ("name", "value", "encoded"),
    [
        ("u8", 0xFE, "fe"),
        ("s16", -2, "feff"),
        ("u32", 0x01020304, "04030201"),
        ("s32", -1, "ffffffff"),
        ("u64", 1, "0100000000000000"),
        ("s64", -(1 << 63), "0000000000000080"),
        ("f32", 0.5, "0000003f"),
        ("boolean", True, "01"),
        ("bytes", b"ab", "020000006162"),
        ("string", "é\udc80", "03000000c3a980"),
        ("utime", 3_000_000_005, "0300000005000000"),
        ("uuid", uuid.UUID(int=1), "00000000000000000000000000000001"),
    ],
)
def test_plain_values(name: str, value: Any, encoded: str) -> None:
    w = Writer()
    getattr(w, name)(value)
    assert w.done().hex() == encoded
    r = Reader(w.done())
    assert getattr(r, name)() == value
    assert r.left == 0


def test_containers() -> None:
    w = Writer()
    w.vector([3, 1], w.u16)
    w.map({2: "b", 1: "a"}, w.u8, w.string)
    w.numbers("q", [-1, 5])
    assert w.done().hex() == (
        "0200000003000100" + "02000000" + "010100000061" + "020100000062"
        "02000000ffffffffffffffff0500000000000000"
    )
    r = Reader(w.done())
    assert r.vector(r.u16, 2) == [3, 1]
    assert r.map(r.u8, r.string) == {1: "a", 2: "b"}
    assert r.numbers("q") == [-1, 5]


def test_a_newer_struct_is_read_as_far_as_it_is_known() -> None:
    w = Writer()
    with w.versioned(9, 2):
        w.u8(7)
        with w.versioned(1, 1):
            w.u32(5)
        w.string("of a later release")
    w.u8(42)
    r = Reader(w.done())
    with r.versioned(3) as version:
        assert version == 9
        assert r.u8() == 7
        with r.versioned(1):
            with pytest.raises(Malformed):
                r.u64()
            assert r.u32() == 5
    assert r.u8() == 42


def test_a_struct_for_newer_readers_only_is_refused() -> None:
    w = Writer()
    with w.versioned(9, 8):
        w.u8(7)
    with pytest.raises(Malformed, match="asks for version 8"), Reader(w.done()).versioned(7):
        pass


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r.vector(r.u32, 4),
        lambda r: r.map(r.u8, r.u8, 2),
        lambda r: r.bytes(),
        lambda r: r.numbers("Q"),
        lambda r: r.count(),
        addresses.read_addresses,
    ],
)
def test_a_hostile_count_allocates_nothing(read: Callable[[Reader], Any]) -> None:
    with pytest.raises(Malformed):
        read(Reader(b"\x02\xff\xff\xff\xff" + bytes(60)))
    with pytest.raises(Malformed):
        read(Reader(b"\xff\xff\xff\xff" + bytes(60)))


READERS = [
    addresses.read_address,
    addresses.read_addresses,
    addresses.read_inst,
    objects.read_hobject,
    objects.read_ghobject,
    objects.read_locator,
    objects.read_pg,
    objects.read_shard_pg,
    objects.read_eversion,
]


@given(st.binary(max_size=80), st.sampled_from(READERS))
def test_garbage_is_malformed_and_nothing_worse(data: bytes, read: Callable[..., Any]) -> None:
    try:
        read(Reader(data))
    except Malformed as error:
        assert 0 <= error.details["at"] <= len(data)


V2 = addresses.Address(2, "127.0.0.1", 6800, 4021)
V1 = addresses.Address(1, "127.0.0.1", 6801, 4021)
SIX = addresses.Address(2, "fe80::1", 3300, 0)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (V2, "0101011c00000002000000b50f0000100000000200" + "1a90" + "7f000001" + "00" * 8),
        (addresses.Address(), "0101010c000000000000000000000000000000"),
    ],
)
def test_an_address(value: addresses.Address, encoded: str) -> None:
    assert written(addresses.write_address, value).hex() == encoded
    assert addresses.read_address(Reader(bytes.fromhex(encoded))) == value


def test_a_legacy_address() -> None:
    raw = bytes(4) + (4021).to_bytes(4, "little") + bytes.fromhex("00021a917f000001")
    assert addresses.read_address(Reader(raw + bytes(120))) == V1


@pytest.mark.parametrize("value", [(), (V2,), (V2, V1), (SIX,)])
def test_addresses_come_back(value: addresses.Addresses) -> None:
    assert addresses.read_addresses(Reader(written(addresses.write_addresses, value))) == value


def test_one_address_where_several_may_stand() -> None:
    assert addresses.read_addresses(Reader(written(addresses.write_address, V2))) == (V2,)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("v2:127.0.0.1:6800/4021", (V2,)),
        ("[v2:127.0.0.1:6800/4021,v1:127.0.0.1:6801/4021]", (V2, V1)),
        ("v2:[fe80::1]:3300/0", (SIX,)),
    ],
)
def test_addresses_as_text(text: str, value: addresses.Addresses) -> None:
    assert addresses.parse_many(text) == value
    assert addresses.format_many(value) == text


@pytest.mark.parametrize("text", ["", "host:1", "v3:1.1.1.1:1", "1.1.1", "[v2:1.1.1.1:x]"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Invalid):
        addresses.parse_many(text)


def test_the_cursor_before_every_object() -> None:
    least = written(objects.write_hobject, objects.HOBJECT_MIN)
    assert least.hex() == "040321000000" + "00" * 8 + "00" * 13 + "00000000" + "00" * 7 + "80"
    assert objects.read_hobject(Reader(least)) == objects.HOBJECT_MIN


@pytest.mark.parametrize(
    ("write", "read", "value"),
    [
        (
            objects.write_hobject,
            objects.read_hobject,
            objects.HObject(b"n\xff", b"k", 4, 0xDEADBEEF, False, b"ns", 3),
        ),
        (
            objects.write_ghobject,
            objects.read_ghobject,
            objects.GHObject(objects.HObject(b"n", pool=3), 7, 2),
        ),
        (objects.write_shard_pg, objects.read_shard_pg, objects.ShardPG(objects.PG(3, 31), 2)),
        (objects.write_eversion, objects.read_eversion, objects.EVersion(12, 345)),
        (objects.write_locator, objects.read_locator, objects.Locator(3, b"k", b"ns", 5)),
        (objects.write_locator, objects.read_locator, objects.Locator(3)),
        (
            addresses.write_inst,
            addresses.read_inst,
            addresses.EntityInst(addresses.EntityName(8, 4123), V2),
        ),
    ],
)
def test_names_come_back(write: Any, read: Any, value: Any) -> None:
    assert read(Reader(written(write, value))) == value


def test_the_order_of_objects() -> None:
    assert objects.reverse_bits(0x80000001) == 0x80000001
    assert objects.reverse_bits(0x00000002) == 0x40000000
    in_order = [
        objects.HOBJECT_MIN,
        objects.HObject(b"b", hash=2, pool=1),
        objects.HObject(b"a", hash=1, pool=1),
        objects.HObject(b"c", hash=1, pool=1),
        objects.HObject(b"a", hash=1, namespace=b"n", pool=1),
        objects.HOBJECT_MAX,
    ]
    keys = [each.sort_key() for each in in_order]
    assert sorted(set(keys)) == keys
    assert objects.EVersion(1, 9) < objects.EVersion(2, 1)


def test_names_as_text() -> None:
    assert str(objects.ShardPG(objects.PG(3, 31), 2)) == "3.1fs2"
    assert str(objects.EVersion(12, 345)) == "12'345"
    assert str(addresses.EntityName(8, -1)) == "client.?"
