# SPDX-License-Identifier: Apache-2.0
"""The hosts as columns: a host is a slot, a set of hosts is an integer with one bit per slot."""

from collections.abc import Iterable, Iterator

from octostack.services.compute.model import Aggregate, Host, Server

DEFAULT_ZONE = "nova"


class World:
    """All that a decision needs of hosts, aggregates and the servers on them."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}  # provider id -> slot
        self.by_host: dict[str, int] = {}
        self.hosts: list[Host] = []
        self.enabled = 0  # bits
        self.up = 0
        self.all = 0
        self.vcpus_used: list[int] = []
        self.memory_used: list[int] = []
        self.disk_used: list[int] = []
        self.count: list[int] = []
        self.building: list[int] = []
        self.failures: list[int] = []
        self.zones: dict[str, int] = {}
        self.zone_of: dict[str, str] = {}  # host -> zone
        self.aggregates: dict[int, tuple[Aggregate, int]] = {}
        self.placed: dict[str, tuple[int, tuple[int, int, int]]] = {}  # server -> slot, sizes

    def put_host(self, host: Host, *, up: bool) -> None:
        """A host as its row says it is now."""
        slot = self.slots.get(host.provider_id)
        if slot is None:
            slot = self._new_slot(host)
        self.hosts[slot] = host
        self.by_host[host.host] = slot
        self._set("enabled", slot, not host.disabled)
        self._set("up", slot, up)

    def drop_host(self, provider_id: str) -> None:
        """Forget a host; its slot stays empty, so that the others keep their numbers."""
        slot = self.slots.pop(provider_id, None)
        if slot is None:
            return
        self.by_host.pop(self.hosts[slot].host, None)
        for column in ("all", "enabled", "up"):
            self._set(column, slot, False)
        self._rezone()

    def put_aggregates(self, aggregates: Iterable[Aggregate]) -> None:
        """All aggregates, anew; there are few of them and they change rarely."""
        self.aggregates = {a.id: (a, self.bits(a.hosts)) for a in aggregates}
        self._rezone()

    def put_server(self, server: Server) -> None:
        """Count a server on its host, or no longer when it has none or is gone."""
        sizes = _sizes(server)
        before = self.placed.pop(server.id, None)
        if before:
            self._count(before[0], before[1], -1)
        slot = self.by_host.get(server.host or "")
        if slot is None or server.deleted_at is not None:
            return
        self.placed[server.id] = (slot, sizes)
        self._count(slot, sizes, 1)

    def bits(self, hosts: Iterable[str]) -> int:
        """The set of these hosts; unknown ones are left out."""
        total = 0
        for name in hosts:
            slot = self.by_host.get(name)
            if slot is not None:
                total |= 1 << slot
        return total

    def hosts_of(self, server_ids: Iterable[str]) -> int:
        """The set of hosts these servers are on."""
        total = 0
        for server_id in server_ids:
            place = self.placed.get(server_id)
            if place:
                total |= 1 << place[0]
        return total

    def zone(self, host: str) -> str:
        """The availability zone of a host."""
        return self.zone_of.get(host, DEFAULT_ZONE)

    def zone_bits(self, zone: str) -> int:
        """The hosts of a zone."""
        return self.zones.get(zone, 0)

    def _new_slot(self, host: Host) -> int:
        slot = len(self.hosts)
        self.slots[host.provider_id] = slot
        self.hosts.append(host)
        for column in (self.vcpus_used, self.memory_used, self.disk_used):
            column.append(0)
        for column in (self.count, self.building, self.failures):
            column.append(0)
        self._set("all", slot, True)
        zone = self.zone_of.get(host.host, DEFAULT_ZONE)
        self.zones[zone] = self.zones.get(zone, 0) | 1 << slot
        self.by_host[host.host] = slot
        for key, (aggregate, _bits) in self.aggregates.items():
            if host.host in aggregate.hosts:
                self.aggregates[key] = (aggregate, self.bits(aggregate.hosts))
        return slot

    def _rezone(self) -> None:
        self.zone_of, self.zones = {}, {}
        for aggregate, bits in self.aggregates.values():
            zone = aggregate.metadata.get("availability_zone")
            if zone:
                self.zones[zone] = self.zones.get(zone, 0) | bits
                self.zone_of.update(dict.fromkeys(aggregate.hosts, zone))
        named = 0
        for bits in self.zones.values():
            named |= bits
        self.zones[DEFAULT_ZONE] = self.zones.get(DEFAULT_ZONE, 0) | (self.all & ~named)

    def _count(self, slot: int, sizes: tuple[int, int, int], sign: int) -> None:
        self.vcpus_used[slot] += sign * sizes[0]
        self.memory_used[slot] += sign * sizes[1]
        self.disk_used[slot] += sign * sizes[2]
        self.count[slot] += sign

    def _set(self, column: str, slot: int, value: bool) -> None:
        bit = 1 << slot
        now = getattr(self, column)
        setattr(self, column, now | bit if value else now & ~bit)


def slots_in(bits: int) -> Iterator[int]:
    """The slots of a set, in order."""
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    for at, byte in enumerate(data):
        if byte:
            yield from (at * 8 + i for i in range(8) if byte >> i & 1)


def _sizes(server: Server) -> tuple[int, int, int]:
    f = server.flavor
    return f.vcpus, f.memory_mb, f.root_gb + f.ephemeral_gb
