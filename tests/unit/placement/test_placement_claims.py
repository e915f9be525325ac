# SPDX-License-Identifier: Apache-2.0
"""What may be held: capacity, units, replacement, and the relief of an overfull provider."""

import pytest

from octostack.base.errors import Conflict, Invalid
from octostack.contracts.placement import Inventory
from octostack.services.placement.core import claims
from octostack.services.placement.model import (
    Allocation,
    Consumer,
    ProviderState,
    Stock,
    Wanted,
)


def provider(used: int = 0, **inventory: int) -> ProviderState:
    stock = Stock(Inventory(**({"total": 10} | inventory)), 0.0)
    return ProviderState(
        id="p",
        name="p",
        generation=0,
        parent_id=None,
        root_id="p",
        created_at=0.0,
        updated_at=0.0,
        seq=0,
        stocks={"VCPU": stock},
        used={"VCPU": used} if used else {},
    )


def want(amount: int, consumer: str = "c") -> Wanted:
    allocations = {"p": {"VCPU": amount}} if amount else {}
    return Wanted(consumer_id=consumer, allocations=allocations, project_id="j", user_id="u")


def held(amount: int, consumer: str = "c") -> Allocation:
    return Allocation(consumer, "p", "VCPU", amount, 0.0)


def decide(state: ProviderState, wanted: list[Wanted], had: list[Allocation]) -> claims.Deltas:
    return claims.decide({"p": state}.get, lambda name: name == "VCPU", wanted, had)


KEY = ("p", "VCPU")


@pytest.mark.parametrize(
    ("state", "wanted", "had", "expected"),
    [
        (provider(), [want(10)], [], {KEY: 10}),
        (provider(4), [want(8)], [held(4)], {KEY: 4}),
        (provider(4), [want(0)], [held(4)], {KEY: -4}),
        (provider(4), [want(4)], [held(4)], {}),
        (provider(5), [want(5, "a"), want(5, "b")], [held(5, "a")], {KEY: 5}),
        (provider(12), [want(11)], [held(12)], {KEY: -1}),  # overfull, and less so after
        (provider(3, reserved=2), [want(5)], [], {KEY: 5}),
    ],
)
def test_what_fits(
    state: ProviderState, wanted: list[Wanted], had: list[Allocation], expected: claims.Deltas
) -> None:
    assert decide(state, wanted, had) == expected


@pytest.mark.parametrize(
    ("state", "wanted", "had"),
    [
        (provider(), [want(11)], []),
        (provider(1), [want(10)], []),
        (provider(), [want(6, "a"), want(5, "b")], []),
        (provider(12), [want(13)], [held(12)]),
        (provider(12), [want(1, "b")], []),
        (provider(min_unit=2), [want(1)], []),
        (provider(max_unit=4), [want(5)], []),
        (provider(step_size=3), [want(4)], []),
    ],
)
def test_what_does_not(state: ProviderState, wanted: list[Wanted], had: list[Allocation]) -> None:
    with pytest.raises(Conflict) as caught:
        decide(state, wanted, had)
    assert caught.value.code == "placement.capacity"


def test_names_are_checked() -> None:
    gone = Wanted(consumer_id="c", allocations={"q": {"VCPU": 1}}, project_id="j", user_id="u")
    with pytest.raises(Invalid, match="'q' that does not exist"):
        decide(provider(), [gone], [])
    odd = Wanted(consumer_id="c", allocations={"p": {"CUSTOM_X": 1}}, project_id="j", user_id="u")
    with pytest.raises(Invalid, match="No such resource class CUSTOM_X"):
        decide(provider(), [odd], [])


CONSUMER = Consumer(
    id="c",
    generation=3,
    project_id="j",
    user_id="u",
    consumer_type=None,
    created_at=0.0,
    updated_at=0.0,
)


def believing(generation: int | None) -> Wanted:
    return Wanted(
        consumer_id="c", allocations={}, project_id="j", user_id="u",
        consumer_generation=generation,
    )  # fmt: skip


def test_generations_of_consumers() -> None:
    claims.check_generation(believing(3), CONSUMER)
    claims.check_generation(believing(None), None)
    for wrong, known in ((2, CONSUMER), (None, CONSUMER), (0, None)):
        with pytest.raises(Conflict) as caught:
            claims.check_generation(believing(wrong), known)
        assert caught.value.code == "placement.concurrent_update"
