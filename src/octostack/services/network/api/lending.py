# SPDX-License-Identifier: Apache-2.0
"""Who else may use something: RBAC policies, and the ``shared`` attribute that stands for one.

``shared`` is true where a policy lends the thing to the caller's project or to everybody; setting
it makes or removes the policy for everybody. A policy may not go while somebody relies on it.
"""

from collections.abc import Sequence
from typing import Any

from octostack.base.errors import Conflict
from octostack.services.network.api.app import Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.others import RBAC_POLICIES
from octostack.services.network.schema.resource import invalid, to_fields
from octostack.services.network.store import filters, groups, networks, routers, rows
from octostack.services.network.store import ports as port_rows

_NOUNS: dict[str, type[Any]] = {
    "network": nouns.Network,
    "security_group": nouns.SecurityGroup,
    "subnetpool": nouns.SubnetPool,
    "address_scope": nouns.AddressScope,
}
_ACTIONS = {"network": (filters.SHARED, filters.EXTERNAL)}


async def lend(op: Op, kind: str, row: Any, action: str, target: str = "*") -> nouns.RbacPolicy:
    """A new policy on a row; to everybody unless a project is named. Raises Conflict."""
    policy: nouns.RbacPolicy = op.fresh(
        nouns.RbacPolicy,
        project_id=row.project_id,
        object_type=kind,
        object_id=row.id,
        target_project=target,
        action=action,
    )
    known = await networks.policies_of(op.tx, row.id, action)
    if any(other.target_project == target for other in known):
        raise fault("DuplicateRbacPolicy")
    await rows.insert(op.tx, policy)
    return policy


async def take_back(op: Op, object_id: str, action: str, target: str | None = None) -> None:
    """Remove the policies of an action on an object, of one target if it is named."""
    for policy in await networks.policies_of(op.tx, object_id, action):
        if target is None or policy.target_project == target:
            await rows.delete(op.tx, policy)


async def shared_extras(op: Op, kind: str, found: Sequence[Any]) -> list[Values]:
    """The ``shared`` attribute of each row."""
    lent = await networks.lent(op.tx, kind, op.caller.project_id)
    return [{"shared": row.id in lent} for row in found]


async def shared_targets(op: Op, kind: str, found: Sequence[Any]) -> list[Values]:
    """Owner, and whether the caller has it by sharing."""
    lent = await networks.lent(op.tx, kind, op.caller.project_id)
    return [{**owned(row.project_id), "shared": row.id in lent} for row in found]


async def check_unused(op: Op, network: nouns.Network) -> None:
    """Refuse to unshare a network from everybody while projects rely on that. Raises Conflict."""
    users = await port_rows.foreign_projects(op.tx, network.id, network.project_id)
    for policy in await networks.policies_of(op.tx, network.id, filters.SHARED):
        users.discard(policy.target_project)
    if users:
        raise fault("InvalidSharedSetting", network=network.id)


async def create(op: Op, values: Values) -> nouns.RbacPolicy:
    """A policy on something of the caller's own."""
    fields = to_fields(RBAC_POLICIES, values)
    kind, id_ = fields["object_type"], fields["object_id"]
    known = _ACTIONS.get(kind, (filters.SHARED,))
    if fields["action"] not in known:
        raise invalid(f"Invalid action '{fields['action']}' for object type '{kind}'. Valid "
                      f"actions: {', '.join(known)}")  # fmt: skip
    row = await rows.find(op.tx, _NOUNS[kind], id_)
    if row is None or not _may_see(op, row):
        raise fault("RbacPolicyNotFound", object_type=kind, id=id_)
    if row.project_id != op.caller.project_id and not op.caller.is_admin:
        raise invalid(f"Only admins can manipulate policies on {kind}s they do not own")
    if getattr(row, "is_default", False) and kind == "security_group":
        raise invalid("A default security group cannot be shared")
    policy: nouns.RbacPolicy = op.fresh(nouns.RbacPolicy, **fields)
    others = await networks.policies_of(op.tx, id_, policy.action)
    if any(other.target_project == policy.target_project for other in others):
        raise fault("DuplicateRbacPolicy")
    await rows.insert(op.tx, policy)
    if policy.action == filters.EXTERNAL and not row.external:
        changed = op.stamped(row, external=True)
        await rows.update(op.tx, row, changed)
    return policy


def _may_see(op: Op, row: Any) -> bool:
    return op.sees_all or row.project_id == op.caller.project_id


async def update(op: Op, policy: nouns.RbacPolicy, values: Values) -> nouns.RbacPolicy:
    """Another target, unless the present one relies on the policy."""
    fields = to_fields(RBAC_POLICIES, values)
    if fields.get("target_project", policy.target_project) == policy.target_project:
        return policy
    await _check_idle(op, policy, keep=fields["target_project"])
    try:
        changed: nouns.RbacPolicy = op.stamped(policy, **fields)
        return await rows.update(op.tx, policy, changed)
    except Conflict as e:
        raise fault("DuplicateRbacPolicy") from e


async def delete(op: Op, policy: nouns.RbacPolicy) -> None:
    """Remove a policy that nobody relies on."""
    await _check_idle(op, policy)
    await rows.delete(op.tx, policy)
    others = await networks.policies_of(op.tx, policy.object_id, filters.EXTERNAL)
    if policy.action == filters.EXTERNAL and not others:
        network = await rows.find(op.tx, nouns.Network, policy.object_id)
        if network is not None and network.external:
            await rows.update(op.tx, network, op.stamped(network, external=False))


async def _check_idle(op: Op, policy: nouns.RbacPolicy, keep: str = "") -> None:
    """Refuse where a project uses the object by this policy alone. Raises Conflict."""
    used = await _users(op, policy)
    others = await networks.policies_of(op.tx, policy.object_id, policy.action)
    targets = {other.target_project for other in others if other.id != policy.id} | {keep}
    if "*" in targets:
        return
    relying = used - targets
    if policy.target_project != "*":
        relying &= {policy.target_project}
    if relying:
        details = f"{policy.object_type} is in use by project(s) {', '.join(sorted(relying))}"
        raise fault("RbacPolicyInUse", object_id=policy.object_id, details=details)


async def _users(op: Op, policy: nouns.RbacPolicy) -> set[str]:
    """Projects other than the owner that use the object in the way of the policy."""
    id_ = policy.object_id
    row = await rows.find(op.tx, _NOUNS[policy.object_type], id_)
    if row is None:
        return set()
    if policy.action == filters.EXTERNAL:
        found = {router.project_id for router in await routers.with_gateway_to(op.tx, id_)}
    elif policy.object_type == "network":
        found = await port_rows.foreign_projects(op.tx, id_, row.project_id)
    elif policy.object_type == "security_group":
        members = await port_rows.of_group(op.tx, id_)
        naming = await groups.naming(op.tx, id_)
        found = {port.project_id for port in members} | {rule.project_id for rule in naming}
    elif policy.object_type == "subnetpool":
        found = {subnet.project_id for subnet in await networks.of_pool(op.tx, id_)}
    else:
        found = {pool.project_id for pool in await networks.pools_of_scope(op.tx, id_)}
    return found - {row.project_id}


async def new_target(_op: Op, values: Values) -> Values:
    """Owner and target, as the rules against lending to everybody ask."""
    return {**owned(values["project_id"]), "target_project": values.get("target_tenant")}


THING = Behaviour(
    resource=RBAC_POLICIES,
    missing=("RbacPolicyNotFound", "id"),
    create=create,
    update=update,
    delete=delete,
    new_target=new_target,
    quota="rbac_policy",
)
