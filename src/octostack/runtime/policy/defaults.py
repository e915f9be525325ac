# SPDX-License-Identifier: Apache-2.0
"""The building blocks every service's rules are made of: secure RBAC's personas.

Roles imply each other (admin > manager > member > reader) in the token already, so a check names
the weakest role that suffices. The strings are for use within a rule (``rule:project_reader``).
"""

from octostack.runtime.policy.rule import Rule

ADMIN = "rule:context_is_admin"
SERVICE = "rule:service_api"
ADMIN_OR_SERVICE = "rule:admin_or_service"
PROJECT_READER = "rule:project_reader_api"
PROJECT_MEMBER = "rule:project_member_api"
PROJECT_MANAGER = "rule:project_manager_api"
PROJECT_READER_OR_ADMIN = "rule:project_reader_or_admin"
PROJECT_MEMBER_OR_ADMIN = "rule:project_member_or_admin"
PROJECT_MANAGER_OR_ADMIN = "rule:project_manager_or_admin"
SYSTEM_READER = "rule:system_reader_api"
ADMIN_OR_SYSTEM_READER = "rule:admin_or_system_reader"
ANYONE = "@"
NOBODY = "!"

RULES = (
    Rule("context_is_admin", "role:admin", "Operators, in any scope."),
    Rule("service_api", "role:service", "The users of other services."),
    Rule("admin_or_service", "rule:context_is_admin or rule:service_api", "Operators, services."),
    Rule(
        "project_reader_api",
        "role:reader and project_id:%(project_id)s",
        "Who may look at what a project owns.",
    ),
    Rule(
        "project_member_api",
        "role:member and project_id:%(project_id)s",
        "Who may work with what a project owns.",
    ),
    Rule(
        "project_manager_api",
        "role:manager and project_id:%(project_id)s",
        "Who may do the weightier things within a project.",
    ),
    Rule(
        "project_reader_or_admin",
        "rule:project_reader_api or rule:context_is_admin",
        "The default for looking.",
    ),
    Rule(
        "project_member_or_admin",
        "rule:project_member_api or rule:context_is_admin",
        "The default for changing.",
    ),
    Rule(
        "project_manager_or_admin",
        "rule:project_manager_api or rule:context_is_admin",
        "The default for what members may not.",
    ),
    Rule("system_reader_api", "role:reader and system_scope:all", "Auditors of the whole cloud."),
    Rule(
        "admin_or_system_reader",
        "rule:context_is_admin or rule:system_reader_api",
        "Operators and auditors.",
    ),
)
