# SPDX-License-Identifier: Apache-2.0
"""What a part of the cloud is given (`Runtime`) and what it hands back (`Service`).

Every service and every agent has ``async def build(runtime, config) -> Service`` in its
``service.py``. Composition (`octostack.apps`) decides which of them share a process; none of them
can tell.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.runtime.bus import Bus
from octostack.runtime.db import Database, Migration, open_database
from octostack.runtime.health import Health, loop_check
from octostack.runtime.http import Api
from octostack.runtime.loop import Loop
from octostack.runtime.policy import Policy, Rule
from octostack.runtime.secrets import Secrets
from octostack.runtime.tasks import Supervisor


class Runtime:
    """The world of one process.

    `public_url` is where clients reach the APIs, without a slash at the end; `database_url` is
    ``sqlite:DIR`` or ``postgresql://...``. `name` is this process's among those that run the same
    parts: another one with that name is the same after a restart.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        *,
        state_dir: Path,
        bus: Bus,
        tasks: Supervisor,
        public_url: str,
        database_url: str,
        endpoints: Mapping[str, str] | None = None,
        name: str = "main",
    ) -> None:
        self.name = name
        self.state_dir = state_dir
        self.bus = bus
        self.tasks = tasks
        self.public_url = public_url.rstrip("/")
        self.database_url = database_url
        self._endpoints = endpoints or {}
        self.secrets = Secrets(state_dir / "secrets")
        # Called when what tokens depend on changes: within this process no answer is then stale,
        # however long the event takes to reach others.
        self.on_tokens_changed: list[Callable[[], None]] = []
        self.health = Health()
        self.health.add("bus", bus.check)
        self._databases: list[Database] = []

    def endpoint(self, part: str) -> str:
        """Where clients reach the API of `part`, without its prefix."""
        return self._endpoints.get(part, self.public_url).split(",")[0].rstrip("/")

    def policy(self, service: str, rules: Iterable[Rule]) -> Policy:
        """The service's rules with the operator's ``policy/SERVICE.yaml`` over them."""
        return Policy(rules, self.state_dir / "policy" / f"{service}.yaml")

    async def database(
        self, name: str, metadata: sa.MetaData, migrations: Sequence[Migration] = ()
    ) -> Database:
        """The database `name`, tables made or migrated; closed when the runtime is."""
        db = await open_database(self.database_url, name, metadata, migrations)
        self._databases.append(db)
        self.health.add(f"database {name}", db.check)
        return db

    async def close(self) -> None:
        """Stop every task, leave the bus, close the databases."""
        await self.tasks.stop()
        await self.bus.stop()
        for db in reversed(self._databases):
            await db.close()


class Service(msgspec.Struct, kw_only=True):
    """A part that is built and not yet running.

    `contracts` are (contract, implementation, instance or None). `start` runs once the contracts
    of every part in the process are served; `stop` runs first of all when the process ends.
    `facts` are what a person should know of it, like which parts are simulated.
    """

    name: str
    apis: Sequence[Api] = ()
    contracts: Sequence[tuple[type, object, str | None]] = ()
    loops: Sequence[Loop] = ()
    start: Callable[[], Awaitable[None]] | None = None
    stop: Callable[[], Awaitable[None]] | None = None
    facts: Mapping[str, Any] = {}

    async def serve(self, bus: Bus) -> None:
        """Answer calls of this part's contracts."""
        for contract, implementation, instance in self.contracts:
            await bus.serve(contract, implementation, instance=instance)

    async def begin(self, runtime: Runtime) -> None:
        """Start the part's own work."""
        if self.start is not None:
            await self.start()
        for loop in self.loops:
            loop.start(runtime.tasks)
            name = f"loop {loop.name}"
            runtime.health.add(name, loop_check(name, lambda loop=loop: loop.failures))  # type: ignore[misc]
