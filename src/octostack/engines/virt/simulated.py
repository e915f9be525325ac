# SPDX-License-Identifier: Apache-2.0
"""Machines that exist in memory only, for clouds of thousands on a laptop and for tests.

The same face, the same acts, no guest: a machine "boots" by writing a console that says so. All
of them are gone when the process ends, as if the host had lost its power.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from octostack.base import clock
from octostack.base.errors import Conflict, OctoError, Unsupported
from octostack.contracts.compute_agent import (
    ConsoleKind,
    Diagnostics,
    DiskDiagnostics,
    ImageRef,
    MachineSpec,
    NicDiagnostics,
)
from octostack.engines.virt.core import model
from octostack.engines.virt.core.model import Act, NicSeen, Seen
from octostack.engines.virt.hypervisor import Hypervisor, HypervisorInfo
from octostack.wire.diskformats import overlay

VERSION = 1_000_000
CONSOLE = "octostack: this machine is simulated, no guest runs in it\n"


class SimulatedMachines(Hypervisor):
    """`faults` makes acts fail: the act's class name, and the error to raise once."""

    def __init__(self) -> None:
        self.on_change: Callable[[str], None] = lambda _id: None
        self.faults: dict[str, OctoError] = {}
        self.done: list[tuple[str, str]] = []  # (machine, act), kept while `recording`
        self.recording = False
        self._seen: dict[str, Seen] = {}
        self._consoles: dict[str, str] = {}
        self._copies: dict[str, Path] = {}  # root disks on their way into images

    async def start(self) -> None:
        """Nothing outlives this memory."""

    def list_present(self) -> list[str]:
        return sorted(self._seen)

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def look(self, machine_id: str) -> Seen:
        # Whatever this memory does not know was lost with its host.
        return self._seen.get(machine_id, Seen(down="host"))

    async def do(self, spec: MachineSpec, act: Act) -> None:
        name = type(act).__name__
        if self.recording:
            self.done.append((spec.id, name))
        fault = self.faults.pop(name, None)
        if fault is not None:
            raise fault
        seen = self._seen.get(spec.id, Seen())
        self._seen[spec.id] = after(spec, seen, act, clock.now())
        if isinstance(act, model.Start):
            self._write_console(spec)

    async def remove(self, machine_id: str) -> None:
        self._seen.pop(machine_id, None)
        self._consoles.pop(machine_id, None)

    async def ensure_image(self, image: ImageRef) -> None:
        """No data is needed."""

    async def console_output(self, machine_id: str, bytes_max: int) -> bytes:
        return self._consoles.get(machine_id, "").encode()[-bytes_max:]

    def console_address(self, machine_id: str, kind: ConsoleKind) -> str:
        raise Unsupported("a simulated machine has no console", code="machine.simulated")

    async def copy_root(self, spec: MachineSpec, name: str) -> str:
        """An empty disk of the right size: there is no guest that could have written to it."""
        copy = tempfile.NamedTemporaryFile(prefix="octo-simulated-", delete=False)  # noqa: SIM115
        with copy:
            copy.write(overlay.make((spec.root_gb or 1) * 2**30))
        self._copies[name] = Path(copy.name)
        return copy.name

    async def drop_copy(self, name: str) -> None:
        copy = self._copies.pop(name, None)
        if copy is not None:
            copy.unlink(missing_ok=True)

    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        raise Unsupported("no guest agent in a simulated machine", code="guest_agent.absent")

    async def diagnostics(self, machine_id: str) -> Diagnostics:
        seen = await self.look(machine_id)
        if seen.process == "none":
            raise Conflict("machine does not run", code="machine.not_running")
        return Diagnostics(
            state="running" if seen.process == "running" else "paused",
            driver="octostack",
            hypervisor="simulated",
            hypervisor_os="simulated",
            uptime_s=int(clock.now() - (seen.started_at or clock.now())),
            cpu_times_ns=(0,),
            disks=(DiskDiagnostics(),),
            nics=tuple(NicDiagnostics(mac_address=nic.mac) for nic in seen.nics),
        )

    def info(self) -> HypervisorInfo:
        return HypervisorInfo(
            kind="simulated", version=VERSION, simulated=True, text="simulated, no guest runs"
        )

    def happen(self, machine_id: str, *, process: model.Process, down: model.Down = "new") -> None:
        """Something befalls a machine from outside: the guest powers off, QEMU dies."""
        seen = self._seen[machine_id]
        self._seen[machine_id] = msgspec.structs.replace(seen, process=process, down=down)
        self.on_change(machine_id)

    def lose_power(self) -> None:
        """The host goes down with all its machines, and comes back; their disks stay."""
        self._seen = {
            machine_id: Seen(down="host" if seen.process != "none" else seen.down,
                             build=seen.build, saved=seen.saved)
            for machine_id, seen in self._seen.items()
        }  # fmt: skip

    def _write_console(self, spec: MachineSpec) -> None:
        started = (
            f"{clock.iso(clock.now())} {spec.name} started\n"
            f"  processors: {spec.vcpus}, memory: {spec.memory_mb} MiB, disk: {spec.root_gb} GiB\n"
            f"  image: {spec.image.id if spec.image else 'none'}\n"
            f"  cards: {', '.join(nic.mac for nic in spec.nics) or 'none'}\n"
        )
        before = self._consoles.get(spec.id, "")
        self._consoles[spec.id] = (before + CONSOLE + started)[-4096:]


def after(spec: MachineSpec, seen: Seen, act: Act, at: float) -> Seen:
    """What is seen of a machine once the act is done, at the time `at`."""
    change = msgspec.structs.replace
    match act:
        case model.MakeDisks():
            return change(seen, build=spec.build)
        case model.DropDisks():
            return change(seen, build=None)
        case model.DropSaved():
            return change(seen, saved=False)
        case model.Start(paused):
            return Seen(
                process="paused" if paused else "running",
                build=spec.build,
                rescued=spec.rescue is not None,
                started_at=at,
                nics=tuple(
                    NicSeen(port_id=n.port_id, mac=n.mac, tap=f"sim{n.port_id[:11]}", slot=i)
                    for i, n in enumerate(spec.nics)
                ),
            )
        case model.PowerOff() | model.Quit():
            down: model.Down = "guest" if seen.process == "ended" else "ordered"
            return Seen(down=down, build=seen.build, saved=seen.saved)
        case model.Save():
            return Seen(down="ordered", build=seen.build, saved=True)
        case model.Pause():
            return change(seen, process="paused")
        case model.Resume():
            return change(seen, process="running")
        case model.PlugNic(nic, slot):
            card = NicSeen(port_id=nic.port_id, mac=nic.mac, tap="", slot=slot)
            return change(seen, nics=(*seen.nics, card))
        case model.UnplugNic(card):
            return change(seen, nics=tuple(n for n in seen.nics if n.port_id != card.port_id))
    return seen
