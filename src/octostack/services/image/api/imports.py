# SPDX-License-Identifier: Apache-2.0
"""``POST /v2/images/{image_id}/import``, and the tasks that come of it."""

from typing import Any

from octostack.base import clock, ids
from octostack.base.errors import Conflict, Forbidden, Invalid, NotFound
from octostack.runtime.http import Request
from octostack.services.image.api.app import App, Found, authorize, find, see
from octostack.services.image.core import quota, states, uris
from octostack.services.image.model import ACTIVE, QUEUED, UPLOADING, Task
from octostack.services.image.schema import members as schema
from octostack.services.image.store import images, tasks

TASKS_MAX = 1000


async def start(app: App, req: Request) -> None:
    """Order an import; `loops.imports` does it."""
    method = req.body["method"]
    name = method["name"]
    if name not in app.import_methods:
        raise Invalid(f"Unknown import method name '{name}'.", field="name")
    _check_stores(app, req.body)
    if name == "web-download":
        uris.host_of(method.get("uri"), app.uris)
    async with app.db.write() as tx:
        found = await see(tx, req.caller, req.params["image_id"])
        image = found.image
        authorize(req, "modify_image", found)
        _check_state(found, name)
        usage = await images.usage(tx, image.owner)
        quota.check(app.limits, usage, "image_size_total")
        now = clock.now()
        task = _task(req, image.id, now)
        moved = states.importing(image, image.incoming_key or ids.new(), now)
        marks = states.marks(importing=app.blobs.name, task_id=task.id)
        await images.save(tx, image, states.marked(moved, marks))
        await tasks.insert(tx, task)
        tx.after_commit(app.wake_imports)


async def list_of_image(app: App, req: Request) -> dict[str, Any]:
    """What was done to the image."""
    async with app.db.read() as tx:
        image = await find(tx, req, "get_image")
        found = await tasks.list_of_image(tx, image.id)
    return {"tasks": [schema.view_task(task) for task in found]}


async def list_tasks(app: App, req: Request) -> dict[str, Any]:
    """All tasks."""
    async with app.db.read() as tx:
        found = await tasks.list_of_owner(tx, None, TASKS_MAX)
    return {
        "tasks": [schema.view_task(task) for task in found],
        "first": "/v2/tasks",
        "schema": "/v2/schemas/tasks",
    }


async def show_task(app: App, req: Request) -> dict[str, Any]:
    """One task."""
    async with app.db.read() as tx:
        task = await tasks.find(tx, req.params["task_id"])
    if task is None:
        raise NotFound(f"No task found with ID {req.params['task_id'][:100]}", code="image.no_task")
    return schema.view_task(task)


def _check_stores(app: App, body: dict[str, Any]) -> None:
    for store in body.get("stores") or ():
        if store != app.blobs.name:
            raise Conflict(f"Unknown scheme '{store[:100]}' found in URI", code="image.store")


def _check_state(found: Found, method: str) -> None:
    image = found.image
    reason = None
    if image.status == ACTIVE:
        reason = "Image with status active cannot be target for import"
    elif method == "web-download" and image.status != QUEUED:
        reason = f"Image needs to be in 'queued' state to use '{method}' method"
    elif method == "glance-direct" and image.status != UPLOADING:
        reason = "Image needs to be staged before 'glance-direct' method can be used"
    elif not image.container_format:
        reason = "'container_format' needs to be set before import"
    elif not image.disk_format:
        reason = "'disk_format' needs to be set before import"
    if reason is not None:
        raise Conflict(reason, code="image.status")


def _task(req: Request, image_id: str, now: float) -> Task:
    return Task(
        id=ids.new(),
        image_id=image_id,
        type="api_image_import",
        status="pending",
        owner=req.caller.project_id,
        user_id=req.caller.user_id,
        request_id=req.request_id,
        input={"image_id": image_id, "import_req": req.body},
        created_at=now,
        updated_at=now,
    )


async def delete_from_store(app: App, req: Request) -> None:
    """Remove one of several copies; the only one stays until the image is deleted."""
    if req.params["store_id"] != app.blobs.name:
        raise Conflict(
            f"The selected store {req.params['store_id'][:100]} is not available on this node.",
            code="image.store",
        )
    async with app.db.read() as tx:
        image = await find(tx, req, "delete_image_location")
    if image.status != ACTIVE:
        raise Conflict(
            "It's not allowed to remove image data from store if image status is not 'active'",
            code="image.status",
        )
    raise Forbidden(
        "Cannot delete image data from the only store containing it. Consider deleting the image "
        "instead.",
        code="image.only_copy",
    )
