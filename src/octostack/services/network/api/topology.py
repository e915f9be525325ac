# SPDX-License-Identifier: Apache-2.0
"""A network for who has none: made when first asked for, with a subnet and a router outside."""

from typing import Any

from octostack.runtime.http import Request
from octostack.services.network.api import networks, plumbing, quota, routers, subnets
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.networks import NETWORKS
from octostack.services.network.schema.routers import ROUTERS
from octostack.services.network.schema.subnets import SUBNETS
from octostack.services.network.store import networks as network_rows
from octostack.services.network.store import others, rows
from octostack.services.network.store import routers as router_rows

NAME = "auto_allocated"


async def show(app: App, req: Request) -> Any:
    """``GET /auto-allocated-topology/{id}``; with ``fields=dry-run`` only whether it can be."""
    project_id = _project(req, "get_auto_allocated_topology")
    if "dry-run" in req.query.all("fields"):
        async with app.db.read() as tx:
            await check(Op(app, tx, req.caller))
        answer: dict[str, Any] = {"id": "dry-run=pass", **owned(project_id)}
        return {"auto_allocated_topology": answer}
    async with app.db.write() as tx:
        network_id = await ensure(Op(app, tx, req.caller), project_id)
        tx.after_commit(app.wake)
    return {"auto_allocated_topology": {"id": network_id, **owned(project_id)}}


async def delete(app: App, req: Request) -> None:
    """``DELETE /auto-allocated-topology/{id}``."""
    project_id = _project(req, "delete_auto_allocated_topology")
    async with app.db.write() as tx:
        op = Op(app, tx, req.caller)
        made = await others.topology_of(tx, project_id)
        if made is None:
            return
        await _remove(op, *made)
        await others.drop_topology(tx, project_id)
        tx.after_commit(app.wake)


def _project(req: Request, rule: str) -> str:
    given = req.params["id"]
    project_id = req.caller.project_id or "" if given in ("null", "None") else given
    if not req.allowed(rule, owned(project_id)):
        raise fault("PolicyNotAuthorized", action=rule)
    return project_id


async def check(op: Op) -> nouns.Network:
    """The external network to connect to. Raises NotFound where something is missing."""
    external = await network_rows.default_external(op.tx)
    if external is None:
        raise fault("AutoAllocationFailure", reason="No default router:external network")
    if await network_rows.default_pool(op.tx, 4) is None:
        raise fault("AutoAllocationFailure", reason="No default subnetpools defined")
    return external


async def ensure(op: Op, project_id: str) -> str:
    """The id of the project's automatic network, made when it is not there."""
    made = await others.topology_of(op.tx, project_id)
    if made is not None and await rows.find(op.tx, nouns.Network, made[0]) is not None:
        return made[0]
    if made is not None:
        await others.drop_topology(op.tx, project_id)
    external = await check(op)
    for resource in ("network", "subnet", "router"):
        await quota.claim(op, resource, project_id)
    head = {"project_id": project_id, "tenant_id": project_id}
    network = await networks.create(op, NETWORKS.parse_new({**head, "name": NAME + "_network"}))
    subnet = await subnets.create(
        op,
        SUBNETS.parse_new(
            {
                **head,
                "name": NAME + "_subnet_v4",
                "network_id": network.id,
                "ip_version": 4,
                "use_default_subnetpool": True,
            }
        ),
    )
    values = ROUTERS.parse_new(
        {
            **head,
            "name": NAME + "_router",
            "external_gateway_info": {"network_id": external.id},
        }
    )
    router = await routers.create(op, values)
    await routers.connect(op, router, subnet)
    await others.set_topology(op.tx, project_id, network.id, router.id)
    return network.id


async def _remove(op: Op, network_id: str, router_id: str) -> None:
    router = await rows.find(op.tx, nouns.Router, router_id)
    if router is not None:
        for foot in await router_rows.interfaces(op.tx, router.id):
            await plumbing.remove(op, foot)
        await routers.delete(op, router)
    network = await rows.find(op.tx, nouns.Network, network_id)
    if network is not None:
        await networks.delete(op, network)
