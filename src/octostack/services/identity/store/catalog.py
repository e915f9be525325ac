# SPDX-License-Identifier: Apache-2.0
"""Where everything is."""

from octostack.runtime.db import Tx
from octostack.services.identity.model import Endpoint, Service
from octostack.services.identity.store import rows


async def list_enabled(tx: Tx) -> list[tuple[Service, list[Endpoint]]]:
    """Every enabled service with its enabled endpoints."""
    enabled = rows.Listing(equal={"enabled": True})
    by_service: dict[str, list[Endpoint]] = {}
    for endpoint in await rows.list_all(tx, rows.ENDPOINTS, enabled):
        by_service.setdefault(endpoint.service_id, []).append(endpoint)
    services = await rows.list_all(tx, rows.SERVICES, enabled)
    return [(service, by_service.get(service.id, [])) for service in services]
