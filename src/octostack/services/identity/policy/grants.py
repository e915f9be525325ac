# SPDX-License-Identifier: Apache-2.0
"""Roles, what they imply, and who gets them where."""

from octostack.services.identity.policy.base import ADMIN, ADMIN_OR_SYSTEM_READER, rule

_USER = "domain_id:%(target.user.domain_id)s"
_GROUP = "domain_id:%(target.group.domain_id)s"
_PROJECT = "domain_id:%(target.project.domain_id)s"
_DOMAIN = "domain_id:%(target.domain.id)s"
_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"


def _within_domain(role: str) -> str:
    """One's own domain has the actor and the target."""
    pairs = ((_USER, _PROJECT), (_USER, _DOMAIN), (_GROUP, _PROJECT), (_GROUP, _DOMAIN))
    return "(" + " or ".join(f"(role:{role} and {a} and {b})" for a, b in pairs) + ")"


_CHECK = f"{ADMIN_OR_SYSTEM_READER} or {_within_domain('reader')} and {_ROLE}"
_LIST = f"{ADMIN_OR_SYSTEM_READER} or {_within_domain('reader')}"
_CHANGE = (
    f"{ADMIN} or {_within_domain('admin')} and {_ROLE} or "
    f"{_within_domain('manager')} and rule:domain_managed_target_role"
)
_ACTORS = [
    f"/v3/{target}/{actor}/roles"
    for target in ("projects/{project_id}", "domains/{domain_id}")
    for actor in ("users/{user_id}", "groups/{group_id}")
]
_INHERITED = [path.replace("/v3/", "/v3/OS-INHERIT/", 1) for path in _ACTORS]
_ALL = [f"{path}/{{role_id}}" for path in _ACTORS] + [
    f"{path}/{{role_id}}/inherited_to_projects" for path in _INHERITED
]
_LISTS = _ACTORS + [f"{path}/inherited_to_projects" for path in _INHERITED]
_READERS = f"{ADMIN_OR_SYSTEM_READER} or (role:manager and rule:domain_managed_target_role)"
_ONE = "/v3/roles/{role_id}"
_IMPLIED = "/v3/roles/{prior_role_id}/implies/{implied_role_id}"

_GRANTS = (
    rule(
        "check_grant",
        _CHECK,
        "Was a role given?",
        *(f"{method} {path}" for path in _ALL for method in ("HEAD", "GET")),
    ),
    rule("list_grants", _LIST, "List given roles.", *(f"GET {path}" for path in _LISTS)),
    rule("create_grant", _CHANGE, "Give a role.", *(f"PUT {path}" for path in _ALL)),
    rule("revoke_grant", _CHANGE, "Take a role back.", *(f"DELETE {path}" for path in _ALL)),
)

_SYSTEM = tuple(
    rule(f"{verb}_system_grant{'s' * (verb == 'list')}_for_{actor}", check, text, *operations)
    for actor in ("user", "group")
    for path in (f"/v3/system/{actor}s/{{{actor}_id}}/roles",)
    for one in (path + "/{role_id}",)
    for verb, check, text, operations in (
        ("list", ADMIN_OR_SYSTEM_READER, "List roles on the system.", (f"GET {path}",)),
        ("check", ADMIN_OR_SYSTEM_READER, "Is there a role?", (f"GET {one}", f"HEAD {one}")),
        ("create", ADMIN, "Give a role on the system.", (f"PUT {one}",)),
        ("revoke", ADMIN, "Take it back.", (f"DELETE {one}",)),
    )
)

_ROLES = (
    rule("get_role", _READERS, "Show a role.", f"GET {_ONE}"),
    rule(
        "list_roles",
        f"{ADMIN_OR_SYSTEM_READER} or (role:manager and not domain_id:None)",
        "List roles.",
        "GET /v3/roles",
    ),
    rule("create_role", ADMIN, "Make a role.", "POST /v3/roles"),
    rule("update_role", ADMIN, "Change a role.", f"PATCH {_ONE}"),
    rule("delete_role", ADMIN, "Delete a role.", f"DELETE {_ONE}"),
    rule("get_domain_role", ADMIN_OR_SYSTEM_READER, "Show a domain's role.", f"GET {_ONE}"),
    rule("list_domain_roles", ADMIN_OR_SYSTEM_READER, "List a domain's.", "GET /v3/roles"),
    rule("create_domain_role", ADMIN, "Make a domain's role.", "POST /v3/roles"),
    rule("update_domain_role", ADMIN, "Change a domain's role.", f"PATCH {_ONE}"),
    rule("delete_domain_role", ADMIN, "Delete a domain's role.", f"DELETE {_ONE}"),
)

_IMPLICATIONS = (
    rule("get_implied_role", ADMIN_OR_SYSTEM_READER, "Show an implication.", f"GET {_IMPLIED}"),
    rule("check_implied_role", ADMIN_OR_SYSTEM_READER, "Is it implied?", f"HEAD {_IMPLIED}"),
    rule(
        "list_implied_roles",
        ADMIN_OR_SYSTEM_READER,
        "List what a role implies.",
        "GET /v3/roles/{prior_role_id}/implies",
    ),
    rule("create_implied_role", ADMIN, "Let a role imply another.", f"PUT {_IMPLIED}"),
    rule("delete_implied_role", ADMIN, "No longer.", f"DELETE {_IMPLIED}"),
    rule(
        "list_role_inference_rules",
        ADMIN_OR_SYSTEM_READER,
        "List all implications.",
        "GET /v3/role_inferences",
    ),
)

_ASSIGNMENTS = (
    rule(
        "list_role_assignments",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)",
        "List who has which role where.",
        "GET /v3/role_assignments",
    ),
    rule(
        "list_role_assignments_for_tree",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)",
        "The same for a project and all below.",
        "GET /v3/role_assignments",
    ),
)

RULES = (*_GRANTS, *_SYSTEM, *_ROLES, *_IMPLICATIONS, *_ASSIGNMENTS)
