# SPDX-License-Identifier: Apache-2.0
"""Groups."""

from octostack.services.identity.model import JSON, Group
from octostack.services.identity.schema import base

_PROPERTIES: JSON = {
    "name": base.NAME_64,
    "domain_id": base.ID,
    "description": base.nullable(base.TEXT),
}

CREATE = base.body("group", _PROPERTIES, required=("name",))
UPDATE = base.change("group", _PROPERTIES)
KNOWN = tuple(_PROPERTIES)


def view(group: Group, base_url: str) -> JSON:
    """A group."""
    return group.extra | {
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": base.links(base_url, "groups", group.id),
    }
