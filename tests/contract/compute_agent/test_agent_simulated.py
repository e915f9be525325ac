# SPDX-License-Identifier: Apache-2.0
"""The agent's promises, over machines in memory: ledger, workers and reports are the real ones."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from octostack.agents.compute import facts
from octostack.agents.compute.agent import Agent
from octostack.agents.compute.ledger import Ledger
from octostack.base.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent, ImageRef, MachineSpec
from octostack.contracts.image import Images
from octostack.engines.virt.simulated import SimulatedMachines
from octostack.testing import virt

pytestmark = pytest.mark.anyio

IMAGE = ImageRef(id="i", sha512="0" * 128, size_bytes=1)
HOST = "sim-0001"


class Sim:
    """A host whose agent can be killed; its machines survive that, unless its power is lost."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.machines = SimulatedMachines()
        self.machines.recording = True
        self.listener = virt.Listener()
        self.agent: ComputeAgent
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        runtime = await self._stack.enter_async_context(virt.runtime(self.state_dir))
        await runtime.bus.serve(Images, virt.FileImages(self.state_dir))
        await runtime.bus.serve(Compute, self.listener)
        agent = Agent(
            HOST,
            ledger=Ledger(self.state_dir / "ledger"),
            hypervisor=self.machines,
            facts=facts.Facts(host=HOST, host_ip="127.0.0.1", vcpus=4, memory_mb=9, disk_gb=9),
            compute=runtime.bus.stub(Compute),
            images=runtime.bus.stub(Images),
            tasks=runtime.tasks,
        )
        await runtime.bus.serve(ComputeAgent, agent, instance=HOST)
        self.agent = runtime.bus.stub(ComputeAgent, instance=HOST)
        await agent.start()

    async def stop(self) -> None:
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def restart(self) -> None:
        await self.stop()
        self.listener.forget()
        await self.start()

    def acts(self) -> list[str]:
        done, self.machines.done = self.machines.done, []
        return [name for _, name in done]


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    sim = Sim(tmp_path)
    await sim.start()
    yield sim
    await sim.stop()


def change(spec: MachineSpec, **changes: object) -> MachineSpec:
    return msgspec.structs.replace(spec, generation=spec.generation + 1, **changes)


