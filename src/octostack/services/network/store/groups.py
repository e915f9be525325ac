# SPDX-License-Identifier: Apache-2.0
"""Security groups: their rules, and the default group of a project."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.network.model import nouns
from octostack.services.network.store import filters, rows, tables

_g = tables.security_groups.c
_r = tables.security_group_rules.c
_d = tables.default_groups.c


async def rules_of(tx: Tx, group_ids: Iterable[str]) -> dict[str, list[nouns.SecurityGroupRule]]:
    """Group to its rules."""
    wanted = list(group_ids)
    found: dict[str, list[nouns.SecurityGroupRule]] = {id_: [] for id_ in wanted}
    for rule in await rows.by_column(tx, nouns.SecurityGroupRule, "security_group_id", wanted):
        found[rule.security_group_id].append(rule)
    return found


async def default_of(tx: Tx, project_id: str) -> str | None:
    """The id of a project's default group, if it was made."""
    found: str | None = await tx.scalar(
        sa.select(_d.security_group_id).where(_d.project_id == project_id)
    )
    return found


async def set_default(tx: Tx, project_id: str, group_id: str) -> None:
    """Note a project's default group. Raises Conflict (``db.duplicate``) when it has one."""
    await tx.run(
        sa.insert(tables.default_groups),
        [{"project_id": project_id, "security_group_id": group_id}],
    )


async def usable(tx: Tx, group_ids: Sequence[str], project_id: str) -> set[str]:
    """Those of the groups that a project's ports may be in: its own and those lent to it."""
    stmt = sa.select(_g.id).where(
        _g.id.in_(group_ids), filters.visible(nouns.SecurityGroup, project_id)
    )
    return {row[0] for row in await rows.values(tx, stmt)}


async def named(tx: Tx, project_id: str, name: str) -> list[nouns.SecurityGroup]:
    """A project's groups of that id or name."""
    return await rows.select(
        tx,
        nouns.SecurityGroup,
        filters.visible(nouns.SecurityGroup, project_id),
        sa.or_(_g.id == name, _g.name == name),
    )


async def of_project(tx: Tx, project_id: str) -> list[nouns.SecurityGroup]:
    """The groups a project may use, oldest first."""
    return await rows.select(
        tx,
        nouns.SecurityGroup,
        filters.visible(nouns.SecurityGroup, project_id),
        order=(_g.created_at, _g.id),
    )


async def templates(tx: Tx) -> list[nouns.DefaultRule]:
    """The rules that new groups start with."""
    c = tables.default_rules.c
    return await rows.select(tx, nouns.DefaultRule, order=(c.created_at, c.id))


async def naming(tx: Tx, group_id: str) -> list[nouns.SecurityGroupRule]:
    """The rules of any group that name this one as their remote."""
    return await rows.select(tx, nouns.SecurityGroupRule, _r.remote_group_id == group_id)
