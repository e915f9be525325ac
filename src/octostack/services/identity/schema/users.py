# SPDX-License-Identifier: Apache-2.0
"""Users."""

from octostack.services.identity.model import JSON, User
from octostack.services.identity.schema import base

OPTION_NAMES = (
    "ignore_change_password_upon_first_use",
    "ignore_password_expiry",
    "ignore_lockout_failure_attempts",
    "lock_password",
    "ignore_user_inactivity",
    "multi_factor_auth_enabled",
)
_OPTIONS: JSON = {
    "type": "object",
    "properties": {name: base.nullable(base.BOOLEAN) for name in OPTION_NAMES}
    | {
        "multi_factor_auth_rules": base.nullable(
            {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "uniqueItems": True,
                },
                "uniqueItems": True,
            }
        )
    },
    "additionalProperties": False,
}
_PASSWORD: JSON = {"type": "string", "maxLength": 4096}
_PROPERTIES: JSON = {
    "name": base.NAME,
    "domain_id": base.ID,
    "default_project_id": base.nullable(base.ID),
    "description": base.nullable(base.TEXT),
    "enabled": base.BOOLEAN,
    "password": base.nullable(_PASSWORD),
    "options": _OPTIONS,
}

CREATE = base.body("user", _PROPERTIES, required=("name",))
UPDATE = base.change("user", _PROPERTIES)
PASSWORD = base.body(
    "user",
    {"original_password": _PASSWORD, "password": _PASSWORD},
    required=("original_password", "password"),
)

# What a user may not bring along as an attribute of its own.
KNOWN = tuple(_PROPERTIES)
RESERVED = ("id", "links", "password_expires_at", "federated", "original_password")


def view(user: User, password_expires_at: float | None, base_url: str) -> JSON:
    """A user, without anything secret."""
    shown = user.extra | {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": base.when(password_expires_at),
        "options": user.options,
        "links": base.links(base_url, "users", user.id),
    }
    if user.default_project_id is not None:
        shown["default_project_id"] = user.default_project_id
    if user.description is not None:
        shown["description"] = user.description
    return shown
