# SPDX-License-Identifier: Apache-2.0
"""Each router with a gateway is served by one living host that reaches the outside."""

from octostack.base import clock
from octostack.services.network.api.agents import is_alive
from octostack.services.network.api.app import AGENT_DOWN_S, App
from octostack.services.network.core import gateways
from octostack.services.network.model import nouns
from octostack.services.network.store import routers, rows


class Gateways:
    """The work of the loop."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._since = clock.now()

    async def work(self) -> None:
        """Place what has no place, and move what its host does not serve any more."""
        async with self._app.db.read() as tx:
            wanted = await routers.with_gateway(tx)
            if not wanted:
                return
            agents = await rows.select(tx, nouns.Agent)
            ids = {router.gateway_network_id for router in wanted if router.gateway_network_id}
            outside = await rows.by_ids(tx, nouns.Network, ids)
        now = clock.now()
        alive = [agent.host for agent in agents if is_alive(agent, now)]
        # while we were away nobody could be heard: whoever speaks first must not take all
        silent = {agent.host for agent in agents} if now - self._since < AGENT_DOWN_S else ()
        moves = gateways.place(
            wanted,
            agents,
            {id_: network.physical_network for id_, network in outside.items()},
            alive,
            silent,
        )
        if not moves:
            return
        async with self._app.db.write() as tx:
            for router_id, host in moves.items():
                await routers.set_host(tx, router_id, host)
            tx.after_commit(self._app.wake)
