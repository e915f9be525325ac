# SPDX-License-Identifier: Apache-2.0
"""The Identity API's things and bodies. All is in the domain of the personas' project."""

from typing import Any

from octostack.testing.world.thing import Thing

PREFIX = "/identity"
_V3, _V = "/identity/v3", "/v3"
_EP = "OS-EP-FILTER"
_FILTERS = {"filters": {"interface": "public"}}
_MADE: dict[str, dict[str, Any]] = {
    "user": {"name": "{new}", "domain_id": "{home}"},
    "group": {"name": "{new}", "domain_id": "{home}"},
    "domain": {"name": "{new}", "enabled": False},
    "project": {"name": "{new}", "domain_id": "{home}"},
    "role": {"name": "{new}"},
    "service": {"type": "{new}"},
    "endpoint": {"interface": "public", "service_id": "{id_service}", "url": "http://x/y"},
    "region": {"id": "{new}"},
    "credential": {"user_id": "{user}", "type": "cert", "blob": "a secret"},
}
_POLICY = {"blob": "rules", "type": "application/json"}
_REGISTERED = {"service_id": "{id_service}", "resource_name": "{new}", "default_limit": 5}
_LIMIT = {"service_id": "{id_service}", "resource_name": "{limited}", "project_id": "{project}",
          "resource_limit": 2}  # fmt: skip
_LIMITS = {"registered_limits": [_REGISTERED]}
_USER = f"{_V3}/users/{{user}}"
_RULE = {"service": "compute", "method": "GET", "path": "/{new}"}
_APPLICATION = {"application_credential": {"name": "{new}", "access_rules": [_RULE]}}
_LOGIN = {
    "auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"id": "{user}", "password": "secret words"}},
        },
        "scope": {"project": {"id": "{project}"}},
    }
}

THINGS = {
    **{f"id_{name}": Thing(f"POST {_V3}/{name}s", {name: body}, f"{name}.id", "admin")
       for name, body in _MADE.items()},
    "policy": Thing(f"POST {_V3}/policies", {"policy": _POLICY}, "policy.id", "admin"),
    "prior": Thing(f"POST {_V3}/roles", {"role": {"name": "{new}"}}, "role.id", "admin"),
    "implied": Thing(f"PUT {_V3}/roles/{{prior}}/implies/{{id_role}}", by="admin"),
    "id_registered_limit": Thing(f"POST {_V3}/registered_limits", _LIMITS,
                                 "registered_limits.0.id", "admin"),
    "limited": Thing(f"POST {_V3}/registered_limits", _LIMITS,
                     "registered_limits.0.resource_name", "admin"),
    "also_limited": Thing(f"POST {_V3}/registered_limits", _LIMITS,
                          "registered_limits.0.resource_name", "admin"),
    "id_limit": Thing(f"POST {_V3}/limits",
                      {"limits": [_LIMIT | {"resource_name": "{also_limited}"}]}, "limits.0.id",
                      "admin", of=("also_limited",)),
    "member_of_group": Thing(f"PUT {_V3}/groups/{{id_group}}/users/{{id_user}}", by="admin"),
    "project_tag": Thing(f"PUT {_V3}/projects/{{project}}/tags/red", by="admin"),
    "ec2": Thing(f"POST {_USER}/credentials/OS-EC2", {"tenant_id": "{project}"},
                 "credential.access"),
    "application": Thing(f"POST {_USER}/application_credentials", _APPLICATION,
                         "application_credential.id"),
    "old_application": Thing(
        f"POST {_USER}/application_credentials", _APPLICATION,
        "application_credential.access_rules.0.id",
        then=((f"DELETE {_USER}/application_credentials/{{answer.application_credential.id}}",
               None),)),
    "token": Thing(f"POST {_V3}/auth/tokens", _LOGIN, "header:x-subject-token"),
    "endpoint_group": Thing(f"POST {_V3}/{_EP}/endpoint_groups",
                            {"endpoint_group": {"name": "{new}"} | _FILTERS}, "endpoint_group.id",
                            "admin"),
    "lone_endpoint_group": Thing(f"POST {_V3}/{_EP}/endpoint_groups",
                                 {"endpoint_group": {"name": "{new}"} | _FILTERS},
                                 "endpoint_group.id", "admin"),
    "lone_endpoint": Thing(f"POST {_V3}/endpoints", {"endpoint": _MADE["endpoint"]},
                           "endpoint.id", "admin"),
    "group_of_project": Thing(
        f"PUT {_V3}/{_EP}/endpoint_groups/{{endpoint_group}}/projects/{{project}}", by="admin",
        of=("endpoint_group",)),
    "endpoint_of_project": Thing(
        f"PUT {_V3}/{_EP}/projects/{{project}}/endpoints/{{id_endpoint}}", by="admin",
        of=("id_endpoint",)),
}  # fmt: skip

