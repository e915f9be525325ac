# SPDX-License-Identifier: Apache-2.0
"""Roles, implications and assignments."""

from typing import Any

from octostack.services.identity.model import JSON, Role
from octostack.services.identity.schema import base
from octostack.services.identity.schema.projects import OPTIONS

_PROPERTIES: JSON = {
    "name": base.NAME,
    "domain_id": base.nullable(base.ID),
    "description": base.nullable(base.TEXT),
    "options": OPTIONS,
}

CREATE = base.body("role", _PROPERTIES, required=("name",))
UPDATE = base.change("role", _PROPERTIES)
KNOWN = tuple(_PROPERTIES)


def view(role: Role, base_url: str) -> JSON:
    """A role."""
    return role.extra | {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": role.options,
        "links": base.links(base_url, "roles", role.id),
    }


def reference(role: Role, base_url: str) -> JSON:
    """A role within an implication."""
    return {
        "id": role.id,
        "name": role.name,
        "links": base.links(base_url, "roles", role.id),
    }


def implication(prior: Role, implied: Role | list[Role], base_url: str) -> JSON:
    """One role with what it implies."""
    implies: Any
    if isinstance(implied, Role):
        implies = reference(implied, base_url)
    else:
        implies = [reference(one, base_url) for one in implied]
    return {"prior_role": reference(prior, base_url), "implies": implies}
