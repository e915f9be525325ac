# SPDX-License-Identifier: Apache-2.0
"""The pipeline: every table a packet can meet, on one screen.

A packet from a guest:   classify → spoof → (arp | service) → egress … → arrive
    arrive → l2 (same network) | router → routes (another network) → neighbours → l2
    l2 → ingress … → output (a port here) | the tunnel (a port elsewhere) | the provider's bridge
    routes → undnat → snat → neighbours (the world; only on the host that serves the gateway;
             any other host hands the packet, as it came, to that host through the tunnel)
A packet from a tunnel:  classify → tunnel → arrive, if it came from a host we know.
A packet from outside:   classify → (arp | arrive → unsnat → dnat → router …)

What keeps tenants apart: `metadata` is the network, set from the port a packet came in by or from
the tunnel's id, and every later lookup of an address has it (or a router) in its match. Connection
tracking has a zone per port and two per router, so equal addresses never meet there either.

Nothing is learned from traffic and nothing unknown is flooded: the intent names every address.
The one exception is `learned`: neighbours that no intent names (hosts of an external network),
which `packet_in` resolves by ARP. That table is not compared with the intent.
"""

from typing import Final

import msgspec

# Registers. They survive recirculation through connection tracking.
NETWORK: Final = "metadata"  # number of the network the packet is in
SOURCE: Final = "reg1"  # number of the local port it came from, 0: from elsewhere
TARGET: Final = "reg2"  # number (and OpenFlow port) of the local port it goes to
ROUTER: Final = "reg3"  # number of the router that has it
NEXT_HOP: Final = "reg4"  # IPv4 address to resolve
GROUP: Final = "reg5"  # security group that is being asked
VERDICT: Final = "reg6"  # 1: some rule allows it
ZONE: Final = "reg7"  # conntrack zone of the port whose groups are asked

# OpenFlow ports that are not guests'; guests' numbers begin above.
VXLAN_PORT: Final = 1
METADATA_PORT: Final = 2
PHYSICAL_PORT_MIN: Final = 10
NUMBER_MIN: Final = 100
NUMBER_MAX: Final = 0xFEFE
NOBODY: Final = 0xFEFF  # a source that is no port: a flood from it reaches everyone

# Several clouds may share a switch, and its bridges share one connection tracker: each cloud
# numbers within a span of its own, so that its zones are nobody else's.
SPAN: Final = 4096

# Meters bound what comes up as packet-ins before it costs the agent anything: one for each port's
# DHCP, under the port's number, and one for each kind of what has no port.
METER_LEARN: Final = 1
METER_ARP: Final = 2
METERS: Final[dict[int, tuple[int, int]]] = {METER_LEARN: (100, 200), METER_ARP: (100, 200)}
PORT_METER: Final = (10, 20)  # packets a second, and at once

# Where guests find the metadata service, and what they look like to its proxy.
METADATA_ADDRESS: Final = 0xA9FEA9FE  # 169.254.169.254
METADATA_CLIENTS: Final = 0x64400000  # 100.64.0.0/10 (RFC 6598); number and index of the address
METADATA_INDEX_BITS: Final = 6

# A cookie says whose a flow is: owner (16 bits), kind of item (8), nothing (24), number (16).
COOKIE_OWNER: Final = 0x0C70 << 48
COOKIE_KINDS: Final = (
    "static",
    "network",
    "subnet",
    "port",
    "remote",
    "group",
    "router",
    "floating",
    "learned",
    "hosts",
)


def cookie(kind: str, number: int = 0) -> int:
    """The cookie of the flows of one item."""
    return COOKIE_OWNER | COOKIE_KINDS.index(kind) << 40 | number


LEARNED_COOKIE: Final = COOKIE_OWNER | COOKIE_KINDS.index("learned") << 40
LEARNED_MASK: Final = 0xFFFFFF << 40


class Table(msgspec.Struct, frozen=True):
    """One table: what may be matched in it, and where it may lead."""

    name: str
    number: int
    matches: tuple[str, ...]
    leads_to: tuple[str, ...]
    purpose: str
    dynamic: bool = False  # filled by packet-in, not by the intent


