# SPDX-License-Identifier: Apache-2.0
"""The network agent of this machine, on Open vSwitch."""

import asyncio
import pwd
from pathlib import Path

import msgspec

from octostack.agents.network import ledger
from octostack.agents.network.agent import HEARTBEAT_S, Agent, info_of
from octostack.agents.network.metadata import Proxy
from octostack.base.errors import Invalid
from octostack.contracts.compute import Compute
from octostack.contracts.network import Network
from octostack.contracts.network_agent import NetworkAgent
from octostack.engines.sdn import devices, ovs
from octostack.engines.sdn.ovs import Outside, OvsConfig, OvsDataplane
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service
from octostack.runtime.tasks import Restart

REFRESH_S = 60.0
RETRY = Restart(pause_s=0.2, pause_max_s=15.0)
METADATA_ADDRESS, METADATA_PORT = "169.254.169.254", 80


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host's network.

    `tunnel` is this host's address for VXLAN as CIDR, `underlay` the interface that leads to the
    others (the agent moves it into its bridge); without them the host takes part in no tunnels.
    `outside` maps physical networks to what leads there. `tap_user` may open the guests' taps.
    """

    host: str
    tunnel: str = ""
    underlay: str = ""
    outside: dict[str, Outside] = msgspec.field(default_factory=lambda: {"public": Outside()})
    tap_user: str = ""
    metadata: bool = True


async def build(runtime: Runtime, config: Config) -> Service:
    """The agent, ready to serve; its switch is started by its loop."""
    dataplane = OvsDataplane(
        OvsConfig(
            host=config.host,
            state_dir=runtime.state_dir,
            tunnel=config.tunnel,
            underlay=config.underlay,
            outside=config.outside,
            tap_owner=_uid(config.tap_user),
            metadata=config.metadata,
        ),
        runtime.tasks,
    )
    agent = Agent(
        info_of(config.host, dataplane.place, dataplane.bridges, simulated=False),
        dataplane,
        ledger.open_ledger(runtime.state_dir, config.host),
        runtime.bus.stub(Network),
    )
    host = _Host(agent, dataplane, Proxy(runtime.bus.stub(Compute), agent.port_behind), runtime)
    return Service(
        name="network_agent",
        contracts=[(NetworkAgent, agent, config.host)],
        loops=host.loops,
        start=host.start,
        stop=host.stop,
        facts={"Switch": f"Open vSwitch, {dataplane.kind} datapath, bridge {dataplane.bridge}"},
    )


def _uid(user: str) -> int | None:
    if not user:
        return None
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise Invalid(f"no user {user}", code="config.value", field="tap_user") from None


class _Host:
    """The agent's own work."""

    def __init__(
        self, agent: Agent, dataplane: OvsDataplane, proxy: Proxy, runtime: Runtime
    ) -> None:
        self._agent = agent
        self._dataplane = dataplane
        self._proxy = proxy
        self._tasks = runtime.tasks
        self._listening = False
        self._leaving = False
        self._failures = 0
        self._refresh = Loop(f"network agent {agent.host}", self._work, REFRESH_S)
        self._heartbeat = Loop(f"network heartbeat {agent.host}", agent.heartbeat, HEARTBEAT_S)
        self.loops = [self._refresh, self._heartbeat]

    async def start(self) -> None:
        self._agent.fabric.start(self._tasks)
        self._tasks.start("network agent wake-ups", self._pass_on_wakes)

    async def _pass_on_wakes(self) -> None:
        while True:
            await self._agent.wake.wait()
            self._agent.wake.clear()
            self._refresh.wake()

    async def _work(self) -> None:
        if self._leaving:
            return  # what we close ourselves is not to be opened again
        if not await self._agent.refresh():
            self._failures += 1
            again = RETRY.pause(self._failures)
            asyncio.get_running_loop().call_later(again, self._refresh.wake)
            return
        self._failures = 0
        if self._dataplane.place.metadata_mac and not self._listening:
            netns = self._dataplane.names.netns
            where = (METADATA_ADDRESS, METADATA_PORT)
            listening = await asyncio.to_thread(
                devices.within, netns, lambda: devices.listener(*where)
            )
            await self._proxy.listen(listening)
            self._listening = True

    async def stop(self) -> None:
        """Leave; guests and switch go on."""
        self._leaving = True
        self._proxy.close()
        await self._dataplane.close()


async def host_stop(state_dir: Path) -> None:
    """End the switch of this machine's hosts of the cloud; ledgers and taps stay."""
    for entry in ledger.list_entries(state_dir):
        await ovs.stop(state_dir, entry.host)


async def host_remove(state_dir: Path) -> None:
    """End it and take every device away."""
    for entry in ledger.list_entries(state_dir):
        await ovs.remove(state_dir, entry.host)
