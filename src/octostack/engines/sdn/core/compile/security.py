# SPDX-License-Identifier: Apache-2.0
"""Security groups.

A group's rules are written once per host, not once per port: a port asks each of its groups in
turn (register `GROUP`, then a look into the rules table), and any rule that fits sets `VERDICT`.
So a new port costs a few flows whatever its groups hold, and a new member of a remote group
costs one flow per rule that names it.

What goes the connection's first direction is asked anew for every packet; replies pass by its
state. When a rule goes, the next packet of a connection it had allowed finds no verdict, and the
connection is marked; replies of a marked one no longer pass.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from octostack.base.errors import Invalid
from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model
from octostack.engines.sdn.core.compile import draft as d
from octostack.engines.sdn.core.compile.draft import Draft
from octostack.engines.sdn.core.model import Flow, FlowKey
from octostack.wire.openflow import match as matches

PORT_MAX: Final = 0xFFFF
LATER_FRAGMENT: Final = {"ip_frag": (3, 3)}  # a fragment (1), and not the first (2)


class Direction(msgspec.Struct, frozen=True):
    """Ingress or egress: which tables, which register has the port, where it goes on."""

    name: str
    port: str
    entry: str
    state: str
    rules: str
    verdict: str
    onward: str
    remote: str  # the side of the packet that a rule's remote is


EGRESS: Final = Direction(
    "egress", d.SOURCE, "egress", "egress_state", "egress_rules", "egress_verdict", "arrive", "dst"
)
INGRESS: Final = Direction(
    "ingress", d.TARGET, "ingress", "ingress_state", "ingress_rules", "ingress_verdict", "output",
    "src",
)  # fmt: skip


def frame(way: Direction) -> list[Flow]:
    """What is the same for all ports: replies pass, verdicts are carried out."""
    out = Draft("static")
    ip: dict[str, matches.Value] = {"eth_type": d.IPV4}
    clean = {**ip, "ct_mark": 0}
    out.add(way.state, 100, {**ip, "ct_state": d.state(d.INV)})
    out.add(way.state, 90, {**clean, "ct_state": d.state(d.RPL)}, goto=way.onward)
    out.add(way.state, 90, {**clean, "ct_state": d.state(d.REL)}, goto=way.onward)
    # what is left of replies and related packets belongs to a marked connection
    out.add(way.state, 80, {**ip, "ct_state": d.state(d.RPL)})
    out.add(way.state, 80, {**ip, "ct_state": d.state(d.REL)})
    good: dict[str, matches.Value] = {**ip, d.VERDICT: 1}
    out.add(
        way.verdict,
        100,
        {**good, "ct_state": d.state(d.NEW)},
        d.track(d.ZONE, commit=True),
        goto=way.onward,
    )
    clear, mark = d.put("ct_mark", 0), d.put("ct_mark", 1)
    marked: dict[str, matches.Value] = {"ct_mark": 1, "ct_state": d.state(d.EST)}
    back = d.track(d.ZONE, "", clear, commit=True)
    out.add(way.verdict, 95, {**good, **marked}, back, goto=way.onward)
    out.add(way.verdict, 90, good, goto=way.onward)
    no = {**clean, d.VERDICT: 0, "ct_state": d.state(d.EST)}
    out.add(way.verdict, 50, no, d.track(d.ZONE, "", mark, commit=True))
    return out.flows


def guard(out: Draft, way: Direction, number: int, groups: tuple[int, ...], stateful: bool) -> None:
    """A port's own flows: into tracking, then to its groups. No group: nothing passes."""
    me: dict[str, matches.Value] = {way.port: number}
    ip = {**me, "eth_type": d.IPV4}
    ask = [d.put(d.VERDICT, 0)]
    questions = [a for g in groups for a in (d.put(d.GROUP, g), d.resubmit(way.rules))]
    if stateful or not groups:
        out.add(way.entry, 100, ip, d.put(d.ZONE, number), d.track(d.ZONE, way.state))
        tracked = {**ip, "ct_state": d.state(0)}
        out.add(way.state, 50, tracked, *ask, *questions, goto=way.verdict)
    else:
        out.add(way.entry, 100, ip, *ask, *questions, goto=way.verdict)
    if way is INGRESS:
        out.add(way.entry, 100, {**me, "eth_type": d.ARP}, goto=way.onward)
    out.add(way.entry, 50, me)


