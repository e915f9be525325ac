# SPDX-License-Identifier: Apache-2.0
"""Flavors and which projects may use those that are not public."""

from typing import Any

import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.db import Page, Tx, paged
from octostack.services.compute.model import Flavor, Order
from octostack.services.compute.store.api_db.tables import flavor_access, flavors

_COLUMNS = [flavors.c[f] for f in Flavor.__struct_fields__]
SORT_KEYS = (
    "created_at", "description", "disabled", "ephemeral_gb", "id", "is_public", "memory_mb",
    "name", "root_gb", "rxtx_factor", "seq", "swap_mb", "vcpus",
)  # fmt: skip


_BY_ID = sa.select(*_COLUMNS).where(flavors.c.id == sa.bindparam("flavor_id"))


async def insert(tx: Tx, flavor: Flavor) -> None:
    """A new flavor. Raises Conflict db.duplicate for a name or id in use."""
    values = {f: getattr(flavor, f) for f in Flavor.__struct_fields__}
    await tx.run(sa.insert(flavors).values(created_at=clock.now(), **values))


async def get(tx: Tx, flavor_id: str, *, project_id: str | None, all_projects: bool) -> Flavor:
    """The flavor, if the project may see it. Raises NotFound."""
    row = await tx.first(_BY_ID, {"flavor_id": flavor_id})
    if row is not None and not (row.is_public or all_projects):
        mine = await list_access(tx, flavor_id)
        row = row if project_id in mine else None
    if row is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.", code="FlavorNotFound")
    return Flavor(**row._mapping)


async def find_by(tx: Tx, **key: Any) -> Flavor | None:
    """By id or name."""
    ((column, value),) = key.items()
    row = await tx.first(sa.select(*_COLUMNS).where(flavors.c[column] == value))
    return Flavor(**row._mapping) if row else None


async def list_where(tx: Tx, want: dict[str, Any], order: Order) -> list[Flavor]:
    """One page. `want`: is_public (None: any), project_id (sees its own), min_ram, min_disk."""
    c = flavors.c
    stmt = sa.select(*_COLUMNS).where(c.disabled == sa.false())
    public, project_id = want.get("is_public"), want.get("project_id")
    if public is True and project_id:
        stmt = stmt.where(_visible(project_id))
    elif public is not None:
        stmt = stmt.where(c.is_public == public)
    if want.get("min_ram") is not None:
        stmt = stmt.where(c.memory_mb >= want["min_ram"])
    if want.get("min_disk") is not None:
        stmt = stmt.where(c.root_gb >= want["min_disk"])
    after = None
    if order.marker:
        row = await tx.first(sa.select(flavors).where(c.id == order.marker))
        if row is None:
            raise Invalid(f"marker [{order.marker}] not found", code="MarkerNotFound")
        after = dict(row._mapping)
    page = Page(limit=order.limit, sort=order.sort)
    stmt = paged(stmt, {k: c[k] for k in SORT_KEYS}, page, after)
    return [Flavor(**row._mapping) for row in await tx.all(stmt)]


async def update(tx: Tx, flavor_id: str, **changes: Any) -> None:
    """Write columns."""
    await tx.run(sa.update(flavors).where(flavors.c.id == flavor_id).values(**changes))


async def delete(tx: Tx, flavor_id: str) -> None:
    """Remove a flavor; servers keep their own copy."""
    await tx.run(sa.delete(flavors).where(flavors.c.id == flavor_id))


async def list_access(tx: Tx, flavor_id: str) -> list[str]:
    """The projects that may use a flavor that is not public."""
    a = flavor_access.c
    rows = await tx.all(
        sa.select(a.project_id).where(a.flavor_id == flavor_id).order_by(a.project_id)
    )
    return [row.project_id for row in rows]


async def add_access(tx: Tx, flavor_id: str, project_id: str) -> None:
    """Let a project use it. Raises Conflict db.duplicate."""
    await tx.run(sa.insert(flavor_access).values(flavor_id=flavor_id, project_id=project_id))


async def remove_access(tx: Tx, flavor_id: str, project_id: str) -> bool:
    """Take that back; False when the project had none."""
    a = flavor_access.c
    stmt = sa.delete(flavor_access).where(a.flavor_id == flavor_id, a.project_id == project_id)
    return bool(await tx.run(stmt))


def _visible(project_id: str | None) -> sa.ColumnElement[bool]:
    a = flavor_access.c
    mine = sa.exists().where(a.flavor_id == flavors.c.id, a.project_id == (project_id or ""))
    return sa.or_(flavors.c.is_public == sa.true(), mine)


async def any_there(tx: Tx) -> bool:
    """Is there a flavor at all?"""
    return await tx.scalar(sa.select(flavors.c.seq).limit(1)) is not None
