# SPDX-License-Identifier: Apache-2.0
"""The network agent on a switch in memory: generations, ledger, reports, trace."""

from pathlib import Path

import pytest

from octostack.agents.network import ledger
from octostack.agents.network.agent import Agent, info_of
from octostack.base.errors import Conflict, Invalid, NotFound, Timeout
from octostack.contracts import network as service
from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import HostIntent, IntentChange, Key, TraceRequest
from octostack.engines.sdn.core import model
from octostack.engines.sdn.simulated import SimulatedDataplane
from octostack.testing.intents import COMMON, OPEN, P1, P2, P3, SSH

pytestmark = pytest.mark.anyio

PLACE = model.Place(host="h1", tunnel_ip="192.0.2.1", physical={"public": 10})


class Listener:
    """What agents say."""

    def __init__(self) -> None:
        self.agents: list[service.AgentInfo] = []
        self.reports: list[service.HostReport] = []

    async def register_agent(self, agent: service.AgentInfo) -> None:
        self.agents.append(agent)

    async def report(self, report: service.HostReport) -> None:
        self.reports.append(report)


class Host:
    def __init__(self, state_dir: Path) -> None:
        self.listener = Listener()
        self.dataplane = SimulatedDataplane(PLACE)
        self.state_dir = state_dir
        self.agent = self.start()

    def start(self) -> Agent:
        info = info_of("h1", PLACE, {"public": "br"}, simulated=True)
        book = ledger.open_ledger(self.state_dir, "h1")
        self.agent = Agent(info, self.dataplane, book, self.listener)
        return self.agent

    async def flows(self) -> set[tuple[int, int, model.matches.Match]]:
        await self.dataplane.connect(None, model.ALL_NUMBERS)  # type: ignore[arg-type]
        assert self.dataplane.switch is not None
        return {(f.table, f.priority, f.match) for f in await self.dataplane.switch.flows()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def whole(generation: int, *items: intents.Item) -> HostIntent:
    return HostIntent(host="h1", generation=generation, items=(*COMMON, *items))


async def test_intent_becomes_flows_and_ports(host: Host) -> None:
    state = await host.agent.apply(whole(1, P1, P2))
    assert (state.generation, state.error, state.simulated) == (1, "", True)
    assert [(p.id, p.up) for p in state.ports] == [("p1", True), ("p2", True)]
    assert await host.flows() == set(host.agent.fabric.flows)


async def test_change_follows_its_base(host: Host) -> None:
    await host.agent.apply(whole(1, P1, P2))
    change = IntentChange(host="h1", base=1, generation=2, put=(P3,), drop=(Key("port", "p1"),))
    state = await host.agent.change(change)
    assert state.generation == 2
    assert {p.id for p in state.ports} == {"p2", "p3"}
    again = await host.agent.change(change)
    assert again == state
    afresh = Host(host.state_dir / "other")
    await afresh.agent.apply(whole(2, P2, P3))
    assert len(await host.flows()) == len(await afresh.flows())


async def test_change_on_another_base_is_refused(host: Host) -> None:
    await host.agent.apply(whole(3, P1))
    with pytest.raises(Conflict) as caught:
        await host.agent.change(IntentChange(host="h1", base=4, generation=5))
    assert caught.value.code == "intent.base"


async def test_older_intent_changes_nothing(host: Host) -> None:
    await host.agent.apply(whole(5, P1, P2))
    state = await host.agent.apply(whole(4))
    assert state.generation == 5
    assert len(state.ports) == 2


async def test_intent_for_another_host_is_refused(host: Host) -> None:
    with pytest.raises(Invalid):
        await host.agent.apply(HostIntent(host="h2", generation=1))


@pytest.mark.parametrize(
    "bad",
    [
        intents.LocalPort(id="x", network_id="nowhere", mac=P1.mac, interface="tapx"),
        intents.LocalPort(id="x", network_id="a", mac="fa:16", interface="tapx"),
        intents.LocalPort(id="x", network_id="a", mac=P1.mac, interface="../tapx"),
        intents.LocalPort(
            id="x", network_id="a", mac=P1.mac, interface="tapx", security_groups=("none",)
        ),
        intents.Network(id="x", vni=1 << 24),
        intents.Network(id="x"),
        intents.Subnet(id="x", network_id="a", cidr="10.0.0.0/24", dhcp_address="ten"),
    ],
)
async def test_wrong_item_is_named_and_the_old_intent_stays(host: Host, bad: intents.Item) -> None:
    await host.agent.apply(whole(1, P1))
    before = await host.flows()
    with pytest.raises(Invalid):
        await host.agent.apply(whole(2, P1, bad))
    assert await host.flows() == before
    assert (await host.agent.status()).generation == 1
    state = await host.agent.apply(whole(3, P1, P2))
    assert state.generation == 3


async def test_restarted_agent_changes_no_flow(host: Host) -> None:
    await host.agent.apply(whole(1, P1, P2, P3))
    await host.agent.change(
        IntentChange(host="h1", base=1, generation=2, drop=(Key("port", "p1"),))
    )
    before = await host.flows()
    await host.dataplane.close()
    mods: list[object] = []
    switch = host.dataplane._switch
    real = switch.change

    async def counting(wanted: list[object]) -> None:
        mods.extend(wanted)
        await real(wanted)  # type: ignore[arg-type]

    switch.change = counting  # type: ignore[method-assign, assignment]
    agent = host.start()
    await agent.refresh()
    assert mods == []
    assert await host.flows() == before
    assert (await agent.status()).applied == 2


async def test_agent_that_was_told_nothing_leaves_flows_alone(host: Host) -> None:
    await host.agent.apply(whole(1, P1))
    before = await host.flows()
    await host.dataplane.close()
    for path in ledger.directory(host.state_dir).iterdir():
        path.unlink()
    await host.start().refresh()
    assert await host.flows() == before


async def test_reports_are_sent_once(host: Host) -> None:
    await host.agent.apply(whole(1, P1))
    await host.agent.refresh()
    await host.agent.refresh()
    assert [(r.generation, r.complete, len(r.ports)) for r in host.listener.reports] == [
        (1, True, 1)
    ]


async def test_port_is_waited_for(host: Host) -> None:
    with pytest.raises(Timeout):
        await host.agent.ensure_port("p1", timeout_s=0.01)
    await host.agent.apply(whole(1, P1))
    assert (await host.agent.ensure_port("p1")).up


async def test_trace_says_where_and_why(host: Host) -> None:
    await host.agent.apply(whole(1, P1, P2, P3))
    ping = TraceRequest(port_id="p1", dst="10.0.0.12")
    found = await host.agent.trace(ping)
    assert (found.outputs, found.simulated) == (("port:p2",), True)
    assert any(step.note == "port p2" for step in found.steps)
    web = TraceRequest(port_id="p1", dst="10.0.0.12", protocol="tcp", dst_port=80)
    found = await host.agent.trace(web)
    assert found.outputs == ()
    assert "ingress_verdict" in found.verdict
    known = TraceRequest(
        port_id="p1", dst="10.0.0.12", protocol="tcp", dst_port=80, established=True
    )
    assert (await host.agent.trace(known)).outputs == ()
    outside = TraceRequest(
        from_external="public", src="172.24.4.1", dst="172.24.4.20", protocol="tcp", dst_port=22
    )
    assert (await host.agent.trace(outside)).outputs == ("port:p3",)
    assert (await host.agent.trace(TraceRequest(port_id="p1", dst="", protocol="dhcp"))).outputs
    with pytest.raises(NotFound):
        await host.agent.trace(TraceRequest(port_id="p9", dst="10.0.0.1"))


async def test_freed_numbers_are_not_given_out_again_at_once(host: Host) -> None:
    await host.agent.apply(whole(1, P1))
    first = host.agent.fabric.numbers["port/p1"]
    await host.agent.apply(whole(2))
    await host.agent.apply(whole(3, P2))
    assert host.agent.fabric.numbers["port/p2"] != first


async def test_group_that_changes_touches_only_its_flows(host: Host) -> None:
    await host.agent.apply(whole(1, P1, P2, P3))
    wider = intents.SecurityGroup(
        id="ssh", rules=(*SSH.rules, intents.Rule(direction="ingress", protocol=17))
    )
    sent: list[object] = []
    switch = host.dataplane._switch
    real = switch.change

    async def counting(wanted: list[object]) -> None:
        sent.extend(wanted)
        await real(wanted)  # type: ignore[arg-type]

    switch.change = counting  # type: ignore[method-assign, assignment]
    await host.agent.change(IntentChange(host="h1", base=1, generation=2, put=(wider, OPEN)))
    assert len(sent) == 1
