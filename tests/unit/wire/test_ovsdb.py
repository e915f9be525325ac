# SPDX-License-Identifier: Apache-2.0
"""OVSDB: framing wherever the stream breaks, values, and the plan of bridges."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.engines.sdn.core import layout
from octostack.engines.sdn.core.layout import BridgeSpec, PortSpec
from octostack.wire import ovsdb
from octostack.wire.ovsdb import Ref

texts = st.text(alphabet='ab{}[]"\\ü', max_size=8)
documents = st.recursive(
    st.dictionaries(texts, st.integers() | texts, max_size=3),
    lambda inner: st.dictionaries(texts, inner | st.lists(inner, max_size=2), max_size=3),
)


@given(st.lists(documents, max_size=4), st.integers(1, 20))
def test_stream_is_cut_wherever_it_breaks(sent: list[dict[str, Any]], size: int) -> None:
    stream = b"".join(ovsdb.msgspec.json.encode(one) for one in sent)
    splitter, got = ovsdb.Splitter(), []
    for at in range(0, len(stream), size):
        got += splitter.feed(stream[at : at + size])
    assert [ovsdb.decode(one) for one in got] == sent


def test_misshapen_stream_is_refused() -> None:
    with pytest.raises(Invalid):
        ovsdb.Splitter().feed(b"}")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3, 3),
        ("x", "x"),
        (True, True),
        (Ref("9d1e"), ["uuid", "9d1e"]),
        (Ref("port", new=True), ["named-uuid", "port"]),
        ([1, 2], ["set", [1, 2]]),
        ([], ["set", []]),
        ({"a": "b"}, ["map", [["a", "b"]]]),
        ([Ref("1")], ["set", [["uuid", "1"]]]),
    ],
)
def test_values_in_the_databases_notation(value: Any, written: Any) -> None:
    assert ovsdb.encode_value(value) == written
    assert ovsdb.decode_value(written) == value


BRIDGE = BridgeSpec(
    name="o1-int",
    datapath="netdev",
    mac="02:00:00:00:00:01",
    controlled=True,
    ports=(PortSpec(name="tap1", number=101), PortSpec(name="tap2", number=102)),
)


def carried_out(tables: layout.Tables, wanted: tuple[BridgeSpec, ...]) -> layout.Tables:
    """A database after the plan: what ovsdb-server does with those operations."""
    held = {t: {i: dict(r) for i, r in rows.items()} for t, rows in tables.items()}
    names: dict[str, str] = {}
    plan = layout.plan(tables, wanted, "o1")
    for number, op in enumerate(plan):
        if op["op"] == "insert":
            names[op["uuid-name"]] = f"id-{len(held.get(op['table'], {}))}-{number}"
    for op in plan:
        table = held.setdefault(op["table"], {})
        if op["op"] == "insert":
            table[names[op["uuid-name"]]] = _resolved(ovsdb.decode_row(op["row"]), names)
            continue
        uuid = _resolved({"x": ovsdb.decode_value(op["where"][0][2])}, names)["x"].id
        if op["op"] == "update":
            table[uuid].update(_resolved(ovsdb.decode_row(op["row"]), names))
        for column, how, value in op.get("mutations", ()):
            refs = _resolved({"x": ovsdb.decode_value(value)}, names)["x"]
            now = ovsdb.as_list(table[uuid].get(column, []))
            kept = [ref for ref in now if ref not in refs]
            table[uuid][column] = kept if how == "delete" else [*now, *refs]
    return held


def _resolved(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, Ref) and value.new:
            return Ref(names[value.id])
        return [one(v) for v in value] if isinstance(value, list) else value

    return {column: one(value) for column, value in row.items()}


def test_plan_leads_to_what_is_wanted_and_then_is_empty() -> None:
    tables = carried_out({}, (BRIDGE,))
    assert layout.plan(tables, (BRIDGE,), "o1") == []
    assert set(layout.interfaces(tables)) == {"o1-int", "tap1", "tap2"}


def test_port_that_goes_is_taken_off_and_a_new_one_put_on() -> None:
    tables = carried_out({}, (BRIDGE,))
    changed = BridgeSpec(
        name="o1-int",
        datapath="netdev",
        mac="02:00:00:00:00:01",
        controlled=True,
        ports=(PortSpec(name="tap2", number=102), PortSpec(name="tap3", number=103)),
    )
    after = carried_out(tables, (changed,))
    assert layout.plan(after, (changed,), "o1") == []
    (bridge,) = after["Bridge"].values()
    assert set(layout.ports_of(after, bridge)) == {"o1-int", "tap2", "tap3"}


def test_bridges_of_others_stay() -> None:
    mine = carried_out({}, (BRIDGE,))
    assert layout.plan(mine, (), "somebody else") == []
    assert [op["op"] for op in layout.plan(mine, (), "o1")] == ["mutate"]
