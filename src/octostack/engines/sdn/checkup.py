# SPDX-License-Identifier: Apache-2.0
"""The host as it is against the host as decided: what a crash, or a hand, has left behind.

Only looks. `HostFabric.mistrust` and a convergence put right what is found.
"""

from collections import Counter
from collections.abc import Iterator

from octostack.base.errors import Unavailable
from octostack.contracts.compute import Finding
from octostack.engines.sdn.core import diff, pipeline
from octostack.engines.sdn.dataplane import PortFact
from octostack.engines.sdn.fabric import HostFabric
from octostack.wire.openflow import messages as of


async def differences(fabric: HostFabric, facts: dict[str, PortFact]) -> list[Finding]:
    """Every difference found; `facts` are the ports as last seen. Raises Unavailable."""
    switch = fabric.dataplane.switch
    if switch is None:
        raise Unavailable("no switch", code="switch.lost")
    held = await switch.flows()
    found = list(_flows(fabric, held))
    found += _zones(fabric, await fabric.zones_left(held))
    found += _devices(fabric, await fabric.dataplane.leavings(), facts)
    return found


def _finding(fabric: HostFabric, kind: str, subject: str, text: str) -> Finding:
    return Finding(kind=kind, subject=subject, text=f"host {fabric.dataplane.place.host}: {text}")


def _flows(fabric: HostFabric, held: list[of.FlowStats]) -> Iterator[Finding]:
    """Flows by the item they are of: what is wrong with one is wrong with all of it."""
    for change, kind, verb in ((of.DELETE_STRICT, "orphan", "too many"), (of.ADD, "missing", "")):
        cookies = {(f.table, f.priority, f.match): f.cookie for f in held}
        count: Counter[str] = Counter()
        for mod in diff.changes(fabric.flows, held):
            if mod.command == change:
                cookie = mod.cookie or cookies.get((mod.table, mod.priority, mod.match), 0)
                count[_item(fabric, cookie)] += 1
        for item, number in sorted(count.items()):
            what = f"{number} flows of {item} {verb or 'missing or wrong'}"
            yield _finding(fabric, f"{kind}_flow", item, what)


def _item(fabric: HostFabric, cookie: int) -> str:
    """Whose a flow is, for people."""
    index, number = cookie >> 40 & 0xFF, cookie & 0xFFFF
    if cookie & ~((1 << 48) - 1) != pipeline.COOKIE_OWNER or index >= len(pipeline.COOKIE_KINDS):
        return "nobody"
    owner = fabric.numbers.owner(number)
    return owner if owner is not None else f"{pipeline.COOKIE_KINDS[index]}/{number}"


def _zones(fabric: HostFabric, zones: list[int]) -> Iterator[Finding]:
    for zone in zones:
        text = f"connections are tracked in zone {zone}, which is nobody's"
        yield _finding(fabric, "orphan_zone", str(zone), text)


def _devices(
    fabric: HostFabric, leavings: list[str], facts: dict[str, PortFact]
) -> Iterator[Finding]:
    for name in leavings:
        yield _finding(fabric, "orphan_device", name, f"device {name} belongs to no port")
    for port_id in sorted(fabric.fabric.ports):
        fact = facts.get(port_id)
        if fact is None or not fact.attached:
            why = fact.error if fact is not None else "not looked at yet"
            yield _finding(fabric, "missing_port", port_id, f"port is not on the switch: {why}")
    for cidr in sorted(fabric.dataplane.collisions):
        text = f"another device of the machine has {cidr}: it is not reached from here"
        yield _finding(fabric, "external_collision", cidr, text)
