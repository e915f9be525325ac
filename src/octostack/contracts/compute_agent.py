# SPDX-License-Identifier: Apache-2.0
"""What the compute service may ask of the agent on one host, and what the agent answers.

The service says *what a machine shall be* (`MachineSpec`, with a generation that only grows);
the agent keeps that in its ledger, brings it about and keeps it so, over its own restarts and
over reboots of the host. Only what is an event by nature is a call of its own: reboot, snapshot.

    stub = runtime.bus.stub(ComputeAgent, instance=host)
    state = await stub.ensure_machine(spec)      # in the ledger; perhaps still working
    while state.busy: wait for the report, or stub.look(spec.id)

Reports go the other way through `contracts.compute.Compute`: `register` at start, `heartbeat`
with every machine, `observed` at once after each change (order done or given up, guest powered
off, QEMU gone, reset, panic). Reports are hints that may be lost or repeated; `look` and
`list_machines` always tell the truth. A report or a state carries the generation of the last
order that was brought about or given up: one older than what you ordered is stale.
"""

from abc import ABC, abstractmethod
from typing import Literal

import msgspec

from octostack.base.contract import since
from octostack.contracts.compute import HostFacts

VERSION = (1, 1)

Wanted = Literal["running", "stopped", "paused", "suspended"]
Power = Literal["building", "running", "paused", "shutdown", "suspended", "crashed"]
ConsoleKind = Literal["vnc", "serial"]


class ImageRef(msgspec.Struct, frozen=True, kw_only=True):
    """An image to run from; the agent fetches it by id through `contracts.image`, once per host.

    `sha512` (hex) and `size_bytes` are of the stored data and are verified before first use.
    """

    id: str
    sha512: str
    size_bytes: int
    disk_format: str = "qcow2"  # qcow2, raw; aki and ari for kernel and ramdisk
    properties: dict[str, str] = {}  # hw_* and os_* of the image: firmware, buses, machine type


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """One network card; `port_id` is what the network agent on the host binds the tap to."""

    port_id: str
    mac: str
    mtu: int = 1500
    network_id: str = ""
    tag: str | None = None


class ConfigFile(msgspec.Struct, frozen=True):
    """A file of the config drive: ``openstack/latest/meta_data.json`` and its bytes."""

    path: str
    content: bytes


class DirectBoot(msgspec.Struct, frozen=True, kw_only=True):
    """Boot this kernel instead of what the disk's firmware would find (AMI-style images)."""

    kernel: ImageRef
    ramdisk: ImageRef | None = None
    command_line: str = ""


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine shall be. `generation` grows with each change the service makes.

    A NIC that appears or goes while the machine runs is plugged in or out live. A change of
    `build` makes new disks from `image` (rebuild); the old ones are dropped. With `rescue`
    set the machine boots from that image and sees its own root as the second disk.
    """

    id: str
    name: str
    generation: int
    vcpus: int
    memory_mb: int
    root_gb: int = 0  # 0: as large as the image
    ephemeral_gb: int = 0
    swap_mb: int = 0
    image: ImageRef
    build: int = 1  # counts rebuilds, also onto the same image
    boot: DirectBoot | None = None
    rescue: ImageRef | None = None
    config_drive: tuple[ConfigFile, ...] = ()  # empty: none
    nics: tuple[Nic, ...] = ()
    wanted: Wanted = "running"
    stop_timeout_s: float = 60.0  # a guest that ignores the power button is switched off after it
    restart_on_crash: bool = False
    hostname: str = ""
    project_id: str = ""
    user_id: str = ""


class NicState(msgspec.Struct, frozen=True, kw_only=True):
    """A card that the machine has now and the tap it hangs on."""

    port_id: str
    mac: str
    tap: str


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is. `generation` is that of the last spec brought about or given up on."""

    id: str
    generation: int
    power: Power
    busy: str = ""  # what is being done about it now: "image", "disk", "start", "stop", ...
    fault: str | None = None  # why it is not as wanted; for the server's fault message
    nics: tuple[NicState, ...] = ()
    vnc: str | None = None  # as `console_access` would answer
    serial: str | None = None
    started_at: float | None = None
    changed_at: float = 0.0
    simulated: bool = False


class ConsoleAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the console proxy connects: ``unix:/path`` on that host, or ``tcp:host:port``.

    vnc speaks RFB with no authentication of its own: only the proxy may reach it.
    """

    kind: ConsoleKind
    host: str
    address: str


class DiskDiagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """What one disk did since the machine started; -1 where the engine does not tell."""

    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0
    errors_count: int = -1


class NicDiagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """What one interface did since the machine started."""

    mac_address: str
    rx_octets: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_drop: int = 0
    tx_octets: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_drop: int = 0


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of os-diagnostics 2.48; `cpu_times_ns` has one entry per virtual CPU."""

    state: Power
    driver: str
    hypervisor: str
    hypervisor_os: str
    uptime_s: int = 0
    config_drive: bool = False
    cpu_times_ns: tuple[int, ...] = ()
    disks: tuple[DiskDiagnostics, ...] = ()
    nics: tuple[NicDiagnostics, ...] = ()
    memory_max_mb: int = 0
    memory_used_mb: int = 0


class SnapshotProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the copy of a root disk into an image is."""

    image_id: str
    status: Literal["working", "done", "failed"]
    fault: str | None = None
    size_bytes: int = 0


class ComputeAgent(ABC):
    """The agent of one host. Every call may be repeated with the same arguments."""

    VERSION = VERSION

    @abstractmethod
    async def ensure_machine(self, spec: MachineSpec) -> MachineState:
        """Make the machine what `spec` says and keep it so. Durable once this returns.

        Waits a few seconds for the work; a state with `busy` set is still being worked on.
        Raises Conflict("agent.stale_generation") for a spec older than the ledger's.
        """

    @abstractmethod
    async def remove_machine(self, machine_id: str) -> None:
        """Stop the machine and delete all that is its own; nothing happens if it is not known."""

    @abstractmethod
    async def look(self, machine_id: str) -> MachineState:
        """What it is right now. Raises NotFound."""

    @abstractmethod
    async def list_machines(self) -> list[MachineState]:
        """Every machine in the ledger, and at generation 0 what else is found on the host."""

    @abstractmethod
    async def reboot(self, machine_id: str, hard: bool, request_id: str) -> MachineState:
        """Restart a running machine; the same `request_id` again does nothing.

        Soft: the power button, then a start once it is off (hard after the stop timeout).
        Hard: a new QEMU process from the spec; brings a crashed or stopped one up as well.
        """

    @abstractmethod
    async def console_output(self, machine_id: str, lines: int | None) -> str:
        """The last `lines` of the serial console's log (None: all that is kept)."""

    @abstractmethod
    async def console_access(self, machine_id: str, kind: ConsoleKind) -> ConsoleAddress:
        """Where the console is. Raises Conflict when the machine does not run."""

    @abstractmethod
    @since(1, 1)
    async def open_console(self, machine_id: str, kind: ConsoleKind) -> str:
        """A session with the console, relayed by the agent; its name.

        It ends with the machine, by `close_console`, or when nobody reads for a minute. Raises
        Conflict when the machine does not run, Unsupported where it has no such console.
        """

    @abstractmethod
    @since(1, 1)
    async def read_console(self, session: str, number: int, wait_s: float) -> bytes:
        """Piece `number` (1, 2, ...; 128 KiB at most) of what the guest sends.

        Empty when none came within `wait_s`: ask for the same again. Raises NotFound at the end.
        """

    @abstractmethod
    @since(1, 1)
    async def write_console(self, session: str, number: int, data: bytes) -> None:
        """Give the guest piece `number` (1, 2, ...). Raises NotFound at the end."""

    @abstractmethod
    @since(1, 1)
    async def close_console(self, session: str) -> None:
        """End a session; one that has ended is no error."""

    @abstractmethod
    async def snapshot(
        self, machine_id: str, image_id: str, disk_format: str = "qcow2"
    ) -> SnapshotProgress:
        """Copy the root disk as it is at this instant into the image `image_id`, then commit it.

        The image was made by `Images.create_snapshot`; the agent fills it by `Images.write` and
        `commit`. The guest is paused for an instant only. Starts the work and returns at once;
        the same call again tells how far it is (after an agent's restart: starts afresh).
        """

    @abstractmethod
    async def drop_snapshot(self, image_id: str) -> None:
        """Stop such a copy and delete what it left on the host."""

    @abstractmethod
    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        """By the QEMU guest agent. Raises Unsupported where the guest runs none."""

    @abstractmethod
    async def diagnostics(self, machine_id: str) -> Diagnostics:
        """Counters of a machine. Raises Conflict when it does not run."""

    @abstractmethod
    async def facts(self) -> HostFacts:
        """What this host is and has, as `Compute.register` wants it."""
