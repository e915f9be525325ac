# SPDX-License-Identifier: Apache-2.0
"""What was done to servers, by whom, and what it led to."""

from typing import Any

import sqlalchemy as sa

from octostack.runtime.db import Page, Tx, paged
from octostack.services.compute.model import Action, ActionEvent, Order
from octostack.services.compute.store.cell_db.tables import action_events, actions

_COLUMNS = [actions.c[f] for f in Action.__struct_fields__]
_EVENT_COLUMNS = [action_events.c[f] for f in ActionEvent.__struct_fields__]


_NEWEST_OPEN = sa.select(sa.func.max(actions.c.id)).where(
    actions.c.server_id == sa.bindparam("server_id"), actions.c.finished_at.is_(None)
)
_FINISH = sa.update(actions).where(actions.c.id == sa.bindparam("for_id"))


async def insert(tx: Tx, action: Action) -> None:
    """A user did something."""
    await insert_many(tx, [action])


async def insert_many(tx: Tx, made: list[Action]) -> None:
    """Several at once."""
    await tx.run(
        sa.insert(actions),
        [{f: getattr(a, f) for f in Action.__struct_fields__ if f != "id"} for a in made],
    )


async def finish(tx: Tx, server_id: str, event: ActionEvent, *, message: str | None = None) -> None:
    """The newest action of a server came to its end by `event` (its action_id is not used)."""
    action_id = await tx.scalar(_NEWEST_OPEN, {"server_id": server_id})
    if action_id is None:
        return
    values = {f: getattr(event, f) for f in ActionEvent.__struct_fields__}
    await tx.run(sa.insert(action_events), [values | {"action_id": action_id}])
    ended = {"updated_at": event.finished_at, "finished_at": event.finished_at}
    await tx.run(_FINISH, [ended | {"message": message, "for_id": action_id}])


async def list_of_server(
    tx: Tx,
    server_id: str,
    order: Order,
    *,
    since: float | None = None,
    before: float | None = None,
    marker: str | None = None,
) -> list[Action]:
    """Newest first."""
    c = actions.c
    stmt = sa.select(*_COLUMNS).where(c.server_id == server_id)
    changed = sa.func.coalesce(c.updated_at, c.started_at)
    if since is not None:
        stmt = stmt.where(changed >= since)
    if before is not None:
        stmt = stmt.where(changed <= before)
    after: Any = None
    if marker:
        after = await tx.first(
            sa.select(*_COLUMNS).where(c.server_id == server_id, c.request_id == marker)
        )
        if after is None:
            return []
    page = Page(limit=order.limit, sort=(("id", "desc"),))
    stmt = paged(stmt, {"id": c.id}, page, after._mapping if after else None)
    return [Action(**row._mapping) for row in await tx.all(stmt)]


async def find(tx: Tx, server_id: str, request_id: str) -> Action | None:
    """The action of one request."""
    c = actions.c
    row = await tx.first(
        sa.select(*_COLUMNS).where(c.server_id == server_id, c.request_id == request_id)
    )
    return Action(**row._mapping) if row else None


async def exists(tx: Tx, server_id: str, request_id: str) -> bool:
    """Is there an action of that request?"""
    return await find(tx, server_id, request_id) is not None


async def events(tx: Tx, action_id: int) -> list[ActionEvent]:
    """What an action led to, newest first."""
    stmt = (
        sa.select(*_EVENT_COLUMNS)
        .where(action_events.c.action_id == action_id)
        .order_by(action_events.c.id.desc())
    )
    return [ActionEvent(**row._mapping) for row in await tx.all(stmt)]
