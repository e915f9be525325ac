# SPDX-License-Identifier: Apache-2.0
"""The catalog and the limits."""

from octostack.runtime.policy import Rule
from octostack.services.identity.policy.base import ADMIN, ADMIN_OR_SYSTEM_READER, ANYONE, rule


def _resource(name: str, readers: str, *extra: str, plural: str = "") -> tuple[Rule, ...]:
    plural = plural or f"{name}s"
    many, one = f"/v3/{plural}", f"/v3/{plural}/{{{name}_id}}"
    return (
        rule(f"get_{name}", readers, f"Show a {name}.", f"GET {one}"),
        rule(f"list_{plural}", readers, f"List {plural}.", f"GET {many}"),
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

_FILTER = "/v3/OS-EP-FILTER"
_GROUP = f"{_FILTER}/endpoint_groups/{{endpoint_group_id}}"
_OF_PROJECT = f"{_GROUP}/projects/{{project_id}}"
_ENDPOINT = f"{_FILTER}/projects/{{project_id}}/endpoints/{{endpoint_id}}"


def _filter(action: str, text: str, *operations: str) -> Rule:
    readers = ADMIN_OR_SYSTEM_READER
    changes = ("create", "update", "delete", "add", "remove")
    return rule(action, ADMIN if action.startswith(changes) else readers, text, *operations)


_FILTERS = (
    _filter("create_endpoint_group", "Make a group.", f"POST {_FILTER}/endpoint_groups"),
    _filter("list_endpoint_groups", "List groups.", f"GET {_FILTER}/endpoint_groups"),
    _filter("get_endpoint_group", "Show a group.", f"GET {_GROUP}"),
    _filter("update_endpoint_group", "Change a group.", f"PATCH {_GROUP}"),
    _filter("delete_endpoint_group", "Delete a group.", f"DELETE {_GROUP}"),
    _filter(
        "list_projects_associated_with_endpoint_group",
        "Who sees a group?",
        f"GET {_GROUP}/projects",
    ),
    _filter(
        "list_endpoints_associated_with_endpoint_group",
        "What is in a group?",
        f"GET {_GROUP}/endpoints",
    ),
    _filter("get_endpoint_group_in_project", "Does a project see it?", f"GET {_OF_PROJECT}"),
    _filter("add_endpoint_group_to_project", "Show it to a project.", f"PUT {_OF_PROJECT}"),
    _filter("remove_endpoint_group_from_project", "No longer.", f"DELETE {_OF_PROJECT}"),
    _filter(
        "list_endpoint_groups_for_project",
        "Which groups does a project see?",
        f"GET {_FILTER}/projects/{{project_id}}/endpoint_groups",
    ),
    _filter(
        "list_endpoints_for_project",
        "Which endpoints does a project see?",
        f"GET {_FILTER}/projects/{{project_id}}/endpoints",
    ),
    _filter(
        "list_projects_for_endpoint",
        "Who sees an endpoint?",
        f"GET {_FILTER}/endpoints/{{endpoint_id}}/projects",
    ),
    _filter("check_endpoint_in_project", "Does a project see it?", f"GET {_ENDPOINT}"),
    _filter("add_endpoint_to_project", "Show it to a project.", f"PUT {_ENDPOINT}"),
    _filter("remove_endpoint_from_project", "No longer.", f"DELETE {_ENDPOINT}"),
)

RULES = (
    *_resource("service", ADMIN_OR_SYSTEM_READER),
    *_resource("endpoint", ADMIN_OR_SYSTEM_READER),
    *_resource("region", ANYONE, "PUT /v3/regions/{region_id}"),
    *_resource("policy", ADMIN_OR_SYSTEM_READER, plural="policies"),
    *_LIMITS,
    *_FILTERS,
)
