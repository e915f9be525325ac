# SPDX-License-Identifier: Apache-2.0
"""``/v2/images/{image_id}/members``: with whom an image is shared."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Conflict, Forbidden, NotFound, OctoError, TooLarge
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.image.api.app import App, Found, authorize, see
from octostack.services.image.model import Member
from octostack.services.image.schema import members as schema
from octostack.services.image.store import members

MEMBERS_MAX = 128


async def list_all(app: App, req: Request) -> dict[str, Any]:
    """All members, for the owner; for a member, itself."""
    async with app.db.read() as tx:
        found = await _shared(tx, req)
        authorize(req, "get_members", found)
        all_members = await members.list_of(tx, found.image.id)
    shown = [m for m in all_members if _may_know(req, found, m)]
    return {"members": [schema.view(m) for m in shown], "schema": "/v2/schemas/members"}


async def show(app: App, req: Request) -> dict[str, Any]:
    """One member."""
    async with app.db.read() as tx:
        try:
            found = await _shared(tx, req)
        except Forbidden as e:  # what is not shared tells nobody about members
            raise NotFound(e.message, code="image.no_member") from e
        return schema.view(await _member(tx, req, found))


async def create(app: App, req: Request) -> dict[str, Any]:
    """Share the image with one more project."""
    async with app.db.write() as tx:
        found = await _shared(tx, req)
        authorize(req, "add_member", found)
        known = await members.list_of(tx, found.image.id)
        if len(known) >= MEMBERS_MAX:
            raise TooLarge(
                f"Image member limit exceeded for image {found.image.id}: The limit has been "
                "exceeded on the number of allowed image members for this image. Attempted: "
                f"{len(known) + 1}, Maximum: {MEMBERS_MAX}",
                code="image.too_many",
            )
        member_id = req.body["member"]
        if any(m.member_id == member_id for m in known):
            raise Conflict(
                f"Member {member_id} is duplicated for image {found.image.id}",
                code="image.duplicate_member",
            )
        now = clock.now()
        member = Member(
            image_id=found.image.id,
            member_id=member_id,
            status="pending",
            created_at=now,
            updated_at=now,
        )
        await members.insert(tx, member)
    return schema.view(member)


async def update(app: App, req: Request) -> dict[str, Any]:
    """The member accepts or rejects."""
    async with app.db.write() as tx:
        found = await _shared(tx, req)
        member = await _member(tx, req, found)
        # Only the member itself answers for itself; its owner and other members do not.
        target = found.target | {"member_id": member.member_id}
        if not req.allowed("modify_member", target):
            raise Forbidden(
                f"Not allowed to update members for image {found.image.id}.", code="policy"
            )
        member = await members.set_status(tx, member, req.body["status"], clock.now())
    return schema.view(member)


async def delete(app: App, req: Request) -> None:
    """Share the image with this project no more."""
    async with app.db.write() as tx:
        found = await _shared(tx, req)
        member = await _member(tx, req, found)
        authorize(req, "delete_member", found)
        await members.delete(tx, member)


async def _shared(tx: Tx, req: Request) -> Found:
    found = await see(tx, req.caller, req.params["image_id"])
    if not req.allowed("get_image", found.target):
        raise NotFound(f"Image {found.image.id} not found.", code="image.not_found")
    if found.image.visibility != "shared":
        raise Forbidden("Only shared images have members.", code="image.not_shared")
    return found


async def _member(tx: Tx, req: Request, found: Found) -> Member:
    member_id = req.params["member_id"]
    if not req.allowed("get_member", found.target):
        raise _not_member(found, member_id)
    for member in await members.list_of(tx, found.image.id):
        if member.member_id == member_id and _may_know(req, found, member):
            return member
    raise _not_member(found, member_id)


def _may_know(req: Request, found: Found, member: Member) -> bool:
    """The owner knows all members, a member only itself."""
    project_id = req.caller.project_id
    return req.caller.is_admin or project_id in (found.image.owner, member.member_id)


def _not_member(found: Found, member_id: str) -> OctoError:
    return NotFound(
        f"{member_id[:100]} not found in the member list of the image {found.image.id}.",
        code="image.no_member",
    )
