# SPDX-License-Identifier: Apache-2.0
"""Domains, projects and their tags."""

from octostack.services.identity.policy.base import ADMIN, ADMIN_OR_SYSTEM_READER, rule

_SAME_DOMAIN = "domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s"
_READER = (
    f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_SAME_DOMAIN}) or "
    "project_id:%(target.project.id)s"
)
_MANAGER = f"{ADMIN} or (role:manager and {_SAME_DOMAIN})"
_TAGS = "/v3/projects/{project_id}/tags"
_TAG = _TAGS + "/{value}"

_DOMAINS = (
    rule(
        "get_domain",
        f"{ADMIN_OR_SYSTEM_READER} or token.domain.id:%(target.domain.id)s or "
        "token.project.domain.id:%(target.domain.id)s",
        "Show a domain.",
        "GET /v3/domains/{domain_id}",
    ),
    rule(
        "list_domains",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain.id)s)",
        "List domains.",
        "GET /v3/domains",
    ),
    rule("create_domain", ADMIN, "Make a domain.", "POST /v3/domains"),
    rule("update_domain", ADMIN, "Change a domain.", "PATCH /v3/domains/{domain_id}"),
    rule("delete_domain", ADMIN, "Delete a domain.", "DELETE /v3/domains/{domain_id}"),
)

_PROJECTS = (
    rule("get_project", _READER, "Show a project.", "GET /v3/projects/{project_id}"),
    rule(
        "list_projects",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)",
        "List projects.",
        "GET /v3/projects",
    ),
    rule("create_project", _MANAGER, "Make a project.", "POST /v3/projects"),
    rule("update_project", _MANAGER, "Change a project.", "PATCH /v3/projects/{project_id}"),
    rule("delete_project", _MANAGER, "Delete a project.", "DELETE /v3/projects/{project_id}"),
)

_PROJECT_TAGS = (
    rule("list_project_tags", _READER, "List a project's tags.", f"GET {_TAGS}"),
    rule("get_project_tag", _READER, "Has a project a tag?", f"GET {_TAG}", f"HEAD {_TAG}"),
    rule("update_project_tags", _MANAGER, "Set a project's tags.", f"PUT {_TAGS}"),
    rule("create_project_tag", _MANAGER, "Add a tag.", f"PUT {_TAG}"),
    rule("delete_project_tags", _MANAGER, "Remove all tags.", f"DELETE {_TAGS}"),
    rule("delete_project_tag", _MANAGER, "Remove a tag.", f"DELETE {_TAG}"),
)

RULES = (*_DOMAINS, *_PROJECTS, *_PROJECT_TAGS)
