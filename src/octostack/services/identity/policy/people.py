# SPDX-License-Identifier: Apache-2.0
"""Tokens, users, groups, credentials of all kinds."""

from octostack.services.identity.policy.base import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    ADMIN_OR_SYSTEM_READER_OR_OWNER,
    ANYONE,
    OWNER,
    SYSTEM_READER,
    rule,
)

_USER_READER = (
    f"{ADMIN_OR_SYSTEM_READER} or (role:reader and token.domain.id:%(target.user.domain_id)s) or "
    "user_id:%(target.user.id)s"
)
_USER_MANAGER = f"{ADMIN} or (role:manager and token.domain.id:%(target.user.domain_id)s)"
_GROUP_READER = (
    f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.group.domain_id)s)"
)
_GROUP_MANAGER = f"{ADMIN} or (role:manager and domain_id:%(target.group.domain_id)s)"
_BOTH = "domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s"
_CREDENTIAL_OWNER = "user_id:%(target.credential.user_id)s"
_ACCESS_RULE_READER = f"{SYSTEM_READER} or user_id:%(target.user.id)s"
_ACCESS_RULE_ADMIN = "(role:admin and system_scope:all) or user_id:%(target.user.id)s"

_TOKENS = (
    rule(
        "validate_token",
        f"{ADMIN_OR_SYSTEM_READER} or rule:service_role or rule:token_subject",
        "Show a token.",
        "GET /v3/auth/tokens",
    ),
    rule(
        "check_token",
        f"{ADMIN_OR_SYSTEM_READER} or rule:token_subject",
        "Check a token.",
        "HEAD /v3/auth/tokens",
    ),
    rule(
        "revoke_token",
        f"{ADMIN} or rule:token_subject",
        "Revoke a token.",
        "DELETE /v3/auth/tokens",
    ),
    rule("get_auth_catalog", ANYONE, "One's catalog.", "GET /v3/auth/catalog"),
    rule("get_auth_projects", ANYONE, "One's projects.", "GET /v3/auth/projects"),
    rule("get_auth_domains", ANYONE, "One's domains.", "GET /v3/auth/domains"),
    rule("get_auth_system", ANYONE, "One's system access.", "GET /v3/auth/system"),
    rule(
        "list_revoke_events",
        "rule:service_or_admin",
        "List what cancels tokens.",
        "GET /v3/OS-REVOKE/events",
    ),
)

_USERS = (
    rule("get_user", _USER_READER, "Show a user.", "GET /v3/users/{user_id}"),
    rule(
        "list_users",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)",
        "List users.",
        "GET /v3/users",
    ),
    rule("create_user", _USER_MANAGER, "Make a user.", "POST /v3/users"),
    rule("update_user", _USER_MANAGER, "Change a user.", "PATCH /v3/users/{user_id}"),
    rule("delete_user", _USER_MANAGER, "Delete a user.", "DELETE /v3/users/{user_id}"),
    rule(
        "list_user_projects",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.user.domain_id)s) or "
        "user_id:%(target.user.id)s",
        "List the projects a user has a role on.",
        "GET /v3/users/{user_id}/projects",
    ),
)

_GROUPS = (
    rule("get_group", _GROUP_READER, "Show a group.", "GET /v3/groups/{group_id}"),
    rule("list_groups", _GROUP_READER, "List groups.", "GET /v3/groups"),
    rule("create_group", _GROUP_MANAGER, "Make a group.", "POST /v3/groups"),
    rule("update_group", _GROUP_MANAGER, "Change a group.", "PATCH /v3/groups/{group_id}"),
    rule("delete_group", _GROUP_MANAGER, "Delete a group.", "DELETE /v3/groups/{group_id}"),
    rule(
        "list_groups_for_user",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.user.domain_id)s) or "
        "user_id:%(user_id)s",
        "List the groups of a user.",
        "GET /v3/users/{user_id}/groups",
    ),
    rule(
        "list_users_in_group",
        _GROUP_READER,
        "List the users of a group.",
        "GET /v3/groups/{group_id}/users",
    ),
    rule(
        "check_user_in_group",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_BOTH})",
        "Is a user in a group?",
        "HEAD /v3/groups/{group_id}/users/{user_id}",
        "GET /v3/groups/{group_id}/users/{user_id}",
    ),
    rule(
        "add_user_to_group",
        f"{ADMIN} or (role:manager and {_BOTH})",
        "Put a user into a group.",
        "PUT /v3/groups/{group_id}/users/{user_id}",
    ),
    rule(
        "remove_user_from_group",
        f"{ADMIN} or (role:manager and {_BOTH})",
        "Take a user out of a group.",
        "DELETE /v3/groups/{group_id}/users/{user_id}",
    ),
)

