# SPDX-License-Identifier: Apache-2.0
"""Compute hears that a machine's port came up or went down; the row says whether it has."""

from octostack.contracts.compute import Compute, ExternalEvent
from octostack.services.network.api.app import App
from octostack.services.network.model import nouns
from octostack.services.network.store import ports

EVENTS_MAX = 200


class Bindings:
    """The work of the loop."""

    def __init__(self, app: App, compute: Compute) -> None:
        self._app = app
        self._compute = compute

    async def work(self) -> None:
        """Tell what was not told; noted as told only once Compute has it."""
        while True:
            async with self._app.db.read() as tx:
                found = await ports.to_tell(tx, EVENTS_MAX)
            if not found:
                return
            await self._compute.external_events([_event(port) for port in found])
            async with self._app.db.write() as tx:
                await ports.told(tx, found)


def _event(port: nouns.Port) -> ExternalEvent:
    up = port.status == nouns.ACTIVE
    return ExternalEvent(
        name="network-vif-plugged" if up else "network-vif-unplugged",
        server_id=port.device_id,
        tag=port.id,
    )
