# SPDX-License-Identifier: Apache-2.0
"""Tasks: work on images that outlives its request."""

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.image.model import Task
from octostack.services.image.store import tables

_tasks = tables.tasks
OPEN = ("pending", "processing")


async def insert(tx: Tx, task: Task) -> None:
    """A new task."""
    await tx.run(sa.insert(_tasks).values(**msgspec.structs.asdict(task)))


async def find(tx: Tx, task_id: str) -> Task | None:
    """The task, or None."""
    row = await tx.first(sa.select(_tasks).where(_tasks.c.id == task_id))
    return Task(**row._mapping) if row else None


async def list_of_image(tx: Tx, image_id: str) -> list[Task]:
    """Everything that was done to an image, the newest first."""
    stmt = sa.select(_tasks).where(_tasks.c.image_id == image_id)
    rows = await tx.all(stmt.order_by(_tasks.c.created_at.desc(), _tasks.c.id))
    return [Task(**row._mapping) for row in rows]


async def list_of_owner(tx: Tx, owner: str | None, limit: int) -> list[Task]:
    """The newest tasks of a project; None: of all."""
    stmt = sa.select(_tasks).order_by(_tasks.c.created_at.desc(), _tasks.c.id).limit(limit)
    if owner is not None:
        stmt = stmt.where(_tasks.c.owner == owner)
    return [Task(**row._mapping) for row in await tx.all(stmt)]


async def list_open(tx: Tx) -> list[Task]:
    """The tasks still to be done, the oldest first."""
    stmt = sa.select(_tasks).where(_tasks.c.status.in_(OPEN)).order_by(_tasks.c.created_at)
    return [Task(**row._mapping) for row in await tx.all(stmt)]


async def take(tx: Tx, task: Task, now: float, lease_s: float) -> bool:
    """Make the task this process's, unless another one works on it and said so lately."""
    left = sa.and_(_tasks.c.status == "processing", _tasks.c.updated_at < now - lease_s)
    free = sa.or_(_tasks.c.status == "pending", left)
    stmt = sa.update(_tasks).where(_tasks.c.id == task.id, free)
    return await tx.run(stmt.values(status="processing", updated_at=now)) == 1


async def keep(tx: Tx, task: Task, now: float) -> None:
    """Say that this process still works on the task."""
    await tx.run(sa.update(_tasks).where(_tasks.c.id == task.id).values(updated_at=now))


async def set_status(
    tx: Tx, task: Task, status: str, now: float, message: str = "", *, keep_s: float = 172800.0
) -> None:
    """How far the task is; finished ones are kept for two days."""
    expires_at = None if status in OPEN else now + keep_s
    values = {
        "status": status,
        "message": message,
        "updated_at": now,
        "expires_at": expires_at,
    }
    await tx.run(sa.update(_tasks).where(_tasks.c.id == task.id).values(**values))


async def delete_expired(tx: Tx, now: float) -> None:
    """Finished tasks that were kept long enough."""
    await tx.run(sa.delete(_tasks).where(_tasks.c.expires_at < now))