async def test_boot_and_again(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    state = await sim.agent.ensure_machine(spec)
    assert (state.power, state.generation, state.busy, state.simulated) == ("running", 1, "", True)
    assert sim.acts() == ["Fetch", "MakeDisks", "Start"]
    assert await sim.agent.ensure_machine(spec) == state
    assert sim.acts() == []
    assert "simulated" in await sim.agent.console_output(spec.id, None)


async def test_every_power_state(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    for wanted, power in (
        ("paused", "paused"),
        ("running", "running"),
        ("suspended", "suspended"),
        ("running", "running"),
        ("stopped", "shutdown"),
        ("running", "running"),
    ):
        spec = change(spec, wanted=wanted)
        state = await sim.agent.ensure_machine(spec)
        assert (state.power, state.generation) == (power, spec.generation)


async def test_an_old_order_is_refused(sim: Sim) -> None:
    spec = virt.spec(IMAGE, generation=5)
    await sim.agent.ensure_machine(spec)
    with pytest.raises(Conflict) as refused:
        await sim.agent.ensure_machine(virt.spec(IMAGE, id=spec.id, generation=4))
    assert refused.value.code == "agent.stale_generation"


async def test_removal_leaves_nothing_and_may_be_repeated(sim: Sim, tmp_path: Path) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    await sim.agent.remove_machine(spec.id)
    await sim.agent.remove_machine(spec.id)
    assert await sim.agent.list_machines() == []
    assert list((tmp_path / "ledger" / "machines").iterdir()) == []
    with pytest.raises(NotFound):
        await sim.agent.look(spec.id)


async def test_a_restarted_agent_finds_its_machines_and_touches_none(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    sim.acts()
    await sim.restart()
    await sim.listener.until(spec.id, "running")
    assert (await sim.agent.look(spec.id)).power == "running"
    assert sim.acts() == []


async def test_after_a_loss_of_power_what_was_wanted_runs_again(sim: Sim) -> None:
    on, off = virt.spec(IMAGE), virt.spec(IMAGE, wanted="stopped")
    await sim.agent.ensure_machine(on)
    await sim.agent.ensure_machine(off)
    await sim.stop()
    sim.machines.lose_power()
    sim.listener.forget()
    sim.acts()
    await sim.start()
    await sim.listener.until(on.id, "shutdown")
    await sim.listener.until(on.id, "running")
    assert (await sim.agent.look(off.id)).power != "running"
    assert sim.acts() == ["MakeDisks", "Start"]


@pytest.mark.parametrize("act", ["Fetch", "MakeDisks", "Start"])
async def test_what_fails_for_good_is_a_fault_until_the_next_order(sim: Sim, act: str) -> None:
    sim.machines.faults[act] = Invalid(f"{act} cannot be")
    spec = virt.spec(IMAGE)
    state = await sim.agent.ensure_machine(spec)
    assert (state.power, state.fault, state.generation) == ("shutdown", f"{act} cannot be", 1)
    state = await sim.agent.ensure_machine(change(spec))
    assert (state.power, state.fault, state.generation) == ("running", None, 2)


async def test_what_may_pass_is_tried_again(sim: Sim) -> None:
    sim.machines.faults["Start"] = Unavailable("the port is late")
    state = await sim.agent.ensure_machine(virt.spec(IMAGE))
    assert (state.power, state.fault) == ("running", None)


@pytest.mark.parametrize(("process", "down", "power"), [
    ("ended", "new", "shutdown"),
    ("none", "crashed", "crashed"),
    ("panicked", "new", "crashed"),
])  # fmt: skip
async def test_what_befalls_a_machine_is_told_and_not_undone(
    sim: Sim, process: str, down: str, power: str
) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    sim.machines.happen(spec.id, process=process, down=down)
    await sim.listener.until(spec.id, power)
    assert (await sim.agent.look(spec.id)).power == power
    state = await sim.agent.reboot(spec.id, True, "req-1")
    assert state.power == "running"


async def test_a_reboot_is_done_once(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    sim.acts()
    await sim.agent.reboot(spec.id, False, "req-1")
    assert sim.acts() == ["PowerOff", "MakeDisks", "Start"]
    await sim.agent.reboot(spec.id, False, "req-1")
    assert sim.acts() == []
    await sim.agent.reboot(spec.id, True, "req-2")
    assert sim.acts() == ["Quit", "MakeDisks", "Start"]


async def test_cards_come_and_go(sim: Sim) -> None:
    from octostack.contracts.compute_agent import Nic

    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    nics = (Nic(port_id="p1", mac="fa:16:3e:00:00:01"),)
    state = await sim.agent.ensure_machine(spec := change(spec, nics=nics))
    assert [nic.port_id for nic in state.nics] == ["p1"]
    state = await sim.agent.ensure_machine(change(spec, nics=()))
    assert state.nics == ()


async def test_what_a_simulated_machine_cannot_do_it_says(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    with pytest.raises(Unsupported):
        await sim.agent.set_password(spec.id, "root", "x")
    with pytest.raises(Unsupported):
        await sim.agent.console_access(spec.id, "vnc")
    with pytest.raises(Unsupported):
        await sim.agent.open_console(spec.id, "vnc")
    assert (await sim.agent.diagnostics(spec.id)).hypervisor == "simulated"


async def test_the_host_tells_what_it_is(sim: Sim) -> None:
    first = await sim.agent.facts()
    assert (first.hypervisor_type, first.simulated) == ("simulated", True)
    await sim.restart()
    assert (await sim.agent.facts()).provider_id == first.provider_id


@pytest.mark.parametrize("machine_id", ["../../etc", "", "a/b", "x" * 100, ".", "ä"])
async def test_ids_that_are_no_names(sim: Sim, machine_id: str) -> None:
    with pytest.raises(Invalid):
        await sim.agent.ensure_machine(virt.spec(IMAGE, id=machine_id))


async def test_an_unreadable_ledger_entry_is_put_aside(sim: Sim, tmp_path: Path) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    (tmp_path / "ledger" / "machines" / "broken.json").write_text("{")
    await sim.restart()
    assert [m.id for m in await sim.agent.list_machines()] == [spec.id]


async def test_a_machine_that_nobody_ordered_is_shown_and_can_be_removed(sim: Sim) -> None:
    spec = virt.spec(IMAGE)
    await sim.agent.ensure_machine(spec)
    (sim.state_dir / "ledger" / "machines" / f"{spec.id}.json").unlink()
    await sim.restart()
    [stray] = await sim.agent.list_machines()
    assert (stray.id, stray.generation, stray.power) == (spec.id, 0, "running")
    await sim.agent.remove_machine(spec.id)
    assert await sim.agent.list_machines() == []
    assert sim.machines.list_present() == []