_IP = ("eth_type", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst")
_L4 = ("tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_dst", "icmp_type", "icmp_code")
_ICMP6 = ("icmpv6_type", "icmpv6_code", "nd_target", "nd_sll", "nd_tll")
_ARP = ("eth_type", "arp_op", "arp_spa", "arp_tpa", "arp_sha")
_CT = ("ct_state", "ct_mark")

# fmt: off
PIPELINE: Final[tuple[Table, ...]] = (
    Table("classify", 0, ("in_port", "tun_src", "vlan_vid", "eth_type", "ip_dst", *_ARP),
          ("tunnel", "spoof", "arp", "arrive"), "which network and port a packet came from"),
    Table("tunnel", 5, ("tunnel_id", "vlan_vid"),
          ("arrive",), "from a host we know: into which network"),
    Table("spoof", 10, (SOURCE, "eth_src", *_ARP, *_IP, *_L4, *_ICMP6),
          ("arp", "service", "arrive"), "a guest sends only as itself"),
    Table("arp", 15, (NETWORK, SOURCE, *_ARP),
          ("flood", "arrive"), "who has an address, answered here"),
    Table("service", 20, (SOURCE, *_IP, *_L4),
          ("egress",), "DHCP to the controller, metadata to its proxy"),
    Table("egress", 25, (SOURCE, "eth_type"),
          ("egress_state", "egress_verdict", "arrive"), "has the port security groups"),
    Table("egress_state", 26, (SOURCE, "eth_type", *_CT),
          ("egress_verdict", "arrive"), "replies pass, the rest asks each group"),
    Table("egress_rules", 27, (GROUP, "ip_frag", *_IP, *_L4),
          (), "a group's rules for what leaves a guest"),
    Table("egress_verdict", 28, (VERDICT, "eth_type", *_CT),
          ("arrive",), "remember the connection, or drop"),
    Table("arrive", 30, (NETWORK, "eth_dst", "eth_type"),
          ("router", "unsnat", "flood", "l2"), "for a router, for all, or for one"),
    Table("unsnat", 31, (ROUTER, "eth_type"),
          ("dnat",), "from outside: an answer to a translated guest"),
    Table("dnat", 32, (NETWORK, ROUTER, "eth_type", "ip_proto", "ip_dst", "icmp_type", *_CT),
          ("router", "arrive"), "from outside: a floating address"),
    Table("router", 33, (NETWORK, ROUTER, "eth_type", "ip_proto", "ip_dst", "icmp_type"),
          ("routes", "l2"), "the router's own addresses"),
    Table("routes", 34, (NETWORK, ROUTER, "eth_type", "ip_dst"),
          ("neighbours", "undnat"), "the longest prefix wins by priority"),
    Table("undnat", 35, (ROUTER, "eth_type"),
          ("snat",), "to outside: an answer from a floating address"),
    Table("snat", 36, (ROUTER, "eth_type", "ip_src", *_CT),
          ("neighbours",), "to outside: by floating or gateway address"),
    Table("neighbours", 38, (NETWORK, NEXT_HOP),
          ("arrive", "learned", "l2"), "the next hop's MAC, from the intent"),
    Table("learned", 39, (NETWORK, NEXT_HOP),
          ("l2",), "the next hop's MAC, by ARP; or ask the controller", dynamic=True),
    Table("l2", 40, (NETWORK, "eth_dst"),
          ("ingress",), "where a MAC is"),
    Table("flood", 42, (NETWORK, SOURCE),
          ("ingress",), "every port of one network, each tunnel once"),
    Table("ingress", 45, (TARGET, "eth_type"),
          ("ingress_state", "ingress_verdict", "output"), "has the port security groups"),
    Table("ingress_state", 46, (TARGET, "eth_type", *_CT),
          ("ingress_verdict", "output"), "replies pass, the rest asks each group"),
    Table("ingress_rules", 47, (GROUP, "ip_frag", *_IP, *_L4),
          (), "a group's rules for what reaches a guest"),
    Table("ingress_verdict", 48, (VERDICT, "eth_type", *_CT),
          ("output",), "remember the connection, or drop"),
    Table("output", 50, (TARGET,), (), "out of the port"),
)
# fmt: on

TABLES: Final[dict[str, Table]] = {table.name: table for table in PIPELINE}
NAMES: Final[dict[int, str]] = {table.number: table.name for table in PIPELINE}
NUMBERS: Final[dict[str, int]] = {table.name: table.number for table in PIPELINE}
DYNAMIC: Final[frozenset[int]] = frozenset(t.number for t in PIPELINE if t.dynamic)
