# SPDX-License-Identifier: Apache-2.0
"""Projects and domains beyond a row: the tree and the tags."""

from collections.abc import Mapping

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.model import Project
from octostack.services.identity.store import rows, tables

_tags = tables.project_tags


async def get_domain(tx: Tx, domain_id: str) -> Project:
    """The domain of that id. Raises NotFound, also for a project's id."""
    found = await rows.find(tx, rows.PROJECTS, domain_id)
    if found is None or not found.is_domain:
        raise rows.missing(rows.Kind(tables.projects, Project, "domain"), domain_id)
    return found


async def list_above(
    tx: Tx, project: Project, known: Mapping[str, Project] | None = None
) -> list[Project]:
    """From the direct parent up to the domain; those `known` are not read again."""
    found: list[Project] = []
    parent_id = project.parent_id
    while parent_id is not None:
        parent = (known or {}).get(parent_id) or await rows.find(tx, rows.PROJECTS, parent_id)
        if parent is None:
            break
        found.append(parent)
        parent_id = parent.parent_id
    return found


async def by_id(tx: Tx, domain_id: str | None = None) -> dict[str, Project]:
    """Every project and domain, or those of one domain with itself."""
    stmt = sa.select(tables.projects)
    if domain_id is not None:
        c = tables.projects.c
        stmt = stmt.where(sa.or_(c.domain_id == domain_id, c.id == domain_id))
    found = [rows.from_row(rows.PROJECTS, row) for row in await tx.all(stmt)]
    return {project.id: project for project in found}


async def delete_many(tx: Tx, ids: list[str]) -> None:
    """Projects (or a domain) with all rows that refer to them by key."""
    await tx.run(sa.delete(tables.projects).where(tables.projects.c.id.in_(ids)))


async def tags(tx: Tx, project_ids: list[str] | None = None) -> dict[str, list[str]]:
    """Project id: its tags, sorted."""
    stmt = sa.select(_tags).order_by(_tags.c.name)
    if project_ids is not None:
        stmt = stmt.where(_tags.c.project_id.in_(project_ids))
    found: dict[str, list[str]] = {}
    for row in await tx.all(stmt):
        found.setdefault(row.project_id, []).append(row.name)
    return found


async def set_tags(tx: Tx, project_id: str, names: list[str]) -> None:
    """Exactly these tags."""
    await tx.run(sa.delete(_tags).where(_tags.c.project_id == project_id))
    if names:
        await tx.run(
            sa.insert(_tags), [{"project_id": project_id, "name": name} for name in set(names)]
        )
