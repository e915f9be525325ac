# SPDX-License-Identifier: Apache-2.0
"""The hosts' agents as operators see them, and the availability zones they make up."""

from collections.abc import Sequence
from typing import Any

from octostack.runtime.http import Request
from octostack.services.network.api.app import AGENT_DOWN_S, App, Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.others import AGENT_TYPE, AGENTS
from octostack.services.network.schema.resource import to_fields
from octostack.services.network.store import rows


def is_alive(agent: nouns.Agent, now: float) -> bool:
    """True if the agent was heard of lately."""
    return now - agent.heartbeat_at < AGENT_DOWN_S


async def update(op: Op, agent: nouns.Agent, values: Values) -> nouns.Agent:
    """Put an agent out of service, or describe it."""
    fields = to_fields(AGENTS, values)
    fields["description"] = fields.get("description", agent.description) or ""
    changed: nouns.Agent = op.stamped(agent, **fields)
    return await rows.update(op.tx, agent, changed)


async def delete(op: Op, agent: nouns.Agent) -> None:
    """Forget an agent that does not come back."""
    await rows.delete(op.tx, agent)


async def extras(op: Op, found: Sequence[nouns.Agent]) -> list[Values]:
    """Whether it lives, and what it says of itself."""
    return [
        {
            "agent_type": AGENT_TYPE,
            "binary": "octostack-network-agent",
            "topic": "N/A",
            "alive": is_alive(agent, op.now),
            "resources_synced": None,
            "configurations": {
                **agent.configurations,
                "tunneling_ip": agent.tunnel_ip,
                "tunnel_types": ["vxlan"] if agent.tunnel_ip else [],
                "bridge_mappings": agent.bridge_mappings,
                "simulated": agent.simulated,
            },
        }
        for agent in found
    ]


async def targets(_op: Op, found: Sequence[nouns.Agent]) -> list[Values]:
    """Agents belong to nobody."""
    return [owned("") for _ in found]


async def zones(app: App, req: Request) -> Any:
    """``GET /availability_zones``."""
    if not req.allowed("get_availability_zone", owned(req.caller.project_id or "")):
        raise fault("PolicyNotAuthorized", action="get_availability_zone")
    async with app.db.read() as tx:
        found = await rows.select(tx, nouns.Agent)
    up: dict[str, bool] = {}
    for agent in found:
        zone = agent.availability_zone
        up[zone] = up.get(zone, False) or agent.admin_state_up
    items = [
        {"name": zone, "resource": kind, "state": "available" if up[zone] else "unavailable"}
        for zone in sorted(up)
        for kind in ("network", "router")
    ]
    asked = {name: req.query.all(name) for name in ("name", "resource", "state")}
    shown = [i for i in items if all(not v or i[k] in v for k, v in asked.items())]
    return {"availability_zones": shown}


THING = Behaviour(
    resource=AGENTS,
    missing=("AgentNotFound", "id"),
    update=update,
    delete=delete,
    extras=extras,
    targets=targets,
    late_filters=frozenset(("agent_type", "binary", "alive")),
)
