# SPDX-License-Identifier: Apache-2.0
"""``octostack run front``: one port for a cloud whose parts listen on their own.

The first segment of a path says whose request it is, as within one process; it is passed on to
that part's endpoint (`runtime.http.relay`). The front knows no user, no token and no row: it can
be killed, doubled and moved at will.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

from octostack.apps import config, parts
from octostack.apps.state import Ready, StateDir
from octostack.base import log
from octostack.base.errors import Invalid, Unauthorized
from octostack.contracts.identity import Caller
from octostack.runtime import health
from octostack.runtime.http import server
from octostack.runtime.http.front import Front
from octostack.runtime.http.relay import Relay

NAME = "front"
_log = log.get("front")


async def run(state: StateDir, port: int | None, announce: Callable[[Ready], None]) -> None:
    """Serve until SIGTERM or SIGINT. Raises Invalid when the configuration names no endpoints."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = config.load(state.path)
    log.configure(level=settings.log.level)
    front = Front(_Nobody())
    front.open([health.api(health.Health())])
    relays = _relays(front, settings.endpoints)
    wanted = urlsplit(settings.endpoints.get(NAME, "")).port or settings.server.port or 0
    with server.listen(settings.server.host, wanted if port is None else port) as sock:
        http = server.Server(front, sock)
        async with asyncio.TaskGroup() as group:
            group.create_task(http.run())
            await http.ready()
            address, number = sock.getsockname()[:2]
            url = f"http://[{address}]:{number}" if ":" in address else f"http://{address}:{number}"
            _log.info("up", name=NAME, url=url)
            announce(Ready(pid=os.getpid(), url=url))
            await stop.wait()
            _log.info("stopping")
            http.stop()
    for relay in relays:
        await relay.close()


def _relays(front: Front, endpoints: dict[str, str]) -> list[Relay]:
    """A relay for each part whose endpoint is known."""
    relays = []
    for part in parts.SERVICES:
        if part.name in endpoints:
            relay = Relay(part.name, endpoints[part.name].split(","), part.faults)
            relays.append(relay)
            for prefix in part.prefixes:
                front.pass_on(prefix, relay)
    if not relays:
        raise Invalid("[endpoints] names no part to pass requests on to", code="front.endpoints")
    return relays


class _Nobody:
    """Tokens are the business of the parts behind."""

    async def authenticate(self, _token: str) -> Caller:
        raise Unauthorized("Nothing here takes a token.")
