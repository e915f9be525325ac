# SPDX-License-Identifier: Apache-2.0
"""Roles given and taken back: one set of handlers for each actor, target and kind.

The paths are /{target}s/{id}/{actor}s/{id}/roles[/{id}], below /OS-INHERIT for what is inherited
by the projects under the target, and /system/{actor}s/{id}/roles.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.base.errors import Forbidden, NotFound
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, targets
from octostack.services.identity.api.app import App
from octostack.services.identity.model import (
    JSON,
    SYSTEM,
    Actor,
    Assignment,
    Group,
    Project,
    Role,
    TargetKind,
    User,
)
from octostack.services.identity.schema import roles as schema
from octostack.services.identity.store import assignments, rows

Handler = Callable[[App, Request], Awaitable[Any]]


class Grants(msgspec.Struct, frozen=True):
    """The handlers for one kind of grant."""

    target: TargetKind
    actor: Actor
    inherited: bool = False

    async def list_all(self, app: App, req: Request) -> JSON:
        """GET: the roles given."""
        found = await self._authorized(app, req)
        wanted = {"actor_id": found.actor_id, "target_id": found.target_id}
        async with app.db.read() as tx:
            held = await assignments.list_all(tx, **wanted, inherited=self.inherited)
            roles = await assignments.roles(tx)
        given = [roles[one.role_id] for one in held]
        return lists.answer(app, req, "roles", given, lambda r: schema.view(r, app.base_url))

    async def check(self, app: App, req: Request) -> None:
        """HEAD and GET: was it given?"""
        wanted = await self._authorized(app, req)
        async with app.db.read() as tx:
            if await assignments.find(tx, wanted) is None:
                raise _not_given(wanted)

    async def give(self, app: App, req: Request) -> None:
        """PUT."""
        wanted = await self._authorized(app, req)
        async with app.write() as tx:
            await assignments.insert(tx, wanted)

    async def take(self, app: App, req: Request) -> None:
        """DELETE. Tokens that lived by it are no good from now on: roles are read at each check."""
        wanted = await self._authorized(app, req)
        async with app.write() as tx:
            if not await assignments.delete(tx, wanted):
                raise _not_given(wanted)

    async def _authorized(self, app: App, req: Request) -> Assignment:
        """The assignment that the path names, if the caller may. Raises Forbidden, NotFound."""
        async with app.db.read() as tx:
            actor = await self._find_actor(tx, req)
            target = await self._find_target(tx, req)
            role_id = req.params.get("role_id")
            role = await rows.find(tx, rows.ROLES, role_id) if role_id else None
        target_id = SYSTEM if target is None else target.id
        req.authorize(self._policy_target(actor, target) | targets.role(role))
        if actor is None:
            kind: Any = rows.USERS if self.actor == "user" else rows.GROUPS
            raise rows.missing(kind, req.params[f"{self.actor}_id"])
        if target is None and self.target != "system":
            raise rows.missing(rows.PROJECTS, req.params[f"{self.target}_id"])
        if role_id and role is None:
            raise rows.missing(rows.ROLES, role_id)
        if role is not None and target is not None:
            _check_domains(role, target)
        return Assignment(
            actor=self.actor,
            actor_id=actor.id,
            target=self.target,
            target_id=target_id,
            role_id=role.id if role else "",
            inherited=self.inherited,
        )

    async def _find_actor(self, tx: Tx, req: Request) -> User | Group | None:
        if self.actor == "user":
            return await rows.find(tx, rows.USERS, req.params["user_id"])
        return await rows.find(tx, rows.GROUPS, req.params["group_id"])

    async def _find_target(self, tx: Tx, req: Request) -> Project | None:
        if self.target == "system":
            return None
        found = await rows.find(tx, rows.PROJECTS, req.params[f"{self.target}_id"])
        if self.target == "domain" and found is not None and not found.is_domain:
            return None
        return found

    def _policy_target(self, actor: User | Group | None, target: Project | None) -> JSON:
        who = targets.user(actor) if isinstance(actor, User) else targets.group(actor)
        if target is None:
            return who
        return who | (targets.project if self.target == "project" else targets.domain)(target)


def _check_domains(role: Role, target: Project) -> None:
    """A domain's own role is for that domain and its projects. Raises Forbidden."""
    if role.domain_id not in (None, target.domain_id or target.id):
        raise Forbidden(f"assign the role {role.id} outside of its domain {role.domain_id}")


def _not_given(wanted: Assignment) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {wanted.role_id}, user or group: "
        f"{wanted.actor_id}, project, domain, or system: {wanted.target_id}.",
        code="assignment.not_found",
    )
