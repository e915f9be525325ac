# SPDX-License-Identifier: Apache-2.0
"""From ``auth`` in a login to the facts of a token: who, by which methods, for what, until when."""

from collections.abc import Awaitable, Callable

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Forbidden, Invalid, NotFound, Unauthorized
from octostack.runtime.db import Tx
from octostack.services.identity.api import validate
from octostack.services.identity.api.app import App
from octostack.services.identity.core import payload as payloads
from octostack.services.identity.core import revocations, rules
from octostack.services.identity.model import (
    JSON,
    ApplicationCredential,
    Password,
    Payload,
    Project,
    Scope,
    Token,
    User,
)
from octostack.services.identity.store import revocations as events
from octostack.services.identity.store import rows, users

_log = log.get("identity")


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What one method has shown; a token and an application credential bring more than a user."""

    user: User
    methods: tuple[str, ...]
    parent: Payload | None = None
    credential: ApplicationCredential | None = None


async def issue(app: App, auth: JSON) -> tuple[str, Token]:
    """A fresh token for a login. Raises Unauthorized, Invalid, Forbidden."""
    proof = await _prove(app, auth["identity"])
    now = clock.now()
    async with app.db.read() as tx:
        scope = await _scope(tx, app, proof, auth.get("scope"))
        token = await _issued(tx, app, _payload(app, proof, scope, now), now)
    return validate.seal(app, token.payload), token


async def issue_for_service(app: App, user: User, project_id: str) -> str:
    """A token of a service's own user, which needs no password within the cloud."""
    now, proof = clock.now(), Proof(user=user, methods=("password",))
    payload = _payload(app, proof, Scope(project_id=project_id), now)
    async with app.db.read() as tx:
        token = await _issued(tx, app, payload, now)
    return validate.seal(app, token.payload)


async def _issued(tx: Tx, app: App, payload: Payload, now: float) -> Token:
    """The token of `payload`, clear of what was cancelled a moment ago."""
    token = await validate.describe(tx, app, payload)
    domains = (token.domain.id if token.domain else None, token.user.domain_id)
    recent = await events.list_for(tx, msgspec.structs.replace(payload, issued_at=now - 1))
    issued_at = revocations.issue_time(now, payload, domains, recent)
    return msgspec.structs.replace(
        token, payload=msgspec.structs.replace(payload, issued_at=issued_at)
    )


async def _prove(app: App, identity: JSON) -> Proof:
    """Every method must succeed, and all must show the same user."""
    methods = tuple(dict.fromkeys(identity["methods"]))
    proofs: list[Proof] = []
    for method in methods:
        prove = _METHODS.get(method)
        if prove is None:
            raise Unauthorized(
                "Attempted to authenticate with an unsupported method.", code="auth.method"
            )
        if method not in identity:
            raise Invalid(
                f"Expecting to find {method} in identity. The server could not comply with the "
                "request since it is either malformed or otherwise incorrect. The client is "
                "assumed to be in error.",
                field=method,
            )
        proofs.append(await prove(app, identity[method]))
    if len({proof.user.id for proof in proofs}) != 1:
        raise Unauthorized("The methods name different users.", code="auth.users")
    shown = tuple(dict.fromkeys(name for proof in proofs for name in proof.methods))
    rules.check_factors(proofs[0].user, shown)
    return Proof(
        user=proofs[0].user,
        methods=tuple(name for name in reversed(payloads.METHODS) if name in shown),
        parent=next((proof.parent for proof in proofs if proof.parent), None),
        credential=next((proof.credential for proof in proofs if proof.credential), None),
    )


async def _by_password(app: App, given: JSON) -> Proof:
    wanted = given["user"]
    async with app.db.read() as tx:
        user = await find_user(tx, wanted)
        password = await users.find_password(tx, user.id) if user else None
    user = await check_secret(app, user, password, wanted["password"])
    assert password is not None
    rules.check_password(user, password, app.config.passwords, clock.now())
    return Proof(user=user, methods=("password",))


