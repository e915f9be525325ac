# SPDX-License-Identifier: Apache-2.0
"""/v3/auth/tokens, and what a token may ask about itself."""

from octostack.base import clock, ids
from octostack.base.errors import Forbidden, Invalid, NotFound, Unauthorized
from octostack.runtime.db import Tx
from octostack.runtime.http import Request, Response
from octostack.services.identity.api import endpoint_filters, login, validate
from octostack.services.identity.api.app import App, Catalog
from octostack.services.identity.core import catalog as core_catalog
from octostack.services.identity.core import hierarchy, roles
from octostack.services.identity.core import revocations as core
from octostack.services.identity.model import JSON, Project, Revocation, Scope, Token
from octostack.services.identity.schema import base, domains, projects, tokens
from octostack.services.identity.store import assignments, catalog, rows
from octostack.services.identity.store import projects as tree
from octostack.services.identity.store import revocations as events

# Sent by services that keep to the rules of a token.
_ACCESS_RULES = "openstack-identity-access-rules"
_VARY = {"Vary": "X-Auth-Token"}


async def issue(app: App, req: Request) -> Response:
    """POST /auth/tokens."""
    text, token = await login.issue(app, req.body["auth"])
    headers = {"X-Subject-Token": text, **_VARY}
    return Response(await _view(app, req, token), headers=headers)


async def show(app: App, req: Request) -> Response:
    """GET and HEAD /auth/tokens."""
    text, token = await _subject(app, req)
    rule = "identity:check_token" if req.method == "HEAD" else None
    req.authorize({"target.token.user_id": token.user.id}, rule)
    headers = {"X-Subject-Token": text, **_VARY}
    return Response(await _view(app, req, token), headers=headers)


async def revoke(app: App, req: Request) -> Response:
    """DELETE /auth/tokens."""
    _text, token = await _subject(app, req)
    req.authorize({"target.token.user_id": token.user.id})
    async with app.write() as tx:
        event = Revocation(
            id=ids.new_hex(),
            issued_before=token.payload.issued_at,
            revoked_at=clock.now(),
            audit_id=token.payload.audit_ids[0],
        )
        await events.insert(tx, event)
    return Response(headers=_VARY)


async def list_events(app: App, req: Request) -> JSON:
    """GET /OS-REVOKE/events, for who keeps answers about tokens without our contract."""
    text = req.query.get("since")
    try:
        since = clock.parse_iso(text) if text else 0.0
    except (ValueError, OverflowError) as e:
        raise Invalid("since must be a time of ISO 8601.", field="since") from e
    async with app.db.read() as tx:
        found = await events.list_since(tx, since)
    url = f"{app.base_url}/OS-REVOKE/events"
    return {"events": [tokens.event(one) for one in found], "links": base.collection_links(url)}


async def show_catalog(app: App, req: Request) -> JSON:
    """GET /auth/catalog."""
    if req.caller.project_id is None:
        raise Forbidden(
            "A project-scoped token is required to produce a service catalog.", code="catalog"
        )
    services = await list_catalog(app, Scope(project_id=req.caller.project_id), req.caller.user_id)
    return {"catalog": services, "links": {"self": f"{req.base_url}/v3/auth/catalog"}}


async def list_projects(app: App, req: Request) -> JSON:
    """GET /auth/projects: where the caller could get a token for."""
    found = await reachable(app, req.caller.user_id)
    shown = [projects.view(one, app.base_url) for one in found if not one.is_domain]
    return {"projects": shown, "links": base.collection_links(f"{app.base_url}/auth/projects")}


async def list_domains(app: App, req: Request) -> JSON:
    """GET /auth/domains."""
    found = await reachable(app, req.caller.user_id)
    shown = [domains.view(one, app.base_url) for one in found if one.is_domain]
    return {"domains": shown, "links": base.collection_links(f"{app.base_url}/auth/domains")}


async def show_system(app: App, req: Request) -> JSON:
    """GET /auth/system."""
    async with app.db.read() as tx:
        held = await assignments.list_for_user(tx, req.caller.user_id)
    system: list[JSON] = [{"all": True}] if any(a.target == "system" for a in held) else []
    return {"system": system, "links": {"self": f"{app.base_url}/auth/system"}}


async def reachable(app: App, user_id: str) -> list[Project]:
    """Enabled projects and domains on which the user has any role, by id."""
    async with app.db.read() as tx:
        held = await assignments.list_for_user(tx, user_id)
        by_id = await tree.by_id(tx)
    found = []
    for one in by_id.values():
        scope = Scope(domain_id=one.id) if one.is_domain else Scope(project_id=one.id)
        place = roles.Place(scope, hierarchy.above_ids(one, by_id))
        home = by_id.get(one.domain_id or one.id, one)
        if one.enabled and home.enabled and any(roles.applies(a, place) for a in held):
            found.append(one)
    return sorted(found, key=lambda one: one.id)


async def list_catalog(app: App, scope: Scope, user_id: str) -> list[JSON]:
    """The catalog as a token of `scope` sees it."""
    known = app.catalog.find("")
    if known is None:
        generation = app.catalog.generation
        async with app.db.read() as tx:
            chosen = await endpoint_filters.choices(tx, await rows.list_all(tx, rows.ENDPOINTS))
            found = Catalog(tokens.catalog(await catalog.list_enabled(tx)), chosen)
        known = app.catalog.keep("", found, generation)
    services = known.services
    chosen_here = known.chosen.get(scope.project_id or "")
    if chosen_here is not None:
        services = core_catalog.visible(services, chosen_here)
    if not any("(" in e["url"] for service in services for e in service["endpoints"]):
        return services
    return [
        service | {"endpoints": _filled(service["endpoints"], scope.project_id, user_id)}
        for service in services
    ]


async def revoke_all(tx: Tx, **what: str) -> None:
    """From now on no token that was issued before and that fits `what` is good."""
    now = clock.now()
    issued_before = core.event_time(now, await events.find_latest(tx))
    await events.insert(
        tx, Revocation(id=ids.new_hex(), issued_before=issued_before, revoked_at=now, **what)
    )


def _filled(endpoints: list[JSON], project_id: str | None, user_id: str) -> list[JSON]:
    """Endpoints with their URLs filled in; without a project those that need one are left out."""
    shown = []
    for endpoint in endpoints:
        url = endpoint["url"].replace("$(", "%(")
        if project_id is None and ("%(project_id)s" in url or "%(tenant_id)s" in url):
            continue
        for name, value in (("tenant_id", project_id), ("project_id", project_id)):
            url = url.replace(f"%({name})s", value or "")
        shown.append(endpoint | {"url": url.replace("%(user_id)s", user_id)})
    return shown


async def _subject(app: App, req: Request) -> tuple[str, Token]:
    text = req.headers.get("x-subject-token")
    if not text:
        raise Invalid("X-Subject-Token is missing.", field="X-Subject-Token")
    allow_expired = req.query.get("allow_expired", "").lower() in ("1", "t", "true", "y", "yes")
    try:
        token = await validate.check(app, text, allow_expired=allow_expired)
        if token.access_rules is not None and _ACCESS_RULES not in req.headers:
            raise Unauthorized("Who asks does not know access rules, and could not keep to them.")
        return text, token
    except Unauthorized as e:
        # There is nothing to authorize on: what is no token is not there for anybody.
        raise NotFound(f"Could not find token: {text[:8]}...", code="token.not_found") from e


async def _view(app: App, req: Request, token: Token) -> JSON:
    services = None
    if "nocatalog" not in req.query:
        services = await list_catalog(app, token.payload.scope, token.user.id)
    return tokens.view(token, services)
