# SPDX-License-Identifier: Apache-2.0
"""Placement put together."""

import msgspec

from octostack.contracts.placement import Placement
from octostack.runtime.http import Api
from octostack.runtime.service import Runtime, Service
from octostack.services.placement import loops, policy, routes
from octostack.services.placement.api.app import App
from octostack.services.placement.api.contract import PlacementCalls
from octostack.services.placement.store import migrations, tables
from octostack.services.placement.store.ledger import Ledger


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's choices. `spread_candidates` gives HTTP callers a random choice of places."""

    spread_candidates: bool = False


async def build(runtime: Runtime, config: Config) -> Service:
    """The service, its memory filled from the database."""
    db = await runtime.database("placement", tables.metadata, migrations.MIGRATIONS)
    ledger = Ledger(db)
    await ledger.prepare()
    await ledger.world()
    app = App(ledger, config.spread_candidates)
    api = Api(
        name="placement",
        prefix="/placement",
        routes=routes.ROUTES,
        faults=routes.faults,
        app=app,
        policy=runtime.policy("placement", policy.RULES),
        microversions=routes.MICROVERSIONS,
        strict_types=True,
    )
    return Service(
        name="placement",
        apis=[api],
        contracts=[(Placement, PlacementCalls(app), None)],
        loops=loops.loops(ledger),
    )
