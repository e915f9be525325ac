# SPDX-License-Identifier: Apache-2.0
"""Limits that differ from the defaults: of a project, of a user in it, of the default class."""

import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.compute.core import quota
from octostack.services.compute.store.api_db.tables import quotas

DEFAULT_CLASS = "class:default"
_OF_PROJECT = sa.select(
    quotas.c.project_id, quotas.c.user_id, quotas.c.resource, quotas.c.hard_limit
).where(
    sa.or_(
        quotas.c.project_id == DEFAULT_CLASS,
        sa.and_(
            quotas.c.project_id == sa.bindparam("for_project"),
            sa.or_(quotas.c.user_id == "", quotas.c.user_id == sa.bindparam("for_user")),
        ),
    )
)


async def effective(
    tx: Tx, project_id: str, user_id: str = "", base: dict[str, int] | None = None
) -> dict[str, int]:
    """Every limit, from the most particular place that names it."""
    rows = await tx.all(_OF_PROJECT, {"for_project": project_id, "for_user": user_id})
    limits = dict(quota.DEFAULTS if base is None else base)
    for row in sorted(rows, key=lambda r: (r.project_id != DEFAULT_CLASS, r.user_id != "")):
        limits[row.resource] = row.hard_limit
    return limits


async def put(tx: Tx, project_id: str, user_id: str, limits: dict[str, int]) -> None:
    """Set some limits."""
    c = quotas.c
    await tx.run(
        sa.delete(quotas).where(
            c.project_id == project_id, c.user_id == user_id, c.resource.in_(list(limits))
        )
    )
    await tx.run(
        sa.insert(quotas),
        [
            {"project_id": project_id, "user_id": user_id, "resource": r, "hard_limit": n}
            for r, n in limits.items()
        ],
    )


async def delete(tx: Tx, project_id: str, user_id: str | None = None) -> None:
    """Back to the defaults: of one user, or of the project with all its users."""
    c = quotas.c
    stmt = sa.delete(quotas).where(c.project_id == project_id)
    await tx.run(stmt.where(c.user_id == user_id) if user_id is not None else stmt)
