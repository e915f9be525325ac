# SPDX-License-Identifier: Apache-2.0
"""What the compile step works on: the intent by id and by place, numbers, and flows.

The nouns are those of `contracts.network_agent`. `Fabric` finds them by what belongs together;
`Numbers` gives each a small number that stays its own for as long as the item lives.
"""

import functools
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any, Final, TypeVar

import msgspec

from octostack.base.errors import Invalid, OverQuota
from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import Item, Key
from octostack.engines.sdn.core import pipeline
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

ItemT = TypeVar("ItemT", bound=Item)

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}\Z")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}\Z")
VNI_MAX: Final = (1 << 24) - 1


class Flow(msgspec.Struct, frozen=True):
    """One flow of one table; `note` says for people why it is there and is not compared."""

    table: int
    priority: int
    match: matches.Match
    instructions: acts.Instructions
    cookie: int
    note: str = ""

    @property
    def key(self) -> "FlowKey":
        """What makes it this flow and no other."""
        return (self.table, self.priority, self.match)


FlowKey = tuple[int, int, matches.Match]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the compile step must know of the host itself.

    `physical` maps a physical network to the OpenFlow port that leads to its bridge.
    `metadata_mac` is the proxy's side of the metadata port; 0: no proxy here. `meters`: whether
    the datapath has them.
    """

    host: str
    tunnel_ip: str = ""
    physical: dict[str, int] = {}
    metadata_mac: int = 0
    meters: bool = False


def kind_of(item: Item) -> str:
    """The tag of an item's type."""
    return str(item.__struct_config__.tag)


def key_of(item: Item) -> Key:
    """The item's name within an intent."""
    return Key(kind_of(item), item.id)


def mac(text: str) -> int:
    """A MAC as a number. Raises Invalid."""
    if not _MAC.match(text):
        raise Invalid(f"{text!r} is not a MAC address", code="intent.mac", field="mac")
    return int(text.replace(":", ""), 16)


@functools.lru_cache(maxsize=1 << 16)
def address(text: str) -> int:
    """An IPv4 address as a number. Raises Invalid."""
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        raise Invalid(f"{text!r} is not an IPv4 address", code="intent.address") from None


@functools.lru_cache(maxsize=1 << 16)
def prefix(text: str) -> tuple[int, int, int]:
    """A CIDR as (network, mask, length); a bare address is a /32. Raises Invalid."""
    try:
        net = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise Invalid(f"{text!r} is not an IPv4 prefix", code="intent.cidr") from None
    return int(net.network_address), int(net.netmask), net.prefixlen


def is_v6(text: str) -> bool:
    """Whether an address or CIDR is IPv6 (by its look alone)."""
    return ":" in text


def service_mac(network_id: str) -> int:
    """The MAC that DHCP and metadata answer with in a network; the same on every host."""
    digest = hashlib.blake2b(network_id.encode(), digest_size=5).digest()
    return 0x02 << 40 | int.from_bytes(digest, "big")


def v4(addresses: Iterable[intents.FixedAddress]) -> list[intents.FixedAddress]:
    """The IPv4 ones of a port's addresses."""
    return [a for a in addresses if not is_v6(a.address)]


class Span(msgspec.Struct, frozen=True, order=True):
    """The numbers a cloud may give on a switch, both ends included."""

    first: int
    last: int

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


ALL_NUMBERS: Final = Span(pipeline.NUMBER_MIN, pipeline.NUMBER_MAX)


def free_span(taken: Iterable[Span], wished: Span | None = None) -> Span:
    """A span that none of those taken touches: the one wished for if it can be.

    Raises OverQuota when the switch has no room for another cloud.
    """
    held = list(taken)
    starts = range(pipeline.NUMBER_MIN, pipeline.NUMBER_MAX + 2 - pipeline.SPAN, pipeline.SPAN)
    spans = [Span(first, first + pipeline.SPAN - 1) for first in starts]
    for span in ([wished] if wished in spans else []) + spans:
        if not any(span.first <= other.last and other.first <= span.last for other in held):
            return span
    raise OverQuota(f"{len(held)} clouds share this switch already", code="switch.full")


class Numbers:
    """Small numbers for what lives on this host: port, zone and register value in one.

    A number that comes free is given out again last, so that what the switch still remembers of
    its former owner (connections, packets under way) has long gone.
    """

    def __init__(
        self, taken: Mapping[str, int] | None = None, following: int = 0, span: Span = ALL_NUMBERS
    ) -> None:
        self._taken = dict(taken or {})
        self._used = set(self._taken.values())
        self._following = following if following in span else span.first
        self._owner: dict[int, str] | None = None
        self.span = span

    def __getitem__(self, name: str) -> int:
        return self._taken[name]

    def find(self, name: str) -> int | None:
        """The number of a name, None when it has none."""
        return self._taken.get(name)

    def owner(self, number: int) -> str | None:
        """Whose a number is."""
        if self._owner is None:
            self._owner = {n: name for name, n in self._taken.items()}
        return self._owner.get(number)

    def settle(self, names: Iterable[str]) -> list[int]:
        """Give every name a number and take back the others'; the numbers that came free.

        Raises OverQuota when there are more names than numbers.
        """
        wanted = dict.fromkeys(names)
        gone = [name for name in self._taken if name not in wanted]
        new = [name for name in wanted if name not in self._taken]
        if gone or new:
            self._owner = None
        freed = [self._taken.pop(name) for name in gone]
        for name in new:
            self._taken[name] = self._next()
        self._used.difference_update(freed)
        return freed

    def _next(self) -> int:
        for _ in range(self.span.last - self.span.first + 1):
            number = self._following
            self._following = number + 1 if number < self.span.last else self.span.first
            if number not in self._used:
                self._used.add(number)
                return number
        raise OverQuota("more items than one host can number", code="intent.numbers")

    def within(self, span: Span) -> "Numbers":
        """These numbers where all lie in `span`; else none, for new ones to be given."""
        if all(number in span for number in self._used):
            return Numbers(self._taken, self._following, span)
        return Numbers(span=span)

    def dump(self) -> tuple[dict[str, int], int, Span]:
        """What `__init__` takes to be as now."""
        return dict(self._taken), self._following, self.span


