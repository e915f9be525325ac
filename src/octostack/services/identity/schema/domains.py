# SPDX-License-Identifier: Apache-2.0
"""Domains."""

from collections.abc import Sequence

from octostack.services.identity.model import JSON, Project
from octostack.services.identity.schema import base, projects

_PROPERTIES: JSON = {
    "name": base.NAME_64,
    "description": base.nullable(base.TEXT),
    "enabled": base.BOOLEAN,
    "options": projects.OPTIONS,
    "tags": {"type": "array", "items": base.TAG, "maxItems": 80, "uniqueItems": True},
}

CREATE = base.body("domain", _PROPERTIES | {"explicit_domain_id": base.ID}, required=("name",))
UPDATE = base.change("domain", _PROPERTIES)


def view(domain: Project, base_url: str, tags: Sequence[str] = ()) -> JSON:
    """A domain."""
    return domain.extra | {
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": list(tags),
        "options": domain.options,
        "links": base.links(base_url, "domains", domain.id),
    }
