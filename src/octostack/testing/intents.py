# SPDX-License-Identifier: Apache-2.0
"""A small cloud's network as intents: two tenant networks behind a router with a gateway.

a 10.0.0.0/24: p1, p2   b 10.0.1.0/24: p3   x 172.24.4.0/24, external
r: .1 in a and b, 172.24.4.10 in x; 172.24.4.20 leads to p3
"""

import msgspec

from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import FixedAddress
from octostack.testing import fabric

ROUTER_MAC = "fa:16:3e:ff:00:01"
ROUTER2_MAC = "fa:16:3e:ff:00:02"
GATEWAY_MAC = "fa:16:3e:ff:00:03"
FLOATING_MAC = "fa:16:3e:ff:00:04"
EVERYTHING_OUT = intents.Rule(direction="egress")
OPEN = intents.SecurityGroup(
    id="open", rules=(EVERYTHING_OUT, intents.Rule(direction="ingress", protocol=1))
)
SSH = intents.SecurityGroup(
    id="ssh",
    rules=(
        EVERYTHING_OUT,
        intents.Rule(direction="ingress", protocol=6, port_min=22, port_max=22),
    ),
)
NET_A = intents.Network(id="a", vni=1001)
NET_B = intents.Network(id="b", vni=1002)
NET_X = intents.Network(id="x", physical="public", external=True, mtu=1500)
SUB_A = intents.Subnet(
    id="sa",
    network_id="a",
    cidr="10.0.0.0/24",
    gateway_ip="10.0.0.1",
    dhcp_address="10.0.0.2",
    dns=("192.0.2.53",),
)
SUB_B = intents.Subnet(id="sb", network_id="b", cidr="10.0.1.0/24", gateway_ip="10.0.1.1")
SUB_X = intents.Subnet(id="sx", network_id="x", cidr="172.24.4.0/24", gateway_ip="172.24.4.1")
P1 = fabric.local_port("p1", "a", 1, ("sa", "10.0.0.11"), groups=("open",))
P2 = fabric.local_port("p2", "a", 2, ("sa", "10.0.0.12"), groups=("open", "ssh"))
P3 = fabric.local_port("p3", "b", 3, ("sb", "10.0.1.13"), groups=("open", "ssh"))
ROUTER = intents.Router(
    id="r",
    interfaces=(
        intents.RouterInterface(
            port_id="ra",
            network_id="a",
            mac=ROUTER_MAC,
            addresses=(FixedAddress("sa", "10.0.0.1"),),
        ),
        intents.RouterInterface(
            port_id="rb",
            network_id="b",
            mac=ROUTER2_MAC,
            addresses=(FixedAddress("sb", "10.0.1.1"),),
        ),
    ),
    gateway=intents.Gateway(
        port_id="rx",
        network_id="x",
        mac=GATEWAY_MAC,
        addresses=(FixedAddress("sx", "172.24.4.10"),),
        host="h1",
        tunnel_ip="192.0.2.1",
    ),
)
FLOATING = intents.FloatingIp(
    id="f",
    network_id="x",
    address="172.24.4.20",
    mac=FLOATING_MAC,
    router_id="r",
    port_id="p3",
    fixed_address="10.0.1.13",
)
COMMON: tuple[intents.Item, ...] = (
    OPEN, SSH, NET_A, NET_B, NET_X, SUB_A, SUB_B, SUB_X, ROUTER, FLOATING,
)  # fmt: skip


def given_device(port: intents.LocalPort, interface: str) -> intents.LocalPort:
    """A port whose device somebody else makes."""
    return msgspec.structs.replace(port, interface=interface, plug="none")


def outside_renumbered(third: int) -> dict[str, intents.Item]:
    """The external network elsewhere, for clouds side by side: 10.123.THIRD.0/24."""
    base = f"10.123.{third}"
    gateway = ROUTER.gateway
    assert gateway is not None
    moved = msgspec.structs.replace(gateway, addresses=(FixedAddress("sx", f"{base}.10"),))
    return {
        "subnet": msgspec.structs.replace(SUB_X, cidr=f"{base}.0/24", gateway_ip=f"{base}.1"),
        "router": msgspec.structs.replace(ROUTER, gateway=moved),
        "floating": msgspec.structs.replace(FLOATING, address=f"{base}.20"),
    }
