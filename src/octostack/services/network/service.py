# SPDX-License-Identifier: Apache-2.0
"""The network service put together."""

import msgspec

from octostack.contracts.compute import Compute, Finding
from octostack.contracts.identity import Identity
from octostack.contracts.network import Network
from octostack.contracts.network_agent import NetworkAgent
from octostack.runtime.http import Api, Inner
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service
from octostack.services.network import policy, routes
from octostack.services.network.api import bootstrap, quota
from octostack.services.network.api.app import App
from octostack.services.network.api.contract import NetworkCalls
from octostack.services.network.core.segments import Fabric as Offer
from octostack.services.network.loops import doctor
from octostack.services.network.loops.bindings import Bindings
from octostack.services.network.loops.fabric import Fabric
from octostack.services.network.loops.gateways import Gateways
from octostack.services.network.store import migrations, tables

OPERATORS_PROJECT = "admin"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator's choices.

    `quotas` are what a project has for which nothing else was set; -1 is no limit. `first` is
    made in a cloud that has no networks yet.
    """

    vni_first: int = 1
    vni_last: int = 65535
    vlan_first: int = 1
    vlan_last: int = 4094
    physical_networks: tuple[str, ...] = ("public",)
    underlay_mtu: int = 1500
    quotas: dict[str, int] = {}
    first: bootstrap.First = bootstrap.First()


async def build(runtime: Runtime, config: Config) -> Service:
    """Routes, the contract served, and the loops that carry rows out."""
    db = await runtime.database("network", tables.metadata, migrations.MIGRATIONS)
    checker = runtime.policy("network", policy.RULES)
    limits = {**quota.DEFAULTS, **config.quotas}
    loops: dict[str, Loop] = {}

    def wake() -> None:
        loops["gateways"].wake()
        loops["fabric"].wake()

    def tell() -> None:
        loops["bindings"].wake()

    app = App(db, checker, _offer(config), limits, wake, tell)

    def wake_in(delay_s: float) -> None:
        loops["fabric"].wake_in(delay_s)

    def agent(host: str) -> NetworkAgent:
        return runtime.bus.stub(NetworkAgent, instance=host)

    async def examine(repair: bool) -> list[Finding]:
        return await doctor.examine(app, agent, repair=repair)

    fabric = Fabric(app, agent, wake_in)
    bindings = Bindings(app, runtime.bus.stub(Compute))
    loops |= {
        "gateways": Loop("network.gateways", Gateways(app).work, every_s=15.0),
        "fabric": Loop("network.fabric", fabric.work, every_s=10.0),
        "bindings": Loop("network.bindings", bindings.work, every_s=10.0),
    }

    async def start() -> None:
        owner = await _operators(runtime.bus.stub(Identity))
        await bootstrap.make(app, config.first, owner)

    api = _api("/networking/v2.0", routes.ROUTES, app, checker)
    return Service(
        name="network",
        apis=[_api("/networking", routes.ROOT_ROUTES, app, checker), api],
        contracts=[(Network, NetworkCalls(app, Inner(api), examine), None)],
        loops=list(loops.values()),
        start=start,
    )


def _offer(config: Config) -> Offer:
    return Offer(
        vni_first=config.vni_first,
        vni_last=config.vni_last,
        vlan_first=config.vlan_first,
        vlan_last=config.vlan_last,
        physical_networks=config.physical_networks,
        underlay_mtu=config.underlay_mtu,
    )


def _api(prefix: str, table: tuple[object, ...], app: App, checker: object) -> Api:
    return Api(
        name="network",
        prefix=prefix,
        routes=table,  # type: ignore[arg-type]
        faults=routes.faults,
        app=app,
        policy=checker,  # type: ignore[arg-type]
    )


async def _operators(identity: Identity) -> str:
    """The project that owns what the cloud has from the first."""
    for project_id in await identity.list_project_ids():
        project = await identity.get_project(project_id)
        if project.name == OPERATORS_PROJECT and project.domain_id == "default":
            return project_id
    return ""
