# SPDX-License-Identifier: Apache-2.0
"""An HTTP client that costs next to nothing: what is measured runs on the same processors.

One connection, one request at a time, no redirects, no chunks: as much HTTP as the measurements
need, in a tenth of the time that a whole client takes.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON of a success."""
        assert 200 <= self.status < 300, (self.status, self.body[:300])
        return msgspec.json.decode(self.body)


class Connection:
    """Kept open between requests; `headers` go with each of them."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._place = urlsplit(url)
        common = {"Host": self._place.netloc, "Accept": "application/json", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in common.items())
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> Answer:
        """GET."""
        return await self._send("GET", path, b"")

    async def post(self, path: str, body: Any) -> Answer:
        """POST of JSON."""
        return await self._send("POST", path, msgspec.json.encode(body))

    def close(self) -> None:
        """End it."""
        if self._writer is not None:
            self._writer.close()

    async def _send(self, method: str, path: str, data: bytes) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._place.hostname, self._place.port, limit=1 << 26
            )
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{kind}\r\n"
        self._writer.write(head.encode() + data)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        sizes = [line for line in lines if line.startswith(b"content-length:")]
        size = int(sizes[0].partition(b":")[2]) if sizes else 0
        return Answer(int(lines[0].split()[1]), await self._reader.readexactly(size))
