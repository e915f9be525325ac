# SPDX-License-Identifier: Apache-2.0
"""The building blocks, named as Keystone's own override files name them."""

from octostack.runtime.policy import Rule

ADMIN = "rule:admin_required"
SYSTEM_READER = "(role:reader and system_scope:all)"
ADMIN_OR_SYSTEM_READER = f"rule:admin_required or {SYSTEM_READER}"
OWNER = "user_id:%(user_id)s"
ADMIN_OR_SYSTEM_READER_OR_OWNER = f"{ADMIN_OR_SYSTEM_READER} or rule:owner"
ANYONE = ""

RULES = (
    Rule("admin_required", "role:admin or is_admin:1", "Operators."),
    Rule("service_role", "role:service", "The users of other services."),
    Rule("service_or_admin", "rule:admin_required or rule:service_role", "Operators, services."),
    Rule("owner", OWNER, "The user a path names."),
    Rule("admin_or_owner", "rule:admin_required or rule:owner", "Operators, that user."),
    Rule("token_subject", "user_id:%(target.token.user_id)s", "The user of the token asked about."),
    Rule("admin_or_token_subject", "rule:admin_required or rule:token_subject", "Or operators."),
    Rule(
        "service_admin_or_token_subject",
        "rule:service_or_admin or rule:token_subject",
        "Or services.",
    ),
    Rule(
        "domain_managed_target_role",
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or "
        "'reader':%(target.role.name)s",
        "The roles a domain's manager may give and take.",
    ),
)


def rule(action: str, check: str, description: str, *operations: str) -> Rule:
    """``rule("get_user", ADMIN, "Show a user.", "GET /v3/users/{user_id}")``."""
    pairs = (operation.split(" ", 1) for operation in operations)
    return Rule(
        f"identity:{action}", check, description, tuple((method, path) for method, path in pairs)
    )
