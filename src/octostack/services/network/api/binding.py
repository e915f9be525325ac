# SPDX-License-Identifier: Apache-2.0
"""What hosts say: here I am, and this is how my ports are."""

from collections.abc import Mapping
from typing import Any

from octostack.contracts.identity import Caller
from octostack.contracts.network import AgentInfo
from octostack.services.network.api.app import App, Op
from octostack.services.network.model import nouns
from octostack.services.network.store import others, ports, rows

_TOLD = (
    "tunnel_ip",
    "bridge_mappings",
    "external_networks",
    "simulated",
    "version",
    "availability_zone",
    "configurations",
    "started_at",
)


async def register(app: App, info: AgentInfo) -> None:
    """An agent's start or heartbeat."""
    said = _said(info)
    async with app.db.write() as tx:
        op = Op(app, tx, Caller(user_id=""))
        known = await others.agent_of(tx, info.host)
        if known is None:
            await rows.insert(
                tx,
                op.fresh(nouns.Agent, project_id="", host=info.host, heartbeat_at=op.now, **said),
            )
            tx.after_commit(app.wake)
            return
        if any(getattr(known, name) != value for name, value in said.items()):
            await rows.update(tx, known, op.stamped(known, **said))
            tx.after_commit(app.wake)
        await others.beat(tx, known.id, op.now)


def _said(info: AgentInfo) -> dict[str, Any]:
    said = {name: getattr(info, name) for name in _TOLD}
    return {**said, "external_networks": list(info.external_networks)}


async def observe(app: App, host: str, up: Mapping[str, bool], *, complete: bool) -> None:
    """Ports as the host has them; with `complete` a port that is not named is down."""
    async with app.db.read() as tx:
        found = await ports.status_on_host(tx, host)
    changed = {}
    for port_id, before in found.items():
        if port_id in up or complete:
            status = nouns.ACTIVE if up.get(port_id, False) else nouns.DOWN
            if status != before:
                changed[port_id] = status
    if not changed:
        return
    async with app.db.write() as tx:
        for port_id, status in changed.items():
            await ports.set_status(tx, port_id, status)
        tx.after_commit(app.tell)
