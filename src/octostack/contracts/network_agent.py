# SPDX-License-Identifier: Apache-2.0
"""What a host's network shall be, and the agent that makes it so.

The Network service holds what is wanted. For each host it works out an *intent*: every item
that host must know, and nothing else. It hands the intent to the agent there, whole
(`apply`) or as what changed since a generation the agent has (`change`). Both may be repeated and
may arrive late: an intent older than the agent's own is answered with the agent's present state.
The agent writes the intent to its ledger before it touches the switch, so that it keeps and
restores the network while the control plane is away. Devices (taps) appear and go with the ports
of the intent: there is no order to plug.

What a host must be told, for every port bound to it: the port's network and subnets; the other
ports of that network (`RemotePort`), its security groups, and the `AddressSet` of each remote
group those name; each router with an interface on that network, with all the router's interfaces
and the networks, subnets and ports behind them; and that router's floating addresses.
A host that serves a router's gateway (`Gateway.host`) is told the same for that router.
A DHCP or router-interface port of Neutron's model is no `LocalPort`: the switch answers for them.
A router's interface and gateway addresses answer ARP and ping from `Router` itself. The DHCP
server's address is answered on each host from `Subnet.dhcp_address`.

The agent reports by `contracts.network.Network.register_agent` (at start, then as heartbeat) and
`report`. An agent whose ledger is empty has generation 0 until it is told its first intent.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

import msgspec

from octostack.base.contract import since
from octostack.contracts.compute import Finding
from octostack.contracts.network import Route


class FixedAddress(msgspec.Struct, frozen=True):
    """An address of a port; the prefix length comes from the subnet."""

    subnet_id: str
    address: str


class AddressPair(msgspec.Struct, frozen=True):
    """Another source a port may send as; `address` may be a CIDR, `mac` "" is the port's own."""

    address: str
    mac: str = ""


class Network(msgspec.Struct, frozen=True, kw_only=True, tag="network"):
    """A segment: a VXLAN one by `vni`, or a physical one that the host has mapped to a bridge.

    Exactly one of `vni` and `physical` is set; `vlan` (1 to 4094, 0: untagged) goes with the
    latter.
    """

    id: str
    mtu: int = 1450
    vni: int | None = None
    physical: str | None = None
    vlan: int = 0
    external: bool = False
    admin_up: bool = True


class Subnet(msgspec.Struct, frozen=True, kw_only=True, tag="subnet"):
    """What DHCP tells the guests of a subnet, and what its routers need.

    `dhcp_address` is who answers DHCP (an address no port has, usually of the network's DHCP
    port); "" means DHCP is off. `dns` empty: the guest is told the DHCP address only if the
    agent resolves names, else none.
    """

    id: str
    network_id: str
    cidr: str
    gateway_ip: str | None = None
    dns: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    dhcp_address: str = ""
    dns_domain: str = ""


class LocalPort(msgspec.Struct, frozen=True, kw_only=True, tag="port"):
    """A guest's port on this host. `interface` is its device there, at most 15 characters.

    With `port_security` off neither its addresses nor its security groups are enforced.
    `dhcp_options` are (option name or number, value) as Neutron's extra_dhcp_opts.
    """

    id: str
    network_id: str
    mac: str
    addresses: tuple[FixedAddress, ...] = ()
    interface: str
    project_id: str = ""
    device_id: str = ""
    hostname: str = ""
    port_security: bool = True
    allowed_pairs: tuple[AddressPair, ...] = ()
    security_groups: tuple[str, ...] = ()
    dhcp_options: tuple[tuple[str, str], ...] = ()
    admin_up: bool = True
    plug: str = "tap"  # tap: the agent makes it; none: whoever else does, the agent attaches it


class RemotePort(msgspec.Struct, frozen=True, kw_only=True, tag="remote"):
    """A port on another host. `tunnel_ip` is that host's `AgentInfo.tunnel_ip`."""

    id: str
    network_id: str
    mac: str
    addresses: tuple[FixedAddress, ...] = ()
    allowed_pairs: tuple[AddressPair, ...] = ()
    host: str = ""
    tunnel_ip: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One security group rule. `protocol` is an IP protocol number, None: any.

    Ports (for ICMP: type and code) None mean any. `remote`: "" any address, a CIDR, or
    ``set:ID`` for an `AddressSet` of this intent.
    """

    direction: str  # ingress | egress
    ip_version: int = 4
    protocol: int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote: str = ""


class SecurityGroup(msgspec.Struct, frozen=True, kw_only=True, tag="group"):
    """A security group. Not `stateful`: replies are not let back by themselves."""

    id: str
    rules: tuple[Rule, ...] = ()
    stateful: bool = True


class AddressSet(msgspec.Struct, frozen=True, kw_only=True, tag="set"):
    """The addresses (and allowed pairs) of a remote group's members; a change is one small item.

    `id` is the remote security group's or address group's.
    """

    id: str
    addresses: tuple[str, ...] = ()


class RouterInterface(msgspec.Struct, frozen=True, kw_only=True):
    """A router's foot in a tenant network; the same MAC answers on every host."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[FixedAddress, ...]


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A router's foot in an external network, served by one host (`host`, `tunnel_ip`)."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[FixedAddress, ...]
    snat: bool = True
    host: str
    tunnel_ip: str = ""


