# SPDX-License-Identifier: Apache-2.0
"""Events that cancel tokens; kept until no token from before them can be alive."""

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.identity.model import Payload, Revocation
from octostack.services.identity.store import tables

_table = tables.revocations


async def find_latest(tx: Tx) -> float | None:
    """The latest `issued_before` of all events that reach more than one token."""
    latest = sa.select(sa.func.max(_table.c.issued_before)).where(_table.c.audit_id.is_(None))
    found: float | None = await tx.scalar(latest)
    return found


async def insert(tx: Tx, event: Revocation) -> None:
    """Note an event."""
    await tx.run(sa.insert(_table).values(msgspec.structs.asdict(event)))


async def list_since(tx: Tx, since: float) -> list[Revocation]:
    """All noted at `since` or later, oldest first."""
    stmt = sa.select(_table).where(_table.c.revoked_at >= since).order_by(_table.c.revoked_at)
    return [Revocation(**row._mapping) for row in await tx.all(stmt)]


async def list_for(tx: Tx, payload: Payload) -> list[Revocation]:
    """Those that could cancel the token of `payload`."""
    c = _table.c
    stmt = sa.select(_table).where(
        c.issued_before >= payload.issued_at,
        sa.or_(c.user_id.is_(None), c.user_id == payload.user_id),
        sa.or_(c.project_id.is_(None), c.project_id == payload.scope.project_id),
    )
    return [Revocation(**row._mapping) for row in await tx.all(stmt)]


async def delete_before(tx: Tx, revoked_before: float) -> int:
    """Forget old ones; returns how many."""
    return await tx.run(sa.delete(_table).where(_table.c.revoked_at < revoked_before))
