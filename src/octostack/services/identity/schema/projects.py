# SPDX-License-Identifier: Apache-2.0
"""Projects, their tags."""

from collections.abc import Sequence

from octostack.runtime.http import Schema
from octostack.services.identity.model import JSON, Project
from octostack.services.identity.schema import base

_TAGS: JSON = {"type": "array", "items": base.TAG, "maxItems": 80, "uniqueItems": True}
OPTIONS: JSON = {
    "type": "object",
    "properties": {"immutable": base.nullable(base.BOOLEAN)},
    "additionalProperties": False,
}
_PROPERTIES: JSON = {
    "name": base.NAME_64,
    "description": base.nullable(base.TEXT),
    "domain_id": base.nullable(base.ID),
    "parent_id": base.nullable(base.ID),
    "is_domain": base.BOOLEAN,
    "enabled": base.BOOLEAN,
    "tags": _TAGS,
    "options": OPTIONS,
}

CREATE = base.body("project", _PROPERTIES, required=("name",))
UPDATE = base.change("project", _PROPERTIES)
TAGS = Schema(
    {
        "type": "object",
        "properties": {"tags": _TAGS},
        "required": ["tags"],
        "additionalProperties": False,
    }
)


def view(project: Project, base_url: str, tags: Sequence[str] = ()) -> JSON:
    """A project; or a domain in the form of one."""
    return project.extra | {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id,
        "is_domain": project.is_domain,
        "tags": list(tags),
        "options": project.options,
        "links": base.links(base_url, "projects", project.id),
    }
