# SPDX-License-Identifier: Apache-2.0
"""/v3/OS-EP-FILTER: endpoints chosen for projects, one by one or by groups."""

from octostack.base import ids
from octostack.base.errors import Conflict, NotFound
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.core import catalog as core
from octostack.services.identity.model import JSON, Endpoint, EndpointGroup, Project
from octostack.services.identity.schema import catalog as schema
from octostack.services.identity.schema import projects as project_schema
from octostack.services.identity.store import rows, shown


async def create(app: App, req: Request) -> JSON:
    """POST /endpoint_groups."""
    group = EndpointGroup(id=ids.new_hex(), **req.body["endpoint_group"])
    async with app.write() as tx:
        await rows.insert(tx, rows.ENDPOINT_GROUPS, group)
    return {"endpoint_group": schema.endpoint_group(group, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /endpoint_groups/{endpoint_group_id}."""
    async with app.db.read() as tx:
        group = await _group(tx, req)
    return {"endpoint_group": schema.endpoint_group(group, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /endpoint_groups."""
    found = await lists.find(app, rows.ENDPOINT_GROUPS, lists.listing(req, ("name",)))
    return _groups(app, req, found)


async def update(app: App, req: Request) -> JSON:
    """PATCH /endpoint_groups/{endpoint_group_id}."""
    async with app.write() as tx:
        group = await _group(tx, req)
        group = await rows.update(tx, rows.ENDPOINT_GROUPS, group, req.body["endpoint_group"])
    return {"endpoint_group": schema.endpoint_group(group, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /endpoint_groups/{endpoint_group_id}."""
    async with app.write() as tx:
        await rows.delete(tx, rows.ENDPOINT_GROUPS, req.params["endpoint_group_id"])


async def list_endpoints_of_group(app: App, req: Request) -> JSON:
    """GET /endpoint_groups/{endpoint_group_id}/endpoints."""
    async with app.db.read() as tx:
        group = await _group(tx, req)
        found = await rows.list_all(tx, rows.ENDPOINTS)
    return _endpoints(app, req, [one for one in found if core.in_group(one, group)])


async def list_projects_of_group(app: App, req: Request) -> JSON:
    """GET /endpoint_groups/{endpoint_group_id}/projects."""
    async with app.db.read() as tx:
        group = await _group(tx, req)
        found = await _projects(tx, "endpoint_group", group.id)
    return _project_list(app, req, found)


async def show_group_in_project(app: App, req: Request) -> JSON:
    """GET /endpoint_groups/{endpoint_group_id}/projects/{project_id}."""
    async with app.db.read() as tx:
        group, project = await _group(tx, req), await _project(tx, req)
        if (group.id, project.id) not in await shown.pairs(tx, "endpoint_group"):
            raise _not_shown(group.id, project)
    url = f"{app.base_url}/OS-EP-FILTER/endpoint_groups/{group.id}/projects/{project.id}"
    pair = {"endpoint_group_id": group.id, "project_id": project.id}
    return {"project_endpoint_group": pair | {"links": {"self": url}}}


async def add_group_to_project(app: App, req: Request) -> None:
    """PUT /endpoint_groups/{endpoint_group_id}/projects/{project_id}."""
    async with app.write() as tx:
        await _show(tx, "endpoint_group", (await _group(tx, req)).id, await _project(tx, req))


async def remove_group_from_project(app: App, req: Request) -> None:
    """DELETE /endpoint_groups/{endpoint_group_id}/projects/{project_id}."""
    async with app.write() as tx:
        await _hide(tx, "endpoint_group", (await _group(tx, req)).id, await _project(tx, req))


async def list_groups_of_project(app: App, req: Request) -> JSON:
    """GET /projects/{project_id}/endpoint_groups."""
    async with app.db.read() as tx:
        project = await _project(tx, req)
        wanted = {
            id for id, owner in await shown.pairs(tx, "endpoint_group") if owner == project.id
        }
        found = await rows.list_all(tx, rows.ENDPOINT_GROUPS)
    return _groups(app, req, [group for group in found if group.id in wanted])


async def list_endpoints_of_project(app: App, req: Request) -> JSON:
    """GET /projects/{project_id}/endpoints: all that were chosen, by groups as well."""
    async with app.db.read() as tx:
        project = await _project(tx, req)
        endpoints = await rows.list_all(tx, rows.ENDPOINTS)
        chosen = (await choices(tx, endpoints)).get(project.id, frozenset())
    return _endpoints(app, req, [one for one in endpoints if one.id in chosen])


async def list_projects_of_endpoint(app: App, req: Request) -> JSON:
    """GET /endpoints/{endpoint_id}/projects."""
    async with app.db.read() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
        found = await _projects(tx, "endpoint", endpoint.id)
    return _project_list(app, req, found)


async def check_endpoint_in_project(app: App, req: Request) -> None:
    """HEAD and GET /projects/{project_id}/endpoints/{endpoint_id}."""
    async with app.db.read() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
        project = await _project(tx, req)
        if (endpoint.id, project.id) not in await shown.pairs(tx, "endpoint"):
            raise _not_shown(endpoint.id, project)


async def add_endpoint_to_project(app: App, req: Request) -> None:
    """PUT /projects/{project_id}/endpoints/{endpoint_id}."""
    async with app.write() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
        await _show(tx, "endpoint", endpoint.id, await _project(tx, req))


async def remove_endpoint_from_project(app: App, req: Request) -> None:
    """DELETE /projects/{project_id}/endpoints/{endpoint_id}."""
    async with app.write() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
        await _hide(tx, "endpoint", endpoint.id, await _project(tx, req))


async def choices(tx: Tx, endpoints: list[Endpoint]) -> dict[str, frozenset[str]]:
    """Project id: the ids of the endpoints chosen for it."""
    groups = {group.id: group for group in await rows.list_all(tx, rows.ENDPOINT_GROUPS)}
    return core.chosen(
        endpoints,
        groups,
        await shown.pairs(tx, "endpoint"),
        await shown.pairs(tx, "endpoint_group"),
    )


async def _group(tx: Tx, req: Request) -> EndpointGroup:
    return await rows.get(tx, rows.ENDPOINT_GROUPS, req.params["endpoint_group_id"])


async def _project(tx: Tx, req: Request) -> Project:
    return await rows.get(tx, rows.PROJECTS, req.params["project_id"])


async def _projects(tx: Tx, what: shown.What, id: str) -> list[Project]:
    wanted = tuple(project for one, project in await shown.pairs(tx, what) if one == id)
    return await rows.list_all(tx, rows.PROJECTS, rows.Listing(among={"id": wanted}))


async def _show(tx: Tx, what: shown.What, id: str, project: Project) -> None:
    try:
        await shown.insert(tx, what, id, project.id)
    except Conflict as e:
        raise Conflict(f"{id} is shown to project {project.id} already.", code="shown") from e


async def _hide(tx: Tx, what: shown.What, id: str, project: Project) -> None:
    if not await shown.delete(tx, what, id, project.id):
        raise _not_shown(id, project)


def _not_shown(id: str, project: Project) -> NotFound:
    return NotFound(f"{id} not found in project {project.id}.", code="shown.not_found")


def _groups(app: App, req: Request, found: list[EndpointGroup]) -> JSON:
    return lists.answer(
        app, req, "endpoint_groups", found, lambda g: schema.endpoint_group(g, app.base_url)
    )


def _endpoints(app: App, req: Request, found: list[Endpoint]) -> JSON:
    return lists.answer(app, req, "endpoints", found, lambda e: schema.endpoint(e, app.base_url))


def _project_list(app: App, req: Request, found: list[Project]) -> JSON:
    return lists.answer(app, req, "projects", found, lambda p: project_schema.view(p, app.base_url))
