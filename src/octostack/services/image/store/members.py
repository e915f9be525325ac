# SPDX-License-Identifier: Apache-2.0
"""Projects that images are shared with."""

import msgspec
import sqlalchemy as sa

from octostack.runtime.db import Tx
from octostack.services.image.model import Member
from octostack.services.image.store import tables

_members = tables.members


async def list_of(tx: Tx, image_id: str) -> list[Member]:
    """The members of an image, the oldest first."""
    stmt = sa.select(_members).where(_members.c.image_id == image_id)
    rows = await tx.all(stmt.order_by(_members.c.created_at, _members.c.member_id))
    return [Member(**row._mapping) for row in rows]


async def insert(tx: Tx, member: Member) -> None:
    """One more. Raises Conflict when it is there."""
    await tx.run(sa.insert(_members).values(**msgspec.structs.asdict(member)))


async def set_status(tx: Tx, member: Member, status: str, now: float) -> Member:
    """The member's own answer."""
    changed = msgspec.structs.replace(member, status=status, updated_at=now)
    stmt = sa.update(_members).where(*_one(member)).values(status=status, updated_at=now)
    await tx.run(stmt)
    return changed


async def delete(tx: Tx, member: Member) -> None:
    """The image is not shared with it any more."""
    await tx.run(sa.delete(_members).where(*_one(member)))


def _one(member: Member) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _members.c.image_id == member.image_id,
        _members.c.member_id == member.member_id,
    )
