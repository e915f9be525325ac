# SPDX-License-Identifier: Apache-2.0
"""Identity as a part of the cloud."""

from pathlib import Path
from typing import Any

from octostack.base import config as settings
from octostack.contracts import identity as contract
from octostack.runtime.http import Api
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service
from octostack.services.identity import loops, policy, routes
from octostack.services.identity.api import contract as promises
from octostack.services.identity.api.app import App, Config
from octostack.services.identity.api.faults import Faults
from octostack.services.identity.service import bootstrap
from octostack.services.identity.store import migrations, tables
from octostack.services.identity.store.keys import KeyRing

__all__ = ["Config", "build", "rotate_token_keys"]

PREFIX = "/identity"


async def build(runtime: Runtime, config: Config) -> Service:
    """Identity with its first users, projects and catalog made."""
    db = await runtime.database("identity", tables.metadata, migrations.MIGRATIONS)
    app = App(
        db,
        config,
        KeyRing(_keys(runtime.state_dir), active_max=config.fernet_keys_max),
        KeyRing(runtime.state_dir / "identity" / "credential-keys"),
        runtime.endpoint("identity"),
    )
    await _exchange_changes(runtime, app)
    if config.bootstrap:
        await bootstrap.run(app, runtime)
    api = Api(
        name="identity",
        prefix=PREFIX,
        routes=routes.ROUTES,
        faults=Faults(runtime.endpoint("identity")),
        app=app,
        policy=runtime.policy("identity", policy.RULES),
        headers={"Vary": "X-Auth-Token"},
    )

    async def stop() -> None:
        app.hasher.close()

    return Service(
        name="identity",
        apis=[api],
        contracts=[(contract.Identity, promises.Identity(app), None)],
        loops=[Loop("identity.revocations", loops.forgetting(app), every_s=3600.0)],
        stop=stop,
    )


async def _exchange_changes(runtime: Runtime, app: App) -> None:
    """Tell every process of our changes at once, and hear of those of other Identity processes."""

    async def heard(_event: contract.TokensChanged) -> None:
        app.drop()

    await runtime.bus.subscribe(contract.CHANGED, heard, contract.TokensChanged)
    told = contract.TokensChanged()

    def tell() -> None:
        for here in runtime.on_tokens_changed:
            here()
        runtime.bus.publish(contract.CHANGED, told)

    app.on_change = tell


def rotate_token_keys(state_dir: Path, table: dict[str, Any]) -> None:
    """Make the staged key the one that new tokens are sealed with; old tokens stay good.

    `table` is the part's table of the configuration file. Raises Invalid.
    """
    config = settings.parse(table, Config)
    KeyRing(_keys(state_dir), active_max=config.fernet_keys_max).rotate()


def _keys(state_dir: Path) -> Path:
    return state_dir / "identity" / "fernet-keys"
