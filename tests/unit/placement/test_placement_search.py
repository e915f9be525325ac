# SPDX-License-Identifier: Apache-2.0
"""Candidates: small worlds drawn as tables, questions and the places that fit."""

from typing import Any

import pytest

from octostack.base.errors import Invalid
from octostack.contracts.placement import CandidateQuery, Candidates, Inventory, RequestGroup
from octostack.services.placement.core.search import search
from octostack.services.placement.core.world import World
from octostack.services.placement.model import ProviderState, Stock

SHARES = "MISC_SHARES_VIA_AGGREGATE"
AVX, SSE = "HW_CPU_X86_AVX", "HW_CPU_X86_SSE"


def world_of(*rows: dict[str, Any]) -> World:
    """Providers from name, parent, has={class: total}, used, traits, aggregates."""
    world = World()
    roots: dict[str, str] = {}
    states = []
    for row in rows:
        name, parent = row["name"], row.get("parent")
        roots[name] = roots[parent] if parent else name
        states.append(
            ProviderState(
                id=name,
                name=name,
                generation=0,
                parent_id=parent,
                root_id=roots[name],
                created_at=0.0,
                updated_at=0.0,
                seq=1,
                stocks={
                    c: Stock(Inventory(total=n, max_unit=row.get("most", n)), 0.0)
                    for c, n in row.get("has", {}).items()
                },
                used=row.get("used", {}),
                traits=frozenset(row.get("traits", ())),
                aggregates=frozenset(row.get("aggregates", ())),
            )
        )
    world.put(states)
    return world


def ask(world: World, *groups: RequestGroup, **options: Any) -> list[Any]:
    """Sorted allocations of the candidates, as nested plain values."""
    nested = options.pop("nested", True)
    found = search(world, CandidateQuery(groups=groups, **options), nested=nested)
    return sorted(
        [
            sorted((who, c, n) for who, part in one.allocations.items() for c, n in part.items())
            for one in found.candidates
        ]
    )


def group(suffix: str = "", **options: Any) -> RequestGroup:
    return RequestGroup(suffix=suffix, **options)


HOSTS = (
    {"name": "a", "has": {"VCPU": 8}, "traits": [AVX], "aggregates": ["az1"]},
    {"name": "b", "has": {"VCPU": 8}, "used": {"VCPU": 6}, "aggregates": ["az1", "az2"]},
    {"name": "c", "has": {"VCPU": 2}, "traits": [AVX, SSE]},
    {"name": "d", "has": {"MEMORY_MB": 64}},
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (group(resources={"VCPU": 2}), "abc"),
        (group(resources={"VCPU": 3}), "a"),
        (group(resources={"VCPU": 9}), ""),
        (group(resources={"VCPU": 1}, required=((AVX,),)), "ac"),
        (group(resources={"VCPU": 1}, required=((AVX, SSE),)), "ac"),
        (group(resources={"VCPU": 1}, required=((AVX,), (SSE,))), "c"),
        (group(resources={"VCPU": 1}, forbidden=(AVX,)), "b"),
        (group(resources={"VCPU": 1}, member_of=(("az1",),)), "ab"),
        (group(resources={"VCPU": 1}, member_of=(("az1",), ("az2",))), "b"),
        (group(resources={"VCPU": 1}, member_of=(("az2", "az9"),)), "b"),
        (group(resources={"VCPU": 1}, not_member_of=("az1",)), "c"),
        (group(resources={"VCPU": 1}, in_tree="c"), "c"),
        (group(resources={"VCPU": 1}, in_tree="nobody"), ""),
        (group(resources={"VCPU": 1, "MEMORY_MB": 1}), ""),
    ],
)
def test_hosts_without_trees(asked: RequestGroup, expected: str) -> None:
    found = search(world_of(*HOSTS), CandidateQuery(groups=(asked,)))
    assert "".join(sorted(one.root_id for one in found.candidates)) == expected
    assert set(found.summaries) == set(expected)
    # A suffix makes it the granular way through; for hosts without trees nothing else changes.
    as_granular = group(**{f: getattr(asked, f) for f in asked.__struct_fields__ if f != "suffix"})
    again = search(world_of(*HOSTS, {"name": "x"}, {"name": "y", "parent": "x"}),
                   CandidateQuery(groups=(as_granular,)))  # fmt: skip
    assert "".join(sorted(one.root_id for one in again.candidates)) == expected


def test_a_limit_stops_the_walk_and_a_start_turns_it() -> None:
    world = world_of(*({"name": f"h{n}", "has": {"VCPU": 4}} for n in range(9)))
    asked = CandidateQuery(groups=(group(resources={"VCPU": 1}),), limit=4)
    first = [one.root_id for one in search(world, asked).candidates]
    turned = [one.root_id for one in search(world, asked, start=7).candidates]
    assert first == ["h0", "h1", "h2", "h3"]
    assert turned == ["h7", "h8", "h0", "h1"]


NUMA = (
    {"name": "host"},
    {"name": "numa0", "parent": "host", "has": {"VCPU": 4}, "traits": [AVX]},
    {"name": "numa1", "parent": "host", "has": {"VCPU": 4}},
    {"name": "vf0", "parent": "numa0", "has": {"SRIOV_NET_VF": 2}},
    {"name": "vf1", "parent": "numa1", "has": {"SRIOV_NET_VF": 2}},
)


def test_the_unsuffixed_group_spreads_over_a_tree() -> None:
    world = world_of(*NUMA)
    found = ask(world, group(resources={"VCPU": 2, "SRIOV_NET_VF": 1}))
    assert len(found) == 4
    only_avx = ask(world, group(resources={"VCPU": 2}, required=((AVX,),)))
    assert only_avx == [[("numa0", "VCPU", 2)]]


