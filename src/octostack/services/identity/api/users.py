# SPDX-License-Identifier: Apache-2.0
"""/v3/users."""

from typing import Any

from octostack.base import clock, ids
from octostack.base.errors import Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, login, targets, tokens
from octostack.services.identity.api.app import App
from octostack.services.identity.core import rules
from octostack.services.identity.model import JSON, Password, User
from octostack.services.identity.schema import base, groups, projects
from octostack.services.identity.schema import users as schema
from octostack.services.identity.store import assignments, rows, users
from octostack.services.identity.store import projects as tree


async def create(app: App, req: Request) -> JSON:
    """POST /users."""
    given, extra = _split(req.body["user"])
    given["domain_id"] = targets.home_of(req.caller, given.get("domain_id"))
    req.authorize({"target.user.domain_id": given["domain_id"]})
    password = given.pop("password", None)
    hash = await _hash(app, password)
    user = User(id=ids.new_hex(), created_at=clock.now(), extra=extra, **_clean(given))
    async with app.write() as tx:
        await tree.get_domain(tx, user.domain_id)
        await _check_default_project(tx, user.default_project_id)
        await rows.insert(tx, rows.USERS, user)
        expires_at = await _set_password(tx, app, user, hash, self_service=False)
    return {"user": schema.view(user, expires_at, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /users/{user_id}."""
    user = await _authorized(app, req)
    async with app.db.read() as tx:
        password = await users.find_password(tx, user.id)
    expires_at = password.expires_at if password else None
    return {"user": schema.view(user, expires_at, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /users."""
    req.authorize(targets.in_own_domain(req.caller))
    wanted = lists.listing(req, ("name", "domain_id", "default_project_id"), ("enabled",))
    if req.caller.domain_id is not None:
        wanted.equal["domain_id"] = req.caller.domain_id
    found = await lists.find(app, rows.USERS, wanted)
    async with app.db.read() as tx:
        expiries = await users.expiries(tx)
    found = [user for user in found if _expires_as_asked(req, expiries.get(user.id))]
    return lists.answer(
        app, req, "users", found, lambda u: schema.view(u, expiries.get(u.id), app.base_url)
    )


async def update(app: App, req: Request) -> JSON:
    """PATCH /users/{user_id}."""
    user = await _authorized(app, req)
    given, extra = _split(req.body["user"])
    if given.pop("domain_id", user.domain_id) != user.domain_id:
        raise Invalid("Cannot change Domain ID.", field="domain_id")
    password = given.pop("password", None)
    hash = await _hash(app, password)
    changes = _clean(given) | {"extra": user.extra | extra}
    if "options" in given:
        changes["options"] = _merged(user.options, given["options"])
    if given.get("enabled"):
        changes |= {"failed_count": 0, "failed_at": None, "last_active_at": clock.now()}
    async with app.write() as tx:
        await _check_default_project(tx, given.get("default_project_id"))
        user = await rows.update(tx, rows.USERS, user, changes)
        if hash is not None:
            await _set_password(tx, app, user, hash, self_service=False)
        if hash is not None or given.get("enabled") is False:
            await tokens.revoke_all(tx, user_id=user.id)
        current = await users.find_password(tx, user.id)
    expires_at = current.expires_at if current else None
    return {"user": schema.view(user, expires_at, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /users/{user_id}."""
    user = await _authorized(app, req)
    async with app.write() as tx:
        await assignments.delete_for_actors(tx, [user.id])
        await rows.delete(tx, rows.USERS, user.id)


async def change_password(app: App, req: Request) -> None:
    """POST /users/{user_id}/password: by its owner, who shows the old one instead of a token."""
    given, now = req.body["user"], clock.now()
    async with app.db.read() as tx:
        user = await login.find_user(tx, {"id": req.params["user_id"]})
        history = await users.list_passwords(tx, user.id) if user else []
    current = history[0] if history else None
    user = await login.check_secret(app, user, current, given["original_password"])
    if user.options.get("lock_password"):
        raise Invalid("You cannot change your password.", code="password.locked", field="password")
    settings = app.config.passwords
    rules.check_age(current, settings, now)
    rules.check_new(given["password"], settings)
    for old in history[: settings.unique_last_count]:
        if await app.hasher.verify(given["password"], old.hash):
            raise Invalid(
                "The new password cannot be identical to a previous password. The total number "
                f"which includes the new password must be unique is {settings.unique_last_count}.",
                code="password.used",
                field="password",
            )
    hash = await app.hasher.make(given["password"])
    async with app.write() as tx:
        await _set_password(tx, app, user, hash, self_service=True)
        await tokens.revoke_all(tx, user_id=user.id)


async def list_groups(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/groups."""
    user = await _authorized(app, req, user_id=req.params["user_id"])
    async with app.db.read() as tx:
        found = await users.list_groups(tx, user.id)
    name = req.query.get("name")
    found = [group for group in found if name in (None, group.name)]
    return lists.answer(app, req, "groups", found, lambda g: groups.view(g, app.base_url))


async def list_projects(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/projects."""
    user = await _authorized(app, req)
    wanted = lists.listing(req, ("name", "domain_id"), ("enabled",))
    found = [
        project
        for project in await tokens.reachable(app, user.id)
        if not project.is_domain
        and all(getattr(project, name) == value for name, value in wanted.equal.items())
    ]
    async with app.db.read() as tx:
        tags = await tree.tags(tx)
    return lists.answer(
        app, req, "projects", found, lambda p: projects.view(p, app.base_url, tags.get(p.id, ()))
    )


async def _authorized(app: App, req: Request, **more: str) -> User:
    """The user of the path, if the caller may. Raises Forbidden, NotFound."""
    user = await targets.find_user(app, req.params["user_id"])
    req.authorize(targets.user(user) | more)
    if user is None:
        raise rows.missing(rows.USERS, req.params["user_id"])
    return user


async def _hash(app: App, password: str | None) -> str | None:
    if password is None:
        return None
    rules.check_new(password, app.config.passwords)
    return await app.hasher.make(password)


async def _set_password(
    tx: Tx, app: App, user: User, hash: str | None, *, self_service: bool
) -> float | None:
    """Store it; returns when it expires."""
    if hash is None:
        return None
    now = clock.now()
    expires_at = rules.expiry(user, app.config.passwords, now)
    password = Password(
        id=ids.new_hex(),
        user_id=user.id,
        hash=hash,
        created_at=now,
        expires_at=expires_at,
        self_service=self_service,
    )
    await users.insert_password(tx, password, keep=app.config.passwords.unique_last_count)
    return expires_at


async def _check_default_project(tx: Tx, project_id: str | None) -> None:
    """A domain is no project; one that is not there (yet) does no harm."""
    project = await rows.find(tx, rows.PROJECTS, project_id) if project_id else None
    if project is not None and project.is_domain:
        raise Invalid(
            f"User's default project ID cannot be a domain ID: {project_id}",
            field="default_project_id",
        )


def _split(body: JSON) -> tuple[JSON, JSON]:
    given, extra = base.split(body, schema.KNOWN)
    return given, {name: value for name, value in extra.items() if name not in schema.RESERVED}


def _clean(given: JSON) -> JSON:
    """Options that are null are not set."""
    if "options" not in given:
        return given
    return given | {"options": _merged({}, given["options"])}


def _merged(before: JSON, changes: JSON) -> JSON:
    return {name: value for name, value in (before | changes).items() if value is not None}


_COMPARE: dict[str, Any] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def _expires_as_asked(req: Request, expires_at: float | None) -> bool:
    """``?password_expires_at=lt:2026-01-01T00:00:00Z``."""
    for text in req.query.all("password_expires_at"):
        operator, separator, time = text.partition(":")
        if not separator or operator not in _COMPARE:
            operator, time = "eq", text
        try:
            limit = clock.parse_iso(time)
        except ValueError:
            raise Invalid(
                "password_expires_at must be a time, after one of lt: lte: gt: gte: eq: neq:.",
                field="password_expires_at",
            ) from None
        if expires_at is None or not _COMPARE[operator](expires_at, limit):
            return False
    return True