class Fabric:
    """An intent, by what belongs together. Read only."""

    def __init__(self, items: Mapping[Key, Item]) -> None:
        self.items = items
        self._kinds: dict[Any, dict[str, Any]] = defaultdict(dict)
        for item in items.values():
            self._kinds[type(item)][item.id] = item
        self.networks = self._all(intents.Network)
        self.subnets = self._all(intents.Subnet)
        self.ports = self._all(intents.LocalPort)
        self.remotes = self._all(intents.RemotePort)
        self.groups = self._all(intents.SecurityGroup)
        self.sets = self._all(intents.AddressSet)
        self.routers = self._all(intents.Router)
        self.floating_ips = self._all(intents.FloatingIp)
        self.ports_of = _by_network(self.ports.values())
        self.remotes_of = _by_network(self.remotes.values())
        self.subnets_of = _by_network(self.subnets.values())

    def _all(self, kind: type[ItemT]) -> dict[str, ItemT]:
        return self._kinds[kind]

    def names(self) -> Iterable[str]:
        """Every name that needs a number."""
        for kind, ids in (
            ("network", self.networks),
            ("port", self.ports),
            ("group", self.groups),
            ("router", self.routers),
            ("snat", self.routers),
            ("dnat", self.routers),
        ):
            for one in ids:
                yield f"{kind}/{one}"

    def other_hosts(self, own: str) -> tuple[str, ...]:
        """The tunnel addresses of all hosts that there may be packets to or from."""
        routers = (router.gateway for router in self.routers.values())
        found = {remote.tunnel_ip for remote in self.remotes.values()}
        found |= {gateway.tunnel_ip for gateway in routers if gateway is not None}
        return tuple(sorted(found - {"", own}))

    def dhcp_subnet(self, port: intents.LocalPort) -> intents.Subnet | None:
        """The subnet that answers the port's DHCP: that of its first IPv4 address with DHCP on."""
        for fixed in v4(port.addresses):
            subnet = self.subnets.get(fixed.subnet_id)
            if subnet is not None and subnet.dhcp_address:
                return subnet
        return None


_Located = TypeVar("_Located", intents.LocalPort, intents.RemotePort, intents.Subnet)


def _by_network(items: Iterable[_Located]) -> Mapping[str, list[_Located]]:
    out: dict[str, list[_Located]] = defaultdict(list)
    for item in items:
        out[item.network_id].append(item)
    return out


# ---- what an intent must be ---------------------------------------------------------------------


def check(fabric: Fabric, held: Fabric) -> None:
    """Refuse an intent that names what it does not tell. Raises Invalid naming the item.

    `held` was checked before: as long as nothing that can be named is gone, what it holds too is
    right.
    """
    named = ((held.networks, fabric.networks), (held.subnets, fabric.subnets),
             (held.groups, fabric.groups))  # fmt: skip
    known = held.items if all(old.keys() <= new.keys() for old, new in named) else {}
    for key, item in fabric.items.items():
        if known.get(key) is item:
            continue
        try:
            _check_item(fabric, item)
        except Invalid as e:
            raise Invalid(f"{key.kind} {key.id}: {e.message}", code=e.code, item=key.id) from e


def _check_item(fabric: Fabric, item: Item) -> None:
    match item:
        case intents.Network():
            _check_network(item)
        case intents.Subnet():
            _known(fabric.networks, item.network_id)
        case intents.LocalPort():
            _known(fabric.networks, item.network_id)
            _check_port(fabric, item)
        case intents.RemotePort():
            _known(fabric.networks, item.network_id)
            mac(item.mac)
        case intents.Router():
            for interface in item.interfaces:
                _known(fabric.networks, interface.network_id)
                mac(interface.mac)
            # the gateway's network may be one that this host has no part in
            if item.gateway is not None:
                mac(item.gateway.mac)
        case intents.FloatingIp():
            mac(item.mac)
            address(item.address)
            address(item.fixed_address)
        case _:
            return


def _check_network(network: intents.Network) -> None:
    if (network.vni is None) == (network.physical is None):
        raise Invalid("needs either a vni or a physical network", code="intent.network")
    if network.vni is not None and not 0 < network.vni <= VNI_MAX:
        raise Invalid(f"vni {network.vni} out of range", code="intent.vni")
    if not 0 <= network.vlan < 4095:
        raise Invalid(f"vlan {network.vlan} out of range", code="intent.vlan")


def _check_port(fabric: Fabric, port: intents.LocalPort) -> None:
    mac(port.mac)
    if not _INTERFACE.match(port.interface):
        raise Invalid(f"bad interface name {port.interface!r}", code="intent.interface")
    for fixed in port.addresses:
        _known(fabric.subnets, fixed.subnet_id)
    for group in port.security_groups:
        _known(fabric.groups, group)


def _known(of: Mapping[str, object], id: str) -> None:
    if id not in of:
        raise Invalid(f"names {id}, which the intent does not tell", code="intent.reference")
