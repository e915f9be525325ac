# SPDX-License-Identifier: Apache-2.0
"""createImage: a server's disk as an image."""

from typing import Any

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
    seen = await lookup.server_for(app, req, "createImage")
    metadata = body.get("metadata", {})
    async with app.api_db.read() as tx:
        limits = await quotas.effective(tx, req.caller.project_id or "", req.caller.user_id)
    quota.check_count("metadata_items", len(metadata), limits, quota.TOO_MANY_METADATA)
    try:
        image_id = await app.images.create_snapshot(req.caller, _spec(seen, body["name"], metadata))
    except OverQuota as e:
        raise OverQuota(e.message, code=e.code, status=403) from e
    order = {"image_id": image_id, "request_id": req.caller.request_id, "at": clock.now()}
    try:
        async with app.cell_db.write() as tx:
            server = await servers.get(tx, seen.id)
            transition = states.check("createImage", server)
            await servers.update(tx, server, task_state=transition.sets, order=order)
            await actions.insert(tx, action(req.caller, server.id, transition.action))
            tx.after_commit(app.wake_tasks)
    except Conflict:
        await app.images.discard(image_id)
        raise
    if req.version >= (2, 45):
        return {"image_id": image_id}
    return Response(None, headers={"Location": f"{req.host_url}/image/v2/images/{image_id}"})


def _spec(server: Server, name: str, metadata: dict[str, str]) -> SnapshotSpec:
    base = server.boot.get("image") or {}
    inherited = {
        k: str(v) for k, v in (base.get("properties") or {}).items() if k not in _NOT_INHERITED
    }
    properties = inherited | {
        "image_type": "snapshot",
        "instance_uuid": server.id,
        "user_id": server.user_id,
        "base_image_ref": server.image_id,
    }
    return SnapshotSpec(
        name=name,
        disk_format="qcow2",
        min_disk=server.flavor.root_gb or int(base.get("min_disk_gb", 0)),
        min_ram=int(base.get("min_ram_mb", 0)),
        properties=properties | metadata,
    )
