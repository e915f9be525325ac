# SPDX-License-Identifier: Apache-2.0
"""Hosts examined: what differs on them from what they were told."""

from collections.abc import Callable

from octostack.base import clock
from octostack.base.errors import OctoError
from octostack.contracts.compute import Finding
from octostack.contracts.network_agent import NetworkAgent
from octostack.runtime.tasks import gather_bounded
from octostack.services.network.api.agents import is_alive
from octostack.services.network.api.app import App
from octostack.services.network.model import nouns
from octostack.services.network.store import rows

HOSTS_AT_ONCE = 16


async def examine(app: App, agent: Callable[[str], NetworkAgent], *, repair: bool) -> list[Finding]:
    """Every difference on the living hosts, and hosts that cannot be asked."""
    async with app.db.read() as tx:
        agents = await rows.select(tx, nouns.Agent)
    now = clock.now()
    found: list[Finding] = []

    async def one(host: str) -> None:
        try:
            found.extend(await agent(host).examine(repair))
        except OctoError as e:
            text = f"host {host} cannot say how its network is: {e.message}"
            found.append(Finding(kind="network_unknown", subject=host, text=text))

    alive = sorted(a.host for a in agents if is_alive(a, now))
    await gather_bounded(one, alive, limit=HOSTS_AT_ONCE)
    return sorted(found, key=lambda f: (f.kind, f.subject))