async def check_secret(app: App, user: User | None, password: Password | None, given: str) -> User:
    """The user whose password was given; one that has run out still shows who it is.

    Takes as long for a user who is not there. Raises Unauthorized.
    """
    now, settings = clock.now(), app.config.passwords
    if user is not None and rules.is_locked(user, settings, now):
        raise Unauthorized(f"The account is locked for user: {user.id}.", code="auth.locked")
    fits = await app.hasher.verify(given, password.hash if password else None)
    if user is None or password is None:
        raise Unauthorized("Invalid username or password.", code="auth.password")
    await _note_attempt(app, user, fits=fits, now=now)
    if not fits:
        raise Unauthorized("Invalid username or password.", code="auth.password")
    if not rules.is_enabled(user, settings, now):
        raise Unauthorized(f"The account is disabled for user: {user.id}.", code="auth.disabled")
    return user


async def _note_attempt(app: App, user: User, *, fits: bool, now: float) -> None:
    """Count failures where that matters, and remember activity where that matters."""
    settings = app.config.passwords
    changes: JSON = {}
    if settings.lockout_attempts and fits and user.failed_count:
        changes = {"failed_count": 0, "failed_at": None}
    if settings.inactive_days_max is not None and fits:
        changes["last_active_at"] = now
    if settings.lockout_attempts and not fits:
        async with app.db.write() as tx:
            # Read again: attempts in parallel must all count.
            fresh = await rows.get(tx, rows.USERS, user.id)
            stale = now >= (fresh.failed_at or 0.0) + settings.lockout_s
            count = 1 if stale else fresh.failed_count + 1
            await rows.update(tx, rows.USERS, fresh, {"failed_count": count, "failed_at": now})
        return
    if changes:
        async with app.db.write() as tx:
            await rows.update(tx, rows.USERS, user, changes)


async def _by_token(app: App, given: JSON) -> Proof:
    try:
        token = await validate.check(app, given["id"])
    except Unauthorized as e:  # as Keystone: the token is a thing that was not found
        raise NotFound("Could not find token.", code="token.not_found") from e
    methods = ("token", *token.payload.methods)
    return Proof(
        user=token.user,
        methods=methods,
        parent=token.payload,
        credential=token.application_credential,
    )


async def _by_application_credential(app: App, given: JSON) -> Proof:
    async with app.db.read() as tx:
        found, user = await _find_credential(tx, given)
    fits = await app.hasher.verify(given["secret"], found.secret_hash if found else None)
    if not fits or found is None or user is None:
        raise Unauthorized("Could not authenticate with application credential.", code="auth")
    now = clock.now()
    if found.expires_at is not None and found.expires_at <= now:
        raise Unauthorized("The application credential has expired.", code="auth.expired")
    if not rules.is_enabled(user, app.config.passwords, now):
        raise Unauthorized(f"The account is disabled for user: {user.id}.", code="auth.disabled")
    return Proof(user=user, methods=("application_credential",), credential=found)


async def _find_credential(tx: Tx, given: JSON) -> tuple[ApplicationCredential | None, User | None]:
    if "id" in given:
        found = await rows.find(tx, rows.APPLICATION_CREDENTIALS, given["id"])
        user = await rows.find(tx, rows.USERS, found.user_id) if found else None
        return found, user
    user = await find_user(tx, given.get("user") or {})
    if user is None:
        return None, None
    return await rows.find_by(
        tx, rows.APPLICATION_CREDENTIALS, user_id=user.id, name=given["name"]
    ), user


_METHODS: dict[str, Callable[[App, JSON], Awaitable[Proof]]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
}


async def find_user(tx: Tx, wanted: JSON) -> User | None:
    """The user named by id, or by name and domain, in an enabled domain."""
    if "id" in wanted:
        user = await rows.find(tx, rows.USERS, wanted["id"])
    elif "name" in wanted and wanted.get("domain"):
        domain = await _find_domain(tx, wanted["domain"])
        if domain is None:
            return None
        user = await rows.find_by(tx, rows.USERS, name=wanted["name"], domain_id=domain.id)
    else:
        raise Invalid("Expecting to find domain in user.", field="domain")
    if user is None:
        return None
    home = await rows.find(tx, rows.PROJECTS, user.domain_id)
    return user if home is not None and home.enabled else None


