# SPDX-License-Identifier: Apache-2.0
"""/v3/users/{user_id}/application_credentials and .../access_rules."""

import base64

from octostack.base import clock, ids
from octostack.base.errors import Conflict, Forbidden, Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.core import hashes
from octostack.services.identity.model import JSON, AccessRule, ApplicationCredential, Role
from octostack.services.identity.schema import applications as schema
from octostack.services.identity.store import assignments, rows

SECRET_BYTES = 64


async def create(app: App, req: Request) -> JSON:
    """POST /users/{user_id}/application_credentials: for the project of the caller's token."""
    req.authorize({"user_id": req.params["user_id"]})
    given, project_id = req.body["application_credential"], req.caller.project_id
    await check_unrestricted(app, req)
    if project_id is None:
        raise Invalid("An application credential needs a token for a project.", field="project_id")
    secret = given.get("secret") or _new_secret()
    cost = hashes.FULL if given.get("secret") else hashes.RANDOM_WORD
    hash = await app.hasher.make(secret, cost)
    expires_at = _expiry(given.get("expires_at"))
    async with app.write() as tx:
        roles = await _roles(tx, req, given.get("roles"))
        rules = await _ensure_rules(tx, req.caller.user_id, given.get("access_rules"))
        credential = ApplicationCredential(
            id=ids.new_hex(),
            name=given["name"],
            user_id=req.caller.user_id,
            project_id=project_id,
            secret_hash=hash,
            description=given.get("description"),
            expires_at=expires_at,
            unrestricted=bool(given.get("unrestricted")),
            role_ids=tuple(role.id for role in roles),
            access_rule_ids=None if rules is None else tuple(rule.id for rule in rules),
        )
        await rows.insert(tx, rows.APPLICATION_CREDENTIALS, credential)
    shown = schema.view(credential, roles, rules or (), app.base_url)
    return {"application_credential": shown | {"secret": secret}}