PARAMS: dict[str, str] = {
    **{f"{name}_id": f"{{id_{name}}}" for name in (*_MADE, "registered_limit", "limit")},
    "policy_id": "{policy}", "project_id": "{project}",
    "prior_role_id": "{prior}", "implied_role_id": "{implied}",
    "value": "{project_tag}", "access_rule_id": "{old_application}",
    "application_credential_id": "{application}", "endpoint_group_id": "{endpoint_group}",
    "PUT /v3/regions/{region_id}.region_id": "{new}",
    "GET /v3/users/{user_id}.user_id": "{user}",
    "GET /v3/domains/{domain_id}.domain_id": "{home}",
}  # fmt: skip
for _tail in ("groups", "projects", "credentials/OS-EC2", "application_credentials",
              "access_rules", "access_rules/{access_rule_id}", "password",
              "credentials/OS-EC2/{credential_id}",
              "application_credentials/{application_credential_id}"):  # fmt: skip
    for _method in ("GET", "POST", "DELETE"):
        _route = f"{_method} /v3/users/{{user_id}}/{_tail}"
        PARAMS[f"{_route}.user_id"] = "{user}"
        PARAMS[f"{_route}.credential_id"] = "{ec2}"
for _method in ("PATCH", "DELETE"):
    PARAMS[f"{_method} /v3/projects/{{project_id}}.project_id"] = "{id_project}"
for _method in ("GET", "DELETE"):
    PARAMS[f"{_method} /v3/groups/{{group_id}}/users/{{user_id}}.user_id"] = "{member_of_group}"
    _path = f"{_method} /v3/OS-EP-FILTER"
    PARAMS[f"{_path}/endpoint_groups/{{endpoint_group_id}}/projects/{{project_id}}.project_id"] = (
        "{group_of_project}"
    )
    PARAMS[f"{_path}/projects/{{project_id}}/endpoints/{{endpoint_id}}.endpoint_id"] = (
        "{endpoint_of_project}"
    )


def _grants() -> None:
    """Assignments: those to be shown or taken away are there, the role is one of ours."""
    for target in ("project", "domain", "system"):
        for actor in ("user", "group"):
            for inherited in (False, True):
                if target == "system" and inherited:
                    continue
                _grant(target, actor, inherited)


def _grant(target: str, actor: str, inherited: bool) -> None:
    tail = "/inherited_to_projects" if inherited else ""
    hat = "/OS-INHERIT" if inherited else ""
    where = {"project": "/projects/{project}", "domain": "/domains/{home}", "system": "/system"}
    name = f"grant.{target}.{actor}{tail}"
    granted = f"{{id_{actor}}}"
    THINGS[name] = Thing(
        f"PUT {_V3}{hat}{where[target]}/{actor}s/{granted}/roles/{{id_role}}{tail}",
        take="sent:id_role", by="admin",
    )  # fmt: skip
    shape = "/system" if target == "system" else f"/{target}s/{{{target}_id}}"
    many = f"/v3{hat}{shape}/{actor}s/{{{actor}_id}}/roles"
    for method in ("GET", "DELETE", "PUT"):
        route = f"{method} {many}/{{role_id}}{tail}"
        PARAMS[f"{route}.domain_id"] = "{home}"
        if method != "PUT":
            PARAMS[f"{route}.role_id"] = f"{{{name}}}"
    PARAMS[f"GET {many}{tail}.domain_id"] = "{home}"


_grants()
_SHOWN = f"PUT {_V}/{_EP}"
_TO_GROUP = f"{_SHOWN}/endpoint_groups/{{endpoint_group_id}}/projects/{{project_id}}"
_TO_ENDPOINT = f"{_SHOWN}/projects/{{project_id}}/endpoints/{{endpoint_id}}"
PARAMS[f"{_TO_GROUP}.endpoint_group_id"] = "{lone_endpoint_group}"
PARAMS[f"{_TO_ENDPOINT}.endpoint_id"] = "{lone_endpoint}"
BODIES: dict[str, Any] = {
    **{f"POST {_V}/{name}s": {name: body} for name, body in _MADE.items()},
    **{f"PATCH {_V}/{name}s/{{{name}_id}}": {name: {"description": "new"}} for name in _MADE},
    f"PATCH {_V}/credentials/{{credential_id}}": {"credential": {"blob": "another"}},
    f"PUT {_V}/regions/{{region_id}}": {"region": {}},
    f"POST {_V}/policies": {"policy": _POLICY},
    f"PATCH {_V}/policies/{{policy_id}}": {"policy": {"type": "text/plain"}},
    f"PUT {_V}/projects/{{project_id}}/tags": {"tags": ["red"]},
    f"POST {_V}/registered_limits": _LIMITS,
    f"PATCH {_V}/registered_limits/{{registered_limit_id}}": {
        "registered_limit": {"default_limit": 3}},
    f"POST {_V}/limits": {"limits": [_LIMIT]},
    f"PATCH {_V}/limits/{{limit_id}}": {"limit": {"resource_limit": 3}},
    f"POST {_V}/users/{{user_id}}/credentials/OS-EC2": {"tenant_id": "{project}"},
    f"POST {_V}/users/{{user_id}}/application_credentials": _APPLICATION,
    f"POST {_V}/users/{{user_id}}/password": {
        "user": {"original_password": "wrong words", "password": "new words"}},
    f"POST {_V}/auth/tokens": _LOGIN,
    f"POST {_V}/{_EP}/endpoint_groups": {"endpoint_group": {"name": "{new}"} | _FILTERS},
    f"PATCH {_V}/{_EP}/endpoint_groups/{{endpoint_group_id}}": {
        "endpoint_group": {"description": "new"}},
}  # fmt: skip
HEADERS = {
    "GET /v3/auth/tokens": {"x-subject-token": "{token}"},
    "DELETE /v3/auth/tokens": {"x-subject-token": "{token}"},
}
USES_UP = ("POST /v3/limits", _TO_GROUP, _TO_ENDPOINT)
