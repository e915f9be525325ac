# SPDX-License-Identifier: Apache-2.0
"""Many agents over machines that exist in memory only; all else is the real agent's."""

import msgspec

from octostack.agents.compute.agent import Agent
from octostack.agents.compute.facts import Facts
from octostack.agents.compute.ledger import Ledger
from octostack.base import clock
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent
from octostack.contracts.image import Images
from octostack.engines.virt.simulated import SimulatedMachines
from octostack.runtime.service import Runtime, Service

PART = "compute-agent"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many hosts, and what each pretends to have."""

    hosts: int = 1
    vcpus: int = 64
    memory_mb: int = 256 << 10
    disk_gb: int = 4000


async def build(runtime: Runtime, config: Config) -> Service:
    """Hosts ``sim-0001`` and on."""
    agents = [_agent(runtime, config, f"sim-{i:04d}") for i in range(1, config.hosts + 1)]

    async def start() -> None:
        for agent in agents:
            await agent.start()

    return Service(
        name=PART,
        contracts=[(ComputeAgent, agent, agent.host) for agent in agents],
        start=start,
        facts={"Guests": f"simulated, no guest runs ({config.hosts} hosts)"},
    )


def _agent(runtime: Runtime, config: Config, host: str) -> Agent:
    machines = SimulatedMachines()
    facts = Facts(
        host=host,
        host_ip="127.0.0.1",
        vcpus=config.vcpus,
        memory_mb=config.memory_mb,
        disk_gb=config.disk_gb,
        cpu_model="simulated",
        booted_at=clock.now(),
    )
    ledger = Ledger(runtime.state_dir / PART / host, durable=False)
    return Agent(
        host,
        ledger=ledger,
        hypervisor=machines,
        facts=facts,
        compute=runtime.bus.stub(Compute),
        images=runtime.bus.stub(Images),
        tasks=runtime.tasks,
    )
