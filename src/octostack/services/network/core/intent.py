# SPDX-License-Identifier: Apache-2.0
"""What each host must know, worked out from the rows and kept up to date with them.

`World` holds the rows that hosts hear of, with the indexes between them. A row that changes is
`put` (or `drop`ped), which answers the hosts it matters to: those and no others are worked out
again. What a host must know is said in `contracts.network_agent`; in short, everything one router
away from a port that lives there, or from a gateway that it serves.

Items are made once per row and kept, and with them what all hosts of a network or a group are
told alike; so an intent is mostly copied, and comparing it with the one that was sent
(`difference`) mostly compares identities. The cost of a change is the size of the intents it
touches, not of the cloud.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from octostack.contracts import network_agent as fabric
from octostack.services.network.core import items
from octostack.services.network.model import nouns

Items = dict[fabric.Key, fabric.Item]
Hosts = set[str]
Ids = dict[str, None]  # an ordered set


class Group(msgspec.Struct, frozen=True):
    """A security group with its rules, as one row."""

    row: nouns.SecurityGroup
    rules: tuple[nouns.SecurityGroupRule, ...]

    @property
    def id(self) -> str:
        return self.row.id


class World:
    """The rows that matter to hosts."""

    def __init__(self) -> None:
        self.networks: dict[str, nouns.Network] = {}
        self.subnets: dict[str, nouns.Subnet] = {}
        self.ports: dict[str, nouns.Port] = {}
        self.routers: dict[str, nouns.Router] = {}
        self.floating: dict[str, nouns.FloatingIp] = {}
        self.groups: dict[str, Group] = {}
        self.agents: dict[str, nouns.Agent] = {}  # by host
        self._tables: dict[str, dict[str, Any]] = {
            "network": self.networks,
            "subnet": self.subnets,
            "port": self.ports,
            "router": self.routers,
            "floatingip": self.floating,
            "group": self.groups,
        }
        self._index = _Index()
        self._local: dict[str, fabric.LocalPort] = {}
        self._guests: dict[str, Items] = {}  # network -> its guests, as other hosts are told
        self._sets: dict[str, fabric.AddressSet] = {}  # group -> its members' addresses
        self._rules: dict[str, fabric.SecurityGroup] = {}

    def put(self, kind: str, row: Any) -> Hosts:
        """A row as it is now; the hosts it matters to."""
        if kind == "agent":
            return self._put_agent(row)
        touched = self._remove(kind, row.id)
        self._tables[kind][row.id] = row
        self._index.add(kind, row)
        self._forget(kind, row)
        return touched | self.hosts_of(kind, row)

    def drop(self, kind: str, id_: str) -> Hosts:
        """A row that is gone; the hosts it mattered to."""
        if kind == "agent":
            gone = [agent for agent in self.agents.values() if agent.id == id_]
            return set().union(*(self._put_away(agent) for agent in gone))
        return self._remove(kind, id_)

    def _remove(self, kind: str, id_: str) -> Hosts:
        old = self._tables[kind].get(id_)
        if old is None:
            return set()
        touched = self.hosts_of(kind, old)
        del self._tables[kind][id_]
        self._index.remove(kind, old)
        self._forget(kind, old)
        return touched

    def _forget(self, kind: str, row: Any) -> None:
        """Drop what was made of the row; of a network's guests only the one."""
        if kind == "group":
            self._rules.pop(row.id, None)
        elif kind == "port":
            self._local.pop(row.id, None)
            for group_id in row.security_groups:
                self._sets.pop(group_id, None)
            guests = self._guests.get(row.network_id)
            if guests is not None:
                guests.pop(fabric.Key("remote", row.id), None)
                if row.id in self._index.guests[row.network_id] and row.host:
                    _collect(guests, [items.remote(row, self._tunnel_ip(row.host))])

    def _put_agent(self, row: nouns.Agent) -> Hosts:
        old = self.agents.get(row.host)
        self.agents[row.host] = row
        if old is not None and _as_told(old) == _as_told(row):
            return {row.host} if old.started_at != row.started_at else set()
        return {row.host} | self._hosts_that_know(row.host)

    def _put_away(self, agent: nouns.Agent) -> Hosts:
        del self.agents[agent.host]
        return self._hosts_that_know(agent.host)

    def _hosts_that_know(self, host: str) -> Hosts:
        """Hosts that are told where this one's ports and gateways are; they must be told anew."""
        found: Hosts = set()
        for network_id in {self.ports[p].network_id for p in self._index.on_host[host]}:
            self._guests.pop(network_id, None)
            found |= self._hosts_near(network_id)
        for router_id in self._index.served[host]:
            found |= self._hosts_at(router_id)
        return found

    # ---- whom a row matters to ---------------------------------------------------------------

    def hosts_of(self, kind: str, row: Any) -> Hosts:
        """The hosts that must hear of a change of the row."""
        if kind == "network":
            return self._hosts_near(row.id)
        if kind == "subnet":
            return self._hosts_near(row.network_id)
        if kind == "port":
            return self._hosts_of_port(row)
        if kind == "router":
            return self._hosts_at(row.id) | ({row.gateway_host} if row.gateway_host else set())
        if kind == "floatingip":
            return self._hosts_at(row.router_id or "")
        return self._hosts_of_group(row.id)

    def _hosts_of_port(self, row: nouns.Port) -> Hosts:
        found = self._hosts_near(row.network_id) | ({row.host} if row.host else set())
        if row.device_owner in nouns.ROUTER_OWNERS:
            found |= self._hosts_at(row.device_id)
        if row.device_owner == nouns.OWNER_FLOATINGIP:
            floating = self.floating.get(row.device_id)
            found |= self._hosts_at(floating.router_id or "") if floating else set()
        for group_id in row.security_groups:
            found |= self._hosts_of_group(group_id)
        return found

    def _hosts_on(self, network_id: str) -> Hosts:
        """Hosts with a port of the network."""
        return set(self._index.hosts_on[network_id])

    def _hosts_near(self, network_id: str) -> Hosts:
        """Hosts with a port of the network, or one router away."""
        found = self._hosts_on(network_id)
        for router_id in self._index.routers_on(network_id):
            found |= self._hosts_at(router_id)
        for router_id in self._index.outside[network_id]:
            found |= self._hosts_at(router_id)
        return found

    def _hosts_at(self, router_id: str) -> Hosts:
        """Hosts with a port on one of the router's networks, and the one that serves it."""
        found: Hosts = set()
        for foot_id in self._index.feet[router_id]:
            found |= self._hosts_on(self.ports[foot_id].network_id)
        row = self.routers.get(router_id)
        return found | ({row.gateway_host} if row is not None and row.gateway_host else set())

    def _hosts_of_group(self, group_id: str) -> Hosts:
        """Hosts with members, and with members of groups whose rules name it."""
        groups = (group_id, *self._index.naming[group_id])
        return {host for group in groups for host in self._index.hosts_in[group]}

    # ---- what a host must know ---------------------------------------------------------------

    def intent(self, host: str) -> Items:
        """Every item of a host."""
        found: Items = {}
        mine = [self.ports[p] for p in self._index.on_host[host]]
        own = {port.network_id for port in mine}
        routers = {r for n in own for r in self._index.routers_on(n)}
        routers |= set(self._index.served[host])
        near = own | {self.ports[foot].network_id for r in routers for foot in self._index.feet[r]}
        _collect(found, (self._local_item(port) for port in mine))
        for network_id in sorted(near):
            if network_id in self.networks:
                _collect(found, self._network_items(network_id))
                found |= self._guests_of(network_id)
        for port in mine:
            found.pop(fabric.Key("remote", port.id), None)
        for router_id in sorted(routers):
            _collect(found, self._router_items(router_id))
        _collect(found, self._group_items(g for port in mine for g in port.security_groups))
        return found

    def _network_items(self, network_id: str) -> Iterator[fabric.Item]:
        """A network with its subnets."""
        network = self.networks.get(network_id)
        if network is None:
            return
        yield items.network(network)
        dhcp = self.ports.get(min(self._index.dhcp[network_id], default=""))
        for subnet_id in sorted(self._index.subnets[network_id]):
            row = self.subnets[subnet_id]
            yield items.subnet(row, items.dhcp_address(row.id, dhcp), network.dns_domain)

    def _guests_of(self, network_id: str) -> Items:
        """A network's guests on whatever host."""
        found = self._guests.get(network_id)
        if found is None:
            found = self._guests[network_id] = {}
            ports = (self.ports[p] for p in self._index.guests[network_id])
            _collect(found, (items.remote(p, self._tunnel_ip(p.host)) for p in ports if p.host))
        return found

    def _router_items(self, router_id: str) -> Iterator[fabric.Item]:
        row = self.routers.get(router_id)
        if row is None:
            return
        gateway = None
        port = self.ports.get(row.gateway_port_id or "")
        if port is not None and row.gateway_host:
            gateway = items.gateway(row, port, self._tunnel_ip(row.gateway_host))
            yield from self._network_items(port.network_id)
        yield items.router(row, [self.ports[p] for p in self._index.feet[router_id]], gateway)
        for floating_id in self._index.floating[router_id]:
            floating = self.floating[floating_id]
            outer = self.ports.get(floating.floating_port_id)
            item = items.floating(floating, outer.mac_address) if outer is not None else None
            if item is not None:
                yield item

    def _group_items(self, group_ids: Iterable[str]) -> Iterator[fabric.Item]:
        named = set()
        for group_id in sorted(set(group_ids)):
            group = self.groups.get(group_id)
            if group is None:
                continue
            if group_id not in self._rules:
                self._rules[group_id] = items.group(group.row, group.rules)
            yield self._rules[group_id]
            named |= {rule.remote_group_id for rule in group.rules if rule.remote_group_id}
        for group_id in sorted(named):
            if group_id not in self._sets:
                members = (self.ports[p] for p in self._index.members[group_id])
                self._sets[group_id] = items.address_set(group_id, members)
            yield self._sets[group_id]

    def _local_item(self, port: nouns.Port) -> fabric.LocalPort:
        if port.id not in self._local:
            self._local[port.id] = items.local(port)
        return self._local[port.id]

    def _tunnel_ip(self, host: str) -> str:
        agent = self.agents.get(host)
        return agent.tunnel_ip if agent is not None else ""


