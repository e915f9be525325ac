# SPDX-License-Identifier: Apache-2.0
"""Another service's API asked for the user who asks us, for the proxies of old versions.

Its policy decides, and what it refuses goes to the user in Compute's form.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from octostack.contracts.api import ApiCall
from octostack.contracts.identity import Caller
from octostack.runtime.http import Request

Query = Mapping[str, str | Sequence[str]]


class Asked(Protocol):
    """`contracts.network.Network` and `contracts.image.Images`."""

    async def ask(self, caller: Caller, call: ApiCall) -> bytes: ...


async def fetch(service: Asked, req: Request, path: str, query: Query | None = None) -> Any:
    """GET; a value that is a sequence is given as often as it has items."""
    pairs = [
        (name, one)
        for name, value in (query or {}).items()
        for one in ([value] if isinstance(value, str) else value)
    ]
    return _read(await service.ask(req.caller, ApiCall(path=path, query=tuple(pairs))))


async def send(service: Asked, req: Request, call: ApiCall, body: Any = None) -> Any:
    """Any other request, `body` as its JSON."""
    data = b"" if body is None else msgspec.json.encode(body)
    return _read(await service.ask(req.caller, msgspec.structs.replace(call, body=data)))


def _read(data: bytes) -> Any:
    return msgspec.json.decode(data) if data else None
