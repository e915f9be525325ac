# SPDX-License-Identifier: Apache-2.0
"""Entries of the list of assignments."""

from collections.abc import Mapping

import msgspec

from octostack.services.identity.core.assignments import Listed
from octostack.services.identity.model import JSON, Assignment, Group, Project, Role, User


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may be shown by name, by id."""

    users: Mapping[str, User]
    groups: Mapping[str, Group]
    projects: Mapping[str, Project]
    roles: Mapping[str, Role]


def view(listed: Listed, base_url: str, names: Names | None) -> JSON:
    """One entry; with `names` the names come along."""
    one, made = listed.assignment, listed.made
    shown: JSON = {
        "role": _role(one.role_id, names),
        one.actor: _actor(one, names),
        "scope": _scope(one, names),
        "links": {"assignment": base_url + _path(made)},
    }
    if made.inherited:
        shown["scope"]["OS-INHERIT:inherited_to"] = "projects"
    if made.actor == "group" and one.actor == "user":
        path = f"/groups/{made.actor_id}/users/{one.actor_id}"
        shown["links"]["membership"] = base_url + path
    if made.role_id != one.role_id:
        path = f"/prior_role/{made.role_id}/implies/{one.role_id}"
        shown["links"]["prior_role"] = base_url + path
    return shown


def _path(made: Assignment) -> str:
    where = "/system" if made.target == "system" else f"/{made.target}s/{made.target_id}"
    path = f"{where}/{made.actor}s/{made.actor_id}/roles/{made.role_id}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if made.inherited else path


def _role(role_id: str, names: Names | None) -> JSON:
    role = names.roles.get(role_id) if names else None
    if role is None or names is None:
        return {"id": role_id}
    shown: JSON = {"id": role.id, "name": role.name}
    if role.domain_id is not None:
        shown["domain"] = _domain(role.domain_id, names)
    return shown


def _actor(one: Assignment, names: Names | None) -> JSON:
    if names is None:
        return {"id": one.actor_id}
    found = (names.users if one.actor == "user" else names.groups).get(one.actor_id)
    if found is None:
        return {"id": one.actor_id}
    return {"id": found.id, "name": found.name, "domain": _domain(found.domain_id, names)}


def _scope(one: Assignment, names: Names | None) -> JSON:
    if one.target == "system":
        return {"system": {"all": True}}
    target = names.projects.get(one.target_id) if names else None
    if target is None or names is None:
        return {one.target: {"id": one.target_id}}
    if one.target == "domain":
        return {"domain": {"id": target.id, "name": target.name}}
    domain = _domain(target.domain_id or target.id, names)
    return {"project": {"id": target.id, "name": target.name, "domain": domain}}


def _domain(domain_id: str, names: Names) -> JSON:
    found = names.projects.get(domain_id)
    return {"id": domain_id, "name": found.name if found else ""}
