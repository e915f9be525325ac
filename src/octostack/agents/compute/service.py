# SPDX-License-Identifier: Apache-2.0
"""Composes the agent of this machine."""

from pathlib import Path

import msgspec

from octostack.agents.compute import facts
from octostack.agents.compute.agent import Agent
from octostack.agents.compute.ledger import Ledger
from octostack.base.errors import Unavailable
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent, Nic
from octostack.contracts.image import Images as ImageService
from octostack.contracts.network_agent import NetworkAgent
from octostack.engines.virt.qemu import accelerator, settings
from octostack.engines.virt.qemu import host as qemu_host
from octostack.engines.virt.qemu.images import Images
from octostack.engines.virt.qemu.layout import Layout
from octostack.engines.virt.qemu.machines import QemuMachines
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service

PART = "compute-agent"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`accelerator`: auto (KVM where a probe guest runs), kvm, or tcg.

    `drop_privileges` None: where the agent is root. `port_timeout_s`: how long to wait for a
    card's tap.
    """

    host: str
    host_ip: str = "127.0.0.1"
    accelerator: str = "auto"
    qemu: str = settings.BINARY
    image_cache_gb: int = 20
    drop_privileges: bool | None = None
    port_timeout_s: float = 30.0
    reconcile_s: float = 30.0


async def build(runtime: Runtime, config: Config) -> Service:
    """The agent over QEMU. Raises Unavailable when QEMU is not there."""
    directory = directory_of(runtime.state_dir) / config.host
    layout = Layout(directory / "virt")
    layout.make()
    binary = settings.find_binary(config.qemu)
    chosen = await accelerator.choose(config.accelerator, binary, directory / "accelerator.json")
    drop = (
        qemu_host.may_drop_privileges()
        if config.drop_privileges is None
        else config.drop_privileges
    )
    how = settings.Settings(
        binary=binary,
        accelerator=chosen,
        info=await accelerator.describe(binary, chosen),
        drop_privileges=drop,
    )
    image_service = runtime.bus.stub(ImageService)
    images = Images(layout, image_service, config.image_cache_gb << 30)
    network = runtime.bus.stub(NetworkAgent, instance=config.host)

    async def plug(nic: Nic) -> str:
        port = await network.ensure_port(nic.port_id, config.port_timeout_s)
        if port.error or not port.interface:
            raise Unavailable(f"port {nic.port_id}: {port.error or 'no device'}", code="port.error")
        return port.interface

    machines = QemuMachines(layout, how, runtime.tasks, images, plug)
    ledger = Ledger(directory)
    agent = Agent(
        config.host,
        ledger=ledger,
        hypervisor=machines,
        facts=facts.read(config.host, config.host_ip, directory),
        compute=runtime.bus.stub(Compute),
        images=image_service,
        tasks=runtime.tasks,
    )

    async def reconcile() -> None:
        await agent.reconcile()
        await machines.tidy()
        images.evict(ref for entry in ledger.list() for ref in entry.images)

    return Service(
        name=f"{PART} {config.host}",
        contracts=[(ComputeAgent, agent, config.host)],
        loops=[Loop(f"{PART} {config.host}", reconcile, every_s=config.reconcile_s)],
        start=agent.start,
        stop=agent.stop,
        facts={"Guests": how.info.text},
    )


def directory_of(state_dir: Path) -> Path:
    """Where the agents of a state directory keep their ledgers and machines, host by host."""
    return state_dir / PART


async def host_stop(state_dir: Path) -> None:
    """End every guest of this state directory: the power button first, then the plug.

    They count as gone down with the host, so the next start of the agent boots them again.
    """
    for layout in _layouts(state_dir):
        await qemu_host.stop_all(layout)


async def host_remove(state_dir: Path) -> None:
    """End every guest at once. Devices belong to the network agent."""
    for layout in _layouts(state_dir):
        await qemu_host.stop_all(layout, timeout_s=0.0)


def _layouts(state_dir: Path) -> list[Layout]:
    return [Layout(path / "virt") for path in sorted(directory_of(state_dir).glob("*"))]
