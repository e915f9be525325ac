# SPDX-License-Identifier: Apache-2.0
"""Parts in other processes: a part may call, while it is built, those that come before it."""

import asyncio
from collections.abc import Sequence

from octostack.apps import parts
from octostack.base import clock, log
from octostack.base.errors import Timeout, Unavailable
from octostack.contracts.compute import Compute
from octostack.contracts.identity import Identity
from octostack.contracts.image import Images
from octostack.contracts.network import Network
from octostack.contracts.placement import Placement
from octostack.runtime.bus import Bus
from octostack.runtime.tasks import Restart

PATIENCE_S = 120.0
POLL = Restart(pause_s=0.05, pause_max_s=1.0)

# What a part answers to once it is up.
CONTRACTS: dict[str, type] = {
    "identity": Identity,
    "placement": Placement,
    "image": Images,
    "network": Network,
    "compute": Compute,
}

_log = log.get("process")


def before(names: Sequence[str]) -> list[str]:
    """The parts that must be up before `names` are built here; for ``hosts`` all of them."""
    order = [part.name for part in parts.SERVICES]
    last = len(order) if "hosts" in names else max(map(order.index, names), default=0)
    return [name for name in order[:last] if name not in names]


async def meet(bus: Bus, names: Sequence[str]) -> None:
    """Wait until each of the parts answers. Raises Unavailable for one that does not come up."""
    until = clock.monotonic() + PATIENCE_S
    for name in names:
        tries = 0
        while not await _answers(bus, CONTRACTS[name]):
            if clock.monotonic() > until:
                raise Unavailable(f"{name} does not come up.", code="process.alone")
            if not tries:
                _log.info("waits for another part", other=name)
            tries += 1
            await asyncio.sleep(POLL.pause(tries))


async def _answers(bus: Bus, contract: type) -> bool:
    try:
        await bus.peer_version(contract)
    except (Unavailable, Timeout):
        return False
    return True