class Router(msgspec.Struct, frozen=True, kw_only=True, tag="router"):
    """A distributed router: each host routes what its own ports send; only NAT has one place."""

    id: str
    interfaces: tuple[RouterInterface, ...] = ()
    gateway: Gateway | None = None
    routes: tuple[Route, ...] = ()
    admin_up: bool = True


class FloatingIp(msgspec.Struct, frozen=True, kw_only=True, tag="floating"):
    """An external address that leads to a port's fixed one, by the router's gateway host."""

    id: str
    network_id: str  # external
    address: str
    mac: str
    router_id: str
    port_id: str
    fixed_address: str


Item: TypeAlias = (
    Network | Subnet | LocalPort | RemotePort | SecurityGroup | AddressSet | Router | FloatingIp
)


class Key(msgspec.Struct, frozen=True, order=True):
    """Names an item; `kind` is the item type's tag (network, subnet, port, remote, ...)."""

    kind: str
    id: str


class HostIntent(msgspec.Struct, frozen=True, kw_only=True):
    """All that one host shall know, at a generation that only grows (per host, from 1)."""

    host: str
    generation: int
    items: tuple[Item, ...] = ()


class IntentChange(msgspec.Struct, frozen=True, kw_only=True):
    """What leads from generation `base` to `generation`: items new or changed, and keys gone."""

    host: str
    base: int
    generation: int
    put: tuple[Item, ...] = ()
    drop: tuple[Key, ...] = ()


class AgentPort(msgspec.Struct, frozen=True, kw_only=True):
    """One port as the switch has it. `up`: wanted up, attached, and its flows are there.

    It does not wait for the machine: a tap is up before QEMU opens it.
    """

    id: str
    interface: str
    up: bool
    error: str = ""


class AppliedState(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent holds after a call. `generation` is what the switch really follows."""

    host: str
    generation: int
    ports: tuple[AgentPort, ...] = ()
    error: str = ""  # a sentence, when the switch could not follow; the agent keeps trying
    simulated: bool = False


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """For operators and `doctor`."""

    host: str
    generation: int  # wanted
    applied: int  # in the switch
    flows: int
    ports: int
    simulated: bool
    datapath: str = ""  # netdev | system | simulated
    bridge: str = ""
    tunnel_ip: str = ""
    error: str = ""
    counters: dict[str, int] = {}  # dhcp answered, dropped, metadata requests, flows changed, ...


class TraceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A packet to follow. From a local port, or with `from_external` from that physical network.

    Empty MACs are filled in: the port's own, and whoever the guest would resolve for `dst`.
    """

    port_id: str = ""
    from_external: str = ""
    src: str = ""
    dst: str
    src_mac: str = ""
    dst_mac: str = ""
    protocol: str = "icmp"  # icmp tcp udp arp dhcp
    dst_port: int = 0
    src_port: int = 40000
    established: bool = False  # pretend that connection tracking knows it already


class TraceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One table on the way: the flow that matched, what it did, and why it is there."""

    table: str
    flow: str
    note: str = ""


class TraceResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict in one sentence, and the steps that led to it.

    `outputs` are like ``port:UUID``, ``tunnel:10.0.0.2``, ``external:public``, ``dhcp``.
    """

    verdict: str
    outputs: tuple[str, ...] = ()
    steps: tuple[TraceStep, ...] = ()
    simulated: bool = False


class NetworkAgent(ABC):
    """The network of one host; instance of the stub: the host's name."""

    VERSION: ClassVar[tuple[int, int]] = (1, 1)

    @abstractmethod
    async def apply(self, intent: HostIntent) -> AppliedState:
        """Make the switch follow the whole intent. Raises Invalid (naming the item)."""

    @abstractmethod
    async def change(self, change: IntentChange) -> AppliedState:
        """Apply a difference. Raises Conflict (code "intent.base") when the agent is not at `base`.

        Then send the whole intent. A change that is already known is answered with the state.
        """

    @abstractmethod
    async def ensure_port(self, port_id: str, timeout_s: float = 10.0) -> AgentPort:
        """The port as soon as its device can be given to a machine, or with the `error` why not.

        For the compute agent of the same host. Raises Timeout when no intent names the port.
        """

    @abstractmethod
    async def status(self) -> AgentStatus:
        """How the agent is."""

    @abstractmethod
    async def list_ports(self) -> list[AgentPort]:
        """Every port of the intent, and devices of ours that no intent names (id "")."""

    @abstractmethod
    @since(1, 1)
    async def examine(self, repair: bool = False) -> list[Finding]:
        """What differs from the intent: flows, ports, devices, tracked connections.

        Kinds: orphan_flow missing_flow orphan_port missing_port orphan_device orphan_zone
        external_collision. With `repair` the host is made to follow the intent, and the
        differences that are gone then say so. Raises Unavailable when there is no switch.
        """

    @abstractmethod
    async def trace(self, request: TraceRequest) -> TraceResult:
        """What would happen to a packet, by the flows that are in the switch now."""
