# SPDX-License-Identifier: Apache-2.0
"""What carries the packets of a host: bridges, devices and a switch. Real or simulated."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import msgspec

from octostack.engines.sdn.core.model import ALL_NUMBERS, Place, Span
from octostack.engines.sdn.switch import Events, Switch


class PortPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's device: its name, number (OpenFlow port) and MTU. `tap`: we make the device."""

    interface: str
    number: int
    mtu: int
    tap: bool


class PortFact(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's device as the switch has it; `error` says why it has it not."""

    interface: str
    attached: bool
    error: str = ""


class Dataplane(ABC):
    """One host's means."""

    simulated = False
    kind = ""
    bridge = ""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.span = ALL_NUMBERS  # what may be given here: ports' numbers and zones
        self.switch: Switch | None = None
        self.mistrusted = True  # look at every device at the next `ensure_ports`
        self.collisions: set[str] = set()  # external networks that the machine has elsewhere

    @abstractmethod
    async def connect(self, events: Events, wished: Span) -> bool:
        """Have everything that is not a guest's running, `switch` connected, and a `span`.

        That is the one `wished` for, unless another cloud has it. True when the connection is new,
        so that nothing is known of the switch's flows. Raises Unavailable, Timeout, OverQuota.
        """

    @abstractmethod
    async def ensure_ports(self, ports: Sequence[PortPlan]) -> dict[str, PortFact]:
        """Have exactly these guests' devices on the switch; how each of them is."""

    @abstractmethod
    async def ensure_outside(self, addresses: dict[str, tuple[str, ...]]) -> None:
        """Give this machine addresses (CIDR) on the bridges of physical networks."""

    @abstractmethod
    async def greet(self, tunnel_ips: Iterable[str]) -> None:
        """Make the other hosts' addresses known to the tunnel, so that no first packet is lost."""

    @abstractmethod
    async def settle(self) -> None:
        """Return when packets go by the flows as they were when this was called.

        Raises Unavailable, Timeout.
        """

    async def zones(self) -> frozenset[int]:
        """The zones of `span` in which connections are tracked."""
        return frozenset()

    async def leavings(self) -> list[str]:
        """Devices and ports of ours that are none of those last ensured."""
        return []

    async def look(self, ports: Sequence[PortPlan]) -> dict[str, PortFact]:
        """How each of these devices is now, with nothing changed."""
        return {p.interface: PortFact(interface=p.interface, attached=True) for p in ports}

    @abstractmethod
    async def close(self) -> None:
        """Leave; what carries packets goes on."""
