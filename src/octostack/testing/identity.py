# SPDX-License-Identifier: Apache-2.0
"""An Identity for tests of one service: a token says itself who its bearer is."""

from octostack.base import clock
from octostack.base.errors import NotFound, Unauthorized
from octostack.contracts.identity import Caller, Domain, Identity, Project, User
from octostack.runtime.service import Runtime, Service

IMPLIED = {
    "admin": ("admin", "manager", "member", "reader"),
    "manager": ("manager", "member", "reader"),
    "member": ("member", "reader"),
}


def token(role: str, project: str | None = "p1", user: str = "u1") -> str:
    """A token for `role` (with what it implies) in a project; None is the whole system."""
    return f"plain/{user}/{project or '-'}/{role}"


class PlainIdentity(Identity):
    """Takes tokens made by `token`, and knows every project that is asked for."""

    async def authenticate(self, token: str) -> Caller:
        kind, _, rest = token.partition("/")
        if kind != "plain" or rest.count("/") != 2:
            raise Unauthorized("The request you have made requires authentication.")
        user, project, roles = rest.split("/")
        scope = None if project == "-" else project
        found = [r for role in roles.split(",") if role for r in IMPLIED.get(role, (role,))]
        return Caller(
            user_id=user,
            user_name=user,
            project_id=scope,
            project_name=scope,
            project_domain_id="default" if scope else None,
            system=scope is None,
            roles=tuple(dict.fromkeys(found)),
            expires_at=clock.now() + 3600,
        )

    async def service_token(self, name: str) -> str:
        return token("service", "service", name)

    async def get_project(self, project_id: str) -> Project:
        return Project(id=project_id, name=project_id, domain_id="default")

    async def get_domain(self, domain_id: str) -> Domain:
        if domain_id != "default":
            raise NotFound(f"Could not find domain: {domain_id}.")
        return Domain(id="default", name="Default")

    async def get_user(self, user_id: str) -> User:
        return User(id=user_id, name=user_id, domain_id="default")

    async def list_project_ids(self) -> tuple[str, ...]:
        return ()


async def build(_runtime: Runtime) -> Service:
    """The Identity as a part: ``running(path, [...], extra=[("identity", identity.build)])``."""
    return Service(name="identity", contracts=[(Identity, PlainIdentity(), None)])
