# SPDX-License-Identifier: Apache-2.0
"""Policy documents in and out."""

from octostack.services.identity.model import JSON, PolicyBlob
from octostack.services.identity.schema import base

_POLICY: JSON = {"blob": base.TEXT, "type": {"type": "string", "maxLength": 255}}
KNOWN = tuple(_POLICY)
CREATE = base.body("policy", _POLICY, required=("blob", "type"))
UPDATE = base.change("policy", _POLICY)


def view(one: PolicyBlob, base_url: str) -> JSON:
    """A document as the API shows it."""
    return one.extra | {
        "id": one.id,
        "blob": one.blob,
        "type": one.type,
        "links": base.links(base_url, "policies", one.id),
    }
