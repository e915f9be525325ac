# SPDX-License-Identifier: Apache-2.0
"""Mappings of servers that never came to be: a create that was cut off between two databases."""

from octostack.base import clock, log
from octostack.services.compute.store.api_db import mappings
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

_log = log.get("compute")
_YOUNG_S = 300.0  # its server may be on its way
_PAGE = 1000


async def find_lost(app: App) -> list[str]:
    """Servers that are mapped and were never made."""
    until = clock.now() - _YOUNG_S
    lost: list[str] = []
    after = ""
    while True:
        async with app.api_db.read() as tx:
            mapped = await mappings.older_than(tx, until, after, _PAGE)
        async with app.cell_db.read() as tx:
            lost += sorted(set(mapped) - await servers.known(tx, mapped))
        if len(mapped) < _PAGE:
            return lost
        after = mapped[-1]


async def forget(app: App, server_ids: list[str]) -> None:
    """Take their mappings away."""
    async with app.api_db.write() as tx:
        await mappings.delete(tx, server_ids)


async def sweep(app: App) -> None:
    """Forget what was never made."""
    lost = await find_lost(app)
    if lost:
        _log.info("mappings without a server", count=len(lost))
        await forget(app, lost)
