# SPDX-License-Identifier: Apache-2.0
"""Credentials of users for other things, EC2 keys among them."""

from octostack.runtime.http import Schema
from octostack.services.identity.model import JSON, Credential
from octostack.services.identity.schema import base

_PROPERTIES: JSON = {
    "blob": {"type": "string", "maxLength": 65535},
    "type": base.NAME,
    "user_id": base.ID,
    "project_id": base.nullable(base.ID),
}

CREATE = base.body("credential", _PROPERTIES, required=("blob", "type", "user_id"))
UPDATE = base.change("credential", _PROPERTIES)
CREATE_EC2 = Schema(
    {"type": "object", "properties": {"tenant_id": base.ID}, "required": ["tenant_id"]}
)
KNOWN = tuple(_PROPERTIES)


def view(one: Credential, blob: str, base_url: str) -> JSON:
    """A credential with its secret, for who may see it."""
    return one.extra | {
        "id": one.id,
        "user_id": one.user_id,
        "type": one.type,
        "project_id": one.project_id,
        "blob": blob,
        "links": base.links(base_url, "credentials", one.id),
    }


def ec2(one: Credential, blob: JSON, base_url: str) -> JSON:
    """An EC2 key."""
    path = f"users/{one.user_id}/credentials/OS-EC2"
    return {
        "user_id": one.user_id,
        "tenant_id": one.project_id,
        "access": blob.get("access"),
        "secret": blob.get("secret"),
        "trust_id": None,
        "links": base.links(base_url, path, str(blob.get("access"))),
    }
