# SPDX-License-Identifier: Apache-2.0
"""Security groups and rules, and the default group that every project has."""

from collections.abc import Sequence
from typing import Any

from octostack.base.errors import Conflict
from octostack.contracts.identity import Caller
from octostack.services.network.api import lending
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.core import rules
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.groups import (
    DEFAULT_RULES,
    SECURITY_GROUP_RULES,
    SECURITY_GROUPS,
)
from octostack.services.network.schema.resource import to_fields
from octostack.services.network.store import groups, networks, ports, rows


async def ensure_default(op: Op, project_id: str) -> str:
    """The id of the project's default group, made when it is asked for first."""
    known = await groups.default_of(op.tx, project_id)
    if known is not None:
        return known
    group: nouns.SecurityGroup = op.fresh(
        nouns.SecurityGroup,
        project_id=project_id,
        name="default",
        description="Default security group",
        is_default=True,
    )
    await rows.insert(op.tx, group)
    await _inherit(op, group)
    await groups.set_default(op.tx, project_id, group.id)
    return group.id


async def ensure_listed(app: App, caller: Caller) -> None:
    """Before a list: the caller's project has its default group."""
    if not caller.project_id:
        return
    async with app.db.read() as tx:
        known = await groups.default_of(tx, caller.project_id)
    if known is None:
        try:
            async with app.db.write() as tx:
                await ensure_default(Op(app, tx, caller), caller.project_id)
        except Conflict as e:
            if e.code != "db.duplicate":  # another request has just made it
                raise


async def _inherit(op: Op, group: nouns.SecurityGroup) -> None:
    for fields in rules.inherited(await groups.templates(op.tx), group):
        await rows.insert(op.tx, op.fresh(nouns.SecurityGroupRule, **fields))


async def check_usable(op: Op, ids: Sequence[str], project_id: str) -> None:
    """Refuse a group that a project's port may not be in. Raises NotFound."""
    usable = await groups.usable(op.tx, ids, project_id)
    if not usable.issuperset(ids) and op.caller.is_admin:
        usable |= set(await rows.by_ids(op.tx, nouns.SecurityGroup, ids))
    for id_ in ids:
        if id_ not in usable:
            raise fault("SecurityGroupNotFound", id=id_)


async def create(op: Op, values: Values) -> nouns.SecurityGroup:
    """A group with the rules that new groups start with."""
    await ensure_default(op, values["project_id"])
    group: nouns.SecurityGroup = op.fresh(nouns.SecurityGroup, **to_fields(SECURITY_GROUPS, values))
    await rows.insert(op.tx, group)
    await _inherit(op, group)
    return group


async def update(op: Op, group: nouns.SecurityGroup, values: Values) -> nouns.SecurityGroup:
    """Change a group; the default one keeps its name."""
    fields = to_fields(SECURITY_GROUPS, values)
    if group.is_default and fields.get("name", group.name) != group.name:
        raise fault("SecurityGroupCannotUpdateDefault")
    stateful = fields.get("stateful", group.stateful)
    if stateful != group.stateful and await ports.group_is_used(op.tx, group.id):
        raise fault("SecurityGroupInUse", id=group.id, reason="in use")
    changed: nouns.SecurityGroup = op.stamped(group, **fields)
    return await rows.update(op.tx, group, changed)


async def delete(op: Op, group: nouns.SecurityGroup) -> None:
    """Remove a group that no port is in; a default one only by an operator."""
    if group.is_default and not op.caller.is_admin:
        raise fault("SecurityGroupCannotRemoveDefault")
    if await ports.group_is_used(op.tx, group.id):
        raise fault("SecurityGroupInUse", id=group.id, reason="in use")
    for rule in await groups.naming(op.tx, group.id):
        await rows.delete(op.tx, rule)
        await rows.note(op.tx, nouns.SecurityGroup, rule.security_group_id)
    await networks.drop_policies(op.tx, group.id)
    await rows.delete(op.tx, group)


async def extras(op: Op, found: Sequence[nouns.SecurityGroup]) -> list[Values]:
    """The group's rules, and whether it is shared."""
    by_group = await groups.rules_of(op.tx, [group.id for group in found])
    shared = await lending.shared_extras(op, "security_group", found)
    names = {group.id: group for group in found}
    return [
        {
            **more,
            "security_group_rules": [_rule(r, names[r.security_group_id]) for r in by_group[g.id]],
        }
        for g, more in zip(found, shared, strict=True)
    ]


def _rule(rule: nouns.SecurityGroupRule, group: nouns.SecurityGroup) -> Values:
    return {**SECURITY_GROUP_RULES.view(rule), **_rule_extras(rule, group)}


def _rule_extras(rule: nouns.SecurityGroupRule, group: nouns.SecurityGroup) -> Values:
    return {
        "normalized_cidr": rules.network_of(rule.remote_ip_prefix),
        "remote_address_group_id": None,
        "belongs_to_default_sg": group.is_default,
    }


async def targets(op: Op, found: Sequence[nouns.SecurityGroup]) -> list[Values]:
    """Owner, and whether the caller has it by sharing."""
    return await lending.shared_targets(op, "security_group", found)


