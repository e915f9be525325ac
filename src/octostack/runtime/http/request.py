# SPDX-License-Identifier: Apache-2.0
"""What a handler is given and what it gives back."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol, overload
from urllib.parse import parse_qsl

import falcon

from octostack.base.errors import Forbidden, Invalid
from octostack.contracts.identity import Caller

JSON_TYPE = "application/json"


Disconnected = falcon.WebSocketDisconnected  # what a WebSocket raises once its client is gone


class Checker(Protocol):
    """What a request asks of the policy."""

    def check(self, name: str, target: Mapping[str, Any], caller: Caller) -> bool: ...


class Query:
    """The query string in order, names repeated as they came."""

    def __init__(self, text: str = "") -> None:
        try:
            self.pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
        except ValueError as e:
            raise Invalid(f"The query string cannot be read: {e}", code="query") from e

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The last value of `name`."""
        for key, value in reversed(self.pairs):
            if key == name:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """Every value of `name`."""
        return [value for key, value in self.pairs if key == name]

    def names(self) -> list[str]:
        """The names, each once, in order."""
        return list(dict.fromkeys(key for key, _ in self.pairs))

    def lists(self) -> dict[str, list[str]]:
        """Name to values, the form query schemas check."""
        return {name: self.all(name) for name in self.names()}

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


class Request:
    """One request, read as far as its route asks."""

    def __init__(self, method: str, path: str, query: Query, headers: Mapping[str, str]) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.params: dict[str, str] = {}
        self.version: tuple[int, int] = (0, 0)
        self.caller = Caller(user_id="")
        self.body: Any = None
        self.stream: AsyncIterator[bytes] = _nothing()
        self.base_url = ""
        self.host_url = ""
        self.client_address = ""
        self.request_id = ""
        self.rule: str | None = None
        self.authorized = False
        self.policy: Checker | None = None

    def authorize(self, target: Mapping[str, Any], rule: str | None = None) -> None:
        """Check the route's rule, or another, on `target`. Raises Forbidden naming the rule."""
        name = rule or self.rule
        if name is None:
            raise ValueError("this route has no rule to check")
        self.authorized = True
        if not self.allowed(name, target):
            raise Forbidden(
                f"Policy doesn't allow {name} to be performed.", code="policy", rule=name
            )

    def allowed(self, rule: str, target: Mapping[str, Any]) -> bool:
        """Would `rule` allow the caller to act on `target`?"""
        if self.policy is None:
            raise ValueError("this API has no policy")
        self.authorized = True
        return self.policy.check(rule, target, self.caller)


class Response:
    """An answer that is more than a JSON value with the route's status."""

    def __init__(
        self,
        body: Any = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        stream: AsyncIterator[bytes] | None = None,
        content_type: str | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        self.stream = stream
        self.content_type = content_type


class WebSocket(Protocol):
    """A WebSocket as a handler sees it."""

    @property
    def subprotocols(self) -> tuple[str, ...]: ...
    async def accept(self, subprotocol: str | None = None) -> None: ...
    async def receive_data(self) -> bytes: ...
    async def receive_text(self) -> str: ...
    async def send_data(self, payload: bytes) -> None: ...
    async def send_text(self, payload: str) -> None: ...
    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