_CREDENTIALS = (
    rule(
        "get_credential",
        f"{ADMIN_OR_SYSTEM_READER} or {_CREDENTIAL_OWNER}",
        "Show a credential.",
        "GET /v3/credentials/{credential_id}",
    ),
    rule(
        "list_credentials",
        f"{ADMIN_OR_SYSTEM_READER} or {_CREDENTIAL_OWNER}",
        "List credentials; others' are left out.",
        "GET /v3/credentials",
    ),
    rule(
        "create_credential",
        f"{ADMIN} or {_CREDENTIAL_OWNER}",
        "Make a credential.",
        "POST /v3/credentials",
    ),
    rule(
        "update_credential",
        f"{ADMIN} or {_CREDENTIAL_OWNER}",
        "Change a credential.",
        "PATCH /v3/credentials/{credential_id}",
    ),
    rule(
        "delete_credential",
        f"{ADMIN} or {_CREDENTIAL_OWNER}",
        "Delete a credential.",
        "DELETE /v3/credentials/{credential_id}",
    ),
    rule(
        "ec2_get_credential",
        f"{ADMIN_OR_SYSTEM_READER} or {_CREDENTIAL_OWNER}",
        "Show an EC2 key.",
        "GET /v3/users/{user_id}/credentials/OS-EC2/{credential_id}",
    ),
    rule(
        "ec2_list_credentials",
        ADMIN_OR_SYSTEM_READER_OR_OWNER,
        "List EC2 keys.",
        "GET /v3/users/{user_id}/credentials/OS-EC2",
    ),
    rule(
        "ec2_create_credential",
        f"{ADMIN} or (role:member and {_CREDENTIAL_OWNER})",
        "Make an EC2 key.",
        "POST /v3/users/{user_id}/credentials/OS-EC2",
    ),
    rule(
        "ec2_delete_credential",
        f"{ADMIN} or (role:member and {_CREDENTIAL_OWNER})",
        "Delete an EC2 key.",
        "DELETE /v3/users/{user_id}/credentials/OS-EC2/{credential_id}",
    ),
)

_APPLICATIONS = (
    rule(
        "get_application_credential",
        ADMIN_OR_SYSTEM_READER_OR_OWNER,
        "Show an application credential.",
        "GET /v3/users/{user_id}/application_credentials/{application_credential_id}",
    ),
    rule(
        "list_application_credentials",
        ADMIN_OR_SYSTEM_READER_OR_OWNER,
        "List application credentials.",
        "GET /v3/users/{user_id}/application_credentials",
    ),
    rule(
        "create_application_credential",
        OWNER,
        "Make an application credential.",
        "POST /v3/users/{user_id}/application_credentials",
    ),
    rule(
        "delete_application_credential",
        "rule:admin_or_owner",
        "Delete an application credential.",
        "DELETE /v3/users/{user_id}/application_credentials/{application_credential_id}",
    ),
    rule(
        "get_access_rule",
        _ACCESS_RULE_READER,
        "Show an access rule.",
        "GET /v3/users/{user_id}/access_rules/{access_rule_id}",
    ),
    rule(
        "list_access_rules",
        _ACCESS_RULE_READER,
        "List access rules.",
        "GET /v3/users/{user_id}/access_rules",
    ),
    rule(
        "delete_access_rule",
        _ACCESS_RULE_ADMIN,
        "Delete an access rule.",
        "DELETE /v3/users/{user_id}/access_rules/{access_rule_id}",
    ),
)

RULES = (*_TOKENS, *_USERS, *_GROUPS, *_CREDENTIALS, *_APPLICATIONS)