def test_an_old_caller_sees_no_combination_within_a_tree() -> None:
    world = world_of(*NUMA)
    assert ask(world, group(resources={"VCPU": 2, "SRIOV_NET_VF": 1}), nested=False) == []
    assert len(ask(world, group(resources={"VCPU": 2}), nested=False)) == 2


def test_isolate_keeps_groups_apart_and_none_adds_them_up() -> None:
    world = world_of(*NUMA)
    groups = group("1", resources={"VCPU": 2}), group("2", resources={"VCPU": 2})
    apart = ask(world, *groups, group_policy="isolate")
    assert apart == [[("numa0", "VCPU", 2), ("numa1", "VCPU", 2)]] * 2
    together = ask(world, *groups, group_policy="none")
    assert [("numa0", "VCPU", 4)] in together
    too_much = group("1", resources={"VCPU": 3}), group("2", resources={"VCPU": 3})
    assert all(len(one) == 2 for one in ask(world, *too_much, group_policy="none"))


def test_same_subtree_wants_an_ancestor_among_the_chosen() -> None:
    world = world_of(*NUMA)
    groups = (
        group("_C", resources={"VCPU": 1}),
        group("_N", resources={"SRIOV_NET_VF": 1}),
    )
    everywhere = ask(world, *groups, group_policy="none")
    near = ask(world, *groups, group_policy="none", same_subtree=(("_C", "_N"),))
    assert len(everywhere) == 4
    assert near == [
        [("numa0", "VCPU", 1), ("vf0", "SRIOV_NET_VF", 1)],
        [("numa1", "VCPU", 1), ("vf1", "SRIOV_NET_VF", 1)],
    ]


def test_a_group_without_resources_names_a_place() -> None:
    world = world_of(*NUMA)
    found = search(
        world,
        CandidateQuery(
            groups=(
                group("_N", resources={"SRIOV_NET_VF": 1}),
                group("_ROOT", required=((AVX,),)),
            ),
            group_policy="none",
            same_subtree=(("_N", "_ROOT"),),
        ),
    )
    assert [one.mappings for one in found.candidates] == [{"_N": ("vf0",), "_ROOT": ("numa0",)}]


SHARED = (
    {"name": "cn1", "has": {"VCPU": 4}, "aggregates": ["agg"]},
    {"name": "cn2", "has": {"VCPU": 4, "DISK_GB": 100}, "aggregates": ["agg"]},
    {"name": "cn3", "has": {"VCPU": 4}},
    {"name": "nfs", "has": {"DISK_GB": 1000}, "traits": [SHARES], "aggregates": ["agg"]},
)


def test_a_sharing_provider_serves_its_aggregate() -> None:
    world = world_of(*SHARED)
    assert ask(world, group(resources={"VCPU": 1, "DISK_GB": 10})) == [
        [("cn1", "VCPU", 1), ("nfs", "DISK_GB", 10)],
        [("cn2", "DISK_GB", 10), ("cn2", "VCPU", 1)],
        [("cn2", "VCPU", 1), ("nfs", "DISK_GB", 10)],
    ]
    # What the shared provider gives alone is one candidate, whoever it could be for.
    assert ask(world, group(resources={"DISK_GB": 500})) == [[("nfs", "DISK_GB", 500)]]
    split = (group("1", resources={"VCPU": 1}), group("2", resources={"DISK_GB": 500}))
    assert ask(world, *split, group_policy="isolate") == [
        [("cn1", "VCPU", 1), ("nfs", "DISK_GB", 500)],
        [("cn2", "VCPU", 1), ("nfs", "DISK_GB", 500)],
    ]


def test_root_traits_choose_the_trees() -> None:
    world = world_of(
        {"name": "r1", "traits": [AVX]},
        {"name": "n1", "parent": "r1", "has": {"VCPU": 4}},
        {"name": "r2", "traits": [SSE]},
        {"name": "n2", "parent": "r2", "has": {"VCPU": 4}},
    )
    wanted = group(resources={"VCPU": 1})
    assert ask(world, wanted, root_required=(AVX,)) == [[("n1", "VCPU", 1)]]
    assert ask(world, wanted, root_forbidden=(AVX,)) == [[("n2", "VCPU", 1)]]


def test_summaries_tell_of_the_whole_tree() -> None:
    found = search(
        world_of(*NUMA), CandidateQuery(groups=(group(resources={"SRIOV_NET_VF": 1}),), limit=1)
    )
    assert set(found.summaries) == {"host", "numa0", "numa1", "vf0", "vf1"}
    vf0 = found.summaries["vf0"]
    assert (vf0.parent_id, vf0.root_id) == ("numa0", "host")
    assert vf0.resources["SRIOV_NET_VF"].capacity == 2


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (group(resources={"CUSTOM_NO": 1}), "resources"),
        (group(resources={"VCPU": 1}, required=(("CUSTOM_NO",),)), "required"),
        (group(resources={"VCPU": 1}, forbidden=("CUSTOM_NO",)), "required"),
    ],
)
def test_unknown_names_are_named(asked: RequestGroup, field: str) -> None:
    with pytest.raises(Invalid, match="CUSTOM_NO") as caught:
        search(world_of(*HOSTS), CandidateQuery(groups=(asked,)))
    assert caught.value.details["field"] == field


def test_an_empty_world_has_no_place() -> None:
    asked = CandidateQuery(groups=(group(resources={"VCPU": 1}),))
    assert search(World(), asked) == Candidates(candidates=(), summaries={})
