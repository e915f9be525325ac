# SPDX-License-Identifier: Apache-2.0
"""Writing flows down: small words that the other modules of this package are made of."""

from collections.abc import Mapping
from typing import Final

from octostack.engines.sdn.core import pipeline
from octostack.engines.sdn.core.model import Flow
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

ARP: Final = 0x0806
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
MULTICAST: Final = (0x010000000000, 0x010000000000)

NEW, EST, REL, RPL, INV, TRK = 1, 2, 4, 8, 16, 32

NETWORK, SOURCE, TARGET = pipeline.NETWORK, pipeline.SOURCE, pipeline.TARGET
ROUTER, NEXT_HOP, GROUP = pipeline.ROUTER, pipeline.NEXT_HOP, pipeline.GROUP
VERDICT, ZONE = pipeline.VERDICT, pipeline.ZONE

# A packet that was routed may leave by where it came in: OpenFlow forbids that for its in_port.
FROM_NOWHERE: Final = acts.Load("in_port", 0xFFFF, 0, 16)
TO_CONTROLLER: Final = acts.Output(acts.CONTROLLER, acts.WHOLE_PACKET)


def state(on: int, off: int = 0) -> tuple[int, int]:
    """A ct_state term: tracked, with these bits set and those clear."""
    return on | TRK, on | off | TRK


def put(field: str, value: int) -> acts.SetField:
    """Write a whole field."""
    return acts.SetField(field, value)


def resubmit(table: str) -> acts.Resubmit:
    """Look up in a table by its name, then go on."""
    return acts.Resubmit(pipeline.NUMBERS[table])


def track(
    zone: int | str, table: str = "", *exec_actions: acts.Action, commit: bool = False
) -> acts.Ct:
    """Connection tracking in a zone, then on in a table."""
    number = pipeline.NUMBERS[table] if table else acts.NO_TABLE
    return acts.Ct(acts.CT_COMMIT if commit else 0, zone, number, exec_actions)


class Draft:
    """The flows of one item, as they are written."""

    def __init__(self, kind: str, number: int = 0, note: str = "") -> None:
        self.flows: list[Flow] = []
        self._cookie = pipeline.cookie(kind, number)
        self._note = note

    def add(
        self,
        table: str,
        priority: int,
        terms: Mapping[str, matches.Value],
        *actions: acts.Action,
        goto: str = "",
        meter: int = 0,
    ) -> None:
        """One flow; without actions and goto it drops. A meter, if not 0, comes first."""
        number = pipeline.NUMBERS[goto] if goto else None
        self.flows.append(
            Flow(
                pipeline.NUMBERS[table],
                priority,
                matches.build(terms),
                acts.Instructions(actions, number, meter),
                self._cookie,
                self._note,
            )
        )

    def answer_arp(self, network: int, address: int, mac: int) -> None:
        """Whoever asks for `address` in a network is told `mac`, and goes no further."""
        self.add(
            "arp",
            100,
            {NETWORK: network, "eth_type": ARP, "arp_op": 1, "arp_tpa": address},
            *arp_reply(mac),
            put("arp_spa", address),
            acts.Output(acts.IN_PORT),
        )

    def neighbour(self, network: int, address: int, mac: int) -> None:
        """A next hop in a network whose MAC we know."""
        terms: dict[str, matches.Value] = {NETWORK: network, NEXT_HOP: address}
        self.add("neighbours", 100, terms, put("eth_dst", mac), goto="l2")


def arp_reply(mac: int) -> acts.Actions:
    """Turn an ARP request into its reply from `mac`; arp_spa is still the asked address's."""
    return (
        acts.Move("eth_src", "eth_dst", 48),
        put("eth_src", mac),
        put("arp_op", 2),
        acts.Move("arp_sha", "arp_tha", 48),
        put("arp_sha", mac),
        acts.Move("arp_spa", "arp_tpa", 32),
    )


def echo_reply(address: int, mac: int) -> acts.Actions:
    """Turn a ping of `address` into its answer from `mac`."""
    return (
        acts.Move("eth_src", "eth_dst", 48),
        put("eth_src", mac),
        acts.Move("ip_src", "ip_dst", 32),
        put("ip_src", address),
        put("icmp_type", 0),
        put("ip_ttl", 64),
        FROM_NOWHERE,
    )
