# SPDX-License-Identifier: Apache-2.0
"""What Compute does for the other parts: agents report here, guests' metadata is answered here.

An agent calls `register` at start, `heartbeat` every `HostOrders.heartbeat_s`, and `observed` at
once when a machine changed. All three may be repeated and may arrive late: a report carries the
generation of the order it answers, and an older one is ignored.
"""

from abc import ABC, abstractmethod

import msgspec


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one hypervisor host is; sent whole at each registration."""

    host: str
    provider_id: str  # UUID kept in the agent's ledger: resource provider and hypervisor id
    hypervisor_hostname: str = ""  # defaults to `host`
    hypervisor_type: str = "QEMU"
    hypervisor_version: int = 0  # QEMU 7.2.1 -> 7002001
    host_ip: str = "127.0.0.1"
    vcpus: int
    memory_mb: int
    disk_gb: int
    architecture: str = "x86_64"
    cpu_model: str = ""
    cpu_topology: tuple[int, int, int] = (1, 1, 1)  # sockets, cores, threads
    cpu_features: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()  # for Placement; unknown custom ones are created
    simulated: bool = False
    booted_at: float = 0.0  # seconds since the epoch; for uptime


class MachineReport(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as its host sees it now.

    `power` is one of ``running paused shutdown crashed suspended building absent``.
    `fault` is a sentence for the server's fault when the last order could not be done.
    """

    server_id: str
    power: str
    generation: int = 0
    fault: str = ""


class HostOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a registration or heartbeat.

    `known` False: the agent must `register` again. `foreign`: machines that no row owns here;
    for the log and for `doctor`, an agent never destroys by this list alone.
    """

    known: bool = True
    heartbeat_s: float = 10.0
    foreign: tuple[str, ...] = ()


class ExternalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """As POST /os-server-external-events: e.g. ``network-vif-plugged`` with the port as tag."""

    name: str
    server_id: str
    tag: str = ""
    status: str = "completed"


class MetadataRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's request to 169.254.169.254, as the datapath identified it; all of it hostile.

    Give `port_id`, or `network_id` with `fixed_ip`. `path` with its leading slash, no query.
    """

    port_id: str = ""
    network_id: str = ""
    fixed_ip: str = ""
    method: str = "GET"
    path: str = "/"
    body: bytes = b""  # POST .../password only
    headers: dict[str, str] = {}


class MetadataAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back to the guest."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=UTF-8"


class ConsoleTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where the console of one server listens; `host` names the agent that holds it."""

    server_id: str
    kind: str  # novnc | serial
    host: str
    address: str  # as ComputeAgent.console gave it: "unix:/path" or "tcp:host:port"
    expires_at: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between rows and reality; `repaired` says whether it is gone now."""

    kind: str  # orphan_machine missing_machine orphan_allocation orphan_port stuck_server
    subject: str
    text: str
    repaired: bool = False


class Compute(ABC):
    """Compute's side of the promises."""

    VERSION = (1, 0)

    @abstractmethod
    async def register(self, facts: HostFacts) -> HostOrders:
        """A host says what it is; makes its service row and its resource provider."""

    @abstractmethod
    async def heartbeat(self, host: str, machines: list[MachineReport]) -> HostOrders:
        """The host lives; `machines` is the whole list of what it holds."""

    @abstractmethod
    async def observed(self, host: str, machine: MachineReport) -> None:
        """One machine changed now."""

    @abstractmethod
    async def external_events(self, events: list[ExternalEvent]) -> None:
        """Network (or a volume) tells of something a server waits for; unknown ones are dropped."""

    @abstractmethod
    async def metadata(self, request: MetadataRequest) -> MetadataAnswer:
        """The metadata service: OpenStack (/openstack/...) and EC2 (/latest/...) forms."""

    @abstractmethod
    async def console_connect(self, token: str) -> ConsoleTarget:
        """The console a token opens. Raises Unauthorized when it is unknown or expired."""

    @abstractmethod
    async def doctor(self, repair: bool) -> list[Finding]:
        """Rows, allocations, ports and machines compared; with `repair` the differences undone."""
