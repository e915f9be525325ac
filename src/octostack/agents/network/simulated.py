# SPDX-License-Identifier: Apache-2.0
"""Network agents of simulated hosts: the real agent, the real compile step, switches in memory."""

import msgspec

from octostack.agents.network.agent import HEARTBEAT_S, Agent, info_of
from octostack.agents.network.ledger import Ledger
from octostack.contracts.network import Network
from octostack.contracts.network_agent import NetworkAgent
from octostack.engines.sdn.core.model import Place
from octostack.engines.sdn.simulated import SimulatedDataplane
from octostack.runtime import tasks
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service

HEARTBEATS_AT_ONCE = 16
FIRST_PORT = 10


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many hosts, called sim-0001 and on; `outside` are the physical networks each reaches."""

    hosts: int
    outside: tuple[str, ...] = ("public",)


async def build(runtime: Runtime, config: Config) -> Service:
    """The agents of all simulated hosts."""
    network = runtime.bus.stub(Network)
    agents = [_agent(number, config, network) for number in range(1, config.hosts + 1)]

    async def heartbeats() -> None:
        await tasks.gather_bounded(_heartbeat, agents, limit=HEARTBEATS_AT_ONCE)

    return Service(
        name="network_agent",
        contracts=[(NetworkAgent, agent, agent.host) for agent in agents],
        loops=[Loop("network heartbeats", heartbeats, HEARTBEAT_S)],
        facts={"Switch": f"simulated, {config.hosts} hosts: no packet is carried"},
    )


async def _heartbeat(agent: Agent) -> None:
    await agent.heartbeat()


def _agent(number: int, config: Config, network: Network) -> Agent:
    host = f"sim-{number:04d}"
    place = Place(
        host=host,
        tunnel_ip=f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
        physical={name: FIRST_PORT + i for i, name in enumerate(config.outside)},
    )
    info = info_of(host, place, dict.fromkeys(config.outside, "simulated"), simulated=True)
    return Agent(info, SimulatedDataplane(place), Ledger(None, host), network)
