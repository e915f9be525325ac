# SPDX-License-Identifier: Apache-2.0
"""What was done to a server."""

import hashlib
from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.model import Action, ActionEvent, Order, Server
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

_P = "os_compute_api:os-instance-actions:"


async def index(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-instance-actions"""
    server = await _server(app, req)
    limit, since, before, marker = app.config.max_limit, None, None, None
    if req.version >= (2, 58):
        asked = lookup.whole_number(req, "limit")
        limit = limit if asked is None else min(asked, limit)
        since, marker = lookup.moment(req, "changes-since"), req.query.get("marker")
    if req.version >= (2, 66):
        before = lookup.moment(req, "changes-before")
        if since is not None and before is not None and before < since:
            raise Invalid(
                "The value of changes-since must be less than or equal to changes-before.",
                field="changes-since",
            )
    async with app.cell_db.read() as tx:
        if marker and not await actions.exists(tx, server.id, marker):
            raise Invalid(f"marker [{marker[:100]}] not found", field="marker")
        found = await actions.list_of_server(
            tx, server.id, Order(limit=limit, marker=marker), since=since, before=before
        )
    body: dict[str, Any] = {"instanceActions": [_view(a, req.version) for a in found]}
    if req.version >= (2, 58) and found and len(found) == limit:
        body["links"] = lookup.next_links(req, found[-1].request_id)
    return body


async def show(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-instance-actions/{request_id}"""
    server = await _server(app, req)
    request_id = req.params["request_id"]
    async with app.cell_db.read() as tx:
        found = await actions.find(tx, server.id, request_id)
        events = await actions.events(tx, found.id) if found else []
    if found is None:
        raise NotFound(f"Action {request_id} not found", code="ActionNotFound")
    view = _view(found, req.version)
    own = lookup.target_of(server)
    traceback = req.allowed(_P + "events", own)
    if traceback or req.version >= (2, 51):
        details = req.allowed(_P + "events:details", own)
        view["events"] = [_event(e, server, req.version, (traceback, details)) for e in events]
    return {"instanceAction": view}


async def _server(app: App, req: Request) -> Server:
    """From 2.21 on the actions of a deleted server can be read."""
    if req.version < (2, 21):
        return await lookup.server(app, req)
    server_id = req.params["server_id"]
    async with app.cell_db.read() as tx:
        found = await servers.find(tx, server_id, deleted=True)
    if found is None or (found.project_id != req.caller.project_id and not lookup.is_admin(req)):
        raise NotFound(f"Instance {server_id} could not be found.", code="InstanceNotFound")
    req.authorize(lookup.target_of(found))
    return found


def _view(a: Action, version: tuple[int, int]) -> dict[str, Any]:
    view: dict[str, Any] = {
        "action": a.action,
        "instance_uuid": a.server_id,
        "request_id": a.request_id,
        "user_id": a.user_id,
        "project_id": a.project_id,
        "start_time": _time(a.started_at),
        "message": a.message,
    }
    if version >= (2, 58):
        view["updated_at"] = _time(a.updated_at or a.started_at)
    return view


def _event(
    e: ActionEvent, server: Server, version: tuple[int, int], may: tuple[bool, bool]
) -> dict[str, Any]:
    traceback, details = may
    view: dict[str, Any] = {
        "event": e.event,
        "start_time": _time(e.started_at),
        "finish_time": _time(e.finished_at) if e.finished_at else None,
        "result": e.result,
    }
    if traceback:
        view["traceback"] = None
    if version >= (2, 62):
        if traceback:
            view["host"] = e.host
        text = server.project_id + (e.host or "")
        view["hostId"] = hashlib.sha224(text.encode()).hexdigest() if e.host else ""
    if version >= (2, 84):
        view["details"] = e.details if details or e.result == "Error" else None
    return view


def _time(t: float) -> str:
    return clock.iso(t, micros=True, suffix="")
