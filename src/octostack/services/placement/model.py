# SPDX-License-Identifier: Apache-2.0
"""The nouns of Placement as rows hold them; what others see of them is in contracts.placement."""

import msgspec

from octostack.contracts.placement import Inventory

UNKNOWN_CONSUMER_TYPE = "unknown"  # how a consumer without a type is shown


class Stock(msgspec.Struct, frozen=True):
    """An inventory with the times of its row."""

    inventory: Inventory
    changed_at: float


class ProviderState(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one provider; `seq` is the change that made it so."""

    id: str
    name: str
    generation: int
    parent_id: str | None
    root_id: str
    created_at: float
    updated_at: float
    seq: int
    stocks: dict[str, Stock] = {}
    used: dict[str, int] = {}
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds something: usually a server. Its row goes with its last allocation."""

    id: str
    generation: int
    project_id: str
    user_id: str
    consumer_type: str | None
    created_at: float
    updated_at: float


class Allocation(msgspec.Struct, frozen=True):
    """An amount of one class that a consumer holds from a provider."""

    consumer_id: str
    provider_id: str
    resource_class: str
    used: int
    created_at: float


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer shall hold, as a request asks for it.

    `checks_generation` is False for callers older than microversion 1.28.
    """

    consumer_id: str
    allocations: dict[str, dict[str, int]]
    project_id: str
    user_id: str
    consumer_type: str | None = None
    consumer_generation: int | None = None
    checks_generation: bool = True


class CustomName(msgspec.Struct, frozen=True):
    """A trait or a resource class that somebody made; `kind` is "trait" or "class"."""

    kind: str
    name: str
    created_at: float
    updated_at: float
