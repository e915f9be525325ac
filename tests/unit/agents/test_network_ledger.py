# SPDX-License-Identifier: Apache-2.0
"""The ledger of a network agent: the whole and what changed since, whatever cut it off."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octostack.agents.network.ledger import CHANGES_BYTES_MIN, MAGIC, Change, Entry, Ledger
from octostack.base.errors import Corrupt
from octostack.contracts.network_agent import Key, Network
from octostack.engines.sdn.core.model import Span

FIRST = Entry(
    host="h1",
    generation=1,
    items=(Network(id="a", vni=1), Network(id="b", vni=2)),
    numbers={"network/a": 100, "network/b": 101},
    following=102,
    span=Span(100, 4195),
)
SECOND = Change(
    generation=2,
    put=(Network(id="c", vni=3), Network(id="b", vni=9)),
    drop=(Key("network", "a"),),
    given={"network/c": 102},
    taken=("network/a",),
    following=103,
)


def written(path: Path) -> Ledger:
    ledger = Ledger(path, "h1")
    ledger.write(FIRST)
    return ledger


def test_change_is_read_with_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    written(path).add(SECOND)
    again = Ledger(path, "h1")
    entry = again.read()
    assert (entry.generation, entry.following, entry.span) == (2, 103, FIRST.span)
    assert entry.numbers == {"network/b": 101, "network/c": 102}
    assert {item.id: item for item in entry.items} == {item.id: item for item in SECOND.put}
    again.add(msgspec.structs.replace(SECOND, generation=3))
    assert Ledger(path, "h1").read().generation == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cut=st.integers(0, 200), zeros=st.booleans())
def test_change_that_was_cut_off_never_was(tmp_path: Path, cut: int, zeros: bool) -> None:
    path = tmp_path / "ledger"
    ledger = written(path)
    whole = path.stat().st_size
    ledger.add(SECOND)
    data = path.read_bytes()
    left = whole + min(cut, len(data) - whole - 1)
    lost = bytes(len(data) - left) if zeros and left == whole else b""
    path.write_bytes(data[:left] + lost)
    again = Ledger(path, "h1")
    assert again.read().generation == 1
    again.add(SECOND)
    assert path.read_bytes() == data
    assert Ledger(path, "h1").read().generation == 2


def test_damage_before_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = written(path)
    at = path.stat().st_size + 12
    ledger.add(SECOND)
    ledger.add(msgspec.structs.replace(SECOND, generation=3))
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt):
        Ledger(path, "h1").read()


def test_changes_that_outgrow_the_whole_make_room(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = written(path)
    many = tuple(Network(id=f"n{n}", vni=n + 1) for n in range(100))
    added = 0
    while ledger.takes_changes:
        ledger.add(msgspec.structs.replace(SECOND, put=many))
        added += 1
    assert added > 1
    assert path.stat().st_size > CHANGES_BYTES_MIN
    ledger.write(FIRST)
    assert ledger.takes_changes
    assert path.stat().st_size < CHANGES_BYTES_MIN


def test_ledger_of_the_former_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(msgspec.msgpack.encode(FIRST))
    ledger = Ledger(path, "h1")
    assert ledger.read() == FIRST
    assert not ledger.takes_changes
    ledger.write(FIRST)
    assert path.read_bytes().startswith(MAGIC)
