# SPDX-License-Identifier: Apache-2.0
"""``/resource_providers/{uuid}/aggregates``"""

import msgspec

from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App, check_generation, provider_of
from octostack.services.placement.model import ProviderState
from octostack.services.placement.schema.parts import dated

GENERATION_SINCE = (1, 19)
_CHANGED = (
    "Resource provider's generation already changed. Please update the generation and try again."
)


async def list_all(app: App, req: Request) -> Response:
    """The aggregates the provider is in."""
    state = provider_of(await app.ledger.world(), req)
    return _shown(req, state, sorted(state.aggregates))


async def replace(app: App, req: Request) -> Response:
    """These aggregates, and no others."""
    counted = req.version >= GENERATION_SINCE
    uuids = req.body["aggregates"] if counted else req.body
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        if counted:
            check_generation(state, req.body["resource_provider_generation"], _CHANGED)
        state = msgspec.structs.replace(
            state,
            aggregates=frozenset(uuids),
            generation=state.generation + counted,
            updated_at=change.now,
        )
        change.touch(state)
    return _shown(req, state, uuids)


def _shown(req: Request, state: ProviderState, uuids: list[str]) -> Response:
    shown: dict[str, object] = {"aggregates": uuids}
    if req.version >= GENERATION_SINCE:
        shown["resource_provider_generation"] = state.generation
    return dated(req, shown)
