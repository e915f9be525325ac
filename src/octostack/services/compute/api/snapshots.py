# SPDX-License-Identifier: Apache-2.0
"""createImage and createBackup: a server's disk as an image."""

from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import Conflict, OverQuota
from octostack.contracts.image import SnapshotSpec
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.api.create import action
from octostack.services.compute.core import quota, states
from octostack.services.compute.model import Server
from octostack.services.compute.store.api_db import quotas
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

# What belongs to the original image alone.
_NOT_INHERITED = ("signature_verified", "img_signature", "img_signature_hash_method")


async def create_image(app: App, req: Request, body: dict[str, Any]) -> Any:
    """The action createImage: the image is there at once, its data when the agent is done."""
    await _check_metadata(app, req, body)
    return _answer(req, await _order(app, req, "createImage", body))


async def create_backup(app: App, req: Request, body: dict[str, Any]) -> Any:
    """The action createBackup: a snapshot that pushes out the oldest of its kind."""
    if req.version < (2, 39):
        await _check_metadata(app, req, body)
    image_id = await _order(app, req, "createBackup", body)
    if int(body["rotation"]) == 0 and req.version < (2, 45):
        return None  # it is gone as soon as it is made
    return _answer(req, image_id)


async def _check_metadata(app: App, req: Request, body: dict[str, Any]) -> None:
    async with app.api_db.read() as tx:
        limits = await quotas.effective(tx, req.caller.project_id or "", req.caller.user_id)
    count = len(body.get("metadata", {}))
    quota.check_count("metadata_items", count, limits, quota.TOO_MANY_METADATA)


def _answer(req: Request, image_id: str) -> Any:
    if req.version >= (2, 45):
        return {"image_id": image_id}
    return Response(None, headers={"Location": f"{req.host_url}/image/v2/images/{image_id}"})


async def _order(app: App, req: Request, name: str, body: dict[str, Any]) -> str:
    """The new image's id; the order to fill it is written."""
    seen = await lookup.server_for(app, req, name)
    try:
        image_id = await app.images.create_snapshot(req.caller, _spec(seen, body))
    except OverQuota as e:
        raise OverQuota(e.message, code=e.code, status=403) from e
    order = {"image_id": image_id, "request_id": req.caller.request_id, "at": clock.now()}
    if name == "createBackup":
        order |= {k: body[k] for k in ("backup_type", "rotation")}
        order["caller"] = msgspec.to_builtins(req.caller)  # who may delete what is too many
    try:
        async with app.cell_db.write() as tx:
            server = await servers.get(tx, seen.id)
            transition = states.check(name, server)
            await servers.update(tx, server, task_state=transition.sets, order=order)
            await actions.insert(tx, action(req.caller, server.id, transition.action))
            tx.after_commit(app.wake_tasks)
    except Conflict:
        await app.images.discard(image_id)
        raise
    return image_id


def _spec(server: Server, body: dict[str, Any]) -> SnapshotSpec:
    kind = body.get("backup_type")
    base = server.boot.get("image") or {}
    inherited = {
        k: str(v) for k, v in (base.get("properties") or {}).items() if k not in _NOT_INHERITED
    }
    properties = (
        inherited
        | {
            "image_type": "snapshot" if kind is None else "backup",
            "instance_uuid": server.id,
            "user_id": server.user_id,
            "base_image_ref": server.image_id,
        }
        | ({} if kind is None else {"backup_type": kind})
    )
    return SnapshotSpec(
        name=body["name"],
        disk_format="qcow2",
        min_disk=server.flavor.root_gb or int(base.get("min_disk_gb", 0)),
        min_ram=int(base.get("min_ram_mb", 0)),
        properties=properties | body.get("metadata", {}),
    )
