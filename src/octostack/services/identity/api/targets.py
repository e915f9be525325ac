# SPDX-License-Identifier: Apache-2.0
"""What a rule may name of the thing that a request is about.

A thing that is not there gives an empty target: whoever may not see all gets the same 403 for what
exists and what does not; whoever may gets the 404.
"""

from octostack.contracts.identity import Caller
from octostack.services.identity.api.app import App
from octostack.services.identity.model import DEFAULT_DOMAIN_ID, JSON, Group, Project, Role, User
from octostack.services.identity.store import rows


def user(one: User | None) -> JSON:
    """What rules name of a user."""
    if one is None:
        return {}
    return {"target.user.id": one.id, "target.user.domain_id": one.domain_id}


def group(one: Group | None) -> JSON:
    """What rules name of a group."""
    if one is None:
        return {}
    return {"target.group.id": one.id, "target.group.domain_id": one.domain_id}


def project(one: Project | None) -> JSON:
    """What rules name of a project."""
    if one is None:
        return {}
    return {
        "target.project.id": one.id,
        "target.project.domain_id": one.domain_id,
        "target.domain_id": one.domain_id,
    }


def domain(one: Project | None) -> JSON:
    """What rules name of a domain."""
    return {} if one is None else {"target.domain.id": one.id, "target.domain_id": one.id}


def role(one: Role | None) -> JSON:
    """What rules name of a role."""
    if one is None:
        return {}
    return {
        "target.role.id": one.id,
        "target.role.name": one.name,
        "target.role.domain_id": one.domain_id,
    }


def in_own_domain(caller: Caller) -> JSON:
    """The target of a list: with a domain's token, what is in that domain."""
    if caller.domain_id is None:
        return {}
    names = ("domain_id", "domain.id", "user.domain_id", "group.domain_id", "project.domain_id")
    return {f"target.{name}": caller.domain_id for name in names}


async def find_user(app: App, id: str) -> User | None:
    """The user of that id, or None."""
    async with app.db.read() as tx:
        return await rows.find(tx, rows.USERS, id)


def home_of(caller: Caller, given: str | None) -> str:
    """The domain something is made in: the one given, else that of the caller's scope."""
    if given is not None:
        return given
    return caller.domain_id or caller.project_domain_id or DEFAULT_DOMAIN_ID
