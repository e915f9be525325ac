# SPDX-License-Identifier: Apache-2.0
"""The whole API of Identity. A GET answers HEAD as well."""

from typing import Any

from octostack.runtime.http import PUBLIC, Route, delete, get, head, patch, post, put
from octostack.services.identity.api import (
    applications,
    assignments,
    credentials,
    discovery,
    domains,
    endpoints,
    groups,
    limits,
    policies,
    projects,
    regions,
    roles,
    services,
    tokens,
    users,
)
from octostack.services.identity.api import endpoint_filters as filters
from octostack.services.identity.api.faults import Faults
from octostack.services.identity.api.grants import Grants
from octostack.services.identity.model import Actor, TargetKind
from octostack.services.identity.schema import applications as application_schema
from octostack.services.identity.schema import catalog as catalog_schema
from octostack.services.identity.schema import credentials as credential_schema
from octostack.services.identity.schema import domains as domain_schema
from octostack.services.identity.schema import groups as group_schema
from octostack.services.identity.schema import limits as limit_schema
from octostack.services.identity.schema import policies as policy_schema
from octostack.services.identity.schema import projects as project_schema
from octostack.services.identity.schema import roles as role_schema
from octostack.services.identity.schema import tokens as token_schema
from octostack.services.identity.schema import users as user_schema

faults = Faults("")  # for who answers before it, and knows no address

# The handler finds what the path names and checks the rule on that, or on the caller alone.
FOUND: dict[str, Any] = {"target": "handler"}


def _rule(action: str) -> str:
    return f"identity:{action}"


def _resource(
    name: str, api: Any, create: Any, update: Any, *, found: bool = True, plural: str = ""
) -> tuple[Route, ...]:
    """The five routes that most resources have."""
    options, plural = FOUND if found else {}, plural or f"{name}s"
    many, one = f"/v3/{plural}", f"/v3/{plural}/{{{name}_id}}"
    return (
        get(many, api.list_all, rule=_rule(f"list_{plural}"), **options),
        post(many, api.create, rule=_rule(f"create_{name}"), body=create, status=201, **options),
        get(one, api.show, rule=_rule(f"get_{name}"), **options),
        patch(one, api.update, rule=_rule(f"update_{name}"), body=update, **options),
        delete(one, api.delete, rule=_rule(f"delete_{name}"), status=204, **options),
    )


def _grants(target: TargetKind, actor: Actor, *, inherited: bool = False) -> tuple[Route, ...]:
    """The routes of one kind of assignment."""
    where = "/system" if target == "system" else f"/{target}s/{{{target}_id}}"
    many = f"/v3{'/OS-INHERIT' * inherited}{where}/{actor}s/{{{actor}_id}}/roles"
    tail = "/inherited_to_projects" * inherited
    one = f"{many}/{{role_id}}{tail}"
    each = Grants(target, actor, inherited)
    suffix = f"_for_{actor}" if target == "system" else ""
    kind = f"system_grant{suffix}" if target == "system" else "grant"
    listing = f"list_system_grants{suffix}" if target == "system" else "list_grants"
    return (
        get(many + tail, each.list_all, rule=_rule(listing), **FOUND),
        get(one, each.check, rule=_rule(f"check_{kind}"), status=204, **FOUND),
        put(one, each.give, rule=_rule(f"create_{kind}"), status=204, **FOUND),
        delete(one, each.take, rule=_rule(f"revoke_{kind}"), status=204, **FOUND),
    )


_DISCOVERY = (
    get("", discovery.show_versions, rule=PUBLIC),
    get("/v3", discovery.show_version, rule=PUBLIC),
)

_AUTH = "/v3/auth"
_TOKENS = (
    post(f"{_AUTH}/tokens", tokens.issue, rule=PUBLIC, body=token_schema.ISSUE, status=201),
    get(f"{_AUTH}/tokens", tokens.show, rule=_rule("validate_token"), **FOUND),
    delete(f"{_AUTH}/tokens", tokens.revoke, rule=_rule("revoke_token"), status=204, **FOUND),
    get(f"{_AUTH}/catalog", tokens.show_catalog, rule=_rule("get_auth_catalog")),
    get(f"{_AUTH}/projects", tokens.list_projects, rule=_rule("get_auth_projects")),
    get(f"{_AUTH}/domains", tokens.list_domains, rule=_rule("get_auth_domains")),
    get(f"{_AUTH}/system", tokens.show_system, rule=_rule("get_auth_system")),
    get("/v3/OS-REVOKE/events", tokens.list_events, rule=_rule("list_revoke_events")),
)

