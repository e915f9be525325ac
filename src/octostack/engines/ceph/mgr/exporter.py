# SPDX-License-Identifier: Apache-2.0
"""The numbers of `core.metrics` over HTTP, while the module `prometheus` is enabled.

One request, one answer: what a scraper asks for, and nothing else of HTTP.
"""

import asyncio
from collections.abc import Callable

import msgspec

from octostack.base import log
from octostack.base.errors import OctoError
from octostack.engines.ceph.mgr.core import metrics
from octostack.engines.ceph.mon.core.commands.table import Query
from octostack.engines.ceph.mon.core.settings import number_of, text_of
from octostack.engines.ceph.mon.core.state import Change
from octostack.runtime.net import Conn, Listener, OsNet

_log = log.get("ceph.mgr")
MODULE = "prometheus"
LOOK_S = 1.0
_REQUEST_MAX = 16 << 10
_READ_TIMEOUT_S = 10.0


class Exporter:
    """See the module's essay."""

    def __init__(
        self, query: Callable[[], Query], submit: Callable[[Callable[[], Change | None]], None]
    ) -> None:
        self._query = query
        self._submit = submit
        self._listener: Listener | None = None
        self._where = ""

    async def run(self) -> None:
        """Listen and stop listening as the module is enabled and disabled, and its address set."""
        try:
            while True:
                await self._follow()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._close()

    async def _follow(self) -> None:
        wanted = self._wanted()
        if wanted == self._where:
            return
        await self._close()
        self._where = wanted
        if not wanted:
            self._submit(lambda: self._announced(""))
            return
        try:
            self._listener = await OsNet().listen(wanted, self._serve)
        except OctoError as error:
            _log.warning("exporter does not listen", where=wanted, why=error.message)
            return
        url = f"http://{self._listener.address.removeprefix('tcp:')}/"
        self._submit(lambda: self._announced(url))

    def _wanted(self) -> str:
        query = self._query()
        if MODULE not in query.state.mgrmap.modules:
            return ""
        config = query.config
        host = text_of(config, "mgr/prometheus/server_addr", "mgr")
        port = number_of(config, "mgr/prometheus/server_port")
        return f"tcp:{f'[{host}]' if ':' in host else host}:{port}"

    def _announced(self, url: str) -> Change | None:
        map_ = self._query().state.mgrmap
        services = {name: at for name, at in map_.services.items() if name != MODULE}
        services |= {MODULE: url} if url else {}
        if services == map_.services:
            return None
        made = msgspec.structs.replace(map_, epoch=map_.epoch + 1, services=services)
        return Change(mgrmap=made)

    async def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()

    async def _serve(self, conn: Conn) -> None:
        head = b""
        async with asyncio.timeout(_READ_TIMEOUT_S):
            while b"\r\n\r\n" not in head and len(head) < _REQUEST_MAX:
                more = await conn.read(4096)
                if not more:
                    return
                head += more
        words = head.split(b" ", 2)
        if words[0] == b"GET" and words[1].partition(b"?")[0] == b"/metrics":
            body = metrics.text(metrics.gather(self._query())).encode()
            status, kind = b"200 OK", b"text/plain; version=0.0.4; charset=utf-8"
        else:
            status, kind, body = b"404 Not Found", b"text/plain", b"/metrics\n"
        await conn.write(
            b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, kind, len(body), body)
        )
