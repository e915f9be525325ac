# SPDX-License-Identifier: Apache-2.0
"""Events from other services, and lists of what does not happen here."""

from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request, Response
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers


async def create(app: App, req: Request) -> Any:
    """POST /os-server-external-events"""
    events = req.body["events"]
    wanted = list({e["server_uuid"] for e in events})
    async with app.cell_db.read() as tx:
        placed = await servers.hosts_of(tx, wanted)
    answers, accepted = [], 0
    for event in events:
        answer = {"status": "completed"} | event
        server_id = event["server_uuid"]
        if server_id not in placed:
            answers.append(answer | {"status": "failed", "code": 404})
        elif placed[server_id] is None:
            answers.append(answer | {"status": "failed", "code": 422})
        else:
            app.tell(server_id)
            accepted += 1
            answers.append(answer | {"code": 200})
    if not accepted:
        raise NotFound("No instances found for any event", code="NoInstances")
    status = 200 if accepted == len(events) else 207
    return Response({"events": answers}, status=status)


async def list_migrations(_app: App, _req: Request) -> Any:
    """GET /os-migrations: none, since nothing migrates"""
    return {"migrations": []}
