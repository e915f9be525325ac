# SPDX-License-Identifier: Apache-2.0
"""The face of whatever runs machines on a host."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec

from octostack.contracts.compute_agent import (
    ConsoleKind,
    Diagnostics,
    ImageRef,
    MachineSpec,
)
from octostack.engines.virt.core.model import Act, Seen


class HypervisorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What runs here, for the hypervisor API and for people."""

    kind: str  # QEMU, KVM, simulated
    version: int
    simulated: bool
    text: str  # "QEMU 7.2.22, TCG (KVM does not run guests here)"


class Hypervisor(ABC):
    """Looks at machines and does single acts to them; keeps no wishes of its own.

    Calls for one machine come one at a time. `on_change` is called with a machine's id when
    something happened to it that nobody ordered; look to learn what.
    """

    on_change: Callable[[str], None]

    @abstractmethod
    async def start(self) -> None:
        """Find what is there already."""

    @abstractmethod
    async def stop(self) -> None:
        """Let go of the machines, which go on."""

    @abstractmethod
    def list_present(self) -> list[str]:
        """Ids of all machines that have anything on this host, whoever ordered them."""

    @abstractmethod
    async def look(self, machine_id: str) -> Seen:
        """The machine as it is."""

    @abstractmethod
    async def do(self, spec: MachineSpec, act: Act) -> None:
        """One act. Raises the reason why it cannot be done."""

    @abstractmethod
    async def remove(self, machine_id: str) -> None:
        """End the process and delete every trace."""

    @abstractmethod
    async def ensure_image(self, image: ImageRef) -> None:
        """Have the image here, checked. Raises Corrupt, Invalid, NotFound, Unavailable."""

    @abstractmethod
    async def console_output(self, machine_id: str, bytes_max: int) -> bytes:
        """The end of what the guest wrote to its serial console."""

    @abstractmethod
    def console_address(self, machine_id: str, kind: ConsoleKind) -> str:
        """Where its console listens."""

    @abstractmethod
    async def copy_root(self, spec: MachineSpec, name: str) -> str:
        """A standalone qcow2 copy of the root disk at this instant; its path."""

    @abstractmethod
    async def drop_copy(self, name: str) -> None:
        """Delete such a copy, or stop making it."""

    @abstractmethod
    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        """Through the guest agent. Raises Unsupported when none answers."""

    @abstractmethod
    async def diagnostics(self, machine_id: str) -> Diagnostics:
        """Its counters. Raises Conflict when it does not run."""

    @abstractmethod
    def info(self) -> HypervisorInfo:
        """What runs here."""