_USER = "/v3/users/{user_id}"
_USERS = (
    *_resource("user", users, user_schema.CREATE, user_schema.UPDATE),
    post(
        f"{_USER}/password",
        users.change_password,
        rule=PUBLIC,
        body=user_schema.PASSWORD,
        status=204,
    ),
    get(f"{_USER}/groups", users.list_groups, rule=_rule("list_groups_for_user"), **FOUND),
    get(f"{_USER}/projects", users.list_projects, rule=_rule("list_user_projects"), **FOUND),
)

_MEMBER = "/v3/groups/{group_id}/users/{user_id}"
_GROUPS = (
    *_resource("group", groups, group_schema.CREATE, group_schema.UPDATE),
    get(
        "/v3/groups/{group_id}/users",
        groups.list_users,
        rule=_rule("list_users_in_group"),
        **FOUND,
    ),
    get(_MEMBER, groups.check_user, rule=_rule("check_user_in_group"), status=204, **FOUND),
    put(_MEMBER, groups.add_user, rule=_rule("add_user_to_group"), status=204, **FOUND),
    delete(_MEMBER, groups.remove_user, rule=_rule("remove_user_from_group"), status=204, **FOUND),
)

_TAGS = "/v3/projects/{project_id}/tags"
_PROJECTS = (
    *_resource("domain", domains, domain_schema.CREATE, domain_schema.UPDATE),
    *_resource("project", projects, project_schema.CREATE, project_schema.UPDATE),
    get(_TAGS, projects.list_tags, rule=_rule("list_project_tags"), **FOUND),
    put(
        _TAGS,
        projects.set_tags,
        rule=_rule("update_project_tags"),
        body=project_schema.TAGS,
        **FOUND,
    ),
    delete(_TAGS, projects.delete_tags, rule=_rule("delete_project_tags"), status=204, **FOUND),
    get(
        f"{_TAGS}/{{value}}",
        projects.check_tag,
        rule=_rule("get_project_tag"),
        status=204,
        **FOUND,
    ),
    put(
        f"{_TAGS}/{{value}}",
        projects.add_tag,
        rule=_rule("create_project_tag"),
        status=201,
        **FOUND,
    ),
    delete(
        f"{_TAGS}/{{value}}",
        projects.delete_tag,
        rule=_rule("delete_project_tag"),
        status=204,
        **FOUND,
    ),
)

_IMPLIES = "/v3/roles/{prior_role_id}/implies"
_IMPLIED = f"{_IMPLIES}/{{implied_role_id}}"
_ROLES = (
    *_resource("role", roles, role_schema.CREATE, role_schema.UPDATE),
    get(_IMPLIES, roles.list_implied, rule=_rule("list_implied_roles")),
    get(_IMPLIED, roles.show_implied, rule=_rule("get_implied_role")),
    head(_IMPLIED, roles.check_implied, rule=_rule("check_implied_role"), status=204),
    put(_IMPLIED, roles.imply, rule=_rule("create_implied_role"), status=201),
    delete(_IMPLIED, roles.imply_no_more, rule=_rule("delete_implied_role"), status=204),
    get("/v3/role_inferences", roles.list_inferences, rule=_rule("list_role_inference_rules")),
    get(
        "/v3/role_assignments",
        assignments.list_all,
        rule=_rule("list_role_assignments"),
        **FOUND,
    ),
)

_ASSIGNMENTS = (
    *_grants("project", "user"),
    *_grants("project", "group"),
    *_grants("domain", "user"),
    *_grants("domain", "group"),
    *_grants("system", "user"),
    *_grants("system", "group"),
    *_grants("project", "user", inherited=True),
    *_grants("project", "group", inherited=True),
    *_grants("domain", "user", inherited=True),
    *_grants("domain", "group", inherited=True),
)

