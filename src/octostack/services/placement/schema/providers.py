# SPDX-License-Identifier: Apache-2.0
"""Providers in and out."""

from typing import Any

from octostack.runtime.http import Request, versions
from octostack.services.placement.model import ProviderState
from octostack.services.placement.schema.parts import UUID, body, closed, path_prefix, query

_NAME = {"type": "string", "maxLength": 200, "minLength": 1}
_PARENT = {"anyOf": [UUID, {"type": "null"}]}
_TEXT = {"type": "string"}

CREATE = versions(
    (
        "1.14",
        body(closed({"name": _NAME, "uuid": UUID, "parent_provider_uuid": _PARENT}, ("name",))),
    ),
    ("1.0", body(closed({"name": _NAME, "uuid": UUID}, ("name",)))),
)
UPDATE = versions(
    ("1.14", body(closed({"name": _NAME, "parent_provider_uuid": _PARENT}, ("name",)))),
    ("1.0", body(closed({"name": _NAME}, ("name",)))),
)

_BASE = {"name": _TEXT, "uuid": UUID}
_1_3 = _BASE | {"member_of": _TEXT}
_1_4 = _1_3 | {"resources": _TEXT}
_1_14 = _1_4 | {"in_tree": UUID}
_1_18 = _1_14 | {"required": _TEXT}
LIST = versions(
    ("1.18", query(_1_18)),
    ("1.14", query(_1_14)),
    ("1.4", query(_1_4)),
    ("1.3", query(_1_3)),
    ("1.0", query(_BASE)),
)

_LINKS = (("usages", (1, 0)), ("aggregates", (1, 1)), ("traits", (1, 6)), ("allocations", (1, 11)))


def view(req: Request, state: ProviderState) -> dict[str, Any]:
    """A provider as `req.version` shows it."""
    url = f"{path_prefix(req)}/resource_providers/{state.id}"
    rels = ["inventories", *(rel for rel, since in _LINKS if req.version >= since)]
    shown: dict[str, Any] = {
        "uuid": state.id,
        "name": state.name,
        "generation": state.generation,
        "links": [{"rel": "self", "href": url}]
        + [{"rel": rel, "href": f"{url}/{rel}"} for rel in rels],
    }
    if req.version >= (1, 14):
        shown["parent_provider_uuid"] = state.parent_id
        shown["root_provider_uuid"] = state.root_id
    return shown
