# SPDX-License-Identifier: Apache-2.0
"""Application credentials and their access rules."""

from collections.abc import Sequence

from octostack.base import clock
from octostack.services.identity.model import JSON, AccessRule, ApplicationCredential, Role
from octostack.services.identity.schema import base

_RULE: JSON = {
    "type": "object",
    "properties": {
        "id": base.ID,
        "service": base.ID,
        "method": {"type": "string", "enum": ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]},
        "path": {"type": "string", "maxLength": 128, "pattern": r"^/"},
    },
    "additionalProperties": False,
    "anyOf": [{"required": ["id"]}, {"required": ["service", "method", "path"]}],
}
_ROLE: JSON = {
    "type": "object",
    "properties": {"id": base.ID, "name": base.NAME},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}

CREATE = base.body(
    "application_credential",
    {
        "id": base.TEXT,
        "name": base.NAME,
        "secret": base.nullable({"type": "string", "minLength": 1, "maxLength": 4096}),
        "description": base.nullable(base.TEXT),
        "expires_at": base.nullable(base.DATETIME),
        "project_id": base.TEXT,
        "unrestricted": base.nullable(base.BOOLEAN),
        "roles": {"type": "array", "items": _ROLE},
        "access_rules": {"type": "array", "items": _RULE, "maxItems": 100},
        "system": base.nullable(base.TEXT),
    },
    required=("name",),
    extra=False,
)


def view(
    one: ApplicationCredential,
    roles: Sequence[Role],
    rules: Sequence[AccessRule],
    base_url: str,
) -> JSON:
    """An application credential; its secret is in no answer but the first."""
    path = f"users/{one.user_id}/application_credentials"
    shown: JSON = {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "user_id": one.user_id,
        "project_id": one.project_id,
        "system": None,
        # Keystone writes this one without a zone.
        "expires_at": None
        if one.expires_at is None
        else clock.iso(one.expires_at, micros=True, suffix=""),
        "unrestricted": one.unrestricted,
        "roles": [
            {
                "id": role.id,
                "name": role.name,
                "domain_id": role.domain_id,
                "description": role.description,
                "options": role.options,
            }
            for role in roles
        ],
        "links": base.links(base_url, path, one.id),
    }
    if one.access_rule_ids is not None:
        shown["access_rules"] = [_rule(rule) for rule in rules]
    return shown


def access_rule(one: AccessRule, base_url: str) -> JSON:
    """An access rule."""
    links = base.links(base_url, f"users/{one.user_id}/access_rules", one.id)
    return _rule(one) | {"links": links}


def _rule(one: AccessRule) -> JSON:
    return {"id": one.id, "service": one.service, "method": one.method, "path": one.path}
