# SPDX-License-Identifier: Apache-2.0
"""Codes give back what was lost, and make the very parity that Ceph's plug-ins make."""

import hashlib
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.codes import field
from octostack.engines.ceph.core.codes.code import Code, add
from octostack.engines.ceph.core.codes.digest import digest
from octostack.engines.ceph.core.codes.matrices import parity_rows
from octostack.engines.ceph.osd.core.shards.parity import list_odd

VECTORS = Path(__file__).parents[2] / "vectors/ceph/codes/parity.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]


def make(k: int, m: int, name: str = "jerasure reed_sol_van") -> Code:
    plugin, technique = name.split()
    return Code(k, m, parity_rows(plugin, technique, k, m))


def data_of(k: int, m: int, size: int = 256) -> list[bytes]:
    return [hashlib.shake_128(b"%d %d %d" % (k, m, n)).digest(size) for n in range(k)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['technique']} {c['k']}+{c['m']}")
def test_parity_is_that_of_cephs_plugins(case: dict) -> None:
    k, m = case["k"], case["m"]
    plugin, technique = case["technique"].split()
    assert parity_rows(plugin, technique, k, m) == case["rows"]
    parity = make(k, m, case["technique"]).encode(data_of(k, m))
    assert [hashlib.sha256(piece).hexdigest()[:32] for piece in parity] == case["parity"]


SMALL = [(k, m) for k in range(2, 6) for m in range(1, 4)]


@pytest.mark.parametrize(("k", "m"), SMALL)
def test_every_loss_of_up_to_m_pieces_is_made_good(k: int, m: int) -> None:
    code, data = make(k, m), data_of(k, m, 61)
    whole = [*data, *code.encode(data)]
    for count in range(m + 1):
        for lost in itertools.combinations(range(k + m), count):
            there = {n: piece for n, piece in enumerate(whole) if n not in lost}
            assert code.decode(there, range(k + m)) == dict(enumerate(whole))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_losses_of_larger_codes(draw: st.DataObject) -> None:
    names = ["jerasure reed_sol_van", "isa cauchy"]
    k, m = draw.draw(st.integers(2, 24)), draw.draw(st.integers(1, 8))
    code = make(k, m, draw.draw(st.sampled_from(names)))
    data = data_of(k, m, draw.draw(st.sampled_from([1, 7, 64, 40_000])))
    whole = [*data, *code.encode(data)]
    kept = draw.draw(st.permutations(range(k + m)))[: k + draw.draw(st.integers(0, m))]
    assert code.decode({n: whole[n] for n in kept}, range(k + m)) == dict(enumerate(whole))


@given(st.integers(0, 3), st.binary(min_size=64, max_size=64))
def test_a_change_of_data_is_a_change_of_parity(number: int, new: bytes) -> None:
    code, data = make(4, 3), data_of(4, 3, 64)
    before = code.encode(data)
    change = add(data[number], new)
    data[number] = new
    updated = [add(p, d) for p, d in zip(before, code.delta(number, change), strict=True)]
    assert updated == code.encode(data)


@pytest.mark.parametrize(("k", "m", "size"), [(2, 1, 4096), (3, 2, 16), (4, 3, 70_000)])
def test_digests_fit_as_pieces_do(k: int, m: int, size: int) -> None:
    code, data = make(k, m), data_of(k, m, size)
    digests = [digest([piece]) for piece in [*data, *code.encode(data)]]
    assert digests[k:] == code.encode(digests[:k])
    assert len(set(digests)) == k + m


def test_a_digest_does_not_depend_on_how_a_piece_is_read() -> None:
    (piece,) = data_of(1, 1, 100_000)
    parts = [piece[:32768], piece[32768:98304], piece[98304:]]
    assert digest(parts) == digest([piece])


def test_whatever_byte_is_wrong_a_digest_shows_it() -> None:
    (piece,) = data_of(1, 1, 33_000)
    known = {digest([piece])}
    for at in range(0, len(piece), 37):
        wrong = bytearray(piece)
        wrong[at] ^= 1 << at % 8
        known.add(digest([wrong]))
    assert len(known) == 1 + len(range(0, len(piece), 37))


@given(st.data())
def test_up_to_m_less_one_odd_pieces_are_told(drawn: st.DataObject) -> None:
    k, m = drawn.draw(st.integers(2, 5)), drawn.draw(st.integers(2, 4))
    code, data = make(k, m), data_of(k, m, 200)
    pieces = [bytearray(piece) for piece in [*data, *code.encode(data)]]
    odd = drawn.draw(st.sets(st.integers(0, k + m - 1), max_size=m - 1))
    for number in odd:
        pieces[number][: 16 * (number + 1)] = hashlib.shake_128(b"%d" % number).digest(
            16 * (number + 1)
        )
    assert list_odd(code, {n: digest([one]) for n, one in enumerate(pieces)}) == odd


def test_too_few_pieces_are_refused() -> None:
    code = make(3, 2)
    with pytest.raises(Invalid):
        code.decode({0: b"a", 4: b"b"}, [1])


@pytest.mark.parametrize(
    ("name", "k", "m"),
    [
        ("jerasure reed_sol_van", 1, 1),
        ("jerasure reed_sol_van", 2, 0),
        ("jerasure reed_sol_van", 250, 7),
        ("jerasure reed_sol_r6_op", 4, 3),
        ("jerasure cauchy_good", 4, 2),
        ("isa reed_sol_van", 22, 4),
        ("lrc", 4, 2),
    ],
)
def test_codes_that_cannot_be(name: str, k: int, m: int) -> None:
    plugin, _, technique = name.partition(" ")
    with pytest.raises(Invalid):
        parity_rows(plugin, technique, k, m)


def test_a_field_it_is() -> None:
    for a in range(1, 256):
        assert field.multiply(a, field.inverse(a)) == 1
    with pytest.raises(Invalid):
        field.inverted([[1, 2], [2, 4]])
