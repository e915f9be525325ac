# SPDX-License-Identifier: Apache-2.0
"""``/allocation_candidates`` and the version document."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid
from octostack.contracts.placement import CandidateQuery, Candidates
from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App
from octostack.services.placement.core import query, search
from octostack.services.placement.core.world import World
from octostack.services.placement.schema import candidates as schema
from octostack.services.placement.schema.parts import dated

NESTED_SINCE = (1, 29)


async def list_all(app: App, req: Request) -> Response:
    """Where the request fits."""
    asked = query.candidates(req.query.pairs, req.version)
    world = await app.ledger.world()
    try:
        found = find(world, asked, nested=req.version >= NESTED_SINCE, spread=app.spread)
    except Invalid as e:
        if e.details.get("field") != "resources":
            raise
        raise Invalid(
            f"Invalid resource class in resources parameter: {e.message}", **e.details
        ) from e
    return dated(req, schema.view(found, asked, req.version))


def find(
    world: World, asked: CandidateQuery, *, nested: bool = True, spread: bool = False
) -> Candidates:
    """The candidates, from a random place on where they shall be spread."""
    start = clock.rng().randrange(len(world)) if spread and len(world) else 0
    return search.search(world, asked, nested=nested, start=start)


async def home(_app: App, req: Request) -> Response:
    """The one version there is."""
    version: dict[str, Any] = {
        "id": "v1.0",
        "max_version": "1.39",
        "min_version": "1.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return dated(req, {"versions": [version]})
