# SPDX-License-Identifier: Apache-2.0
"""``/resource_providers``"""

from octostack.base import ids
from octostack.base.errors import Invalid
from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App, provider_of
from octostack.services.placement.core import providers as core
from octostack.services.placement.core import query, search
from octostack.services.placement.core.world import slots_of
from octostack.services.placement.model import ProviderState
from octostack.services.placement.schema import providers as schema
from octostack.services.placement.schema.parts import dated, location


async def list_all(app: App, req: Request) -> Response:
    """Providers that pass every filter of the query."""
    asked = query.provider_filter(req.query.pairs, req.version)
    world = await app.ledger.world()
    try:
        bits = search.providers_matching(world, asked)
    except Invalid as e:
        about = "resource class in resources" if e.details["field"] == "resources" else None
        about = about or 'trait(s) in "required"'
        raise Invalid(f"Invalid {about} parameter: {e.message}", **e.details) from e
    states = [s for s in (world.at(slot) for slot in slots_of(bits)) if _wanted(req, s)]
    modified = max((s.updated_at for s in states), default=None)
    shown = [schema.view(req, state) for state in states]
    return dated(req, {"resource_providers": shown}, modified)


async def show(app: App, req: Request) -> Response:
    """One provider."""
    state = provider_of(await app.ledger.world(), req)
    return dated(req, schema.view(req, state), state.updated_at)


async def create(app: App, req: Request) -> Response:
    """A new provider, a root or below a parent."""
    given = req.body
    provider_id = query.dashed(given["uuid"]) if given.get("uuid") else ids.new()
    async with app.ledger.writing() as change:
        parent_id = given.get("parent_provider_uuid")
        state = core.made(change.world, provider_id, given["name"], parent_id, change.now)
        change.touch(state)
    headers = location(req, f"/resource_providers/{provider_id}")
    if req.version < (1, 20):
        return Response(status=201, headers=headers)
    return dated(req, schema.view(req, state), state.updated_at, status=200, headers=headers)


async def update(app: App, req: Request) -> Response:
    """Another name, another parent."""
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        state = core.renamed(change.world, state, req.body["name"], change.now)
        if "parent_provider_uuid" in req.body:
            parent_id = req.body["parent_provider_uuid"]
            states = core.moved(change.world, state, parent_id, freely=req.version >= (1, 37))
        else:
            states = [state]
        for one in states:
            change.touch(one)
    return dated(req, schema.view(req, states[0]), states[0].updated_at)


async def delete(app: App, req: Request) -> None:
    """The provider goes, if nothing hangs on it."""
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req, " for delete")
        core.check_removal(change.world, state)
        change.remove(state.id)


async def usages(app: App, req: Request) -> Response:
    """How much of each inventory is given out."""
    state = provider_of(await app.ledger.world(), req)
    used = {name: state.used.get(name, 0) for name in state.stocks}
    return dated(req, {"resource_provider_generation": state.generation, "usages": used})


def _wanted(req: Request, state: ProviderState) -> bool:
    name, provider_id = req.query.get("name"), req.query.get("uuid")
    return name in (None, "", state.name) and (
        provider_id is None or query.dashed(provider_id) == state.id
    )
