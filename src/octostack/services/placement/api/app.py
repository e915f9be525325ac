# SPDX-License-Identifier: Apache-2.0
"""What every handler is given, and how one provider is found."""

import msgspec

from octostack.base.errors import Conflict, NotFound
from octostack.runtime.http import Request
from octostack.services.placement.core.claims import CONCURRENT_UPDATE
from octostack.services.placement.core.world import World
from octostack.services.placement.model import ProviderState
from octostack.services.placement.store.ledger import Ledger


class App(msgspec.Struct, frozen=True):
    """The dependencies of Placement's handlers.

    `spread` gives a random choice of candidates instead of the first ones.
    """

    ledger: Ledger
    spread: bool = False


def provider_of(world: World, req: Request, why: str = "") -> ProviderState:
    """The provider named in the path. Raises NotFound, which says what for."""
    provider_id = req.params["uuid"]
    state = world.find(provider_id)
    if state is None:
        raise NotFound(
            f"No resource provider with uuid {provider_id} found{why}",
            code="placement.resource_provider.not_found",
        )
    return state


def check_generation(state: ProviderState, given: int, message: str | None = None) -> None:
    """Raise Conflict unless the provider is at the generation the caller believes."""
    if state.generation != given:
        raise Conflict(
            message or "resource provider generation conflict",
            code=CONCURRENT_UPDATE,
        )