async def _find_domain(tx: Tx, wanted: JSON) -> Project | None:
    if "id" in wanted:
        found = await rows.find(tx, rows.PROJECTS, wanted["id"])
    else:
        found = await rows.find_by(tx, rows.PROJECTS, name=wanted["name"], is_domain=True)
    return found if found is not None and found.is_domain and found.enabled else None


async def _scope(tx: Tx, app: App, proof: Proof, wanted: JSON | str | None) -> Scope:
    """What the token shall be for."""
    if proof.credential is not None:
        return _scope_of_credential(proof, wanted)
    if wanted is None:
        return await _default_scope(tx, app, proof.user)
    if wanted == "unscoped" or (isinstance(wanted, dict) and "unscoped" in wanted):
        return Scope()
    if isinstance(wanted, str):
        raise Invalid("scope must be an object or 'unscoped'", field="scope")
    kinds = [kind for kind in ("project", "domain", "system", "OS-TRUST:trust") if kind in wanted]
    if len(kinds) != 1:
        raise Invalid("Expecting to find one of project, domain or system in scope.", field="scope")
    if kinds[0] == "system":
        if wanted["system"].get("all") is not True:
            raise Invalid("Only the scope of all of the system is known.", field="all")
        return Scope(system=True)
    if kinds[0] == "domain":
        domain = await _find_domain(tx, wanted["domain"])
        if domain is None:
            raise Unauthorized("Could not find that domain.", code="auth.domain")
        return Scope(domain_id=domain.id)
    if kinds[0] == "project":
        return await _project_scope(tx, wanted["project"])
    raise Unauthorized("Trusts are not supported.", code="auth.trust")


def _scope_of_credential(proof: Proof, wanted: JSON | str | None) -> Scope:
    """An application credential is for its project and for nothing else."""
    assert proof.credential is not None
    own = Scope(project_id=proof.credential.project_id)
    if proof.parent is not None:
        # keystone: a token of an application credential cannot be used to get another one.
        raise Forbidden("rescope a scoped token", code="auth.rescope")
    if wanted is None or wanted == {"project": {"id": own.project_id}}:
        return own
    raise Unauthorized("Application credentials cannot request a scope.", code="auth.scope")


async def _project_scope(tx: Tx, wanted: JSON) -> Scope:
    if "id" in wanted:
        project = await rows.find(tx, rows.PROJECTS, wanted["id"])
    else:
        if not wanted.get("domain"):
            raise Invalid("Expecting to find domain in project.", field="domain")
        domain = await _find_domain(tx, wanted["domain"])
        project = domain and await rows.find_by(
            tx, rows.PROJECTS, name=wanted["name"], domain_id=domain.id
        )
    if project is None:
        raise Unauthorized("Could not find that project.", code="auth.project")
    return Scope(project_id=project.id)


async def _default_scope(tx: Tx, app: App, user: User) -> Scope:
    """The user's default project where a token for it would be good, else nothing."""
    if user.default_project_id is None:
        return Scope()
    scope = Scope(project_id=user.default_project_id)
    trial = Payload(user_id=user.id, methods=(), expires_at=0.0, audit_ids=(), scope=scope)
    try:
        await validate.describe(tx, app, trial)
    except Unauthorized:
        return Scope()
    return scope


def _payload(app: App, proof: Proof, scope: Scope, now: float) -> Payload:
    """A token got by another one ends with it, and names it as the start of the chain."""
    audit_ids: tuple[str, ...] = (payloads.new_audit_id(clock.token_bytes(16)),)
    expires_at = now + app.config.token_lifetime_s
    if proof.parent is not None:
        audit_ids = (*audit_ids, proof.parent.audit_ids[-1])
        expires_at = min(expires_at, proof.parent.expires_at)
    if proof.credential is not None and proof.credential.expires_at is not None:
        expires_at = min(expires_at, proof.credential.expires_at)
    return Payload(
        user_id=proof.user.id,
        methods=proof.methods,
        # Fernet counts whole seconds; a token must not seem to outlive itself.
        expires_at=float(int(expires_at)),
        audit_ids=audit_ids,
        issued_at=float(int(now)),
        scope=scope,
        application_credential_id=proof.credential.id if proof.credential else None,
    )
