# SPDX-License-Identifier: Apache-2.0
"""What Network promises to Compute and to the agents on the hosts.

Compute asks for its networks in four steps, each safe to repeat:

1. ``plan_nics`` before the server is accepted: do these networks, ports and addresses exist, may
   the caller use them, is there quota; ``auto`` and "nothing said" become a network.
2. ``ensure_port`` in the boot saga, one call per NIC; the same ``(device_id, key)`` gives the same
   port again. The port is bound to its host in the same call when the host is known.
3. ``bind_port`` when the host changes; ``unbind_port`` and ``release_device`` as the undo.
4. ``list_ports`` when a machine or its config drive is made and the metadata service asks: all that
   they are told of a server's network is in `PortInfo`. Where a thousand servers are shown,
   ``list_addresses``, which says of each port no more than an API shows.

Network tells Compute that a port came up or went down through `contracts.compute`.

Errors carry Neutron's names as their code: ``NetworkNotFound``, ``PortNotFound``, ``PortInUse``,
``IpAddressGenerationFailure``, ``IpAddressAlreadyAllocated``, ``OverQuota``,
``SecurityGroupNotFound``, ``ExternalNetworkAttachForbidden``, ``NetworkRequiresSubnet``,
``NetworkAmbiguous``, ``NoUniqueMatch``.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from octostack.base.contract import since
from octostack.contracts.api import ApiCall
from octostack.contracts.compute import Finding
from octostack.contracts.identity import Caller


class Route(msgspec.Struct, frozen=True):
    """A static route as DHCP and the config drive tell it to a guest."""

    destination: str  # CIDR
    nexthop: str


class SubnetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One subnet behind a fixed address."""

    id: str
    cidr: str
    ip_version: int
    gateway_ip: str | None = None
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    enable_dhcp: bool = True
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None


