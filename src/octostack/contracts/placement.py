# SPDX-License-Identifier: Apache-2.0
"""What Compute (and later Block and Network) may ask of Placement.

Calls come from trusted services; nothing here is checked against a user's roles. The words are
Placement's own: a *provider* holds an *inventory* per resource class, a *consumer* (a server) has
*allocations* against providers. Every provider and every consumer has a generation.

Errors carry Placement's public codes:

    Conflict  placement.concurrent_update      a generation is not the current one: read, try again
    Conflict  placement.inventory.inuse        an inventory with allocations cannot go
    Conflict  placement.capacity               the claim no longer fits: ask for other candidates
    Conflict  placement.resource_provider.inuse, placement.duplicate_name
    NotFound  placement.resource_provider.not_found, placement.consumer.not_found
    Invalid   placement.undefined_code         details["field"] where one is known
"""

from abc import ABC, abstractmethod

import msgspec


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one resource class a provider has; capacity is (total - reserved) x ratio."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2147483647
    step_size: int = 1
    allocation_ratio: float = 1.0


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider with all that is known of it. `inventories` is by resource class."""

    id: str
    name: str
    generation: int
    parent_id: str | None = None
    root_id: str = ""
    inventories: dict[str, Inventory] = {}
    traits: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider shall be. None leaves that part as it is; a value replaces it whole.

    `keep_custom_traits` leaves alone the CUSTOM_ traits that others have set by hand.
    """

    id: str
    name: str
    parent_id: str | None = None
    inventories: dict[str, Inventory] | None = None
    traits: tuple[str, ...] | None = None
    aggregates: tuple[str, ...] | None = None
    keep_custom_traits: bool = True


class RequestGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Resources that one provider must give (suffixed group) or a tree may share (suffix "").

    `required` and `member_of` are lists of alternatives: all of the outer, any of the inner.
    """

    suffix: str = ""
    resources: dict[str, int] = {}
    required: tuple[tuple[str, ...], ...] = ()
    forbidden: tuple[str, ...] = ()
    member_of: tuple[tuple[str, ...], ...] = ()
    not_member_of: tuple[str, ...] = ()
    in_tree: str | None = None


class CandidateQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question for places. `group_policy` is "none" or "isolate"; `limit` 0 means no limit.

    `spread` gives a random choice of the places found in place of the first ones.
    """

    groups: tuple[RequestGroup, ...]
    group_policy: str | None = None
    same_subtree: tuple[tuple[str, ...], ...] = ()
    root_required: tuple[str, ...] = ()
    root_forbidden: tuple[str, ...] = ()
    limit: int = 1000
    spread: bool = False


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Capacity and use of one resource class on one provider (capacity after ratio)."""

    capacity: int
    used: int


class ProviderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that takes part in a candidate's tree, for filters and weighers."""

    id: str
    root_id: str
    parent_id: str | None
    resources: dict[str, Usage]
    traits: tuple[str, ...]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One way to satisfy the query: amounts by provider id and class, ready for `claim`."""

    root_id: str
    allocations: dict[str, dict[str, int]]
    mappings: dict[str, tuple[str, ...]] = {}


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query: the ways, and every provider of the trees they use."""

    candidates: tuple[Candidate, ...]
    summaries: dict[str, ProviderSummary]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one consumer shall hold from now on; it replaces what it held before.

    `consumer_generation` None: the consumer must be new. A number: it must be at that generation.
    """

    consumer_id: str
    allocations: dict[str, dict[str, int]]
    project_id: str
    user_id: str
    consumer_generation: int | None = None
    consumer_type: str = "INSTANCE"
    mappings: dict[str, tuple[str, ...]] = {}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer holds now."""

    consumer_id: str
    generation: int
    project_id: str
    user_id: str
    consumer_type: str | None
    allocations: dict[str, dict[str, int]]


class Placement(ABC):
    """Inventory of the cloud: who has what, who holds what."""

    VERSION = (1, 0)

    @abstractmethod
    async def ensure_provider(self, spec: ProviderSpec) -> Provider:
        """Create or change a provider until it is as `spec` says; nothing happens when it is.

        Raises Conflict where an inventory in use would go.
        """

    @abstractmethod
    async def get_provider(self, provider_id: str) -> Provider:
        """The provider. Raises NotFound."""

    @abstractmethod
    async def find_provider(self, name: str) -> Provider | None:
        """The provider of that name, or None."""

    @abstractmethod
    async def list_providers(self, root_id: str | None = None) -> list[Provider]:
        """All providers, or those of one tree."""

    @abstractmethod
    async def remove_provider(self, provider_id: str) -> None:
        """Forget a provider; none is no error. Raises Conflict while it has allocations."""

    @abstractmethod
    async def candidates(self, query: CandidateQuery) -> Candidates:
        """Where the request fits right now. Empty where it fits nowhere."""

    @abstractmethod
    async def claim(self, claim: Claim) -> Held:
        """Take the resources in one transaction, all or nothing.

        The same claim again while the consumer holds just that is no error.
        Raises Conflict (placement.capacity, placement.concurrent_update).
        """

    @abstractmethod
    async def claim_all(self, claims: list[Claim]) -> list[Held]:
        """Several consumers in one transaction: all of them, or none."""

    @abstractmethod
    async def release(self, consumer_id: str) -> None:
        """Give back everything the consumer holds; nothing held is no error."""

    @abstractmethod
    async def find_allocations(self, consumer_id: str) -> Held | None:
        """What the consumer holds, or None."""

    @abstractmethod
    async def allocations_of_provider(self, provider_id: str) -> dict[str, dict[str, int]]:
        """Amounts by consumer id and resource class. Raises NotFound."""

    @abstractmethod
    async def usages(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        """Amounts a project (or one user in it) holds, by resource class."""
