# SPDX-License-Identifier: Apache-2.0
"""Logins and tokens."""

from octostack.runtime.http import Schema
from octostack.services.identity.model import JSON, Endpoint, Revocation, Role, Service, Token
from octostack.services.identity.schema.base import ID, when

_TEXT: JSON = {"type": "string"}
_ID_OR_NAME: JSON = {"anyOf": [{"required": ["id"]}, {"required": ["name"]}]}
_DOMAIN: JSON = {"type": "object", "properties": {"id": _TEXT, "name": _TEXT}, **_ID_OR_NAME}
_USER: JSON = {
    "type": "object",
    "properties": {"id": _TEXT, "name": _TEXT, "password": _TEXT, "domain": _DOMAIN},
}

ISSUE = Schema(
    {
        "type": "object",
        "required": ["auth"],
        "properties": {
            "auth": {
                "type": "object",
                "required": ["identity"],
                "properties": {
                    "identity": {
                        "type": "object",
                        "required": ["methods"],
                        "properties": {
                            "methods": {"type": "array", "items": _TEXT, "minItems": 1},
                            "password": {
                                "type": "object",
                                "required": ["user"],
                                "properties": {
                                    "user": _USER | _ID_OR_NAME | {"required": ["password"]}
                                },
                            },
                            "token": {
                                "type": "object",
                                "required": ["id"],
                                "properties": {"id": _TEXT},
                            },
                            "application_credential": {
                                "type": "object",
                                "required": ["secret"],
                                "properties": {
                                    "id": ID,
                                    "name": _TEXT,
                                    "secret": _TEXT,
                                    "user": _USER,
                                },
                                **_ID_OR_NAME,
                            },
                        },
                    },
                    "scope": {
                        "type": ["object", "string"],
                        "properties": {
                            "project": {
                                "type": "object",
                                "properties": {"id": _TEXT, "name": _TEXT, "domain": _DOMAIN},
                                **_ID_OR_NAME,
                            },
                            "domain": _DOMAIN,
                            "system": {
                                "type": "object",
                                "properties": {"all": {"type": "boolean"}},
                            },
                        },
                    },
                },
            }
        },
    }
)


def view(token: Token, catalog: list[JSON] | None) -> JSON:
    """A token as its answer tells it; `catalog` None leaves that out."""
    payload = token.payload
    shown: JSON = {
        "methods": list(payload.methods),
        "user": {
            "domain": {"id": token.user_domain.id, "name": token.user_domain.name},
            "id": token.user.id,
            "name": token.user.name,
            "password_expires_at": when(token.password_expires_at),
        },
        "audit_ids": list(payload.audit_ids),
        "expires_at": when(payload.expires_at),
        "issued_at": when(payload.issued_at),
    }
    if not payload.scope.is_unscoped:
        shown |= _scope(token)
        shown["roles"] = [role(one) for one in token.roles]
        if catalog is not None:
            shown["catalog"] = catalog
    if token.application_credential is not None:
        credential = token.application_credential
        shown["application_credential"] = {
            "id": credential.id,
            "name": credential.name,
            "restricted": not credential.unrestricted,
        }
        if token.access_rules is not None:
            shown["application_credential"]["access_rules"] = [
                {"id": r.id, "service": r.service, "method": r.method, "path": r.path}
                for r in token.access_rules
            ]
    return {"token": shown}


def event(one: Revocation) -> JSON:
    """What cancels tokens; only what it names must fit."""
    shown: JSON = {"issued_before": when(one.issued_before)}
    for name in ("user_id", "project_id", "domain_id", "audit_id", "audit_chain_id"):
        value = getattr(one, name)
        if value is not None:
            shown[name] = value
    return shown


def role(one: Role) -> JSON:
    """A role within a token."""
    return {"id": one.id, "name": one.name}


def catalog(services: list[tuple[Service, list[Endpoint]]]) -> list[JSON]:
    """The catalog with ``$(project_id)s`` still in its URLs."""
    return [
        {
            "endpoints": [
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region_id": endpoint.region_id,
                    "url": endpoint.url,
                    "region": endpoint.region_id,
                }
                for endpoint in endpoints
            ],
            "id": service.id,
            "type": service.type,
            "name": service.name or "",
        }
        for service, endpoints in services
    ]


def _scope(token: Token) -> JSON:
    if token.project is not None and token.domain is not None:
        domain = {"id": token.domain.id, "name": token.domain.name}
        project = {"domain": domain, "id": token.project.id, "name": token.project.name}
        return {"project": project, "is_domain": token.project.is_domain}
    if token.domain is not None:
        return {"domain": {"id": token.domain.id, "name": token.domain.name}}
    return {"system": {"all": True}}