_CATALOG = (
    *_resource(
        "policy",
        policies,
        policy_schema.CREATE,
        policy_schema.UPDATE,
        found=False,
        plural="policies",
    ),
    *_resource(
        "service",
        services,
        catalog_schema.CREATE_SERVICE,
        catalog_schema.UPDATE_SERVICE,
        found=False,
    ),
    *_resource(
        "endpoint",
        endpoints,
        catalog_schema.CREATE_ENDPOINT,
        catalog_schema.UPDATE_ENDPOINT,
        found=False,
    ),
    *_resource(
        "region",
        regions,
        catalog_schema.CREATE_REGION,
        catalog_schema.UPDATE_REGION,
        found=False,
    ),
    put(
        "/v3/regions/{region_id}",
        regions.create,
        rule=_rule("create_region"),
        body=catalog_schema.CREATE_REGION,
        status=201,
    ),
)

_EC2 = f"{_USER}/credentials/OS-EC2"
_CREDENTIALS = (
    *_resource("credential", credentials, credential_schema.CREATE, credential_schema.UPDATE),
    get(_EC2, credentials.list_ec2, rule=_rule("ec2_list_credentials"), **FOUND),
    post(
        _EC2,
        credentials.create_ec2,
        rule=_rule("ec2_create_credential"),
        body=credential_schema.CREATE_EC2,
        status=201,
        **FOUND,
    ),
    get(
        f"{_EC2}/{{credential_id}}",
        credentials.show_ec2,
        rule=_rule("ec2_get_credential"),
        **FOUND,
    ),
    delete(
        f"{_EC2}/{{credential_id}}",
        credentials.delete_ec2,
        rule=_rule("ec2_delete_credential"),
        status=204,
        **FOUND,
    ),
)

_APPLICATION = f"{_USER}/application_credentials"
_ONE_APPLICATION = f"{_APPLICATION}/{{application_credential_id}}"
_ACCESS_RULE = f"{_USER}/access_rules/{{access_rule_id}}"
_APPLICATIONS = (
    get(
        _APPLICATION,
        applications.list_all,
        rule=_rule("list_application_credentials"),
        **FOUND,
    ),
    post(
        _APPLICATION,
        applications.create,
        rule=_rule("create_application_credential"),
        body=application_schema.CREATE,
        status=201,
        **FOUND,
    ),
    get(
        _ONE_APPLICATION,
        applications.show,
        rule=_rule("get_application_credential"),
        **FOUND,
    ),
    delete(
        _ONE_APPLICATION,
        applications.delete,
        rule=_rule("delete_application_credential"),
        status=204,
        **FOUND,
    ),
    get(f"{_USER}/access_rules", applications.list_rules, rule=_rule("list_access_rules"), **FOUND),
    get(_ACCESS_RULE, applications.show_rule, rule=_rule("get_access_rule"), **FOUND),
    delete(
        _ACCESS_RULE,
        applications.delete_rule,
        rule=_rule("delete_access_rule"),
        status=204,
        **FOUND,
    ),
)

_REGISTERED = "/v3/registered_limits"
_ONE_REGISTERED = f"{_REGISTERED}/{{registered_limit_id}}"
_LIMITS = (
    get(_REGISTERED, limits.list_registered, rule=_rule("list_registered_limits")),
    post(
        _REGISTERED,
        limits.create_registered,
        rule=_rule("create_registered_limits"),
        body=limit_schema.CREATE_REGISTERED,
        status=201,
    ),
    get(_ONE_REGISTERED, limits.show_registered, rule=_rule("get_registered_limit")),
    patch(
        _ONE_REGISTERED,
        limits.update_registered,
        rule=_rule("update_registered_limit"),
        body=limit_schema.UPDATE_REGISTERED,
    ),
    delete(
        _ONE_REGISTERED,
        limits.delete_registered,
        rule=_rule("delete_registered_limit"),
        status=204,
    ),
    get("/v3/limits", limits.list_all, rule=_rule("list_limits")),
    post(
        "/v3/limits",
        limits.create,
        rule=_rule("create_limits"),
        body=limit_schema.CREATE,
        status=201,
    ),
    get("/v3/limits/model", limits.show_model, rule=_rule("get_limit_model")),
    get("/v3/limits/{limit_id}", limits.show, rule=_rule("get_limit"), **FOUND),
    patch(
        "/v3/limits/{limit_id}",
        limits.update,
        rule=_rule("update_limit"),
        body=limit_schema.UPDATE,
    ),
    delete("/v3/limits/{limit_id}", limits.delete, rule=_rule("delete_limit"), status=204),
)

