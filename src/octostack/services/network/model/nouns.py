# SPDX-License-Identifier: Apache-2.0
"""The rows of the network service as values. A field is a column of the table of that noun.

Lists are kept as JSON within their row: they are read with it every time. Where a database must
also hold a promise about them (an address is given once, a group in use stays), the store keeps a
second table for that promise and writes both in one transaction.
"""

from typing import Any

import msgspec

ACTIVE = "ACTIVE"
DOWN = "DOWN"
BUILD = "BUILD"

OWNER_ROUTER_INTERFACE = "network:router_interface"
OWNER_ROUTER_GATEWAY = "network:router_gateway"
OWNER_FLOATINGIP = "network:floatingip"
OWNER_DHCP = "network:dhcp"
ROUTER_OWNERS = (OWNER_ROUTER_INTERFACE, OWNER_ROUTER_GATEWAY)
# Ports that the service makes for itself and that no host plugs.
SERVICE_OWNERS = (*ROUTER_OWNERS, OWNER_FLOATINGIP, OWNER_DHCP)

# How `Port.request_key` begins: the service made the port for a machine, or the user brought it.
MADE = "made:"
BROUGHT = "brought:"

Items = list[dict[str, Any]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What every row of a user's has."""

    id: str
    project_id: str
    description: str = ""
    tags: list[str] = []
    created_at: float = 0.0
    updated_at: float = 0.0
    revision_number: int = 0


class Network(Row, frozen=True, kw_only=True):
    """A segment; `segmentation_id` 0 and `physical_network` "" mean that it has none."""

    name: str = ""
    admin_state_up: bool = True
    status: str = ACTIVE
    mtu: int = 1450
    external: bool = False
    is_default: bool = False
    port_security_enabled: bool = True
    network_type: str = "vxlan"  # vxlan | flat | vlan
    physical_network: str = ""
    segmentation_id: int = 0
    dns_domain: str = ""
    availability_zone_hints: list[str] = []


class Subnet(Row, frozen=True, kw_only=True):
    """Addresses of a network."""

    network_id: str
    name: str = ""
    ip_version: int = 4
    cidr: str = ""
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    subnetpool_id: str | None = None
    allocation_pools: Items = []
    dns_nameservers: list[str] = []
    host_routes: Items = []
    service_types: list[str] = []
    dns_publish_fixed_ip: bool = False


class SubnetPool(Row, frozen=True, kw_only=True):
    """Prefixes from which subnets are cut."""

    name: str = ""
    prefixes: list[str] = []
    ip_version: int = 4
    default_prefixlen: int = 24
    min_prefixlen: int = 8
    max_prefixlen: int = 32
    default_quota: int | None = None
    is_default: bool = False
    address_scope_id: str | None = None


class AddressScope(Row, frozen=True, kw_only=True):
    """Pools whose addresses do not overlap."""

    name: str = ""
    ip_version: int = 4


class Port(Row, frozen=True, kw_only=True):
    """A place on a network with a MAC and addresses.

    `told` is the status that Compute knows; `request_key` names the NIC of the machine that
    the port serves, after `MADE` or `BROUGHT` ("" for a port that serves none).
    """

    network_id: str
    name: str = ""
    admin_state_up: bool = True
    status: str = DOWN
    mac_address: str = ""
    fixed_ips: Items = []
    device_id: str = ""
    device_owner: str = ""
    security_groups: list[str] = []
    port_security_enabled: bool = True
    allowed_address_pairs: Items = []
    extra_dhcp_opts: Items = []
    dns_name: str = ""
    dns_domain: str = ""
    host: str = ""
    vnic_type: str = "normal"
    profile: dict[str, Any] = {}
    propagate_uplink_status: bool = True
    request_key: str = ""
    told: str = ""


class Router(Row, frozen=True, kw_only=True):
    """Routes between networks; `gateway_host` is the one host that translates addresses for it."""

    name: str = ""
    admin_state_up: bool = True
    status: str = ACTIVE
    gateway_network_id: str | None = None
    gateway_port_id: str | None = None
    enable_snat: bool = True
    gateway_host: str = ""
    routes: Items = []
    availability_zone_hints: list[str] = []


class FloatingIp(Row, frozen=True, kw_only=True):
    """An external address that leads to a port's fixed one."""

    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    status: str = DOWN
    dns_name: str = ""
    dns_domain: str = ""


class SecurityGroup(Row, frozen=True, kw_only=True):
    """Rules under one name."""

    name: str = ""
    stateful: bool = True
    is_default: bool = False


class SecurityGroupRule(Row, frozen=True, kw_only=True):
    """What a group lets pass."""

    security_group_id: str
    direction: str = "ingress"
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class DefaultRule(Row, frozen=True, kw_only=True):
    """A rule that new groups start with; `remote_group_id` PARENT is the group itself."""

    direction: str = "ingress"
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    used_in_default_sg: bool = False
    used_in_non_default_sg: bool = True


class RbacPolicy(Row, frozen=True, kw_only=True):
    """Something of one project that another (or "*", everyone) may use."""

    object_type: str
    object_id: str
    target_project: str
    action: str


class Agent(Row, frozen=True, kw_only=True):
    """The network agent of one host; `generation` is the last intent it was sent."""

    host: str
    admin_state_up: bool = True
    tunnel_ip: str = ""
    bridge_mappings: dict[str, str] = {}
    external_networks: list[str] = []
    simulated: bool = False
    version: str = ""
    availability_zone: str = "nova"
    configurations: dict[str, Any] = {}
    started_at: float = 0.0
    heartbeat_at: float = 0.0
    generation: int = 0


class Allocation(msgspec.Struct, frozen=True):
    """An address of a subnet that is taken. `number` is it as 32 hex digits, so that it sorts."""

    subnet_id: str
    number: str
    address: str
    port_id: str
    network_id: str


class Change(msgspec.Struct, frozen=True):
    """A row that hosts may have to hear of: ``port``, ``network``, ``subnet``, ``router``, ..."""

    kind: str
    id: str
