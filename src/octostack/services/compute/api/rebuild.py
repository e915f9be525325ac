# SPDX-License-Identifier: Apache-2.0
"""Rebuild: the same server, a new root disk."""

from typing import Any

import msgspec

from octostack.base.errors import Invalid
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.api import servers as one
from octostack.services.compute.api.create import action, image, new_password
from octostack.services.compute.core import boot, quota, states
from octostack.services.compute.model import Image, Server
from octostack.services.compute.schema import server_view, terms
from octostack.services.compute.store.api_db import keypairs, quotas
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

_COLUMNS = {
    "metadata": "metadata",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "OS-DCF:diskConfig": "disk_config",
    "user_data": "user_data",
    "key_name": "key_name",
}


async def rebuild(app: App, req: Request, body: dict[str, Any]) -> Any:
    """The action rebuild."""
    seen = await lookup.server_for(app, req, "rebuild")
    if body.get("trusted_image_certificates"):
        raise Invalid("Trusted image certificates are not supported.",
                      code="CertificateValidationNotSupported")  # fmt: skip
    facts = await image(app, req.caller, body["imageRef"])
    boot.check_image(seen.flavor, facts)
    password = body.get("adminPass") or new_password()
    changes = await _changes(app, req, body)
    async with app.cell_db.write() as tx:
        server = await servers.get(tx, seen.id)
        transition = states.check("rebuild", server)
        changes |= {
            "task_state": transition.sets,
            "generation": server.generation + 1,
            "image_id": facts.id,
            "progress": 0,
            "boot": _boot(server, facts, body, (password, changes.pop("key", None))),
            "order": {"request_id": req.caller.request_id},
        }
        ordered = await servers.update(tx, server, **changes)
        await actions.insert(tx, action(req.caller, server.id, "rebuild"))
        tx.after_commit(app.wake_tasks)
    view = await one.view(app, req, ordered)
    shown = server_view.trimmed(view, req.version)
    if req.version >= (2, 54):
        shown["key_name"] = ordered.key_name
    if req.version >= (2, 57):
        shown["user_data"] = ordered.user_data
        shown.pop("OS-EXT-SRV-ATTR:user_data", None)  # the same under another name
    shown["adminPass"] = password
    headers = {"Location": f"{req.base_url}/servers/{seen.id}"}
    return Response({"server": shown}, headers=headers)


async def _changes(app: App, req: Request, body: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {c: body[k] for k, c in _COLUMNS.items() if k in body}
    for column in ("access_ip_v4", "access_ip_v6"):
        if column in changes:
            changes[column] = terms.address(changes[column])
    if "name" in body:
        changes["name"] = body["name"].strip()
    async with app.api_db.read() as tx:
        limits = await quotas.effective(tx, req.caller.project_id or "", req.caller.user_id)
        if body.get("key_name"):
            key = await keypairs.find(tx, req.caller.user_id, body["key_name"])
            if key is None:
                raise Invalid("Invalid key_name provided.", code="KeypairNotFound")
            changes["key"] = {"name": key.name, "type": key.type, "data": key.public_key}
    count = len(body.get("metadata", ()))
    quota.check_count("metadata_items", count, limits, quota.TOO_MANY_METADATA)
    quota.check_count(
        "injected_files", len(body.get("personality", ())), limits, quota.TOO_MANY_FILES
    )
    return changes


def _boot(
    server: Server, facts: Image, body: dict[str, Any], secrets: tuple[str, Any]
) -> dict[str, Any]:
    password, key = secrets
    made = server.boot | {
        "image": msgspec.to_builtins(facts),
        "admin_pass": password,
        "build": int(server.boot.get("build", 1)) + 1,
    }
    if "key_name" in body:
        made["key"] = key
    if "personality" in body:
        made["personality"] = [
            [f.get("path", ""), f.get("contents", "")] for f in body["personality"]
        ]
    made.pop("password", None)
    return made
