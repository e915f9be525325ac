# SPDX-License-Identifier: Apache-2.0
"""What Identity does by itself: forget revocations that no living token can meet."""

from collections.abc import Awaitable, Callable

from octostack.base import clock
from octostack.services.identity.api.app import App
from octostack.services.identity.store import revocations


def forgetting(app: App) -> Callable[[], Awaitable[None]]:
    """The work of the loop."""

    async def forget() -> None:
        # A token may be looked at with `allow_expired` for a window after its end.
        alive_s = app.config.token_lifetime_s + app.config.expired_window_s
        async with app.db.write() as tx:
            await revocations.delete_before(tx, clock.now() - alive_s)

    return forget
