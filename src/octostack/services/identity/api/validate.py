# SPDX-License-Identifier: Apache-2.0
"""What makes a token good, asked afresh each time something may have changed.

It opens under one of our keys, has not expired, and no event since its issue cancels it. Its user
and the user's domain are enabled. The project or domain it is for is enabled, with its domain, and
the user still has a role there. An application credential still exists and has not expired; of its
roles only those count that its owner still has.
"""

import msgspec

from octostack.base import clock
from octostack.base.errors import Unauthorized
from octostack.contracts import identity as contract
from octostack.runtime.db import Tx
from octostack.services.identity.api.app import App, Roles
from octostack.services.identity.core import fernet, revocations, roles, rules
from octostack.services.identity.core import payload as payloads
from octostack.services.identity.model import (
    AccessRule,
    ApplicationCredential,
    Payload,
    Project,
    Role,
    Token,
    User,
)
from octostack.services.identity.store import assignments, projects, rows, users
from octostack.services.identity.store import revocations as events


async def check(app: App, token: str, *, allow_expired: bool = False) -> Token:
    """All about a good token. Raises Unauthorized."""
    found = app.tokens.find(token)
    if found is None:
        payload = read(app, token)
        _check_expiry(app, payload, allow_expired=allow_expired)
        generation = app.tokens.generation
        async with app.db.read() as tx:
            found = await describe(tx, app, payload)
            if revocations.is_revoked(
                payload,
                _project_domain_id(found),
                found.user.domain_id,
                await events.list_for(tx, payload),
            ):
                raise Unauthorized("The token has been revoked.", code="token.revoked")
        app.tokens.keep(token, found, generation)
    _check_expiry(app, found.payload, allow_expired=allow_expired)
    return found


def read(app: App, token: str) -> Payload:
    """The facts sealed in `token`. Raises Unauthorized unless it is one of ours."""
    raw, issued_at = fernet.open_sealed(token, app.keys.keys)
    return payloads.decode(raw, issued_at)


def seal(app: App, payload: Payload) -> str:
    """The token of `payload`."""
    iv = clock.token_bytes(16)
    data = payloads.encode(payload)
    return fernet.seal(data, app.keys.primary, now=payload.issued_at, iv=iv)


async def describe(tx: Tx, app: App, payload: Payload) -> Token:
    """`payload` with everything it names, as it is now. Raises Unauthorized."""
    user = await rows.find(tx, rows.USERS, payload.user_id)
    if user is None or not rules.is_enabled(user, app.config.passwords, clock.now()):
        raise Unauthorized(f"User is disabled or gone: {payload.user_id}.", code="token.user")
    user_domain = _check_enabled(await rows.find(tx, rows.PROJECTS, user.domain_id))
    project = domain = None
    above: list[Project] = []
    scope = payload.scope
    if scope.project_id is not None:
        project = _check_enabled(await rows.find(tx, rows.PROJECTS, scope.project_id))
        above = await projects.list_above(tx, project, known={user_domain.id: user_domain})
        domain = _check_enabled(above[-1] if above else project)
    elif scope.domain_id is not None:
        domain = _check_enabled(await rows.find(tx, rows.PROJECTS, scope.domain_id))
    credential = await _application_credential(tx, payload)
    place = roles.Place(scope, tuple(parent.id for parent in above))
    held = () if scope.is_unscoped else await _roles(tx, app, user, place, credential)
    if not held and not scope.is_unscoped:
        raise Unauthorized(f"User {user.id} has no access there.", code="token.roles")
    password = await users.find_password(tx, user.id)
    return Token(
        payload=payload,
        user=user,
        user_domain=user_domain,
        project=project,
        domain=domain,
        roles=held,
        password_expires_at=password.expires_at if password else None,
        application_credential=credential,
        access_rules=await _access_rules(tx, credential),
    )


def caller(token: Token) -> contract.Caller:
    """What other services are told of the one who holds `token`."""
    payload, project, domain = token.payload, token.project, token.domain
    of_domain = payload.scope.domain_id is not None
    return contract.Caller(
        user_id=token.user.id,
        user_name=token.user.name,
        user_domain_id=token.user.domain_id,
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=domain.id if project and domain else None,
        domain_id=domain.id if of_domain and domain else None,
        domain_name=domain.name if of_domain and domain else None,
        system=payload.scope.system,
        roles=tuple(role.name for role in token.roles),
        expires_at=payload.expires_at,
        audit_ids=payload.audit_ids,
        application_credential_id=payload.application_credential_id,
        access_rules=None if token.access_rules is None else tuple(map(_rule, token.access_rules)),
    )


def _rule(one: AccessRule) -> contract.AccessRule:
    return contract.AccessRule(service=one.service, method=one.method, path=one.path)


def _check_expiry(app: App, payload: Payload, *, allow_expired: bool) -> None:
    window_s = app.config.expired_window_s if allow_expired else 0.0
    if payload.expires_at + window_s <= clock.now():
        raise Unauthorized("The token has expired.", code="token.expired")


def _project_domain_id(token: Token) -> str | None:
    return token.domain.id if token.domain else None


def _check_enabled(found: Project | None) -> Project:
    if found is None or not found.enabled:
        raise Unauthorized("The project or domain is disabled or gone.", code="token.scope")
    return found


async def _application_credential(tx: Tx, payload: Payload) -> ApplicationCredential | None:
    if payload.application_credential_id is None:
        return None
    found = await rows.find(tx, rows.APPLICATION_CREDENTIALS, payload.application_credential_id)
    if found is None or (found.expires_at is not None and found.expires_at <= clock.now()):
        raise Unauthorized("The application credential is no more.", code="token.credential")
    return msgspec.structs.replace(found, role_ids=tuple(found.role_ids))


async def _access_rules(
    tx: Tx, credential: ApplicationCredential | None
) -> tuple[AccessRule, ...] | None:
    if credential is None or credential.access_rule_ids is None:
        return None
    wanted = rows.Listing(among={"id": tuple(credential.access_rule_ids)})
    return tuple(await rows.list_all(tx, rows.ACCESS_RULES, wanted))


async def _roles(
    tx: Tx, app: App, user: User, place: roles.Place, credential: ApplicationCredential | None
) -> tuple[Role, ...]:
    known = app.roles.find("")
    if known is None:
        generation = app.roles.generation
        found = Roles(await assignments.roles(tx), await assignments.implications(tx))
        known = app.roles.keep("", found, generation)
    made = await assignments.list_for_user(tx, user.id)
    held = roles.at(place, made, known.implications, known.by_id)
    if credential is None:
        return held
    delegated = [roles.implied_by(role_id, known.implications) for role_id in credential.role_ids]
    return tuple(role for role in held if any(role.id in some for some in delegated))