_FILTER = "/v3/OS-EP-FILTER"
_GROUP_MANY = f"{_FILTER}/endpoint_groups"
_GROUP_ONE = f"{_GROUP_MANY}/{{endpoint_group_id}}"
_GROUP_PROJECT = f"{_GROUP_ONE}/projects/{{project_id}}"
_PROJECT_ENDPOINT = f"{_FILTER}/projects/{{project_id}}/endpoints/{{endpoint_id}}"
_FILTERS = (
    get(_GROUP_MANY, filters.list_all, rule=_rule("list_endpoint_groups")),
    post(
        _GROUP_MANY,
        filters.create,
        rule=_rule("create_endpoint_group"),
        body=catalog_schema.CREATE_GROUP,
        status=201,
    ),
    get(_GROUP_ONE, filters.show, rule=_rule("get_endpoint_group")),
    patch(
        _GROUP_ONE,
        filters.update,
        rule=_rule("update_endpoint_group"),
        body=catalog_schema.UPDATE_GROUP,
    ),
    delete(_GROUP_ONE, filters.delete, rule=_rule("delete_endpoint_group"), status=204),
    get(
        f"{_GROUP_ONE}/endpoints",
        filters.list_endpoints_of_group,
        rule=_rule("list_endpoints_associated_with_endpoint_group"),
    ),
    get(
        f"{_GROUP_ONE}/projects",
        filters.list_projects_of_group,
        rule=_rule("list_projects_associated_with_endpoint_group"),
    ),
    get(
        _GROUP_PROJECT,
        filters.show_group_in_project,
        rule=_rule("get_endpoint_group_in_project"),
    ),
    put(
        _GROUP_PROJECT,
        filters.add_group_to_project,
        rule=_rule("add_endpoint_group_to_project"),
        status=204,
    ),
    delete(
        _GROUP_PROJECT,
        filters.remove_group_from_project,
        rule=_rule("remove_endpoint_group_from_project"),
        status=204,
    ),
    get(
        f"{_FILTER}/projects/{{project_id}}/endpoint_groups",
        filters.list_groups_of_project,
        rule=_rule("list_endpoint_groups_for_project"),
    ),
    get(
        f"{_FILTER}/projects/{{project_id}}/endpoints",
        filters.list_endpoints_of_project,
        rule=_rule("list_endpoints_for_project"),
    ),
    get(
        f"{_FILTER}/endpoints/{{endpoint_id}}/projects",
        filters.list_projects_of_endpoint,
        rule=_rule("list_projects_for_endpoint"),
    ),
    get(
        _PROJECT_ENDPOINT,
        filters.check_endpoint_in_project,
        rule=_rule("check_endpoint_in_project"),
        status=204,
    ),
    put(
        _PROJECT_ENDPOINT,
        filters.add_endpoint_to_project,
        rule=_rule("add_endpoint_to_project"),
        status=204,
    ),
    delete(
        _PROJECT_ENDPOINT,
        filters.remove_endpoint_from_project,
        rule=_rule("remove_endpoint_from_project"),
        status=204,
    ),
)

ROUTES: tuple[Route, ...] = (
    *_DISCOVERY,
    *_TOKENS,
    *_USERS,
    *_GROUPS,
    *_PROJECTS,
    *_ROLES,
    *_ASSIGNMENTS,
    *_CATALOG,
    *_CREDENTIALS,
    *_APPLICATIONS,
    *_LIMITS,
    *_FILTERS,
)