class _Index:
    """Which rows hang on which; in the order they came, so that a run can be replayed."""

    def __init__(self) -> None:
        self.subnets: dict[str, Ids] = defaultdict(dict)  # network -> subnets
        self.guests: dict[str, Ids] = defaultdict(dict)  # network -> guests' ports
        self.dhcp: dict[str, Ids] = defaultdict(dict)  # network -> its DHCP port
        self.feet: dict[str, Ids] = defaultdict(dict)  # router -> interface ports
        self.feet_on: dict[str, dict[str, str]] = defaultdict(dict)  # network -> port -> router
        self.served: dict[str, Ids] = defaultdict(dict)  # host -> routers whose gateway it serves
        self.outside: dict[str, Ids] = defaultdict(dict)  # external network -> routers
        self.floating: dict[str, Ids] = defaultdict(dict)  # router -> floating addresses
        self.on_host: dict[str, Ids] = defaultdict(dict)  # host -> guests' ports
        self.hosts_on: dict[str, dict[str, int]] = defaultdict(dict)  # network -> host -> ports
        self.members: dict[str, Ids] = defaultdict(dict)  # group -> ports
        self.hosts_in: dict[str, dict[str, int]] = defaultdict(dict)  # group -> host -> members
        self.naming: dict[str, Ids] = defaultdict(dict)  # group -> groups with rules naming it

    def routers_on(self, network_id: str) -> set[str]:
        """The routers with a foot in a network."""
        return set(self.feet_on[network_id].values())

    def add(self, kind: str, row: Any) -> None:
        self._each(kind, row, _add, 1)

    def remove(self, kind: str, row: Any) -> None:
        self._each(kind, row, _discard, -1)

    def _each(self, kind: str, row: Any, do: Any, step: int) -> None:
        if kind == "subnet":
            do(self.subnets[row.network_id], row.id)
        elif kind == "port":
            self._port(row, do, step)
        elif kind == "router":
            if row.gateway_network_id:
                do(self.outside[row.gateway_network_id], row.id)
            if row.gateway_host:
                do(self.served[row.gateway_host], row.id)
        elif kind == "floatingip" and row.router_id:
            do(self.floating[row.router_id], row.id)
        elif kind == "group":
            for rule in row.rules:
                if rule.remote_group_id:
                    do(self.naming[rule.remote_group_id], row.id)

    def _port(self, row: nouns.Port, do: Any, step: int) -> None:
        for group_id in row.security_groups:
            do(self.members[group_id], row.id)
            if row.host:
                _count(self.hosts_in[group_id], row.host, step)
        if row.device_owner == nouns.OWNER_ROUTER_INTERFACE:
            do(self.feet[row.device_id], row.id)
            if step > 0:
                self.feet_on[row.network_id][row.id] = row.device_id
            else:
                self.feet_on[row.network_id].pop(row.id, None)
        elif row.device_owner == nouns.OWNER_DHCP:
            do(self.dhcp[row.network_id], row.id)
        elif row.device_owner not in nouns.SERVICE_OWNERS:
            do(self.guests[row.network_id], row.id)
            if row.host:
                do(self.on_host[row.host], row.id)
                _count(self.hosts_on[row.network_id], row.host, step)


def _add(ids: Ids, id_: str) -> None:
    ids[id_] = None


def _discard(ids: Ids, id_: str) -> None:
    ids.pop(id_, None)


def _count(counts: dict[str, int], host: str, step: int) -> None:
    counts[host] = counts.get(host, 0) + step
    if not counts[host]:
        del counts[host]


def _as_told(agent: nouns.Agent) -> tuple[Any, ...]:
    """What of an agent other hosts, or its own intent, depend on."""
    return (agent.tunnel_ip, agent.bridge_mappings, agent.external_networks)


def _collect(found: Items, more: Iterable[fabric.Item]) -> None:
    for item in more:
        tag = str(type(item).__struct_config__.tag)
        found[fabric.Key(tag, item.id)] = item


def difference(old: Items, new: Items) -> tuple[list[fabric.Item], list[fabric.Key]]:
    """What leads from one intent to another: items new or changed, and keys gone."""
    put = []
    for key, item in new.items():
        known = old.get(key)
        if known is not item and known != item:
            put.append(item)
    return put, [key for key in old if key not in new]
