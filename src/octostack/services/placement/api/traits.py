# SPDX-License-Identifier: Apache-2.0
"""``/traits`` and the traits of a provider."""

import re

import msgspec

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App, check_generation, provider_of
from octostack.services.placement.core import standard
from octostack.services.placement.core.world import World
from octostack.services.placement.model import ProviderState
from octostack.services.placement.schema.parts import CUSTOM_NAME, dated, location
from octostack.services.placement.store import names

_CHANGED = (
    "Resource provider's generation already changed. Please update the generation and try again."
)


async def list_all(app: App, req: Request) -> Response:
    """Every trait, or those the query asks for."""
    world = await app.ledger.world()
    found = {*standard.TRAITS} | {name for kind, name in world.custom if kind == "trait"}
    found = _named(req, found)
    associated = (req.query.get("associated") or "").lower()
    if "associated" in req.query:
        if associated not in ("true", "false"):
            raise Invalid(
                'The query parameter "associated" only accepts "true" or "false"',
                field="associated",
            )
        found = {name for name in found if (name in world.traits) == (associated == "true")}
    return dated(req, {"traits": sorted(found)}, _modified(world, found))


async def show(app: App, req: Request) -> Response:
    """Does it exist?"""
    world = await app.ledger.world()
    name = req.params["name"]
    _check_known(world, name)
    return dated(req, None, _modified(world, {name}), status=204)


async def ensure(app: App, req: Request) -> Response:
    """A custom trait is there from now on."""
    name = req.params["name"]
    if not re.fullmatch(CUSTOM_NAME, name) or len(name) > 255:
        raise Invalid(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start "
            'with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"',
            field="name",
        )
    async with app.ledger.writing() as change:
        known = change.world.custom.get(("trait", name))
        if known is None:
            await names.insert(change.tx, "trait", name, change.now)
            change.names_changed()
    made_at = known.created_at if known else change.now
    headers = location(req, f"/traits/{name}")
    return dated(req, None, made_at, status=204 if known else 201, headers=headers)


async def delete(app: App, req: Request) -> None:
    """A custom trait that nobody has goes."""
    name = req.params["name"]
    async with app.ledger.writing() as change:
        _check_known(change.world, name)
        if name in standard.TRAITS:
            raise Invalid(f"Cannot delete standard trait {name}.", field="name")
        if name in change.world.traits:
            raise Conflict(f"The trait {name} is in use by a resource provider.")
        await names.delete(change.tx, "trait", name)
        change.names_changed()


async def list_of_provider(app: App, req: Request) -> Response:
    """The provider's traits."""
    world = await app.ledger.world()
    return _shown(req, world, provider_of(world, req))


async def replace(app: App, req: Request) -> Response:
    """These traits, and no others."""
    traits = frozenset(req.body["traits"])
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        check_generation(state, req.body["resource_provider_generation"], _CHANGED)
        unknown = sorted(name for name in traits if not change.world.knows_trait(name))
        if unknown:
            raise Invalid(f"No such trait {', '.join(unknown)}", field="traits")
        state = with_traits(state, traits, change.now)
        change.touch(state)
    return _shown(req, change.world, state)


async def delete_of_provider(app: App, req: Request) -> None:
    """The provider has no traits any more."""
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        change.touch(with_traits(state, frozenset(), change.now))


def with_traits(state: ProviderState, traits: frozenset[str], now: float) -> ProviderState:
    """The provider with just these traits; only a real change makes a generation."""
    if state.traits == traits:
        return state
    return msgspec.structs.replace(
        state, traits=traits, generation=state.generation + 1, updated_at=now
    )


def _named(req: Request, found: set[str]) -> set[str]:
    text = req.query.get("name")
    if text is None:
        return found
    operator, colon, value = text.partition(":")
    if not colon:
        raise Invalid(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{text}"',
            field="name",
        )
    if operator == "in":
        return found & set(value.split(","))
    if operator == "startswith":
        return {name for name in found if name.startswith(value)}
    return found


def _check_known(world: World, name: str) -> None:
    if not world.knows_trait(name):
        raise NotFound(f"No such trait(s): {name}.")


def _shown(req: Request, world: World, state: ProviderState) -> Response:
    shown = {
        "traits": sorted(state.traits),
        "resource_provider_generation": state.generation,
    }
    return dated(req, shown, _modified(world, state.traits))


def _modified(world: World, found: set[str] | frozenset[str]) -> float | None:
    times = [world.custom[k].updated_at for k in (("trait", n) for n in found) if k in world.custom]
    return max(times, default=None)
