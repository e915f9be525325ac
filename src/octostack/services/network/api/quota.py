# SPDX-License-Identifier: Apache-2.0
"""Limits of a project: claimed within a create's transaction, shown and set by operators."""

from typing import Any

from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import bad
from octostack.services.network.store import others, rows

COUNTED: dict[str, type[Any]] = {
    "network": nouns.Network,
    "subnet": nouns.Subnet,
    "subnetpool": nouns.SubnetPool,
    "port": nouns.Port,
    "router": nouns.Router,
    "floatingip": nouns.FloatingIp,
    "security_group": nouns.SecurityGroup,
    "security_group_rule": nouns.SecurityGroupRule,
    "rbac_policy": nouns.RbacPolicy,
}
DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
}


async def limits(op: Op, project_id: str) -> dict[str, int]:
    """Every limit of a project; -1 is none."""
    return {**op.app.quotas, **await others.limits_of(op.tx, project_id)}


async def claim(op: Op, resource: str, project_id: str, more: int = 1) -> None:
    """Refuse what would pass the project's limit. Raises OverQuota."""
    limit = (await limits(op, project_id))[resource]
    if limit >= 0 and await rows.count(op.tx, COUNTED[resource], project_id) + more > limit:
        raise fault("OverQuota", overs=[resource])


async def show(app: App, req: Request) -> Any:
    """``GET /quotas/{id}``: the limits of a project."""
    project_id = req.params["id"]
    _authorize(req, "get_quota", project_id)
    async with app.db.read() as tx:
        return {"quota": await limits(Op(app, tx, req.caller), project_id)}


async def show_default(app: App, req: Request) -> Any:
    """``GET /quotas/{id}/default``: what a project has for which nothing was set."""
    _authorize(req, "get_quota", req.params["id"])
    return {"quota": dict(app.quotas)}


async def show_details(app: App, req: Request) -> Any:
    """``GET /quotas/{id}/details.json``: limits with what is used of them."""
    project_id = req.params["id"]
    _authorize(req, "get_quota", project_id)
    async with app.db.read() as tx:
        limit = await limits(Op(app, tx, req.caller), project_id)
        used = {name: await rows.count(tx, noun, project_id) for name, noun in COUNTED.items()}
    return {
        "quota": {
            name: {"limit": limit[name], "used": used[name], "reserved": 0} for name in COUNTED
        }
    }


async def list_all(app: App, req: Request) -> Any:
    """``GET /quotas``: the projects that have limits of their own; for operators."""
    _authorize(req, "get_quota", "")
    if not req.caller.is_admin:
        raise fault("PolicyNotAuthorized", action="get_quota")
    async with app.db.read() as tx:
        found = await others.all_limits(tx)
    return {
        "quotas": [
            {"project_id": project_id, "tenant_id": project_id, **app.quotas, **limit}
            for project_id, limit in sorted(found.items())
        ]
    }


async def show_tenant(_app: App, req: Request) -> Any:
    """``GET /quotas/tenant``: whose limits the caller's token would show."""
    req.authorized = True
    if not req.caller.project_id:
        raise fault("QuotaMissingTenant")
    return {"tenant": {"tenant_id": req.caller.project_id}}


async def update(app: App, req: Request) -> Any:
    """``PUT /quotas/{id}``."""
    project_id = req.params["id"]
    _authorize(req, "update_quota", project_id)
    body = req.body if isinstance(req.body, dict) else {}
    given = body.get("quota")
    if not isinstance(given, dict):
        raise bad("Unable to find 'quota' in request body", "quota")
    given = {k: v for k, v in given.items() if k not in ("tenant_id", "project_id")}
    wanted = {}
    for name, value in given.items():
        if name not in COUNTED and name not in ("force", "check_limit"):
            raise bad(f"Unrecognized attribute(s) '{name}'", name)
        if name in COUNTED:
            wanted[name] = _limit(name, value)
    async with app.db.write() as tx:
        if given.get("check_limit") is True and given.get("force") is not True:
            await _check_used(tx, project_id, wanted)
        await others.set_limits(tx, project_id, wanted)
        return {"quota": await limits(Op(app, tx, req.caller), project_id)}


async def delete(app: App, req: Request) -> None:
    """``DELETE /quotas/{id}``: back to the defaults."""
    project_id = req.params["id"]
    _authorize(req, "delete_quota", project_id)
    async with app.db.write() as tx:
        if not await others.drop_limits(tx, project_id):
            raise fault("TenantQuotaNotFound", tenant_id=project_id)


async def _check_used(tx: Tx, project_id: str, wanted: dict[str, int]) -> None:
    """Refuse limits below what is used. Raises Conflict."""
    unders = [
        name
        for name, limit in wanted.items()
        if 0 <= limit < await rows.count(tx, COUNTED[name], project_id)
    ]
    if unders:
        raise fault("InvalidQuotaValue", unders=unders)


def _limit(name: str, value: Any) -> int:
    try:
        return types.between(-1, types.INT_MAX)(value)  # type: ignore[no-any-return]
    except ValueError as e:
        raise bad(f"Invalid input for {name}. Reason: {e}.", name) from e


def _authorize(req: Request, rule: str, project_id: str) -> None:
    if not req.allowed(rule, owned(project_id)):
        raise fault("PolicyNotAuthorized", action=rule)
