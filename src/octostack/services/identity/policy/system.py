# SPDX-License-Identifier: Apache-2.0
"""The catalog and the limits."""

from octostack.runtime.policy import Rule
from octostack.services.identity.policy.base import ADMIN, ADMIN_OR_SYSTEM_READER, ANYONE, rule


def _resource(name: str, readers: str, *extra: str) -> tuple[Rule, ...]:
    many, one = f"/v3/{name}s", f"/v3/{name}s/{{{name}_id}}"
    return (
        rule(f"get_{name}", readers, f"Show a {name}.", f"GET {one}"),
        rule(f"list_{name}s", readers, f"List {name}s.", f"GET {many}"),
        rule(f"create_{name}", ADMIN, f"Make a {name}.", f"POST {many}", *extra),
        rule(f"update_{name}", ADMIN, f"Change a {name}.", f"PATCH {one}"),
        rule(f"delete_{name}", ADMIN, f"Delete a {name}.", f"DELETE {one}"),
    )


_LIMIT = "/v3/limits/{limit_id}"
_REGISTERED = "/v3/registered_limits/{registered_limit_id}"

_LIMITS = (
    rule("get_limit_model", ANYONE, "How limits add up.", "GET /v3/limits/model"),
    rule(
        "get_limit",
        f"{ADMIN_OR_SYSTEM_READER} or domain_id:%(target.limit.domain.id)s or "
        "domain_id:%(target.limit.project.domain_id)s or "
        "(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)",
        "Show a limit.",
        f"GET {_LIMIT}",
    ),
    rule("list_limits", ANYONE, "List limits; others' are left out.", "GET /v3/limits"),
    rule("create_limits", ADMIN, "Make limits.", "POST /v3/limits"),
    rule("update_limit", ADMIN, "Change a limit.", f"PATCH {_LIMIT}"),
    rule("delete_limit", ADMIN, "Delete a limit.", f"DELETE {_LIMIT}"),
    rule("get_registered_limit", ANYONE, "Show a default limit.", f"GET {_REGISTERED}"),
    rule("list_registered_limits", ANYONE, "List them.", "GET /v3/registered_limits"),
    rule("create_registered_limits", ADMIN, "Make them.", "POST /v3/registered_limits"),
    rule("update_registered_limit", ADMIN, "Change one.", f"PATCH {_REGISTERED}"),
    rule("delete_registered_limit", ADMIN, "Delete one.", f"DELETE {_REGISTERED}"),
)

RULES = (
    *_resource("service", ADMIN_OR_SYSTEM_READER),
    *_resource("endpoint", ADMIN_OR_SYSTEM_READER),
    *_resource("region", ANYONE, "PUT /v3/regions/{region_id}"),
    *_LIMITS,
)
