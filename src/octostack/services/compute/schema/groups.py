# SPDX-License-Identifier: Apache-2.0
"""Server groups in and out."""

from typing import Any

from octostack.runtime.http import versions
from octostack.services.compute.model import ServerGroup
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

HARD = ("anti-affinity", "affinity")
SOFT = ("soft-anti-affinity", "soft-affinity")


def _old(policies: tuple[str, ...]) -> Any:
    return terms.body(
        "server_group",
        terms.whole(
            {
                "name": terms.NAME,
                "policies": {
                    "type": "array",
                    "items": {"type": "string", "enum": list(policies)},
                    "minItems": 1,
                    "maxItems": 1,
                    "uniqueItems": True,
                },
            },
            ["name", "policies"],
        ),
    )


_NEW: Json = terms.whole(
    {
        "name": terms.NAME,
        "policy": {"type": "string", "enum": [*HARD, *SOFT]},
        "rules": terms.whole(
            {
                "max_server_per_host": {
                    "type": ["integer", "string"],
                    "pattern": "^[0-9]+$",
                    "minimum": 1,
                    "minLength": 1,
                    "maxLength": 9,
                    "format": "at_least_1",
                }
            }
        ),
    },
    ["name", "policy"],
)

CREATE = versions(
    ("2.64", terms.body("server_group", _NEW)),
    ("2.15", _old((*HARD, *SOFT))),
    ("2.1", _old(HARD)),
)


def view(group: ServerGroup, members: list[str], version: tuple[int, int]) -> Json:
    """A group; `members` are those that live."""
    shown: Json = {"id": group.id, "name": group.name, "members": members}
    if version >= (2, 64):
        shown |= {"policy": group.policy, "rules": group.rules}
    else:
        shown |= {"policies": [group.policy], "metadata": {}}
    if version >= (2, 13):
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    return shown
