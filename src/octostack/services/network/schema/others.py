# SPDX-License-Identifier: Apache-2.0
"""RBAC policies and agents: what goes in and out."""

from typing import Any

from octostack.base import clock
from octostack.services.network.model import nouns
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import REQUIRED, Attr, Resource, invalid

OBJECT_TYPES = ("network", "security_group", "subnetpool", "address_scope")
AGENT_TYPE = "Open vSwitch agent"  # the type that clients know which plugs guests' ports


def object_type(value: Any) -> str:
    """What kind of thing may be shared."""
    if value not in OBJECT_TYPES:
        raise invalid(
            f"'{value}' is not a valid RBAC object type. Valid values: {', '.join(OBJECT_TYPES)}"
        )
    return str(value)


def _stamp(t: float) -> str:
    return clock.iso(t, suffix="").replace("T", " ")


RBAC_POLICIES = Resource(
    "rbac_policy",
    "rbac_policies",
    nouns.RbacPolicy,
    (
        Attr("object_type", object_type, REQUIRED, post=True),
        Attr("object_id", types.uuid, REQUIRED, post=True),
        Attr(
            "target_tenant",
            types.not_blank,
            REQUIRED,
            post=True,
            put=True,
            enforce=("create", "update"),
            field="target_project",
        ),
        Attr("action", types.text, REQUIRED, post=True),
    ),
)

AGENTS = Resource(
    "agent",
    "agents",
    nouns.Agent,
    (
        Attr("agent_type", field=None, sort=False),
        Attr("binary", field=None, sort=False),
        Attr("topic", field=None, filter=False, sort=False),
        Attr("host", types.text),
        Attr("admin_state_up", types.boolean, put=True),
        Attr("availability_zone", types.text),
        Attr("started_at", show=_stamp, filter=False),
        Attr("created_at", show=_stamp, filter=False),
        Attr("heartbeat_timestamp", field="heartbeat_at", show=_stamp, filter=False),
        Attr("alive", types.boolean, field=None, sort=False),
        Attr("configurations", field=None, filter=False, sort=False),
        Attr("resources_synced", field=None, filter=False, sort=False),
        Attr("description", types.or_none(types.text), put=True),
    ),
)
