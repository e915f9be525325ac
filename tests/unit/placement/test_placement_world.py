# SPDX-License-Identifier: Apache-2.0
"""The columns against a plain walk over all providers, whatever happened before."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from octostack.contracts.placement import Inventory
from octostack.services.placement.core.world import World, capacity_of, slots_of
from octostack.services.placement.model import ProviderState, Stock

IDS = [f"p{n}" for n in range(6)]
CLASSES = ("VCPU", "MEMORY_MB", "CUSTOM_GOLD")
TRAITS = ("HW_CPU_X86_AVX", "CUSTOM_FAST")

inventories = st.builds(
    Inventory,
    total=st.integers(1, 40),
    reserved=st.integers(0, 10),
    min_unit=st.integers(1, 4),
    max_unit=st.integers(1, 40),
    step_size=st.integers(1, 3),
    allocation_ratio=st.sampled_from((0.5, 1.0, 1.5, 16.0)),
)
stocks = st.dictionaries(
    st.sampled_from(CLASSES), st.builds(Stock, inventories, st.just(0.0)), max_size=3
)


@st.composite
def changes(draw: Any) -> list[tuple[str, ProviderState | None]]:
    """Puts (with a state) and drops (with None), in order."""
    made = []
    for n in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(IDS))
        if draw(st.booleans()) or n < 3:
            held = draw(stocks)
            used = {c: draw(st.integers(0, 20)) for c in held}
            state = ProviderState(
                id=name,
                name=name,
                generation=n,
                parent_id=None,
                root_id=name,
                created_at=0.0,
                updated_at=0.0,
                seq=n + 1,
                stocks=held,
                used=used,
                traits=frozenset(draw(st.sets(st.sampled_from(TRAITS)))),
            )
            made.append((name, state))
        else:
            made.append((name, None))
    return made


def fits(state: ProviderState, name: str, amount: int) -> bool:
    stock = state.stocks.get(name)
    if stock is None:
        return False
    inv = stock.inventory
    room = capacity_of(inv) - state.used.get(name, 0)
    return amount <= room and inv.min_unit <= amount <= inv.max_unit and not amount % inv.step_size


@settings(max_examples=150, deadline=None)
@given(changes(), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_the_kept_answers_stay_true_through_every_change(
    made: list[tuple[str, ProviderState | None]], amounts: list[int]
) -> None:
    world = World()
    plain: dict[str, ProviderState] = {}
    for seq, (name, state) in enumerate(made, 1):
        if state is None:
            world.drop(name, seq)
            plain.pop(name, None)
        else:
            world.put([state])
            plain[name] = state
        for resource_class in CLASSES:  # asked after each change: answers are kept and corrected
            for amount in amounts:
                columns = world.amounts.get(resource_class)
                found = slots_of(columns.fit(amount)) if columns else []
                expected = {n for n, s in plain.items() if fits(s, resource_class, amount)}
                assert {world.at(slot).id for slot in found} == expected
        for trait in TRAITS:
            found = slots_of(world.traits.get(trait, 0))
            assert {world.at(slot).id for slot in found} == {
                n for n, s in plain.items() if trait in s.traits
            }
    assert len(world) == len(plain)
    assert {s.id for s in world.all()} == set(plain)


def state(name: str, parent: str | None = None, root: str | None = None, seq: int = 1) -> Any:
    return ProviderState(
        id=name,
        name=name,
        generation=0,
        parent_id=parent,
        root_id=root or name,
        created_at=0.0,
        updated_at=0.0,
        seq=seq,
    )


def tree_of(world: World, name: str) -> set[str]:
    slot = world.slot(name)
    assert slot is not None
    return {world.at(s).id for s in slots_of(world.tree(world.root[slot]))}


def test_trees_follow_a_move() -> None:
    world = World()
    world.put([state("b", "a", "a"), state("c", "b", "a"), state("a"), state("other")])
    assert tree_of(world, "c") == {"a", "b", "c"}
    assert [s.id for s in world.children("a")] == ["b"]
    world.put([state("b", "other", "other", 2), state("c", "b", "other", 2)])
    assert tree_of(world, "c") == {"other", "b", "c"}
    assert tree_of(world, "a") == {"a"}
    assert bin(world.nested).count("1") == 2


def test_an_older_state_is_passed_over() -> None:
    world = World()
    world.put([state("a", seq=7)])
    world.put([state("a", "b", "b", seq=5)])
    found = world.find("a")
    assert found is not None
    assert found.parent_id is None
    world.drop("a", 6)
    assert world.find("a") is not None
    world.drop("a", 8)
    assert world.find("a") is None


def test_a_walk_begins_anywhere_and_comes_round() -> None:
    bits = 0b1011001
    assert list(slots_of(bits)) == [0, 3, 4, 6]
    assert list(slots_of(bits, 4)) == [4, 6, 0, 3]
    assert list(slots_of(bits, 5)) == [6, 0, 3, 4]
    assert list(slots_of(0, 3)) == []


def test_capacity_is_whole_units_and_fits_its_cell() -> None:
    assert capacity_of(Inventory(total=3, reserved=1, allocation_ratio=1.6)) == 3
    assert capacity_of(Inventory(total=2**31 - 1, allocation_ratio=3.4e38)) == (1 << 62) - 1
