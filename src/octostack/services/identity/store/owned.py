# SPDX-License-Identifier: Apache-2.0
"""What goes with a domain or a project that goes."""

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.store import tables


async def delete_people(tx: Tx, domain_id: str) -> list[str]:
    """The users, groups and roles of a domain; returns the ids of users and groups."""
    actors: list[str] = []
    for table in (tables.users, tables.groups):
        here = table.c.domain_id == domain_id
        actors += [row.id for row in await tx.all(sa.select(table.c.id).where(here))]
        await tx.run(sa.delete(table).where(here))
    await tx.run(sa.delete(tables.roles).where(tables.roles.c.domain_id == domain_id))
    return actors


async def delete_limits(tx: Tx, ids: list[str]) -> None:
    """The limits and credentials of projects and domains."""
    limits, credentials = tables.limits.c, tables.credentials.c
    own = sa.or_(limits.project_id.in_(ids), limits.domain_id.in_(ids))
    await tx.run(sa.delete(tables.limits).where(own))
    await tx.run(sa.delete(tables.credentials).where(credentials.project_id.in_(ids)))
    users = tables.users
    stale = users.c.default_project_id.in_(ids)
    await tx.run(sa.update(users).where(stale).values(default_project_id=None))