class FixedIp(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a port, with the floating addresses that lead to it."""

    address: str
    subnet: SubnetInfo
    floating_ips: tuple[str, ...] = ()


class NetworkInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A network as Compute sees it."""

    id: str
    name: str
    project_id: str
    mtu: int
    shared: bool = False
    external: bool = False
    port_security_enabled: bool = True
    admin_state_up: bool = True
    subnet_ids: tuple[str, ...] = ()


class PortInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A port with all that Compute tells others about it."""

    id: str
    name: str
    network: NetworkInfo
    project_id: str
    mac_address: str
    status: str  # ACTIVE | DOWN | BUILD | ERROR
    admin_state_up: bool = True
    fixed_ips: tuple[FixedIp, ...] = ()
    security_groups: tuple[tuple[str, str], ...] = ()  # (id, name)
    port_security_enabled: bool = True
    device_id: str = ""
    device_owner: str = ""
    host: str = ""
    vnic_type: str = "normal"
    vif_type: str = "unbound"  # ovs once bound
    vif_details: dict[str, str | int | bool] = {}
    profile: dict[str, str | int | bool] = {}
    preserve: bool = False  # the user made it: release_device unbinds it and leaves it standing


class PortAddresses(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is shown of a port wherever servers are listed."""

    port_id: str
    network_id: str
    network_name: str
    mac_address: str
    fixed_ips: tuple[tuple[str, str], ...] = ()  # (address, subnet id)
    floating_ips: tuple[tuple[str, str], ...] = ()  # (fixed address, floating address)
    security_groups: tuple[str, ...] = ()  # names
    mtu: int
    preserve: bool = False


class NicRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a server's ``networks``: a network (with or without an address) or a port."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None


class NicRequests(msgspec.Struct, frozen=True, kw_only=True):
    """All that a create says of networks. mode: ``auto``, ``none``, ``listed`` or ``default``.

    ``default`` is an old request that says nothing: the one network the project has, or none.
    """

    mode: str
    nics: tuple[NicRequest, ...] = ()
    count: int = 1  # servers in this create; a port or an address cannot serve two


class PlannedNic(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was checked: `network_id` is always known."""

    network_id: str
    port_id: str | None = None
    fixed_ip: str | None = None


class PortSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What `ensure_port` shall give: a new port on a network, or the caller's own port, attached.

    `key` names the NIC within the device (``"0"``, ``"1"``, or an attach request's id).
    """

    device_id: str
    key: str
    network_id: str
    port_id: str | None = None
    fixed_ip: str | None = None
    device_owner: str = "compute:nova"
    host: str = ""
    hostname: str = ""  # becomes the dns_name of a port that has none
    security_groups: tuple[str, ...] = ()  # ids or names; empty: the project's default


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a port lives."""

    host: str
    device_id: str
    device_owner: str = "compute:nova"
    profile: dict[str, str | int | bool] = {}


class SecurityGroupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A security group by both its names."""

    id: str
    name: str
    description: str = ""


class QuotaUsage(msgspec.Struct, frozen=True):
    """A limit (-1: none) and what is used of it."""

    limit: int
    used: int


class PortOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Who is behind a port, for the metadata service."""

    port_id: str
    network_id: str
    device_id: str
    project_id: str
    mac_address: str
    addresses: tuple[str, ...] = ()


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself at start and with every heartbeat."""

    host: str
    tunnel_ip: str = ""  # where other hosts send VXLAN to; empty: this host takes part in none
    bridge_mappings: dict[str, str] = {}  # physical network -> bridge
    external_networks: tuple[str, ...] = ()  # physical networks that reach the outside from here
    simulated: bool = False
    version: str = ""
    availability_zone: str = "nova"
    started_at: float = 0.0
    configurations: dict[str, str | int | bool] = {}


class PortState(msgspec.Struct, frozen=True):
    """One port as the host's switch has it."""

    port_id: str
    up: bool


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a host's switch after it applied `generation` of its intent.

    With `complete` the list holds every port there is; a port left out is gone.
    """

    host: str
    generation: int
    ports: tuple[PortState, ...] = ()
    complete: bool = False
    error: str = ""


class Network(ABC):
    """The network service as other parts call it."""

    VERSION: ClassVar[tuple[int, int]] = (1, 3)

    # ---- for Compute -----------------------------------------------------------------------

    @abstractmethod
    async def list_networks(self, caller: Caller, ids: tuple[str, ...] = ()) -> list[NetworkInfo]:
        """The networks the caller may attach to (its own and shared ones), or those of `ids`."""

    @abstractmethod
    async def plan_nics(self, caller: Caller, requests: NicRequests) -> list[PlannedNic]:
        """Check a create's networks before it is accepted; changes nothing but ``auto``'s network.

        Raises NotFound, Conflict, Invalid, Forbidden, OverQuota as the module's head lists them.
        """

    @abstractmethod
    async def ensure_port(self, caller: Caller, spec: PortSpec) -> PortInfo:
        """The port for one NIC; the same (device_id, key) gives the same port again."""

    @abstractmethod
    async def bind_port(self, port_id: str, binding: Binding) -> PortInfo:
        """Put a port on a host; the same binding again changes nothing. Raises NotFound."""

    @abstractmethod
    async def unbind_port(self, port_id: str) -> None:
        """Take a port off its host and device; a port that is gone is no error."""

    @abstractmethod
    async def delete_port(self, port_id: str) -> None:
        """Delete a port whoever made it; a port that is gone is no error."""

    @abstractmethod
    async def release_device(self, device_id: str) -> None:
        """Delete the ports made for a device and unbind those the user brought."""

    @abstractmethod
    async def detach_port(self, device_id: str, port_id: str) -> None:
        """Release one port of a device, as `release_device` does for all."""

    @abstractmethod
    async def list_ports(self, device_ids: tuple[str, ...]) -> dict[str, list[PortInfo]]:
        """The ports of each device, oldest NIC first; a device without ports has an empty list."""

    @abstractmethod
    @since(1, 3)
    async def list_addresses(self, device_ids: tuple[str, ...]) -> dict[str, list[PortAddresses]]:
        """The addresses of each device's ports, oldest first; as complete as `list_ports`."""

    @abstractmethod
    async def get_port(self, caller: Caller, port_id: str) -> PortInfo:
        """One port the caller may see. Raises NotFound."""

    @abstractmethod
    async def find_devices(self, ip: str, caller: Caller | None = None) -> list[str]:
        """Devices with a fixed address that matches the regular expression `ip`."""

    @abstractmethod
    async def list_security_groups(
        self, caller: Caller, names: tuple[str, ...] = ()
    ) -> list[SecurityGroupInfo]:
        """The caller's groups, or those named (by id or name). Raises NotFound, NoUniqueMatch."""

    @abstractmethod
    async def change_security_groups(
        self, caller: Caller, device_id: str, add: tuple[str, ...], remove: tuple[str, ...]
    ) -> None:
        """Add and remove groups on every port of a device that has port security."""

    @abstractmethod
    async def quota_usage(self, project_id: str) -> dict[str, QuotaUsage]:
        """Limit and use of ``port``, ``network``, ``floatingip``, ``security_group``, ..."""

    @abstractmethod
    @since(1, 1)
    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        """The answer of Network's own API to this caller, as JSON; raises what the API refuses."""

    # ---- for the metadata service ------------------------------------------------------------

    @abstractmethod
    async def port_owner(
        self, port_id: str = "", network_id: str = "", fixed_ip: str = ""
    ) -> PortOwner:
        """Who is behind a port, or behind an address of a network. Raises NotFound."""

    # ---- for the agent on a host -------------------------------------------------------------

    @abstractmethod
    async def register_agent(self, agent: AgentInfo) -> None:
        """At start and with every heartbeat; a host that is new gets its intent at once."""

    @abstractmethod
    async def report(self, report: HostReport) -> None:
        """Ports that came up or went down on a host."""

    # ---- for operators -----------------------------------------------------------------------

    @abstractmethod
    @since(1, 2)
    async def doctor(self, repair: bool) -> list[Finding]:
        """What differs on each living host from what it was told; see `NetworkAgent.examine`."""
