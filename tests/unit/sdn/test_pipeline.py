# SPDX-License-Identifier: Apache-2.0
"""Every flow that is compiled keeps to the declared pipeline."""

from collections.abc import Iterator

import pytest

from octostack.base.errors import OverQuota
from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import compile as compiling
from octostack.engines.sdn.core import model, pipeline
from octostack.engines.sdn.core.compile import security
from octostack.testing import fabric
from octostack.testing.intents import COMMON, P1, P2, P3
from octostack.wire.openflow import actions as acts

RULES = intents.SecurityGroup(
    id="open",
    stateful=False,
    rules=(
        intents.Rule(direction="egress"),
        intents.Rule(direction="ingress", protocol=6, port_min=1000, port_max=2000),
        intents.Rule(direction="ingress", protocol=17, remote="10.0.0.0/8"),
        intents.Rule(direction="ingress", protocol=1, port_min=8, port_max=0),
        intents.Rule(direction="ingress", protocol=132, port_min=5),
        intents.Rule(direction="egress", protocol=47, remote="set:s"),
    ),
)


def flows() -> list[model.Flow]:
    place = model.Place(
        host="h1", tunnel_ip="192.0.2.1", physical={"public": 10}, metadata_mac=0x02
    )
    other = model.Place(host="h2", tunnel_ip="192.0.2.2")
    tagged = intents.Network(id="v", physical="public", vlan=7)
    free = intents.LocalPort(
        id="free", network_id="v", mac=P1.mac, interface="tapf", port_security=False
    )
    remote = fabric.seen_from(P3, "h2", "192.0.2.2")
    members = intents.AddressSet(id="s", addresses=("10.0.0.11", "10.0.0.12"))
    common = [item for item in COMMON if item.id != "open"]
    out: list[model.Flow] = []
    for where in (place, other):
        host = fabric.Host(where)
        host.apply([*common, RULES, members, tagged, P1, P2, free, remote])
        out += host.compiler.flows.values()
    return out


def targets(actions: acts.Actions) -> Iterator[int]:
    for action in actions:
        if isinstance(action, acts.Resubmit) or (
            isinstance(action, acts.Ct) and action.table != acts.NO_TABLE
        ):
            yield action.table


ASKED_BY_RESUBMIT = {"egress_rules", "ingress_rules"}


@pytest.mark.parametrize("table", pipeline.PIPELINE, ids=lambda table: table.name)
def test_flows_of_a_table_keep_to_its_declaration(table: pipeline.Table) -> None:
    mine = [flow for flow in flows() if flow.table == table.number]
    assert mine, "no flow: the declaration is not tested"
    for flow in mine:
        used = {name for name, _, _ in flow.match}
        assert used <= set(table.matches), flow
        goto = flow.instructions.goto
        reached = [*targets(flow.instructions.actions), *([] if goto is None else [goto])]
        names = {pipeline.NAMES[number] for number in reached} - ASKED_BY_RESUBMIT
        assert names <= set(table.leads_to), flow
        assert goto is None or goto > table.number, "OpenFlow's goto leads forward only"


def test_no_two_items_claim_one_flow() -> None:
    """Flows are kept by key: two items that write one would take it from each other."""
    host = fabric.Host(model.Place(host="h1", physical={"public": 10}, metadata_mac=2))
    items = {model.key_of(item): item for item in (*COMMON, P1, P2, P3)}
    indexed = model.Fabric(items)
    host.numbers.settle(indexed.names())
    seen: dict[model.FlowKey, str] = {}
    groups = {id_: security.Group() for id_ in indexed.groups}
    for name, site, function in compiling.parts_of(indexed, host.numbers, host.place, groups):
        for flow in function(*site):
            assert seen.setdefault(flow.key, name) == name


@pytest.mark.parametrize(
    ("first", "last"), [(0, 65535), (22, 22), (1, 65535), (1000, 2000), (65535, 65535), (0, 0)]
)
def test_port_ranges_are_covered_exactly(first: int, last: int) -> None:
    masks = security.port_masks(first, last)
    covered = [p for p in range(65536) if any(p & mask == value for value, mask in masks)]
    assert covered == list(range(first, last + 1))
    assert len(masks) <= 30


def test_numbers_stay_within_their_span() -> None:
    span = model.Span(200, 202)
    numbers = model.Numbers(span=span)
    numbers.settle("abc")
    assert sorted(numbers[name] for name in "abc") == [200, 201, 202]
    with pytest.raises(OverQuota):
        numbers.settle("abcd")
    same = model.Numbers({"a": 201}, 202, span)
    assert same.within(model.Span(200, 300))["a"] == 201
    assert same.within(model.Span(300, 400)).find("a") is None


def test_clouds_on_one_switch_have_spans_of_their_own() -> None:
    taken: list[model.Span] = []
    with pytest.raises(OverQuota):  # the switch is full
        while True:
            taken.append(model.free_span(taken))
    assert len(taken) == 15
    numbers = [number for span in taken for number in (span.first, span.last)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == pipeline.NUMBER_MIN
    assert numbers[-1] <= pipeline.NUMBER_MAX
    third = taken.pop(2)
    assert model.free_span(taken, wished=taken[0]) == third
    assert model.free_span([], wished=third) == third
    assert model.free_span([], wished=model.ALL_NUMBERS) == taken[0]


def test_numbers_go_round_and_are_kept() -> None:
    numbers = model.Numbers()
    numbers.settle(["a", "b"])
    assert numbers.settle(["b"]) == [100]
    numbers.settle(["b", "c"])
    assert (numbers["b"], numbers["c"]) == (101, 102)
    again = model.Numbers(*numbers.dump())
    again.settle(["b", "c", "d"])
    assert [again[name] for name in "bcd"] == [101, 102, 103]
    assert again.owner(102) == "c"