async def show(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/application_credentials/{application_credential_id}."""
    credential = await _authorized(app, req)
    return {"application_credential": (await _views(app, [credential]))[0]}


async def list_all(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/application_credentials."""
    user_id = req.params["user_id"]
    req.authorize({"user_id": user_id})
    wanted = lists.listing(req, ("name",))
    wanted.equal["user_id"] = user_id
    found = await lists.find(app, rows.APPLICATION_CREDENTIALS, wanted)
    views = {one.id: view for one, view in zip(found, await _views(app, found), strict=True)}
    return lists.answer(app, req, "application_credentials", found, lambda one: views[one.id])


async def delete(app: App, req: Request) -> None:
    """DELETE: its tokens are no good from now on."""
    credential = await _authorized(app, req)
    await check_unrestricted(app, req)
    async with app.write() as tx:
        await rows.delete(tx, rows.APPLICATION_CREDENTIALS, credential.id)


async def list_rules(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/access_rules."""
    user_id = req.params["user_id"]
    req.authorize({"target.user.id": user_id})
    wanted = lists.listing(req, ("service", "method", "path"))
    wanted.equal["user_id"] = user_id
    found = await lists.find(app, rows.ACCESS_RULES, wanted)
    return lists.answer(
        app, req, "access_rules", found, lambda r: schema.access_rule(r, app.base_url)
    )


async def show_rule(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/access_rules/{access_rule_id}."""
    return {"access_rule": schema.access_rule(await _authorized_rule(app, req), app.base_url)}


async def delete_rule(app: App, req: Request) -> None:
    """DELETE /users/{user_id}/access_rules/{access_rule_id}: not while a credential has it."""
    rule = await _authorized_rule(app, req)
    async with app.write() as tx:
        own = rows.Listing(equal={"user_id": rule.user_id})
        for credential in await rows.list_all(tx, rows.APPLICATION_CREDENTIALS, own):
            if rule.id in (credential.access_rule_ids or ()):
                raise Forbidden(f"delete the access rule {rule.id}, which is in use")
        await rows.delete(tx, rows.ACCESS_RULES, rule.id)


async def check_unrestricted(app: App, req: Request) -> None:
    """A program's token makes no more logins, unless its credential says so. Raises Forbidden."""
    id = req.caller.application_credential_id
    if id is None:
        return
    async with app.db.read() as tx:
        credential = await rows.find(tx, rows.APPLICATION_CREDENTIALS, id)
    if credential is None or not credential.unrestricted:
        raise Forbidden(
            "Using method 'application_credential' is not allowed for managing additional "
            "application credentials"
        )


async def _authorized(app: App, req: Request) -> ApplicationCredential:
    user_id, id = req.params["user_id"], req.params["application_credential_id"]
    req.authorize({"user_id": user_id})
    async with app.db.read() as tx:
        found = await rows.find(tx, rows.APPLICATION_CREDENTIALS, id)
    if found is None or found.user_id != user_id:
        raise rows.missing(rows.APPLICATION_CREDENTIALS, id)
    return found


async def _authorized_rule(app: App, req: Request) -> AccessRule:
    user_id, id = req.params["user_id"], req.params["access_rule_id"]
    req.authorize({"target.user.id": user_id})
    async with app.db.read() as tx:
        found = await rows.find(tx, rows.ACCESS_RULES, id)
    if found is None or found.user_id != user_id:
        raise rows.missing(rows.ACCESS_RULES, id)
    return found


async def _views(app: App, found: list[ApplicationCredential]) -> list[JSON]:
    async with app.db.read() as tx:
        roles = await assignments.roles(tx)
        rules = {rule.id: rule for rule in await rows.list_all(tx, rows.ACCESS_RULES)}
    return [
        schema.view(
            one,
            [roles[id] for id in one.role_ids if id in roles],
            [rules[id] for id in one.access_rule_ids or () if id in rules],
            app.base_url,
        )
        for one in found
    ]


async def _roles(tx: Tx, req: Request, wanted: list[JSON] | None) -> list[Role]:
    """Those asked for, which the caller must have; else all the caller has."""
    roles = await assignments.roles(tx)
    held = {r.name: r for r in roles.values() if r.domain_id is None and r.name in req.caller.roles}
    if not wanted:
        return [held[name] for name in sorted(held)]
    by_id = {role.id: role for role in held.values()}
    found: list[Role] = []
    for one in wanted:
        role = by_id.get(one["id"]) if "id" in one else held.get(one["name"])
        if role is None:
            raise Invalid(
                "Invalid application credential: Cannot create an application credential with "
                "unassigned role",
                field="roles",
            )
        found.append(role)
    return list({role.id: role for role in found}.values())


async def _ensure_rules(tx: Tx, user_id: str, wanted: list[JSON] | None) -> list[AccessRule] | None:
    """The rules asked for: those there already, and new ones."""
    if wanted is None:
        return None
    found: list[AccessRule] = []
    for one in wanted:
        if "path" not in one:
            rule = await rows.get(tx, rows.ACCESS_RULES, one["id"])
            if rule.user_id != user_id:
                raise rows.missing(rows.ACCESS_RULES, one["id"])
            found.append(rule)
            continue
        facts = {name: one[name] for name in ("service", "method", "path")}
        same = await rows.find_by(tx, rows.ACCESS_RULES, user_id=user_id, **facts)
        if same is None:
            same = AccessRule(id=one.get("id") or ids.new_hex(), user_id=user_id, **facts)
            try:
                await rows.insert(tx, rows.ACCESS_RULES, same)
            except Conflict as e:
                raise Invalid(f"The access rule {same.id} is another.", field="id") from e
        found.append(same)
    return found


def _expiry(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        expires_at = clock.parse_iso(text)
    except (ValueError, OverflowError) as e:
        raise Invalid("expires_at must be a time of ISO 8601.", field="expires_at") from e
    if expires_at <= clock.now():
        raise Invalid("expires_at must be in the future.", field="expires_at")
    return expires_at


def _new_secret() -> str:
    return base64.urlsafe_b64encode(clock.token_bytes(SECRET_BYTES)).decode().rstrip("=")
