# SPDX-License-Identifier: Apache-2.0
"""One question of the `octostack` command to a running cloud, which `control` answers."""

from typing import Any

import httpx2

from octostack.apps.state import StateDir
from octostack.base.errors import OctoError, Unavailable

TIMEOUT_S = 120.0


async def ask(state: StateDir, method: str, path: str, body: Any = None) -> Any:
    """One question to the running cloud. Raises Unavailable when none runs, or its error."""
    answer = await _answer(state, method, path, body)
    value = answer.json() if answer.headers["content-type"].startswith("application/json") else None
    if answer.status_code >= 400:
        raise OctoError((value or {}).get("message", answer.text))
    return value if value is not None else answer.text


async def _answer(state: StateDir, method: str, path: str, body: Any) -> httpx2.Response:
    """From the first process that is there: the others are reached through the bus."""
    for place in state.control_sockets():
        transport = httpx2.AsyncHTTPTransport(uds=str(place))
        async with httpx2.AsyncClient(transport=transport, timeout=TIMEOUT_S) as client:
            try:
                return await client.request(method, f"http://control{path}", json=body)
            except httpx2.ConnectError:
                continue  # left behind by a process that was killed
    raise Unavailable(f"No cloud runs in {state.path}", code="state.down")