async def create_rule(op: Op, values: Values) -> nouns.SecurityGroupRule:
    """A rule that its group does not have yet."""
    fields = to_fields(SECURITY_GROUP_RULES, values)
    rules.check(fields)
    remote = fields["remote_group_id"]
    if remote and remote not in await groups.usable(op.tx, [remote], fields["project_id"]):
        raise fault("SecurityGroupNotFound", id=remote)
    rule: nouns.SecurityGroupRule = op.fresh(nouns.SecurityGroupRule, **fields)
    known = (await groups.rules_of(op.tx, [rule.security_group_id]))[rule.security_group_id]
    same = rules.find_same(rule, known)
    if same:
        raise fault("SecurityGroupRuleExists", rule_id=same)
    await rows.insert(op.tx, rule)
    await _touch(op, rule.security_group_id)
    return rule


async def _touch(op: Op, group_id: str) -> None:
    """A group whose rules change is at its next revision, and hosts hear of it."""
    group = await rows.find(op.tx, nouns.SecurityGroup, group_id)
    if group is not None:
        await rows.update(op.tx, group, op.bumped(group))


async def delete_rule(op: Op, rule: nouns.SecurityGroupRule) -> None:
    """Remove a rule."""
    await rows.delete(op.tx, rule)
    await _touch(op, rule.security_group_id)


async def rule_extras(op: Op, found: Sequence[nouns.SecurityGroupRule]) -> list[Values]:
    """What a rule shows of its group."""
    by_id = await rows.by_ids(
        op.tx, nouns.SecurityGroup, [rule.security_group_id for rule in found]
    )
    return [_rule_extras(rule, by_id[rule.security_group_id]) for rule in found]


async def rule_targets(op: Op, found: Sequence[nouns.SecurityGroupRule]) -> list[Values]:
    """Owner of the rule and of its group."""
    by_id = await rows.by_ids(
        op.tx, nouns.SecurityGroup, [rule.security_group_id for rule in found]
    )
    return [
        {
            **owned(rule.project_id),
            "security_group:project_id": by_id[rule.security_group_id].project_id,
        }
        for rule in found
    ]


async def new_rule_target(op: Op, values: Values) -> Values:
    """Owner of the group. Raises NotFound for a group the caller cannot see."""
    id_ = values["security_group_id"]
    group = await rows.find(op.tx, nouns.SecurityGroup, id_)
    mine = group is not None and group.project_id == op.caller.project_id
    if group is None or not (op.sees_all or mine):
        raise fault("SecurityGroupNotFound", id=id_)
    return {**owned(values["project_id"]), "security_group:project_id": group.project_id}


def check_bulk_rules(parsed: list[Values]) -> None:
    """Rules of one create belong to one group and one project, each once. Raises Invalid."""
    if len({values["security_group_id"] for values in parsed}) > 1:
        raise fault("SecurityGroupNotSingleGroupRules")
    if len({values["project_id"] for values in parsed}) > 1:
        raise fault("SecurityGroupRulesNotSingleProject")
    seen: list[Any] = []
    for values in parsed:
        draft = nouns.SecurityGroupRule(id="", **to_fields(SECURITY_GROUP_RULES, values))
        same = rules.identity(draft)
        if same in seen:
            raise fault("DuplicateSecurityGroupRuleInPost")
        seen.append(same)


async def create_template(op: Op, values: Values) -> nouns.DefaultRule:
    """A rule that new groups start with."""
    fields = to_fields(DEFAULT_RULES, values)
    rules.check(fields)
    rule: nouns.DefaultRule = op.fresh(nouns.DefaultRule, **fields)
    same = rules.find_same(rule, await groups.templates(op.tx))
    if same:
        raise fault("DefaultSecurityGroupRuleExists", rule_id=same)
    await rows.insert(op.tx, rule)
    return rule


async def delete_template(op: Op, rule: nouns.DefaultRule) -> None:
    """New groups do not start with this rule any more."""
    await rows.delete(op.tx, rule)


async def template_extras(_op: Op, found: Sequence[nouns.DefaultRule]) -> list[Values]:
    """What a rule of a group would show."""
    return [{"remote_address_group_id": None} for _ in found]


GROUPS = Behaviour(
    resource=SECURITY_GROUPS,
    missing=("SecurityGroupNotFound", "id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    targets=targets,
    quota="security_group",
    before_list=ensure_listed,
)
RULES = Behaviour(
    resource=SECURITY_GROUP_RULES,
    missing=("SecurityGroupRuleNotFound", "id"),
    create=create_rule,
    delete=delete_rule,
    extras=rule_extras,
    targets=rule_targets,
    new_target=new_rule_target,
    quota="security_group_rule",
    check_bulk=check_bulk_rules,
)
TEMPLATES = Behaviour(
    resource=DEFAULT_RULES,
    missing=("DefaultSecurityGroupRuleNotFound", "id"),
    create=create_template,
    delete=delete_template,
    extras=template_extras,
)
