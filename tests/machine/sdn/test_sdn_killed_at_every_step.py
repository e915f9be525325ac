# SPDX-License-Identifier: Apache-2.0
"""An agent that dies at any step of a change leaves nothing that its next start does not find.

What is left is asked of the switch and the kernel themselves, not of the agent.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import pytest

from octostack.agents.network import ledger
from octostack.contracts import network_agent as intents
from octostack.engines.sdn import daemon, devices, links, ovsdb, switch
from octostack.engines.sdn.core import diff
from octostack.testing import fabric
from octostack.testing.guests import Pings
from octostack.testing.intents import ROUTER

pytestmark = pytest.mark.anyio


class Cut(BaseException):
    """The agent is killed here."""


class Steps:
    """Whatever an agent does to the world is a step; after `left` more comes the cut."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        at_once: tuple[tuple[Any, str], ...] = (
            (ledger.Ledger, "write"), (devices, "ensure_tap"), (devices, "delete_tap"),
        )  # fmt: skip
        later: tuple[tuple[Any, str], ...] = (
            (ovsdb.Database, "transact"), (switch.OpenFlowSwitch, "change"),
            (switch.OpenFlowSwitch, "forget"), (devices, "ip"),
        )  # fmt: skip
        for owner, name in at_once:
            patch.setattr(owner, name, self._counted(getattr(owner, name)))
        for owner, name in later:
            patch.setattr(owner, name, self._counted_later(getattr(owner, name)))

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Cut
            self.left -= 1

    def _counted(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            self._step()
            return do(*arguments)

        return step

    def _counted_later(self, do: Callable[..., Any]) -> Callable[..., Any]:
        async def step(*arguments: Any, **named: Any) -> Any:
            self._step()
            return await do(*arguments, **named)

        return step


def tap(number: int) -> intents.LocalPort:
    """A port whose device the agent makes."""
    made = fabric.local_port(f"t{number}", "a", number, ("sa", f"10.0.0.{number}"))
    return fabric.with_interface(
        msgspec.structs.replace(made, security_groups=("open",)), f"tapk{number}"
    )


async def left_over(host: Any) -> list[str]:
    """What is in the switch, the kernel and the state directory and is of nobody's."""
    numbers, wanted = host.agent.fabric.numbers, host.agent.fabric.fabric.ports.values()
    owned = {numbers[name] for name in host.agent.fabric.fabric.names()}
    paths = host.dataplane.paths
    found = []
    flows = await host.dataplane.switch.flows()
    held = {(f.table, f.priority, f.match) for f in flows if not diff.is_learned(f.cookie)}
    found += [f"flow {key}" for key in held ^ set(host.agent.fabric.flows)]
    said = await daemon.ask(paths, "dpctl/dump-conntrack", "netdev@ovs-netdev")
    zones = {int(zone) for zone in re.findall(r"zone=(\d+)", said)}
    found += [f"zone {zone}" for zone in zones - owned]
    control = ("ovs-vsctl", f"--db=unix:{paths.database_socket}")
    ports = set((await daemon.run(paths, *control, "list-ports", host.dataplane.bridge)).split())
    own = {host.dataplane.names.of(part) for part in ("pi0", "md0")}
    found += [f"port {name}" for name in ports ^ own ^ {port.interface for port in wanted}]
    taps = {link.name for link in links.listed() if link.name.startswith("tapk")}
    found += [f"tap {name}" for name in taps ^ {p.interface for p in wanted if p.plug == "tap"}]
    files = {path.name for path in ledger.directory(host.state_dir).iterdir()}
    found += [f"file {name}" for name in files - {"h1.ledger"}]
    return found


async def test_change_of_ports_and_router_is_cut_at_every_step(
    three: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, ports = list(three.common), dict(three.ports)
    steps = Steps(monkeypatch)
    for number in count():
        three.common, three.ports = list(whole), {**ports, "t8": tap(8)}
        await three.apply()
        assert await left_over(three) == []
        assert await three.guests["p1"].pings("10.0.0.12", 1) == 1
        assert await three.guests["p3"].pings(f"10.123.{three.third}.1", 1) == 1
        # a port goes, one comes, one changes; the router loses a foot, its floating address goes
        lesser = msgspec.structs.replace(ROUTER, interfaces=ROUTER.interfaces[:1], gateway=None)
        three.common = [lesser if item.id == "r" else item for item in whole if item.id != "f"]
        moved = msgspec.structs.replace(ports["p1"], security_groups=())
        three.ports = {"p1": moved, "p3": ports["p3"], "t9": tap(9)}
        steps.left = number
        try:
            await three.apply()
        except Cut:
            steps.left = None
            await three.vanish()
            three.start()
            assert await three.agent.refresh()
            assert await left_over(three) == [], f"after a cut at step {number}"
            assert await three.agent.examine() == []
            await three.apply()
            assert await left_over(three) == []
        else:
            break
    steps.left = None
    assert number >= 7  # ledger, flows, connections, two taps, the database, an address
    assert await three.guests["p1"].pings("10.0.0.12", 1) == 0


async def test_doctor_finds_what_a_hand_has_changed_and_repairs_it(three: Any) -> None:
    paths, bridge = three.dataplane.paths, three.dataplane.bridge
    assert await three.agent.examine() == []
    stray = "tapkstray"
    devices.ensure_tap(stray, three.dataplane.names.mark, 1450)
    control = ("ovs-vsctl", f"--db=unix:{paths.database_socket}")
    await daemon.run(
        paths, *control, "add-port", bridge, "byhand", "--", "set", "interface", "byhand",
        "type=internal",
    )  # fmt: skip
    place = f"unix:{paths.bridge_socket(bridge)}"
    flows = ("ovs-ofctl", "-OOpenFlow13")
    await daemon.run(
        paths, *flows, "add-flow", place, "table=0,priority=999,in_port=77,actions=drop"
    )
    number = three.agent.fabric.numbers["port/p1"]
    await daemon.run(paths, *flows, "del-flows", place, f"table=0,in_port={number}")
    assert {port.interface for port in await three.agent.list_ports() if not port.id} == {
        stray,
        "byhand",
    }
    found = {(f.kind, f.subject, f.repaired) for f in await three.agent.examine()}
    assert found == {
        ("orphan_flow", "nobody", False),
        ("missing_flow", "port/p1", False),
        ("orphan_device", stray, False),
        ("orphan_device", "byhand", False),
    }
    status, _ = await three.guests["p2"].run("ping", "-n", "-c1", "-W1", "10.0.0.11")
    assert status != 0
    repaired = await three.agent.examine(repair=True)
    assert {(f.kind, f.subject) for f in repaired if f.repaired} == {f[:2] for f in found}
    assert await three.agent.examine() == []
    stream = await Pings.start("10.0.0.12", three.guests["p1"].netns)
    assert await stream.stop() == []
