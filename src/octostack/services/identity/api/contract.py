# SPDX-License-Identifier: Apache-2.0
"""What Identity answers to other services (`contracts.identity`)."""

from octostack.base.errors import NotFound
from octostack.contracts import identity as contract
from octostack.services.identity.api import login, validate
from octostack.services.identity.api.app import App
from octostack.services.identity.model import DEFAULT_DOMAIN_ID
from octostack.services.identity.store import projects, rows


class Identity(contract.Identity):
    """The promises kept."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def authenticate(self, token: str) -> contract.Caller:
        return validate.caller(await validate.check(self._app, token))

    async def service_token(self, name: str) -> str:
        async with self._app.db.read() as tx:
            user = await rows.find_by(tx, rows.USERS, name=name, domain_id=DEFAULT_DOMAIN_ID)
            project = await rows.find_by(
                tx, rows.PROJECTS, name="service", domain_id=DEFAULT_DOMAIN_ID
            )
        if user is None or project is None:
            raise NotFound(f"Could not find service user: {name}.", code="user.not_found")
        return await login.issue_for_service(self._app, user, project.id)

    async def get_project(self, project_id: str) -> contract.Project:
        async with self._app.db.read() as tx:
            found = await rows.get(tx, rows.PROJECTS, project_id)
        return contract.Project(
            id=found.id,
            name=found.name,
            domain_id=found.domain_id or found.id,
            parent_id=found.parent_id,
            enabled=found.enabled,
        )

    async def get_domain(self, domain_id: str) -> contract.Domain:
        async with self._app.db.read() as tx:
            found = await projects.get_domain(tx, domain_id)
        return contract.Domain(id=found.id, name=found.name, enabled=found.enabled)

    async def get_user(self, user_id: str) -> contract.User:
        async with self._app.db.read() as tx:
            found = await rows.get(tx, rows.USERS, user_id)
        return contract.User(
            id=found.id, name=found.name, domain_id=found.domain_id, enabled=found.enabled
        )

    async def list_project_ids(self) -> tuple[str, ...]:
        async with self._app.db.read() as tx:
            found = await rows.list_all(tx, rows.PROJECTS, rows.Listing(equal={"is_domain": False}))
        return tuple(project.id for project in found)
