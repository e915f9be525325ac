# SPDX-License-Identifier: Apache-2.0
"""Compute put together."""

from functools import partial

import msgspec

from octostack.contracts.compute import Compute
from octostack.contracts.identity import Caller
from octostack.runtime.db import Tx
from octostack.runtime.http import Api
from octostack.runtime.lease import Leases
from octostack.runtime.loop import Loop
from octostack.runtime.policy import Policy
from octostack.runtime.saga import Runner
from octostack.runtime.service import Runtime, Service
from octostack.services.compute import policy, routes
from octostack.services.compute.api import viewer
from octostack.services.compute.core import defaults
from octostack.services.compute.loops import hosts, mappings
from octostack.services.compute.loops.boot import BOOT
from octostack.services.compute.loops.contract import ComputeCalls
from octostack.services.compute.loops.delete import DELETE
from octostack.services.compute.loops.tasks import Tasks
from octostack.services.compute.model import Config, Server
from octostack.services.compute.store.api_db import flavors
from octostack.services.compute.store.api_db import migrations as api_migrations
from octostack.services.compute.store.api_db import tables as api_tables
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import migrations as cell_migrations
from octostack.services.compute.store.cell_db import tables as cell_tables

__all__ = ["Config", "build"]


async def build(runtime: Runtime, config: Config) -> Service:
    """The service, its world filled from the rows."""
    app = App(
        config=config,
        bus=runtime.bus,
        api_db=await runtime.database(
            "compute_api", api_tables.metadata, api_migrations.MIGRATIONS
        ),
        cell_db=await runtime.database(
            "compute_cell1", cell_tables.metadata, cell_migrations.MIGRATIONS
        ),
        public_url=runtime.public_url,
    )
    app.viewer = viewer.files(config.viewer_dir)
    app.secret = runtime.secrets.get("compute-seeds", 32)
    app.runner = Runner(app.cell_db, cell_tables.sagas, app, [BOOT, DELETE], owner=runtime.name)
    leases = Leases(app.cell_db, cell_tables.leases, runtime.name)
    _give_orders(app)
    tasks = Loop("compute.tasks", Tasks(app, runtime.tasks, leases).run, every_s=5.0)
    keeper = Loop("compute.hosts", hosts.Keeper(app).run, every_s=5.0)
    sweeper = Loop("compute.mappings", partial(mappings.sweep, app), every_s=600.0)
    app.wake_tasks, app.wake_world = tasks.wake, keeper.wake
    await _bootstrap(app)
    await hosts.load(app)

    async def start() -> None:
        await app.runner.launch(runtime.tasks)

    return Service(
        name="compute",
        apis=_apis(app, runtime.policy("compute", policy.RULES)),
        contracts=[(Compute, ComputeCalls(app), None)],
        loops=[tasks, keeper, sweeper],
        start=start,
    )


def _apis(app: App, rules: Policy) -> list[Api]:
    """The versions of Compute, the document above them, and the consoles."""
    spoken = [
        Api(
            name="compute",
            prefix=prefix,
            routes=routes.ROUTES,
            faults=routes.faults,
            app=app,
            policy=rules,
            microversions=microversions,
            request_id_headers=("x-openstack-request-id", "x-compute-request-id"),
            strict_slash=True,
        )
        for prefix, microversions in routes.SPOKEN.items()
    ]
    others = [
        Api(name=name, prefix=prefix, routes=table, faults=routes.faults, app=app, policy=rules)
        for name, prefix, table in (
            ("compute-versions", "/compute", routes.VERSION_ROUTES),
            ("console", "/console", routes.CONSOLE_ROUTES),
        )
    ]
    return [*spoken, *others]


def _give_orders(app: App) -> None:
    async def order_boot(tx: Tx, server: Server, caller: Caller) -> None:
        state = {"server_id": server.id, "caller": msgspec.to_builtins(caller)}
        await app.runner.start(tx, BOOT, server.id, state)

    async def order_delete(tx: Tx, server: Server) -> None:
        await app.runner.cancel(tx, server.id)
        state = {"server_id": server.id, "group_id": server.group_id}
        await app.runner.start(tx, DELETE, server.id, state)

    app.order_boot, app.order_delete = order_boot, order_delete


async def _bootstrap(app: App) -> None:
    """The usual flavors, where there is none."""
    if not app.config.flavors:
        return
    async with app.api_db.write() as tx:
        if not await flavors.any_there(tx):
            for flavor in defaults.FLAVORS:
                await flavors.insert(tx, flavor)