Keyed = tuple[tuple[FlowKey, Flow], ...]


class Group:
    """The flows of one group on one host, kept rule by rule and address by address.

    A group that names itself has as many flows as members, on every host: a member that comes
    makes its own anew, not all of them.
    """

    def __init__(self) -> None:
        self._number = 0
        self._held: dict[intents.Rule, dict[str, Keyed]] = {}

    def flows(
        self, item: intents.SecurityGroup, sets: Mapping[str, tuple[str, ...]], number: int
    ) -> list[Flow]:
        """The rules of the group; rules that say the same are one flow."""
        before = self._held if self._number == number else {}
        self._number, self._held = number, {}
        found: dict[FlowKey, Flow] = {}
        for rule in item.rules:
            if rule.ip_version != 4:
                continue
            known = before.get(rule, {})
            held = self._held[rule] = {
                text: known.get(text) or _flows(item.id, number, rule, text)
                for text in _remotes(rule, sets)
            }
            for keyed in held.values():
                found.update(keyed)
        return list(found.values())


def _remotes(rule: intents.Rule, sets: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    """Where the rule's peers are, as prefixes; "" is anywhere."""
    if not rule.remote.startswith("set:"):
        return (rule.remote,)
    return sets.get(rule.remote[4:], ())


@functools.lru_cache(maxsize=4096)  # as for remote ports
def _flows(group_id: str, number: int, rule: intents.Rule, remote: str) -> Keyed:
    way = INGRESS if rule.direction == "ingress" else EGRESS
    terms: dict[str, matches.Value] = {d.GROUP: number, "eth_type": d.IPV4}
    if model.is_v6(remote):
        return ()
    if remote:
        network, mask, _ = model.prefix(remote)
        terms[f"ip_{way.remote}"] = (network, mask)
    out = Draft("group", number, f"security group {group_id}")
    for what in _services(rule):
        out.add(way.rules, 100, {**terms, **what}, d.put(d.VERDICT, 1))
    return tuple((flow.key, flow) for flow in out.flows)


_PORTED: Final = {d.TCP: "tcp_dst", d.UDP: "udp_dst", d.SCTP: "sctp_dst"}


def _services(rule: intents.Rule) -> Iterator[dict[str, matches.Value]]:
    if rule.protocol is None:
        yield {}
        return
    if not 0 <= rule.protocol <= 255:
        raise Invalid(f"protocol {rule.protocol} out of range", code="intent.rule")
    base: dict[str, matches.Value] = {"ip_proto": rule.protocol}
    if rule.protocol == d.ICMP:
        if rule.port_min is not None:
            base["icmp_type"] = rule.port_min
        if rule.port_max is not None:
            base["icmp_code"] = rule.port_max
        yield base
        return
    field = _PORTED.get(rule.protocol)
    if field is None or rule.port_min is None:
        yield base
        return
    last = rule.port_min if rule.port_max is None else rule.port_max
    for value, mask in port_masks(rule.port_min, last):
        yield {**base, field: (value, mask)}
    # Later fragments have no ports. They pass where their first may come from; without that one,
    # which is asked for its port, nobody can put them together. All of a datagram's fragments
    # must take the same tracking actions, which wait for the last of them.
    yield {**base, **LATER_FRAGMENT}


def port_masks(first: int, last: int) -> list[tuple[int, int]]:
    """A range of ports as the fewest (value, mask). Raises Invalid."""
    if not 0 <= first <= last <= PORT_MAX:
        raise Invalid(f"port range {first}-{last}", code="intent.rule")
    out: list[tuple[int, int]] = []
    while first <= last:
        size = first & -first or PORT_MAX + 1
        while size > last - first + 1:
            size >>= 1
        out.append((first, PORT_MAX & ~(size - 1)))
        first += size
    return out
