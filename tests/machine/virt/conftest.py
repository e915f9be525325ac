# SPDX-License-Identifier: Apache-2.0
"""A host with an agent, and a guest to run on it."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from octostack.agents.compute import service
from octostack.base import clock
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent, ImageRef, MachineSpec, MachineState
from octostack.contracts.image import Images
from octostack.contracts.network_agent import NetworkAgent
from octostack.engines.virt.qemu import cgroups, process
from octostack.testing import virt

ROOT = Path(__file__).parents[3]
HOST = "host1"
BOOT_TIMEOUT_S = 150.0


class Host:
    """An agent that can be killed and started again over the same state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.uploads = state_dir / "uploads"
        self.uploads.mkdir()
        self.images = virt.FileImages(self.uploads)
        self.listener = virt.Listener()
        self.taps = virt.Taps()
        self.agent: ComputeAgent
        self._stack = AsyncExitStack()

    @property
    def machines(self) -> Path:
        return self.state_dir / "compute-agent" / HOST / "virt" / "machines"

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        runtime = await self._stack.enter_async_context(virt.runtime(self.state_dir))
        await runtime.bus.serve(Images, self.images)
        await runtime.bus.serve(Compute, self.listener)
        await runtime.bus.serve(NetworkAgent, self.taps, instance=HOST)
        config = service.Config(host=HOST, accelerator="tcg", reconcile_s=1.0)
        part = await service.build(runtime, config)
        await part.serve(runtime.bus)
        await part.begin(runtime)
        assert part.stop is not None
        self._stack.push_async_callback(part.stop)
        self.agent = runtime.bus.stub(ComputeAgent, instance=HOST)

    async def stop(self) -> None:
        await self._stack.aclose()

    def groups(self) -> set[str]:
        """Machines of this host that a control group is left of."""
        made = {path.name for path in cgroups.ROOT.glob("memory/octostack/*/")}
        return made & {path.name for path in self.machines.iterdir()}

    def processes(self) -> dict[str, process.Process]:
        return {path.name: proc for path, proc in process.list_in(self.machines).items()}

    async def run(self, spec: MachineSpec) -> MachineState:
        state = await self.agent.ensure_machine(spec)
        return await self.settled(spec.id) if state.busy else state

    async def settled(self, machine_id: str, timeout_s: float = 60.0) -> MachineState:
        deadline = clock.monotonic() + timeout_s
        while (state := await self.agent.look(machine_id)).busy:
            assert clock.monotonic() < deadline, state
            await asyncio.sleep(0.1)
        return state

    async def until(self, machine_id: str, power: str, timeout_s: float = 60.0) -> MachineState:
        deadline = clock.monotonic() + timeout_s
        while (state := await self.agent.look(machine_id)).power != power:
            assert clock.monotonic() < deadline, state
            await asyncio.sleep(0.1)
        return state

    async def console(self, machine_id: str, *texts: str, timeout_s: float = BOOT_TIMEOUT_S) -> str:
        """The console once it says all of `texts`, a text given twice twice."""
        deadline = clock.monotonic() + timeout_s
        while True:
            said = await self.agent.console_output(machine_id, None)
            if all(said.count(text) >= texts.count(text) for text in texts):
                return said
            assert clock.monotonic() < deadline, f"not on the console: {texts}\n{said}"
            await asyncio.sleep(0.2)


@pytest.fixture(scope="session")
def guest_image() -> Path:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs QEMU")
    subprocess.run([ROOT / "tools/guest-image"], cwd=ROOT, check=True)
    return ROOT / ".cache/guest-image"


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Short, and where another user may be let through."""
    with tempfile.TemporaryDirectory(prefix="octo-virt-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
async def host(state_dir: Path) -> AsyncIterator[Host]:
    host = Host(state_dir)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()
        await service.host_remove(state_dir)
        assert (host.processes(), host.groups()) == ({}, set())


@pytest.fixture
def image(host: Host, guest_image: Path) -> ImageRef:
    return host.images.add(guest_image / "guest.qcow2", "qcow2")
